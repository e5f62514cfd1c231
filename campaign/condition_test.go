package campaign_test

import (
	"testing"
	"time"

	"campaign-runner/campaign"
)

func TestConditions(t *testing.T) {
	ended := campaign.Record{State: campaign.Ended, Run: 1}
	said := campaign.Outcome{Run: 1, Started: time.Unix(1e9, 0), Said: true, Extraction: []byte(`{"intent":"callback"}`)}
	silent := campaign.Outcome{Run: 1, Started: time.Unix(1e9, 0)}
	of := func(run uint8, o campaign.Outcome) campaign.Outcome { o.Run = run; return o }
	for _, tt := range []struct {
		name      string
		condition string
		record    campaign.Record
		outcome   campaign.Outcome
		want      bool
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := campaign.ParseCondition(tt.condition)
			if err != nil || c.String() != tt.condition {
				t.Fatalf("read as %s: %v", c, err)
			}
			if got := (campaign.Conditions{c}).Of(tt.record, tt.outcome, tt.outcome.Learned()); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, text := range []string{"", "ended", "ended.no_answer=yes", "answered", "intent=buy"} {
		if c, err := campaign.ParseCondition(text); err == nil {
			t.Errorf("%q was read as %s", text, c)
		}
	}
}
