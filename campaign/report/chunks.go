package report

import (
	"context"
	"fmt"
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

// reasonTexts are the texts of a campaign's reasons. They are read again for an
// unknown code: a text is always written before its code is used.
type reasonTexts struct {
	store    catalog
	campaign string

	mu   sync.Mutex
	text map[campaign.Reason]string
}

func (r *reasonTexts) of(ctx context.Context, code campaign.Reason) (string, error) {
	if code == campaign.NoReason {
		return "", nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if text, ok := r.text[code]; ok {
		return text, nil
	}
	texts, err := r.store.ReasonTexts(ctx, r.campaign)
	if err != nil {
		return "", err
	}
	if _, ok := texts[code]; !ok {
		texts[code] = fmt.Sprintf("reason %d", code) // Redis has lost its text
	}
	r.text = texts
	return r.text[code], nil
}
