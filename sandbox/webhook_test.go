package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// An inbox receives events and passes them on as they come.
type inbox struct {
	*httptest.Server
	events  chan event
	headers chan http.Header
}

type event struct {
	Event        struct{ Type, About string }
	Campaign     string
	Agent        struct{ Public string }
	Conversation map[string]any
	Call         map[string]any
	Result       map[string]json.RawMessage
}

func newInbox(t *testing.T, status int) *inbox {
	in := &inbox{events: make(chan event, 1000), headers: make(chan http.Header, 1000)}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("event %s: %v", body, err)
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		in.headers <- r.Header
		in.events <- e
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) take(n int) (list []event) {
	for range n {
		list = append(list, <-in.events)
	}
	return list
}

func types(events []event) (list []string) {
	for _, e := range events {
		list = append(list, e.Event.Type)
	}
	return list
}

// numbersBy finds a number whose conversation has an onUpdate, and one without.
func numbersBy(t *testing.T) (talkative, silent string) {
	t.Helper()
	for n := uint64(966500000000); talkative == "" || silent == ""; n++ {
		c := conversation{contact: contact{number: n}}
		if phone := fmt.Sprintf("+%d", n); len(c.events(rand.New(rand.NewPCG(0, n)), false, said)) == 4 {
			talkative = phone
		} else {
			silent = phone
		}
	}
	return talkative, silent
}

func withHook(phone, link string) string {
	return fmt.Sprintf(`{"channel_id":3,"phone":%q,"values":{"order_id":12345678901234567890},`+
		`"webhook":{"link":%q,"body":{"campaign":"offer","event":"ours"},"headers":{"X-Ours":"yes","x-velents-authorization":"forged"}}}`, phone, link)
}

func TestEvents(t *testing.T) {
	in := newInbox(t, http.StatusOK)
	talkative, silent := numbersBy(t)
	s := newServer(t, Config{Webhooks: Webhooks{Enabled: true, Secret: "s3cret"}})

	t.Run("a conversation is reported from start to end", func(t *testing.T) {
		call(s, "POST", dispatchPath, withHook(talkative, in.URL))
		events := in.take(4)
		if diff := cmp.Diff([]string{"onStarted", "onMessage", "onUpdate", "onEnded"}, types(events)); diff != "" {
			t.Fatal(diff)
		}
		id := events[0].Conversation["id"]
		for _, e := range events {
			if e.Event.About != "conversation" || e.Conversation["id"] != id || e.Conversation["phone"] != talkative ||
				e.Agent.Public != "agent-"+TokenID("agent") || e.Campaign != "offer" {
				t.Errorf("event %+v", e)
			}
			header := <-in.headers
			if header.Get("X-Ours") != "yes" || header.Get("X-Velents-Authorization") != "s3cret" {
				t.Errorf("header %v", header)
			}
		}
		if _, err := time.Parse("2006-01-02 15:04:05", events[0].Conversation["created_at"].(string)); err != nil {
			t.Error(err)
		}
		for i, want := range []struct{ extraction, parts string }{
			{"[", ""}, {"[", "message"}, {"{", "message history"}, {"{", "history"},
		} {
			result := events[i].Result
			if got := string(result["extraction"]); !strings.HasPrefix(got, want.extraction) {
				t.Errorf("%s: extraction %s", events[i].Event.Type, got)
			}
			for _, part := range strings.Fields(want.parts) {
				if result[part] == nil {
					t.Errorf("%s: no %s", events[i].Event.Type, part)
				}
			}
		}
	})
	t.Run("one of which nothing is learnt ends with an empty array", func(t *testing.T) {
		call(s, "POST", dispatchPath, withHook(silent, in.URL))
		events := in.take(3)
		if diff := cmp.Diff([]string{"onStarted", "onMessage", "onEnded"}, types(events)); diff != "" {
			t.Fatal(diff)
		}
		if got := string(events[2].Result["extraction"]); got != "[]" {
			t.Errorf("extraction %s", got)
		}
	})
}

func TestWhatContactsSay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hooks Webhooks
		old   bool
		want  string // all that is told of it
	}{
		{"nothing", Webhooks{NoAnswer: 1, OptOut: 1}, false, "onStarted onEnded"},
		{"nothing, in the older shape", Webhooks{NoAnswer: 1}, true, "ondone"},
		{"something, late", Webhooks{NoAnswer: 1, LateAnswer: 1, LateAfter: time.Millisecond}, false, "onStarted onEnded onMessage:something"},
		{"STOP", Webhooks{OptOut: 1}, false, "onStarted onMessage:STOP onEnded:STOP"},
		{"STOP, in the older shape", Webhooks{OptOut: 1}, true, "ondone:STOP"},
	} {
		in := newInbox(t, http.StatusOK)
		tt.hooks.Enabled, tt.hooks.OldVoice = true, tt.old
		s := newServer(t, Config{Webhooks: tt.hooks})
		call(s, "POST", dispatchPath, withHook("+966501234567", in.URL))
		var told []string
		for _, e := range in.take(len(strings.Fields(tt.want))) {
			text := e.Event.Type
			for _, part := range []string{"message", "history"} {
				if strings.Contains(string(e.Result[part]), `"STOP"`) {
					text += ":STOP"
				} else if strings.Contains(string(e.Result[part]), `"customer"`) || strings.Contains(string(e.Result[part]), `"user"`) {
					text += ":something"
				}
			}
			told = append(told, text)
		}
		if got := strings.Join(told, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestEventsKeepLargeNumbers(t *testing.T) {
	received := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
	}))
	defer web.Close()
	s := newServer(t, Config{Webhooks: Webhooks{Enabled: true}})
	call(s, "POST", dispatchPath, withHook("+966501234567", web.URL))
	if got := <-received; !strings.Contains(got, `"values":{"order_id":12345678901234567890}`) {
		t.Errorf("event %s", got)
	}
}

func TestOldVoiceEvents(t *testing.T) {
	in := newInbox(t, http.StatusOK)
	s := newServer(t, Config{Webhooks: Webhooks{Enabled: true, OldVoice: true}})
	call(s, "POST", dispatchPath, withHook("+966501234567", in.URL))
	e := <-in.events
	if e.Event.Type != "ondone" || e.Event.About != "call" || e.Call["phone"] != "+966501234567" || e.Call["channel_id"] != 3.0 {
		t.Errorf("event %+v", e)
	}
	for _, part := range []string{"recording", "goals", "history"} {
		if e.Result[part] == nil {
			t.Errorf("no %s", part)
		}
	}
	t.Run("other channels keep theirs", func(t *testing.T) {
		call(s, "POST", dispatchPath, strings.Replace(withHook("+966501234567", in.URL), `"channel_id":3`, `"channel_id":7`, 1))
		if e := <-in.events; e.Event.Type != "onStarted" {
			t.Errorf("event %+v", e)
		}
	})
}

func TestEventsTwiceAndInDisorder(t *testing.T) {
	in := newInbox(t, http.StatusOK)
	talkative, _ := numbersBy(t)
	s := newServer(t, Config{Seed: 0, Webhooks: Webhooks{Enabled: true, Duplicates: 1, Disorder: 1}})
	call(s, "POST", dispatchPath, withHook(talkative, in.URL))
	first := types(in.take(8))
	counts := make(map[string]int)
	for _, kind := range first {
		counts[kind]++
	}
	if diff := cmp.Diff(map[string]int{"onStarted": 2, "onMessage": 2, "onUpdate": 2, "onEnded": 2}, counts); diff != "" {
		t.Error(diff)
	}
	t.Run("the seed repeats it", func(t *testing.T) {
		call(s, "POST", dispatchPath, withHook(talkative, in.URL))
		if diff := cmp.Diff(first, types(in.take(8))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventsThatAreNotTaken(t *testing.T) {
	_, silent := numbersBy(t) // three events
	for _, tt := range []struct {
		name   string
		status int
	}{
		{"a receiver that fails", http.StatusInternalServerError},
		{"a redirect is not followed", http.StatusFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := newInbox(t, tt.status)
			s := newServer(t, Config{Webhooks: Webhooks{Enabled: true, Concurrency: 1}})
			call(s, "POST", dispatchPath, withHook(silent, in.URL))
			in.take(3)
			_ = s.Close() // waits for what is under way
			if st := s.Stats(); st.EventsFailed != 3 || st.EventsSent != 0 || len(in.events) != 0 {
				t.Errorf("failed %d, sent %d, more %d", st.EventsFailed, st.EventsSent, len(in.events))
			}
		})
	}
	t.Run("a receiver that cannot be reached", func(t *testing.T) {
		c := newCourier(Webhooks{}, 0, nil)
		c.transport = new(http.Transport)
		if c.post(t.Context(), hook{link: "http://127.0.0.1:0"}, nil) {
			t.Error("taken")
		}
		if c.post(t.Context(), hook{link: "://"}, nil) {
			t.Error("taken")
		}
	})
}

func TestEventsBeyondTheQueueAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Webhooks: Webhooks{Enabled: true, Concurrency: 1, Delay: time.Hour}})
		contacts := make([]contact, maxWaiting)
		s.courier.send("x", 3, contacts[:1], hook{link: "http://127.0.0.1:0"})
		synctest.Wait() // the one worker has it, and waits
		s.courier.send("x", 3, contacts, hook{link: "http://127.0.0.1:0"})
		s.courier.send("x", 3, contacts[:7], hook{link: "http://127.0.0.1:0"})
		if got := s.Stats().EventsDropped; got != 7 {
			t.Errorf("dropped %d, want 7", got)
		}
	})
}

func TestEventsAreOffByDefault(t *testing.T) {
	in := newInbox(t, http.StatusOK)
	s := newServer(t, Config{})
	call(s, "POST", dispatchPath, withHook("+966501234567", in.URL))
	_ = s.Close()
	if len(in.events) != 0 {
		t.Error("sent")
	}
}
