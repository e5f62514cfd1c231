package dashboard_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

const (
	first campaign.Phone = 966501000000 // the first contact of every campaign here
	other campaign.Phone = 966509999999
)

func (f fixture) listed(phones ...campaign.Phone) []bool {
	f.T.Helper()
	found, err := f.FindSuppressed(f.T.Context(), phones)
	if err != nil {
		f.T.Fatal(err)
	}
	return found
}

func TestTheDoNotContactList(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	do := func(path string, form url.Values) string {
		t.Helper()
		res, page := c.as(users.Operator, "POST", path, form)
		if res.StatusCode == http.StatusSeeOther {
			if location := res.Header.Get("Location"); strings.Contains(location, "501") {
				t.Errorf("a number stands in the address %s", location)
			}
			_, page = c.as(users.Operator, "GET", res.Header.Get("Location"), nil)
		}
		return page
	}
	// In any spelling and digits.
	for _, number := range []string{"٠٥٠١٠٠٠٠٠٠", "+966 50 100 0000", "00966501000000"} {
		page := do("/people", url.Values{"number": {number}, "region": {"sa"}})
		wantTexts(t, page, `<bdi dir="ltr">&#43;966501000000</bdi>`, "is not on the do-not-contact list", `action="/people/add"`)
	}
	for _, bad := range []url.Values{{}, {"number": {"x"}}, {"number": {"0501000000"}}, {"number": {"+966501000000"}, "region": {"Saudi"}}} {
		if res, _ := c.as(users.Operator, "POST", "/people", bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, res.StatusCode)
		}
	}
	number := url.Values{"number": {first.E164()}}
	if page := do("/people/add", number); c.listed(first)[0] || !strings.Contains(page, "Say why") {
		t.Error("listed without a reason")
	}
	number.Set("reason", "complained by phone, from +966501000000")
	wantTexts(t, do("/people/add", number), "1 number put on the do-not-contact list.", "by <bdi dir=\"auto\">operator</bdi> on the pages", "complained by phone, from …")
	if !c.listed(first)[0] {
		t.Error("it is not on the list")
	}
	wantTexts(t, do("/people", url.Values{"number": {"+966501000000"}}), "is on the do-not-contact list", `action="/people/remove"`, "complained")
	if _, csv := c.as(users.Operator, "GET", "/people/do-not-contact.csv", nil); csv != "phone\n+966501000000\n" {
		t.Errorf("the file holds %q", csv)
	}
	wantTexts(t, do("/people/remove", number), "1 number taken off the do-not-contact list.", "1 number taken off the list")
	if c.listed(first)[0] {
		t.Error("it is still on the list")
	}
}

// importFile uploads a file of numbers.
func (c crowd) importFile(text string, fields url.Values) string {
	c.T.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name := range fields {
		_ = form.WriteField(name, fields.Get(name))
	}
	file, _ := form.CreateFormFile("file", "list.csv")
	_, _ = file.Write([]byte(text))
	_ = form.Close()
	req, err := http.NewRequest("POST", c.Server.URL+"/people/import", &body)
	if err != nil {
		c.T.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.AddCookie(c.cookies[users.Operator])
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.T.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		return res.Status
	}
	_, page := c.as(users.Operator, "GET", res.Header.Get("Location"), nil)
	return page
}

func TestNumbersAreImported(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	fields := url.Values{"reason": {"register of the ministry"}, "region": {"SA"}}
	wantTexts(t, c.importFile("phone\n0501000000\n+966509999999\nnobody\n", fields), "2 numbers put on the do-not-contact list; 0 were on it already.", "1 line without a usable number", "register of the ministry")
	if got := c.listed(first, other); !got[0] || !got[1] {
		t.Errorf("listed: %v", got)
	}
	wantTexts(t, c.importFile("0501000000\n", fields), "0 numbers put on the do-not-contact list; 1 were on it already.")
	if page := c.importFile("Mobile 1,Mobile 2\n0501000000,0501000001\n", fields); strings.Contains(page, "--") || !strings.Contains(page, "The numbers are those of column") {
		t.Errorf("a page advises an option:\n%s", page)
	}
	var many strings.Builder
	many.WriteString("phone\n")
	for i := range 500_001 {
		fmt.Fprintf(&many, "+966%09d\n", 501000000+i)
	}
	if status := c.importFile(many.String(), fields); !strings.HasPrefix(status, "413") {
		t.Errorf("half a million numbers and one: %s", status)
	}
	for _, bad := range []string{c.importFile("phone\n", url.Values{"region": {"SA"}}), c.importFile("%PDF-1.7 nothing of a list", fields), c.importFile("", fields)} {
		if !strings.HasPrefix(bad, "4") {
			t.Errorf("it is taken: %.100s", bad)
		}
	}
}

// One number in all campaigns: states, what happened, and no other person's. No line of the
// worker's log holds the number.
func TestAPersonIsFoundInAllCampaigns(t *testing.T) {
	var log bytes.Buffer
	c := newCrowd(t, redistest.Shared(t), func(c *dashboard.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	c.load("spring", 4)
	c.load("summer", 4)
	c.move("spring", 0, "busy", campaign.Send, campaign.Fail)
	c.move("summer", 0, "", campaign.Send, campaign.Accept)
	c.move("summer", 1, "taken", campaign.Send, campaign.Reject)
	_, page := c.as(users.Operator, "POST", "/people", url.Values{"number": {"0501000000"}, "region": {"SA"}})
	if strings.Contains(page, "spring") {
		t.Error("campaigns were searched without being asked for")
	}
	_, page = c.as(users.Operator, "POST", "/people", url.Values{"number": {"0501000000"}, "region": {"SA"}, "all": {"1"}})
	wantTexts(t, page, `href="/campaigns/spring/contacts/0"`, `href="/campaigns/summer/contacts/0"`, "busy", `<span class="count c-failed">failed</span>`, `<span class="count c-accepted">accepted</span>`, "request")
	if strings.Contains(page, "taken") || strings.Contains(page, "نورة") {
		t.Error("it shows another person, or a value of the list")
	}
	_, page = c.as(users.Operator, "POST", "/people", url.Values{"number": {other.E164()}, "all": {"1"}})
	wantTexts(t, page, "This number is in no campaign.")
	for _, digits := range []string{"501000000", "509999999"} {
		if strings.Contains(log.String(), digits) {
			t.Errorf("the log holds the number: %s", log.String())
		}
	}
}

func TestPeopleInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 4)
	f.move("spring", 0, "busy", campaign.Send, campaign.Fail)
	v := visit(t, f.URL)
	v.open("/people")
	v.write("#number", "٠٥٠١٠٠٠٠٠٠")
	v.write("#region", "sa")
	v.click(`button[name=all]`)
	v.awaitText("h2", "+966501000000")
	v.click("#change")
	v.write("#why", "complained")
	v.picture("people")
	if at := see[string](v, "location.href"); strings.Contains(at, "501") {
		t.Errorf("the number stands in the address %s", at)
	}
	v.click(`form[action="/people/add"] button`)
	v.awaitText(".flash", "1 number put on")
	if !f.listed(first)[0] {
		t.Error("it is not on the list")
	}
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("966509999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.click("#import")
	v.upload("#file", file)
	v.write("#because", "register")
	v.picture("people-list")
	v.click(`form[action="/people/import"] button`)
	v.awaitText(".flash", "1 number put on the do-not-contact list; 0 were on it already")
	v.awaitText(".timeline", "register")
}

// Open wishes not to be contacted are listed with what is known of them, and no number of a
// stranger. One is closed once, and the number that was found out goes on the list first.
func TestOpenWishesAreClosed(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 3)
	wishes := []store.Wish{
		{ID: "aa", At: at, Campaign: "spring", Contact: 2, Conversation: "conv-7", Told: "+971501234567", Rule: "stop word", Why: campaign.Text("a stranger's")},
		{ID: "bb", At: at.Add(time.Hour), Campaign: "spring", Rule: "stop word"},
	}
	if n, err := f.OpenWishes(t.Context(), wishes); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	page := f.get("/people")
	wantTexts(t, page, `href="/campaigns/spring/contacts/1"`, "conv-7", `name="id" value="aa"`, `name="id" value="bb"`)
	if strings.Contains(page, "1234567") {
		t.Error("the page shows the number of a stranger")
	}
	press := func(form url.Values) (int, string) {
		t.Helper()
		res, page := f.ask("POST", "/people/wish", form)
		if to := res.Header.Get("Location"); to != "" {
			page = f.get(to)
		}
		return res.StatusCode, page
	}
	if status, _ := press(url.Values{"id": {"aa"}, "number": {"12"}}); status != http.StatusBadRequest {
		t.Errorf("a number that is none: %d", status)
	}
	if status, page := press(url.Values{"id": {"aa"}, "number": {"+٩٧١٥٠١٢٣٤٥٦٧"}}); status != http.StatusSeeOther || !strings.Contains(page, "1 number put on") || strings.Contains(page, `value="aa"`) {
		t.Errorf("%d\n%s", status, page)
	}
	if listed, err := f.FindSuppressed(t.Context(), []campaign.Phone{971501234567}); err != nil || !listed[0] {
		t.Errorf("%v, %v", listed, err)
	}
	if status, page := press(url.Values{"id": {"bb"}}); status != http.StatusSeeOther || !strings.Contains(page, "The wish is closed.") || strings.Contains(page, "h-wishes") {
		t.Errorf("%d\n%s", status, page)
	}
	if status, _ := press(url.Values{"id": {"bb"}}); status != http.StatusConflict {
		t.Errorf("closed twice: %d", status)
	}
}
