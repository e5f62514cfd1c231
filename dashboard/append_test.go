package dashboard_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/redistest"
)

// more has two new contacts for a campaign of load, one that it has, and a line that is
// refused. Its columns are in another order.
const more = "note,الاسم,phone\nx,Sara,0502000001\ny,Noura,0502000002\nz,again,0501000001\nz,short,12\n"

// added puts a list into a draft for a campaign, and returns the path of its preview.
func (f fixture) added(name, list string) string {
	f.T.Helper()
	res, page := f.uploadTo("/campaigns/"+name+"/append", "more.csv", list, nil, false)
	if res.StatusCode != http.StatusSeeOther {
		f.T.Fatalf("%d\n%s", res.StatusCode, page)
	}
	return res.Header.Get("Location")
}

var hiddenField = regexp.MustCompile(`name="(seen|version)" value="(\d+)"`)

// agreed is the form of a preview, as its button posts it.
func agreed(page string) url.Values {
	form := make(url.Values)
	for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
		form.Set(field[1], field[2])
	}
	return form
}

func (f fixture) contacts(name string) int {
	f.T.Helper()
	c, err := f.Campaign(f.T.Context(), name)
	if err != nil {
		f.T.Fatal(err)
	}
	return c.Counts.Contacts
}

func TestContactsAreAddedToARunningCampaign(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12)
	wantTexts(t, f.get("/campaigns/sale"), `href="/campaigns/sale/append"`)
	wantTexts(t, f.get("/campaigns/sale/append"), "الاسم", "left out as duplicates", "Nothing is sent yet")
	path := f.added("sale", more)
	page := f.get(path)
	wantTexts(t, page, "2 contacts out of 4 rows of", "more.csv", "duplicate", "number too short", "SA", "Add 2 contacts", `name="seen" value="2"`)
	if f.contacts("sale") != 12 {
		t.Fatal("they were added without being asked for")
	}
	res, lines := f.ask("GET", path+"/refused.csv", nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(lines, "number too short") || strings.Contains(lines, "Noura") {
		t.Errorf("%d\n%s", res.StatusCode, lines)
	}
	wantTexts(t, f.get("/new"), "to be added to", "more.csv")
	if res, _ := f.ask("GET", strings.Replace(path, "/campaigns/sale/append", "/new", 1), nil); res.Header.Get("Location") != path {
		t.Errorf("the draft leads to %q", res.Header.Get("Location"))
	}
	if said, want := f.done(path, agreed(page)), "2 contacts added."; said != want {
		t.Errorf("it says %q", said)
	}
	if n := f.contacts("sale"); n != 14 {
		t.Errorf("%d contacts", n)
	}
	if res, _ := f.ask("POST", path, agreed(page)); res.StatusCode != http.StatusGone || f.contacts("sale") != 14 {
		t.Errorf("pressed twice: %s", res.Status)
	}
	// The same list once more adds nobody, and says so.
	again := f.added("sale", more)
	if f.done(again, agreed(page)); f.contacts("sale") != 14 {
		t.Error("the same list was added twice")
	}
}

// What is added is what the page has shown.
func TestNoMoreAreAddedThanThePageHasShown(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12)
	if _, err := f.Suppress(t.Context(), []campaign.Phone{966502000002}); err != nil {
		t.Fatal(err)
	}
	path := f.added("sale", more)
	page := f.get(path)
	wantTexts(t, page, "do-not-contact", "Add 1 contact<")
	if _, err := f.Unsuppress(t.Context(), []campaign.Phone{966502000002}); err != nil {
		t.Fatal(err)
	}
	res, shown := f.ask("POST", path, agreed(page))
	if res.StatusCode != http.StatusConflict || f.contacts("sale") != 12 {
		t.Fatalf("%s, %d contacts", res.Status, f.contacts("sale"))
	}
	wantTexts(t, shown, "ore contacts would be added than were seen", "Add 2 contacts")
	f.done("/campaigns/sale/settings", url.Values{"daily_cap": {"5"}, "sure": {"1"}, "version": {"0"}})
	res, shown = f.ask("POST", path, agreed(shown))
	if res.StatusCode != http.StatusConflict || f.contacts("sale") != 12 {
		t.Fatalf("%s, %d contacts", res.Status, f.contacts("sale"))
	}
	wantTexts(t, shown, "settings of the campaign were changed meanwhile")
	for _, bad := range []url.Values{{}, {"seen": {"0"}}, {"seen": {"x"}, "version": {"1"}}} {
		if res, _ := f.ask("POST", path, bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %s", bad, res.Status)
		}
	}
	f.done(path, agreed(shown))
	if f.contacts("sale") != 14 {
		t.Errorf("%d contacts", f.contacts("sale"))
	}
}

func TestListsThatCannotBeAdded(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12)
	f.load("other", 2)
	if res, page := f.uploadTo("/campaigns/sale/append", "", "", nil, false); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Choose a contact file") {
		t.Errorf("%s\n%s", res.Status, page)
	}
	if res, _ := f.uploadTo("/campaigns/nowhere/append", "more.csv", more, nil, false); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
	path := f.added("sale", "phone,name\n0502000001,x\n")
	res, page := f.ask("GET", path, nil)
	if res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(page, `id="add"`) {
		t.Errorf("%s\n%s", res.Status, page)
	}
	wantTexts(t, page, "lacks columns of the campaign")
	if res, _ := f.ask("GET", strings.Replace(path, "sale", "other", 1), nil); res.StatusCode != http.StatusGone {
		t.Errorf("the list is for another campaign: %s", res.Status)
	}
	nobody := f.added("sale", "phone,الاسم,note\n0501000001,x,y\n")
	if page := f.get(nobody); strings.Contains(page, `id="add"`) || !strings.Contains(page, "Nobody of this list would be added") {
		t.Error(page)
	}
}

// What was added waits for approval by somebody who neither uploaded nor added it, and a
// campaign that is over runs again.
func TestWhatIsAddedWaitsForApproval(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	c.load("sale", 2)
	c.move("sale", 0, "", campaign.Send, campaign.Accept)
	c.move("sale", 1, "", campaign.Send, campaign.Accept)
	if err := c.SetPolicy(t.Context(), 3, "test"); err != nil {
		t.Fatal(err)
	}
	d, err := c.BeginDraft(t.Context(), "admin", "more.csv", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte(more)); err != nil {
		t.Fatal(err)
	}
	made, err := d.End(map[string]string{"file": "append=sale"})
	if err != nil {
		t.Fatal(err)
	}
	path := "/campaigns/sale/append/" + made.ID
	_, page := c.as(users.Launcher, "GET", path, nil)
	wantTexts(t, page, "The campaign is over: with more contacts it runs again", "Add 2 contacts and ask for approval")
	if res, page := c.as(users.Launcher, "POST", path, agreed(page)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s\n%s", res.Status, page)
	}
	is, err := c.Campaign(t.Context(), "sale")
	if err != nil || !is.Approval.Wanted || is.Phase != campaign.Running {
		t.Fatalf("%+v, %v", is, err)
	}
	for _, maker := range []string{"admin", "launcher"} {
		if err := c.Approve(t.Context(), is, campaign.OnPages(maker)); err == nil {
			t.Errorf("%s has approved their own list", maker)
		}
	}
	log, err := c.Decided(t.Context(), "sale", store.ActionAppend, at)
	if err != nil || len(log) != 1 {
		t.Errorf("log: %v, %v", log, err)
	}
}

func TestAddingContactsInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 12)
	file := filepath.Join(t.TempDir(), "more.csv")
	if err := os.WriteFile(file, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	v := visit(t, f.URL)
	v.open("/campaigns/sale")
	v.click("#do-append")
	v.awaitText("h1", "Add contacts")
	v.upload("#file", file)
	v.click(".form button")
	v.awaitText("#add", "Add 2 contacts")
	v.picture("append")
	v.click("#add")
	v.awaitText(".flash", "2 contacts added")
	if n := f.contacts("sale"); n != 14 {
		t.Errorf("%d contacts", n)
	}
}
