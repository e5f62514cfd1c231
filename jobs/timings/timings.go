// Package timings holds every duration of jobs whose relation to another one
// matters. Its test says what each relation is for, and holds it. Every is the loop that
// keeps an interval.
package timings

import (
	"context"
	"log/slog"
	"time"

	"campaign-runner/campaign/store"
)

const (
	// A worker says every HeartbeatEvery that it lives, in one call to Redis that it
	// gives up after HeartbeatTimeout. What it says lives for store.HeartbeatTTL.
	HeartbeatEvery   = time.Second
	HeartbeatTimeout = time.Second

	// AliveFor is how old the last heartbeat may be for a request to be written:
	// less than the time after which others take this worker for dead.
	AliveFor = store.HeartbeatTTL - 2*time.Second

	// A worker is steady when its heartbeats have arrived for SteadyAfter, with less
	// than SteadyGap from the beginning of one to the arrival of the next. Only a
	// steady worker takes others for dead: after a gap Redis may have been away for
	// all of them, and their heartbeats have to come back first.
	SteadyGap   = 3 * time.Second
	SteadyAfter = store.HeartbeatTTL

	// KeepDue is by when the sender of a chunk must have been heard of again, and
	// KeepEvery is how often it reports. A dead sender is noticed within KeepDue.
	KeepDue   = 10 * time.Second
	KeepEvery = 2 * time.Second

	// SweepEvery is how often overdue chunks are looked at.
	SweepEvery = 2 * time.Second
	// ReleaseDue is by when a released chunk's task must be seen in its queue.
	ReleaseDue = 15 * time.Second
	// QueuedDue is how often a chunk is looked at whose task waits in its queue.
	QueuedDue = 2 * time.Minute
	// ListEvery is how often a worker lists the tasks that wait in a queue. So the loss of
	// a task is noticed within QueuedDue and ListEvery.
	ListEvery = 10 * time.Second
	// TroubleDue is how often a chunk is looked at that could not be swept.
	TroubleDue = time.Minute
	// IdleDue is how often an open chunk is looked at while its campaign does not
	// run.
	IdleDue = 10 * time.Minute
	// BusyWait bounds how long a task waits for a chunk that another sender has.
	BusyWait = 15 * time.Second

	// RequestTimeout is the longest wait for an answer of the platform, by default.
	RequestTimeout = time.Minute
	// ClaimMargin is how much longer a claim lasts than its request.
	ClaimMargin = 30 * time.Second
	// WriteBy is how long after its claim a request may still be written.
	WriteBy = ClaimMargin / 2

	// CommitPatience is how long a sender tries to write down an answer it has:
	// longer than a failover of Redis takes.
	CommitPatience = 3 * time.Minute

	// BeginPatience is how long a begin counts after it was decided, and the recovery
	// of a dead sender's claim: a Redis that was frozen for longer refuses it. It is
	// shorter than a worker takes to be missed, longer than a slow Redis takes to
	// answer.
	BeginPatience = 5 * time.Second

	// ContestedWait is when a number is looked at again after another request with it
	// was under way: most have their answer by then.
	ContestedWait = 5 * time.Second

	// GiveBackPatience bounds the attempt to give reservations back. The next sender
	// that wants a number takes over what stays reserved.
	GiveBackPatience = 5 * time.Second

	// SeenPatience bounds how long an answer waits for what earlier ones have shown.
	SeenPatience = 2 * time.Second

	// AsynqLease is how long asynq believes in a handler that it cannot hear of. Then
	// it forgets the handler, which works on. asynq has no setting for it.
	AsynqLease = 30 * time.Second

	// A worker that stops waits for its requests and their answers. A task that has
	// neither gets StopGrace to put its chunk down. Then asynq gets LeaveWithin to
	// hand back its tasks, and the worker GoodbyeWithin to end its heartbeat.
	StopGrace     = 3 * time.Second
	LeaveWithin   = 2 * time.Second
	GoodbyeWithin = time.Second
	// KilledAfter is how long container runtimes wait for a stop before they kill.
	KilledAfter = 10 * time.Second
	// TellEvery is how often a worker that is stopping says what it waits for.
	TellEvery = 10 * time.Second

	// RestAfter is how long a worker sweeps before it may find that a campaign needs no
	// look: its other loops have looked at all that are live by then.
	RestAfter = time.Minute
	// ScanEvery is how often the workers look at all campaigns for those that should be
	// live and are not. Each costs two commands then, so that is less than two commands
	// per ten campaigns and minute.
	ScanEvery = 11 * time.Minute
	// ScanTry is how often a worker tries whether a scan is due.
	ScanTry = time.Minute
	// RetainEvery is how often campaigns are purged that have been kept long enough.
	RetainEvery = time.Minute
	// ArchiveEvery is how often tasks that asynq has archived are deleted.
	ArchiveEvery = 10 * time.Minute
	// TidyEvery is how often what is of no use any more is deleted: workers that have died,
	// finished tasks, reservations left behind.
	TidyEvery = time.Minute
	// ForwardEvery is how often asynq looks for tasks whose wait is over: two commands for
	// each queue.
	ForwardEvery = 3 * time.Second
	// PausedEvery is how often a worker looks which of its queues are paused.
	PausedEvery = 5 * LookEvery
	// LookEvery is how often a worker looks where its quotas and queues stand.
	LookEvery = 2 * time.Second

	// TroubleToldEvery is how often the log tells of a trouble that lasts.
	TroubleToldEvery = 5 * time.Minute
)

// Elapsed is the time from since to now, by whichever clock says more: the monotonic
// clock may stand still while a machine is paused, and the wall clock may be set back.
func Elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// Every calls do at once and then every interval, until ctx is over. It logs an error of do
// as a warning, under the message trouble; the same one again after TroubleToldEvery.
func Every(ctx context.Context, interval time.Duration, log *slog.Logger, trouble string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var told string
	var at time.Time // of what was told
	for {
		switch err := do(ctx); {
		case err == nil:
			told = ""
		case ctx.Err() == nil && (err.Error() != told || time.Since(at) >= TroubleToldEvery):
			log.WarnContext(ctx, trouble, "error", err)
			told, at = err.Error(), time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
