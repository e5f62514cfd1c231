package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

// block lets the platform block a token for a day.
func (f fixture) block(token string, answer ratelimit.Answer) *ratelimit.Quota {
	f.T.Helper()
	q, err := ratelimit.NewShared(f.Redis(), token, ratelimit.Config{})
	if err != nil {
		f.T.Fatal(err)
	}
	for _, a := range []ratelimit.Answer{{Status: 200, Known: true, Limit: 30, Remaining: 29}, answer} {
		ticket, err := q.Acquire(f.T.Context())
		if err != nil {
			f.T.Fatal(err)
		}
		q.Report(f.T.Context(), ticket, a)
	}
	return q
}

// beat is a worker that serves the agent default with a token.
func (f fixture) beat(token string) {
	f.T.Helper()
	err := f.Heartbeat(f.T.Context(), store.Worker{ID: "w", Agents: []string{"default"}, QuotaKeys: map[string]string{"default": ratelimit.Key(token)}})
	if err != nil {
		f.T.Fatal(err)
	}
}

var heldForADay = ratelimit.Answer{Status: 503, Failed: true, Held: true, HasRetryAfter: true, RetryAfter: 24 * time.Hour}

func TestAgentsTellsWhoIsBlockedAndUntilWhen(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 4)
	f.beat("secret")
	f.block("secret", heldForADay)
	until := time.Now().Add(24 * time.Hour).Local().Format("2006-01-02")
	got := f.run("agents")
	for _, want := range []string{"default", "28 of 30 requests per 1m0s left", "blocked until " + until, "the platform asks to wait (503)"} {
		if got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("want %q, exit %d:\n%s%s", want, got.code, got.stdout, got.stderr)
		}
	}
	var told struct {
		Agents []struct {
			Agent        string
			Workers      int
			Campaigns    int
			Pending      int
			Blocked      bool
			BlockedUntil time.Time `json:"blocked_until"`
			Reason       string
			Failures     int
		}
	}
	got = f.run("agents", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &told); err != nil || len(told.Agents) != 1 {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	if a := told.Agents[0]; a.Agent != "default" || a.Workers != 1 || a.Campaigns != 1 || a.Pending != 4 || !a.Blocked ||
		time.Until(a.BlockedUntil) < 23*time.Hour || a.Reason == "" || a.Failures != 3 {
		t.Errorf("%+v", a)
	}
	if strings.Contains(got.stdout, "secret") || strings.Contains(got.stdout, "quota:") {
		t.Errorf("it tells of the token: %s", got.stdout)
	}
}

func TestUnblockNeedsNothingButRedis(t *testing.T) {
	f := newFixture(t)
	f.beat("secret") // the token is the worker's alone
	q := f.block("secret", heldForADay)
	got := f.run("agents", "unblock", "default")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "agent default may send again; it was blocked until 20") || !strings.Contains(got.stdout, "the platform asks to wait (503)") {
		t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if st, err := q.Status(t.Context()); err != nil || st.Blocked {
		t.Errorf("afterwards %+v, %v", st, err)
	}
	if got := f.run("agents", "unblock", "default"); got.code != 0 || got.stdout != "agent default is not blocked\n" {
		t.Errorf("again: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if got := f.run("agents", "unblock", "default", "--json"); got.code != 0 || got.stdout != `{"agent":"default","lifted":false,"reason":"","probing":false}`+"\n" {
		t.Errorf("as JSON: exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
}

func TestUnblockWithoutAWorkerTakesTheTokenOfTheEnvironment(t *testing.T) {
	f := newFixture(t)
	f.env = map[string]string{"VELENTS_TOKEN_NIGHT": "secret"}
	f.block("secret", ratelimit.Answer{Status: 429, HasRetryAfter: true, RetryAfter: time.Hour})
	f.load("sale", 2) // of the agent default
	for _, tt := range []struct {
		name, agent string
		code        int
		want        string
	}{
		{"an agent that nobody knows", "day", 1, "campaign: agent day: no live worker serves it, and VELENTS_TOKEN_DAY is not set here"},
		{"one whose token is not known", "default", 1, "campaign: agent default: no live worker serves it, and VELENTS_TOKEN is not set here"},
		{"one with a token", "night", 0, "agent night may send again"},
		{"no name", "a/b", 2, "campaign: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.run("agents", "unblock", tt.agent); got.code != tt.code || !strings.HasPrefix(got.stdout+got.stderr, tt.want) {
				t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

func TestAgentsNameTheVersionsOfTheirWorkers(t *testing.T) {
	f := newFixture(t)
	for id, version := range map[string]string{"a": "v1.0.0 (0f58b1ab6dd7 of 2026-11-30)", "b": "v1.0.0 (0f58b1ab6dd7 of 2026-11-30)", "c": ""} { // c is older
		if err := f.Heartbeat(t.Context(), store.Worker{ID: id, Agents: []string{"default", "sales"}, Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.run("agents"); !strings.HasSuffix(got.stdout, "\nworkers are v1.0.0 (0f58b1ab6dd7 of 2026-11-30)\n") {
		t.Errorf("%+v", got)
	}
	if err := f.Heartbeat(t.Context(), store.Worker{ID: "d", Agents: []string{"sales"}, Version: "v1.1.0 (aaaaaaaaaaaa of 2026-12-30)"}); err != nil {
		t.Fatal(err)
	}
	if got := f.run("agents"); !strings.HasSuffix(got.stdout, "; v1.1.0 (aaaaaaaaaaaa of 2026-12-30): upgrade them all before a new option is used\n") {
		t.Errorf("%+v", got)
	}
	if got := f.run("agents", "--json"); !strings.Contains(got.stdout, `"versions":["v1.0.0 (0f58b1ab6dd7 of 2026-11-30)"]`) {
		t.Errorf("%+v", got)
	}
}

// A quota that lets the next request leave at once has no time for it, and not the year 1.
func TestNoTimeIsNotTheYearOne(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 1)
	err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": {Limit: 30, Remaining: 30, Window: 60}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"show", "sale", "--json"}, {"agents", "--json"}, {"list", "--json"}, {"plan", "sale", "--json"}, {"log", "sale", "--json"}} {
		if got := f.run(args...); got.code != 0 || strings.Contains(got.stdout, "0001-01-01") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
