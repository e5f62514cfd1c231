package jobs

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

func TestALinkNamesTheContactOfARequestThatCarriesOne(t *testing.T) {
	for _, tt := range []struct {
		mode campaign.Mode
		want []int
	}{
		{campaign.Batch, []int{0}},
		{campaign.Dispatch, []int{4, 5, 6}},
	} {
		t.Run(string(tt.mode), func(t *testing.T) {
			s := newStage(t, 7, func(c *campaign.Settings) { c.Mode, c.ChunkSize = tt.mode, 3 })
			runner := s.runner("w")
			var mu sync.Mutex
			var named []int
			runner.sender.Webhook = func(_ campaign.Campaign, contact int) *velents.Webhook {
				mu.Lock()
				defer mu.Unlock()
				named = append(named, contact)
				return nil
			}
			s.sendAs(runner, 1)
			slices.Sort(named)
			if diff := cmp.Diff(tt.want, named); diff != "" {
				t.Errorf("contacts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheWatchIsToldOfRequestsAndSweeps(t *testing.T) {
	s := newStage(t, 10)
	var told []string
	watch := Watch{
		Answered: func(agent, class string, _ time.Duration) { told = append(told, agent+" "+class) },
		Swept:    func(action string) { told = append(told, action) },
	}
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, watch: watch, log: slog.New(slog.DiscardHandler)}
	if err := sweeper.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	runner := s.runner("w")
	runner.sender.Answered = watch.Answered
	s.sendAs(runner, 0)
	if diff := cmp.Diff([]string{"released", "default 2xx"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
