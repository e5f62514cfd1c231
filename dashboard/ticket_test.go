package dashboard_test

import (
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

func TestAContactsPageShowsItsTicket(t *testing.T) {
	f := newFixture(t)
	rules, err := campaign.ParseRules([]string{"state=failed"}, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	f.load("sale", 2, func(s *campaign.Settings) { s.TicketRules, s.MaxTickets, s.TicketReplies = rules, 9, true })
	place := store.Place{Ref: store.Ref{Campaign: "sale"}}
	made := campaign.Ticket{State: campaign.TicketMade, ID: "T-1", Conversation: "C-1"}
	if ok, err := f.SetTicket(t.Context(), place, nil, &made, 0, 9); !ok || err != nil {
		t.Fatal(ok, err)
	}
	page := f.get("/campaigns/sale/contacts/0")
	wantTexts(t, page, "T-1")
	err = f.UpdateFollow(t.Context(), place, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Hear("call me", at)
		f.Read("closed", []campaign.Turn{{Role: "agent", Text: hostile}, {Role: "customer", Text: "شكرا"}}, at)
		return store.FollowDue{}, true
	})
	if err != nil {
		t.Fatal(err)
	}
	page = f.get("/campaigns/sale/contacts/0")
	wantTexts(t, page, "T-1", "In the Support Center: <b><bdi dir=\"auto\">closed</bdi></b>", "&lt;script&gt;", "شكرا", "Messages of the contact that are due: 1")
	if strings.Contains(page, hostile) {
		t.Error("the page carries out what was said")
	}
	if other := f.get("/campaigns/sale/contacts/1"); strings.Contains(other, "h-ticket") {
		t.Error("a contact without a ticket has one")
	}
}
