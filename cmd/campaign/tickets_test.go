package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/sandbox"
)

// ticketed is a campaign with tickets in several states.
func (f fixture) ticketed() {
	f.t.Helper()
	ctx := f.t.Context()
	f.sale()
	text, err := f.Redis().HGet(ctx, "c:{sale}", "settings").Bytes()
	var settings campaign.Settings
	if err == nil {
		err = json.Unmarshal(text, &settings)
	}
	settings.TicketRules, settings.MaxTickets = []campaign.TicketRule{"state=failed", "state=rejected"}, 10
	if err == nil {
		text, err = json.Marshal(settings)
	}
	if err == nil {
		err = f.Redis().HSet(ctx, "c:{sale}", "settings", text).Err()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	for i, ticket := range map[int]campaign.Ticket{
		0: {State: campaign.TicketMade, Rule: "state=rejected", ID: "T-1", Tries: 1, At: at},
		5: {State: campaign.TicketRefused, Rule: "state=failed", Reason: "The department field is required.", Tries: 1, At: at},
		7: {State: campaign.TicketDue, Rule: "state=failed", At: at},
		8: {State: campaign.TicketUnconfirmed, Rule: "state=failed", Tries: 2, At: at},
	} {
		place := store.Place{Ref: store.Ref{Campaign: "sale", Chunk: i / 2}, Index: i % 2}
		if ok, err := f.SetTicket(ctx, place, nil, &ticket, 0, 10); !ok || err != nil {
			f.t.Fatal(ok, err)
		}
	}
}

func TestTickets(t *testing.T) {
	f := newFixture(t)
	f.ticketed()
	for _, tt := range []struct {
		golden string
		args   []string
	}{
		{"tickets.txt", []string{"tickets", "sale"}},
		{"tickets.json", []string{"tickets", "sale", "--json"}},
		{"tickets-results.csv", []string{"results", "sale"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			got := f.run(tt.args...)
			if got.code != 0 {
				t.Errorf("exit %d: %s", got.code, got.stderr)
			}
			golden(t, tt.golden, got.stdout)
			if tt.args[0] == "tickets" && !strings.Contains(got.stderr, "no live worker makes tickets") {
				t.Errorf("stderr: %s", got.stderr)
			}
		})
	}
	f.load("plain", 2)
	for _, tt := range []struct {
		args string
		want outcome
	}{
		{"tickets plain", outcome{"plain makes no tickets: it was enqueued without --ticket-when\n", "", 0}},
		{"tickets sale --live", outcome{"", "campaign: VELENTS_SUPPORT_TOKEN is not set\n", 2}},
		{"tickets sale --again made", outcome{"", "campaign: --again \"made\": want some of [refused failed unconfirmed]\n", 2}},
		{"tickets sale --again refused", outcome{"sale: 1 ticket to be made again\n", "", 0}},
		{"tickets sale --again refused", outcome{"sale: 0 tickets to be made again\n", "", 0}},
	} {
		if got := f.run(strings.Fields(tt.args)...); got.stdout != tt.want.stdout || got.code != tt.want.code || !strings.HasPrefix(got.stderr, tt.want.stderr) {
			t.Errorf("%s: %+v, want %+v", tt.args, got, tt.want)
		}
	}
	if got := f.run("tickets", "sale", "--again", "unconfirmed"); !strings.Contains(got.stderr, "there twice") || got.code != 0 {
		t.Errorf("%+v, want a warning", got)
	}
}

func TestAskPlatform(t *testing.T) {
	const support = "Shop_12_5_secret"
	platform, err := sandbox.New(sandbox.Config{
		Tokens: []string{"good"}, ValueKeys: []string{"name", "company"}, Limit: sandbox.Unlimited,
		SupportTokens: map[string][]string{support: {"tickets:view"}, "Shop_12_6_blind": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		name, token, support string
		code                 int
		want                 []string
	}{
		{"all is well", "good", support, 0, []string{"read value keys", "name, company", "abilities tickets:view", "0 tickets on the first page", "not tried"}},
		{"no support token", "good", "", 0, []string{"read agent details"}},
		{"a bad token", "bad", "", 1, []string{"no", "status 401"}},
		{"a token without the ability", "good", "Shop_12_6_blind", 1, []string{"status 403"}},
		{"no token", "", "", 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", 2)
			f.env = map[string]string{"VELENTS_URL": server.URL, "VELENTS_TOKEN": tt.token, "VELENTS_SUPPORT_TOKEN": tt.support}
			got := f.run("ask-platform", "sale")
			if got.code != tt.code {
				t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
			}
			for _, part := range tt.want {
				if !strings.Contains(got.stdout, part) {
					t.Errorf("no %q in:\n%s", part, got.stdout)
				}
			}
			for _, secret := range []string{tt.token, tt.support} {
				if len(secret) > 4 && strings.Contains(fmt.Sprint(got), secret) {
					t.Errorf("a token in:\n%s", got.stdout)
				}
			}
		})
	}
}
