package main

import (
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
)

// loadBy makes a running campaign of five contacts in somebody's name.
func (f fixture) loadBy(name, by string) {
	f.T.Helper()
	settings := campaigntest.Settings(2, campaign.Column{Name: "phone"})
	f.Load(campaigntest.List{Name: name, Settings: settings, Contacts: campaigntest.People(966501000000, 5, nil), By: by})
}

func TestPolicyAndApproval(t *testing.T) {
	f := newFixture(t)
	account := store.Who("")
	lina := campaign.Claimed("lina", account)
	f.loadBy("before", "sara")
	unapproved := "it waits for approval by somebody else than sara: campaign approve sale"
	for _, step := range []struct {
		args   string
		want   outcome
		before func()
	}{
		{"policy", outcome{"campaigns of any size go without approval\n", "", 0}, nil},
		{"policy --approve-above some", outcome{"", `campaign: --approve-above "some": want a number of contacts, or none; campaign policy -h shows how` + "\n", 2}, nil},
		{"approve before", outcome{"", "campaign: approve before: it does not wait for approval\n", 1}, nil},
		{"start sale", outcome{"sale was already running; 0 chunks released\n", "campaign: sale: " + unapproved + "\n", 0}, func() { f.ApproveAbove(4); f.loadBy("sale", "sara") }},
		{"approve sale --as SARA", outcome{"", "campaign: approve sale: SARA (as claimed by " + account + ") may be among those who made it or changed it (sara): somebody else must approve it\n", 1}, nil},
		{"approve sale --as sara(admin)", outcome{"", `campaign: --as "sara(admin)": want a name of letters, digits, spaces and signs, without parentheses; campaign approve -h shows how` + "\n", 2}, nil},
		{"approve sale --revision 7", outcome{"", "campaign: approve sale: its list or settings have changed meanwhile: look at it again\n", 1}, nil},
		{"approve sale --as omar --json", outcome{`{"campaign":"sale","approved":true,"contacts":5,"makers":["sara"],"state":"running","released":3}` + "\n", "", 0}, nil},
		{"approve sale --as nora", outcome{"", "campaign: approve sale: it does not wait for approval\n", 1}, nil},
		{"set sale --max-attempts 7 --as lina", outcome{"sale: --max-attempts is 7 now, was 5\n", "campaign: sale: it waits for approval by somebody else than sara, " + lina + ": campaign approve sale\n", 0}, nil},
		{"pause sale --reason lunch --as omar", outcome{"sale is paused: lunch\n", "", 0}, nil},
		{"approve sale", outcome{"", "campaign: approve sale: " + account + " may be among those who made it or changed it (sara, " + lina + "): somebody else must approve it\n", 1}, nil},
	} {
		if step.before != nil {
			step.before()
		}
		if got := f.run(strings.Fields(step.args)...); got != step.want {
			t.Errorf("%s:\n got %+v\nwant %+v", step.args, got, step.want)
		}
	}
	waits := "paused: lunch; go on with: campaign resume sale; and it waits for approval by somebody else than sara, " + lina + ": campaign approve sale"
	for _, args := range []string{"show sale", "list"} {
		if got := f.run(strings.Fields(args)...); !strings.Contains(got.stdout, waits) {
			t.Errorf("%s:\n%s", args, got.stdout)
		}
	}
	if got := f.run("plan", "sale"); !strings.Contains(got.stdout, "\nit waits for approval: this is how it goes from then on\n") {
		t.Errorf("%+v", got)
	}
	f.env = map[string]string{"CAMPAIGN_AS": "nora"}
	if got := f.run("approve", "sale"); got.code != 0 || got.stdout != "sale: 5 contacts, made or changed by sara, "+lina+" is approved\nsale is paused; 0 chunks released\n" {
		t.Errorf("%+v", got)
	}
	if got := f.run("show", "sale"); !strings.Contains(got.stdout, "  approved  by nora (as claimed by "+account+") at ") {
		t.Errorf("%+v", got)
	}
	got := f.run("policy", "--approve-above", "4")
	if !strings.HasPrefix(got.stdout, "campaigns with more than 4 contacts wait for approval\nset by nora (as claimed by "+account+") at ") ||
		!strings.Contains(got.stderr, `level=INFO msg="policy set" approve_above=4 by="nora (as claimed by `+account+`)"`) ||
		!strings.HasSuffix(got.stderr, "campaign: larger and loaded before, so they do not wait: before\n") {
		t.Errorf("%+v", got)
	}
	log := f.run("log", "sale").stdout
	for _, who := range []string{"omar (as claimed by " + account + ")", "nora (as claimed by " + account + ")", "5 contacts; it was made or changed by sara"} {
		if !strings.Contains(log, who) {
			t.Errorf("the log lacks %q:\n%s", who, log)
		}
	}
}
