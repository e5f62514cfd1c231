package launch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"campaign-runner/campaign"
)

func TestColumns(t *testing.T) {
	known := func(keys ...string) checked { return checked{keys: keys, keysKnown: true} }
	mapped := func(pairs ...string) Mapping {
		m := Mapping{Columns: make(map[string]string)}
		for i := 0; i < len(pairs); i += 2 {
			m.Columns[pairs[i]] = pairs[i+1]
		}
		return m
	}
	set := func(key, value string) Mapping { return Mapping{Constants: map[string]string{key: value}} }
	extra := Mapping{SendExtra: true}
	results := []string{"phone", "name", "state (file)", "phone_e164", "state", "reason", "attempts", "extraction.intent"}
	kept := func(columns string) string {
		return "the file holds results of a campaign: the columns " + columns + " are kept and not sent; --map COLUMN=VALUE sends one"
	}
	for _, tt := range []struct {
		name     string
		header   []string
		found    checked
		wish     Mapping
		want     []string // keys by column
		warnings []string
		err      string
	}{
		{"keys are sent, others are kept", []string{"phone", "name", "note"}, known("name"), Mapping{}, []string{"", "name", ""}, nil, ""},
		{"any case", []string{"phone", "NAME"}, known("Name"), Mapping{}, []string{"", "Name"}, nil, ""},
		{"an agent without values", []string{"phone", "name"}, known(), Mapping{}, []string{"", ""}, nil, ""},
		{"the phone is a value when the agent asks for it", []string{"phone", "name"}, known("phone"), Mapping{}, []string{"phone", ""}, nil, ""},
		{"a key is spelled as the agent spells it", []string{"phone", "name"}, known(" name "), Mapping{}, []string{"", " name "}, nil, ""},
		{"every missing key is told", []string{"phone", "x"}, known("name", "city"), Mapping{}, nil, nil,
			`the agent wants values that the file has no column for: missing "name", "city"; the columns are "phone", "x"; --map COLUMN=KEY or --set KEY=VALUE fills them`},
		{"with the column that may be meant", []string{"phone", "company"}, known("company_name"), Mapping{}, nil, nil,
			`the agent wants values that the file has no column for: missing "company_name" ("company" → did you mean "company_name"? then --map "company=company_name"); the columns are "phone", "company"; --map COLUMN=KEY or --set KEY=VALUE fills them`},
		{"equal names of a key", []string{"phone", "name", "Name"}, known("name"), Mapping{}, nil, nil,
			`2 columns fill the value "name": "name" (column 2), "Name" (column 3): choose one with --map, and give equal columns different names`},
		{"equal names of no key", []string{"phone", "x", "x", "name"}, known("name"), Mapping{}, []string{"", "", "", "name"}, nil, ""},
		{"extra columns when they are wanted", []string{"phone", "name", "note", ""}, known("name"), extra, []string{"", "name", "note", ""},
			[]string{"column 4 has no name: it is kept and not sent"}, ""},
		{"equal extra columns", []string{"phone", "name", "x", "x"}, known("name"), extra, nil, nil,
			`2 columns fill the value "x": "x" (column 3), "x" (column 4): choose one with --map, and give equal columns different names`},
		{"a mapped column", []string{"phone", "Company"}, known("company_name"), mapped("company", "Company_Name"), []string{"", "company_name"}, nil, ""},
		{"a mapped column beats a name", []string{"phone", "name", "full name"}, known("name"), mapped("full name", "name"), []string{"", "", "name"},
			[]string{`column "name" is not sent: the value "name" is filled otherwise`}, ""},
		{"it does so for extra columns, too", []string{"phone", "name", "full"}, known("name"), Mapping{Columns: map[string]string{"full": "name"}, SendExtra: true}, []string{"", "", "name"},
			[]string{`column "name" is not sent: the value "name" is filled otherwise`}, ""},
		{"two columns mapped to one value", []string{"phone", "a", "b"}, known("name"), mapped("a", "name", "b", "name"), nil, nil,
			`2 columns fill the value "name": "a" (column 2), "b" (column 3): choose one with --map, and give equal columns different names`},
		{"one column mapped twice", []string{"phone", "a"}, known("name", "city"), mapped("a", "name", "A", "city"), nil, nil,
			`--map a=name: the column is mapped to "city" already`},
		{"a mapped column that is not there", []string{"phone", "company"}, known("name"), mapped("compnay", "name"), nil, nil,
			`--map compnay=name: no such column, did you mean "company"?; the columns are "phone", "company"`},
		{"a mapped column that is there twice", []string{"phone", "a", "a"}, known("name"), mapped("a", "name"), nil, nil,
			`--map a=name: 2 columns are named so: give them different names`},
		{"mapped to a value that the agent has not", []string{"phone", "a"}, known("name"), mapped("a", "nmae"), nil, nil,
			`--map a=nmae: the agent has no such value, did you mean "name"?; its values are "name"; --send-extra sends it all the same`},
		{"a constant for a missing column", []string{"phone", "name"}, known("name", "city"), set("city", "Riyadh"), []string{"", "name"}, nil, ""},
		{"a constant beats a column", []string{"phone", "name", "city"}, known("name", "city"), set("city", "Riyadh"), []string{"", "name", ""},
			[]string{`column "city" is not sent: the value "city" is filled otherwise`}, ""},
		{"a constant and a mapped column", []string{"phone", "a"}, known("name"), Mapping{Columns: map[string]string{"a": "name"}, Constants: map[string]string{"name": "x"}}, nil, nil,
			`--set name: the column "a" is mapped to it`},
		{"a constant that the agent has not", []string{"phone", "name"}, known("name"), set("town", "x"), nil, nil,
			`--set town: the agent has no such value; its values are "name"; --send-extra sends it all the same`},
		{"keys not known: all but the phone", []string{"phone", "name"}, checked{}, Mapping{}, []string{"", "name"}, nil, ""},
		{"keys not known: a column without a name", []string{"phone", "", "name"}, checked{}, Mapping{}, []string{"", "", "name"},
			[]string{"column 2 has no name: it is kept and not sent"}, ""},
		{"keys not known: equal names", []string{"phone", "x", "x"}, checked{}, Mapping{}, nil, nil,
			`2 columns fill the value "x": "x" (column 2), "x" (column 3): choose one with --map, and give equal columns different names`},
		{"results of a campaign", results, checked{}, Mapping{}, []string{"", "name", "state (file)", "", "", "", "", ""}, []string{kept(`"phone_e164", "state", "reason", "attempts", "extraction.intent"`)}, ""},
		{"results, one column mapped", results, known("why"), mapped("reason", "why"), []string{"", "", "", "", "", "why", "", ""}, []string{kept(`"phone_e164", "state", "attempts", "extraction.intent"`)}, ""},
		{"results, and an agent that asks for a state", results, known("state"), Mapping{}, nil, nil,
			`the agent wants values that the file has no column for: missing "state"; the columns are "phone", "name", "state (file)", "phone_e164", "state", "reason", "attempts", "extraction.intent"; --map COLUMN=KEY or --set KEY=VALUE fills them`},
		{"a list with a state of its own", []string{"phone", "state", "reason"}, checked{}, Mapping{}, []string{"", "state", "reason"}, nil, ""},
		{"keys not known: mapped and set", []string{"phone", "a", "b"}, checked{}, Mapping{Columns: map[string]string{"a": "name"}, Constants: map[string]string{"b": "x"}}, []string{"", "name", ""}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			columns, warnings, err := columnsFor(tt.header, 0, tt.found, tt.wish)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tt.err {
				t.Fatalf("error %q, want %q", text, tt.err)
			}
			if err != nil {
				return
			}
			var keys []string
			for i, c := range columns {
				keys = append(keys, c.Key)
				if c.Name != tt.header[i] {
					t.Errorf("column %d is named %q", i, c.Name)
				}
			}
			if diff := cmp.Diff(tt.want, keys) + cmp.Diff(tt.warnings, campaign.Strings(warnings), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDifferenceNamesTheFlag(t *testing.T) {
	base := campaign.Settings{Agent: "a", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 1, MaxAttempts: 1}
	for want, change := range map[string]func(*campaign.Settings){
		"--agent a, not b":                                  func(s *campaign.Settings) { s.Agent = "b" },
		"--max-attempts 1, not 2":                           func(s *campaign.Settings) { s.MaxAttempts = 2 },
		"--retry-5xx own, not none":                         func(s *campaign.Settings) { s.Retry5xx = campaign.RetryNone },
		"--region none, not SA":                             func(s *campaign.Settings) { s.Region = "SA" },
		"another file, suppression list, mapping or choice": func(*campaign.Settings) {},
	} {
		asked := base
		change(&asked)
		if got := difference(base, asked); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
