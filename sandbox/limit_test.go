package sandbox

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 17, 700e6, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	const length = time.Minute

	t.Run("the first request opens it, wherever the clock stands", func(t *testing.T) {
		var w window
		if admitted, opened := w.take(start, 2, length); !admitted || !opened {
			t.Fatalf("take = %v, %v, want admitted and opened", admitted, opened)
		}
		if want := at(60); !w.ends.Equal(want) {
			t.Errorf("ends %v, want %v", w.ends, want)
		}
	})
	t.Run("a refused request is not counted and does not prolong it", func(t *testing.T) {
		var w window
		w.take(start, 1, length)
		for range 5 {
			if admitted, _ := w.take(at(59.9), 1, length); admitted {
				t.Fatal("admitted beyond the limit")
			}
		}
		if w.count != 1 || !w.ends.Equal(at(60)) {
			t.Errorf("count %d until %v, want 1 until %v", w.count, w.ends, at(60))
		}
		if admitted, opened := w.take(at(60), 1, length); !admitted || !opened {
			t.Error("the next window did not open when this one ended")
		}
	})
	t.Run("a lower limit holds at once", func(t *testing.T) {
		var w window
		w.take(start, 30, length)
		w.take(start, 30, length)
		if admitted, _ := w.take(start, 1, length); admitted {
			t.Error("admitted")
		}
		if got := w.remaining(start, 1); got != -1 {
			t.Errorf("remaining %d, want -1", got)
		}
	})
	t.Run("without a limit everything is admitted", func(t *testing.T) {
		var w window
		for range 1000 {
			if admitted, _ := w.take(start, Unlimited, length); !admitted {
				t.Fatal("refused")
			}
		}
	})
	for _, tt := range []struct {
		name       string
		now        time.Time
		remaining  int
		retryAfter int64
	}{
		{"remaining is what is left", at(0), 29, 60},
		{"retry after is too short when the clock's fraction is behind the opening's", at(0.4), 29, 59},
		{"retry after is 0 in the last moments", at(59.5), 29, 0},
		{"remaining is full when the window ended meanwhile", at(60), 30, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w window
			w.take(start, 30, length)
			if got := w.remaining(tt.now, 30); got != tt.remaining {
				t.Errorf("remaining = %d, want %d", got, tt.remaining)
			}
			if got := w.retryAfter(tt.now); got != tt.retryAfter {
				t.Errorf("retryAfter = %d, want %d", got, tt.retryAfter)
			}
		})
	}
}

// However requests arrive, no window admits more than the limit or refuses one while it
// has room.
func TestWindowAdmitsExactlyTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		const length = 10 * time.Second
		var w window
		var opened time.Time
		inWindow := 0
		now := time.Unix(1_000_000, 0)
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "gap")) * time.Millisecond)
			if opened.IsZero() || now.Sub(opened) >= length {
				opened, inWindow = now, 0
			}
			admitted, _ := w.take(now, limit, length)
			if admitted != (inWindow < limit) {
				t.Fatalf("%d in the window of %d: admitted = %v", inWindow, limit, admitted)
			}
			if admitted {
				inWindow++
			}
		}
	})
}
