//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/internal/commands"
)

// A list is a contact file and its campaign.
type list struct {
	number int
	name   string
	mode   campaign.Mode
	size   int // contacts that can be used
	file   string
	loaded bool // guarded by the world's mu
}

const (
	maxLists                = 400
	perList                 = 20_000 // numbers that belong to a list, used or not
	firstLine               = "phone,name\n"
	batchList, dispatchList = campaign.Batch, campaign.Dispatch
)

// sizes are such that a list lasts for some seconds.
var sizes = map[campaign.Mode]int{campaign.Batch: 6000, campaign.Dispatch: 2500}

func phone(list, n int) string { return fmt.Sprintf("+9665%08d", list*perList+n) }

// badNumbers are well-formed and refused by the platform.
func badNumbers(list int) []string { return []string{phone(list, 3), phone(list, 1234)} }

// newList writes a contact file. A few of its lines are of no use.
func (w *world) newList(mode campaign.Mode, size int) *list {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lists) == maxLists {
		w.t.Fatal("no numbers left for another list")
	}
	l := &list{number: len(w.lists), mode: mode, size: size}
	l.name = fmt.Sprintf("%s-%d", mode, l.number)
	l.file = filepath.Join(w.dir, l.name+".csv")
	var text strings.Builder
	text.WriteString(firstLine)
	for n := range l.size {
		fmt.Fprintf(&text, "%s,Person %d\n", phone(l.number, n), n)
		if n%500 == 499 {
			fmt.Fprintf(&text, "%s,again\nnobody,nowhere\n", phone(l.number, n/2))
		}
	}
	if err := os.WriteFile(l.file, []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.lists = append(w.lists, l)
	return l
}

// manner is how a list is loaded.
type manner int

const (
	whole manner = iota // without trouble of our making
	torn                // killed on the way, and repeated
	twice               // by two at once
)

// launch loads a new list in the background. Whatever comes in between, the
// same command is repeated until it has done it.
func (w *world) launch(mode campaign.Mode, how manner) {
	l := w.newList(mode, sizes[mode])
	w.background.Go(func() { w.load(l, how) })
}

func (w *world) load(l *list, how manner) {
	rows := map[campaign.Mode]int{campaign.Batch: batchRows, campaign.Dispatch: dispatchRows}[l.mode]
	enqueue := func(kill <-chan time.Time) commands.Outcome {
		return w.callKilled(kill, "enqueue", l.file, "--json", "--name", l.name, "--channel", "voice", "--rate", "none",
			"--agent", tokens[l.mode], "--mode", string(l.mode), "--chunk-size", fmt.Sprint(rows),
			"--max-attempts", "3", "--rejects", "")
	}
	switch how {
	case torn:
		for i := range 3 {
			enqueue(time.After(time.Duration(20+40*i) * time.Millisecond))
			w.count("enqueue killed -9 on the way")
		}
	case twice:
		var both sync.WaitGroup
		both.Go(func() { enqueue(nil) })
		both.Go(func() { enqueue(nil) })
		both.Wait()
		w.count("enqueue run twice at once")
	}
	for {
		out := enqueue(nil)
		var sum struct{ Contacts int }
		if err := json.Unmarshal([]byte(out.Stdout), &sum); err == nil && (out.Code == 0 || out.Code == 3) {
			if sum.Contacts != l.size {
				w.t.Errorf("%s: %d contacts loaded, not %d", l.name, sum.Contacts, l.size)
			}
			break
		}
		w.count("enqueue failed and was repeated")
		if time.Since(w.begun) > *length+4*time.Minute {
			w.t.Errorf("%s cannot be loaded: %s", l.name, out.Said())
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	w.mu.Lock()
	l.loaded = true
	w.mu.Unlock()
	w.count("campaigns")
}

// topUp sees to it that there is always something to send.
func (w *world) topUp() {
	open := make(map[campaign.Mode]int)
	for _, l := range w.lists { // changed by this goroutine alone
		ctx, cancel := context.WithTimeout(w.t.Context(), 200*time.Millisecond)
		tally, err := w.store.Tally(ctx, l.name)
		cancel()
		if err != nil {
			return // Redis is away
		}
		if !slices.Contains(w.loaded(), l) {
			open[l.mode] += l.size // on its way
		}
		open[l.mode] += tally.States[campaign.Pending]
	}
	for mode, size := range sizes {
		if open[mode] < size/2 {
			w.launch(mode, whole)
		}
	}
}

// steer does something to a campaign in the background.
func (w *world) steer(what string, name string, args ...string) {
	w.background.Go(func() {
		if out := w.call(name, args...); out.Code == 0 {
			w.count(what)
		} else {
			w.count(what + ", in vain")
		}
	})
}

// patrol recounts the campaigns one after the other, all the time.
func (w *world) patrol() {
	for {
		for _, l := range w.loaded() {
			select {
			case <-w.over:
				return
			case <-time.After(500 * time.Millisecond):
			}
			w.verify(l, false)
		}
		select {
		case <-w.over:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// verify recounts a campaign. It may be unable to, unless it must.
func (w *world) verify(l *list, must bool) {
	out := w.call("campaign", "verify", l.name, "--json")
	var found struct {
		OK       bool
		Contacts int
		Problems []string
	}
	switch err := json.Unmarshal([]byte(out.Stdout), &found); {
	case err != nil && must:
		w.t.Errorf("verify %s: exit code %d: %s", l.name, out.Code, out.Said())
	case err != nil:
		w.count("verify could not recount")
	case !found.OK || out.Code != 0:
		w.t.Errorf("verify %s: exit code %d: %s", l.name, out.Code, strings.Join(found.Problems, "; "))
	case found.Contacts != l.size:
		w.t.Errorf("verify %s: %d contacts, not %d", l.name, found.Contacts, l.size)
	default:
		w.count("verify found nothing")
	}
}

// recover undoes what people have done, as they would when the trouble is over:
// campaigns go on, and what failed is sent again.
func (w *world) recover() {
	close(w.over)
	w.background.Wait()
	for _, l := range w.loaded() {
		switch o := w.overview(l); o.State {
		case campaign.Paused:
			if !strings.HasPrefix(o.StateReason.String(), "by ") && !pausedByPage(o.StateReason.String()) {
				w.t.Errorf("%s was paused, and not by a person: %s", l.name, o.StateReason)
			}
			w.must("campaign", "resume", l.name)
		case campaign.Loading:
			w.t.Errorf("%s is still loading", l.name)
		}
		w.must("enqueue", "rerun", l.name, "--state", "failed")
	}
}

func (w *world) must(name string, args ...string) {
	w.t.Helper()
	if out := w.call(name, args...); out.Code != 0 {
		w.t.Errorf("%s %s: exit code %d: %s", name, strings.Join(args, " "), out.Code, out.Said())
	}
}

func (w *world) overview(l *list) report.Overview {
	w.t.Helper()
	o, err := report.Find(w.t.Context(), w.store, l.name)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// finish waits until every campaign is over. What failed while the last faults
// faded is sent once more, since nothing fails any more.
func (w *world) finish(limit time.Duration) {
	w.t.Helper()
	end := time.Now().Add(limit)
	for _, l := range w.loaded() {
		err := commands.Await(time.Until(end), func() error {
			o := w.overview(l)
			if !o.Over() {
				return fmt.Errorf("%s is %s with %d open", l.name, o.State, o.States.Open())
			}
			if o.States.In(campaign.Failed) > 0 {
				w.must("enqueue", "rerun", l.name, "--state", "failed")
				return fmt.Errorf("%s has failed contacts", l.name)
			}
			return nil
		})
		if err != nil {
			w.t.Errorf("%v after %v without faults\n%s", err, limit, w.call("campaign", "show", l.name).Stdout)
			for _, k := range w.workers {
				w.t.Log(k.current().Tail(30))
			}
		}
	}
}
