package tickets

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A center is a Support Center that keeps tickets and what is said about them.
type center struct {
	mu      sync.Mutex
	tickets []map[string]any
	said    map[string][]map[string]any // by conversation
	sends   int
	lose    func(what string) string // "before", "after", or another body in place of the answer; "": nothing
	hide    bool                     // the list lags
}

func (c *center) answer(s *stage) func(w http.ResponseWriter, r *http.Request, n int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		s.mu.Lock()
		asked := s.asked[n-1]
		s.mu.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		what := r.Method + " " + parts[len(parts)-1]
		fate := ""
		if c.lose != nil {
			fate = c.lose(what)
		}
		hangUp := func() {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
		}
		if fate == "before" {
			hangUp()
			return
		}
		if code := 0; fate != "" && fate != "after" {
			if _, err := fmt.Sscan(fate, &code); err == nil {
				w.WriteHeader(code)
				io.WriteString(w, `{"message":"no"}`)
				return
			}
		}
		data := c.serve(what, parts, asked)
		if fate == "after" {
			hangUp()
			return
		}
		w.Header().Set("X-RateLimit-Limit", "30")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
	}
}

func (c *center) serve(what string, parts []string, asked map[string]any) any {
	switch {
	case what == "POST Tickets":
		n := len(c.tickets) + 1
		t := map[string]any{"public_id": fmt.Sprint("T-", n), "conversation_id": fmt.Sprint("C-", n), "subject": asked["subject"], "status": "open"}
		c.tickets = append(c.tickets, t)
		return t
	case what == "GET Tickets":
		if c.hide {
			return []any{}
		}
		return append([]map[string]any{}, c.tickets...)
	case what == "POST Send":
		c.sends++
		c.say(parts[len(parts)-2], "customer", fmt.Sprint(asked["message"]))
		return map[string]any{"role": "agent", "message": "thank you"}
	case what == "GET history":
		return append([]map[string]any{}, c.said[parts[len(parts)-2]]...)
	}
	for _, t := range c.tickets {
		if t["public_id"] == parts[len(parts)-1] {
			return t
		}
	}
	return nil
}

func (c *center) say(conversation, role, text string) {
	if c.said == nil {
		c.said = make(map[string][]map[string]any)
	}
	c.said[conversation] = append(c.said[conversation], map[string]any{"role": role, "message": text})
}

// texts are what is in a conversation, a line each.
func (c *center) texts(conversation string) (texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.said[conversation] {
		texts = append(texts, fmt.Sprint(m["role"], ": ", m["message"]))
	}
	return texts
}

// following is a stage with a center, replies on, and a ticket for the first contact.
func following(t *testing.T) (*stage, *center) {
	t.Helper()
	s, c := newStage(t, 4, "state=failed"), &center{}
	s.answer = c.answer(s)
	s.set(func(c *campaign.Settings) { c.TicketReplies = true })
	s.move([]int{0}, campaign.Send, campaign.Fail)
	return s, c
}

func (s *stage) set(edit func(*campaign.Settings)) {
	s.T.Helper()
	c, err := s.Store.Campaign(s.T.Context(), "c")
	if err != nil {
		s.T.Fatal(err)
	}
	to := c.Settings
	edit(&to)
	if err := s.Store.ChangeSettings(s.T.Context(), c, to, ""); err != nil {
		s.T.Fatal(err)
	}
}

var first = store.Place{Ref: store.Ref{Campaign: "c"}}

// says makes the first contact say something.
func (s *stage) says(at time.Time, texts ...string) {
	s.T.Helper()
	err := s.Store.UpdateFollow(s.T.Context(), first, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		for i, text := range texts {
			f.Hear(text, at.Add(time.Duration(i)*time.Second))
		}
		return in(store.BeforeOthers), true
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// turn lets the maker look n times, with everything due each time.
func (s *stage) turn(m *Maker, n int) {
	s.T.Helper()
	for range n {
		for _, at := range s.rdb.ZRange(s.T.Context(), "c:{c}:follows_due", 0, -1).Val() {
			s.rdb.ZAdd(s.T.Context(), "c:{c}:follows_due", redis.Z{Member: at})
		}
		if err := s.Store.Raise(s.T.Context(), "c"); err != nil {
			s.T.Fatal(err)
		}
		s.look(m)
	}
}

func (s *stage) follow() campaign.Follow {
	s.T.Helper()
	f, err := s.Store.Follow(s.T.Context(), first)
	if err != nil || f == nil {
		s.T.Fatal(f, err)
	}
	return *f
}

// replies are the states of what the first contact said.
func (s *stage) replies() (states []campaign.TicketState) {
	s.T.Helper()
	for _, r := range s.follow().Said {
		states = append(states, r.State)
	}
	return states
}

var then = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func (s *stage) wantSaid(c *center, want ...string) {
	s.T.Helper()
	if diff := cmp.Diff(want, c.texts("C-1")); diff != "" {
		s.T.Errorf("in the conversation (-want +got):\n%s", diff)
	}
}

func TestWhatAContactSaysIsPassedOnOnceAndInOrder(t *testing.T) {
	s, c := following(t)
	m := s.maker()
	s.says(then, "one", "two") // before its ticket is made
	s.turn(m, 4)
	s.wantSaid(c, "customer: one", "customer: two")
	s.says(then.Add(time.Hour), "three", "one")
	s.says(then, "one", "two") // told twice
	s.says(then.Add(time.Hour), "three", "one")
	s.turn(m, 6)
	s.turn(s.maker(), 3)
	s.wantSaid(c, "customer: one", "customer: two", "customer: three", "customer: one")
	if f := s.follow(); f.Status != "open" || len(f.History) != 4 || f.ReadAt.IsZero() {
		t.Errorf("read back: %+v", f)
	}
	for _, r := range s.follow().Said {
		if r.Text != "" || r.State != campaign.TicketMade {
			t.Errorf("%+v is kept", r)
		}
	}
	c.mu.Lock()
	c.say("C-1", "agent", "we call you")
	c.tickets[0]["status"] = "closed"
	c.mu.Unlock()
	s.turn(m, 1)
	if f := s.follow(); f.Status != "closed" || f.LastReply() != "we call you" || f.Looks != 0 {
		t.Errorf("read back: %+v", f)
	}
	s.turn(m, lastRead+2)
	if n := s.rdb.ZCard(t.Context(), "c:{c}:follows_due").Val(); n != 0 {
		t.Errorf("%d conversations are looked at for ever", n)
	}
}

func TestAMessageWhoseAnswerWasLost(t *testing.T) {
	for _, tt := range []struct {
		name, fate string
		sends      int
		said       []string
		states     []campaign.TicketState
	}{
		{"it arrived, and the history tells", "after", 3, []string{"customer: one", "customer: two", "customer: three"},
			[]campaign.TicketState{campaign.TicketMade, campaign.TicketMade, campaign.TicketMade}},
		{"it did not, and nothing tells: it waits for a person, and those behind it", "before", 1, []string{"customer: one"},
			[]campaign.TicketState{campaign.TicketMade, campaign.TicketUnconfirmed, campaign.TicketDue}},
		{"a page in its place", "504", 1, []string{"customer: one"},
			[]campaign.TicketState{campaign.TicketMade, campaign.TicketUnconfirmed, campaign.TicketDue}},
		{"it is refused: the next goes", "422", 2, []string{"customer: one", "customer: three"},
			[]campaign.TicketState{campaign.TicketMade, campaign.TicketRefused, campaign.TicketMade}},
		{"the limit is reached: it is sent again", "429", 3, []string{"customer: one", "customer: two", "customer: three"},
			[]campaign.TicketState{campaign.TicketMade, campaign.TicketMade, campaign.TicketMade}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := following(t)
			n := 0
			c.lose = func(what string) string {
				if what == "POST Send" {
					if n++; n == 2 {
						return tt.fate
					}
				}
				return ""
			}
			m := s.maker()
			s.says(then, "one", "two", "three")
			s.turn(m, 12)
			s.wantSaid(c, tt.said...)
			if diff := cmp.Diff(tt.states, s.replies()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if c.sends != tt.sends {
				t.Errorf("%d arrived, want %d", c.sends, tt.sends)
			}
		})
	}
}

func TestAPersonSettlesAMessageInDoubt(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent bool
		said []string
	}{
		{"it is there", true, []string{"customer: one", "customer: three"}},
		{"it is not", false, []string{"customer: one", "customer: two", "customer: three"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := following(t)
			n := 0
			c.lose = func(what string) string {
				if what == "POST Send" {
					if n++; n == 2 {
						return "before"
					}
				}
				return ""
			}
			m := s.maker()
			s.says(then, "one", "two", "three")
			s.turn(m, 8)
			loaded, err := s.Store.Campaign(t.Context(), "c")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := Settle(t.Context(), s.Store, loaded, nil, tt.sent); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := Settle(t.Context(), s.Store, loaded, nil, tt.sent); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			s.turn(m, 6)
			s.wantSaid(c, tt.said...)
		})
	}
}

func TestAMessageOfADeadWorkerIsNotSentAgain(t *testing.T) {
	s, c := following(t)
	m := s.maker()
	s.turn(m, 1) // the ticket
	s.says(then, "one")
	err := s.Store.UpdateFollow(t.Context(), first, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Said[0].State, f.Said[0].Claim, f.Said[0].Tries = campaign.TicketCreating, "gone", 1
		return in(time.Hour), true
	})
	if err != nil {
		t.Fatal(err)
	}
	sends := c.sends
	s.look(m) // its claim may be alive
	if got := s.replies(); got[0] != campaign.TicketCreating {
		t.Errorf("%v", got)
	}
	s.turn(m, 8)
	if got := s.replies(); got[0] != campaign.TicketUnconfirmed || c.sends != sends {
		t.Errorf("%v, %d sent", got, c.sends-sends)
	}
}

func TestAMessageThatIsOnItsWayIsNotTakenForADeadWorkers(t *testing.T) {
	s, _ := following(t)
	m := s.maker()
	s.turn(m, 1) // the ticket
	s.says(then, "one")
	err := s.Store.UpdateFollow(t.Context(), first, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Said[0].State, f.Said[0].Claim = campaign.TicketCreating, "alive"
		return in(time.Hour), true
	})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := s.Store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	// Another worker has looked what is due before this claim.
	if err := m.follow(t.Context(), loaded, first); err != nil {
		t.Fatal(err)
	}
	if got := s.replies(); got[0] != campaign.TicketCreating {
		t.Errorf("%v", got)
	}
}

func TestAListSettlesATicketWhoseAnswerWasLost(t *testing.T) {
	s, c := following(t)
	c.lose = func(what string) string {
		if what == "POST Tickets" {
			return "after"
		}
		return ""
	}
	c.hide = true
	m := s.maker()
	s.says(then, "one")
	s.turn(m, 3)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketUnconfirmed}) // a list may lag
	c.mu.Lock()
	c.hide = false
	c.mu.Unlock()
	m.walk = walk{} // as after a minute
	s.turn(m, 4)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketMade})
	s.wantSaid(c, "customer: one")
	if len(c.tickets) != 1 {
		t.Errorf("%d tickets", len(c.tickets))
	}
	ticket, err := s.Store.Ticket(t.Context(), first)
	if err != nil || ticket.ID != "T-1" || ticket.Reason.String() != "found in the Support Center: the answer was lost" {
		t.Errorf("%+v, %v", ticket, err)
	}
}

func TestATicketThatIsNotListedStaysInDoubt(t *testing.T) {
	s, c := following(t)
	c.lose = func(what string) string {
		if what == "POST Tickets" {
			return "before"
		}
		return ""
	}
	m := s.maker()
	for range 3 * lastWalk {
		s.turn(m, 1)
		m.walk.began = time.Now().Add(-2 * walkKept)
	}
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketUnconfirmed})
	if n := s.rdb.ZCard(t.Context(), "c:{c}:follows_due").Val(); n != 0 {
		t.Errorf("it is looked for for ever: %+v", s.follow())
	}
}

func TestManyWorkersPassEachMessageOnOnce(t *testing.T) {
	s, c := following(t)
	s.turn(s.maker(), 1)
	var want []string
	for i := range 20 {
		s.says(then.Add(time.Duration(i)*time.Minute), fmt.Sprint("message ", i))
		want = append(want, fmt.Sprint("customer: message ", i))
	}
	loaded, err := s.Store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	for range 5 { // as if each held the lease
		m := s.maker()
		g.Go(func() {
			for len(c.texts("C-1")) < len(want) {
				if err := m.followDue(t.Context(), loaded); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	s.wantSaid(c, want...)
}

func TestWithoutTicketRepliesNothingIsPassedOn(t *testing.T) {
	s, c := following(t)
	s.set(func(c *campaign.Settings) { c.TicketReplies = false })
	s.says(then, "one")
	s.turn(s.maker(), 6)
	if c.sends != 0 || len(c.tickets) != 1 {
		t.Errorf("%d messages, %d tickets", c.sends, len(c.tickets))
	}
}

func TestMessagesOfATicketThatIsNotThereAreForgotten(t *testing.T) {
	s, _ := following(t)
	s.move([]int{0}, campaign.Accept) // late: no ticket is made
	s.says(then, "one")
	s.turn(s.maker(), orphanLooks+2)
	if f, err := s.Store.Follow(t.Context(), first); f != nil || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
}
