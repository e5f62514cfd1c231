package events

import (
	"context"
	"encoding/json"
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
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/jobs"
	"campaign-runner/jobs/webhook"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// people are a list with numbers of countries that write them in two ways.
var people = []campaign.Phone{966501234567, 5215512345678, 525587654321, 551187654321, 5521998765432, 541123456789, 5491198765432, 201145803442}

const saudi = 0 // of people

// launchPeople loads a campaign of people and has sent to all of them.
func (s *stage) launchPeople(name string, mode campaign.Mode, sent bool) campaign.Campaign {
	s.t.Helper()
	settings := campaigntest.Settings(3, campaign.Column{Name: "phone"})
	settings.Mode, settings.Region = mode, "SA"
	var contacts []campaign.Contact
	for i, phone := range people {
		contacts = append(contacts, campaign.Contact{Phone: phone, Line: i + 2, Fields: []string{phone.E164()}})
	}
	c := s.Load(campaigntest.List{Name: name, Settings: settings, Contacts: contacts, Indexed: true})
	if sent {
		s.Move(name, s.All(name), campaigntest.Step{At: noon}, campaign.Send, campaign.Accept)
	}
	return c
}

// says is an event of a conversation, with what stands where its number is as JSON;
// empty for nothing.
func says(conversation, phone, customer string) string {
	fields := []string{}
	if conversation != "" {
		fields = append(fields, fmt.Sprintf(`"id":%q`, conversation))
	}
	if phone != "" {
		fields = append(fields, `"phone":`+phone)
	}
	return fmt.Sprintf(`{"event":{"type":"onMessage","about":"conversation"},"conversation":{%s},"result":{"extraction":[],"message":{"customer":%q,"agent":"ok","timestamp":"2026-03-01T12:00:00Z"}}}`,
		strings.Join(fields, ","), customer)
}

// deliver posts events to an inbox over HTTP and applies them.
func (s *stage) deliver(to webhook.Target, bodies ...string) {
	s.t.Helper()
	inbox := httptest.NewServer(&webhook.Inbox{Events: s.store, Secret: "secret", Log: slog.New(slog.DiscardHandler)})
	defer inbox.Close()
	for _, body := range bodies {
		answer, err := http.Post(webhook.Link(inbox.URL, "secret", to), "application/json", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent {
			s.t.Fatalf("the inbox answers %d to %s", answer.StatusCode, body)
		}
	}
	s.applyAll()
}

// Why a wish is open, in English.
const (
	noNumber       = "the event tells no number, and nothing is known of its conversation"
	unlistedNumber = "nobody in the list has the number that the event tells; it is on the do-not-contact list"
	anotherNumber  = "the contact is on the do-not-contact list; the event tells another number, which is not"
	notApplied     = "the event could not be applied"
)

// stopped are the places in people of those who are not to be contacted.
func (s *stage) stopped() (places []int) {
	s.t.Helper()
	found, err := s.store.FindSuppressed(s.t.Context(), people)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, is := range found {
		if is {
			places = append(places, i)
		}
	}
	return places
}

func (s *stage) open() (whys []string) {
	s.t.Helper()
	wishes, err := s.store.Wishes(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range wishes {
		whys = append(whys, w.Why.String())
	}
	return whys
}

// A STOP whose number is spelled in another way than in the list is that contact's.
func TestStopInEverySpelling(t *testing.T) {
	spellings := []struct {
		name  string
		phone string // as JSON
		who   int    // of people
	}{
		{"as it was sent", `"+966501234567"`, saudi},
		{"without its plus", `"966501234567"`, saudi},
		{"as a number of JSON", `966501234567`, saudi},
		{"as a large number of JSON", `9.66501234567e+11`, saudi},
		{"with 00", `"00966501234567"`, saudi},
		{"with WhatsApp's scheme", `"whatsapp:+966501234567"`, saudi},
		{"with that of telephones", `"tel:+966-50-123-4567"`, saudi},
		{"as WhatsApp's address", `"966501234567@s.whatsapp.net"`, saudi},
		{"in Arabic digits", `"٩٦٦٥٠١٢٣٤٥٦٧"`, saudi},
		{"in Arabic digits with spaces", `"+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧"`, saudi},
		{"with punctuation", `" +966 (50) 123-4567 "`, saudi},
		{"with the trunk zero kept", `"9660501234567"`, saudi},
		{"with the trunk zero kept and a plus", `"+966 (0) 50 123 4567"`, saudi},
		{"as it is dialled at home", `"0501234567"`, saudi},
		{"as it is dialled at home without the zero", `"501234567"`, saudi},
		{"of Mexico without the 1", `"+525512345678"`, 1},
		{"of Mexico with the 1", `"5215587654321"`, 2},
		{"of Brazil with the ninth digit", `"+5511987654321"`, 3},
		{"of Brazil without it", `"552198765432"`, 4},
		{"of Argentina with the 9", `"5491123456789"`, 5},
		{"of Argentina without it", `"+541198765432"`, 6},
		{"of Egypt with the trunk zero kept", `"2001145803442"`, 7},
	}
	for _, tt := range spellings {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []campaign.Mode{campaign.Batch, campaign.Dispatch} {
				s := emptyStage(t)
				s.launchPeople("c", mode, true)
				to := webhook.Target{Campaign: "c"}
				if mode == campaign.Dispatch {
					to.Contact = tt.who + 1
				}
				s.deliver(to, says("a", tt.phone, "hello"), says("a", tt.phone, "STOP"), says("a", tt.phone, "STOP"))
				if diff := cmp.Diff([]int{tt.who}, s.stopped()); diff != "" {
					t.Errorf("%s: on the list (-want +got):\n%s", mode, diff)
				}
				if open := s.open(); len(open) > 0 {
					t.Errorf("%s: open: %v", mode, open)
				}
				if s.counts[OptedOut] != 1 || s.counts[Unmatched] != 0 {
					t.Errorf("%s: counted %v", mode, s.counts)
				}
			}
		})
	}
}

// The next campaign's worker asks the platform for everybody but those who said STOP,
// however the platform spelled them.
func TestTheNextCampaignLeavesOutWhoSaidStop(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Batch, true)
	s.deliver(webhook.Target{Campaign: "c"},
		says("a", `"whatsapp:+9660501234567"`, "STOP"), says("b", `"525512345678"`, "إلغاء"), says("d", `5511987654321`, "Pare"), says("e", `"5491123456789"`, "basta"),
		says("f", `"+201145803442"`, "hello"), says("f", `"SA.1349502617838"`, "stop"))
	if diff := cmp.Diff([]int{0, 1, 3, 5, 7}, s.stopped()); diff != "" {
		t.Fatalf("on the list (-want +got):\n%s", diff)
	}
	s.nextCampaignLeavesOut(0, 1, 3, 5, 7)
}

// nextCampaignLeavesOut has a worker send another campaign to all people, and checks which
// of them the platform was not asked to contact.
func (s *stage) nextCampaignLeavesOut(who ...int) {
	s.t.Helper()
	var mu sync.Mutex
	var asked []string
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch struct{ Rows []struct{ Phone string } }
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			s.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, row := range batch.Rows {
			asked = append(asked, row.Phone)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":1}`)
	}))
	defer platform.Close()
	client, err := velents.New(velents.Config{BaseURL: platform.URL, Token: "t", Timeout: 5 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	quota, err := ratelimit.New(ratelimit.Config{Rate: ratelimit.Rate{}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.launchPeople("next", campaign.Batch, false)
	w, err := jobs.NewWorker(jobs.Config{Store: s.store, Agents: []jobs.Agent{{Name: "default", Platform: client, Quota: quota}}, RequestTimeout: 5 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(s.t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		tally, err := s.store.Tally(ctx, "next")
		if err != nil {
			s.t.Fatalf("the next campaign does not end: %v", err)
		}
		if tally.Open() == 0 {
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		s.t.Error(err)
	}
	var want []string
	for i, phone := range people {
		if !slices.Contains(who, i) {
			want = append(want, phone.E164())
		}
	}
	slices.Sort(want)
	slices.Sort(asked)
	if diff := cmp.Diff(want, asked); diff != "" {
		s.t.Errorf("contacted by the next campaign (-want +got):\n%s", diff)
	}
}

// The link says whose a STOP is, whatever number is told.
func TestStopAtALinkWithAContact(t *testing.T) {
	for _, tt := range []struct {
		name, phone string
		open        []string
	}{
		{"no number", ``, nil},
		{"an empty one", `""`, nil},
		{"null", `null`, nil},
		{"an id of a user", `"SA.1349502617838"`, nil},
		{"the number of another contact of the list", `"+201145803442"`, []string{anotherNumber}},
		{"a number that no contact has", `"+966509999999"`, []string{anotherNumber}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Dispatch, true)
			to := webhook.Target{Campaign: "c", Contact: 2}
			for range 2 {
				s.deliver(to, says("a", tt.phone, "STOP"))
			}
			if diff := cmp.Diff([]int{1}, s.stopped()); diff != "" {
				t.Errorf("on the list (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.open, s.open()); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
			if got, want := s.counts[Open], len(tt.open); got != want {
				t.Errorf("%d opened, want %d", got, want)
			}
			if tt.open == nil {
				return
			}
			number := campaign.Phone(201145803442)
			if strings.Contains(tt.phone, "9999") {
				number = 966509999999
			}
			if found, err := s.store.FindSuppressed(t.Context(), []campaign.Phone{number}); err != nil || found[0] {
				t.Errorf("another's number is on the list: %v, %v", found, err)
			}
			// A person looks into it, and puts the number on the list.
			if _, err := s.store.Suppress(t.Context(), []campaign.Phone{number}); err != nil {
				t.Fatal(err)
			}
			if err := s.retry(t.Context()); err != nil {
				t.Fatal(err)
			}
			if open := s.open(); len(open) > 0 {
				t.Errorf("still open: %v", open)
			}
			s.deliver(to, says("a", tt.phone, "STOP"))
			if open := s.open(); len(open) > 0 {
				t.Errorf("open again: %v", open)
			}
		})
	}
}

// A link of many contacts: by conversation, or the wish stays open.
func TestStopWithoutANumber(t *testing.T) {
	to := webhook.Target{Campaign: "c"}
	for _, phone := range []string{``, `""`, `null`, `"SA.1349502617838"`, `{"id":1}`} {
		t.Run("phone is "+phone, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			s.deliver(to, says("known", `"+5215512345678"`, "hello"))
			s.deliver(to, says("known", phone, "STOP"))
			if diff := cmp.Diff([]int{1}, s.stopped()); diff != "" || len(s.open()) > 0 {
				t.Errorf("open: %v, on the list (-want +got):\n%s", s.open(), diff)
			}
			chunk, err := s.store.ReadLedger(t.Context(), store.Ref{Campaign: "c"})
			if err != nil || s.counts[Unmatched] != 0 || chunk.Record(1).State != campaign.Started {
				t.Errorf("%v, counted %v", err, s.counts)
			}

			// Nothing is known of another conversation.
			for range 3 {
				s.deliver(to, says("later", phone, "STOP"), says("later", phone, "bye"))
			}
			if diff := cmp.Diff([]string{noNumber}, s.open()); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
			if err := s.retry(t.Context()); err != nil || len(s.open()) != 1 {
				t.Errorf("%v, open after a while: %v", err, s.open())
			}
			// A later event tells the number.
			s.deliver(to, says("later", `"201145803442"`, "bye"))
			if diff := cmp.Diff([]int{1, 7}, s.stopped()); diff != "" || len(s.open()) > 0 {
				t.Errorf("open: %v, on the list (-want +got):\n%s", s.open(), diff)
			}
		})
	}
}

// An open wish does not vanish with the week for which events are kept, nor with the
// campaign.
func TestAnOpenWishStaysOpen(t *testing.T) {
	s := emptyStage(t)
	c := s.launchPeople("c", campaign.Batch, true)
	s.deliver(webhook.Target{Campaign: "c"}, says("x", ``, "STOP"), says("", ``, "STOP"), says("", `"SA.1349"`, "STOP"))
	if n := len(s.open()); n != 3 {
		t.Fatalf("%d are open, want 3", n)
	}
	if ttl := s.rdb.TTL(t.Context(), "{wishes}").Val(); ttl != -1 {
		t.Errorf("they last for %v", ttl)
	}
	if err := s.store.Purge(t.Context(), c.Name); err != nil {
		t.Fatal(err)
	}
	if err := s.retry(t.Context()); err != nil || len(s.open()) != 3 {
		t.Errorf("%v, open: %v", err, s.open())
	}
	if left := s.rdb.Keys(t.Context(), "c:{c}:conv").Val(); len(left) > 0 {
		t.Errorf("conversations outlive the purge: %v", left)
	}
	wishes, err := s.store.Wishes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.store.CloseWish(t.Context(), wishes[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	s.deliver(webhook.Target{Campaign: "c"}, says("x", ``, "STOP"), says("", ``, "STOP"), says("", `"SA.1349"`, "STOP"))
	if n := len(s.open()); n != 2 {
		t.Errorf("%d are open after one was closed and told again, want 2", n)
	}
}

// Of a campaign that is purged or not there, the number that is told counts, if it can
// be read.
func TestStopOfACampaignThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		name, campaign, phone string
		contact               int
		stopped               []int
		open                  []string
	}{
		{"purged, with a number", "c", `"966501234567"`, 0, []int{0}, nil},
		{"purged, with one of its region", "c", `"0501234567"`, 0, []int{0}, nil},
		{"purged, of one contact", "c", `"966501234567"`, 1, []int{0}, nil},
		{"purged, without a number", "c", ``, 0, nil, []string{noNumber}},
		{"purged, of one contact without a number", "c", ``, 1, nil, []string{noNumber}},
		{"unknown, with a number", "gone", `"whatsapp:+966501234567"`, 0, []int{0}, nil},
		{"unknown, without a number", "gone", `"SA.13"`, 0, nil, []string{noNumber}},
		{"unknown, with a number of an unknown region", "gone", `"0501234567"`, 0, nil, []string{noNumber}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			if err := s.store.Purge(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			s.deliver(webhook.Target{Campaign: tt.campaign, Contact: tt.contact}, says("x", tt.phone, "STOP"))
			if diff := cmp.Diff(tt.stopped, s.stopped()); diff != "" {
				t.Errorf("on the list (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.open, s.open()); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
		})
	}
}

// The number is on the list, and the person of the campaign is still to be found.
func TestStopFromANumberThatNobodyHas(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Batch, true)
	to := webhook.Target{Campaign: "c"}
	s.deliver(to, says("x", `"+966509999999"`, "STOP"), says("x", ``, "STOP"))
	if found, err := s.store.FindSuppressed(t.Context(), []campaign.Phone{966509999999}); err != nil || !found[0] {
		t.Errorf("on the list: %v, %v", found, err)
	}
	if diff := cmp.Diff([]string{unlistedNumber}, s.open()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	// Once taken off the list, the number is not put there again by the retries.
	if _, err := s.store.Unsuppress(t.Context(), []campaign.Phone{966509999999}); err != nil {
		t.Fatal(err)
	}
	if err := s.retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := s.store.FindSuppressed(t.Context(), []campaign.Phone{966509999999}); err != nil || found[0] {
		t.Errorf("on the list again: %v, %v", found, err)
	}
	// A conversation that is known to be somebody's: the person is on the list, the
	// other number is not.
	s.deliver(to, says("y", `"+966501234567"`, "hello"))
	s.deliver(to, says("y", `"+966508888888"`, "STOP"))
	if diff := cmp.Diff([]int{saudi}, s.stopped()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{unlistedNumber, anotherNumber}, s.open()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
}

// A conversation that two contacts have belongs to neither.
func TestAConversationOfTwoContacts(t *testing.T) {
	for name, together := range map[string]bool{"in one batch": true, "one after the other": false} {
		t.Run(name, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			to := webhook.Target{Campaign: "c"}
			first, second := says("x", `"+966501234567"`, "hello"), says("x", `"+201145803442"`, "hello")
			if together {
				s.deliver(to, first, second)
			} else {
				s.deliver(to, first)
				s.deliver(to, second)
			}
			s.deliver(to, says("x", ``, "STOP"))
			if diff := cmp.Diff([]string{noNumber}, s.open()); diff != "" || len(s.stopped()) > 0 {
				t.Errorf("on the list: %v, open (-want +got):\n%s", s.stopped(), diff)
			}
			s.deliver(to, says("x", `"+201145803442"`, "STOP"))
			if diff := cmp.Diff([]int{7}, s.stopped()); diff != "" || len(s.open()) > 0 {
				t.Errorf("open: %v, on the list (-want +got):\n%s", s.open(), diff)
			}
		})
	}
}

// Somebody may ask in an event that is of no other use.
func TestStopInEventsOfNoOtherUse(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Batch, true)
	s.deliver(webhook.Target{Campaign: "c"},
		strings.Replace(says("x", `"+966501234567"`, "STOP"), "onMessage", "onSomething", 1),
		strings.Replace(says("y", ``, "STOP"), "onMessage", "onSomething", 1))
	if diff := cmp.Diff([]int{saudi}, s.stopped()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{noNumber}, s.open()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if s.counts[Dropped] != 2 {
		t.Errorf("counted %v", s.counts)
	}
}

// Whatever else fails, a wish in an event that is given up stays open.
func TestAWishInAnEventThatIsGivenUp(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Batch, true)
	ctx := t.Context()
	if err := s.fresh(ctx); err != nil { // makes the group
		t.Fatal(err)
	}
	s.rdb.HSet(ctx, "c:{c}:out:0", "0", "damaged")
	s.rdb.Set(ctx, "suppressed:used", "x", 0)
	s.rdb.Rename(ctx, "suppressed:used", "aside")
	s.rdb.HSet(ctx, "suppressed:used", "not", "bits")
	old := time.Now().Add(-8 * 24 * time.Hour).UnixMilli()
	id := fmt.Sprintf("%d-0", old)
	s.rdb.XAdd(ctx, addEvent(id, says("x", `"+966501234567"`, "STOP")))
	if err := s.fresh(ctx); err == nil {
		t.Error("no error")
	}
	s.rdb.Do(ctx, "XCLAIM", "events", "apply", "worker", 0, id, "IDLE", 60_000)
	if err := s.stale(ctx); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{notApplied}, s.open()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if n, err := s.store.WaitingEvents(ctx); n != 0 || err != nil {
		t.Errorf("%d events wait, %v", n, err)
	}
	s.rdb.Del(ctx, "suppressed:used")
	if err := s.retry(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{saudi}, s.stopped()); diff != "" || len(s.open()) > 0 {
		t.Errorf("open: %v, on the list (-want +got):\n%s", s.open(), diff)
	}
}

// The events of a conversation come in any order, any number of times and in any parts. The
// contact that said STOP in one is on the do-not-contact list, or its wish is open; the wish
// is not open when one of the events told the number.
func TestNoStopIsLost(t *testing.T) {
	numbers := []string{``, `null`, `"SA.1349502617838"`, `"966501234567"`, `"+9660501234567"`, `"0501234567"`}
	rapid.Check(t, func(rt *rapid.T) {
		s := emptyStage(t)
		c := s.launchPeople("c", campaign.Batch, rapid.Bool().Draw(rt, "sent"))
		type part struct {
			conversation, phone, customer string
			contact                       int
		}
		var events []part
		dispatch, told := rapid.Bool().Draw(rt, "dispatch"), false
		for _, customer := range []string{"hello", "STOP", "bye", "why"} {
			p := part{conversation: "x", phone: rapid.SampledFrom(numbers).Draw(rt, "number "+customer), customer: customer}
			if dispatch {
				p.contact = saudi + 1
			}
			told = told || dispatch || strings.Contains(p.phone, "501234567")
			events = append(events, p)
		}
		stranger := part{conversation: "y", phone: `"+201145803442"`, customer: "hello"}
		events = append(events, stranger)
		for range rapid.IntRange(0, 4).Draw(rt, "again") {
			events = append(events, rapid.SampledFrom(events).Draw(rt, "twice"))
		}
		for _, p := range rapid.Permutation(events).Draw(rt, "order") {
			if err := s.store.AddEvent(t.Context(), store.Event{Campaign: c.Name, Contact: p.contact, Body: []byte(says(p.conversation, p.phone, p.customer))}); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "apply") {
				s.applyAll()
			}
		}
		if n, err := s.store.WaitingEvents(t.Context()); n > 0 || err != nil {
			s.applyAll()
		}
		stopped, open := s.stopped(), s.open()
		switch {
		case told && (!slices.Equal(stopped, []int{saudi}) || len(open) > 0):
			rt.Fatalf("on the list: %v, open: %v, though the number was told", stopped, open)
		case !told && (len(stopped) > 0 || !slices.Equal(open, []string{noNumber})):
			rt.Fatalf("on the list: %v, open: %v", stopped, open)
		}
	})
}

func addEvent(id, body string) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: "events", ID: id, Values: []any{"campaign", "c", "contact", 0, "body", body}}
}
