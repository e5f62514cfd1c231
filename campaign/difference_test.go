package campaign

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDifferencesAreToldAsPeopleReadThem(t *testing.T) {
	share := Share(500)
	a := Settings{Agent: "default", MaxAttempts: 5}
	b := a
	if all := a.Differences(b); all != nil {
		t.Errorf("of the same: %v", all)
	}
	b.Lane, b.DailyCap, b.MaxFailureShare, b.CanaryGoOn = Urgent, 500, 2000, &share
	b.TicketRules = rulesOf("state=failed", "extraction.intent=callback")
	b.TicketFields = map[string]string{"queue": "sales", "priority": "high"}
	b.StartAt = time.Date(2026, 3, 1, 9, 0, 0, 0, time.FixedZone("AST", 3*60*60))
	want := []Difference{
		{"--priority", "none", "urgent"},
		{"--canary-go-on", "none", "5%"},
		{"--max-failure-share", "none", "20%"},
		{"--daily-cap", "none", "500"},
		{"--ticket-when", "none", "state=failed, extraction.intent=callback"},
		{"--ticket-set", "none", "priority=high, queue=sales"},
		{"--start-at", "none", "2026-03-01T06:00:00Z"},
	}
	if diff := cmp.Diff(want, a.Differences(b)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	inForce := []Difference{want[0], {"--max-attempts", "none", "5"}}
	if diff := cmp.Diff(append(inForce, want[1:]...), b.InForce()); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
	// The same share elsewhere in memory is no difference.
	other := share
	c := b
	c.CanaryGoOn = &other
	if all := b.Differences(c); all != nil {
		t.Errorf("of equal shares: %v", all)
	}
}

func TestHeldBack(t *testing.T) {
	c := Campaign{Settings: Settings{ChunkSize: 10}}
	for _, tt := range []struct{ canary, chunk, contacts, want int }{
		{0, 0, 10, 0},
		{7, 0, 10, 3},
		{10, 0, 10, 0},
		{10, 1, 10, 10},
		{23, 2, 10, 7},
		{23, 2, 2, 0},
		{500, 3, 10, 0},
	} {
		c.Canary = tt.canary
		if got := c.HeldBack(tt.chunk, tt.contacts); got != tt.want {
			t.Errorf("a canary of %d leaves %d of the %d contacts of chunk %d, want %d", tt.canary, got, tt.contacts, tt.chunk, tt.want)
		}
	}
}

func TestDayOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)
	for zone, want := range map[string]time.Time{
		"":            time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"contact":     time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"Asia/Riyadh": time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC),
	} {
		var s Settings
		s.Hours.Zone = zone
		if day := s.DayOf(at); !day.From.Equal(want) || !day.Until.Equal(want.Add(24*time.Hour)) {
			t.Errorf("%q: from %v until %v", zone, day.From, day.Until)
		}
	}
}

func rulesOf(texts ...string) []Rule {
	all, err := ParseRules(texts, ParseTicketRule)
	if err != nil {
		panic(err)
	}
	return all
}
