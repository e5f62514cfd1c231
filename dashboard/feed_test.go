package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaign-runner/campaign/store"
)

// told is what a viewer was sent, a line for each time.
func told(f *feed, name string, duration time.Duration) []string {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	t, ok := f.join(name)
	if !ok {
		return []string{"refused"}
	}
	defer f.leave(name, t)
	var lines []string
	_ = f.follow(ctx, t, func(news []event) error {
		var line []string
		for _, e := range news {
			if e.Trouble != nil {
				line = append(line, "trouble:"+*e.Trouble)
				continue
			}
			line = append(line, e.ID+"="+e.HTML)
		}
		lines = append(lines, strings.Join(line, " "))
		return nil
	})
	return lines
}

func TestAViewerIsToldWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := newFeed(func(context.Context, string) (map[string]string, error) {
			switch after := time.Since(start); {
			case after < 5*time.Second:
				return map[string]string{"a": "1", "b": "1"}, nil
			case after < 9*time.Second:
				return map[string]string{"a": "1", "b": "2"}, nil
			case after < 13*time.Second:
				return nil, errors.New("redis is gone")
			case after < 17*time.Second:
				return map[string]string{"a": "1", "b": "2"}, nil
			}
			return nil, fmt.Errorf("campaign: %w", store.ErrNotFound)
		})
		want := "a=1 b=1 trouble:|b=2|trouble:Redis does not answer and what is shown is old: start it again, and all goes on by itself|trouble:||trouble:this campaign is no longer there"
		got := strings.TrimPrefix(strings.Join(told(f, "sale", 20*time.Second), "|"), "|") // it may have come before the first look
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// A part that has become empty, or is not there any more, is told as such, in words
// that the page's script takes for nothing.
func TestAViewerIsToldWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := newFeed(func(context.Context, string) (map[string]string, error) {
			switch after := time.Since(start); {
			case after < 5*time.Second:
				return map[string]string{"a": "1", "b": "1"}, nil
			case after < 9*time.Second:
				return map[string]string{"a": "", "b": "1"}, nil
			}
			return map[string]string{"a": ""}, nil
		})
		want := "a=1 b=1 trouble:|a=|b="
		if got := strings.TrimPrefix(strings.Join(told(f, "sale", 12*time.Second), "|"), "|"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		text, err := json.Marshal(event{ID: "a"})
		if err != nil || string(text) != `{"id":"a","html":""}` {
			t.Errorf("an empty part is sent as %s, %v", text, err)
		}
	})
}

func TestAFeedReadsOnceForAllAndNothingForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		f := newFeed(func(context.Context, string) (map[string]string, error) {
			reads.Add(1)
			return map[string]string{"a": "1"}, nil
		})
		done := make(chan []string)
		for range 100 {
			go func() { done <- told(f, "sale", time.Minute-time.Second) }()
		}
		for range 100 {
			if lines := <-done; !strings.Contains(strings.Join(lines, "|"), "a=1") {
				t.Errorf("a viewer was told %q", lines)
			}
		}
		if n := reads.Load(); n < 29 || n > 32 {
			t.Errorf("%d reads in a minute, want one every %v", n, liveEvery)
		}
		synctest.Wait()
		time.Sleep(time.Hour) // the bubble's
		if n := reads.Load(); n > 32 {
			t.Errorf("%d reads for nobody", n-32)
		}
		if len(f.topics) != 0 || f.viewers != 0 || f.running {
			t.Errorf("it goes on: %d topics, %d viewers", len(f.topics), f.viewers)
		}
		// Whoever comes later finds it awake.
		if lines := told(f, "sale", time.Second); !strings.Contains(strings.Join(lines, "|"), "a=1") {
			t.Errorf("a late viewer was told %q", lines)
		}
		time.Sleep(time.Hour)
	})
}

func TestThereAreOnlySoManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(func(context.Context, string) (map[string]string, error) { return nil, nil })
		joined := make(map[int]*topic)
		for i := range maxViewers {
			topic, ok := f.join("sale")
			if !ok {
				t.Fatalf("viewer %d is refused", i)
			}
			joined[i] = topic
		}
		if lines := told(f, "other", time.Second); lines[0] != "refused" {
			t.Errorf("one too many was told %q", lines)
		}
		for topic := range maps.Values(joined) {
			f.leave("sale", topic)
		}
		time.Sleep(time.Hour)
	})
}

func TestAViewerThatIsGoneEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(func(context.Context, string) (map[string]string, error) { return nil, nil })
		gone := errors.New("gone")
		topic, _ := f.join("sale")
		if err := f.follow(t.Context(), topic, func([]event) error { return gone }); !errors.Is(err, gone) {
			t.Error(err)
		}
		f.leave("sale", topic)
		time.Sleep(time.Hour)
	})
}
