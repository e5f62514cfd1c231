package store

import (
	"encoding/binary"
	"fmt"

	"campaign-runner/campaign"
)

// The guard judges by the latest guardVerdicts contacts, and by fewer once there
// are guardFewest. In batch mode it looks at two full requests at least: the
// platform names the bad rows of one before it takes the good ones.
const (
	guardVerdicts = 200
	guardFewest   = 50
)

// guardTripped is a campaign's reason to be paused until Explain says more.
const guardTripped = "too many of the latest contacts were rejected, failed or unconfirmed"

// guardOf is the guard of a campaign as change.lua reads it: the share in
// ten-thousandths, the fewest contacts and the most; empty when there is none.
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

// A Verdict is what became of one contact of a request.
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
