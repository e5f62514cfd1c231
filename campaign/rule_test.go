package campaign_test

import (
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
		{"somebody who said something answered", "ended.answered", ended, said, true},
		{"and is not without an answer", "ended.no_answer", ended, said, false},
		{"somebody who said nothing did not answer", "ended.no_answer", ended, silent, true},
		{"and is not one who answered", "ended.answered", ended, silent, false},
		{"who may still answer is neither", "ended.no_answer", campaign.Record{State: campaign.Started, Run: 1}, silent, false},
		{"an earlier run's conversation tells nothing", "ended.no_answer", ended, of(0, silent), false},
		{"nor does none", "ended.no_answer", ended, campaign.Outcome{Run: 1}, false},
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
				Record: tt.record, Reason: campaign.Text("the line was busy"), Outcome: tt.outcome, Learned: tt.outcome.Learned(),
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

// Nothing is known of a line but its cells, so a name is that of a column.
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
			if err := (campaign.Rules{r}).Check(columns); (err != nil) != unknown {
				t.Errorf("%s of %q: %v", text, columns, err)
			}
		}
	}
}
