package campaign_test

import (
	"testing"

	"campaign-runner/campaign"
)

func TestTicketRules(t *testing.T) {
	failed := campaign.Record{State: campaign.Failed}
	human := campaign.Outcome{Extraction: []byte(`{"needs_human":true}`)}
	for _, tt := range []struct {
		name    string
		rule    string
		record  campaign.Record
		outcome campaign.Outcome
		want    bool
	}{
		{"the state asked for", "state=failed", failed, campaign.Outcome{}, true},
		{"another state", "state=rejected", failed, campaign.Outcome{}, false},
		{"what was learned", "extraction.needs_human=true", campaign.Record{State: campaign.Started}, human, true},
		{"what was learned otherwise", "extraction.needs_human=false", campaign.Record{State: campaign.Ended}, human, false},
		{"nothing was learned", "extraction.needs_human=true", failed, campaign.Outcome{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := campaign.ParseTicketRule(tt.rule)
			if err != nil || rule.Of(campaign.Facts{Record: tt.record, Outcome: tt.outcome}) != tt.want {
				t.Errorf("%v, want %v (%v)", !tt.want, tt.want, err)
			}
		})
	}
	for _, text := range []string{"", "failed", "state=", "state=pending", "state=sending", "state=accepted", "state=lost", "extraction.x", "needs_human=true", "state!=failed", "extraction.x!=y", "ended.answered", "column.a=b", "reason=busy"} {
		if _, err := campaign.ParseTicketRule(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestTheFirstRuleThatNamesAContactCounts(t *testing.T) {
	rules, err := campaign.ParseRules([]string{"state=rejected", "extraction.a=1", "state=failed"}, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	s := campaign.Settings{Tickets: campaign.Tickets{TicketRules: rules}}
	if got := s.TicketRuleFor(campaign.Record{State: campaign.Failed}, campaign.Outcome{Extraction: []byte(`{"a":1}`)}); got.String() != "extraction.a=1" {
		t.Errorf("%q", got)
	}
	if got := s.TicketRuleFor(campaign.Record{State: campaign.Ended}, campaign.Outcome{}); got != (campaign.Rule{}) {
		t.Errorf("%q", got)
	}
}
