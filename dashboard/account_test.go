package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/handout"
)

func titled(title string) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.Title = title }
}

// asked makes a request with headers, and returns the answer with its page.
func (f fixture) asked(path string, header map[string]string) (*http.Response, string) {
	f.T.Helper()
	return ask(f.T, "GET", f.URL+path, nil, func(r *http.Request) {
		for name, value := range header {
			r.Header.Set(name, value)
		}
	})
}

func TestTheReportPage(t *testing.T) {
	f := newFixture(t)
	f.load("eid", 4, titled("حملة <العيد>"))
	f.move("eid", 0, "", campaign.Send, campaign.Accept)
	res, page := f.asked("/campaigns/eid/report", nil)
	wantTexts(t, page, `<html lang="en" dir="ltr">`, `<bdi dir="auto">حملة &lt;العيد&gt;</bdi>`, "<dt>Contacts</dt><dd>4</dd>", "<dt>Accepted by the platform</dt><dd>1</dd>",
		`<a href="/campaigns/eid">Back to the campaign</a>`, `<a href="/campaigns/eid/report?lang=ar" lang="ar" hreflang="ar">العربية</a>`)
	if policy := res.Header.Get("Content-Security-Policy"); res.StatusCode != http.StatusOK || policy != handout.Policy+"; frame-ancestors 'none'" {
		t.Errorf("%d, policy %q", res.StatusCode, policy)
	}
	if strings.Contains(page, "9665") || strings.Contains(page, "نورة") {
		t.Error("the report holds personal data")
	}
	res, page = f.asked("/campaigns/eid/report?save=1", nil)
	if got := res.Header.Get("Content-Disposition"); got != `attachment; filename="eid-report.html"` || strings.Contains(page, "<a ") {
		t.Errorf("saved as %q:\n%s", got, page)
	}
	for _, path := range []string{"/campaigns/nobody/report", "/campaigns/bad%20name/report"} {
		if res, _ := f.asked(path, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	wantTexts(t, f.get("/campaigns/eid"), `<a href="/campaigns/eid/report">Report</a>`)
}

func TestTheLanguageOfAPage(t *testing.T) {
	f := newFixture(t)
	f.load("eid", 1)
	const path = "/campaigns/eid/report"
	for _, tt := range []struct {
		name, path string
		header     map[string]string
		want       string
		cookie     string
	}{
		{"the browser's", path, map[string]string{"Accept-Language": "ar-EG,ar;q=0.9,en;q=0.8"}, "ar", ""},
		{"English for others", path, map[string]string{"Accept-Language": "de"}, "en", ""},
		{"the switch", path + "?lang=ar", map[string]string{"Accept-Language": "en"}, "ar", "language=ar; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"},
		{"the switch before", path, map[string]string{"Accept-Language": "en", "Cookie": "language=ar"}, "ar", ""},
		{"back again", path + "?lang=en", map[string]string{"Accept-Language": "ar", "Cookie": "language=ar"}, "en", "language=en; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"},
		{"no such language", path + "?lang=xx", map[string]string{"Cookie": "language=<b>"}, "en", ""},
	} {
		res, page := f.asked(tt.path, tt.header)
		if !strings.Contains(page, `<html lang="`+tt.want+`"`) || res.Header.Get("Set-Cookie") != tt.cookie {
			t.Errorf("%s: want %s, got cookie %q and\n%.300s", tt.name, tt.want, res.Header.Get("Set-Cookie"), page)
		}
	}
}

func TestTitlesAreFoundAsPeopleWriteThem(t *testing.T) {
	f := newFixture(t)
	f.load("c-1", 1, titled("عروض أحمد وسارة"))
	f.load("c-2", 1, titled("Été à Dubaï"))
	f.load("c-3", 1)
	for search, want := range map[string]string{"احمد": "c-1", "ساره": "c-1", "أحمد": "c-1", "سَارَة": "c-1", "ete": "c-2", "DUBAI": "c-2", "c-3": "c-3"} {
		page := f.get("/?q=" + url.QueryEscape(search))
		for _, name := range []string{"c-1", "c-2", "c-3"} {
			if shown := strings.Contains(page, `id="r-`+name+`"`); shown != (name == want) {
				t.Errorf("%s: %s is shown: %v", search, name, shown)
			}
		}
	}
	wantTexts(t, f.get("/"), `<bdi dir="auto">عروض أحمد وسارة</bdi>`, `<bdi>c-1</bdi>`, `<bdi dir="auto">c-3</bdi>`)
}

// The report in a real browser: nothing of its style is refused, in no language is it wider
// than a phone, and it turns around.
func TestTheReportInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("eid", 40, titled("حملة العيد ٢٠٢٧"))
	for i := range 20 {
		f.move("eid", i, "", campaign.Send, campaign.Accept)
	}
	v := visit(t, f.URL)
	for _, language := range []string{"en", "ar"} {
		v.open("/campaigns/eid/report?lang=" + language)
		v.awaitText("h1", "حملة العيد")
		v.picture("report-" + language)
		start := see[bool](v, `getComputedStyle(document.querySelector("h1")).direction === document.documentElement.dir && getComputedStyle(document.querySelector(".tiles")).display === "grid"`)
		if !start {
			t.Errorf("%s: the page has not its style", language)
		}
	}
}
