package person

import (
	"slices"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
)

// What another person has sent is not deleted unheard, whatever number stands in it.
func TestEraseLeavesTheWishesOfOthersToBeHeard(t *testing.T) {
	for name, tt := range map[string]struct {
		event               store.Event
		phone, conversation string
		asks                bool // whether the number is in a wish that is left
	}{
		"without a number, where hers is mentioned": {store.Event{}, "", "conv-omar", true},
		"by the link of another":                    {store.Event{Contact: 2}, "", "conv-omar", false},
		"by the link of another, with her number":   {store.Event{Contact: 2}, "+966501234567", "conv-omar", true},
		"by the link of another, in her talk":       {store.Event{Contact: 2}, "", "conv-spring", false},
		"with his number by her link":               {store.Event{Contact: 1}, "+966501234568", "conv-omar", false},
		"with his number in her conversation":       {store.Event{}, "+966501234568", "conv-spring", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.live("spring", true)
			_, err := s.DropEvents(t.Context(), func(store.Event) bool { return true })
			s.must(err)
			s.must(s.AddEvent(t.Context(), asking(tt.event, tt.phone, tt.conversation)))
			done, err := s.desk.Erase(t.Context(), sara, true)
			s.must(err)
			if n, err := s.WaitingEvents(t.Context()); err != nil || n != 1 || done.Wished || done.Contacts != 1 {
				t.Errorf("%d events wait, %v; erased %+v", n, err, done)
			}
			if got := len(done.Left) == 1 && done.Left[0].Campaign == "spring"; got != tt.asks {
				t.Errorf("left %+v", done.Left)
			}
		})
	}
}

// asking is an event in which somebody says STOP after a mention of sara.
func asking(e store.Event, phone, conversation string) store.Event {
	e.Campaign = "spring"
	e.Body = []byte(`{"event":{"type":"onmessage"},"conversation":{"id":"` + conversation + `","phone":"` + phone + `"},
		"result":{"message":{"customer":"STOP","agent":"shall I call 050 123 4567?"}}}`)
	return e
}

func TestEraseLeavesUnmatchedEventsOfOthers(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.live("spring", true)
	s.tell(store.Event{Campaign: "spring", Contact: 2}, "", "conv-other", "call +966501234567", false)
	s.tell(store.Event{Campaign: "spring", Contact: 1}, "+966501234568", "conv-other", "hello", false)
	s.tell(store.Event{Campaign: "spring"}, "+966501234568", "conv-spring", "hello", false)
	s.tell(store.Event{Campaign: "spring"}, "", "conv-nobody", "call +966501234567", false) // named by nobody: hers
	_, err := s.desk.Erase(ctx, sara, false)
	s.must(err)
	if kept, err := s.Unmatched(ctx, "spring", 0, 10); err != nil || len(kept) != 3 {
		t.Errorf("%d are kept, %v", len(kept), err)
	}
}

// A number that may be read in two ways is whose a worker would take it for.
func TestEraseReadsNumbersAsWorkersDo(t *testing.T) {
	const told = "6599234567"
	const here, abroad campaign.Phone = 16599234567, 6599234567 // the likelier first
	settings := campaigntest.Settings(1, campaign.Column{Name: "phone"})
	settings.Region = "US"
	for name, tt := range map[string]struct {
		people []campaign.Phone
		erased campaign.Phone
		events int
	}{
		"the likeliest, of a stranger":         {[]campaign.Phone{sara}, here, 1},
		"the less likely, of a stranger":       {[]campaign.Phone{sara}, abroad, 0},
		"the less likely, who is in the list":  {[]campaign.Phone{abroad}, abroad, 1},
		"the likeliest, where the other is":    {[]campaign.Phone{abroad}, here, 0},
		"the less likely, where both are":      {[]campaign.Phone{abroad, here}, abroad, 0},
		"the likeliest, where both are listed": {[]campaign.Phone{abroad, here}, here, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			var people []campaign.Contact
			for i, phone := range tt.people {
				people = append(people, campaign.Contact{Phone: phone, Line: i + 2, Fields: []string{phone.E164()}})
			}
			s.Load(campaigntest.List{Name: "spring", Settings: settings, Indexed: true, Contacts: people})
			s.tell(store.Event{Campaign: "spring"}, told, "", "STOP", true)
			s.tell(store.Event{Campaign: "spring", At: time.Now()}, told, "", "hello", false)
			done, err := s.desk.Erase(t.Context(), tt.erased, false)
			s.must(err)
			if done.Events != 2*tt.events || slices.Contains(tt.people, tt.erased) != (done.Contacts == 1) {
				t.Errorf("erased %+v", done)
			}
		})
	}
}
