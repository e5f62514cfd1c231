package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// followed is a stage whose contacts were accepted, with tickets for those who ask for a
// person.
func followed(t *testing.T, edit ...func(*campaign.Settings)) *stage {
	t.Helper()
	s := newStage(t, 3)
	rules, err := campaign.ParseRules([]string{"extraction.human=true"}, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	s.edit(func(c *campaign.Settings) {
		c.TicketRules, c.MaxTickets, c.TicketReplies = rules, 2, true
		for _, e := range edit {
			e(c)
		}
	})
	s.move(3, campaign.Send, campaign.Accept)
	return s
}

// message is what an event tells of one exchange, n minutes after noon.
func message(n int, text string) string {
	return fmt.Sprintf(`{"extraction":[],"message":{"customer":%q,"agent":"hm","timestamp":%q}}`, text, noon.Add(time.Duration(n)*time.Minute).Format(time.RFC3339))
}

// replies are what waits to be passed on of a contact.
func (s *stage) replies(i int) string {
	s.t.Helper()
	f, err := s.store.Follow(s.t.Context(), store.Place{Ref: store.Ref{Campaign: "c"}, Index: i})
	if err != nil {
		s.t.Fatal(err)
	}
	if f == nil {
		return ""
	}
	var texts []string
	for _, r := range f.Said {
		texts = append(texts, r.Text)
	}
	return strings.Join(texts, ",")
}

func TestWhatIsSaidAfterATicketIsDueIsKeptForIt(t *testing.T) {
	s := followed(t)
	human := `{"extraction":{"human":true},"message":{"customer":"a person please","agent":"yes","timestamp":"` + noon.Format(time.RFC3339) + `"}}`
	s.post("c", eventOf("onMessage", 0, "a", message(-5, "hello"))) // no ticket yet
	s.applyAll()
	s.post("c",
		eventOf("onUpdate", 0, "a", human),
		eventOf("onMessage", 0, "a", message(2, "two")), eventOf("onMessage", 0, "a", message(1, "one")), // in any order
		eventOf("onMessage", 1, "b", message(1, "of somebody without a ticket")))
	s.applyAll()
	s.post("c", eventOf("onMessage", 0, "a", message(1, "one")), eventOf("onUpdate", 0, "a", human)) // again
	s.applyAll()
	if got := s.replies(0); got != "a person please,one,two" {
		t.Errorf("kept %q", got)
	}
	if got := s.replies(1); got != "" {
		t.Errorf("kept %q of a contact without a ticket", got)
	}
	if due, err := s.store.DueFollows(t.Context(), "c", time.Now().Add(time.Hour), 9); err != nil || len(due) != 1 || due[0].Index != 0 {
		t.Errorf("due: %v, %v", due, err)
	}
	// A history fills what no event has told.
	turns := []map[string]string{{"role": "customer", "message": "hello"}, {"role": "agent", "message": "hm"}, {"role": "customer", "message": "two"}, {"role": "customer", "message": "two"}}
	history, err := json.Marshal(turns)
	if err != nil {
		t.Fatal(err)
	}
	s.post("c", eventOf("onEnded", 0, "a", `{"extraction":[],"history":`+string(history)+`}`))
	s.applyAll()
	if got := s.replies(0); got != "a person please,one,two,hello,two" {
		t.Errorf("kept %q", got)
	}
}

func TestWhatIsSaidIsNotKept(t *testing.T) {
	made := campaign.Ticket{State: campaign.TicketMade, ID: "T-1", Conversation: "C-1"}
	for _, tt := range []struct {
		name string
		edit func(*campaign.Settings)
		act  func(s *stage)
		want string
	}{
		{"but after a ticket was made", func(*campaign.Settings) {}, func(*stage) {}, "hi"},
		{"without --ticket-replies", func(c *campaign.Settings) { c.TicketReplies = false }, func(*stage) {}, ""},
		{"of a conversation before a rerun", func(*campaign.Settings) {}, func(s *stage) {
			s.post("c", eventOf("onStarted", 0, "a", `{"extraction":[]}`))
			s.applyAll()
			s.move(1, campaign.End, campaign.Rerun)
		}, ""},
		{"of somebody who was erased", func(*campaign.Settings) {}, func(s *stage) {
			s.move(1, campaign.End)
			if err := s.store.EraseContact(t.Context(), s.campaign, store.Place{Ref: store.Ref{Campaign: "c"}}, phoneOf(0), "p"); err != nil {
				t.Fatal(err)
			}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := followed(t, tt.edit)
			if _, err := s.store.SetTicket(t.Context(), store.Place{Ref: store.Ref{Campaign: "c"}}, nil, &made, 0, 9); err != nil {
				t.Fatal(err)
			}
			tt.act(s)
			s.post("c", eventOf("onMessage", 0, "a", message(1, "hi")))
			s.applyAll()
			if got := s.replies(0); got != tt.want {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
		})
	}
}

// Nothing is kept for contacts that get no ticket because there are most already.
func TestNothingIsKeptBeyondTheMostTickets(t *testing.T) {
	s := followed(t)
	for i := range 2 {
		due := campaign.Ticket{State: campaign.TicketDue}
		if ok, err := s.store.SetTicket(t.Context(), store.Place{Ref: store.Ref{Campaign: "c"}, Index: i}, nil, &due, 0, 2); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for i := range 3 {
		s.post("c", eventOf("onUpdate", i, fmt.Sprint("conv", i), `{"extraction":{"human":true},"message":{"customer":"hi","agent":"hm","timestamp":"2026-11-27T10:00:00Z"}}`))
	}
	s.applyAll()
	if got := []string{s.replies(0), s.replies(1), s.replies(2)}; strings.Join(got, ";") != "hi;hi;" {
		t.Errorf("kept %q", got)
	}
}
