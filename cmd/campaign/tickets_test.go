package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/golden"
	"campaign-runner/ratelimit"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// ticketed is a campaign with tickets in several states.
func (f fixture) ticketed() {
	f.T.Helper()
	ctx := f.T.Context()
	f.sale()
	text, err := f.Redis().HGet(ctx, "c:{sale}", "settings").Bytes()
	var settings campaign.Settings
	if err == nil {
		err = json.Unmarshal(text, &settings)
	}
	settings.TicketRules, settings.MaxTickets = []campaign.Rule{ruleOf("state=failed"), ruleOf("state=rejected")}, 10
	if err == nil {
		text, err = json.Marshal(settings)
	}
	if err == nil {
		err = f.Redis().HSet(ctx, "c:{sale}", "settings", text).Err()
	}
	if err != nil {
		f.T.Fatal(err)
	}
	for i, ticket := range map[int]campaign.Ticket{
		0: {State: campaign.TicketMade, Rule: ruleOf("state=rejected"), ID: "T-1", Tries: 1, At: at},
		5: {State: campaign.TicketRefused, Rule: ruleOf("state=failed"), Reason: campaign.Text("The department field is required."), Tries: 1, At: at},
		7: {State: campaign.TicketDue, Rule: ruleOf("state=failed"), At: at},
		8: {State: campaign.TicketUnconfirmed, Rule: ruleOf("state=failed"), Tries: 2, At: at},
	} {
		place := store.Place{Ref: store.Ref{Campaign: "sale", Chunk: i / 2}, Index: i % 2}
		if ok, err := f.SetTicket(ctx, place, nil, &ticket, 0, 10); !ok || err != nil {
			f.T.Fatal(ok, err)
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
			golden.Check(t, tt.golden, got.stdout)
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
		{"tickets sale --again made", outcome{"", "campaign: --again \"made\": want refused, failed or unconfirmed\n", 2}},
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
		{"no token", "", "", 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			env := map[string]string{"VELENTS_URL": server.URL, "VELENTS_TOKEN": tt.token, "VELENTS_SUPPORT_TOKEN": tt.support}
			f.env = env
			first := f.run("ask-platform") // before there is a campaign
			f.env = nil
			f.load("sale", 2)
			f.env = env
			for _, got := range []outcome{first, f.run("ask-platform", "sale")} {
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
			}
		})
	}
	f := newFixture(t)
	for _, args := range [][]string{{"ask-platform", "a", "b"}, {"ask-platform", "unknown"}} {
		if got := f.run(args...); got.code == 0 || !strings.Contains(got.stderr, "campaign") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// Every agent with a token is asked about.
func TestAskPlatformForAllAgents(t *testing.T) {
	platform, err := sandbox.New(sandbox.Config{Tokens: []string{"good"}, Limit: sandbox.Unlimited})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	t.Setenv("VELENTS_TOKEN_SALES", "good")
	t.Setenv("VELENTS_TOKEN_CARE", "bad")
	f := newFixture(t)
	f.env = map[string]string{"VELENTS_URL": server.URL, "VELENTS_TOKEN_SALES": "good", "VELENTS_TOKEN_CARE": "bad"}
	got := f.run("ask-platform")
	for _, want := range []string{"VELENTS_TOKEN_SALES", "VELENTS_TOKEN_CARE", "status 401"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%+v lacks %s", got, want)
		}
	}
	if got.code != 1 {
		t.Errorf("exit %d", got.code)
	}
}

// Trouble of the platform is not known to be a refusal.
func TestWhatAnAnswerSaysOfARight(t *testing.T) {
	refused := func(status int) error { return fmt.Errorf("x: %w", &velents.Error{Status: status, Message: "m"}) }
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a good answer", nil, "yes"},
		{"an answer that cannot be read", velents.ErrUnreadable, "yes"},
		{"an unknown token", refused(401), "no"},
		{"a token without the ability", refused(403), "no"},
		{"nothing there", refused(404), "no"},
		{"a limit", refused(429), "not known"},
		{"a request that took too long", refused(408), "not known"},
		{"a failure of the platform", refused(500), "not known"},
		{"maintenance", refused(503), "not known"},
		{"a redirect", refused(302), "not known"},
		{"a page in the platform's place", &velents.Error{Status: 200, Page: true}, "not known"},
		{"no answer", &velents.Unanswered{Err: errors.New("refused")}, "not known"},
		{"no leave of the quota", &waitError{time.Second, "waiting"}, "not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := answered("T", "op", "said", tt.err).mark(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnInquiryGivesUp(t *testing.T) {
	f := newFixture(t)
	a := &app{stderr: io.Discard, getenv: f.getenv}
	cfg, q, err := a.client(f.Store, "VELENTS_TOKEN", "good")
	if err != nil || cfg.Timeout != askTimeout || q.patience != askTimeout {
		t.Fatalf("timeout %v, patience %v, %v", cfg.Timeout, q.patience, err)
	}
	permit, err := q.quota.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q.quota.Report(t.Context(), permit, ratelimit.Answer{Status: 429, RetryAfter: 2 * time.Hour, HasRetryAfter: true})

	q.patience = time.Millisecond
	var told []string
	q.note = func(waits string) { told = append(told, waits) }
	err = q.ask(t.Context(), func() (velents.Answer, error) {
		t.Error("asked")
		return velents.Answer{}, nil
	})
	for what, text := range map[string]string{"error": fmt.Sprint(err), "note": strings.Join(told, "\n")} {
		if !strings.Contains(text, "waiting for the quota: refused with 429; the next request may leave at 20") || !strings.Contains(text, "1ms") {
			t.Errorf("the %s does not say what was waited for, and how long: %q", what, text)
		}
	}
}

// ruleOf is a rule by its text.
func ruleOf(text string) (r campaign.Rule) {
	if err := r.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return r
}
