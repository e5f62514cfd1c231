package jobs

import (
	"context"
	"sync"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
)

// stop ends a worker whose tasks have been told to stop: its answers are written down
// first, then asynq and the loops end, the heartbeat last.
func (w *Worker) stop(ctx context.Context, endLoops context.CancelFunc, loops *sync.WaitGroup) {
	w.log.InfoContext(ctx, "worker stopping: requests on their way get their answers")
	w.inHand.Close()
	var servers sync.WaitGroup
	for _, a := range w.agents {
		servers.Go(a.server.Shutdown)
	}
	w.awaitAnswers(ctx)

	// All that matters is written down. asynq and our loops repeat for half a minute
	// what Redis does not answer, and cannot be told to stop that.
	if !within(timings.LeaveWithin, servers.Wait) {
		w.log.WarnContext(ctx, "asynq has not handed its tasks back: Redis does not answer it; others find them within two minutes")
	}
	endLoops()
	within(timings.LeaveWithin, loops.Wait)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), timings.GoodbyeWithin)
	defer cancel()
	if err := w.cfg.Store.Goodbye(last, w.id); err != nil {
		w.log.WarnContext(ctx, "others are not told that this worker is gone: they notice by themselves", "after", store.HeartbeatTTL, "error", err)
	}
}

// awaitAnswers waits until every answer is written down, and says what it waits for.
// Tasks without a request are left after StopGrace: most likely Redis does not answer.
func (w *Worker) awaitAnswers(ctx context.Context) {
	grace, tick := time.NewTimer(timings.StopGrace), time.NewTicker(timings.TellEvery)
	defer grace.Stop()
	defer tick.Stop()
	var told sending.Waiting
	for tasksMayBeLeft := false; !w.inHand.Leave(tasksMayBeLeft); {
		_, now := w.inHand.Count()
		if now != told {
			for _, text := range now.Texts(time.Now()) {
				w.log.InfoContext(ctx, text)
			}
			told = now
		}
		select {
		case <-w.inHand.Changed():
		case <-grace.C:
			tasksMayBeLeft = true
		case <-tick.C:
			told = sending.Waiting{}
		}
	}
	if tasks, _ := w.inHand.Count(); tasks > 0 {
		w.log.WarnContext(ctx, "chunks are left as they are: Redis does not answer, and nothing of them is on its way", "chunks", tasks)
	}
}

// within waits for something, and reports whether it came in time.
func within(limit time.Duration, wait func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); wait() }()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}
