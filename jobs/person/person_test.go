package person

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/numberscan"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
	"campaign-runner/jobs/events"
)

// sara is in every campaign of a stage, omar beside her.
const (
	sara campaign.Phone = 966501234567
	omar campaign.Phone = 966501234568
)

type stage struct {
	campaigntest.Fixture
	desk *Desk
}

func newStage(t *testing.T) *stage {
	f := campaigntest.New(t, redistest.Shared(t))
	s := &stage{Fixture: f}
	s.desk = &Desk{Store: f.Store, Queue: jobs.NewQueue(f.Store, nil).By("tester")}
	return s
}

func (s *stage) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// load makes a running campaign of sara and omar, and of a refused line with her number.
func (s *stage) load(name string, indexed bool) campaign.Campaign {
	s.T.Helper()
	settings := campaigntest.Settings(1, campaign.Column{Name: "phone"}, campaign.Column{Name: "name", Key: "name"})
	settings.Region = "SA"
	if indexed {
		settings.WebhookURL = "https://events.example.org"
	}
	return s.Load(campaigntest.List{
		Name: name, Settings: settings, Indexed: indexed,
		Contacts: campaigntest.People(sara, 2, func(i int, number string) []string { return []string{number, []string{"Sara", "Omar"}[i]} }),
		Counts:   campaign.Counts{Rows: 2, Duplicates: 2, Refused: map[string]int{"duplicate": 2}},
		Rejects:  "phone,name,line,reason,original\n050 123 4567,Sara,4,duplicate of line 2,\n0501234568,Omar,5,duplicate of line 3,\n",
	})
}

// tell puts an event of a conversation into the stream, or among the unmatched.
func (s *stage) tell(e store.Event, phone, conversation, said string, waiting bool) {
	s.T.Helper()
	body := map[string]any{
		"event": map[string]any{"type": "onmessage"}, "conversation": map[string]any{"id": conversation, "phone": phone},
		"result": map[string]any{"message": map[string]any{"customer": said}},
	}
	text, err := json.Marshal(body)
	s.must(err)
	e.Body = text
	if waiting {
		s.must(s.AddEvent(s.T.Context(), e))
		return
	}
	e.At = time.Now()
	_, err = s.KeepUnmatched(s.T.Context(), e.Campaign, []store.Unmatched{{Event: e, Why: campaign.Say(campaign.MsgNoContact)}})
	s.must(err)
}

// live makes a campaign in which sara has everything that can be kept of her.
func (s *stage) live(name string, indexed bool) campaign.Campaign {
	s.T.Helper()
	ctx := s.T.Context()
	c := s.load(name, indexed)
	at := store.Place{Ref: store.Ref{Campaign: name}}
	s.Move(name, []int{0}, campaigntest.Step{}, campaign.Send, campaign.Accept)
	s.must(s.UpdateOutcomes(ctx, at.Ref, []int{0}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o := campaign.Outcome{Started: campaigntest.At, Conversation: "conv-" + name, Extraction: []byte(`{"call_me":"0501234567"}`)}
		return o, []campaign.Turn{{Role: "customer", Text: "it is 050-123-4567"}}
	}))
	_, err := s.SetTicket(ctx, at, nil, &campaign.Ticket{State: campaign.TicketMade, ID: "ticket-" + name, Reason: campaign.Text("call +966501234567")}, 0, 9)
	s.must(err)
	s.must(s.UpdateFollow(ctx, at, 9, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Hear("reach me on 0501234567", campaigntest.At)
		f.Read("open", []campaign.Turn{{Role: "agent", Text: "we call +966501234567"}}, campaigntest.At)
		return store.FollowDue{}, true
	}))
	s.tell(store.Event{Campaign: name}, "+966501234567", "other-conversation", "hello", false)
	s.tell(store.Event{Campaign: name}, "", "conv-"+name, "hello", false)
	s.tell(store.Event{Campaign: name}, "00966501234567", "", "hello", true)
	s.tell(store.Event{Campaign: name}, "+966501234568", "conv-omar", "call sara, +966501234567", true) // another's
	return c
}

// kept are the keys that hold a number, but for those that say who is not to be contacted.
func (s *stage) kept(phone campaign.Phone) []string {
	s.T.Helper()
	digits := strings.TrimPrefix(phone.E164(), "+")
	keys := numberscan.Find(s.T, s.Redis(), numberscan.Number{International: digits, National: digits[3:]})
	return slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "suppressed:") })
}

func TestFindListsEverything(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.live("spring", true)
	s.live("plain", false)
	s.tell(store.Event{Campaign: "no-campaign"}, "+966501234567", "c", "hello", false)
	s.must(s.RecordContacted(ctx, campaigntest.At, []campaign.Phone{sara, omar}))
	_, err := s.OpenWishes(ctx, []store.Wish{{ID: "w1", Campaign: "spring", Told: "0501234567"}, {ID: "w2", Campaign: "spring", Told: "0501234568", Contact: 1}})
	s.must(err)

	p, err := s.desk.Find(ctx, sara, false)
	s.must(err)
	text, err := json.Marshal(p)
	s.must(err)
	if strings.Contains(string(text), "501234567") || strings.Contains(string(text), "Sara") {
		t.Errorf("a number or a value stands in %s", text)
	}
	for i, name := range []string{"plain", "spring"} {
		got := p.Contacts[i]
		want := Contact{
			Campaign: name, Line: 2, State: campaign.Accepted, StateName: "accepted", Attempts: 1, ChangedAt: campaigntest.At,
			Conversation: "conv-" + name, StartedAt: campaigntest.At, TicketState: "made", TicketID: "ticket-" + name, at: store.Place{Ref: store.Ref{Campaign: name}},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Contact{})); diff != "" {
			t.Errorf("contact (-want +got):\n%s", diff)
		}
	}
	if len(p.Contacts) != 2 || len(p.Events) != 7 || len(p.Wishes) != 1 || p.Wishes[0].ID != "w1" || !slices.Equal(p.Contacted, []string{"2026-01-02"}) || p.DoNotContact {
		t.Errorf("found %+v", p)
	}
	if diff := cmp.Diff([]Rejects{{Campaign: "plain", Lines: 1}, {Campaign: "spring", Lines: 1}}, p.Rejects); diff != "" {
		t.Errorf("refused lines (-want +got):\n%s", diff)
	}

	whole, err := s.desk.Find(ctx, sara, true)
	s.must(err)
	if text, err = json.Marshal(whole); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"phone":"+966501234567"`, `{"column":"name","value":"Sara"}`, "it is 050-123-4567", `"call_me":"0501234567"`, "050 123 4567", `"line"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
	if strings.Contains(string(text), "Omar") {
		t.Errorf("another person stands in %s", text)
	}
}

func TestEraseLeavesNothingOfOneAndAllOfTheOther(t *testing.T) {
	for _, may := range []bool{false, true} {
		s := newStage(t)
		ctx := t.Context()
		s.live("spring", true)
		s.live("plain", false)
		s.load("waits", false) // pending there
		s.tell(store.Event{Campaign: "no-campaign"}, "+966501234567", "c", "hello", false)
		s.must(s.RecordContacted(ctx, time.Now(), []campaign.Phone{sara, omar}))
		before := s.kept(omar)

		done, err := s.desk.Erase(ctx, sara, may)
		s.must(err)
		want := Erasure{Contacts: 3, Rejects: 3, Events: 7, Contacted: 1, Listed: !may, Tickets: []string{"ticket-plain", "ticket-spring"}, Left: []Unsearch{}}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Errorf("erased (-want +got):\n%s", diff)
		}
		// What omar has said of her is his.
		if keys := s.kept(sara); !slices.Equal(keys, []string{"events"}) {
			t.Errorf("the number is left in %q", keys)
		}
		if diff := cmp.Diff(before, s.kept(omar)); diff != "" {
			t.Errorf("the other's number (-before +after):\n%s", diff)
		}
		if got := s.State("waits", 0); got != campaign.Canceled {
			t.Errorf("the pending contact is %v", got)
		}
		for _, name := range []string{"spring", "plain", "waits"} {
			if v, err := s.Verify(ctx, name); err != nil || len(v.Problems) > 0 || v.Contacts != 2 {
				t.Errorf("%s verified: %+v, %v", name, v, err)
			}
		}
		again, err := s.desk.Erase(ctx, sara, may)
		s.must(err)
		if diff := cmp.Diff(Erasure{Listed: !may, Left: []Unsearch{}}, again); diff != "" {
			t.Errorf("erased again (-want +got):\n%s", diff)
		}
	}
}

// A request that is on its way gets its answer first; its contact record goes, too.
func TestEraseWaitsForARequestOnItsWay(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.load("spring", true)
	ref := store.Ref{Campaign: "spring"}
	chunk, err := s.ReadChunk(ctx, ref)
	s.must(err)
	move := func(cause campaign.Cause) []store.Move {
		return []store.Move{{Move: campaign.Move{Cause: cause, At: time.Now(), Recorded: cause == campaign.Accept}}}
	}
	_, err = s.Apply(ctx, chunk, store.Change{Act: store.Begin, Token: "w/1", ClaimTTL: time.Hour, Moves: move(campaign.Send)})
	s.must(err)
	// The answer comes once Erase has looked and waits.
	s.desk.Say = func(text string) {
		if !strings.Contains(text, "spring, line 2: waits") {
			t.Errorf("said %q", text)
		}
		_, err := s.Apply(ctx, chunk, store.Change{
			Act: store.Commit, Token: "w/1", Moves: move(campaign.Accept), Contacted: []campaign.Phone{sara}, ContactedAt: time.Now(),
		})
		s.must(err)
	}
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	if done.Contacts != 1 || done.Contacted != 1 || s.State("spring", 0) != campaign.Accepted {
		t.Errorf("erased %+v, and the contact is %v", done, s.State("spring", 0))
	}
	if keys := s.kept(sara); len(keys) > 0 {
		t.Errorf("the number is left in %q", keys)
	}
}

// A dead sender's request is not waited for longer than its claim lasts.
func TestEraseEndsADeadClaim(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.load("spring", true)
	chunk, err := s.ReadChunk(ctx, store.Ref{Campaign: "spring"})
	s.must(err)
	_, err = s.Apply(ctx, chunk, store.Change{Act: store.Begin, Token: "w/1", ClaimTTL: time.Millisecond,
		Moves: []store.Move{{Move: campaign.Move{Cause: campaign.Send, At: time.Now()}}}})
	s.must(err)
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	if done.Contacts != 1 || s.State("spring", 0) != campaign.Unconfirmed {
		t.Errorf("erased %+v, and the contact is %v", done, s.State("spring", 0))
	}
}

// Interrupted after any call to Redis, the same command ends it.
func TestEraseCanBeInterruptedAnywhere(t *testing.T) {
	for after := 0; ; after += 7 {
		s := newStage(t)
		s.live("spring", true)
		s.load("waits", false)
		ctx, cancel := context.WithCancel(t.Context())
		calls := &counter{left: after, cancel: cancel}
		s.Redis().AddHook(calls)
		_, err := s.desk.Erase(ctx, sara, false)
		calls.cancel = nil
		if err == nil {
			if after == 0 {
				t.Fatal("it was never interrupted")
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d calls: %v", after, err)
		}
		if _, err := s.desk.Erase(t.Context(), sara, false); err != nil {
			t.Fatal(err)
		}
		if keys := s.kept(sara); !slices.Equal(keys, []string{"events"}) {
			t.Errorf("after %d calls the number is left in %q", after, keys)
		}
		for _, name := range []string{"spring", "waits"} {
			if v, err := s.Verify(t.Context(), name); err != nil || len(v.Problems) > 0 {
				t.Errorf("after %d calls %s is %+v, %v", after, name, v, err)
			}
		}
	}
}

// Who has asked not to be contacted stays on the list, even if the command says otherwise.
func TestEraseHeedsAWish(t *testing.T) {
	for name, wish := range map[string]func(*stage){
		"in an event that waits": func(s *stage) { s.tell(store.Event{Campaign: "spring"}, "+966501234567", "", "STOP", true) },
		"by the link":            func(s *stage) { s.tell(store.Event{Campaign: "spring", Contact: 1}, "", "", "STOP", true) },
		"that is open": func(s *stage) {
			_, err := s.OpenWishes(s.T.Context(), []store.Wish{{ID: "w", Campaign: "spring", Contact: 1}})
			s.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.load("spring", true)
			wish(s)
			done, err := s.desk.Erase(t.Context(), sara, true)
			s.must(err)
			if listed, err := s.FindSuppressed(t.Context(), []campaign.Phone{sara}); err != nil || !listed[0] || !done.Wished || !done.Listed {
				t.Errorf("listed %v, %v; erased %+v", listed, err, done)
			}
			if keys := s.kept(sara); len(keys) > 0 {
				t.Errorf("the number is left in %q", keys)
			}
		})
	}
}

// Events that the platform sends afterwards bring nothing back.
func TestLaterEventsOfTheErasedAreDropped(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.load("spring", true)
	s.Move("spring", []int{0}, campaigntest.Step{}, campaign.Send, campaign.Accept)
	_, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	for _, e := range []store.Event{{Campaign: "spring"}, {Campaign: "spring", Contact: 1}} {
		s.tell(e, "+966501234567", "conv-new", "hello", true)
		s.tell(e, "+966501234567", "conv-new", "STOP", true)
	}
	run, cancel := context.WithCancel(ctx)
	applier := events.New(events.Config{Store: s.Store, Count: func(string, int) {
		if n, err := s.WaitingEvents(ctx); err == nil && n == 0 {
			cancel()
		}
	}})
	applier.Run(run)
	if keys := s.kept(sara); len(keys) > 0 {
		t.Errorf("the number is left in %q", keys)
	}
	if open, err := s.CountWishes(ctx); err != nil || open > 0 {
		t.Errorf("%d wishes are open, %v", open, err)
	}
}

func TestWhatCannotBeSearchedIsNamed(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	_, err := s.BeginLoad(ctx, campaign.Campaign{Name: "loads", Settings: campaigntest.Settings(1, campaign.Column{Name: "phone"})})
	s.must(err)
	s.load("grows", true)
	_, err = s.BeginAppend(ctx, "grows", "more")
	s.must(err)
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	var names []string
	for _, l := range done.Left {
		names = append(names, l.Campaign)
	}
	if !slices.Equal(names, []string{"grows", "loads"}) || done.Contacts != 1 {
		t.Errorf("erased %+v", done)
	}
}

// What begins or grows while a person is erased is named, whatever it holds of them.
func TestWhatComesDuringAnErasureIsNamed(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	for _, name := range []string{"same", "grows", "grown"} {
		s.load(name, true)
	}
	once := func() {
		s.load("new", true)
		_, err := s.BeginLoad(ctx, campaign.Campaign{Name: "loads", Settings: campaigntest.Settings(1, campaign.Column{Name: "phone"})})
		s.must(err)
		_, err = s.BeginAppend(ctx, "grows", "more")
		s.must(err)
		more, err := s.BeginAppend(ctx, "grown", "more")
		s.must(err)
		s.must(more.Add(ctx, 0, []campaign.Contact{{Phone: sara, Line: 2, Fields: []string{"+966501234567", "Sara"}}}))
		_, err = more.Finish(ctx, store.Appended{Counts: campaign.Counts{Rows: 1, Contacts: 1}, Chunks: 1})
		s.must(err)
	}
	// The contact record is forgotten last of all.
	s.Redis().AddHook(before(func(cmd redis.Cmder) {
		if do := once; do != nil && cmd.Name() == "hkeys" {
			once = nil
			do()
		}
	}))
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	want := []Unsearch{
		{"grown", "contacts were appended to it during the search"}, {"grows", "contacts were appended to it during the search"},
		{"loads", "it began during the search"}, {"new", "it began during the search"},
	}
	if diff := cmp.Diff(want, done.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// One damaged event hinders no erasure, and is named.
func TestADamagedEventIsLeftAndNamed(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.live("spring", true)
	s.must(s.Redis().ZAdd(ctx, "c:{other}:unmatched", redis.Z{Score: 1, Member: "\x00\x00junk"}).Err())
	s.must(s.Redis().ZAdd(ctx, "c:{spring}:unmatched", redis.Z{Score: 1, Member: "\xff"}).Err()) // before hers
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	const why = "an unmatched event of it cannot be read; it goes a week after it came"
	if diff := cmp.Diff([]Unsearch{{"other", why}, {"spring", why}}, done.Left); diff != "" || done.Events != 3 {
		t.Errorf("erased %+v, left (-want +got):\n%s", done, diff)
	}
	if keys := s.kept(sara); !slices.Equal(keys, []string{"events"}) { // in what omar has said
		t.Errorf("the number is left in %q", keys)
	}
	if p, err := s.desk.Find(ctx, sara, false); err != nil || len(p.NotSearched) != 2 {
		t.Errorf("found %+v, %v", p, err)
	}
}

// A ticket whose maker has died is not waited for once its claim is over.
func TestEraseEndsADeadTicket(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	c := s.live("spring", true)
	at := store.Place{Ref: store.Ref{Campaign: c.Name}}
	ticket, err := s.Ticket(ctx, at)
	s.must(err)
	creating := &campaign.Ticket{State: campaign.TicketCreating, Claim: "w"}
	_, err = s.SetTicket(ctx, at, ticket, creating, time.Hour, 0)
	s.must(err)
	said := 0
	s.desk.Say = func(string) { // it waits as long as the claim lasts
		said++
		s.must(s.Redis().ZAdd(ctx, "c:{spring}:tickets_due", redis.Z{Score: 1, Member: "0/0"}).Err())
	}
	done, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	left, err := s.Ticket(ctx, at)
	s.must(err)
	if done.Contacts != 1 || said != 1 || left == nil || left.State != campaign.TicketUnconfirmed {
		t.Errorf("erased %+v after %d words; the ticket is %+v", done, said, left)
	}
	if v, err := s.Verify(ctx, "spring"); err != nil || len(v.Problems) > 0 {
		t.Errorf("verified: %+v, %v", v, err)
	}
}

// A message whose worker has died is not waited for once its claim is over, and nothing of
// a conversation in the Support Center is kept, nor added later.
func TestEraseEndsADeadMessage(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	c := s.live("spring", true)
	at := store.Place{Ref: store.Ref{Campaign: c.Name}}
	s.must(s.UpdateFollow(ctx, at, 9, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Said[0].State, f.Said[0].Claim = campaign.TicketCreating, "w"
		return store.FollowDue{After: time.Hour}, true
	}))
	said := 0
	s.desk.Say = func(string) { // it waits as long as the claim lasts
		said++
		s.must(s.Redis().ZAdd(ctx, "c:{spring}:follows_due", redis.Z{Score: 1, Member: "0/0"}).Err())
	}
	if done, err := s.desk.Erase(ctx, sara, false); err != nil || done.Contacts != 1 || said != 1 {
		t.Errorf("erased %+v after %d words, %v", done, said, err)
	}
	s.must(s.UpdateFollow(ctx, at, 9, func(f *campaign.Follow) (store.FollowDue, bool) {
		return store.FollowDue{}, f.Hear("it is me again, 0501234567", campaigntest.At)
	}))
	if n, err := s.Redis().Exists(ctx, "c:{spring}:follows:0", "c:{spring}:follows_due").Result(); n != 0 || err != nil {
		t.Errorf("%d keys are left, %v", n, err)
	}
}
