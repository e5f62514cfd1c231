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
	Phase       Phase   // as stored; Finished is derived, see Tally.Phase
	PhaseReason Message // why it is paused or canceled, or why it is ready and did not go on by itself
	PhaseCall   string  // names the change that led to the phase: a person acts on the pause that they have seen
	Approval    Approval
	Fingerprint string // of the file, the suppression files and the load flags
	Counts      Counts
	Chunks      int
	Ends        []int     // the last chunk of the list and of each append, except the last append: it may hold fewer contacts
	Run         uint8     // 0 for the launch, one more for each rerun; stays at 255
	RowsPerCall int       // most contacts per request, learned from refusals; 0: the chunk's
	Canary      int       // while the canary runs: only this many first contacts may be sent
	CanaryRun   uint8     // the run that it belongs to
	Erased      int       // contacts whose person was erased
	Version     int       // of its settings and its canary; changes with each change of them
	Canceled    int       // the version that its latest cancel began; 0: it never was canceled
	CreatedAt   time.Time // when its load began
	LoadUntil   time.Time // while loading: when the load counts as dead unless it shows itself again
	EndedAt     time.Time // when it last had no contacts left to send; the tally says whether that is still so
	RungsSince  time.Time // contacts that did not change since have no rung to come: it was canceled; zero: it was not
	PurgeBegan  time.Time // when it began to delete personal data; zero: it has it all
	PurgedAt    time.Time // when all of that was deleted; zero: not yet
}

// Kept is an error if the contacts of a campaign were purged.
func (c Campaign) Kept() error {
	if c.PurgeBegan.IsZero() {
		return nil
	}
	return fmt.Errorf("campaign %s: its contacts were purged on %s; only its totals are left", c.Name, c.PurgeBegan.Format("2 Jan 2006"))
}

// Loaded is an error unless all contacts of a campaign are there: its file is stored,
// and not purged.
func (c Campaign) Loaded() error {
	if c.Phase == Loading {
		return fmt.Errorf("campaign %s: its contact file is still being loaded", c.Name)
	}
	return c.Kept()
}

var agentPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// AgentName is an agent's name as it is stored: lower case, with - for _, so that
// VELENTS_TOKEN_SALES_KSA, "sales_ksa" and "Sales-KSA" name the same agent.
func AgentName(name string) (string, error) {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if len(name) > 64 || !agentPattern.MatchString(name) {
		return "", errors.New("agent: want 1 to 64 letters and digits, with - or _ between them")
	}
	// An agent's lanes are queues named after it, so no agent may have the name of
	// another's lane.
	for _, lane := range []Lane{Urgent, Bulk} {
		if strings.HasSuffix(name, "-"+string(lane)) {
			return "", fmt.Errorf("agent: its name must not end in -%s", lane)
		}
	}
	return name, nil
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

// HeldBack is how many contacts of a chunk, the last ones, the canary leaves for
// later.
func (c Campaign) HeldBack(chunk, contacts int) int {
	if c.Canary == 0 {
		return 0
	}
	return contacts - min(max(c.Canary-chunk*c.Settings.ChunkSize, 0), contacts)
}

// BatchPrefix is how the names of a chunk's batches begin on the platform.
func BatchPrefix(campaign string, chunk int) string { return fmt.Sprintf("%s/%d/", campaign, chunk) }
