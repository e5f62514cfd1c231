package store

import (
	"context"
	"errors"
	"time"
)

// RetryWrite repeats a write that must not be lost until it succeeds or patience is
// over, whether ctx is cancelled or not. ErrGone and ErrMoved end it at once: they do
// not pass.
func RetryWrite(ctx context.Context, patience time.Duration, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	wait := 100 * time.Millisecond
	for {
		err := write(ctx)
		if err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrMoved) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		}
	}
}
