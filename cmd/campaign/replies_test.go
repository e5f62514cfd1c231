package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

func TestTicketHistory(t *testing.T) {
	const token = "Shop_12_5_secret"
	platform, err := sandbox.New(sandbox.Config{Tokens: []string{"good"}, Limit: sandbox.Unlimited, SupportTokens: map[string][]string{token: {"*"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	desk, err := velents.NewSupport(velents.Config{BaseURL: server.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := desk.CreateTicket(t.Context(), velents.NewTicket{Subject: "call back"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := desk.SendMessage(t.Context(), made.ConversationID, "\x1b[2Jwhere are you?"); err != nil {
		t.Fatal(err)
	}

	f := newFixture(t)
	f.ticketed()
	at := store.Place{Ref: store.Ref{Campaign: "sale"}}
	old, err := f.Ticket(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	now := *old
	now.ID, now.Conversation = made.ID, made.ConversationID
	if ok, err := f.SetTicket(t.Context(), at, old, &now, 0, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	err = f.UpdateFollow(t.Context(), at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Hear("\x1b[2Jwhere are you?", spoken)
		f.Hear("hello?", spoken.Add(1))
		f.Said[0].State = campaign.TicketUnconfirmed
		return store.FollowDue{}, true
	})
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := f.ReadChunk(t.Context(), at.Ref)
	if err != nil {
		t.Fatal(err)
	}
	number := chunk.Contacts[0].Phone.E164()
	f.env = map[string]string{"VELENTS_URL": server.URL}
	for _, tt := range []struct {
		args  []string
		token string
		code  int
		want  []string
	}{
		{[]string{"--history"}, "", 2, []string{"--history needs --contact"}},
		{[]string{"--contact", "+966599999999", "--history"}, "", 1, []string{"sale has no contact with this number"}},
		{[]string{"--contact", number}, "", 2, []string{"--contact needs --history or --replies"}},
		{[]string{"--replies", "lost"}, "", 2, []string{`--replies "lost": want there or again`}},
		{[]string{"--contact", number, "--history"}, "", 0, []string{"not read back yet", "1 message of the contact unconfirmed", "1 message of the contact due"}},
		{[]string{"--contact", number, "--replies", "again"}, "", 0, []string{"sale: 1 message in doubt to be sent again"}},
		{[]string{"--replies", "there"}, "", 0, []string{"sale: 0 messages in doubt taken for passed on"}},
		{[]string{"--contact", number, "--history"}, token, 0, []string{"customer:  [2Jwhere are you?", "agent: Thank you", "open in the Support Center", "2 messages"}},
		{[]string{"--contact", number, "--history", "--json"}, "", 0, []string{`"ticket_status":"open"`, `"replies":{"due":2}`, `"role":"agent"`}}, // as it was read
	} {
		f.env["VELENTS_SUPPORT_TOKEN"] = tt.token
		got := f.run(append([]string{"tickets", "sale"}, tt.args...)...)
		for _, want := range tt.want {
			if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, want) {
				t.Errorf("%v: exit %d, no %q in\n%s%s", tt.args, got.code, want, got.stdout, got.stderr)
			}
		}
		if strings.Contains(got.stdout, "\x1b") {
			t.Errorf("%v: a terminal would obey %q", tt.args, got.stdout)
		}
	}
}

func TestResultsTellOfTickets(t *testing.T) {
	f := newFixture(t)
	f.ticketed()
	if got := f.run("results", "sale"); strings.Contains(got.stdout, "ticket_status") {
		t.Errorf("without --ticket-replies: %s", got.stdout)
	}
	if got := f.run("set", "sale", "--ticket-replies"); got.code != 0 || !strings.Contains(got.stdout, "ticket-replies") {
		t.Errorf("set: %+v", got)
	}
	at := store.Place{Ref: store.Ref{Campaign: "sale"}}
	err := f.UpdateFollow(t.Context(), at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Read("closed", []campaign.Turn{{Role: "agent", Text: "we called"}, {Role: "customer", Text: "thanks"}}, spoken)
		return store.FollowDue{}, true
	})
	if err != nil {
		t.Fatal(err)
	}
	got := f.run("results", "sale")
	if !strings.Contains(got.stdout, "ticket_id,ticket_status,ticket_last_reply") || strings.Count(got.stdout, "T-1,closed,we called") != 1 {
		t.Errorf("results: %s", got.stdout)
	}
	if got := f.run("set", "sale", "--ticket-replies=false"); got.code != 0 {
		t.Errorf("set: %+v", got)
	}
	f.load("plain", 2)
	if got := f.run("set", "plain", "--ticket-replies"); got.code == 0 || !strings.Contains(got.stderr, "the campaign makes no tickets") {
		t.Errorf("set: %+v", got)
	}
}

var spoken = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
