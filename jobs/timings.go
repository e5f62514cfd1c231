package jobs

import (
	"time"

	"campaign-runner/campaign/store"
)

// Every duration whose relation to another one matters. timings_test.go says what
// each relation is for, and holds it.
const (
	// A worker says that it lives every heartbeatEvery, in one call that is given up
	// after heartbeatTimeout. What it says lives for store.HeartbeatTTL.
	heartbeatEvery   = time.Second
	heartbeatTimeout = time.Second

	// aliveFor is how old the last heartbeat may be for a request to be written:
	// less than the time after which others take this worker for dead.
	aliveFor = store.HeartbeatTTL - 2*time.Second

	// A worker that takes others for dead is steady: for steadyAfter its heartbeats
	// have arrived with less than steadyGap from the beginning of one to the arrival
	// of the next. A gap says that Redis may have been away, for the others as well:
	// their heartbeats have to come back first.
	steadyGap   = 3 * time.Second
	steadyAfter = store.HeartbeatTTL

	// keepDue is by when a chunk in a living sender's hands must have been heard
	// of again; keepEvery is how often it is. Death shows within keepDue.
	keepDue   = 10 * time.Second
	keepEvery = 2 * time.Second

	// sweepEvery is how often overdue chunks are looked at.
	sweepEvery = 2 * time.Second
	// releaseDue is by when a released chunk's task must be seen in its queue.
	releaseDue = 15 * time.Second
	// queuedDue is how often a chunk is looked at whose task waits in its queue.
	queuedDue = 2 * time.Minute
	// troubleDue is how often a chunk is looked at that could not be swept.
	troubleDue = time.Minute
	// restDue is how often an open chunk of a campaign that does not run is
	// looked at.
	restDue = 10 * time.Minute
	// busyWait bounds how long a task waits for a chunk that somebody else holds.
	busyWait = 15 * time.Second

	// defaultRequestTimeout is the longest wait for an answer of the platform.
	defaultRequestTimeout = time.Minute
	// claimMargin is what a claim outlives its request by.
	claimMargin = 30 * time.Second
	// writeBy is how long after its claim a request may still be written.
	writeBy = claimMargin / 2

	// commitPatience is how long a sender tries to write down an answer it has:
	// longer than a failover of Redis takes.
	commitPatience = 3 * time.Minute

	// beginPatience is for how long after it was decided on a begin counts, and the
	// recovery of a dead sender: a Redis that was frozen for longer refuses it. Shorter
	// than a worker takes to be missed, longer than a slow Redis takes to answer.
	beginPatience = 5 * time.Second

	// contestedWait is when a number is looked at again with which another request is
	// on its way: most are answered by then.
	contestedWait = 5 * time.Second

	// giveBackPatience bounds how long numbers are tried to be given back. What stays
	// reserved is taken over by the next who wants it.
	giveBackPatience = 5 * time.Second

	// seenPatience bounds how long an answer waits for what is known of those before.
	seenPatience = 2 * time.Second

	// asynqLease is how long asynq, which has no setting for it, believes in a
	// handler that it cannot hear of: then it forgets the handler, which works on.
	asynqLease = 30 * time.Second

	// A worker that is told to stop waits for its requests and their answers. What
	// has neither in hand has stopGrace to put its chunk down; then asynq has
	// leaveWithin to hand back its tasks, and the worker goodbyeWithin to end its
	// heartbeat.
	stopGrace     = 3 * time.Second
	leaveWithin   = 2 * time.Second
	goodbyeWithin = time.Second
	// killedAfter is how long container runtimes wait for a stop before they kill.
	killedAfter = 10 * time.Second
	// tellEvery is how often a worker that is stopping says what it waits for.
	tellEvery = 10 * time.Second

	// retainEvery is how often campaigns are looked at whose time to be kept may be
	// over.
	retainEvery = time.Minute
	// archiveEvery is how often tasks that asynq has archived are deleted.
	archiveEvery = 10 * time.Minute
	// tidyEvery is how often workers that have died are forgotten.
	tidyEvery = time.Minute
	// lookEvery is how often a worker looks where its quotas and queues stand.
	lookEvery = 2 * time.Second
)
