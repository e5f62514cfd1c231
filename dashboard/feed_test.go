package dashboard

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// told is what a viewer was sent, a line for each time.
func told(f *feed, name string, duration time.Duration) []string {
	return toldTo(f, subject{name, audience{texts.English, users.Admin}}, duration)
}

func toldTo(f *feed, at subject, duration time.Duration) []string {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	who := rand.Text()
	t, ok := f.join(at, who)
	if !ok {
		return []string{"refused"}
	}
	defer f.leave(at, who, t)
	var lines []string
	_ = f.follow(ctx, t, func(m message) error {
		var line []string
		for data := range strings.Lines(string(m.plain)) {
			data, ok := strings.CutPrefix(data, "data: ")
			var e event
			if !ok || json.Unmarshal([]byte(data), &e) != nil {
				continue
			}
			switch {
			case e.Trouble != nil:
				line = append(line, "trouble:"+*e.Trouble)
			case e.Rows != nil:
				line = append(line, "rows:"+strings.Join(*e.Rows, ","))
			default:
				line = append(line, e.ID+"="+e.HTML)
			}
		}
		lines = append(lines, strings.Join(line, " "))
		return nil
	})
	return lines
}

// sale is a campaign's page in English.
var sale = subject{"sale", audience{texts.English, users.Admin}}

// redisGone is what English pages say without Redis.
func redisGone() string { return string(texts.Printer{}.Say("page.no_redis")) }

// parts is a page without a list.
func parts(ids ...string) content {
	c := content{parts: make(map[string]string)}
	for i := 0; i < len(ids); i += 2 {
		c.parts[ids[i]] = ids[i+1]
	}
	return c
}

func TestAViewerIsToldWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := newFeed(func(context.Context, subject) (content, error) {
			switch after := time.Since(start); {
			case after < 5*time.Second:
				return parts("a", "1", "b", "1"), nil
			case after < 9*time.Second:
				return parts("a", "1", "b", "2"), nil
			case after < 13*time.Second:
				return content{}, context.DeadlineExceeded
			case after < 17*time.Second:
				return parts("a", "1", "b", "2"), nil
			}
			return content{}, fmt.Errorf("campaign: %w", store.ErrNotFound)
		})
		want := "a=1 b=1 trouble:|b=2|trouble:" + redisGone() + "|trouble:||trouble:This campaign is no longer there."
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
		f := newFeed(func(context.Context, subject) (content, error) {
			switch after := time.Since(start); {
			case after < 5*time.Second:
				return parts("a", "1", "b", "1"), nil
			case after < 9*time.Second:
				return parts("a", "", "b", "1"), nil
			}
			return parts("a", ""), nil
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
		f := newFeed(func(context.Context, subject) (content, error) {
			reads.Add(1)
			return parts("a", "1"), nil
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
		// A viewer who comes later finds it awake.
		if lines := told(f, "sale", time.Second); !strings.Contains(strings.Join(lines, "|"), "a=1") {
			t.Errorf("a late viewer was told %q", lines)
		}
		time.Sleep(time.Hour)
	})
}

func TestThereAreOnlySoManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(func(context.Context, subject) (content, error) { return content{}, nil })
		who := func(i int) string { return fmt.Sprint("user ", i/maxOfOne) }
		joined := make(map[int]*topic)
		for i := range maxViewers {
			topic, ok := f.join(sale, who(i))
			if !ok {
				t.Fatalf("viewer %d is refused", i)
			}
			joined[i] = topic
			if i == maxOfOne-1 {
				if _, ok := f.join(sale, who(i)); ok {
					t.Error("one person has more than their share")
				}
			}
		}
		if lines := told(f, "other", time.Second); lines[0] != "refused" {
			t.Errorf("one too many was told %q", lines)
		}
		for i, topic := range joined {
			f.leave(sale, who(i), topic)
		}
		if len(f.of) > 0 {
			t.Errorf("those that are gone still count: %v", f.of)
		}
		time.Sleep(time.Hour)
	})
}

func TestAViewerThatIsGoneEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(func(context.Context, subject) (content, error) { return content{}, nil })
		gone := errors.New("gone")
		topic, _ := f.join(sale, "somebody")
		if err := f.follow(t.Context(), topic, func(message) error { return gone }); !errors.Is(err, gone) {
			t.Error(err)
		}
		f.leave(sale, "somebody", topic)
		time.Sleep(time.Hour)
	})
}

// What has changed of a list are its rows and their order, not the whole of it.
func TestOfAListOnlyWhatHasChangedIsTold(t *testing.T) {
	old := content{rows: []string{"r-a", "r-b", "r-c"}, parts: map[string]string{"say": "3", "r-a": "1", "r-b": "1", "r-c": "1"}}
	for _, tt := range []struct {
		name string
		now  content
		want string
	}{
		{"nothing", old, ``},
		{"one row", content{rows: old.rows, parts: map[string]string{"say": "3", "r-a": "1", "r-b": "2", "r-c": "1"}}, `{"id":"r-b","html":"2"}`},
		{"another order", content{rows: []string{"r-b", "r-a", "r-c"}, parts: old.parts}, `{"html":"","rows":["r-b","r-a","r-c"]}`},
		{"a row comes and one goes", content{rows: []string{"r-d", "r-a", "r-b"}, parts: map[string]string{"say": "3", "r-d": "1", "r-a": "1", "r-b": "1"}},
			`{"html":"","rows":["r-d","r-a","r-b"]}{"id":"r-d","html":"1"}`},
		{"all are gone", content{rows: []string{}, parts: map[string]string{"say": ""}}, `{"html":"","rows":[]}{"id":"say","html":""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, e := range tt.now.news(old) {
				text, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				got += string(text)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Once a page finds that Redis does not answer, no other waits for it: all are told
// within five seconds.
func TestAllPagesAreToldSoonThatRedisIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		gone := func() bool { return time.Since(start) > 3*time.Second }
		f := newFeed(func(ctx context.Context, _ subject) (content, error) {
			if gone() {
				<-ctx.Done() // a frozen server
				return content{}, ctx.Err()
			}
			return parts("a", "1"), nil
		})
		const pages = 50
		told := make(chan time.Duration)
		for i := range pages {
			go func() {
				name := subject{fmt.Sprint("page ", i), audience{texts.English, users.Admin}}
				topic, _ := f.join(name, "somebody")
				defer f.leave(name, "somebody", topic)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_ = f.follow(ctx, topic, func(m message) error {
					if strings.Contains(string(m.plain), redisGone()) {
						told <- time.Since(start) - 3*time.Second
						cancel()
					}
					return nil
				})
			}()
		}
		for range pages {
			if after := <-told; after > 5*time.Second {
				t.Errorf("a page is told after %v", after)
			}
		}
		time.Sleep(time.Hour) // until nobody reads any more
	})
}

// However many look at a page, it is encoded and compressed once.
func TestAMessageIsMadeOnceForAll(t *testing.T) {
	f := newFeed(nil)
	one := &topic{content: parts("a", "1"), version: 3, changed: make(chan struct{})}
	first, _, _ := f.next(one, 0)
	second, _, _ := f.next(one, 0)
	if &first.deflated[0] != &second.deflated[0] {
		t.Error("all of a page is made twice")
	}
	one.last = encode([]event{{ID: "a", HTML: "1"}})
	if news, version, _ := f.next(one, 2); version != 3 || &news.deflated[0] != &one.last.deflated[0] {
		t.Error("news are made twice")
	}
	if late, _, _ := f.next(one, 1); &late.deflated[0] != &first.deflated[0] {
		t.Error("who is late is not sent all of it")
	}
}

// The blocks of messages make one gzip stream, whichever of them a viewer is sent.
func TestMessagesMakeAStream(t *testing.T) {
	all := []message{encode([]event{{ID: "a", HTML: "<b>x</b>"}}), beat(), encode([]event{{ID: "a", HTML: strings.Repeat("y", 10_000)}})}
	for _, from := range []int{0, 1, 2} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/events", nil)
		r.Header.Set("Accept-Encoding", "br, gzip;q=0.8")
		s := newStream(w, r)
		want := ""
		for _, m := range all[from:] {
			if err := s.write(m); err != nil {
				t.Fatal(err)
			}
			want += string(m.plain)
		}
		s.end()
		unzipped, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(unzipped) // its sum is checked
		if err != nil || string(got) != want {
			t.Errorf("from %d on: %v, %q", from, err, got)
		}
	}
}

// Viewers of a page in two languages are each told in their own; a language without viewers
// is not read.
func TestViewersOfTwoLanguages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(map[subject]int)
		f := newFeed(func(_ context.Context, of subject) (content, error) {
			read[of]++
			if read[of] > 2 {
				return content{}, context.DeadlineExceeded
			}
			return parts("a", string(of.language)), nil
		})
		done := make(chan string)
		for _, l := range texts.Languages() {
			go func() {
				done <- strings.Join(toldTo(f, subject{"sale", audience{l, users.Admin}}, 9*time.Second), "|")
			}()
		}
		all := <-done + "\n" + <-done
		for _, want := range []string{"a=en trouble:|trouble:Redis does not answer.", "a=ar trouble:|trouble:لا يستجيب"} {
			if !strings.Contains(all, want) {
				t.Errorf("nobody was told %s:\n%s", want, all)
			}
		}
		time.Sleep(time.Hour) // the bubble's
		clear(read)
		toldTo(f, sale, 5*time.Second)
		if len(read) != 1 || read[sale] == 0 {
			t.Errorf("for one viewer it reads %v", read)
		}
	})
}
