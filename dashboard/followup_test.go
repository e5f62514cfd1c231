package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/dashboard"
)

// The page of a campaign that is over leads to the form of a new one with some of its
// contacts, and that to its preview, as for a file.
func TestACampaignIsFollowedUp(t *testing.T) {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) {
		c.Channels = append(c.Channels, dashboard.Channel{Name: "whatsapp", ID: 7})
	})
	f.load("offer", 3, func(s *campaign.Settings) { s.ChannelID = 3 })
	if page := f.get("/campaigns/offer"); strings.Contains(page, "do-follow-up") {
		t.Error("a campaign that runs is followed up")
	}
	f.move("offer", 0, "busy", campaign.Send, campaign.Fail)
	f.move("offer", 1, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	f.move("offer", 2, "", campaign.Send, campaign.Accept)
	wantTexts(t, f.get("/campaigns/offer"), `<form method="get" action="/new"><input type="hidden" name="from" value="offer">`,
		`name="where" value="ended.no_answer" checked`, `name="where" value="state=failed"`, "Follow up…")
	wantTexts(t, f.get("/new?from=offer&where=ended.no_answer"), `type="hidden" name="from" value="offer"`, `type="hidden" name="where" value="ended.no_answer"`,
		`type="hidden" name="channel" value="whatsapp"`, "Take a file instead")
	if res, _ := f.ask("GET", "/new?from=nobody", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("of a campaign that is not there: %d", res.StatusCode)
	}
	for where, want := range map[string]string{"state=failed": "Launch: contact 1 person", "": "Launch: contact 3 people", "nonsense": "want state=STATE"} {
		_, page := f.upload("", "", filled(map[string]string{"from": "offer", "where": where, "channel": "whatsapp"}), false)
		wantTexts(t, page, want)
	}
	_, page := f.upload("", "", filled(map[string]string{"from": "offer", "where": "state=failed", "channel": "whatsapp", "skip_contacted_within": "7", "min_answer_share": "10%"}), false)
	if !strings.Contains(page, "max silence go by the platform") {
		t.Error("a guard without events")
	}
	_, page = f.upload("", "", filled(map[string]string{"from": "offer", "where": "state=failed", "channel": "whatsapp", "skip_contacted_within": "7"}), false)
	wantTexts(t, page, "contacts of campaign offer", "Launch: contact 1 person")
	res, _ := f.ask("POST", launchButton.FindStringSubmatch(page)[1]+"/launch", nil)
	c, err := f.Campaign(t.Context(), "spring")
	if res.StatusCode != http.StatusSeeOther || err != nil || c.Counts.Contacts != 1 || c.Settings.ChannelID != 7 || c.Settings.FollowsUp != "offer" {
		t.Errorf("%d, %+v, %v", res.StatusCode, c, err)
	}
}

var launchForm = regexp.MustCompile(`name="seen" value="([0-9a-f]+)"><input type="hidden" name="contacts" value="(\d+)"`)

// What a campaign that runs has more of by the launch than its review showed is not contacted.
func TestAFollowUpLaunchesNobodyWhomNobodySaw(t *testing.T) {
	f := newFixture(t, withAgent(t))
	f.load("offer", 3)
	f.move("offer", 0, "busy", campaign.Send, campaign.Fail)
	_, page := f.upload("", "", filled(map[string]string{"from": "offer", "where": "state=failed"}), false)
	path := launchButton.FindStringSubmatch(page)[1]
	launch := func(page string) (*http.Response, string) {
		t.Helper()
		seen := launchForm.FindStringSubmatch(page)
		if seen == nil {
			t.Fatalf("the review does not say what it shows:\n%s", page)
		}
		return f.ask("POST", path+"/launch", url.Values{"seen": {seen[1]}, "contacts": {seen[2]}})
	}
	f.move("offer", 1, "busy", campaign.Send, campaign.Fail)
	if res, page := launch(page); res.StatusCode != http.StatusConflict || !strings.Contains(page, "than this review showed") {
		t.Errorf("%s\n%s", res.Status, page)
	}
	if names, err := f.Names(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("it left %v, %v", names, err)
	}
	if res, page := launch(f.get(path + "/review")); res.StatusCode != http.StatusSeeOther {
		t.Errorf("%s\n%s", res.Status, page)
	}
	if c, err := f.Campaign(t.Context(), "spring"); err != nil || c.Counts.Contacts != 2 {
		t.Errorf("%+v, %v", c.Counts, err)
	}
}

func TestGuardsOnTheForm(t *testing.T) {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.WebhookURL = "https://example.org" })
	_, page := f.upload("list.csv", list, filled(map[string]string{"max_optout_share": "2%", "min_answer_share": "10%", "max_silence": "30m"}), false)
	wantTexts(t, page, "when more than 2% of the latest contacts opt out", "when fewer than 10% of the latest contacts answer", "when no event has come for 30m0s")
	if res, _ := f.ask("POST", launchButton.FindStringSubmatch(page)[1]+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if s := c.Settings; err != nil || s.MaxOptOutShare != 200 || s.MinAnswerShare != 1000 || s.MaxSilence != 30*time.Minute {
		t.Errorf("%+v, %v", s.Safety, err)
	}
}
