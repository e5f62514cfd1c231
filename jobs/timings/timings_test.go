package timings

import (
	"testing"
	"time"

	"campaign-runner/campaign/store"
)

func TestTimingsFitTogether(t *testing.T) {
	const (
		// When Redis goes away, a living worker's heartbeat has this much left at the
		// least: the one at hand is lost with its timeout, the one before is older by
		// HeartbeatEvery.
		left = store.HeartbeatTTL - HeartbeatEvery - HeartbeatTimeout
		// When Redis is back, it is there again after this at the most: one that was
		// begun too early fails first, the next takes its time.
		back = max(HeartbeatEvery, HeartbeatTimeout) + HeartbeatTimeout
		// asynqPoll is how long a task lies in its queue before a free worker looks.
		asynqPoll = 1500 * time.Millisecond
		failover  = 30 * time.Second // of Redis, with its election
		slowest   = RequestTimeout + ClaimMargin
	)
	for _, tt := range []struct {
		why          string
		less, atMost time.Duration
	}{
		{"a heartbeat that fails has been given up when the next is due", HeartbeatTimeout, HeartbeatEvery},
		{"one lost heartbeat does not make others doubt a worker", 2*HeartbeatEvery + HeartbeatTimeout, AliveFor},
		{"a worker stops writing requests before others take it for dead: the rest is for writing this one", AliveFor + HeartbeatTimeout, store.HeartbeatTTL},
		{"a worker whose heartbeats are only slow is steady", HeartbeatEvery + HeartbeatTimeout, SteadyGap},
		{"an outage short enough to leave a worker steady lets no peer's heartbeat end before it can be back", SteadyGap, left - back},
		{"a worker that is steady when it asks for a heartbeat gets its answer before one could have ended in an outage that began since", SteadyGap + store.AskDead, left},
		{"peers are back before a worker is steady again", back, SteadyAfter},
		{"a worker that is not steady begins nothing that a steady one would not: it is alive for longer than it is steady", SteadyGap, AliveFor},
		{"a living sender says that it has its chunk in hand a few times before the chunk is overdue", 3 * KeepEvery, KeepDue},
		{"a chunk is overdue only when the heartbeat of a dead sender has ended: the first look finds that", store.HeartbeatTTL + KeepEvery, KeepDue},
		{"a dead sender's chunk is looked at twice within the time its task would wait for it", 2 * SweepEvery, KeepDue},
		{"the sweeper looks for a released chunk's task only after a worker had time to take it", asynqPoll + SweepEvery, ReleaseDue},
		{"a task that waits for another sender's chunk comes back when the sweeper has looked after it", KeepDue + 2*SweepEvery, BusyWait},
		{"a chunk in trouble is looked at less often than a healthy one", KeepDue, TroubleDue},
		{"a chunk in trouble is looked at more often than an idle one", TroubleDue, IdleDue},
		{"a request is written only while its claim outlives its timeout, and its commit's first tries", WriteBy + RequestTimeout + 10*time.Second, slowest},
		{"a request that is late to be written is found out by its claim, too, not only by its heartbeat", AliveFor, WriteBy},
		{"a begin that a frozen Redis carries out when its sender counts as dead is late", BeginPatience + HeartbeatTimeout, store.HeartbeatTTL},
		{"a begin counts for less time than a living sender keeps its chunk from being due", BeginPatience + KeepEvery, KeepDue},
		{"a number is looked at again only when the begin of the other request counts or is late", BeginPatience, ContestedWait},
		{"a contact whose number another request has is deferred for less than it takes its chunk to be overdue", ContestedWait, KeepDue},
		{"numbers are given back, and what answers have shown is asked, well within the claim", GiveBackPatience + SeenPatience, ClaimMargin},
		{"an answer waits for longer than a failover takes", failover, CommitPatience},
		{"an answer waits for longer than asynq believes in its handler: nothing may rely on that belief", AsynqLease, CommitPatience},
		{"a request may be on its way for longer than asynq believes in its handler: the worker keeps count itself", AsynqLease, RequestTimeout},
		{"asynq itself has noticed a dead worker after ours have: its task of the chunk is no longer needed", KeepDue + SweepEvery, AsynqLease},
		{"a stop without an answer in hand is over before container runtimes kill, whether Redis answers or not", StopGrace + 2*LeaveWithin + GoodbyeWithin, KilledAfter},
		{"asynq's loops have slept their second and a half out before the worker leaves without them", asynqPoll, LeaveWithin},
		{"a worker that is stopping says more than once what it waits for", 2 * TellEvery, CommitPatience},
		{"where quotas stand is not older than people look at", LookEvery, store.HeartbeatTTL},
		{"a task whose wait is over is in its queue before its chunk is looked for", ForwardEvery + asynqPoll + SweepEvery, KeepDue},
		{"the loss of a task is noticed in the time its queue is listed again and again", 2 * ListEvery, QueuedDue},
		{"a campaign rests only after all loops of a worker have looked at it", 5 * SweepEvery, RestAfter},
		{"the dead are remembered for longer than they count as living", store.HeartbeatTTL, TidyEvery},
	} {
		if tt.less > tt.atMost {
			t.Errorf("%s: want %v at most %v", tt.why, tt.less, tt.atMost)
		}
	}
}
