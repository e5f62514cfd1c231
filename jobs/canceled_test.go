package jobs

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// oneCall does something before the first command with an argument.
type oneCall struct {
	with string
	do   func()
}

func (h *oneCall) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *oneCall) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		for _, arg := range cmd.Args() {
			if do := h.do; arg == h.with && do != nil {
				h.do = nil
				do()
			}
		}
		return next(ctx, cmd)
	}
}

func (h *oneCall) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Who cancels a campaign while others are about to send more of it has the last word, also if
// it was canceled before.
func TestARerunDoesNotUndoALaterCancel(t *testing.T) {
	for name, before := range map[string]bool{"it was finished": false, "it was canceled": true} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, func(s *campaign.Settings) { s.MaxAttempts = 1 })
			s.platform.answer = refuseAll(409, "Conflict")
			s.send("w1", 0)
			cancel := func() {
				if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.CanceledPhase, campaign.Message{}, campaign.Running, campaign.CanceledPhase); err != nil {
					t.Error(err)
				}
			}
			if before {
				cancel()
			}
			s.rdb.AddHook(&oneCall{string(store.ActionRerun), cancel}) // when all are chosen
			s.platform.answer = func([]velents.Row) error { return nil }
			if _, err := s.queue.Rerun(t.Context(), "c", failed); err == nil {
				t.Error("the rerun does not say that it was canceled meanwhile")
			}
			s.send("w1", 0)
			if phase, _ := s.phase("c"); phase != campaign.CanceledPhase || len(s.platform.contacted()) > 0 {
				t.Errorf("the campaign is %s, %d were contacted", phase, len(s.platform.contacted()))
			}
			if _, err := s.queue.Rerun(t.Context(), "c", failed); err != nil { // a person who knows of the cancel
				t.Error(err)
			}
			s.send("w1", 0)
			s.want(map[campaign.State]int{campaign.Accepted: 1})
		})
	}
}

// A request is on its way when its campaign is canceled, and the campaign runs again for
// somebody else before it comes back: its contact was canceled, too.
func TestWhatComesBackAfterACancelIsNotSentAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error
		want   campaign.State
	}{
		"nothing was sent":         {&velents.Unanswered{Err: errors.New("refused")}, campaign.Canceled},
		"it would be tried again":  {&velents.Error{Status: 500, Message: "Server Error", JSON: true}, campaign.Canceled},
		"it would be sent at once": {&velents.Error{Status: 429, Message: "Too Many Attempts.", JSON: true}, campaign.Canceled},
		"it was accepted":          {nil, campaign.Accepted},
		"its answer is lost":       {errLostAnswer, campaign.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 2, func(s *campaign.Settings) { s.ChunkSize, s.MaxAttempts, s.MaxFailureShare = 1, 2, 5000 })
			s.platform.answer = refuseAll(409, "Conflict")
			s.send("w1", 0)
			s.send("w1", 0)
			s.want(map[campaign.State]int{campaign.Failed: 1, campaign.Pending: 1})
			s.platform.answer = func([]velents.Row) error {
				s.platform.answer = func([]velents.Row) error { return nil }
				if _, err := s.queue.Cancel(t.Context(), "c"); err != nil {
					t.Error(err)
				}
				if _, err := s.queue.Rerun(t.Context(), "c", failed); err != nil {
					t.Error(err)
				}
				return tt.answer
			}
			s.send("w1", 1)
			for range 2 {
				s.send("w1", 0)
				s.send("w1", 1)
			}
			want := map[campaign.State]int{campaign.Accepted: 1}
			want[tt.want]++
			s.want(want)
		})
	}
}
