//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/commands"
)

// goal is by when the work of a killed worker should be going on elsewhere.
const goal = 15 * time.Second

// TestWorkOfAKilledWorkerGoesOnElsewhere kills a worker in the middle of its
// requests and measures how long its chunks rest. A machine that is busy with
// other things may take longer than the goal; not three times as long.
func TestWorkOfAKilledWorkerGoesOnElsewhere(t *testing.T) {
	w := newWorld(t, 1, "--latency", "1s-2s")
	w.startWorkers(2)
	// As many chunks as the two can have in hand: none has to wait for others.
	l := w.newList(dispatchList, 2*concurrency*dispatchRows)
	w.load(l, whole)
	dead := w.workers[0]

	var left map[int]string // the chunks in its hands, with their claims
	if err := commands.Await(30*time.Second, func() error {
		left = w.claimed(l, dead)
		if len(left) < concurrency {
			return fmt.Errorf("the worker holds %d chunks, not %d", len(left), concurrency)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	dead.retire() // its supervisor does not start it again
	dead.kill()
	died := time.Now()
	left = w.claimed(l, dead)
	sending := w.overview(l).States.In(campaign.Sending)

	slowest := time.Duration(0)
	if err := commands.Await(3*goal, func() error {
		for n, claim := range left {
			chunk, err := w.store.ReadLedger(t.Context(), store.Ref{Campaign: l.name, Chunk: n})
			if err != nil {
				t.Fatal(err)
			}
			if len(chunk.In(campaign.Pending)) == 0 || (chunk.Claim != "" && chunk.Claim != claim) {
				slowest = max(slowest, time.Since(died))
				delete(left, n)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%d chunks of the killed worker still rest", len(left))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	t.Logf("kill -9 in mid-request: all its chunks were going on elsewhere after %.1f s (goal: within %v)", slowest.Seconds(), goal)

	w.finish(2 * time.Minute)
	w.stopWorkers()
	f := w.audit()
	if unconfirmed := f.states["unconfirmed"]; unconfirmed > sending {
		t.Errorf("%d unconfirmed, though at most %d were on their way", unconfirmed, sending)
	}
	t.Logf("of %d contacts on their way %d are unconfirmed; none twice, none lost", sending, f.states["unconfirmed"])
}

var workerID = regexp.MustCompile(`worker=(\w+)`)

// claimed are the chunks that a worker holds and that have pending contacts,
// with its claims.
func (w *world) claimed(l *list, k *worker) map[int]string {
	w.t.Helper()
	id := workerID.FindStringSubmatch(k.current().Printed())
	if id == nil {
		return nil
	}
	held := make(map[int]string)
	for n := range (l.size + dispatchRows - 1) / dispatchRows {
		chunk, err := w.store.ReadLedger(w.t.Context(), store.Ref{Campaign: l.name, Chunk: n})
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.HasPrefix(chunk.Claim, id[1]+"/") && len(chunk.In(campaign.Pending)) > 0 {
			held[n] = chunk.Claim
		}
	}
	return held
}

// TestRollingRestartUnderLoad stops every worker in order, twice, while all of
// them are sending.
func TestRollingRestartUnderLoad(t *testing.T) {
	const rounds = 2
	w := newWorld(t, 1)
	w.startWorkers(3)
	w.launch(batchList, whole)
	w.launch(dispatchList, whole)
	if err := commands.Await(30*time.Second, func() error {
		w.book.mu.Lock()
		defer w.book.mu.Unlock()
		if w.book.requests < 100 {
			return errors.New("the workers do not send")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var rolling sync.WaitGroup
	stopped := 0
	rolled := make(chan struct{})
	rolling.Go(func() {
		defer close(rolled)
		for range rounds {
			for _, k := range w.workers {
				k.restart()
				stopped++
			}
		}
	})
	for going := true; going; {
		select {
		case <-rolled:
			going = false
		case <-time.After(200 * time.Millisecond):
			w.topUp() // they are to stop in the midst of it
		}
	}
	w.background.Wait()
	w.finish(2 * time.Minute)
	w.stopWorkers()
	f := w.audit()
	for _, state := range []string{"unconfirmed", "failed", "pending", "sending"} {
		if n := f.states[state]; n > 0 {
			t.Errorf("%d contacts are %s", n, state)
		}
	}
	if f.platform.Abandoned > 0 || w.book.cutShort > 0 {
		t.Errorf("%d answers had no taker, %d requests no answer", f.platform.Abandoned, w.book.cutShort)
	}
	t.Logf("%d workers stopped under load: %d contacts, %d accepted, %d rejected, none unconfirmed, twice or lost",
		stopped, f.contacts, f.states["accepted"], f.states["rejected"])
}
