package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

func TestSettingsAreChanged(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	c.loadBy("omar", "early", 4) // before anything needed approval
	c.ApproveAbove(3)
	c.loadBy("omar", "sale", 4)
	if _, err := jobs.NewQueue(c.Store, nil).By("sara").Approve(t.Context(), "sale", 0); err != nil {
		t.Fatal(err)
	}
	settings := func() campaign.Campaign {
		t.Helper()
		found, err := c.Campaign(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	const path = "/campaigns/sale/settings"
	if _, page := c.as(users.Operator, "GET", path, nil); strings.Contains(page, `name="daily_cap"`) {
		t.Error("an operator is offered to change them")
	}
	if _, page := c.as(users.Launcher, "POST", path, url.Values{"ticket_replies": {"true"}}); !strings.Contains(page, "on (was: ") {
		t.Error("a switch is not told in words")
	}
	form := url.Values{"daily_cap": {"٥٠٠"}, "max_failure_share": {"20%"}, "priority": {"urgent"}}
	before := settings()
	_, page := c.as(users.Launcher, "POST", path, form)
	wantTexts(t, page, "Most contacts a day", "500 (was: none)", "20% (was: none)", "urgent</bdi> (was: ", "A change voids that", `name="sure"`)
	if after := settings(); after.Settings.DailyCap != 0 || after.Approval.Wanted || after.Version != before.Version {
		t.Errorf("it was changed before it was confirmed: %+v", after.Settings)
	}
	_, page = c.as(users.Launcher, "POST", "/campaigns/early/settings", form)
	wantTexts(t, page, "With more than 3 contacts it waits for approval")
	form.Set("sure", "1")
	res, _ := c.as(users.Launcher, "POST", path, form)
	_, page = c.as(users.Launcher, "GET", res.Header.Get("Location"), nil)
	wantTexts(t, page, "3 settings changed.", "<dd>500</dd>")
	after := settings()
	if s := after.Settings; s.DailyCap != 500 || s.MaxFailureShare != 2000 || s.Lane != campaign.Urgent || !after.Approval.Wanted {
		t.Errorf("%+v, %+v", s, after.Approval)
	}
	// Who has looked at what was in force before does not undo what somebody else has changed.
	late := url.Values{"daily_cap": {"400"}, "sure": {"1"}, "version": {strconv.Itoa(before.Version)}}
	res, page = c.as(users.Launcher, "POST", path, late)
	if res.StatusCode != http.StatusConflict || settings().Settings.DailyCap != 500 {
		t.Errorf("%d, a cap of %d", res.StatusCode, settings().Settings.DailyCap)
	}
	wantTexts(t, page, "changed meanwhile", "400 (was: 500)")
	for field, text := range map[string]string{"daily_cap": "many", "max_attempts": "0", "hours": "late", "timezone": "Moon/Crater"} {
		if res, page := c.as(users.Launcher, "POST", path, url.Values{field: {text}, "sure": {"1"}}); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, `role="alert"`) {
			t.Errorf("%s %s: %d", field, text, res.StatusCode)
		}
	}
	_, page = c.as(users.Launcher, "POST", path, url.Values{"daily_cap": {"500"}})
	wantTexts(t, page, "nothing changes")
	if settings().Version != after.Version {
		t.Error("what makes no sense or nothing has changed something")
	}
	_, page = c.as(users.Operator, "GET", "/campaigns/sale/log", nil)
	wantTexts(t, page, "launcher</bdi> on the pages", "daily-cap", "approve", "sara")
}

// The hours of a running campaign are picked as those of a new one are. Only what the pickers
// change is asked to be confirmed, and what was filled in is not lost.
func TestHoursOfARunningCampaignArePicked(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 4)
	const path = "/campaigns/sale/settings"
	wantTexts(t, f.get(path), `name="pick:way" value="any" checked`, "usual:sa")
	week := url.Values{"pick:way": {"same"}, "pick:zone": {"Asia/Riyadh"}, "pick:on": {"sun", "mon"}, "pick:all:from": {"09:00"}, "pick:all:to": {"17:00"}, "hours": {""}, "timezone": {""}, "except": {""}}
	hours := regexp.MustCompile(`type="hidden" name="(hours|timezone|except|no_zone_hours|days|pick[^"]*)" value="([^"]*)"`)
	set := func(form url.Values, says ...string) {
		t.Helper()
		_, page := f.ask("POST", path, form)
		wantTexts(t, page, append(says, `id="sure"`)...)
		sure := url.Values{"sure": {"1"}}
		for _, field := range hours.FindAllStringSubmatch(page, -1) {
			sure.Set(field[1], html.UnescapeString(field[2]))
		}
		if res, page := f.ask("POST", path, sure); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", res.Status, page)
		}
	}
	is := func(want string) {
		t.Helper()
		c, err := f.Campaign(t.Context(), "sale")
		if got := c.Settings.Hours.String() + "|" + c.Settings.Hours.Zone + "|" + c.Settings.Hours.NoZone.String(); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	set(week, "Sunday, Monday 09:00\u2060–\u206017:00 in Asia/Riyadh (was: at any time)", `value="same" checked`, `name="pick:all:to" value="17:00"`)
	is("sun,mon 09:00-17:00 in Asia/Riyadh|Asia/Riyadh|")
	wantTexts(t, f.get(path), `value="same" checked`, `name="pick:all:from" value="09:00"`, `<option value="Asia/Riyadh" data-first="0" selected>`)
	week.Set("hours", "sun,mon 09:00-17:00") // as the text's field, which is not shown, has it
	if _, page := f.ask("POST", path, week); !strings.Contains(page, "nothing changes") && strings.Contains(page, `id="sure"`) {
		t.Error("what stays is a change")
	}
	week.Set("pick:all:to", "")
	if res, page := f.ask("POST", path, week); res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(page, `id="sure"`) || !strings.Contains(page, "only one end") || !strings.Contains(page, `name="pick:all:from" value="09:00"`) {
		t.Errorf("half a time: %s\n%s", res.Status, page)
	}
	set(url.Values{"pick:way": {"same"}, "to": {"usual:ae"}}, "Friday 09:00\u2060–\u206012:00 in Asia/Dubai", `<option value="Asia/Dubai" data-first="1" selected>`)
	set(url.Values{"pick:way": {"text"}, "pick:zone": {"contact"}, "hours": {"09:00-21:00"}, "days": {"sun-thu"}, "no_zone_hours": {"10:00-20:00@Asia/Riyadh"}}, "in each contact's own time zone")
	is("sun-thu 09:00-21:00 in each contact's own time zone, without one 10:00-20:00@Asia/Riyadh|contact|10:00-20:00@Asia/Riyadh")
	set(url.Values{"pick:way": {"any"}, "pick:zone": {"Asia/Riyadh"}, "no_zone_hours": {"10:00-20:00@Asia/Riyadh"}}, "at any time in Asia/Riyadh")
	is("at any time|Asia/Riyadh|")
}

// The log is read from its end, page by page, and nothing is missing or twice.
func TestTheLogIsPagedThrough(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 4)
	for i := range 70 {
		if err := f.Log(t.Context(), "sale", store.Decision{By: "sara", Action: store.ActionPause, Text: campaign.Text(fmt.Sprintf("reason-%d.", i))}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := f.LogContact(t.Context(), store.Ref{Campaign: "sale"}, 1, store.Decision{By: "worker w", Action: store.ActionOptOut}); err != nil {
				t.Fatal(err)
			}
		}
	}
	walk := func(path string) (all string, pages int) {
		for path != "" {
			page := f.get(path)
			_, next, found := strings.Cut(page, `rel="next" href="`)
			if all, pages, path = all+page, pages+1, ""; found {
				path = strings.ReplaceAll(next[:strings.Index(next, `"`)], "&amp;", "&")
			}
		}
		return all, pages
	}
	for path, want := range map[string]int{"/campaigns/sale/log": 2, "/campaigns/sale/log?of=all": 3} {
		all, pages := walk(path)
		if pages != want {
			t.Errorf("%s has %d pages, want %d", path, pages, want)
		}
		last := len(all)
		for i := range 70 {
			text := fmt.Sprintf("reason-%d.", i)
			if n := strings.Count(all, text); n != 1 || strings.Index(all, text) > last {
				t.Errorf("%s has entry %d %d times, or not before the next", path, i, n)
			}
			last = strings.Index(all, text)
		}
		if n := strings.Count(all, "opt-out"); n != (want-2)*35 {
			t.Errorf("%s has %d entries about a contact", path, n)
		}
	}
	for _, before := range []string{"x", "1-1", "1-1,x"} {
		if res, _ := f.ask("GET", "/campaigns/sale/log?before="+before, nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("before %s: %d", before, res.StatusCode)
		}
	}
}

func TestThePlanIsShown(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12, func(s *campaign.Settings) {
		if err := s.Apply(campaign.LaunchSettings(), campaign.Given{"hours": {"09:00-21:00"}, "timezone": {"contact"}}); err != nil {
			t.Fatal(err)
		}
	})
	wantTexts(t, f.get("/campaigns/sale/plan"), "12 contacts are pending", "Asia/Riyadh", "because no worker knows it", "every day 09:00\u2060–\u206021:00 in each contact's own time zone")
}

// The plan tells what is sent on each day, in each zone, and when that ends.
func TestThePlanByDayAndZone(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12, func(s *campaign.Settings) {
		if err := s.Apply(campaign.LaunchSettings(), campaign.Given{"daily-cap": {"5"}, "timezone": {"Asia/Riyadh"}}); err != nil {
			t.Fatal(err)
		}
	})
	page := f.get("/campaigns/sale/plan")
	wantTexts(t, page, "The last of them is sent", "By day", `<td class="n">5</td>`, `<td class="n">2</td>`)
	if n := strings.Count(page, `<th scope="row">`); n != 3 {
		t.Errorf("%d days, want 3:\n%s", n, page)
	}
	settings := campaigntest.Settings(10, campaign.Column{Name: "phone"})
	if err := settings.Apply(campaign.LaunchSettings(), campaign.Given{"except": {"2040-01-01=closed"}, "timezone": {"contact"}}); err != nil {
		t.Fatal(err)
	}
	people := append(campaigntest.People(966501000000, 4, nil), campaigntest.People(97433000000, 3, nil)...) // where it is always the same day
	for i := range people {
		people[i].Line = i + 2
	}
	f.Load(campaigntest.List{Name: "wide", Settings: settings, Contacts: people})
	wantTexts(t, f.get("/campaigns/wide/plan"), `<th scope="col" class="n"><bdi dir="ltr">Asia/Riyadh</bdi></th><th scope="col" class="n"><bdi dir="ltr">Asia/Qatar</bdi></th>`,
		`<td class="n">7</td><td class="n">4</td><td class="n">3</td>`, "Days are those of each time zone")
	f.Pass("wide", campaign.Paused, "lunch")
	wantTexts(t, f.get("/campaigns/wide/plan"), "Nothing is sent now: it is paused")
}

// A calendar is shown before it is in force, and ends as it came.
func TestACalendarIsChanged(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 4, func(s *campaign.Settings) { s.Hours.Zone = "Asia/Riyadh" })
	year := time.Now().Year() + 1
	holiday := fmt.Sprintf("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:%d0922\r\nDTEND;VALUE=DATE:%d0924\r\nSUMMARY:اليوم الوطني\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", year, year)
	const path = "/campaigns/sale/settings"
	_, page := f.uploadTo("/campaigns/sale/calendar", "days.ics", holiday, map[string]string{"version": "0"}, false)
	days := fmt.Sprintf("%d-09-22..%d-09-23=closed", year, year)
	wantTexts(t, page, "What changes", "Calendar", days, `name="calendar" value="`+days+`"`)
	closed := func() int {
		c, err := f.Campaign(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		return len(c.Settings.Hours.Closed)
	}
	if closed() != 0 {
		t.Fatal("it was changed before it was confirmed")
	}
	f.done(path, url.Values{"calendar": {days}, "version": {"0"}, "sure": {"1"}})
	wantTexts(t, f.get("/campaigns/sale/plan"), fmt.Sprint(year, "-09-22"))
	if closed() != 1 {
		t.Errorf("%d closings", closed())
	}
	wantTexts(t, f.get(path), "Show what changes without a calendar")
	f.done(path, url.Values{"calendar": {"none"}, "version": {"1"}, "sure": {"1"}})
	if closed() != 0 {
		t.Errorf("%d closings", closed())
	}
	for _, tt := range []struct {
		file   string
		status int
	}{{"", http.StatusBadRequest}, {"phone\n", http.StatusUnprocessableEntity}} {
		if res, _ := f.uploadTo("/campaigns/sale/calendar", "days.ics", tt.file, nil, false); res.StatusCode != tt.status {
			t.Errorf("%q: %s", tt.file, res.Status)
		}
	}
	if res, page := f.uploadTo("/campaigns/sale/calendar?lang=ar", "days.ics", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", nil, false); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "تعذّرت قراءة التقويم") {
		t.Errorf("a damaged one, in Arabic: %s, %s", res.Status, page)
	}
	if res, _ := f.uploadTo("/campaigns/sale/calendar", "days.ics", holiday, map[string]string{"version": "7"}, false); res.StatusCode != http.StatusConflict {
		t.Errorf("of settings that are others by now: %s", res.Status)
	}
}

func TestSettingsInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 4)
	v := visit(t, f.URL)
	v.open("/campaigns/sale")
	v.picture("links")
	v.click(`.links a[href$="/settings"]`)
	v.awaitText("h1", "Settings")
	v.fill("#priority", "bulk")
	v.write("#daily_cap", "٢٥")
	v.click(`form.card button.primary`)
	v.awaitText("#h-change", "What changes")
	v.picture("settings")
	v.click("#sure")
	v.awaitText(".flash", "2 settings changed")
	v.open("/campaigns/sale")
	v.click(`.links a[href$="/log"]`)
	v.awaitText(".timeline", "daily-cap")
	v.picture("log")
	v.open("/campaigns/sale/plan")
	v.awaitText("h1", "Plan")
	v.picture("plan")
}
