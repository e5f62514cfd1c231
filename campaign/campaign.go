// Package campaign is the domain: what a campaign, a contact, a chunk and a
// ledger are, and which changes of a contact's state are allowed.
//
// It is pure Go: no Redis, no queue, no clock of its own. Everything that the
// sender, the sweeper, the inbox and the commands must decide alike is decided
// here, by Record.Next.
package campaign

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A Campaign is one run over one list.
type Campaign struct {
	Name        string
	Settings    Settings
	Phase       Phase  // as stored; Finished is derived, see Tally.Phase
	PhaseReason string // why it is paused, canceled, or ready though it was to go on by itself
	Fingerprint string // of the file, the suppression files and the load flags
	Counts      Counts
	Chunks      int
	Ends        []int     // the last chunk of the list, and of each append to it but the last: it may hold fewer contacts
	Run         uint8     // 0 for the launch, one more for each rerun; stays at 255
	RowsPerCall int       // most contacts per request, learned from refusals; 0: the chunk's
	Canary      int       // while it is tried out: the first so many contacts, and nobody else, may be sent
	Version     int       // of its settings and its canary: another one after each change
	CreatedAt   time.Time // when its load began
	LoadUntil   time.Time // while loading: when the load counts as dead unless it is heard of again
	EndedAt     time.Time // when nobody of it was left to be sent, last; whether that is so now, the tally tells
	PurgeBegan  time.Time // since when it tells nothing of people any more; zero: it does
	PurgedAt    time.Time // when all that was gone; zero: not yet
}

// Kept tells whether a campaign still has its contacts, or has been purged.
func (c Campaign) Kept() error {
	if c.PurgeBegan.IsZero() {
		return nil
	}
	return fmt.Errorf("campaign %s: its contacts were purged on %s; only its totals are left", c.Name, c.PurgeBegan.Format("2 Jan 2006"))
}

// Loaded tells whether the contacts of a campaign are there: all of its file is stored,
// and none of it purged.
func (c Campaign) Loaded() error {
	if c.Phase == Loading {
		return fmt.Errorf("campaign %s: its contact file is still being loaded", c.Name)
	}
	return c.Kept()
}

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	agentPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// AgentName is an agent's name as it is kept: lower case, with - for _, so that
// VELENTS_TOKEN_SALES_KSA, "sales_ksa" and "Sales-KSA" name the same agent.
func AgentName(name string) (string, error) {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if len(name) > 64 || !agentPattern.MatchString(name) {
		return "", errors.New("agent: want 1 to 64 letters and digits, with - or _ between them")
	}
	// An agent's lanes are queues named after it: no agent may be named like
	// another's lane.
	for _, lane := range []Lane{Urgent, Bulk} {
		if strings.HasSuffix(name, "-"+string(lane)) {
			return "", fmt.Errorf("agent: its name must not end in -%s", lane)
		}
	}
	return name, nil
}

// CheckName tells whether name can name a campaign.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || strings.Trim(name, ".") == "" {
		return errors.New("campaign name: want 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if name[0] == '-' { // every later command would take it for a flag
		return errors.New("campaign name: want a letter, a digit, . or _ at its beginning")
	}
	return nil
}

// RequestRows is the most contacts that one request may carry: as set, or fewer
// where the platform has refused that many.
func (c Campaign) RequestRows() int {
	rows := c.Settings.RequestRows()
	if c.RowsPerCall > 0 {
		rows = min(rows, c.RowsPerCall)
	}
	return rows
}

// HeldBack is how many contacts of a chunk of so many the canary leaves to be
// sent later: the last ones.
func (c Campaign) HeldBack(chunk, contacts int) int {
	if c.Canary == 0 {
		return 0
	}
	return contacts - min(max(c.Canary-chunk*c.Settings.ChunkSize, 0), contacts)
}
