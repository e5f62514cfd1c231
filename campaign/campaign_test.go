package campaign

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckName(t *testing.T) {
	for _, tt := range []struct {
		name, campaign string
		ok             bool
	}{
		{"letters, digits and marks", "Ramadan-2026_v1.2", true},
		{"a single character", "x", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"nothing", "", false},
		{"a space", "spring sale", false},
		{"a line break at the end", "sale\n", false},
		{"braces, which are Redis's", "sa{l}e", false},
		{"a colon, which parts keys", "sale:1", false},
		{"a slash", "a/b", false},
		{"a dash at its beginning, as of a flag", "-x", false},
		{"a dash at its end", "x-", true},
		{"Arabic letters", "حملة", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := CheckName(tt.campaign); (err == nil) != tt.ok {
				t.Errorf("CheckName(%q) = %v", tt.campaign, err)
			}
		})
	}
}

func validSettings() Settings {
	return Settings{
		Agent: "default", Mode: Batch, ChannelID: 7, ChunkSize: 500, MaxAttempts: 5,
		Columns: []Column{{Name: "phone"}, {Name: "Name", Key: "name"}},
	}
}

func TestSettingsCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Settings)
		want   string
	}{
		{"the plain case", func(*Settings) {}, ""},
		{"dispatch, urgent, at every bound", func(s *Settings) {
			s.Mode, s.Lane, s.ChunkSize, s.MaxAttempts, s.PhoneColumn = Dispatch, Urgent, MaxChunkSize, 200, 1
		}, ""},
		{"the other lanes", func(s *Settings) { s.Lane = Bulk }, ""},
		{"the normal lane by name", func(s *Settings) { s.Lane = Normal }, ""},
		{"no agent", func(s *Settings) { s.Agent = "" }, "agent: want 1 to 64 letters and digits, with - or _ between them"},
		{"an agent no queue can be named after", func(s *Settings) { s.Agent = "a:b" }, "agent: want 1 to 64 letters and digits, with - or _ between them"},
		{"an agent that is not written as it is kept", func(s *Settings) { s.Agent = "Sales_KSA" }, `agent: want it written "sales-ksa"`},
		{"no mode", func(s *Settings) { s.Mode = "" }, `mode "": want batch or dispatch`},
		{"an unknown mode", func(s *Settings) { s.Mode = "bulk" }, `mode "bulk": want batch or dispatch`},
		{"no channel", func(s *Settings) { s.ChannelID = 0 }, "channel 0: want 1 or more"},
		{"an unknown lane", func(s *Settings) { s.Lane = "fast" }, `priority "fast": want urgent, normal or bulk`},
		{"no chunk size", func(s *Settings) { s.ChunkSize = 0 }, "chunk size 0: want 1 to 10000"},
		{"too large a chunk size", func(s *Settings) { s.ChunkSize = 10_001 }, "chunk size 10001: want 1 to 10000"},
		{"no attempts", func(s *Settings) { s.MaxAttempts = 0 }, "max attempts 0: want 1 to 200"},
		{"more attempts than can be counted", func(s *Settings) { s.MaxAttempts = 201 }, "max attempts 201: want 1 to 200"},
		{"kept for too long", func(s *Settings) { s.KeepDays = MaxKeepDays + 1 }, "keep for 3651 days: want at most 3650"},
		{"kept for less than nothing", func(s *Settings) { s.KeepDays = -1 }, "keep for -1 days: want at most 3650"},
		{"negative lateness", func(s *Settings) { s.MaxLateness = -time.Second }, "max lateness -1s: want 0 or more"},
		{"an end before its beginning", func(s *Settings) { s.StartAt = time.Unix(9, 0); s.FinishBy = time.Unix(8, 0) }, "finish by: want a time after its start"},
		{"limits without a record", func(s *Settings) { s.Limits.PerWeek, s.Unrecorded = 2, true },
			"limits per day and week go by the contact record: this campaign must be recorded"},
		{"limits that are none", func(s *Settings) { s.Limits.PerDay = 2 }, "contacts per day 2: want 1, or 0 for no limit"},
		{"a time zone that is none", func(s *Settings) { s.Hours.Zone = "Riyadh" }, `time zone "Riyadh": want a name such as Asia/Riyadh or America/New_York`},
		{"a negative canary", func(s *Settings) { s.Canary = -1 }, "canary -1: want 1 or more"},
		{"a share of no canary", func(s *Settings) { s.CanaryGoOn = new(Share) }, "canary go on: there is no canary"},
		{"a failure share of everybody", func(s *Settings) { s.MaxFailureShare = Whole }, "max failure share 100%: want more than 0% and less than 100%"},
		{"a negative cap", func(s *Settings) { s.DailyCap = -1 }, "daily cap -1: want 1 or more"},
		{"more rows than a chunk", func(s *Settings) { s.RowsPerRequest = s.ChunkSize + 1 }, "chunk size 501: want at most the 500 that it was loaded with"},
		{"rows in dispatch mode", func(s *Settings) { s.RowsPerRequest, s.Mode = 1, Dispatch }, "chunk size: in dispatch mode every request has one contact"},
		{"more attempts over all runs than can be counted", func(s *Settings) { s.MaxContactAttempts = 255 }, "max contact attempts 255: want 1 to 254"},
		{"a phone column before the first", func(s *Settings) { s.PhoneColumn = -1 }, "phone column -1: the file has 2 columns"},
		{"a phone column behind the last", func(s *Settings) { s.PhoneColumn = 2 }, "phone column 2: the file has 2 columns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := validSettings()
			tt.change(&s)
			got := ""
			if err := s.Check(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Chunks are named by two bytes in a change of the store.
func TestChunksFitTwoBytes(t *testing.T) {
	if MaxChunkSize > 1<<16 {
		t.Errorf("%d contacts per chunk do not fit two bytes", MaxChunkSize)
	}
}

func TestAgentName(t *testing.T) {
	const malformed = "agent: want 1 to 64 letters and digits, with - or _ between them"
	for _, tt := range []struct{ name, agent, want, err string }{
		{"as it is kept", "sales-ksa", "sales-ksa", ""},
		{"as in an environment variable", "SALES_KSA", "sales-ksa", ""},
		{"digits", "2", "2", ""},
		{"64 characters", strings.Repeat("a", 64), strings.Repeat("a", 64), ""},
		{"65 characters", strings.Repeat("a", 65), "", malformed},
		{"nothing", "", "", malformed},
		{"a mark at the end", "sales-", "", malformed},
		{"two marks in a row", "sales--ksa", "", malformed},
		{"a dot", "sales.ksa", "", malformed},
		{"another agent's urgent lane", "sales_urgent", "", "agent: its name must not end in -urgent"},
		{"another agent's bulk lane", "sales-bulk", "", "agent: its name must not end in -bulk"},
		{"a lane's name alone", "bulk", "bulk", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AgentName(tt.agent)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != tt.want || text != tt.err {
				t.Errorf("got %q, %q, want %q, %q", got, text, tt.want, tt.err)
			}
		})
	}
}

func TestLaneFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lane   Lane
		chunks int
		want   Lane
	}{
		{"a short list", "", 1, Normal},
		{"the longest that is still short", "", 50, Normal},
		{"a long list", "", 51, Bulk},
		{"a long list that is urgent", Urgent, 5000, Urgent},
		{"a short list that has time", Bulk, 1, Bulk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Settings{Lane: tt.lane}).LaneFor(tt.chunks); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCountsCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts Counts
		want   string
	}{
		{"an empty file", Counts{}, ""},
		{"all of them contacts", Counts{Rows: 3, Contacts: 3}, ""},
		{"some refused", Counts{Rows: 9, Contacts: 3, Invalid: 3, Duplicates: 2, Suppressed: 1,
			Refused: map[string]int{"invalid number": 3, "duplicate": 2, "suppressed": 1}}, ""},
		{"a line that went nowhere", Counts{Rows: 4, Contacts: 3}, "counts: 4 rows, but 3 contacts and refused lines"},
		{"a contact out of nowhere", Counts{Rows: 3, Contacts: 4}, "counts: 3 rows, but 4 contacts and refused lines"},
		{"a refused line without a reason", Counts{Rows: 4, Contacts: 3, Invalid: 1}, "counts: 1 refused lines, but reasons for 0"},
		{"a reason without a refused line", Counts{Rows: 3, Contacts: 3, Refused: map[string]int{"duplicate": 1}},
			"counts: 0 refused lines, but reasons for 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.counts.Check(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestContactValues(t *testing.T) {
	columns := []Column{{Name: "phone"}, {Name: "الاسم", Key: "name"}, {Name: "note"}, {Name: "City", Key: "city"}}
	for _, tt := range []struct {
		name   string
		fields []string
		want   map[string]string
	}{
		{"only columns with a key go to the platform", []string{"+966501234567", "نورة", "vip", "Riyadh"}, map[string]string{"name": "نورة", "city": "Riyadh"}},
		{"empty cells go as empty values", []string{"+966501234567", "", "", ""}, map[string]string{"name": "", "city": ""}},
		{"a short row has no value for what it lacks", []string{"+966501234567", "نورة"}, map[string]string{"name": "نورة"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Settings{Columns: columns}.Values(Contact{Fields: tt.fields})); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("constants go with every contact", func(t *testing.T) {
		s := Settings{Columns: columns, Constants: map[string]string{"country": "KSA"}}
		want := map[string]string{"name": "نورة", "city": "Riyadh", "country": "KSA"}
		if diff := cmp.Diff(want, s.Values(Contact{Fields: []string{"", "نورة", "", "Riyadh"}})); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
	})
}

func TestCountsAdd(t *testing.T) {
	a := Counts{Rows: 4, Contacts: 1, Invalid: 1, Duplicates: 1, Suppressed: 1, Refused: map[string]int{"x": 1, "duplicate": 1, "s": 1}}
	b := Counts{Rows: 2, Invalid: 2, Refused: map[string]int{"x": 1, "y": 1}}
	want := Counts{Rows: 6, Contacts: 1, Invalid: 3, Duplicates: 1, Suppressed: 1, Refused: map[string]int{"x": 2, "y": 1, "duplicate": 1, "s": 1}}
	if diff := cmp.Diff(want, a.Add(b)); diff != "" || a.Refused["x"] != 1 {
		t.Errorf("sum (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(b, Counts{}.Add(b)); diff != "" {
		t.Errorf("added to nothing (-want +got):\n%s", diff)
	}
	if err := want.Check(); err != nil {
		t.Error(err)
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
