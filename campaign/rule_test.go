package campaign_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

func TestRules(t *testing.T) {
	ended := campaign.Record{State: campaign.Ended, Run: 1}
	said := campaign.Outcome{Run: 1, Started: time.Unix(1e9, 0), Said: true, Extraction: []byte(`{"intent":"callback"}`)}
	silent := campaign.Outcome{Run: 1, Started: time.Unix(1e9, 0)}
	of := func(run uint8, o campaign.Outcome) campaign.Outcome { o.Run = run; return o }
	cells := map[string]string{"City": " Riyadh ", "a=b": "x", "مدينة": "جدة"}
	for _, tt := range []struct {
		name    string
		rule    string
		record  campaign.Record
		outcome campaign.Outcome
		want    bool
	}{
		{"a contact that said something answered", "ended.answered", ended, said, true},
		{"and is not a contact without an answer", "ended.no_answer", ended, said, false},
		{"a contact that said nothing did not answer", "ended.no_answer", ended, silent, true},
		{"and is not a contact that answered", "ended.answered", ended, silent, false},
		{"a contact that may still answer is neither", "ended.no_answer", campaign.Record{State: campaign.Started, Run: 1}, silent, false},
		{"the conversation of an earlier run does not count", "ended.no_answer", ended, of(0, silent), false},
		{"nor does a contact without a conversation", "ended.no_answer", ended, campaign.Outcome{Run: 1}, false},
		{"what was learned", "extraction.intent=callback", ended, said, true},
		{"what was learned otherwise", "extraction.intent=buy", ended, said, false},
		{"what was not learned", "extraction.intent=callback", ended, silent, false},
		{"what was not learned is not that", "extraction.intent!=callback", ended, silent, true},
		{"what was learned is that", "extraction.intent!=callback", ended, said, false},
		{"the state", "state=ended", ended, said, true},
		{"another state", "state=failed", ended, said, false},
		{"any state but one", "state!=failed", ended, said, true},
		{"a part of the reason", "reason=BUSY", ended, said, true},
		{"what is not in the reason", "reason=bad number", ended, said, false},
		{"a reason it must not have", "reason!=busy", ended, said, false},
		{"a cell, whatever its case", "column.City=riyadh", ended, said, true},
		{"a cell that it is not", "column.City!=Riyadh", ended, said, false},
		{"an Arabic column", "column.مدينة=جدة", ended, said, true},
		{"an empty cell", "column.City=", ended, said, false},
		{"a cell that is not empty", "column.City!=", ended, said, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := campaign.ParseRule(tt.rule)
			if err != nil || r.String() != tt.rule {
				t.Fatalf("read as %s: %v", r, err)
			}
			facts := campaign.Facts{
				Record: tt.record, Reason: campaign.Text("the line was busy"), Outcome: tt.outcome,
				Cell: func(name string) string { return cells[name] },
			}
			if got := (campaign.Rules{r}).Of(facts); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, text := range []string{"", "ended", "ended.no_answer=yes", "ended.answered!=", "answered", "intent=buy", "state=lost", "state=", "column.=x", "extraction.=x", "=x", "!=x", "City=Riyadh"} {
		if r, err := campaign.ParseRule(text); err == nil {
			t.Errorf("%q was read as %s", text, r)
		}
	}
}

func TestSeveralRulesMustAllBeTrue(t *testing.T) {
	for _, tt := range []struct {
		rules []string
		want  bool
	}{
		{nil, true},
		{[]string{"state=failed", "reason=busy"}, true},
		{[]string{"state=failed", "reason=bad number"}, false},
		{[]string{"state=rejected", "reason=busy"}, false},
	} {
		rules, err := campaign.ParseRules(tt.rules, campaign.ParseRule)
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.Of(campaign.Facts{Record: campaign.Record{State: campaign.Failed}, Reason: campaign.Text("the line was busy")}); got != tt.want {
			t.Errorf("%q: %v", tt.rules, got)
		}
	}
}

func TestStatesThatRulesName(t *testing.T) {
	rules, err := campaign.ParseRules([]string{"state=failed", "state!=ended", "reason=ended", "extraction.a=rejected"}, campaign.ParseRule)
	if got := rules.States(); err != nil || !slices.Equal(got, []campaign.State{campaign.Failed}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// A line has only cells, so every name is that of a column.
func TestFileRules(t *testing.T) {
	cells := map[string]string{"state": "Texas", "City": "Jeddah", "ended.answered": "yes", "a": "b=c"}
	for text, want := range map[string]bool{
		"City=jeddah":         true,
		"column.City=Jeddah":  true,
		"City!=Jeddah":        false,
		"state=Texas":         true,
		"ended.answered=yes":  true,
		"a=b=c":               true,
		"City =Jeddah":        true,
		"City!=Dammam":        true,
		"column.state!=Texas": false,
	} {
		r, err := campaign.ParseFileRule(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := r.Of(campaign.Facts{Cell: func(name string) string { return cells[name] }}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, text := range []string{"", "ended.answered", "City", "=x", "!=x"} {
		if r, err := campaign.ParseFileRule(text); err == nil {
			t.Errorf("%q was read as %s", text, r)
		}
	}
}

func TestRulesSayWhatTheyNeed(t *testing.T) {
	for text, want := range map[string][3]bool{
		"state=failed":     {},
		"reason=busy":      {true, false, false},
		"ended.answered":   {false, true, false},
		"extraction.a!=b":  {false, true, false},
		"column.City=Rome": {false, false, true},
	} {
		r, err := campaign.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		reason, outcome, cells := campaign.Rules{r}.Need()
		if got := [3]bool{reason, outcome, cells}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		for _, columns := range [][]string{{"Name", "Town"}, {"Name", " city "}} {
			unknown := cells && columns[1] == "Town"
			on, err := campaign.Rules{r}.On(columns)
			if (err != nil) != unknown {
				t.Errorf("%s of %q: %v", text, columns, err)
			}
			if cells && !unknown && !on.Of(campaign.Facts{Cell: func(name string) string { return map[string]string{" city ": "Rome"}[name] }}) {
				t.Errorf("%s of %q: became %s", text, columns, on)
			}
		}
	}
}

func TestColumnsOfRulesAreFoundAsHeadersAre(t *testing.T) {
	columns := []string{"First Name", "Cíty", "City", "#", "المدينة", "E-Mail"}
	for name, want := range map[string]int{
		"City": 2, "city": 2, " CITY ": 2, "Cíty": 1, "CÍTY": 1, "c\u200eity": 1, // the first that is alike
		"first_name": 0, "FirstName": 0, "first-name": 0, "email": 5, "المدينه": 4, "المَدينة": 4,
		"#": 3, " # ": 3, "!": -1, "": -1, "Town": -1,
	} {
		if got := campaign.FindColumn(columns, name); got != want {
			t.Errorf("FindColumn(%q) = %d, want %d", name, got, want)
		}
	}
}

func TestRulesAreStoredAsTheirText(t *testing.T) {
	type stored struct {
		Rules []campaign.Rule
		None  campaign.Rule
	}
	const text = `{"Rules":["state=failed","extraction.needs_human!=true","ended.no_answer","column.City=","reason=\"busy\""],"None":""}`
	var s stored
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(s); string(got) != text || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if s.None != (campaign.Rule{}) || s.None.Of(campaign.Facts{}) {
		t.Errorf("no text became %v", s.None)
	}
	if err := json.Unmarshal([]byte(`{"None":"state=lost"}`), &s); err == nil {
		t.Error("a rule that is none was read")
	}
}

func TestOptOutRules(t *testing.T) {
	if r, err := campaign.ParseOptOutRule("extraction.stop=yes"); err != nil || r.String() != "extraction.stop=yes" {
		t.Errorf("%v, %v", r, err)
	}
	for _, text := range []string{"", "stop=yes", "extraction.stop", "extraction.stop!=yes", "state=failed", "ended.answered", "column.stop=yes"} {
		if _, err := campaign.ParseOptOutRule(text); err == nil || !strings.Contains(err.Error(), "want extraction.KEY=VALUE") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := campaign.ParseRules([]string{"extraction.a=b", "x"}, campaign.ParseOptOutRule); err == nil {
		t.Error("the second rule was read")
	}
}
