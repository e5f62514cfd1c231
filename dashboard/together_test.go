package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/redistest"
)

func (f fixture) phase(name string) (campaign.Phase, string) {
	f.T.Helper()
	c, err := f.Campaign(f.T.Context(), name)
	if err != nil {
		f.T.Fatal(err)
	}
	return c.Phase, c.PhaseReason.String()
}

// done posts a form and is what the next page says of it.
func (f fixture) done(path string, form url.Values) string {
	f.T.Helper()
	res, page := f.ask("POST", path, form)
	if res.StatusCode != http.StatusSeeOther {
		f.T.Fatalf("POST %s: %d\n%s", path, res.StatusCode, page)
	}
	_, said, _ := strings.Cut(f.get(res.Header.Get("Location")), `<p class="flash" role="status">`)
	said, _, _ = strings.Cut(said, "</p>")
	return said
}

func sales(s *campaign.Settings) { s.Agent = "sales" }

func TestEverythingIsStopped(t *testing.T) {
	f := newFixture(t)
	f.load("a", 4)
	f.load("b", 4)
	f.load("c", 4, sales)
	f.load("by-hand", 4)
	f.load("later", 4)
	f.Pass("by-hand", campaign.Paused, "lunch")
	f.Pass("later", campaign.Scheduled, "")
	page := f.get("/")
	wantTexts(t, page, "Stop everything…", "3 campaigns are running.", `<option value="">all agents (3)</option>`, `<option value="default">default (2)</option>`, `<option value="sales">sales (1)</option>`)
	if strings.Contains(page, "/all/resume") {
		t.Error("it offers to resume what nobody has stopped")
	}
	if said, want := f.done("/all/pause", url.Values{"agent": {"sales"}}), "1 campaign is stopped."; !strings.HasPrefix(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if is, _ := f.phase("a"); is != campaign.Running {
		t.Errorf("a campaign of another agent is %s", is)
	}
	said := f.done("/all/pause", url.Values{"reason": {"wrong  offer"}})
	if want := "2 campaigns are stopped. What is on its way still gets its answer. This one does not run yet and may start by itself: later (1)."; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	for name, want := range map[string]string{"a": "wrong offer, together with other campaigns", "b": "wrong offer, together with other campaigns", "c": "by a person, together with other campaigns", "by-hand": "lunch"} {
		if is, why := f.phase(name); is != campaign.Paused || why != want {
			t.Errorf("%s is %s: %q, want %q", name, is, why, want)
		}
	}
	wantTexts(t, f.get("/"), "Resume what was stopped…", `<option value="">all agents (3)</option>`)
	if said, want := f.done("/all/resume", nil), "3 campaigns go on. This one stays paused, it has a reason of its own: by-hand (1)."; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	for _, form := range []url.Values{{"agent": {"no agent"}}, {"reason": {strings.Repeat("x", 400)}}} {
		if res, _ := f.ask("POST", "/all/pause", form); res.StatusCode < 400 || res.StatusCode > 499 {
			t.Errorf("%v: %d", form, res.StatusCode)
		}
	}
	if is, _ := f.phase("a"); is != campaign.Running {
		t.Errorf("a is %s after a form with a fault", is)
	}
}

// One that cannot be stopped is named, and the log names who stopped the others.
func TestNotEverythingIsStopped(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	c.load("a", 2)
	c.load("b", 2)
	c.Redis().HSet(t.Context(), "c:{b}", "settings", "{")
	res, _ := c.as(users.Operator, "POST", "/all/pause", nil)
	_, page := c.as(users.Operator, "GET", res.Header.Get("Location"), nil)
	wantTexts(t, page, "1 campaign is stopped.", "This one could not be, look at it by itself: b (1).")
	log := c.ReadLog("a")
	d, ok, err := log.Next(t.Context())
	for err == nil && ok && d.Action != "pause" {
		d, ok, err = log.Next(t.Context())
	}
	if err != nil || !ok || d.By != "operator on the admin pages" {
		t.Errorf("the log says %+v, %v, %v", d, ok, err)
	}
	if _, page := c.as(users.Viewer, "GET", "/", nil); strings.Contains(page, "/all/") {
		t.Error("a viewer is offered to stop everything")
	}
}

func TestStoppingEverythingInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("a", 4)
	f.load("b", 4)
	v := visit(t, f.URL)
	v.open("/")
	v.awaitText("#live", "live")
	v.click("#all-pause")
	v.write("#all-why", "wrong offer")
	v.picture("together")
	v.click(`form[action="/all/pause"] button`)
	v.awaitText(".flash", "2 campaigns are stopped")
	v.awaitText("#r-a", "wrong offer")
	// The page learns by itself of what somebody else has stopped.
	v.click("#all-resume")
	v.click(`form[action="/all/resume"] button`)
	v.awaitText(".flash", "2 campaigns go on")
	v.await(`document.querySelector("#all-resume") === null && document.querySelector("#all-pause") !== null`)
	f.done("/all/pause", nil)
	v.await(`document.querySelector("#all-resume") !== null && document.querySelector("#all-pause") === null`)
}
