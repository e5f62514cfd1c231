package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLedgerPage(t *testing.T) {
	s := newServer(t, Config{})
	call(s, "POST", batchPath, batchOf("+966500000001", "+966500000002"))
	call(s, "POST", batchPath, batchOf("+966500000002", "+966500000003"))
	call(s, "POST", dispatchPath, `{"channel_id":7,"phone":"+966500000002"}`)
	for _, tt := range []struct {
		name  string
		query string
		want  string
	}{
		{"numbers contacted more than once", "", `{"+966500000002":3}`},
		{"every number", "?all=1", `{"+966500000001":1,"+966500000002":3,"+966500000003":1}`},
		{"one number", "?phone=%2B966500000003", `{"+966500000003":1}`},
		{"one whose plus was not escaped", "?phone=+966500000003", `{"+966500000003":1}`},
		{"one that was never contacted", "?phone=966500000009", `{"+966500000009":0}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := `{"contacts":5,"numbers":3,"repeated":1,"counts":` + tt.want + "}\n"
			if got := call(s, "GET", "/sandbox/ledger"+tt.query, "").Body.String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	t.Run("forgotten", func(t *testing.T) {
		if w := call(s, "DELETE", "/sandbox/ledger", ""); w.Code != 204 {
			t.Fatal(w.Code)
		}
		if diff := cmp.Diff(Stats{Tokens: map[string]TokenStats{TokenID("agent"): {Statuses: map[int]int{}}}}, s.Stats()); diff != "" {
			t.Error(diff)
		}
		if got := s.Counts(1); len(got) != 0 {
			t.Errorf("counts %v", got)
		}
		if got := s.Counts(2); len(got) != 0 {
			t.Errorf("counts %v", got)
		}
	})
}

func TestStatsPage(t *testing.T) {
	s := newServer(t, Config{Limit: 1})
	call(s, "POST", batchPath, batchOf("+966500000001", "+966500000001"))
	call(s, "POST", batchPath, batchOf("+966500000001"))
	callAs(s, "", "GET", "/Integration/Agent", "")
	var got Stats
	if err := json.Unmarshal(call(s, "GET", "/sandbox/stats", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := Stats{
		Requests: 3, Contacts: 2, Numbers: 1, Repeated: 1, TooMany: 1, MostInWindow: 1,
		Tokens: map[string]TokenStats{
			TokenID("agent"): {Statuses: map[int]int{200: 1, 429: 1}, Counted: 1, Windows: 1, MostInWindow: 1},
			"none":           {Statuses: map[int]int{401: 1}},
		},
	}
	for id, token := range got.Tokens {
		token.First, token.Last, token.Opened = time.Time{}, time.Time{}, time.Time{}
		got.Tokens[id] = token
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimitPage(t *testing.T) {
	s := newServer(t, Config{})
	for _, tt := range []struct {
		name   string
		method string
		body   string
		status int
		answer string
	}{
		{"shown", "GET", "", 200, `{"limit":30}`},
		{"changed", "PUT", `{"limit":10}`, 200, `{"limit":10}`},
		{"lifted", "PUT", `{"limit":0}`, 200, `{"limit":0}`},
		{"not given", "PUT", `{}`, 400, `want {"limit":N}, with 0 to lift it`},
		{"negative", "PUT", `{"limit":-1}`, 400, `want {"limit":N}, with 0 to lift it`},
		{"misspelt", "PUT", `{"limits":10}`, 400, `json: unknown field "limits"`},
		{"unchanged by all that", "GET", "", 200, `{"limit":0}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := call(s, tt.method, "/sandbox/limit", tt.body)
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.answer {
				t.Errorf("%d %s, want %d %s", w.Code, got, tt.status, tt.answer)
			}
		})
	}
}

func TestFaultsPage(t *testing.T) {
	s := newServer(t, Config{Faults: Faults{Hang: 0.1, Outages: []Span{{time.Hour, 2 * time.Hour}}}})
	shown := func() (f Faults) {
		t.Helper()
		if err := json.Unmarshal(call(s, "GET", "/sandbox/faults", "").Body.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, tt := range []struct {
		name   string
		method string
		body   string
		status int
		want   Faults
	}{
		{"one is added, the others stay", "PUT", `{"reset_after":0.2,"latency":"50ms-1s"}`, 200,
			Faults{Hang: 0.1, ResetAfter: 0.2, Latency: Span{50 * time.Millisecond, time.Second}, Outages: []Span{{time.Hour, 2 * time.Hour}}}},
		{"some end", "PUT", `{"hang":0,"latency":"","outages":["3h-4h"]}`, 200,
			Faults{ResetAfter: 0.2, Outages: []Span{{3 * time.Hour, 4 * time.Hour}}}},
		{"too much changes nothing", "PUT", `{"hang":0.9}`, 400,
			Faults{ResetAfter: 0.2, Outages: []Span{{3 * time.Hour, 4 * time.Hour}}}},
		{"nor does what cannot be read", "PUT", `{"outages":["9h-10h","x"]}`, 400,
			Faults{ResetAfter: 0.2, Outages: []Span{{3 * time.Hour, 4 * time.Hour}}}},
		{"all end", "DELETE", "", 204, Faults{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if w := call(s, tt.method, "/sandbox/faults", tt.body); w.Code != tt.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
			}
			if diff := cmp.Diff(tt.want, shown()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
