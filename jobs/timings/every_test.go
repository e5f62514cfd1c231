package timings

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A trouble that lasts is told once, and then rarely; another one, or one that comes back,
// at once.
func TestEveryTellsATroubleOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, stop := context.WithTimeout(t.Context(), 2*TroubleToldEvery-time.Second)
		defer stop()
		away, n := errors.New("connection refused"), 0
		Every(ctx, time.Second, slog.New(slog.NewTextHandler(&log, nil)), "not looked at", func(context.Context) error {
			switch n++; n {
			case 10:
				return errors.New("another")
			case 20:
				return nil
			}
			return away
		})
		// Away, another, away again; after it was well; five minutes later.
		if lines := strings.Count(log.String(), "not looked at"); lines != 5 {
			t.Errorf("%d lines of %d calls:\n%s", lines, n, &log)
		}
	})
}
