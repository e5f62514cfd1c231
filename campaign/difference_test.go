package campaign

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign/hours"
)

func TestDifferencesAreToldAsPeopleReadThem(t *testing.T) {
	share := Share(500)
	a := Settings{Agent: "default", MaxAttempts: 5}
	b := a
	if all := a.Differences(b); all != nil {
		t.Errorf("of the same: %v", all)
	}
	b.Lane, b.DailyCap, b.MaxFailureShare, b.CanaryGoOn = Urgent, 500, 2000, &share
	b.TicketRules = []TicketRule{"state=failed", "extraction.intent=callback"}
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

func TestNoSettingIsMissingAmongTheDifferences(t *testing.T) {
	elsewhere := map[string]string{
		"Columns": "come from the file", "PhoneColumn": "comes from the file", "Constants": "stand among the columns",
		"WebhookURL": "belongs to the installation", "Limits": "come from the rules",
	}
	share := Share(500)
	week, err := hours.ParseWeek("09:00-21:00")
	if err != nil {
		t.Fatal(err)
	}
	special := map[string]any{
		"Hours":      hours.Schedule{Week: week, Zone: "Asia/Riyadh"},
		"CanaryGoOn": &share, "StartAt": time.Unix(1, 0), "FinishBy": time.Unix(1, 0),
		"OptOutWhen": []string{"extraction.stop=yes"}, "TicketRules": []TicketRule{"state=failed"},
		"TicketFields": map[string]string{"queue": "sales"}, "Reading": Reading{StrictNumbers: true},
	}
	for field := range reflect.TypeFor[Settings]().Fields() {
		if elsewhere[field.Name] != "" {
			continue
		}
		var s Settings
		to := reflect.ValueOf(&s).Elem().FieldByIndex(field.Index)
		switch value, ok := special[field.Name]; {
		case ok:
			to.Set(reflect.ValueOf(value))
		case to.CanInt():
			to.SetInt(3)
		case to.Kind() == reflect.Bool:
			to.SetBool(true)
		case to.Kind() == reflect.String:
			to.SetString("x")
		default:
			to.SetUint(3)
		}
		if all := (Settings{}).Differences(s); len(all) != 1 {
			t.Errorf("with another %s: differences %v", field.Name, all)
		}
	}
}

func TestRequestRows(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Campaign
		want int
	}{
		{"a whole chunk", Campaign{Settings: Settings{Mode: Batch, ChunkSize: 500}}, 500},
		{"fewer, as set", Campaign{Settings: Settings{Mode: Batch, ChunkSize: 500, RowsPerRequest: 100}}, 100},
		{"fewer, as the platform allows", Campaign{Settings: Settings{Mode: Batch, ChunkSize: 500, RowsPerRequest: 100}, RowsPerCall: 40}, 40},
		{"what the platform allows is more than what is set", Campaign{Settings: Settings{Mode: Batch, ChunkSize: 500, RowsPerRequest: 100}, RowsPerCall: 250}, 100},
		{"one contact in dispatch mode", Campaign{Settings: Settings{Mode: Dispatch, ChunkSize: 50}, RowsPerCall: 40}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.RequestRows(); got != tt.want {
				t.Errorf("RequestRows() = %d, want %d", got, tt.want)
			}
		})
	}
}
