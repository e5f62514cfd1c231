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
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
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
func newTask(c campaign.Campaign, chunk, seq int) (*asynq.Task, error) {
	body, err := json.Marshal(payload{c.Name, chunk})
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(TypeSend, body,
		asynq.TaskID(taskID(store.Ref{Campaign: c.Name, Chunk: chunk}, seq)),
		asynq.Queue(queueOf(c)),
		// asynq's own count of failures decides nothing: once it is used up, asynq
		// would archive even a task that only has to wait. The timeout must never
		// strike; zero would mean 30 minutes.
		asynq.MaxRetry(math.MaxInt32/2),
		asynq.Timeout(30*24*time.Hour),
	), nil
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
