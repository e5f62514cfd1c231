//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/internal/commands"
)

// A duel is two campaigns over one list at once. Both skip contacts that were contacted
// lately. Duels take their numbers from the end, lists from the front.
type duel struct {
	number int
	files  [2]string // the same list, once backwards
	names  [2]string
	purged bool // the first campaign, in the midst of it
}

const duelSize = 1500

// TestTwoCampaignsOverOneList lets everything go wrong while pairs of campaigns send
// the same lists: each number is contacted once.
func TestTwoCampaignsOverOneList(t *testing.T) {
	drawn := *seed
	if drawn == 0 {
		drawn = uint64(rand.Uint32())
	}
	t.Logf("to repeat this schedule: make chaos CHAOS=%v CHAOS_SEED=%d", *length, drawn)
	w := newWorld(t, drawn)
	w.startWorkers(workers)
	var duels []*duel
	done := make(chan struct{})
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(drawn, 7))
		for len(duels) < 40 {
			select {
			case <-w.over:
				return
			default:
			}
			d := w.newDuel(len(duels))
			duels = append(duels, d)
			w.fight(d, rng)
		}
	}()
	w.suffer(drawn, *length)
	w.recover()
	<-done
	for _, d := range duels {
		w.decide(d)
	}
	w.finish(3 * time.Minute)
	w.stopWorkers()
	found := w.audit() // the other lists, and that no number at all was contacted twice
	t.Logf("after %v of faults\n\n%s", *length, w.table(found))
	var ledger struct{ Counts map[string]int }
	w.look("/sandbox/ledger?all=1", &ledger)
	total := make(map[string]int)
	for _, d := range duels {
		w.judge(d, ledger.Counts, total)
	}
	t.Logf("%d duels of %d: %v", len(duels), duelSize, total)
	if total["reached"] == 0 || total["by the second"] == 0 {
		t.Error("the campaigns did not meet")
	}
}

func (w *world) newDuel(n int) *duel {
	d := &duel{number: maxLists - 1 - n, purged: n%2 == 1}
	lines := make([]string, duelSize)
	for i := range lines {
		lines[i] = phone(d.number, i) + ",Person\n"
	}
	for i := range d.files {
		d.names[i] = fmt.Sprintf("duel-%d-%d", n, i)
		d.files[i] = filepath.Join(w.dir, d.names[i]+".csv")
		if err := os.WriteFile(d.files[i], []byte(firstLine+strings.Join(lines, "")), 0o600); err != nil {
			w.t.Error(err)
		}
		slices.Reverse(lines)
	}
	return d
}

// fight loads both campaigns and steers them for as long as they send.
func (w *world) fight(d *duel, rng *rand.Rand) {
	for i, name := range d.names {
		mode := []campaign.Mode{campaign.Batch, campaign.Dispatch}[(i+d.number)%2]
		err := commands.Await(*length+4*time.Minute, func() error {
			out := w.call("enqueue", d.files[i], "--json", "--name", name, "--channel", "voice", "--rate", "none",
				"--agent", tokens[mode], "--mode", string(mode), "--chunk-size", "10", "--max-attempts", "3",
				"--skip-contacted-within", "7d", "--rejects", "", "--skip-preflight")
			if out.Code != 0 && out.Code != 3 { // 3: the other has contacted some already
				return fmt.Errorf("%s cannot be loaded: %s", name, out.Said())
			}
			return nil
		})
		if err != nil {
			w.t.Error(err)
		}
	}
	w.count("duels")
	for range 4 {
		select {
		case <-w.over:
			return
		case <-time.After(time.Duration(rng.IntN(800)) * time.Millisecond):
		}
		name := d.names[rng.IntN(2)]
		if out := w.call("campaign", "pause", name); out.Code == 0 {
			w.count("pause in a duel")
		}
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
		w.call("campaign", "resume", name)
	}
	if d.purged {
		if out := w.call("campaign", "purge", d.names[0], "--force", "--yes"); out.Code == 0 {
			w.count("purge in a duel")
		}
	}
}

// decide sees a duel through to its end once nothing goes wrong any more.
func (w *world) decide(d *duel) {
	for _, name := range d.names {
		err := commands.Await(3*time.Minute, func() error {
			o, err := report.Find(w.t.Context(), w.store, name)
			if err != nil {
				return err
			}
			if o.State == campaign.Paused {
				w.call("campaign", "resume", name)
			}
			if !o.Over() {
				return fmt.Errorf("%s is %s (%s) with %d open", name, o.State, o.StateReason, o.States.Open())
			}
			if o.States.In(campaign.Failed) > 0 && !(d.purged && name == d.names[0]) {
				w.call("enqueue", "rerun", name, "--state", "failed")
				return fmt.Errorf("%s has failed contacts", name)
			}
			return nil
		})
		if err != nil {
			w.t.Error(err)
		}
	}
}

// judge compares a duel with the platform's ledger. When a campaign was purged, only
// that ledger is left.
func (w *world) judge(d *duel, reached map[string]int, total map[string]int) {
	told, unsure := make(map[string]int), make(map[string]bool)
	purged := false
	for i, name := range d.names {
		out := w.call("campaign", "results", name, "--json")
		if out.Code != 0 {
			purged = true
			continue
		}
		for line := range strings.Lines(out.Stdout) {
			var c struct {
				Phone string `json:"phone_e164"`
				State string
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				w.t.Fatal(err)
			}
			switch c.State {
			case "accepted":
				told[c.Phone]++
				total[[]string{"by the first", "by the second"}[i]]++
			case "unconfirmed", "rejected", "failed":
				unsure[c.Phone] = true
			}
		}
	}
	for n := range duelSize {
		number := phone(d.number, n)
		times := reached[number]
		switch {
		case times > 1:
			w.t.Errorf("duel %s: contact …%s was reached %d times", d.names[0], number[len(number)-6:], times)
		case told[number] > 1, told[number] == 1 && times == 0:
			w.t.Errorf("duel %s: contact …%s was accepted %d times and reached %d times", d.names[0], number[len(number)-6:], told[number], times)
		case times == 0 && !unsure[number] && !purged:
			w.t.Errorf("duel %s: contact …%s is lost", d.names[0], number[len(number)-6:])
		}
		total["reached"] += times
	}
	total["unsure"] += len(unsure)
}
