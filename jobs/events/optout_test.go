package events

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/velents"
)

func TestOptOutOf(t *testing.T) {
	message := func(text string) velents.Event { return velents.Event{Message: &velents.Exchange{Customer: text}} }
	for _, tt := range []struct {
		name     string
		settings campaign.Settings
		event    velents.Event
		want     string
	}{
		{"an answer that is a stop word", campaign.Settings{}, message(" Stop! "), "stop word"},
		{"in another language", campaign.Settings{}, message("إلغاء الإشتراك"), "stop word"},
		{"in the history", campaign.Settings{}, velents.Event{History: []velents.Turn{{Role: "agent", Text: "hello"}, {Role: "User", Text: "STOP"}}}, "stop word"},
		{"by somebody whose role is not known", campaign.Settings{}, velents.Event{History: []velents.Turn{{Role: "caller", Text: "STOP"}}}, "stop word"},
		{"said by the agent", campaign.Settings{}, velents.Event{Message: &velents.Exchange{Agent: "stop"}, History: []velents.Turn{{Role: "agent", Text: "STOP"}}}, ""},
		{"another answer", campaign.Settings{}, message("do not stop"), ""},
		{"where stop words are none", campaign.Settings{NoStopWords: true}, message("stop"), ""},
		{"what the agent learned", campaign.Settings{OptOutWhen: rulesOf("extraction.a=b", "extraction.opt_out=true"), NoStopWords: true},
			velents.Event{Extraction: []byte(`{"opt_out":true}`)}, "extraction.opt_out=true"},
		{"something else that it learned", campaign.Settings{OptOutWhen: rulesOf("extraction.opt_out=true")}, velents.Event{Extraction: []byte(`{"opt_out":false}`)}, ""},
		{"nothing", campaign.Settings{OptOutWhen: rulesOf("extraction.opt_out=true")}, velents.Event{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := optOutOf(tt.settings, tt.event); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// suppressed are the contacts on the do-not-contact list.
func (s *stage) suppressed() (contacts []int) {
	s.t.Helper()
	for phone, err := range s.store.Suppressed(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		contacts = append(contacts, int(phone-phoneOf(0)))
	}
	slices.Sort(contacts)
	return contacts
}

func stopOf(i int) string {
	return eventOf("onMessage", i, "one", `{"message":{"customer":"STOP","agent":"ok","timestamp":"2026-03-01T12:00:00Z"}}`)
}

func TestOptOut(t *testing.T) {
	s := newStage(t, chunkSize+2)
	s.move(chunkSize, campaign.Send, campaign.Accept)
	s.post("c", stopOf(1), stopOf(1), stopOf(chunkSize), stopOf(500), eventOf("onMessage", 2, "two", `{"message":{"customer":"hello"}}`))
	s.post("gone", stopOf(700), "{")
	s.applyAll()
	s.post("c", stopOf(1)) // it comes again
	s.applyAll()
	if diff := cmp.Diff([]int{1, chunkSize, 500, 700}, s.suppressed()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
	if s.counts[OptedOut] != 4 || s.counts[Applied] != 5 {
		t.Errorf("counted %v", s.counts)
	}
	if s.state(1) != campaign.Started {
		t.Errorf("contact 1 is %v", s.state(1))
	}
	for contact, want := range map[int]bool{1: true, chunkSize: true, 2: false} {
		if got := s.outcome(contact).OptedOut; got != want {
			t.Errorf("contact %d has asked not to be contacted again: %v", contact, got)
		}
	}
	var told []string
	for log := s.store.ReadLog("c"); ; {
		d, ok, err := log.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		told = append(told, fmt.Sprintf("%s by %s: %d/%v", d.Action, d.By, d.Chunk, d.Moved[0].Contacts))
	}
	slices.Sort(told)
	if diff := cmp.Diff([]string{"opt-out by stop word: 0/[{1 1}]", "opt-out by stop word: 1/[{0 0}]"}, told); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	// What it asked in one run holds in the next.
	s.Move("c", []int{1}, campaigntest.Step{At: noon}, campaign.End, campaign.Rerun, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onMessage", 1, "next", `{"message":{"customer":"hello"}}`))
	s.applyAll()
	if o := s.outcome(1); !o.OptedOut || o.Run != 1 {
		t.Errorf("after a rerun the outcome of contact 1 is %+v", o)
	}
	s.verify()
}

// A person who takes somebody off the list again is not contradicted by an event that is
// tried again.
func TestAnOptOutIsHeardOnce(t *testing.T) {
	s := newStage(t, 1)
	s.post("c", stopOf(0)) // never sent: kept, and tried again
	s.applyAll()
	if _, err := s.store.Unsuppress(t.Context(), []campaign.Phone{phoneOf(0)}); err != nil {
		t.Fatal(err)
	}
	if err := s.retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.suppressed(); len(got) > 0 {
		t.Errorf("on the list: %v", got)
	}
}

func TestAnOptOutAfterAPurge(t *testing.T) {
	s := newStage(t, 2)
	s.move(2, campaign.Send, campaign.Accept)
	if err := s.store.Purge(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s.post("c", stopOf(1))
	s.applyAll()
	if diff := cmp.Diff([]int{1}, s.suppressed()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
}

// In dispatch mode the link says whose event it is.
func TestAnOptOutWithoutANumber(t *testing.T) {
	s := newStage(t, 2)
	s.move(2, campaign.Send, campaign.Accept)
	body := []byte(strings.Replace(stopOf(1), phoneOf(1).E164(), "", 1))
	for _, contact := range []int{2, 9, 500, 0} {
		if err := s.store.AddEvent(t.Context(), store.Event{Campaign: "c", Contact: contact, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	s.applyAll()
	if diff := cmp.Diff([]int{1}, s.suppressed()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
}

// An event is not done before its number is on the list.
func TestAnOptOutThatFailsIsTriedAgain(t *testing.T) {
	s := newStage(t, 1)
	s.move(1, campaign.Send, campaign.Accept)
	key := s.spoil()
	if err := s.fresh(t.Context()); err != nil { // makes the stream's group
		t.Fatal(err)
	}
	s.post("c", stopOf(0))
	if err := s.fresh(t.Context()); err == nil {
		t.Error("no error")
	}
	if n, err := s.store.WaitingEvents(t.Context()); n != 1 || err != nil {
		t.Errorf("%d events wait, %v", n, err)
	}
	s.rdb.Del(t.Context(), key, "suppressed:used")
	s.rdb.Do(t.Context(), "XCLAIM", "events", "apply", "worker", 0, s.rdb.XRange(t.Context(), "events", "-", "+").Val()[0].ID, "IDLE", 60_000)
	if err := s.stale(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0}, s.suppressed()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
}

// spoil makes the bucket of contact 0 on the do-not-contact list one that cannot be
// written, and returns its key.
func (s *stage) spoil() string {
	s.t.Helper()
	if _, err := s.store.Suppress(s.t.Context(), []campaign.Phone{phoneOf(0)}); err != nil {
		s.t.Fatal(err)
	}
	for _, key := range s.rdb.Keys(s.t.Context(), "suppressed:*").Val() {
		if key != "suppressed:used" {
			s.rdb.Set(s.t.Context(), key, "no set", 0)
			return key
		}
	}
	s.t.Fatal("no bucket")
	return ""
}

func rulesOf(texts ...string) []campaign.Rule {
	all, err := campaign.ParseRules(texts, campaign.ParseOptOutRule)
	if err != nil {
		panic(err)
	}
	return all
}
