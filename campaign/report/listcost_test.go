package report_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/report"
)

// trips counts round trips to Redis.
type trips struct{ n atomic.Int64 }

func (h *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.n.Add(1)
		return next(ctx, cmd)
	}
}

func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.n.Add(1)
		return next(ctx, cmds)
	}
}

// Campaigns are read in pages: a list of many takes as many round trips as one of few.
func TestCampaignsOfAListShareRoundTrips(t *testing.T) {
	f := newFixture(t)
	took := func(campaigns int) int64 {
		t.Helper()
		hook := new(trips)
		f.Redis().AddHook(hook)
		list, err := report.List(t.Context(), f)
		if err != nil || len(list) != campaigns {
			t.Fatalf("%d campaigns, %v", len(list), err)
		}
		return hook.n.Load()
	}
	load := func(from, to int) {
		for n := range to - from {
			f.load(fmt.Sprint("sale-", from+n), settings, people(1), nil)
		}
	}
	load(0, 2)
	took(2) // connections are made
	few := took(2)
	load(2, 60)
	if many := took(60); many != few {
		t.Errorf("%d round trips for 60 campaigns, %d for 2", many, few)
	}
}
