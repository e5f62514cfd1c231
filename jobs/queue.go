package jobs

import (
	"context"
	"log/slog"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Queue releases chunks and does what people ask of a campaign. It needs no running
// worker. Everything it does may be done again: the next call or the sweeper does
// what an interrupted one has left undone.
type Queue struct {
	store     *store.Store
	client    *asynq.Client
	inspector *asynq.Inspector
	by        string // who acts, for the campaigns' logs; empty: the user of this process
	log       *slog.Logger
}

// NewQueue returns a Queue on the store's Redis. log may be nil.
func NewQueue(st *store.Store, log *slog.Logger) *Queue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Queue{
		store:     st,
		client:    asynq.NewClientFromRedisClient(st.Redis()),
		inspector: asynq.NewInspectorFromRedisClient(st.Redis()),
		log:       log,
	}
}

// By sets who acts from now on, for the campaigns' logs. Without it that is the user of
// this process.
func (q *Queue) By(who string) *Queue {
	q.by = who
	return q
}

// note records a decision on a campaign. The decision stands even if it cannot be
// recorded. What others wrote into text must be masked.
func (q *Queue) note(ctx context.Context, name string, action store.Action, text campaign.Message) {
	if err := q.store.Log(ctx, name, store.Decision{By: q.by, Action: action, Text: text}); err != nil {
		q.log.WarnContext(ctx, "decision not logged", "campaign", name, "action", action, "error", err)
	}
}
