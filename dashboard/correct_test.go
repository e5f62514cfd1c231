package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/dashboard"
	"campaign-runner/sandbox"
)

// Refused lines are corrected before the launch, and the corrected list takes the place of
// the first one. What was filled in stays.
func TestRefusedLinesAreCorrectedBeforeTheLaunch(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(map[string]string{"title": "عرض", "daily_cap": "7"}))
	wantTexts(t, f.get(path+"/review"), `href="`+path+`/refused.csv"`)
	res, lines := f.ask("GET", path+"/refused.csv", nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(lines, "number too short") || !strings.Contains(lines, "duplicate of line 3") || strings.Contains(lines, "نورة") {
		t.Errorf("%d\n%s", res.StatusCode, lines)
	}
	if got := res.Header.Get("Content-Disposition"); got != `attachment; filename="spring-refused.csv"` {
		t.Error(got)
	}
	_, page := f.upload("better.csv", "phone,name\n0501000001,A\n0501000002,B\n0501000003,C\n", map[string]string{"draft": strings.TrimPrefix(path, "/new/")}, true)
	wantTexts(t, page, "Launch: contact 3 people", "better.csv", "/launch")
	if !strings.Contains(page, "spring") {
		t.Errorf("it has another name:\n%s", page)
	}
	if drafts, err := f.Drafts(t.Context()); err != nil || len(drafts) != 1 {
		t.Errorf("%d drafts, %v", len(drafts), err)
	}
	better := "/new/" + idOf(t, page)
	if res, page := f.ask("GET", better+"/refused.csv", nil); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "No line of this list is refused") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if _, err := f.LockDraft(t.Context(), idOf(t, page)); err != nil {
		t.Fatal(err)
	}
	if res, _ := f.upload("other.csv", list, map[string]string{"draft": idOf(t, page)}, true); res.StatusCode != http.StatusConflict {
		t.Errorf("another list for one that is being launched: %s", res.Status)
	}
	if res, _ := f.ask("POST", better+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status)
	}
	if c, err := f.Campaign(t.Context(), "spring"); err != nil || c.Counts.Contacts != 3 || c.Settings.DailyCap != 7 || c.Settings.Title != "عرض" {
		t.Errorf("%+v, %v", c, err)
	}
}

// A copy has the settings of its campaign, also those that stand on no page, but not its name
// and times.
func TestACampaignIsCopied(t *testing.T) {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.WebhookURL = "https://example.org" })
	all, err := campaign.NewSettings(campaign.Given{
		"agent": {"default"}, "channel": {"3"}, "hours": {"sun-thu 09:00-21:00"}, "timezone": {"Asia/Riyadh"}, "except": {"2027-03-09..2027-03-12=closed"},
		"canary": {"1"}, "canary-go-on": {"5%"}, "max-failure-share": {"20%"}, "max-silence": {"30m"}, "skip-contacted-within": {"7d"}, "max-attempts": {"2"},
		"then": {"ended.no_answer:2h,1d"}, "ticket-when": {"state=rejected", "extraction.call=yes"}, "optout-when": {"extraction.stop=yes"},
		"ticket-set": {"team=sales", "queue=eid"}, "priority": {"urgent"}, "region": {"SA"}, "phone-column": {"phone", "note"}, "two-numbers": {"first"}, "no-history": {"true"},
		"title": {"عرض"}, "mode": {"dispatch"}, "retry-5xx": {"none"}, "rules": {"sa"}, "start-at": {"2026-01-01T09:00:00Z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.load("offer", 3, func(s *campaign.Settings) {
		columns := s.Columns
		*s = all
		s.Columns, s.WebhookURL, s.ChunkSize = columns, "https://example.org", 10
	})
	wantTexts(t, f.get("/new?copy=offer"), `type="hidden" name="copy" value="offer"`, `href="/campaigns/offer"`)
	if res, _ := f.ask("GET", "/new?copy=nobody", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("of a campaign that is not there: %d", res.StatusCode)
	}
	_, page := f.upload("list.csv", "phone,الاسم,note\n0501000001,نورة,\n0501000002,x,\n", map[string]string{"copy": "offer"}, false)
	wantTexts(t, page, "Launch: contact 2 people", "Priority", "urgent", "ended.no_answer:2h,1d", "extraction.stop=yes")
	if res, page := f.ask("POST", "/new/"+idOf(t, page)+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	names, err := f.Names(t.Context())
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		if name == "offer" {
			continue
		}
		was, err := f.Campaign(t.Context(), "offer")
		if err != nil {
			t.Fatal(err)
		}
		is, err := f.Campaign(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range was.Settings.Differences(is.Settings) {
			if d.Flag != "--start-at" && d.Flag != "--max-lateness" && d.Flag != "--chunk-size" {
				t.Errorf("%s: %s became %s", d.Flag, d.Have, d.Other)
			}
		}
		if is.Settings.Columns[1].Key != "name" {
			t.Errorf("columns %+v", is.Settings.Columns)
		}
	}
}

// Each contact's own clock is copied with what numbers without one get, and with a calendar of
// however many dates.
func TestACopyKeepsItsDates(t *testing.T) {
	f := newFixture(t, withAgent(t))
	var closed []string
	for day := range 9 {
		closed = append(closed, fmt.Sprintf("2040-03-%02d=closed 12:00-13:30", day+1))
	}
	given := campaign.Given{"hours": {"09:00-21:00"}, "timezone": {"contact"}, "no-zone-hours": {"10:00-20:00@Asia/Riyadh"}, "calendar": {strings.Join(closed, "; ")}}
	f.load("eid", 3, func(s *campaign.Settings) {
		if err := s.Apply(campaign.LaunchSettings(), given); err != nil {
			t.Fatal(err)
		}
	})
	_, page := f.upload("list.csv", "phone,الاسم,note\n0501000001,x,\n", map[string]string{"copy": "eid", "region": "SA"}, false)
	res, page := f.ask("POST", "/new/"+idOf(t, page)+"/launch", nil)
	name, is := strings.CutPrefix(res.Header.Get("Location"), "/campaigns/")
	if !is {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	name, _, _ = strings.Cut(name, "?")
	c, err := f.Campaign(t.Context(), name)
	if h := c.Settings.Hours; err != nil || len(h.Closed) != len(closed) || h.NoZone.String() != "10:00-20:00@Asia/Riyadh" {
		t.Errorf("%+v, %v", c.Settings.Hours, err)
	}
}

// What a campaign says to all stays so in a copy, also where no column is chosen by hand.
func TestACopySaysTheSameToAll(t *testing.T) {
	f := newFixture(t, withAgent(t, func(c *sandbox.Config) { c.ValueKeys = []string{"city", "offer"} }))
	f.load("eid", 3, func(s *campaign.Settings) {
		s.Columns = []campaign.Column{{Name: "phone"}, {Name: "city", Key: "city"}, {Name: "note"}}
		s.Constants = map[string]string{"offer": "عرض"}
	})
	_, page := f.upload("list.csv", "phone,city,offer\n0501000001,Riyadh,old\n", map[string]string{"copy": "eid", "region": "SA"}, false)
	res, page := f.ask("POST", "/new/"+idOf(t, page)+"/launch", nil)
	name, is := strings.CutPrefix(res.Header.Get("Location"), "/campaigns/")
	if !is {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	name, _, _ = strings.Cut(name, "?")
	c, err := f.Campaign(t.Context(), name)
	if err != nil || c.Settings.Constants["offer"] != "عرض" || c.Settings.Columns[1].Key != "city" || c.Settings.Columns[2].Key != "" {
		t.Errorf("%v %+v, %v", c.Settings.Constants, c.Settings.Columns, err)
	}
}

func TestTheTemplateOfAnAgent(t *testing.T) {
	f := newFixture(t, withAgent(t))
	wantTexts(t, f.get("/new"), `href="/new/template.csv?agent=default"`)
	res, text := f.ask("GET", "/new/template.csv?"+url.Values{"agent": {"default"}}.Encode(), nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(text, "name") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	if res, _ := f.ask("GET", "/new/template.csv?agent=sales", nil); res.StatusCode != http.StatusBadRequest {
		t.Error(res.Status)
	}
}
