// Package sending makes one pass over a chunk: it finds out who may be sent now,
// reserves their numbers, waits for a permit, begins a request, makes it, decides what
// the answer means and commits that.
//
// A request leaves only after the ledger says "sending" of its contacts, and every
// answer is committed, also when the task or the worker is ending. What happens between
// two passes is for package jobs: tasks, dead senders, when a chunk is looked at again.
// Most tests of a pass are there, too, since they need its queue.
//
// To read on: pass.go is the pass, request.go one request of it, step by step, answer.go
// what an answer leads to. deferral.go and reservation.go decide who may be sent.
package sending

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A Sender makes the passes over the chunks of one agent.
type Sender struct {
	Store    Store
	Queue    Queue
	Platform Platform
	Quota    Quota
	Worker   Worker
	// Webhook says where the platform posts the events of a request; see jobs.Config.
	Webhook func(c campaign.Campaign, contact int) *velents.Webhook
	// Answered, if not nil, is called for each request, with its verdict.Class.
	Answered func(agent, class string, took time.Duration)
	Log      *slog.Logger

	seen   seen
	width  width
	keeper keeper
}

// A Worker is the process that sends.
type Worker struct {
	ID    string                   // in its claims
	By    string                   // in the campaigns' logs; empty: the user of this process
	Alive func(now time.Time) bool // whether others still take this worker for living
	// Stopping is over once the worker is to stop: then no further request begins.
	Stopping context.Context
	InHand   *InHand // keeps count of its requests; may be nil

	RequestTimeout time.Duration // of one request, as the platform's client keeps it
	// Turn is how long a task may send while others wait in another lane.
	Turn time.Duration
}

// Platform makes one attempt; *velents.Client is the real one.
type Platform interface {
	Batch(ctx context.Context, b velents.Batch) (velents.Answer, error)
	Dispatch(ctx context.Context, d velents.Dispatch) (velents.Answer, error)
}

// Quota says when a request may leave; *ratelimit.Quota is the real one. Each permit
// is reported or returned once.
type Quota interface {
	AcquireUpTo(ctx context.Context, most int) ([]ratelimit.Permit, error)
	Report(ctx context.Context, p ratelimit.Permit, a ratelimit.Answer)
	Return(ctx context.Context, p ratelimit.Permit)
}

// Queue stops campaigns and knows what else waits; *jobs.Queue is the real one.
type Queue interface {
	Halt(ctx context.Context, name string, reason campaign.Message) error
	HaltAgent(ctx context.Context, c campaign.Campaign, reason campaign.Message) error
	// ExplainTrip says why the guard has paused a campaign.
	ExplainTrip(ctx context.Context, c campaign.Campaign, latest []store.Verdict) error
	// HeedGuard pauses a campaign whose guard has kept a request from beginning, or says
	// when to try again.
	HeedGuard(ctx context.Context, c campaign.Campaign, t store.Trip) (*ComeBack, error)
	OthersWait(c campaign.Campaign) (bool, error)
}

// Store is what a pass reads and writes; *store.Store is the real one.
type Store interface {
	// The chunk and its ledger.
	Apply(ctx context.Context, chunk *store.Chunk, c store.Change) (store.Changed, error)
	ReadLedger(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	SetDue(ctx context.Context, ref store.Ref, due time.Duration) error
	SetDues(ctx context.Context, name string, dues []store.Due) error
	About(ctx context.Context) (time.Time, error)
	Defer(ctx context.Context, ref store.Ref, seq int, due time.Duration) error
	// The clock of the server that holds the campaign.
	Clock(ctx context.Context, name string) (time.Time, error)
	// The campaign: its day, its reasons, what the platform takes.
	Begun(ctx context.Context, name string, now time.Time) (contacts int, err error)
	ReasonCode(ctx context.Context, name string, reason campaign.Message) (campaign.Reason, error)
	LowerRequestRows(ctx context.Context, name string, rows int) error
	RaiseRequestRows(ctx context.Context, name string, rows int) error
	// Reservations, the contact record and the do-not-contact list.
	Reserve(ctx context.Context, wanted []store.Reservation, over []store.Owner) (others []store.Owner, err error)
	Owners(ctx context.Context, phones []campaign.Phone) ([]store.Owner, error)
	Standings(ctx context.Context, owners []store.Owner) ([]store.Standing, error)
	GiveBack(ctx context.Context, held []store.Reservation) error
	DaysContacted(ctx context.Context, now time.Time, days int, phones []campaign.Phone) ([][]bool, error)
	ContactedElsewhere(ctx context.Context, since time.Time, phones []campaign.Phone, even func(int) bool, spared ...store.Spared) (by []bool, purged string, err error)
	FindSuppressed(ctx context.Context, phones []campaign.Phone) ([]bool, error)
	// What answers to the agent have shown.
	Seen(ctx context.Context, agent string) (campaign.Seen, error)
	AddSeen(ctx context.Context, agent string, seen campaign.Seen) error
}

// A ComeBack is a pass's wish that its task be run again after a while. It is no
// failure.
type ComeBack struct {
	After time.Duration
	Why   string
}

func (c *ComeBack) Error() string { return fmt.Sprintf("come back in %v: %s", c.After, c.Why) }
