//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/commands"
)

const (
	rungsSize  = 400 // contacts of a list
	rungsDelay = 8 * time.Second
	rungsMost  = 3 // requests per contact: the launch and two rungs
)

// rungFaults are what goes wrong while contacts climb: failures of the platform after it has
// done its work, and deaths. Frozen processes are TestChaos's.
var rungFaults = []struct {
	name string
	hit  func(*world, int, *rand.Rand) (func() error, error)
}{
	{"platform answers 502 after processing", faulty(`{"bad_gateway":0.3}`)},
	{"platform answers 504 after processing", faulty(`{"gateway_timeout":0.3}`)},
	{"platform resets after processing", faulty(`{"reset_after":0.3}`)},
	{"platform answers 500", faulty(`{"server_error":0.5}`)},
	{"kill -9", killedWorker},
	{"kill -9", killedWorker},
	{"Redis is killed", killedRedis},
}

// TestRungs contacts people again by itself while everything goes wrong: nobody twice for one
// rung, nobody more often than the cap says, and nobody for another rung after an opt-out.
func TestRungs(t *testing.T) {
	drawn := *seed
	if drawn == 0 {
		drawn = uint64(rand.Uint32())
	}
	t.Logf("to repeat this schedule: make chaos CHAOS=%v CHAOS_SEED=%d", *length, drawn)
	w := newWorld(t, drawn, "--latency", "50ms-200ms", "--webhooks", "--webhook-no-answer", "0.6", "--webhook-opt-out", "0.2",
		"--webhook-late-answer", "0.3", "--webhook-late-after", "7s", "--webhook-disorder", "0.3", "--webhook-duplicates", "0.3", "--webhook-delay", "20ms")
	w.inbox = freeAddr()
	w.startWorkers(3)
	lists := []*list{w.newList(batchList, rungsSize), w.newList(dispatchList, rungsSize)}
	for _, l := range lists {
		rows := map[campaign.Mode]string{campaign.Batch: "50", campaign.Dispatch: "20"}[l.mode]
		out := w.call("enqueue", l.file, "--json", "--name", l.name, "--channel", "voice", "--rate", "none",
			"--agent", tokens[l.mode], "--mode", string(l.mode), "--chunk-size", rows, "--rejects", "",
			"--then", fmt.Sprintf("ended.no_answer:%v,%v", rungsDelay, rungsDelay), "--then", fmt.Sprintf("state=failed:%v", rungsDelay),
			"--then-within", "25s")
		if out.Code != 0 && out.Code != 3 {
			t.Fatal(out.Said())
		}
	}
	rng := rand.New(rand.NewPCG(drawn, 11))
	for begun := time.Now(); time.Since(begun) < *length; {
		f, n := rungFaults[rng.IntN(len(rungFaults))], rng.IntN(len(w.workers))
		w.count(f.name)
		heal, err := f.hit(w, n, rng)
		time.Sleep(time.Duration(500+rng.IntN(2000)) * time.Millisecond)
		if err == nil && heal != nil {
			err = heal()
		}
		if err != nil {
			t.Error(err)
		}
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
	}
	close(w.over)
	for _, l := range lists {
		w.rungsEnd(l)
	}
	w.stopWorkers()
	w.judgeRungs(lists)
}

// rungsEnd waits until no rung of a campaign is to come.
func (w *world) rungsEnd(l *list) {
	w.t.Helper()
	err := commands.Await(3*time.Minute, func() error {
		o, err := report.Find(w.t.Context(), w.store, l.name)
		switch {
		case err != nil:
			return err
		case o.State == campaign.Paused:
			w.call("campaign", "resume", l.name)
		case o.Over():
			return nil
		}
		return fmt.Errorf("%s is %s (%v) with %d open, rungs %+v", l.name, o.State, o.WaitingFor, o.States.Open(), o.Rungs)
	})
	if err != nil {
		w.t.Errorf("%v\n%s", err, w.call("campaign", "show", l.name).Stdout)
	}
	if out := w.call("campaign", "verify", l.name); out.Code != 0 {
		w.t.Errorf("%s: %s", l.name, out.Said())
	}
}

// judgeRungs compares what each contact is said to have had with the platform's own ledger.
func (w *world) judgeRungs(lists []*list) {
	var ledger struct{ Counts map[string]int }
	w.look("/sandbox/ledger?all=1", &ledger)
	opted := w.optedOut(lists)
	times, rungs, states := make(map[int]int), make(map[int]int), make(map[string]int)
	late := 0
	for _, l := range lists {
		out := w.call("campaign", "results", l.name, "--json")
		for line := range strings.Lines(out.Stdout) {
			var c struct {
				Phone, State   string
				Number         string `json:"phone_e164"`
				Rung, Attempts int
				NextAt         *string `json:"next_at"`
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				w.t.Fatal(err)
			}
			reached, short := ledger.Counts[c.Number], c.Number[len(c.Number)-6:]
			times[reached]++
			rungs[c.Rung]++
			states[c.State]++
			switch {
			case reached > c.Rung+1:
				w.t.Errorf("%s: …%s was reached %d times, and is on rung %d (%s, %d attempts)", l.name, short, reached, c.Rung, c.State, c.Attempts)
			case reached > rungsMost || c.Attempts > rungsMost:
				w.t.Errorf("%s: …%s was reached %d times by %d attempts, want %d at most", l.name, short, reached, c.Attempts, rungsMost)
			case reached == 0 && (c.State == "accepted" || c.State == "ended" || c.State == "started"):
				w.t.Errorf("%s: …%s is %s and was never reached", l.name, short, c.State)
			case c.NextAt != nil && *c.NextAt != "":
				w.t.Errorf("%s: …%s has a rung to come in a campaign that is over", l.name, short)
			}
			if at, is := opted[c.Number]; is {
				if since := w.book.latest[c.Number].Sub(at); since > rungsDelay/2 {
					w.t.Errorf("%s: …%s was contacted %v after its opt-out was applied", l.name, short, since)
				}
				if reached > 1 {
					late++
				}
			}
		}
	}
	w.t.Logf("contacts by how often they were reached %v, by rung %v, by state %v; %d opt-outs, %d of them after a rung; %v",
		times, rungs, states, len(opted), late, w.counts)
	if times[2] == 0 || times[3] == 0 || len(opted) == 0 {
		w.t.Error("there were not all kinds of contacts")
	}
}

// optedOut is when contacts opted out, by the log.
func (w *world) optedOut(lists []*list) map[string]time.Time {
	opted := make(map[string]time.Time)
	for _, l := range lists {
		reader := w.store.ReadLog(l.name)
		for {
			d, ok, err := reader.Next(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			if !ok {
				break
			}
			if d.Action != store.ActionOptOut {
				continue
			}
			chunk, err := w.store.ReadChunk(w.t.Context(), store.Ref{Campaign: l.name, Chunk: d.Chunk})
			if err != nil {
				w.t.Fatal(err)
			}
			number := chunk.Contacts[d.Moved[0].Contacts[0].From].Phone.E164()
			if at, known := opted[number]; !known || d.At.Before(at) {
				opted[number] = d.At
			}
		}
	}
	return opted
}
