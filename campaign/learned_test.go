package campaign_test

import (
	"testing"

	"campaign-runner/campaign"
)

func TestParseLearned(t *testing.T) {
	for _, text := range []string{"extraction.intent=buy", "extraction.intent=", "extraction.a.b=x=y"} {
		learned, err := campaign.ParseLearned(text)
		if err != nil || learned.String() != text {
			t.Errorf("%q became %v, %v", text, learned, err)
		}
	}
	for _, text := range []string{"", "extraction.intent", "intent=buy", "extraction.=buy"} {
		if _, err := campaign.ParseLearned(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestLearnedIsComparedAsACellShowsIt(t *testing.T) {
	o := campaign.Outcome{Extraction: []byte(`{"intent":"buy","agreed":true,"amount":12.5,"nothing":null}`)}
	for text, want := range map[string]bool{
		"extraction.intent=buy":  true,
		"extraction.intent=BUY":  false,
		"extraction.agreed=true": true,
		"extraction.amount=12.5": true,
		"extraction.nothing=":    true,
		"extraction.absent=":     false,
	} {
		learned, err := campaign.ParseLearned(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := learned.In(o.Learned()); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if (campaign.Learned{Key: "intent"}).In(campaign.Outcome{}.Learned()) {
		t.Error("nothing was learned, and something is in it")
	}
}
