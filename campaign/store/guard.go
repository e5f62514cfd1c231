package store

import (
	"encoding/binary"
	"fmt"

	"campaign-runner/campaign"
)

// The guard pauses a campaign when too many of its latest contacts were not
// accepted. change.lua keeps their verdicts in a window and judges by it within the
// change that adds a verdict, so no request begins in between.
//
// It looks at the latest guardVerdicts contacts, or at fewer from guardFewest on. In
// batch mode it takes two full requests at least, because the platform names the bad
// rows of a request before it accepts the others.
const (
	guardVerdicts = 200
	guardFewest   = 50
)

// guardTripped is a campaign's reason to be paused until Explain gives a better one.
var guardTripped = campaign.Say(campaign.MsgGuard)

// guardOf is the guard as change.lua reads it: the share in ten-thousandths, the
// fewest and the most contacts; empty: no guard.
func guardOf(s campaign.Settings) string {
	if s.MaxFailureShare == 0 {
		return ""
	}
	rows := 1
	if s.Mode == campaign.Batch {
		rows = s.ChunkSize
	}
	return fmt.Sprintf("%d %d %d", s.MaxFailureShare, guardFewest, max(guardVerdicts, 2*rows))
}

// A Verdict is the result of one contact of a request.
type Verdict struct {
	Chunk  int
	Index  int // of the contact in its chunk
	State  campaign.State
	Reason campaign.Reason
}

// verdictBytes is the width of a verdict in the window: state, index (2), reason
// (2), chunk (4), little-endian.
const verdictBytes = 9

func decodeVerdicts(window string) (all []Verdict) {
	for b := []byte(window); len(b) >= verdictBytes; b = b[verdictBytes:] {
		all = append(all, Verdict{
			State:  campaign.State(b[0]),
			Index:  int(binary.LittleEndian.Uint16(b[1:])),
			Reason: campaign.Reason(binary.LittleEndian.Uint16(b[3:])),
			Chunk:  int(binary.LittleEndian.Uint32(b[5:])),
		})
	}
	return all
}
