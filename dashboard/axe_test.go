//go:build axe

package dashboard_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/redistest"
)

// barriers are what axe finds on the page that is open, with all that is folded unfolded, in
// both themes.
func (v *visitor) barriers(axe string) (list []string) {
	v.t.Helper()
	v.do(chromedp.Evaluate("for (const d of document.querySelectorAll('details')) d.open = true", nil), chromedp.Evaluate(axe, nil))
	for _, theme := range []string{"light", "dark"} {
		v.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}))
		var found struct {
			Passes     int
			Violations string
		}
		v.do(chromedp.Evaluate(`axe.run().then((r) => ({passes: r.passes.length, violations: r.violations.map((x) => x.id + ": " + x.nodes.map((n) => n.html.slice(0, 120)).join(" ")).join("\n")}))`, &found,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
		if found.Violations != "" || found.Passes < 10 {
			list = append(list, fmt.Sprintf("%s: %d rules hold\n%s", theme, found.Passes, found.Violations))
		}
	}
	return list
}

// check fails the test where the page that is open has barriers.
func (v *visitor) check(axe string) {
	v.t.Helper()
	for _, barrier := range v.barriers(axe) {
		var at string
		v.do(chromedp.Location(&at))
		v.t.Errorf("%s, %s", at, barrier)
	}
}

// seen opens a page in a language, and waits for what is counted.
func (v *visitor) seen(path, language string) {
	v.t.Helper()
	joint := "?"
	if strings.Contains(path, "?") {
		joint = "&"
	}
	v.open(path + joint + "lang=" + language)
	v.await(fmt.Sprintf(`document.documentElement.lang === %q`, language))
}

// pictured is what the picture of a page is called.
func pictured(path, language string) string {
	path = regexp.MustCompile(`[A-Z0-9]{26}`).ReplaceAllString(path, "draft")
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(path), "-"), "-")
	return "page-" + cmp.Or(name, "list") + "-" + language
}

// Every page of ours, in both languages and themes, has no barrier that axe knows, and is kept
// as pictures.
func TestPagesHaveNoBarriers(t *testing.T) {
	script, err := os.ReadFile(os.Getenv("AXE"))
	if err != nil {
		t.Fatalf("AXE is to be the path of axe.min.js, as make axe has it: %v", err)
	}
	axe := string(script)
	f := everything(t)
	_, page := f.upload("قائمة.csv", list+"966501234567,x,y\n", filled(map[string]string{"name": "fresh", "hours": "09:00-21:00", "timezone": "Asia/Riyadh", "canary": "1"}), true)
	draft := strings.TrimSuffix(launchButton.FindString(page)[len(`action="`):], `/launch"`)
	f.uploadTo(draft+"/safety", "لا تتصل.csv", "phone\n+966501000001\n12\n", map[string]string{"canary": "1"}, false)
	f.uploadTo(draft+"/when", "أعياد.ics", holiday, map[string]string{"hours": "09:00-21:00", "timezone": "Asia/Riyadh", "rules": "sa", "except": "2040-02-08..2040-03-08=21:00-01:00; 2040-03-09=closed"}, false)
	pages := []string{"/campaigns/spring/report", "/campaigns/purged/report", f.added("spring", more)}
	for _, step := range []string{"agent", "list", "when", "safety", "follow", "review", "test"} {
		pages = append(pages, draft+"/"+step)
	}
	for name, hours := range map[string]string{"each-day": "sun-thu 09:00-21:00; fri 16:00-21:00", "as-text": "mon 01:00-02:00,03:00-04:00,05:00-06:00"} {
		pages = append(pages, f.draftOf(filled(map[string]string{"name": name, "hours": hours, "timezone": "contact"}))+"/when")
	}
	v := visit(t, f.URL)
	for _, language := range []string{"en", "ar"} {
		for _, path := range append(pages, shownPages...) {
			v.seen(path, language)
			if see[bool](v, `document.querySelector("#outcomes") !== null`) && !strings.Contains(path, "loads") {
				v.await(`document.querySelector("#outcomes .headline") !== null`)
			}
			v.picture(pictured(path, language))
			v.check(axe)
		}
		v.seen("/campaigns/spring", language)
		v.do(chromedp.Evaluate(`document.querySelector("#find").value = "note 1"; document.querySelector("form.find").submit()`, nil))
		v.await(`location.pathname.endsWith("/contacts") && document.querySelector(".contacts") !== null`)
		v.check(axe)
	}
	v.forgive("the server responded with a status of") // of pages that are not there
	v.open("/")
	v.do(chromedp.Evaluate(`document.querySelector("main").insertAdjacentHTML("beforeend", "<input type=text>")`, nil))
	if found := v.barriers(axe); len(found) != 2 || !strings.Contains(found[0], "label: <input") {
		t.Errorf("of a field without a name it finds %q", found)
	}

	c := newCrowd(t, redistest.Shared(t))
	c.load("sale", 12)
	c.move("sale", 2, "", campaign.Send, campaign.Accept)
	v = visit(t, c.Server.URL)
	for _, language := range []string{"en", "ar"} {
		v.do(network.ClearBrowserCookies())
		v.seen("/sign-in", language)
		v.check(axe)
		v.do(chromedp.Evaluate(`document.querySelector("#name").value = "viewer"; document.querySelector("#password").value = "not it"; document.querySelector("form.card").submit()`, nil))
		v.await(`document.querySelector("[role=alert]") !== null`)
		v.check(axe)
		cookie := c.cookies[users.Viewer]
		v.do(network.SetCookie(cookie.Name, cookie.Value).WithURL(c.Server.URL))
		for _, path := range []string{"/", "/campaigns/sale", "/campaigns/sale/contacts"} {
			v.seen(path, language)
			v.check(axe)
		}
	}
	v.forgive("the server responded with a status of")
}

// forgive leaves out what the console says of pages that were asked for to see their error.
func (v *visitor) forgive(part string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var left []string
	for _, trouble := range v.troubles {
		if !strings.Contains(trouble, part) {
			left = append(left, trouble)
		}
	}
	v.troubles = left
}
