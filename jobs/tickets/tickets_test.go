package tickets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

const chunkSize = 4

func phoneOf(i int) campaign.Phone { return campaign.Phone(966500000000 + i) }

// A stage is a real Redis with a campaign "c", and a Support Center that answers
// as the test says and remembers what it was asked.
type stage struct {
	campaigntest.Fixture
	rdb  *redis.Client
	desk *httptest.Server

	mu     sync.Mutex
	asked  []map[string]any
	answer func(w http.ResponseWriter, r *http.Request, n int) // nil: it makes the ticket
}

func newStage(t *testing.T, contacts int, rules ...string) *stage {
	t.Helper()
	ticketRules, err := campaign.ParseRules(rules, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redistest.Shared(t)
	s := &stage{Fixture: campaigntest.New(t, rdb), rdb: rdb}
	s.desk = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.desk.Close)
	settings := campaigntest.Settings(chunkSize, campaign.Column{Name: "phone"}, campaign.Column{Name: "name", Key: "name"})
	settings.TicketRules, settings.MaxTickets, settings.TicketFields = ticketRules, 100, map[string]string{"priority": "high"}
	s.Load(campaigntest.List{Name: "c", Settings: settings, Contacts: campaigntest.People(phoneOf(0), contacts, func(i int, number string) []string {
		return []string{number, fmt.Sprint("Person ", i)}
	})})
	return s
}

// ruleOf is a rule by its text.
func ruleOf(text string) (r campaign.Rule) {
	if err := r.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return r
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	var asked map[string]any
	_ = json.NewDecoder(r.Body).Decode(&asked)
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	n, answer := len(s.asked), s.answer
	s.mu.Unlock()
	if answer != nil {
		answer(w, r, n)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"data":{"public_id":"T-%d"}}`, n)
}

func (s *stage) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// reply makes the Support Center answer everything alike.
func (s *stage) reply(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func (s *stage) maker() *Maker {
	s.T.Helper()
	desk, err := velents.NewSupport(velents.Config{BaseURL: s.desk.URL, Token: "App_1_2_secret"})
	if err != nil {
		s.T.Fatal(err)
	}
	quota, err := ratelimit.New(ratelimit.Config{Rate: ratelimit.Rate{Unlimited: true}})
	if err != nil {
		s.T.Fatal(err)
	}
	return New(Config{Store: s.Store, Desk: desk, Quota: quota})
}

// move makes things happen to contacts of the first chunk.
func (s *stage) move(contacts []int, causes ...campaign.Cause) {
	s.T.Helper()
	s.Move("c", contacts, campaigntest.Step{Reason: "503: try later", At: time.Unix(1_700_000_000, 0)}, causes...)
}

// tell makes the agent learn something of a contact of the first chunk.
func (s *stage) tell(contact int, extraction string) {
	s.T.Helper()
	err := s.Store.UpdateOutcomes(s.T.Context(), store.Ref{Campaign: "c"}, []int{contact}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o.Conversation, o.Started = "conv-1", time.Unix(1_700_000_000, 0)
		o.Extraction = json.RawMessage(extraction)
		return o, []campaign.Turn{{Role: "customer", Text: "أريد التحدث مع شخص"}}
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s *stage) look(m *Maker) {
	s.T.Helper()
	if err := m.look(s.T.Context()); err != nil {
		s.T.Fatal(err)
	}
}

// hasten makes all tickets due now.
func (s *stage) hasten() {
	s.T.Helper()
	due, err := s.Store.DueTickets(s.T.Context(), "c", time.Unix(1<<40, 0), 1000)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, at := range due {
		if err := s.rdb.ZAdd(s.T.Context(), "c:{c}:tickets_due", redis.Z{Member: fmt.Sprintf("%d/%d", at.Chunk, at.Index)}).Err(); err != nil {
			s.T.Fatal(err)
		}
	}
}

// states are those of the tickets of the first chunk, by contact.
func (s *stage) states() map[int]campaign.TicketState {
	s.T.Helper()
	all, err := s.Store.Tickets(s.T.Context(), store.Ref{Campaign: "c"})
	if err != nil {
		s.T.Fatal(err)
	}
	states := make(map[int]campaign.TicketState)
	for i, ticket := range all {
		states[i] = ticket.State
	}
	return states
}

func (s *stage) wantStates(want map[int]campaign.TicketState) {
	s.T.Helper()
	if diff := cmp.Diff(want, s.states()); diff != "" {
		s.T.Errorf("tickets (-want +got):\n%s", diff)
	}
}

func TestATicketTellsWhomToCallBackAndWhy(t *testing.T) {
	s := newStage(t, 4, "state=failed", "extraction.needs_human=true")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	s.move([]int{1}, campaign.Send, campaign.Accept)
	s.tell(1, `{"needs_human":true,"intent":"شراء"}`)
	s.look(s.maker())
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketMade, 1: campaign.TicketMade})

	want := []map[string]any{{
		"subject": "c: +966500000000, state=failed: 503: try later", "campaign": "c", "phone": "+966500000000", "state": "failed",
		"values": map[string]any{"name": "Person 0"}, "priority": "high",
		"description": "c: +966500000000, state=failed: 503: try later\n",
	}, {
		"subject": "c: +966500000001, extraction.needs_human=true: 503: try later", "campaign": "c", "phone": "+966500000001", "state": "accepted",
		"values": map[string]any{"name": "Person 1"}, "priority": "high",
		"extraction": map[string]any{"needs_human": true, "intent": "شراء"}, "source_conversation_id": "conv-1",
		"history":     []any{map[string]any{"role": "customer", "text": "أريد التحدث مع شخص"}},
		"description": "c: +966500000001, extraction.needs_human=true: 503: try later\nConversation conv-1, started 2023-11-14T22:13:20Z\ncustomer: أريد التحدث مع شخص\n",
	}}
	for _, ticket := range s.asked { // our reference, by which it can be found
		ref, subject := fmt.Sprint(ticket["reference"]), fmt.Sprint(ticket["subject"])
		if mark := refPattern.FindStringSubmatch(subject); mark == nil || mark[1] != ref {
			t.Errorf("subject %q, reference %s", subject, ref)
		}
		ticket["subject"] = strings.TrimSuffix(subject, refMark(ref))
		delete(ticket, "reference")
	}
	byPhone := func(a, b map[string]any) bool { return fmt.Sprint(a["phone"]) < fmt.Sprint(b["phone"]) }
	if diff := cmp.Diff(want, s.asked, sortedBy(byPhone)); diff != "" {
		t.Errorf("tickets (-want +got):\n%s", diff)
	}
	made, err := s.Store.Ticket(t.Context(), store.Place{Ref: store.Ref{Campaign: "c"}})
	if err != nil || made == nil || !strings.HasPrefix(made.ID, "T-") {
		t.Errorf("%+v, %v", made, err)
	}
}

func sortedBy(less func(a, b map[string]any) bool) cmp.Option {
	return cmp.Transformer("sorted", func(list []map[string]any) []map[string]any {
		if len(list) == 2 && less(list[1], list[0]) {
			return []map[string]any{list[1], list[0]}
		}
		return list
	})
}

func TestAContactHasOneTicketWhateverHappensToIt(t *testing.T) {
	s := newStage(t, 4, "state=failed", "state=rejected", "extraction.needs_human=true")
	m := s.maker()
	s.move([]int{0}, campaign.Send, campaign.Fail)
	s.look(m)
	s.look(m)
	s.move([]int{0}, campaign.Rerun, campaign.Send, campaign.Reject) // another run, another rule
	s.look(m)
	s.move([]int{0}, campaign.Accept)
	s.tell(0, `{"needs_human":true}`)
	s.look(m)
	s.look(s.maker()) // a worker that was started anew
	if n := s.requests(); n != 1 {
		t.Errorf("%d tickets", n)
	}
}

func TestManyWorkersMakeEachTicketOnce(t *testing.T) {
	const contacts = 60
	s := newStage(t, contacts, "state=failed")
	for n := range contacts / chunkSize {
		chunk, err := s.Store.ReadLedger(t.Context(), store.Ref{Campaign: "c", Chunk: n})
		if err != nil {
			t.Fatal(err)
		}
		for _, cause := range []campaign.Cause{campaign.Send, campaign.Fail} {
			var moves []store.Move
			for i := range chunkSize {
				moves = append(moves, store.Move{Index: i, Move: campaign.Move{Cause: cause}})
			}
			if _, err := s.Store.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Moves: moves}); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := s.Store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	for range 5 { // as if each held the lease
		m := s.maker()
		g.Go(func() {
			for range contacts {
				if err := errors.Join(m.find(t.Context(), c), m.makeDue(t.Context(), c)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	phones := make(map[any]int)
	for _, ticket := range s.asked {
		phones[ticket["phone"]]++
	}
	if len(phones) != contacts || len(s.asked) != contacts {
		t.Errorf("%d tickets of %d contacts, want %d", len(s.asked), len(phones), contacts)
	}
}

func TestOneWorkerAtATimeLooks(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	s.look(s.maker())
	s.move([]int{1}, campaign.Send, campaign.Fail)
	s.look(s.maker())
	if n := s.requests(); n != 1 {
		t.Errorf("%d tickets were made while another worker holds the lease", n)
	}
}

func TestAnswersOfTheSupportCenter(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   int
		body     string
		want     campaign.TicketState
		reason   string
		requests int // after being due many times
	}{
		{"made, without a name", 201, `{"data":{}}`, campaign.TicketMade, "the Support Center did not name it", 1},
		{"made, and not readable", 200, `[7]`, campaign.TicketMade, "the Support Center did not name it", 1},
		{"a page in its place", 200, `<html><title>Sign in</title>`, campaign.TicketUnconfirmed,
			"the platform answers 200: a web page where the platform's answer is due (Sign in); check VELENTS_URL", 1},
		{"an answer that is cut off", 200, `{"data":{"public_id"`, campaign.TicketUnconfirmed, "200: an answer that cannot be read, or was cut off", 1},
		{"a field it wants", 422, `{"message":"Bad","errors":{"department":["The department field is required."]}}`, campaign.TicketRefused,
			"the platform refuses the request: The department field is required.", 1},
		{"a field of ours it does not like", 422, `{"message":"Bad","errors":{"phone":["Not a phone."]}}`, campaign.TicketRefused, "Not a phone.", 1},
		{"malformed", 400, `{"message":"Bad"}`, campaign.TicketRefused, "400: Bad", 1},
		{"errors that are safe to retry", 409, `{"message":"Later"}`, campaign.TicketFailed, "409: Later", maxTries},
		{"the death of PHP, without the headers of the limit", 500, `{"message":"Server Error"}`, campaign.TicketUnconfirmed, "500: Server Error", 1},
		{"a lost answer", 504, `gateway`, campaign.TicketUnconfirmed, "504: gateway", 1},
		{"a token it does not take", 401, `{"message":"Unauthenticated."}`, campaign.TicketDue,
			"the Support Center refuses: velents: create ticket: status 401: Unauthenticated.; check VELENTS_SUPPORT_TOKEN, its abilities and VELENTS_URL", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 4, "state=failed")
			s.move([]int{2}, campaign.Send, campaign.Fail)
			s.reply(tt.status, tt.body)
			m := s.maker()
			for range 2 * maxTries {
				s.look(m)
				s.hasten()
			}
			s.wantStates(map[int]campaign.TicketState{2: tt.want})
			at := store.Place{Ref: store.Ref{Campaign: "c"}, Index: 2}
			if got, err := s.Store.Ticket(t.Context(), at); err != nil || got.Reason.String() != tt.reason {
				t.Errorf("reason %q, want %q (%v)", got.Reason, tt.reason, err)
			}
			if n := s.requests(); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

func TestATicketWhoseAnswerWasLostIsNotMadeAgain(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	m := s.maker()
	for range 3 {
		s.look(m)
		s.hasten()
	}
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketUnconfirmed})
	if n := s.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}

	s.answer = nil
	c, err := s.Store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Again(t.Context(), s.Store, c, []campaign.TicketState{campaign.TicketRefused}); n != 0 || err != nil {
		t.Errorf("%d refused, %v", n, err)
	}
	if n, err := Again(t.Context(), s.Store, c, Repeatable); n != 1 || err != nil {
		t.Errorf("%d of all, %v", n, err)
	}
	s.look(m)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketMade})
}

func TestATicketOfADeadWorkerIsNotMadeAgain(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	at := store.Place{Ref: store.Ref{Campaign: "c"}}
	creating := campaign.Ticket{State: campaign.TicketCreating, Rule: ruleOf("state=failed"), Claim: "gone", Tries: 1}
	if _, err := s.Store.SetTicket(t.Context(), at, nil, &creating, time.Hour, 100); err != nil {
		t.Fatal(err)
	}
	m := s.maker()
	s.look(m)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketCreating}) // its claim may be alive
	s.hasten()
	s.look(m)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketUnconfirmed})
	if n := s.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestATicketIsNotMadeOnceItsRuleHoldsNoMore(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	m := s.maker()
	c, err := s.Store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.find(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.move([]int{0}, campaign.Accept) // a late answer: it was taken
	s.look(m)
	s.wantStates(map[int]campaign.TicketState{})
	if n := s.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestACampaignHasNoMoreTicketsThanItMay(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0, 1, 2}, campaign.Send, campaign.Fail)
	at := func(i int) store.Place { return store.Place{Ref: store.Ref{Campaign: "c"}, Index: i} }
	due := campaign.Ticket{State: campaign.TicketDue, Rule: ruleOf("state=failed")}
	for i := range 2 {
		if ok, err := s.Store.SetTicket(t.Context(), at(i), nil, &due, 0, 2); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if _, err := s.Store.SetTicket(t.Context(), at(2), nil, &due, 0, 2); !errors.Is(err, store.ErrTicketsFull) {
		t.Errorf("%v", err)
	}
	tally, err := s.Store.TicketTally(t.Context(), "c")
	if err != nil || tally[campaign.TicketDue] != 2 {
		t.Errorf("%v, %v", tally, err)
	}
}

func TestAProcessThatWasFrozenDoesNotSend(t *testing.T) {
	if err := stillOurs(time.Now().Add(-claimMargin)); !errors.Is(err, verdict.ErrNotOurs) {
		t.Errorf("an old claim: %v", err)
	}
	if err := stillOurs(time.Now()); err != nil {
		t.Errorf("a new one: %v", err)
	}
	next, wait := (&Maker{}).after(campaign.Ticket{Rule: ruleOf("state=failed"), Tries: 1}, velents.Ticket{}, fmt.Errorf("x: %w", verdict.ErrNotOurs))
	if next.State != campaign.TicketDue || next.Tries != 0 || wait != 0 {
		t.Errorf("%+v in %v", next, wait)
	}
}

func TestStoppingLeavesTicketsDue(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	m := s.maker()
	ctx, cancel := context.WithCancel(t.Context())
	m.cfg.Quota = stopping{cancel}
	if err := m.look(ctx); err != nil {
		t.Errorf("%v", err)
	}
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketDue})
}

// stopping is a quota that is asked while the worker is told to stop.
type stopping struct{ cancel context.CancelFunc }

func (q stopping) Acquire(ctx context.Context) (ratelimit.Permit, error) {
	q.cancel()
	return ratelimit.Permit{}, ctx.Err()
}
func (stopping) Report(context.Context, ratelimit.Permit, ratelimit.Answer) {}
func (stopping) Return(context.Context, ratelimit.Permit)                   {}

func TestATicketOnItsWayIsFinishedByAWorkerThatStops(t *testing.T) {
	s := newStage(t, 4, "state=failed")
	s.move([]int{0, 1}, campaign.Send, campaign.Fail)
	ctx, stop := context.WithCancel(t.Context())
	s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
		stop()
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"data":{"public_id":"T-1"}}`)
	}
	_ = s.maker().look(ctx)
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketMade, 1: campaign.TicketDue})
}

// A frozenDesk is asked by a process that wakes up after its claim.
type frozenDesk struct{ desk }

func (frozenDesk) CreateTicket(context.Context, velents.NewTicket) (velents.Ticket, velents.Answer, error) {
	return velents.Ticket{}, velents.Answer{}, fmt.Errorf("create ticket: %w", verdict.ErrNotOurs)
}

// A countingQuota counts what comes back.
type countingQuota struct{ returned, reported int }

func (q *countingQuota) Acquire(context.Context) (ratelimit.Permit, error) {
	return ratelimit.Permit{}, nil
}
func (q *countingQuota) Report(context.Context, ratelimit.Permit, ratelimit.Answer) { q.reported++ }
func (q *countingQuota) Return(context.Context, ratelimit.Permit)                   { q.returned++ }

func TestAPermitOfARequestThatDidNotLeaveIsReturned(t *testing.T) {
	s := newStage(t, 1, "state=failed")
	s.move([]int{0}, campaign.Send, campaign.Fail)
	quota := &countingQuota{}
	m := s.maker()
	m.cfg.Desk, m.cfg.Quota = frozenDesk{}, quota
	s.look(m)
	if quota.returned != 1 || quota.reported != 0 {
		t.Errorf("%d permits returned, %d reported", quota.returned, quota.reported)
	}
	s.wantStates(map[int]campaign.TicketState{0: campaign.TicketDue})
}

func TestARefusalByTheLimitIsNoTry(t *testing.T) {
	limited := &velents.Error{Status: 429, Message: "slow down", JSON: true}
	next, wait := (&Maker{}).after(campaign.Ticket{Rule: ruleOf("state=failed"), Tries: 3}, velents.Ticket{}, limited)
	if next.State != campaign.TicketDue || next.Tries != 2 || wait != time.Second {
		t.Errorf("%+v in %v", next, wait)
	}
}
