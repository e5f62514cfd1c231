package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/dashboard"
)

var seenRevision = regexp.MustCompile(`name="revision" value="(\d+)"`)

func TestApproval(t *testing.T) {
	f := newFixture(t, func(c *dashboard.Config) { c.User, c.Password = "sara", "secret" })
	f.ApproveAbove(10)
	f.loadBy("omar", "spring", 20)
	f.Pass("spring", campaign.Paused, "lunch")
	as := func(r *http.Request) { r.SetBasicAuth("sara", "secret") }
	approve := func(revision string) (int, string) {
		t.Helper()
		res, page := ask(t, "POST", f.URL+"/campaigns/spring/approve", url.Values{"revision": {revision}}, as)
		return res.StatusCode, page
	}
	_, page := ask(t, "GET", f.URL+"/campaigns/spring", nil, as)
	wantTexts(t, page, `paused: <bdi dir="auto">lunch</bdi>; and it waits for approval by somebody else than <bdi dir="auto">omar</bdi>`, "Approve…")
	if strings.Contains(page, "campaign approve") {
		t.Error("the page advises a command")
	}
	seen := seenRevision.FindStringSubmatch(page)[1]
	if status, page := approve(""); status != http.StatusBadRequest || !strings.Contains(page, "load it again") {
		t.Errorf("what was not seen: %d", status)
	}
	set := func(by string) {
		t.Helper()
		c, err := f.Campaign(t.Context(), "spring")
		if err != nil {
			t.Fatal(err)
		}
		to := c.Settings
		to.MaxAttempts++
		if err := f.ChangeSettings(t.Context(), c, to, by); err != nil {
			t.Fatal(err)
		}
	}
	set("omar")
	if status, page := approve(seen); status != http.StatusConflict || !strings.Contains(page, "have changed meanwhile") {
		t.Errorf("what has changed since the page was loaded: %d", status)
	}
	if status, _ := approve("2"); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	if c, err := f.Campaign(t.Context(), "spring"); err != nil || c.Approval.Wanted || c.Approval.By != "sara on the admin pages" || c.Phase != campaign.Paused {
		t.Errorf("%v: %s, %+v", err, c.Phase, c.Approval)
	}
	_, page = ask(t, "GET", f.URL+"/campaigns/spring", nil, as)
	if strings.Contains(page, "Approve…") {
		t.Error("what is approved is to be approved")
	}
	set("Sara")
	if status, page := approve("3"); status != http.StatusConflict || !strings.Contains(page, "somebody else must approve it") {
		t.Errorf("who changed it approved it: %d", status)
	}
}

// Who has made a list ready cannot approve it because somebody else has pressed the button.
func TestWhoMakesADraftIsOneOfItsMakers(t *testing.T) {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.User, c.Password = "sara", "secret" })
	f.ApproveAbove(1)
	w, err := f.BeginDraft(t.Context(), "omar", "list.csv", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("phone,name\n0501000001,A\n0501000002,B\n")); err != nil {
		t.Fatal(err)
	}
	d, err := w.End(map[string]string{"list": "region=SA&by=nora", "agent": "name=spring&channel=voice&agent=default"})
	if err != nil {
		t.Fatal(err)
	}
	res, page := ask(t, "POST", f.URL+"/new/"+d.ID+"/launch", url.Values{}, func(r *http.Request) { r.SetBasicAuth("sara", "secret") })
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if err != nil || !c.Approval.Wanted {
		t.Fatalf("%+v, %v", c.Approval, err)
	}
	for _, name := range []string{"omar", "nora", "sara"} {
		if !c.Approval.MadeBy(campaign.OnPages(name)) {
			t.Errorf("%s may approve: %v", name, c.Approval.Makers)
		}
	}
	if c.Approval.MadeBy(campaign.OnPages("lina")) {
		t.Errorf("nobody may approve: %v", c.Approval.Makers)
	}
}
