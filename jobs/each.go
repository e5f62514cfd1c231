package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign/store"
)

// eachLive calls do for every campaign that a loop has to look at, with the time by Redis's
// clock. When do fails for one, it is still called for the others.
func eachLive(ctx context.Context, st *store.Store, r *store.Round, do func(ctx context.Context, name string, now time.Time) error) error {
	live, now, err := st.Live(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range r.Due(live, now) {
		err := do(ctx, name, now)
		if err != nil {
			r.Again(name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// chunksAtOnce is how many chunks are read or changed at once.
const chunksAtOnce = 8

// An UndoneError says which chunks of a campaign could not be worked on. All the
// others were.
type UndoneError struct {
	Campaign string
	Chunks   []int // in their order
	Err      error // what the first of them met
}

// chunksNamed is how many chunks an error names.
const chunksNamed = 10

func (e *UndoneError) Error() string {
	var named []string
	for _, n := range e.Chunks[:min(len(e.Chunks), chunksNamed)] {
		named = append(named, fmt.Sprint(n))
	}
	text := strings.Join(named, ", ")
	if more := len(e.Chunks) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	noun := "chunks"
	if len(e.Chunks) == 1 {
		noun = "chunk"
	}
	return fmt.Sprintf("not done for %d %s of %s: %s: %v", len(e.Chunks), noun, e.Campaign, text, e.Err)
}

func (e *UndoneError) Unwrap() error { return e.Err }

// undone joins the errors of several steps of one action, the chunks that were left
// out in one UndoneError.
func undone(errs ...error) error {
	var all *UndoneError
	var others []error
	for _, err := range errs {
		switch err := err.(type) {
		case nil:
		case *UndoneError:
			all = all.and(err)
		case interface{ Unwrap() []error }:
			for _, one := range err.Unwrap() {
				if some, ok := one.(*UndoneError); ok {
					all = all.and(some)
				} else {
					others = append(others, one)
				}
			}
		default:
			others = append(others, err)
		}
	}
	if all != nil {
		others = append(others, all)
	}
	if len(others) == 1 {
		return others[0]
	}
	return errors.Join(others...)
}

// onlyUndone reports whether err is nil or only about chunks that were left out: what
// was asked for can go on without them.
func onlyUndone(err error) bool {
	_, some := err.(*UndoneError)
	return err == nil || some
}

// and is e with the chunks of another one.
func (e *UndoneError) and(other *UndoneError) *UndoneError {
	if e == nil {
		return other
	}
	chunks := slices.Concat(e.Chunks, other.Chunks)
	slices.Sort(chunks)
	return &UndoneError{e.Campaign, slices.Compact(chunks), e.Err}
}

// eachChunk calls do for every chunk of a campaign, several at once. Chunks that fail
// do not keep it from the others; they come in one UndoneError. Only an error that
// every chunk would meet ends it, like a Redis that is gone.
func eachChunk(ctx context.Context, campaign string, chunks []int, do func(ctx context.Context, chunk int) error) error {
	var mu sync.Mutex
	var failed *UndoneError
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(chunksAtOnce)
	for _, n := range chunks {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := do(groupCtx, n)
			if err == nil || meetsAll(err) {
				return err
			}
			some, ok := err.(*UndoneError) // of several chunks that n stands for
			if !ok {
				some = &UndoneError{campaign, []int{n}, err}
			}
			mu.Lock()
			defer mu.Unlock()
			failed = failed.and(some)
			return nil
		})
	}
	err := g.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if failed == nil {
		return err
	}
	return undone(err, failed)
}

// meetsAll reports whether an error says nothing about the chunk at hand, so that the
// next one would meet it, too.
func meetsAll(err error) bool {
	var network net.Error
	var reply redis.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, store.ErrNotRunning), errors.Is(err, store.ErrNotFound),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network),
		errors.Is(err, redis.ErrClosed), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return true
	case errors.As(err, &reply) && !errors.Is(err, redis.Nil):
		// WRONGTYPE and ERR are about what is in the chunk. Redis's other refusals are
		// about Redis: OOM, READONLY, MISCONF, LOADING, NOAUTH, CLUSTERDOWN, …
		return !redis.HasErrorPrefix(reply, "WRONGTYPE") && !redis.HasErrorPrefix(reply, "ERR")
	}
	return false
}

// chunksOf are the numbers of open chunks.
func chunksOf(open []store.Due) []int {
	chunks := make([]int, len(open))
	for i, due := range open {
		chunks[i] = due.Chunk
	}
	return chunks
}

// allOf are the numbers from 0 to n.
func allOf(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// eachLedger reads chunks without their contacts, several at once.
func (q *Queue) eachLedger(ctx context.Context, name string, chunks []int, do func(context.Context, *store.Chunk) error) error {
	return eachChunk(ctx, name, chunks, func(ctx context.Context, n int) error {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: n})
		if err != nil {
			return err
		}
		return do(ctx, chunk)
	})
}
