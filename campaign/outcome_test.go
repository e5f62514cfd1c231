package campaign_test

import (
	"testing"

	"campaign-runner/campaign"
)

func TestParseExtractionRules(t *testing.T) {
	for _, text := range []string{"extraction.intent=buy", "extraction.intent=", "extraction.a.b=x=y"} {
		rule, err := campaign.ParseRule(text)
		if err != nil || rule.String() != text {
			t.Errorf("%q became %v, %v", text, rule, err)
		}
	}
	for _, text := range []string{"", "extraction.intent", "intent=buy", "extraction.=buy"} {
		if _, err := campaign.ParseRule(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestExtractionsAreComparedAsACellShowsThem(t *testing.T) {
	o := campaign.Outcome{Extraction: []byte(`{"intent":"buy","agreed":true,"amount":12.5,"nothing":null}`)}
	for text, want := range map[string]bool{
		"extraction.intent=buy":  true,
		"extraction.intent=BUY":  false,
		"extraction.agreed=true": true,
		"extraction.amount=12.5": true,
		"extraction.nothing=":    true,
		"extraction.absent=":     false,
	} {
		rule, err := campaign.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule.Of(campaign.Facts{Outcome: o}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if rule, err := campaign.ParseRule("extraction.intent="); err != nil || rule.Of(campaign.Facts{}) {
		t.Error("nothing was learned, and something is in it")
	}
}
