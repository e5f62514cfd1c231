//go:build chaos

package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"campaign-runner/sandbox"
)

// findings is what the audit has counted.
type findings struct {
	contacts int
	states   map[string]int
	byHand   int // accepted because a person said so

	reached   int // numbers that the platform's ledger holds
	twice     int
	lost      int
	lied      int        // accepted and not reached, or reached and neither accepted nor unconfirmed
	unreached int        // unconfirmed, or accepted by hand, and not reached
	cut       int        // unconfirmed whose request had no answer
	hurt      [harms]int // unconfirmed, answered, but their worker was hurt at that time
	unseen    int        // unconfirmed, and no request with them was seen to leave
	unfounded int        // unconfirmed for no reason that we know
	allowed   int        // the most contacts that hurt workers had in hand
	platform  sandbox.Stats
}

// audit compares every contact with the platform's own ledger and with the book of
// the links:
//
//   - no contact was reached twice;
//   - every contact of every file is in its campaign's results, once;
//   - every accepted contact was reached, and every contact that was reached is
//     accepted or unconfirmed: none of them can be sent again unless a person asks;
//   - a contact is unconfirmed only if its request was cut after it had left a worker,
//     or if it was in the hands of a worker that was killed, frozen or cut off from
//     Redis (at most inHand contacts each time);
//   - campaign verify agrees.
func (w *world) audit() findings {
	w.t.Helper()
	f := findings{states: make(map[string]int)}
	for _, h := range w.hurts {
		if h.kind != troubled {
			f.allowed += inHand
		}
	}
	w.look("/sandbox/stats", &f.platform)
	var ledger struct{ Counts map[string]int }
	w.look("/sandbox/ledger?all=1", &ledger)
	f.reached = len(ledger.Counts)
	for _, times := range ledger.Counts {
		if times > 1 {
			f.twice++
		}
	}
	for _, l := range w.loaded() {
		w.auditList(l, ledger.Counts, &f)
		w.verify(l, true)
	}
	check := func(n int, what string) {
		if n > 0 {
			w.t.Errorf("%s: %d", what, n)
		}
	}
	check(f.twice, "contacted more than once")
	check(f.lost, "lost")
	check(f.lied, "states that the platform's ledger denies")
	check(f.unfounded, "unconfirmed without a reason")
	check(f.hurt[killed]+f.hurt[frozen]+f.hurt[isolated]+f.unseen-f.allowed, "unconfirmed beyond what hurt workers had in hand")
	return f
}

func (w *world) auditList(l *list, reached map[string]int, f *findings) {
	w.t.Helper()
	file := filepath.Join(w.dir, l.name+"-results.jsonl")
	w.must("campaign", "results", l.name, "-o", file)
	in, err := os.Open(file)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer in.Close()
	bad := badNumbers(l.number)
	seen := make(map[string]bool)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var c struct {
			Phone  string `json:"phone_e164"`
			State  string
			Reason *string
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			w.t.Fatal(err)
		}
		if seen[c.Phone] {
			w.t.Errorf("%s: a contact is in the results twice", l.name)
		}
		seen[c.Phone] = true
		f.contacts++
		f.states[c.State]++
		byHand := c.State == "accepted" && c.Reason != nil && *c.Reason == "confirmed by hand"
		if byHand {
			f.byHand++
		}
		deny := func(why string) {
			f.lied++
			if f.lied <= 10 {
				w.t.Errorf("%s: contact …%s is %s, but %s", l.name, c.Phone[len(c.Phone)-6:], c.State, why)
			}
		}
		switch times := reached[c.Phone]; {
		case c.State == "unconfirmed" || byHand:
			if times == 0 {
				f.unreached++
			}
			w.explain(l, c.Phone, f)
		case c.State == "accepted" && times == 0:
			deny("was never reached")
		case c.State != "accepted" && times > 0:
			deny("was reached")
		case c.State == "rejected" && !slices.Contains(bad, c.Phone):
			deny("the platform takes it")
		case c.State == "pending" || c.State == "sending" || c.State == "failed":
			deny("the campaign is over")
		}
	}
	for n := range l.size {
		if !seen[phone(l.number, n)] {
			f.lost++
		}
	}
}

// explain finds why a contact may be unconfirmed.
func (w *world) explain(l *list, number string, f *findings) {
	w.book.mu.Lock()
	cut, answer := w.book.cut[number], w.book.answered[number]
	w.book.mu.Unlock()
	switch {
	case cut > 0:
		f.cut++
		return
	case answer.at.IsZero():
		f.unseen++
		return
	}
	for kind := range harms {
		if w.explains(kind, answer) {
			f.hurt[kind]++
			return
		}
	}
	f.unfounded++
	if f.unfounded <= 10 {
		w.t.Errorf("%s: contact …%s is unconfirmed, though worker %d had its answer at %v",
			l.name, number[len(number)-6:], answer.worker, answer.at.Sub(w.begun))
	}
}

// explains reports whether some harm may have kept an answer from being written
// down. It is tried for so long as Redis is away, up to commitPatience.
func (w *world) explains(kind harm, a answer) bool {
	const commitPatience = 3 * time.Minute
	during := func(h hurt, before, after time.Duration) bool {
		return h.worker == a.worker && a.at.After(h.from.Add(-before)) && a.at.Before(h.to.Add(after))
	}
	waited := slices.ContainsFunc(w.hurts, func(h hurt) bool {
		return h.kind == troubled && during(h, 5*time.Second, 5*time.Second)
	})
	return slices.ContainsFunc(w.hurts, func(h hurt) bool {
		before := 10 * time.Second
		if waited {
			before = commitPatience
		}
		return h.kind == kind && during(h, before, 5*time.Second)
	})
}

// table tells what was done and what came of it.
func (w *world) table(f findings) string {
	var b strings.Builder
	line := func(what string, n int) { fmt.Fprintf(&b, "%-58s %8d\n", what, n) }
	for _, what := range sortedCounts(w.counts) {
		line(what, w.counts[what])
	}
	b.WriteString("\n")
	line("requests that left a worker", w.book.requests)
	line("  without an answer", w.book.cutShort)
	line("  that did not even arrive whole", w.book.torn)
	line("requests that the platform saw", f.platform.Requests)
	line("  cut before processing", f.platform.CutBefore)
	line("  cut after processing", f.platform.CutAfter)
	line("  answered 429", f.platform.TooMany)
	b.WriteString("\n")
	line("contacts", f.contacts)
	for _, state := range sortedCounts(f.states) {
		line("  "+state, f.states[state])
	}
	line("  accepted by hand", f.byHand)
	line("reached, by the platform's ledger", f.reached)
	line("contacted more than once", f.twice)
	line("lost", f.lost)
	line("states that the platform's ledger denies", f.lied)
	b.WriteString("\n")
	line("unconfirmed, or accepted by hand", f.states["unconfirmed"]+f.byHand)
	line("  that the platform never saw", f.unreached)
	line("  because their request was cut after it had left", f.cut)
	line("  answered, but their worker was killed", f.hurt[killed])
	line("  answered, but their worker was frozen", f.hurt[frozen])
	line("  answered, but their worker was cut off from Redis", f.hurt[isolated])
	line("  no request of theirs was seen", f.unseen)
	line("  (these four at most: what hurt workers had in hand)", f.allowed)
	line("  without a reason", f.unfounded)
	return b.String()
}
