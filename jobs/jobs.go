// Package jobs moves chunks through asynq: it releases them into their agent's
// queue, sends them to the platform under the agent's quota, and looks after
// those whose sender died. It alone speaks asynq.
//
// asynq delivers at least once, late after a crash, and may lose what it
// archived. None of that can contact anybody twice or lose anybody, because a
// task authorises nothing: it only says where to look. What may be sent stands
// in the chunk's ledger, the right to send it is the claim (package store), and
// the sweeper releases whatever should have moved and has not.
//
// A task is {"campaign","chunk"}: no number, token or value is ever in one, so
// the asynq UI shows no personal data.
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
		// asynq's own count of failures decides nothing: once it is used up even a
		// task that only has to wait would be archived. The timeout is never to
		// strike either; zero would mean 30 minutes.
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

// lanes are an agent's queues with asynq's weights: while all are full, so many
// of ten tasks are taken from each.
var lanes = map[campaign.Lane]int{campaign.Urgent: 6, campaign.Normal: 3, campaign.Bulk: 1}

func queueName(agent string, lane campaign.Lane) string {
	if lane == campaign.Normal {
		return agent
	}
	return agent + "-" + string(lane)
}

func queueOf(c campaign.Campaign) string {
	return queueName(c.Settings.Agent, c.Settings.LaneFor(c.Chunks))
}

// A comeBack is a task's wish to be run again after a while. It is no failure:
// asynq does not count it.
type comeBack struct {
	after time.Duration
	why   string
}

func (c *comeBack) Error() string { return fmt.Sprintf("come back in %v: %s", c.after, c.why) }

func isFailure(err error) bool {
	var later *comeBack
	return !errors.As(err, &later) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// retryDelay is what asynq asks for each task that is to run again.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var later *comeBack
	if errors.As(err, &later) {
		return later.after
	}
	return 5 * time.Second // a bug or a Redis in trouble: neither is helped by haste
}
