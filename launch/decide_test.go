package launch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/ratelimit"
)

func TestColumns(t *testing.T) {
	known := func(keys ...string) checked { return checked{keys: keys, keysKnown: true} }
	for _, tt := range []struct {
		name     string
		header   []string
		found    checked
		want     []string // keys by column
		warnings []string
		err      string
	}{
		{"keys are sent, others are kept", []string{"phone", "name", "note"}, known("name"), []string{"", "name", ""}, nil, ""},
		{"an agent without values", []string{"phone", "name"}, known(), []string{"", ""}, nil, ""},
		{"the phone is a value when the agent asks for it", []string{"phone", "name"}, known("phone"), []string{"phone", ""}, nil, ""},
		{"a key is spelled as the agent spells it", []string{"phone", "name"}, known(" name "), []string{"", " name "}, nil, ""},
		{"every missing key is told", []string{"phone", "Name"}, known("name", "city"), nil, nil,
			`the agent wants values that the file has no column for: missing "name", "city"; the columns are "phone", "Name"`},
		{"equal names of a key", []string{"phone", "name", "name"}, known("name"), nil, nil, `two columns are named "name": it is not clear which to send`},
		{"equal names of no key", []string{"phone", "x", "x", "name"}, known("name"), []string{"", "", "", "name"}, nil, ""},
		{"keys not known: all but the phone", []string{"phone", "name"}, checked{}, []string{"", "name"}, nil, ""},
		{"keys not known: a column without a name", []string{"phone", "", "name"}, checked{}, []string{"", "", "name"},
			[]string{"column 2 has no name: it is kept and not sent"}, ""},
		{"keys not known: equal names", []string{"phone", "x", "x"}, checked{}, nil, nil, `two columns are named "x": it is not clear which to send`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			columns, warnings, err := columnsFor(tt.header, 0, tt.found)
			var keys []string
			for i, c := range columns {
				keys = append(keys, c.Key)
				if c.Name != tt.header[i] {
					t.Errorf("column %d is named %q", i, c.Name)
				}
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(tt.want, keys) + cmp.Diff(tt.warnings, warnings); diff != "" || text != tt.err {
				t.Errorf("error %q, (-want +got):\n%s", text, diff)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls int
		rate  ratelimit.Rate
		limit int
		want  time.Duration
	}{
		{"nothing to do", 0, ratelimit.Rate{}, 0, 0},
		{"the first window goes at once", 30, ratelimit.Rate{}, 0, 0},
		{"the next has to wait for its window", 31, ratelimit.Rate{}, 0, time.Minute},
		{"a thousand calls at the default", 1000, ratelimit.Rate{}, 0, 33 * time.Minute},
		{"a rate of one's own", 11, ratelimit.Rate{Limit: 10, Window: time.Hour}, 0, time.Hour},
		{"the platform's word beats it", 11, ratelimit.Rate{Limit: 10, Window: time.Hour}, 100, 0},
		{"no limit", 1000, ratelimit.Rate{Unlimited: true}, 0, 0},
		{"no limit but the platform's", 61, ratelimit.Rate{Unlimited: true}, 60, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := estimate(tt.calls, tt.rate, tt.limit); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestDifferenceNamesTheFlag(t *testing.T) {
	base := campaign.Settings{Agent: "a", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 1, MaxAttempts: 1}
	for want, change := range map[string]func(*campaign.Settings){
		"--agent a, not b":                               func(s *campaign.Settings) { s.Agent = "b" },
		"--max-attempts 1, not 2":                        func(s *campaign.Settings) { s.MaxAttempts = 2 },
		"--strict-5xx false, not true":                   func(s *campaign.Settings) { s.Strict5xx = true },
		"--region none, not SA":                          func(s *campaign.Settings) { s.Region = "SA" },
		"another file, suppression list or phone column": func(*campaign.Settings) {},
	} {
		asked := base
		change(&asked)
		if got := difference(base, asked); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestInfoNumber(t *testing.T) {
	const info = "# Memory\r\nused_memory:123\r\nused_memory_rss:9\r\nmaxmemory:7\r\n"
	if a, b, c := infoNumber(info, "used_memory"), infoNumber(info, "maxmemory"), infoNumber(info, "no"); a != 123 || b != 7 || c != 0 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
}
