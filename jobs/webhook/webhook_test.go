package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

// shelf keeps events in memory, or fails.
type shelf struct {
	events []store.Event
	err    error
	room   bool // for urgent ones, all the same
}

func (s *shelf) AddEvent(ctx context.Context, e store.Event) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("storing may take for ever")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.err != nil && !(s.room && e.Urgent) {
		return s.err
	}
	s.events = append(s.events, e)
	return nil
}

const started = `{"event":{"type":"onStarted","about":"conversation"},"conversation":{"id":7,"phone":"+966500000001","values":[]},"result":{"extraction":[]},"new":1}`

// Events of no use, but for what is said in them.
const (
	nobodys = `{"event":{"type":"onMessage"},"result":{"message":{"customer":"STOP"}}}`
	moved   = `{"event":{"type":"onMoved"},"conversation":{"id":7},"result":{"history":[{"role":"customer","message":"STOP"}]}}`
)

func target(link string) string { return strings.TrimPrefix(link, "http://in") }

func TestInbox(t *testing.T) {
	link := target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"}))
	single := target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale", Contact: 3}))
	for _, tt := range []struct {
		name          string
		method, link  string
		body          string
		authorization string
		full          error
		want          int
		kept          []store.Event
	}{
		{"an event is stored as it came", "POST", link, started, "key", nil, 204, []store.Event{{Campaign: "sale", Body: []byte(started)}}},
		{"one of a single contact", "POST", single, started, "key", nil, 204, []store.Event{{Campaign: "sale", Contact: 3, Body: []byte(started)}}},
		{"the older shape of calls", "POST", link, `{"event":{"type":"ondone","about":"call"},"call":{"phone":"966500000001"}}`, "key", nil, 204,
			[]store.Event{{Campaign: "sale", Body: []byte(`{"event":{"type":"ondone","about":"call"},"call":{"phone":"966500000001"}}`)}}},
		{"an event of a new type is of no use", "POST", link, strings.Replace(started, "onStarted", "onMoved", 1), "key", nil, 204, nil},
		{"another path", "POST", "/webhooks", started, "key", nil, 404, nil},
		{"a look", "GET", link, "", "key", nil, 405, nil},
		{"no signature", "POST", webhook.Path + "?campaign=sale", started, "key", nil, 401, nil},
		{"the signature of another campaign", "POST", strings.Replace(link, "sale", "gift", 1), started, "key", nil, 401, nil},
		{"another authorization", "POST", link, started, "Key", nil, 401, nil},
		{"none", "POST", link, started, "", nil, 401, nil},
		{"a huge body", "POST", link, `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, "key", nil, 413, nil},
		{"deep JSON", "POST", link, strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "key", nil, 400, nil},
		{"no JSON", "POST", link, "event=1", "key", nil, 400, nil},
		{"an empty body", "POST", link, "", "key", nil, 400, nil},
		{"nobody's event", "POST", link, `{"event":{"type":"onStarted"}}`, "key", nil, 400, nil},
		{"nobody's, in which somebody says something", "POST", link, nobodys, "key", nil, 204, []store.Event{{Campaign: "sale", Body: []byte(nobodys)}}},
		{"nobody's, of a link that says whose", "POST", single, `{"event":{"type":"onStarted"}}`, "key", nil, 204, []store.Event{{Campaign: "sale", Contact: 3, Body: []byte(`{"event":{"type":"onStarted"}}`)}}},
		{"an event of a new type in which somebody says something", "POST", link, moved, "key", nil, 204, []store.Event{{Campaign: "sale", Body: []byte(moved)}}},
		{"Redis is away", "POST", link, started, "key", errors.New("gone"), 503, nil},
		{"too many wait", "POST", link, started, "key", store.ErrFull, 503, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept := &shelf{err: tt.full}
			told := 0
			inbox := &webhook.Inbox{
				Events: kept, Secret: "secret", Authorization: "key",
				Received: func(status int) { told = status }, Log: slog.New(slog.DiscardHandler),
			}
			request := httptest.NewRequest(tt.method, tt.link, strings.NewReader(tt.body))
			request.Header.Set("x-velents-authorization", tt.authorization)
			answer := httptest.NewRecorder()
			inbox.ServeHTTP(answer, request)
			if answer.Code != tt.want || told != tt.want {
				t.Errorf("answered %d, told %d, want %d", answer.Code, told, tt.want)
			}
			if again := answer.Header().Get("Retry-After"); (again != "") != (tt.want == 503) {
				t.Errorf("to come again after %q", again)
			}
			if body := strings.TrimSpace(answer.Body.String()); tt.want != 204 && body != http.StatusText(tt.want) {
				t.Errorf("the answer says %q", body)
			}
			if diff := cmp.Diff(tt.kept, kept.events); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// Where there is no room, there is for those who ask not to be contacted; and where they
// cannot be stored, people are told.
func TestAWishIsStoredWhereOtherEventsAreNot(t *testing.T) {
	said := func(result string) string { return strings.Replace(started, `"extraction":[]`, result, 1) }
	for _, tt := range []struct {
		name string
		body string
		err  error
		room bool
		want int
		told string // in the log
	}{
		{"another event", started, store.ErrFull, true, 503, "event not stored"},
		{"a stop word", said(`"message":{"customer":"STOP"}`), store.ErrFull, true, 204, ""},
		{"in the history", said(`"history":[{"role":"agent","message":"hello"},{"role":"x","content":"إلغاء"}]`), store.ErrFull, true, 204, ""},
		{"another message", said(`"message":{"customer":"do not stop"}`), store.ErrFull, true, 503, "event not stored"},
		{"a stop word when the reserve is full, too", said(`"message":{"customer":"STOP"}`), store.ErrFull, false, 503, "somebody asks not to be contacted"},
		{"a stop word when Redis is away", said(`"message":{"customer":"STOP"}`), errors.New("gone"), true, 503, "somebody asks not to be contacted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept := &shelf{err: tt.err, room: tt.room}
			var log strings.Builder
			inbox := &webhook.Inbox{Events: kept, Secret: "secret", Log: slog.New(slog.NewTextHandler(&log, nil))}
			answer := httptest.NewRecorder()
			inbox.ServeHTTP(answer, httptest.NewRequest("POST", target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"})), strings.NewReader(tt.body)))
			if answer.Code != tt.want || len(kept.events) > 0 != (tt.want == 204) {
				t.Errorf("answered %d, stored %d, want %d", answer.Code, len(kept.events), tt.want)
			}
			if !strings.Contains(log.String(), tt.told) || (tt.told == "") != (log.String() == "") {
				t.Errorf("logged %q, want %q", log.String(), tt.told)
			}
		})
	}
}

// Nobody knows whether the platform comes again.
func TestAWishIsStoredOnceRedisTakesItAgain(t *testing.T) {
	stop := strings.Replace(started, `"extraction":[]`, `"message":{"customer":"STOP"}`, 1)
	for _, tt := range []struct {
		name, body string
		away       time.Duration
		want       int // stored
		told       string
	}{
		{"after a failover", stop, 40 * time.Second, 1, "not stored yet"},
		{"not another event", started, 40 * time.Second, 0, "event not stored"},
		{"and people are told when it is given up", stop, time.Hour, 0, "level=ERROR"},
		{"or when there are too many", strings.Replace(stop, "{", "{"+strings.Repeat(" ", 1<<19), 1), 40 * time.Second, 32, "level=ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(tt.away)
				var mu sync.Mutex
				stored := 0
				var log safeBuilder
				inbox := &webhook.Inbox{Secret: "secret", Log: slog.New(slog.NewTextHandler(&log, nil)), Events: keep(func() error {
					mu.Lock()
					defer mu.Unlock()
					if time.Now().Before(back) {
						return errors.New("gone")
					}
					stored++
					return nil
				})}
				link := target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"}))
				for range max(tt.want, 1) + 1 {
					answer := httptest.NewRecorder()
					inbox.ServeHTTP(answer, httptest.NewRequest("POST", link, strings.NewReader(tt.body)))
					if answer.Code != 503 {
						t.Fatalf("answered %d", answer.Code)
					}
					if tt.want < 2 {
						break
					}
				}
				time.Sleep(2 * time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if limit := max(tt.want, 0); stored > limit || stored == 0 && limit > 0 {
					t.Errorf("%d are stored, want %d", stored, limit)
				}
				if !strings.Contains(log.String(), tt.told) {
					t.Errorf("logged %q", log.String())
				}
			})
		})
	}
}

// keep stores events, or fails.
type keep func() error

func (k keep) AddEvent(context.Context, store.Event) error { return k() }

// A safeBuilder is written to by several at once.
type safeBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestInboxAnswersSoonWhenRedisIsFrozen(t *testing.T) {
	server := redistest.Start(t)
	rdb, err := store.Connect(t.Context(), server.URL()) // patient, as a worker's
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	inbox := &webhook.Inbox{Events: store.New(rdb), Secret: "secret", Log: slog.New(slog.DiscardHandler)}
	post := func() int {
		answer := httptest.NewRecorder()
		inbox.ServeHTTP(answer, httptest.NewRequest("POST", target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"})), strings.NewReader(started)))
		return answer.Code
	}
	if got := post(); got != 204 {
		t.Errorf("answered %d, want 204", got)
	}
	server.Freeze()
	if got := post(); got != 503 { // within its own patience of seconds, or this test would hang
		t.Errorf("answered %d, want 503", got)
	}
	server.Thaw()
	if got := post(); got != 204 {
		t.Errorf("answered %d, want 204", got)
	}
}

func TestAnEventIsKeptThoughThePlatformHasHungUp(t *testing.T) {
	kept := &shelf{}
	inbox := &webhook.Inbox{Events: kept, Secret: "secret", Log: slog.New(slog.DiscardHandler)}
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	link := target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"}))
	inbox.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, "POST", link, strings.NewReader(started)))
	if len(kept.events) != 1 {
		t.Error("the event is lost")
	}
}

func TestWhatAnEventIsCalledIsLoggedMasked(t *testing.T) {
	var log bytes.Buffer
	inbox := &webhook.Inbox{Events: &shelf{}, Secret: "secret", Log: slog.New(slog.NewTextHandler(&log, nil))}
	link := target(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"}))
	for _, name := range []string{
		"966501234567", "+966 50 123 4567", "on966501234567Moved", "966-50-123-4567", "٩٦٦٥٠١٢٣٤٥٦٧", "9\u200b6\u200b6501234567", "tel:+966501234567",
		strings.Repeat("x", 36) + "966501234567",
	} {
		for _, body := range []string{`{"event":{"type":%q},"conversation":{"id":1}}`, `{"event":{"type":"onStarted","about":%q},"conversation":{"id":1}}`} {
			answer := httptest.NewRecorder()
			inbox.ServeHTTP(answer, httptest.NewRequest("POST", link, strings.NewReader(strings.Replace(body, "%q", strconv.Quote(name), 1))))
			if answer.Code != http.StatusNoContent {
				t.Errorf("%q: %d", name, answer.Code)
			}
		}
	}
	text := log.String()
	if strings.Count(text, "event of no use") != 16 || !strings.Contains(text, "Moved") {
		t.Errorf("the log says too little:\n%s", text)
	}
	for _, number := range []string{"50123", "1234567", "٥٠١٢٣", "u200b", "9665"} {
		if strings.Contains(text, number) {
			t.Errorf("the log has %q:\n%s", number, text)
		}
	}
}

// The link of the event before is known without its signature being made again, and nothing
// but that link.
func TestALinkIsKnownByAllOfIt(t *testing.T) {
	kept := &shelf{}
	inbox := &webhook.Inbox{Events: kept, Secret: "new", Previous: "secret", Log: slog.New(slog.DiscardHandler)}
	link := func(secret, name string, contact int) string {
		return target(webhook.Link("http://in", secret, webhook.Target{Campaign: name, Contact: contact}))
	}
	sale := link("new", "sale", 0)
	for _, tt := range []struct {
		what, link string
		want       int
	}{
		{"a link", sale, 204},
		{"the same", sale, 204},
		{"with another end", sale[:len(sale)-1] + string('a'+(sale[len(sale)-1]+1)%2), 401},
		{"cut off", sale[:len(sale)-1], 401},
		{"cut off in the same way", sale[:len(sale)-1], 401},
		{"of another campaign with its signature", strings.Replace(sale, "sale", "gift", 1), 401},
		{"of a contact with its signature", sale + "&contact=3", 401},
		{"without a query", webhook.Path, 401},
		{"of another campaign", link("new", "gift", 0), 204},
		{"of a contact", link("new", "sale", 3), 204},
		{"by the earlier secret", link("secret", "sale", 4), 204},
		{"by no secret", link("guess", "sale", 4), 401},
		{"the first again", sale, 204},
	} {
		answer := httptest.NewRecorder()
		inbox.ServeHTTP(answer, httptest.NewRequest("POST", tt.link, strings.NewReader(started)))
		if answer.Code != tt.want {
			t.Errorf("%s: answered %d, want %d", tt.what, answer.Code, tt.want)
		}
	}
	var got []string
	for _, e := range kept.events {
		got = append(got, fmt.Sprint(e.Campaign, "/", e.Contact))
	}
	if want := []string{"sale/0", "sale/0", "gift/0", "sale/3", "sale/4", "sale/0"}; !slices.Equal(got, want) {
		t.Errorf("stored for %v, want %v", got, want)
	}
}
