package report

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// eachChunk runs build for each chunk of a campaign and use in the chunks' order;
// see inOrder.
func eachChunk[T any](ctx context.Context, c campaign.Campaign, build func(context.Context, store.Ref) (T, error), use func(T) error) error {
	return inOrder(ctx, c.Name, walk(c, 0, false), build, use)
}

// inOrder runs build for chunks of a campaign, on all cores and some chunks ahead,
// and gives the results to use one at a time, in the order of chunks.
func inOrder[T any](ctx context.Context, name string, chunks []int, build func(context.Context, store.Ref) (T, error), use func(T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan T, 2*runtime.GOMAXPROCS(0)) // half of them wait for Redis
	group.Go(func() error {
		defer close(queue)
		for _, n := range chunks {
			built := make(chan T, 1)
			select {
			case queue <- built:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error {
				t, err := build(ctx, store.Ref{Campaign: name, Chunk: n})
				if err == nil {
					built <- t
				}
				return err
			})
		}
		return nil
	})
	group.Go(func() error {
		for built := range queue {
			select {
			case t := <-built:
				if err := use(t); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// reasons are those of a campaign. They are read again for an unknown code: a reason is
// always written before its code is used.
type reasons struct {
	store    catalog
	campaign string

	mu     sync.Mutex
	byCode map[campaign.Reason]campaign.Message
}

func (r *reasons) of(ctx context.Context, code campaign.Reason) (campaign.Message, error) {
	if code == campaign.NoReason {
		return campaign.Message{}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason, ok := r.byCode[code]; ok {
		return reason, nil
	}
	all, err := r.store.Reasons(ctx, r.campaign)
	if err != nil {
		return campaign.Message{}, err
	}
	if _, ok := all[code]; !ok { // Redis has lost it
		all[code] = campaign.Say(campaign.MsgLostReason, "code", int(code))
	}
	r.byCode = all
	return r.byCode[code], nil
}
