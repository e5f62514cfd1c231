package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// A stage is a real Redis with a campaign "c" whose contacts are phoneOf(0),
// phoneOf(1), …, and an applier.
type stage struct {
	*Applier
	campaigntest.Fixture
	store    *store.Store
	t        testing.TB
	rdb      *redis.Client
	campaign campaign.Campaign
	counts   map[string]int
}

const chunkSize = 50

func phoneOf(i int) campaign.Phone { return campaign.Phone(966500000000 + i) }

func newStage(t testing.TB, contacts int) *stage {
	t.Helper()
	s := emptyStage(t)
	s.campaign = s.load("c", contacts)
	return s
}

func emptyStage(t testing.TB) *stage { return stageOn(t, redistest.Shared(t)) }

func stageOn(t testing.TB, rdb *redis.Client) *stage {
	s := &stage{Fixture: campaigntest.New(t, rdb), t: t, rdb: rdb, counts: make(map[string]int)}
	s.store = s.Store
	var mu sync.Mutex
	s.Applier = New(Config{Store: s.Store, Count: func(what string, n int) {
		mu.Lock()
		defer mu.Unlock()
		s.counts[what] += n
	}})
	return s
}

func (s *stage) load(name string, contacts int) campaign.Campaign {
	s.t.Helper()
	return s.Load(campaigntest.List{
		Name: name, Settings: campaigntest.Settings(chunkSize, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(phoneOf(0), contacts, nil), Indexed: true,
	})
}

// edit changes the settings of the campaign c.
func (s *stage) edit(change func(*campaign.Settings)) {
	s.t.Helper()
	settings := s.campaign.Settings
	change(&settings)
	text, err := json.Marshal(settings)
	if err != nil {
		s.t.Fatal(err)
	}
	s.rdb.HSet(s.t.Context(), "c:{c}", "settings", text)
}

// move makes things happen to the first contacts of each chunk.
func (s *stage) move(contacts int, causes ...campaign.Cause) {
	s.t.Helper()
	places := slices.DeleteFunc(s.All("c"), func(place int) bool { return place%chunkSize >= contacts })
	s.Move("c", places, campaigntest.Step{At: noon}, causes...)
}

// post puts events of a campaign into the stream, and apply applies all there are.
func (s *stage) post(name string, bodies ...string) {
	s.t.Helper()
	for _, body := range bodies {
		if err := s.store.AddEvent(s.t.Context(), store.Event{Campaign: name, Body: []byte(body)}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) applyAll() {
	s.t.Helper()
	for {
		if err := s.fresh(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if n, err := s.store.WaitingEvents(s.t.Context()); err != nil || n == 0 {
			if err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
}

// heedAndApply does what apply does, and leaves the events where they are.
func heedAndApply(ctx context.Context, a *Applier, name string, events []store.Event) (results, error) {
	p, err := a.heedAll(ctx, name, events)
	if err != nil {
		return results{}, err
	}
	return a.applyReports(ctx, p.campaign, p.reports)
}

func (s *stage) outcome(i int) campaign.Outcome {
	s.t.Helper()
	all, err := s.store.Outcomes(s.t.Context(), store.Ref{Campaign: "c", Chunk: i / chunkSize})
	if err != nil {
		s.t.Fatal(err)
	}
	return all[i%chunkSize]
}

func (s *stage) state(i int) campaign.State { return s.State("c", i) }

// verify checks that the states add up.
func (s *stage) verify() {
	s.t.Helper()
	v, err := s.store.Verify(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, problem := range v.Problems {
		s.t.Error(problem)
	}
}

// eventOf is what the platform posts about contact i.
func eventOf(kind string, i int, conversation, result string) string {
	return fmt.Sprintf(`{"event":{"type":%q,"about":"conversation"},"conversation":{"id":%q,"phone":%q,"values":[]},"result":%s}`,
		kind, conversation, phoneOf(i).E164(), result)
}

func TestEvidence(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []campaign.Cause
		event  string
		want   campaign.State
	}{
		{"a start", []campaign.Cause{campaign.Send, campaign.Accept}, "onStarted", campaign.Started},
		{"an end before the start", []campaign.Cause{campaign.Send, campaign.Accept}, "onEnded", campaign.Ended},
		{"a message means that it began", []campaign.Cause{campaign.Send, campaign.Accept}, "onMessage", campaign.Started},
		{"before the answer of the request", []campaign.Cause{campaign.Send}, "onStarted", campaign.Started},
		{"of somebody unconfirmed", []campaign.Cause{campaign.Send, campaign.Lose}, "onStarted", campaign.Started},
		{"of somebody rerun meanwhile", []campaign.Cause{campaign.Send, campaign.Lose, campaign.Rerun}, "onStarted", campaign.Started},
		{"a start after the end", []campaign.Cause{campaign.Send, campaign.Accept, campaign.End}, "onStarted", campaign.Ended},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 2)
			s.move(1, tt.before...)
			s.post("c", eventOf(tt.event, 0, "a", `{"extraction":[]}`), eventOf(tt.event, 0, "a", `{"extraction":[]}`))
			s.applyAll()
			if got := s.state(0); got != tt.want || s.state(1) != campaign.Pending {
				t.Errorf("contact is %s, want %s; its neighbour is %s", got, tt.want, s.state(1))
			}
			if got := s.outcome(0).Conversation; got != "a" {
				t.Errorf("conversation %q", got)
			}
			if diff := cmp.Diff(map[string]int{Applied: 2, Unmatched: 0}, s.counts); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			s.verify()
		})
	}
}

func TestContactsThatWereBeingSentAreOnTheRecord(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		s := newStage(t, 2)
		s.edit(func(c *campaign.Settings) { c.Unrecorded = !recorded })
		s.move(1, campaign.Send)
		s.post("c", eventOf("onStarted", 0, "a", `{}`))
		s.applyAll()
		found, err := s.store.DaysContacted(t.Context(), time.Now(), 1, []campaign.Phone{phoneOf(0), phoneOf(1)})
		if diff := cmp.Diff([][]bool{{recorded}, {false}}, found); diff != "" || err != nil {
			t.Errorf("to be recorded: %v: %v (-want +got):\n%s", recorded, err, diff)
		}
	}
	t.Run("a contact that waits for another attempt, too", func(t *testing.T) {
		s := newStage(t, 1)
		s.move(1, campaign.Send, campaign.Retry)
		s.post("c", eventOf("onStarted", 0, "a", `{}`))
		s.applyAll()
		found, err := s.store.DaysContacted(t.Context(), time.Now(), 1, []campaign.Phone{phoneOf(0)})
		if err != nil || !found[0][0] || s.state(0) != campaign.Started {
			t.Errorf("recorded %v, contact is %s: %v", found, s.state(0), err)
		}
	})
	t.Run("or the event waits", func(t *testing.T) {
		s := newStage(t, 1)
		s.move(1, campaign.Send)
		s.rdb.Set(t.Context(), "contacted:days", "x", 0)
		_, err := heedAndApply(t.Context(), s.Applier, "c", []store.Event{{Campaign: "c", Body: []byte(eventOf("onStarted", 0, "a", `{}`))}})
		if err == nil || s.state(0) != campaign.Sending {
			t.Errorf("%v; contact is %s", err, s.state(0))
		}
	})
}

func TestEventsOfAnEarlierRunMoveNothing(t *testing.T) {
	s := newStage(t, 1)
	s.move(1, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	s.move(1, campaign.Rerun)
	s.post("c", eventOf("onEnded", 0, "a", `{"extraction":{"late":1}}`))
	s.applyAll()
	if got := s.state(0); got != campaign.Pending {
		t.Errorf("contact is %s, want pending", got)
	}
	s.move(1, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onStarted", 0, "b", `{}`), eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	if got, o := s.state(0), s.outcome(0); got != campaign.Started || o.Conversation != "b" || o.Extraction != nil {
		t.Errorf("contact is %s, %+v", got, o)
	}
	s.verify()
}

func TestNoHistoryIsKeptWhereNoneIsWanted(t *testing.T) {
	for _, kept := range []bool{true, false} {
		s := newStage(t, 1)
		s.move(1, campaign.Send, campaign.Accept)
		s.edit(func(c *campaign.Settings) { c.NoHistory = !kept })
		s.post("c", eventOf("onEnded", 0, "a", `{"extraction":{"a":1},"history":[{"role":"customer","message":"hello"},{"role":"agent","message":"hi"}]}`))
		s.applyAll()
		history, err := s.store.History(t.Context(), store.Ref{Campaign: "c"}, 0)
		if err != nil || (len(history) > 0) != kept || s.outcome(0).Messages() != 1 || s.outcome(0).Extraction == nil {
			t.Errorf("history kept: %v: %v, %v, %+v", kept, err, history, s.outcome(0))
		}
	}
}

func TestOneRetryMatchesAllThatItCan(t *testing.T) {
	const contacts = batchEvents + chunkSize
	s := newStage(t, contacts)
	for i := range contacts {
		s.post("c", eventOf("onStarted", i, fmt.Sprint("conversation ", i), `{}`))
	}
	s.applyAll()
	s.move(chunkSize, campaign.Send)
	if err := s.retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if counts, err := s.store.EventCounts(t.Context(), "c"); err != nil || counts.Kept != 0 || counts.Applied != contacts {
		t.Errorf("%+v, %v, want all %d applied", counts, err, contacts)
	}
}

func TestUnmatchedEventsAreKeptAndMatchedLater(t *testing.T) {
	s := newStage(t, 2)
	ctx := t.Context()
	s.post("c",
		eventOf("onStarted", 0, "a", `{}`), eventOf("onStarted", 0, "a", `{}`), // not sent yet
		eventOf("onStarted", 9, "b", `{}`), // not in the list
		`{"event":{"type":"onStarted"},"conversation":{"phone":"none"}}`,
		"junk")
	if err := s.store.AddEvent(ctx, store.Event{Campaign: "c", Contact: 3, Body: []byte(eventOf("onStarted", 0, "a", `{}`))}); err != nil {
		t.Fatal(err)
	}
	s.post("gone", eventOf("onStarted", 0, "a", `{}`))
	s.applyAll()
	if s.state(0) != campaign.Pending {
		t.Error("a contact that was never sent has moved")
	}
	why := func(name string) map[string]int {
		kept, err := s.store.Unmatched(ctx, name, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		reasons := make(map[string]int)
		for _, e := range kept {
			reasons[e.Why.String()]++
		}
		return reasons
	}
	if diff := cmp.Diff(map[string]int{"the contact was never sent": 1, "no such number in the list": 3, "not readable": 1}, why("c")); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"no such campaign": 1}, why("gone")); diff != "" {
		t.Errorf("kept of another (-want +got):\n%s", diff)
	}

	s.move(1, campaign.Send, campaign.Accept)
	for range 2 {
		if err := s.retry(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.state(0); got != campaign.Started {
		t.Errorf("contact is %s, want started", got)
	}
	counts, err := s.store.EventCounts(ctx, "c")
	counts.KeptBytes = 0
	if diff := cmp.Diff(store.EventCounts{Applied: 1, Unmatched: 4, Kept: 4}, counts); err != nil || diff != "" {
		t.Errorf("%v, counts (-want +got):\n%s", err, diff)
	}
	if ttl := s.rdb.TTL(ctx, "c:{gone}:unmatched").Val(); ttl <= 6*24*time.Hour || ttl > 7*24*time.Hour {
		t.Errorf("kept for %v", ttl)
	}
	s.verify()
}

// hostile are events that somebody with a valid link may post.
var hostile = []string{
	eventOf("onUpdate", 0, "a", `{"extraction":[1,2],"message":"none","history":{"a":1}}`),
	eventOf("onUpdate", 0, "a", `{"extraction":"text","message":[],"history":[1,null,{"role":{}}]}`),
	eventOf("onUpdate", 0, strings.Repeat("x", 10_000), `{"extraction":{"":1,"`+strings.Repeat("k", 5000)+`":2}}`),
	eventOf("onEnded", 0, "a", `{"extraction":{"a":{"b":["<script>",null]}}}`),
	`{"event":{"type":"onEnded"},"conversation":{"id":{"a":1},"phone":966500000000,"created_at":"9999-99-99"}}`,
	`{"event":{"type":"ondone","about":"call"},"call":{"phone":"00966500000000"},"result":{"goals":[],"history":[{"role":"user","content":"x","timeAdded":1}]}}`,
}

func TestHostileEventsDoNoHarm(t *testing.T) {
	s := newStage(t, 2)
	s.move(2, campaign.Send, campaign.Accept)
	s.post("c", hostile...)
	for i := range 500 {
		s.post("c", eventOf("onUpdate", 1, "b", fmt.Sprintf(`{"extraction":{"key%d":1}}`, i)))
	}
	s.post("c", eventOf("onEnded", 1, "b", `{}`))
	s.applyAll()
	if s.state(0) != campaign.Ended || s.state(1) != campaign.Ended {
		t.Errorf("contacts are %s and %s", s.state(0), s.state(1))
	}
	keys, err := s.store.ExtractionKeys(t.Context(), "c")
	if err != nil || len(keys) > 200 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	s.verify()
}

// TestConversationsEndToEnd lets the stand-in platform report conversations in
// disorder and twice over, to two appliers at once.
func TestConversationsEndToEnd(t *testing.T) {
	for _, oldVoice := range []bool{false, true} {
		t.Run(fmt.Sprintf("older voice shape %v", oldVoice), func(t *testing.T) {
			const contacts = 120
			s := newStage(t, contacts)
			inbox := httptest.NewServer(&webhook.Inbox{Events: s.store, Secret: "secret", Authorization: "key", Log: slog.New(slog.DiscardHandler)})
			defer inbox.Close()
			platform, err := sandbox.New(sandbox.Config{Limit: sandbox.Unlimited, Webhooks: sandbox.Webhooks{
				Enabled: true, Secret: "key", Duplicates: 0.5, Disorder: 0.5, OldVoice: oldVoice,
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer platform.Close()
			server := httptest.NewServer(platform)
			defer server.Close()
			client, err := velents.New(velents.Config{BaseURL: server.URL, Token: "t"})
			if err != nil {
				t.Fatal(err)
			}
			s.move(chunkSize, campaign.Send, campaign.Lose) // every answer is lost
			batch := velents.Batch{ChannelID: 3, Name: "b", Webhook: &velents.Webhook{
				Link: webhook.Link(inbox.URL, "secret", webhook.Target{Campaign: "c"}),
			}}
			for i := range contacts {
				batch.Rows = append(batch.Rows, velents.Row{Phone: phoneOf(i).E164()})
			}
			if _, err := client.Batch(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			complete := func() bool {
				for i := range contacts {
					o := s.outcome(i)
					if s.state(i) != campaign.Ended || o.Ended.IsZero() || o.Messages() != 1 || o.Turns != 2 {
						return false
					}
				}
				return true
			}
			var g sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			defer g.Wait()
			defer stop()
			for range 2 {
				g.Go(func() { s.Run(ctx) })
			}
			for !complete() && t.Context().Err() == nil {
				s.applyAll() // a third, which waits for events
			}
			s.verify()
			if kept, err := s.store.Unmatched(t.Context(), "c", 0, 10); err != nil || len(kept) > 0 {
				t.Errorf("%d unmatched, %v", len(kept), err)
			}
			keys, err := s.store.ExtractionKeys(t.Context(), "c")
			if diff := cmp.Diff([]string{"interested", "summary"}, keys); err != nil || diff != "" {
				t.Errorf("%v, keys (-want +got):\n%s", err, diff)
			}
			history, err := s.store.History(t.Context(), store.Ref{Campaign: "c", Chunk: 1}, 7)
			if err != nil || len(history) != 2 || history[1].Text != "Of course, here is what we offer." {
				t.Errorf("%v, history %v", err, history)
			}
		})
	}
}

func TestEventsOfAWorkerThatDiedAreTakenOver(t *testing.T) {
	s := newStage(t, 1)
	s.move(1, campaign.Send, campaign.Accept)
	ctx := t.Context()
	for range 2 { // the first makes the group
		s.post("c", eventOf("onEnded", 0, "a", `{}`))
		if _, err := s.store.NextEvents(ctx, 10, time.Millisecond); err != nil { // and dies
			t.Fatal(err)
		}
	}
	if err := s.stale(ctx); err != nil || s.state(0) != campaign.Accepted {
		t.Errorf("%v; an event just taken is taken over: %s", err, s.state(0))
	}
	taken, err := s.store.StaleEvents(ctx, 10, 0)
	if err != nil || len(taken) != 2 {
		t.Fatalf("%d events, %v", len(taken), err)
	}
	for range 2 { // twice: a worker that was only slow does so, too
		if err := s.apply(ctx, taken); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.store.WaitingEvents(ctx); s.state(0) != campaign.Ended || n != 0 || err != nil {
		t.Errorf("contact is %s, %d events wait, %v", s.state(0), n, err)
	}
	s.verify()
}

func TestAnEventThatAlwaysFailsIsGivenUpInTheEnd(t *testing.T) {
	s := newStage(t, chunkSize+2)
	s.move(2, campaign.Send, campaign.Accept)
	ctx := t.Context()
	s.rdb.HSet(ctx, "c:{c}:out:0", "0", "damaged")
	s.rdb.Set(ctx, "c:{c}:out:1", "no hash", 0)
	old := time.Now().Add(-8 * 24 * time.Hour).UnixMilli()
	for i, contact := range []int{0, 1, chunkSize, chunkSize + 1} {
		body := eventOf("onEnded", contact, fmt.Sprint(contact), `{}`)
		s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: "events", ID: fmt.Sprintf("%d-%d", old, i), Values: []any{"campaign", "c", "contact", 0, "body", body}})
	}
	if err := s.fresh(ctx); err != nil { // makes the group
		t.Fatal(err)
	}
	err := s.fresh(ctx)
	for _, want := range []string{"outcomes of chunk c/0: contact 0: ", "read outcomes of chunk c/1: WRONGTYPE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if n, _ := s.store.WaitingEvents(ctx); n != 3 || s.state(1) != campaign.Ended || s.counts[Applied] != 1 {
		t.Errorf("%d events wait, and the other contact of the chunk is %s", n, s.state(1))
	}
	for i := range 4 {
		s.rdb.Do(ctx, "XCLAIM", "events", "apply", "worker", 0, fmt.Sprintf("%d-%d", old, i), "IDLE", 60_000)
	}
	if err := s.stale(ctx); err == nil {
		t.Error("no error")
	}
	if n, _ := s.store.WaitingEvents(ctx); n != 0 {
		t.Errorf("%d events wait", n)
	}
}

// What is damaged of one contact gives up no event of another.
func TestOnlyTheEventThatFailsIsGivenUp(t *testing.T) {
	s := newStage(t, 3*chunkSize)
	s.move(3, campaign.Send, campaign.Accept)
	ctx := t.Context()
	if err := s.fresh(ctx); err != nil { // makes the group
		t.Fatal(err)
	}
	s.rdb.HSet(ctx, "c:{c}:k:0", "rows", "damaged")
	old := time.Now().Add(-giveUpAfter - time.Hour).UnixMilli()
	for i, e := range []store.Event{
		{Contact: 1, Body: []byte(stopOf(0))}, // whose number cannot be read: no event of the page is applied
		{Body: []byte(eventOf("onEnded", chunkSize, "b", `{}`))},
		{Body: []byte(stopOf(chunkSize + 1))},
		{Body: []byte(stopOf(2 * chunkSize))},
	} {
		id := fmt.Sprintf("%d-%d", old, i)
		s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: "events", ID: id, Values: []any{"campaign", "c", "contact", e.Contact, "body", e.Body}})
	}
	if err := s.fresh(ctx); err == nil {
		t.Error("no error")
	}
	for i := range 4 {
		s.rdb.Do(ctx, "XCLAIM", "events", "apply", "worker", 0, fmt.Sprintf("%d-%d", old, i), "IDLE", 60_000)
	}
	if err := s.stale(ctx); err == nil || s.state(chunkSize) != campaign.Ended || s.state(chunkSize+1) != campaign.Started {
		t.Errorf("%v; contacts are %s and %s", err, s.state(chunkSize), s.state(chunkSize+1))
	}
	if diff := cmp.Diff([]string{notApplied}, s.open()); diff != "" || s.counts[Applied] != 3 {
		t.Errorf("counted %v, open (-want +got):\n%s", s.counts, diff)
	}
	if diff := cmp.Diff([]int{chunkSize + 1, 2 * chunkSize}, s.suppressed()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
	if n, err := s.store.WaitingEvents(ctx); n != 0 || err != nil {
		t.Errorf("%d events wait, %v", n, err)
	}
}

// Events that were applied are not given up for others of their page.
func TestAnAppliedEventIsNotGivenUp(t *testing.T) {
	s := newStage(t, chunkSize+1)
	s.move(1, campaign.Send, campaign.Accept)
	ctx := t.Context()
	s.rdb.HSet(ctx, "c:{c}:out:0", "0", "damaged")
	if err := s.fresh(ctx); err != nil { // makes the group
		t.Fatal(err)
	}
	old := time.Now().Add(-giveUpAfter - time.Hour).UnixMilli()
	for i, body := range []string{eventOf("onEnded", 0, "a", `{}`), stopOf(chunkSize)} {
		s.rdb.XAdd(ctx, addEvent(fmt.Sprintf("%d-%d", old, i), body))
	}
	if _, err := s.store.NextEvents(ctx, 10, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		s.rdb.Do(ctx, "XCLAIM", "events", "apply", "worker", 0, fmt.Sprintf("%d-%d", old, i), "IDLE", 60_000)
	}
	if err := s.stale(ctx); err == nil || len(s.open()) > 0 || s.counts[Applied] != 1 {
		t.Errorf("%v; open %v, counted %v", err, s.open(), s.counts)
	}
}

// erasing erases a contact at one moment while an event of it is applied.
type erasing struct {
	keeper
	whileTold, whileRecorded func()
}

func (k erasing) UpdateOutcomes(ctx context.Context, ref store.Ref, contacts []int, change func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn)) error {
	return k.keeper.UpdateOutcomes(ctx, ref, contacts, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o, turns := change(index, o)
		k.whileTold()
		return o, turns
	})
}

func (k erasing) RecordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error {
	k.whileRecorded()
	return k.keeper.RecordContacted(ctx, at, phones)
}

func TestAContactThatIsErasedWhileItsEventIsApplied(t *testing.T) {
	for _, tt := range []struct {
		name                string
		whileTold, recorded bool
	}{{name: "told", whileTold: true, recorded: true}, {name: "told, without a contact record", whileTold: true}, {name: "recorded", recorded: true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 2)
			s.edit(func(c *campaign.Settings) { c.Unrecorded = !tt.recorded })
			s.move(2, campaign.Send, campaign.Lose)
			ctx := t.Context()
			erase := sync.OnceFunc(func() {
				c, err := s.store.Campaign(ctx, "c")
				if err == nil {
					err = s.store.EraseContact(ctx, c, store.Place{Ref: store.Ref{Campaign: "c"}}, phoneOf(0), "test")
				}
				if err != nil {
					t.Error(err)
				}
			})
			k := erasing{s.store, func() {}, erase}
			if tt.whileTold {
				k.whileTold = erase
			}
			s.Applier = New(Config{Store: k})
			s.post("c", eventOf("onEnded", 0, "a", `{}`), eventOf("onEnded", 1, "b", `{}`))
			s.applyAll()
			on, err := s.store.DaysContacted(ctx, time.Now(), 1, []campaign.Phone{phoneOf(0), 0, phoneOf(1)})
			if diff := cmp.Diff([][]bool{{false}, {false}, {tt.recorded}}, on); err != nil || diff != "" {
				t.Errorf("%v, on the contact record (-want +got):\n%s", err, diff)
			}
			if s.state(0) != campaign.Unconfirmed || s.state(1) != campaign.Ended || s.outcome(0).Known() {
				t.Errorf("contacts are %s and %s; outcome %+v", s.state(0), s.state(1), s.outcome(0))
			}
			s.verify()
		})
	}
}

func TestAChunkThatIsGone(t *testing.T) {
	s := newStage(t, 1)
	s.rdb.Del(t.Context(), "c:{c}:l:0")
	s.post("c", eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	if s.counts[Unmatched] != 1 {
		t.Errorf("counted %v", s.counts)
	}
}

func TestRedisAway(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	a := New(Config{Store: store.New(rdb)})
	for name, do := range map[string]func(context.Context) error{"fresh": a.fresh, "stale": a.stale, "retry": a.retry, "retry in turn": a.retryInTurn} {
		if err := do(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := heedAndApply(t.Context(), a, "c", []store.Event{{Campaign: "c"}}); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("apply: %v", err)
	}
}

// BenchmarkEvents posts and applies events of contacts in no order, as they come
// from a large campaign.
func BenchmarkEvents(b *testing.B) {
	const contacts = 20_000
	s := newStage(b, contacts)
	s.move(chunkSize, campaign.Send, campaign.Accept)
	inbox := &webhook.Inbox{Events: s.store, Secret: "secret", Log: slog.New(slog.DiscardHandler)}
	link := strings.TrimPrefix(webhook.Link("http://in", "secret", webhook.Target{Campaign: "c"}), "http://in")
	turns, _ := json.Marshal([]map[string]string{{"role": "customer", "message": strings.Repeat("what does it cost? ", 10), "timestamp": "2026-03-01T12:00:00Z"}})
	bodies := make(chan string, batchEvents)
	write := func(from int) {
		for k := range batchEvents {
			i := (from + k) * 7919 % contacts
			bodies <- eventOf("onUpdate", i, fmt.Sprint("a", i), fmt.Sprintf(`{"extraction":{"intent":"buy"},"message":{"customer":"x","agent":"y","timestamp":"2026-03-01T12:00:%02dZ"},"history":%s}`, (from+k)/contacts%60, turns))
		}
	}
	post := func() {
		var g sync.WaitGroup
		for range 16 {
			g.Go(func() {
				for {
					select {
					case body := <-bodies:
						answer := httptest.NewRecorder()
						inbox.ServeHTTP(answer, httptest.NewRequest("POST", link, strings.NewReader(body)))
						if answer.Code != http.StatusNoContent {
							b.Error(answer.Code)
						}
					default:
						return
					}
				}
			})
		}
		g.Wait()
	}
	for _, part := range []struct {
		name           string
		store, applied bool
	}{{"store", true, false}, {"apply", false, true}, {"both", true, true}} {
		b.Run(part.name, func(b *testing.B) {
			posted := 0
			for b.Loop() {
				if !part.store {
					b.StopTimer()
				}
				write(posted)
				post()
				posted += batchEvents
				if !part.store {
					b.StartTimer()
				}
				if !part.applied {
					b.StopTimer()
				}
				s.applyAll()
				if !part.applied {
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(posted)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// What the platform tells after a purge is thrown away.
func TestEventsAfterAPurge(t *testing.T) {
	s := newStage(t, 2)
	s.move(2, campaign.Send, campaign.Accept)
	if err := s.store.Purge(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s.post("c", eventOf("end", 0, "one", `{}`), eventOf("end", 7, "two", `{}`))
	s.applyAll()
	if diff := cmp.Diff(map[string]int{Applied: 0, Unmatched: 0, Dropped: 2}, s.counts); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if left := s.rdb.Keys(t.Context(), "c:{c}:[kuo]*").Val(); len(left) > 0 {
		t.Errorf("kept %q", left)
	}
	s.verify()
}
