// Package jobs moves chunks through asynq: it releases them into their agent's
// queue, has them sent under the agent's quota (package sending), recovers the claims
// of dead senders, and does what people ask of a campaign. It alone speaks asynq.
//
// asynq delivers at least once, late after a crash, and may lose what it archived.
// None of that can contact a person twice or lose one, because a task authorises
// nothing: it only says where to look. The chunk's ledger says what may be sent, the
// claim is the right to send it (package store), and the sweeper releases every chunk
// that should have moved and has not.
//
// A task is {"campaign","chunk"}: it never holds a number, token or value, so the
// asynq UI shows no personal data.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
)

// TypeSend is the type of the only kind of task.
const TypeSend = "send"

// payload is what a task carries.
type payload struct {
	Campaign string `json:"campaign"`
	Chunk    int    `json:"chunk"`
}

// newTask is the task of a chunk's release seq. Each release has an id of its
// own, so that a forgotten task of an earlier one is never in the way, and a
// release made twice acts once.
func newTask(c campaign.Campaign, chunk, seq int) *asynq.Task {
	body, _ := json.Marshal(payload{c.Name, chunk}) // a text and a number: it cannot fail
	return asynq.NewTask(TypeSend, body,
		asynq.TaskID(taskID(store.Ref{Campaign: c.Name, Chunk: chunk}, seq)),
		asynq.Queue(queueOf(c)),
		// asynq's own count of failures decides nothing: once it is used up, asynq
		// would archive even a task that only has to wait. The timeout must never
		// strike; zero would mean 30 minutes.
		asynq.MaxRetry(math.MaxInt32/2),
		asynq.Timeout(30*24*time.Hour),
		asynq.Retention(retainFor),
	)
}

func taskID(ref store.Ref, seq int) string {
	return fmt.Sprintf("%s:%d:%d", ref.Campaign, ref.Chunk, seq)
}

func decodeTask(t *asynq.Task) (store.Ref, error) {
	var p payload
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return store.Ref{}, fmt.Errorf("task payload: %w", err)
	}
	if err := campaign.CheckName(p.Campaign); err != nil {
		return store.Ref{}, fmt.Errorf("task payload: %w", err)
	}
	if p.Chunk < 0 {
		return store.Ref{}, errors.New("task payload: negative chunk")
	}
	return store.Ref{Campaign: p.Campaign, Chunk: p.Chunk}, nil
}

// isFailure is what asynq counts as one: a wish to come back is none.
func isFailure(err error) bool {
	var later *sending.ComeBack
	return !errors.As(err, &later) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// retryDelay is what asynq asks for each task that is to run again.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var later *sending.ComeBack
	if errors.As(err, &later) {
		return later.After
	}
	return 5 * time.Second // a bug or a Redis in trouble: haste helps neither
}

// A runner carries out the tasks of one agent, which its server takes from the queues.
type runner struct {
	agent    Agent
	server   *asynq.Server
	store    *store.Store
	queue    *Queue
	sender   *sending.Sender
	versions *versions
	steady   func(now time.Time) bool // whether this worker may take others for dead
	log      *slog.Logger
}

// work does what a task asks for, which depends on how its chunk and campaign stand:
// it recovers the last claim and, if the campaign is running, makes a pass. Nil means
// that nothing is left to do for now, and result what became of the chunk; a
// *sending.ComeBack asks to be run again.
func (r *runner) work(ctx context.Context, ref store.Ref) (result string, err error) {
	c, err := r.store.Campaign(ctx, ref.Campaign)
	if errors.Is(err, store.ErrNotFound) {
		return "the campaign is gone", nil
	}
	if err != nil {
		return "", err
	}
	if c.Phase == campaign.Loading {
		return "the campaign is loading", nil // a task of an earlier load of that name
	}
	// One pass of this process at a time: a Redis that has lost the begin of one would let
	// another begin beside it.
	end, free := r.versions.take(ref)
	if !free {
		return "", &sending.ComeBack{After: timings.BusyWait, Why: "this worker is sending it"}
	}
	defer end()
	chunk, err := r.store.ReadChunk(ctx, ref)
	if errors.Is(err, store.ErrGone) {
		return "the chunk is gone", nil
	}
	if err != nil {
		return "", err
	}
	rest, err := r.runChunk(ctx, c, chunk)
	if err != nil {
		return "", err
	}
	return resultOf(c, chunk, rest), nil
}

func (r *runner) runChunk(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) (rest sending.Rest, err error) {
	if r.versions.newer(chunk) {
		return rest, r.haltOnLostWrites(ctx, c, chunk)
	}
	defer func() { r.versions.keep(chunk) }()
	if wait, err := r.queue.recoverClaim(ctx, c, chunk, r.steady(time.Now())); err != nil {
		return rest, err
	} else if wait > 0 {
		return rest, &sending.ComeBack{After: min(wait, timings.BusyWait), Why: "another worker is sending it"}
	}
	switch {
	case c.Phase == campaign.CanceledPhase:
		_, err := r.queue.cancelPending(ctx, chunk)
		return rest, err
	case !c.Sends():
		return rest, nil // setting it running, or its approval, releases the chunk again
	}
	rest, err = r.sender.Pass(ctx, c, chunk)
	return rest, errors.Join(err, r.queue.judgeCanary(ctx, c))
}

// haltOnLostWrites pauses a campaign because Redis has lost writes to it, until a
// person has looked. To resume it is that person's word that the chunk may be sent as
// it is. What was seen is kept: Redis may lose the pause, too.
func (r *runner) haltOnLostWrites(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) error {
	r.log.ErrorContext(ctx, "redis has lost writes", "campaign", c.Name, "run", c.Run, "chunk", chunk.Ref.Chunk)
	reason := campaign.Say(campaign.MsgLostWrites, "chunk", chunk.Ref.Chunk, "worker", r.sender.Worker.ID, "campaign", c.Name)
	seen := r.versions.of(chunk)
	halted, err := r.queue.store.HaltLost(ctx, chunk, reason, seen.changes, seen.requests)
	if halted {
		r.queue.tellHalt(ctx, c.Name, reason)
	}
	return err
}

// versions are those at which this process last saw each chunk. A chunk that has an
// older one later comes from a Redis that has lost writes: restored from a backup,
// restarted from a log without its end, failed over to a replica that lagged, or emptied and
// loaded anew: a campaign that was sent never gives its name up. Contacts that are pending in
// it may have been sent.
type versions struct {
	mu     sync.Mutex
	seen   map[store.Ref]version
	inHand map[store.Ref]bool // chunks that a pass of this process is on
}

// A version counts the changes of a chunk, and the requests that have begun: each event
// changes it, so after a loss the former are soon as many as before.
type version struct{ changes, requests int }

// versionsKept bounds the chunks kept: some megabytes.
const versionsKept = 100_000

func newVersions() *versions {
	return &versions{seen: make(map[store.Ref]version), inHand: make(map[store.Ref]bool)}
}

// take takes a chunk in hand until end is called; free is false when it is in hand already.
func (v *versions) take(ref store.Ref) (end func(), free bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inHand[ref] {
		return nil, false
	}
	v.inHand[ref] = true
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.inHand, ref)
	}, true
}

// newer reports whether we have seen a newer version of the chunk than this.
func (v *versions) newer(chunk *store.Chunk) bool {
	seen := v.of(chunk)
	return seen.changes > chunk.Version || seen.requests > chunk.Requests
}

// keep notes the chunk's version as it is now.
func (v *versions) keep(chunk *store.Chunk) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= versionsKept {
		clear(v.seen)
	}
	v.seen[chunk.Ref] = version{chunk.Version, chunk.Requests}
}

// of is the newest version that we have seen of the chunk.
func (v *versions) of(chunk *store.Chunk) version {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen[chunk.Ref]
}
