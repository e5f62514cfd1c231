package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/dashboard"
	"campaign-runner/internal/untranslated"
)

// latin lists the Latin words of a page that no element isolates: texts, and attributes that
// people read or hear. What other people wrote, names and technical words stand in <bdi>,
// <time> or <code>, or between isolates.
func latin(t *testing.T, page string) (found []string) {
	t.Helper()
	words := regexp.MustCompile(`[A-Za-z]{2,}`)
	isolated := regexp.MustCompile("[\u2066\u2068][^\u2069]*\u2069")
	look := func(text string) {
		text = isolated.ReplaceAllString(text, "")
		if words.MatchString(text) {
			found = append(found, strings.TrimSpace(text))
		}
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			look(n.Data)
			return
		}
		for _, a := range n.Attr {
			own := n.Data == "a" && a.Key == "lang" && a.Val == "en" // the switch
			if n.Data == "bdi" || n.Data == "textarea" || n.Data == "time" || n.Data == "code" || n.Data == "noscript" || n.Data == "script" || n.Data == "style" || own || a.Key == "dir" && a.Val == "auto" && (n.Data == "p" || n.Data == "td") {
				return
			}
		}
		if n.Data == "bdi" || n.Data == "code" || n.Data == "noscript" || n.Data == "button" && len(n.Attr) > 1 && n.Attr[1].Val == "en" {
			return
		}
		for _, a := range n.Attr {
			switch a.Key {
			case "aria-label", "placeholder", "title", "alt", "data-busy", "data-now", "data-old", "data-lost":
				look(a.Val)
			}
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			walk(child)
		}
	}
	walk(root)
	return found
}

// everything is an installation with something of all that pages can show.
func everything(t *testing.T) fixture {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) {
		c.WebhookURL = "https://example.org"
		c.Channels = append(c.Channels, dashboard.Channel{Name: "whatsapp", ID: 7})
	})
	rules, err := campaign.ParseRules([]string{"state=failed"}, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	f.load("spring", 120, titled("حملة الربيع"), func(s *campaign.Settings) {
		s.Agent, s.TicketRules, s.MaxTickets, s.TicketReplies = "sales", rules, 9, true
	})
	f.move("spring", 0, "", campaign.Send, campaign.Accept)
	f.move("spring", 1, "busy", campaign.Send, campaign.Fail)
	f.move("spring", 2, "bad number", campaign.Send, campaign.Reject)
	f.move("spring", 3, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	ref := store.Ref{Campaign: "spring"}
	err = f.UpdateOutcomes(t.Context(), ref, []int{3}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o.Conversation, o.Started, o.Ended = "conv-7", at.Add(time.Minute), at.Add(2*time.Minute)
		o.Extraction = json.RawMessage(`{"intent":"buy"}`)
		return o, []campaign.Turn{{Role: "agent", Text: "hello"}, {Role: "customer", Text: "مرحبا", At: at}}
	})
	if err != nil {
		t.Fatal(err)
	}
	made := campaign.Ticket{State: campaign.TicketMade, ID: "T-1", Conversation: "C-1"}
	if ok, err := f.SetTicket(t.Context(), store.Place{Ref: ref, Index: 1}, nil, &made, 0, 9); !ok || err != nil {
		t.Fatal(ok, err)
	}
	err = f.UpdateFollow(t.Context(), store.Place{Ref: ref, Index: 1}, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Hear("call me", at)
		f.Read("closed", []campaign.Turn{{Role: "agent", Text: "yes"}}, at)
		f.Left, f.Earlier = 2, 3
		return store.FollowDue{}, true
	})
	if err != nil {
		t.Fatal(err)
	}
	f.load("held", 20)
	f.lose("held", at, 0, 1, 11)
	f.Pass("held", campaign.Paused, "lunch")
	f.load("over", 3)
	for place := range 3 {
		f.move("over", place, "busy", campaign.Send, campaign.Fail)
	}
	f.load("purged", 2)
	for place := range 2 {
		f.move("purged", place, "", campaign.Send, campaign.Accept)
	}
	if err := f.Purge(t.Context(), "purged"); err != nil {
		t.Fatal(err)
	}
	settings := campaign.Settings{Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 10, MaxAttempts: 5, Columns: columns}
	if _, err := f.BeginLoad(t.Context(), campaign.Campaign{Name: "loads", Settings: settings}); err != nil {
		t.Fatal(err)
	}
	beat := store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": {Limit: 3000, Remaining: 10, Window: 60, Others: 4}}}
	if err := f.Heartbeat(t.Context(), beat); err != nil {
		t.Fatal(err)
	}
	return f
}

// shownPages are addresses of everything's pages.
var shownPages = []string{
	"/", "/?q=nothing", "/?state=paused", "/?q=spring&sort=name",
	"/campaigns/spring", "/campaigns/held", "/campaigns/over", "/campaigns/loads", "/campaigns/purged",
	"/campaigns/spring/contacts", "/campaigns/spring/contacts?state=failed", "/campaigns/spring/contacts?reason=77", "/campaigns/spring/contacts?state=bad",
	"/campaigns/spring/contacts/0", "/campaigns/spring/contacts/1", "/campaigns/spring/contacts/2", "/campaigns/spring/contacts/3",
	"/people", "/campaigns/held/unconfirmed", "/campaigns/spring/unconfirmed", "/campaigns/spring/log", "/campaigns/spring/log?of=all", "/campaigns/held/plan", "/campaigns/spring/again", "/campaigns/spring/append", "/campaigns/held/append/gone", "/campaigns/spring/plan", "/campaigns/spring/settings", "/campaigns/held/settings", "/new", "/new?from=over&where=state%3Dfailed", "/nowhere", "/campaigns/nowhere", "/campaigns/purged/contacts", "/campaigns/loads/contacts", "/new/gone",
}

// In Arabic no page shows an English word, but for what others wrote and technical names.
func TestPagesSpeakArabic(t *testing.T) {
	f := everything(t)
	arabic := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept-Language", "ar")
	}
	check := func(name, page string) {
		t.Helper()
		if !strings.Contains(page, `<html lang="ar" dir="rtl">`) {
			t.Errorf("%s is not in Arabic:\n%.300s", name, page)
		}
		for _, text := range latin(t, page) {
			t.Errorf("%s: %q", name, text)
		}
		if strings.Contains(page, "<no value>") || regexp.MustCompile(`>[a-z]+\.[a-z_.]+<`).MatchString(strings.ReplaceAll(page, "list.csv", "")) {
			t.Errorf("%s: a text lacks", name)
		}
	}
	for _, path := range shownPages {
		_, page := ask(t, "GET", f.URL+path, nil, arabic)
		check(path, page)
	}
	posts := []struct {
		path string
		form url.Values
	}{
		{"/campaigns/spring/contacts", url.Values{"find": {"NOTE 1"}}},
		{"/campaigns/spring/contacts", url.Values{"find": {strings.Repeat("x", 200)}}},
		{"/campaigns/held/resolve", url.Values{"found": {"accepted"}, "until": {"1"}}},
		{"/campaigns/held/resolve", url.Values{"until": {"2000000000"}, "seen": {"3"}, "run": {"0"}}},
		{"/campaigns/held/resolve", url.Values{"found": {"accepted"}, "until": {"2000000000"}, "seen": {"2"}, "run": {"0"}}},
		{"/people", url.Values{"number": {"0501000001"}, "region": {"sa"}, "all": {"1"}}},
		{"/people", url.Values{"number": {"+966501999999"}, "all": {"1"}}},
		{"/people", url.Values{"number": {"0501000001"}}},
		{"/people", url.Values{"number": {"12"}, "region": {"SA"}}},
		{"/people", url.Values{"number": {"12"}, "region": {"??"}}},
		{"/people/add", url.Values{"number": {"+966501000001"}}},
		{"/campaigns/over/again", url.Values{"where": {"state=failed"}, "limit": {"2"}}},
		{"/campaigns/over/again", url.Values{"where": {"state=failed"}, "seen": {"1"}}},
		{"/campaigns/over/again", url.Values{"where": {"state=failed"}, "limit": {"x"}}},
		{"/campaigns/over/again", url.Values{}},
		{"/campaigns/over/pause", url.Values{}},
		{"/campaigns/over/rerun", url.Values{"state": {"pending"}}},
		{"/campaigns/over/rerun", url.Values{}},
		{"/campaigns/spring/pause", url.Values{"reason": {strings.Repeat("x", 400)}}},
	}
	for _, p := range posts {
		_, page := ask(t, "POST", f.URL+p.path, p.form, arabic)
		check("POST "+p.path, page)
	}
	for _, do := range []string{"/campaigns/spring/pause", "/campaigns/spring/resume", "/all/pause", "/all/resume", "/people/add", "/people/remove", "/campaigns/spring/cancel"} {
		c, err := f.Campaign(t.Context(), "spring")
		if err != nil {
			t.Fatal(err)
		}
		res, _ := ask(t, "POST", f.URL+do, url.Values{"number": {"+966501000001"}, "reason": {"lunch"}, "seen": {c.PhaseCall}}, arabic)
		_, page := ask(t, "GET", f.URL+res.Header.Get("Location"), nil, arabic)
		if !strings.Contains(page, `class="flash"`) {
			t.Errorf("%s: it is not said that it was done", do)
		}
		check("after "+do, page)
	}
	// The form in English, its preview in Arabic by the switch.
	for _, form := range []map[string]string{{"name": "fresh"}, {
		"name":  "fresh",
		"hours": "09:00-21:00", "timezone": "Asia/Riyadh", "canary": "1", "max_failure_share": "20%", "max_optout_share": "2%",
		"min_answer_share": "10%", "max_silence": "30m", "daily_cap": "5", "except": "2027-02-08..2027-03-08=21:00-01:00",
	}} {
		_, page := f.upload("list.csv", list+"966501234567,x,y\n", filled(form), true)
		to := regexp.MustCompile(`class="switch" href="([^"]+)"`).FindStringSubmatch(page)
		if to == nil {
			t.Fatalf("no switch on\n%s", page)
		}
		_, page = ask(t, "GET", f.URL+strings.ReplaceAll(to[1], "&amp;", "&"), nil, arabic)
		wantTexts(t, page, "/launch", "إطلاق: التواصل مع")
		check("the preview", page)
		draft := launchButton.FindStringSubmatch(page)[1]
		for _, step := range []string{"agent", "list", "when", "safety", "follow", "test"} {
			_, page = ask(t, "GET", f.URL+draft+"/"+step, nil, arabic)
			check(step, page)
		}
		_, page = ask(t, "GET", f.URL+"/new", nil, arabic)
		check("the drafts", page)
	}
	for _, form := range []map[string]string{{"name": ""}, {"chunk_size": "many"}, {"mode": "fax"}, {"agent": "x"}, {"channel": "x"}, {"name": "held"}, {"timezone": "Moon/Crater"}, {"hours": "late", "timezone": "Asia/Riyadh"}} {
		f.language = "ar"
		_, page := f.upload("list.csv", list, filled(form), true)
		check("the form again", page)
	}
}

// Where the switch leads is the same page, and the campaigns, contacts and searches on it
// stay.
func TestTheSwitchKeepsThePlace(t *testing.T) {
	f := everything(t)
	for path, want := range map[string]string{
		"/":                          "/?lang=ar",
		"/?q=a&state=paused&page=2":  "/?lang=ar&page=2&q=a&state=paused",
		"/campaigns/spring?did=x":    "/campaigns/spring?lang=ar",
		"/campaigns/spring/contacts": "/campaigns/spring/contacts?lang=ar",
		"/new?from=over&where=a":     "/new?from=over&lang=ar&where=a",
		"/nowhere":                   "/nowhere?lang=ar",
	} {
		_, page := f.ask("GET", path, nil)
		wantTexts(t, page, `<a class="switch" href="`+strings.ReplaceAll(want, "&", "&amp;")+`" lang="ar" hreflang="ar">العربية</a>`)
	}
	_, page := f.ask("POST", "/campaigns/spring/contacts", url.Values{"find": {"note 1"}})
	wantTexts(t, page, `<form class="switch" method="post" action="/campaigns/spring/contacts?lang=ar"><input type="hidden" name="find" value="note 1">`)
	_, page = f.ask("POST", "/campaigns/over/pause", url.Values{})
	wantTexts(t, page, `href="/campaigns/over?lang=ar"`)
	// The live parts speak the language of their page.
	_, page = f.ask("GET", "/campaigns/spring?lang=ar", nil)
	wantTexts(t, page, `data-events="/campaigns/spring/events?in=ar"`)
	_, page = f.ask("GET", "/?q=a", nil)
	wantTexts(t, page, `data-events="/events?q=a&amp;in=en"`)
}

// Templates hold no words of their own.
func TestTemplatesHaveNoWords(t *testing.T) {
	for name, text := range dashboard.Templates(t) {
		for _, words := range untranslated.Words(text) {
			if !strings.Contains("UTC Excel CSV", words) && !strings.HasPrefix(words, "<meta ") { // in <noscript>
				t.Errorf("%s itself says %q", name, words)
			}
		}
	}
}

// Every page in Arabic in a real browser: from right to left, not wider than a phone, with
// live parts in its language.
func TestPagesInArabicInABrowser(t *testing.T) {
	f := everything(t)
	v := visit(t, f.URL)
	v.open("/?lang=ar")
	_, page := f.upload("قائمة.csv", list+"966501234567,x,y\n", filled(map[string]string{"name": "fresh", "hours": "09:00-21:00", "timezone": "Asia/Riyadh", "canary": "1"}), true)
	preview := strings.TrimSuffix(launchButton.FindString(page)[len(`action="`):], `/launch"`)
	v.inArabic(map[string]string{
		"list": "/", "found": "/?q=nothing", "campaign": "/campaigns/spring", "paused": "/campaigns/held", "over": "/campaigns/over",
		"contacts": "/campaigns/spring/contacts", "contact": "/campaigns/spring/contacts/1", "answered": "/campaigns/spring/contacts/3",
		"new": "/new", "preview": preview + "/review",
		"new-agent": preview + "/agent", "new-list": preview + "/list", "new-when": preview + "/when", "new-safety": preview + "/safety", "new-follow": preview + "/follow", "new-test": preview + "/test",
	})
	// What runs from left to right does so within Arabic: its first sign stands left of its last.
	const order = `((selector) => {
		const text = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT).nextNode(), range = document.createRange()
		const at = (i) => { range.setStart(text, i); range.setEnd(text, i + 1); return range.getBoundingClientRect().left }
		return at(0) < at(text.length - 1)
	})`
	for path, selector := range map[string]string{
		"/campaigns/spring/contacts/1": "h1 bdi", "/campaigns/spring/contacts": ".contacts th a bdi", "/campaigns/spring": "#head .headline span bdi:last-child", "/": ".progress b bdi",
	} {
		v.open(path)
		if !see[bool](v, order+`("`+selector+`")`) {
			t.Errorf("%s: %s runs from right to left", path, selector)
		}
	}
	// Times are written by the script as by the server; digits and order are the same.
	v.open("/campaigns/spring")
	v.awaitText("#live", "تحديث مباشر")
	if got := see[string](v, `document.querySelector("#facts time").textContent`); !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d$`).MatchString(got) {
		t.Errorf("a time is written %q", got)
	}
	// The day in the Hijri calendar is the server's, since this browser's zone is that of the
	// server's times.
	created, err := f.Campaign(t.Context(), "spring")
	if err != nil {
		t.Fatal(err)
	}
	day := string((texts.Printer{Language: texts.Arabic}).Hijri(created.CreatedAt))
	if got := see[string](v, `document.querySelector("#facts [data-hijri]").textContent`); got != strings.NewReplacer("\u2066", "", "\u2069", "").Replace(day) || !strings.HasSuffix(got, "هـ") {
		t.Errorf("the day is written %q, want %q", got, day)
	}
	f.Pass("spring", campaign.Paused, "lunch")
	v.awaitText("#head .badge", "متوقفة مؤقتًا")
	// The switch keeps the place and is remembered.
	v.click("a.switch")
	v.awaitText("#head .badge", "paused")
	v.await(`location.pathname + location.search === "/campaigns/spring"`)
	v.open("/")
	v.awaitText("h1", "Campaigns")
}

// The same of the pages on which a campaign is run.
func TestPagesOfRunningItInArabicInABrowser(t *testing.T) {
	f := everything(t)
	v := visit(t, f.URL)
	v.open("/?lang=ar")
	v.inArabic(map[string]string{
		"unconfirmed": "/campaigns/held/unconfirmed", "log": "/campaigns/spring/log?of=all", "people": "/people",
		"again": "/campaigns/spring/again", "plan": "/campaigns/held/plan", "settings": "/campaigns/held/settings",
	})
}

// inArabic looks at pages, by name.
func (v *visitor) inArabic(pages map[string]string) {
	v.t.Helper()
	for name, path := range pages {
		v.open(path)
		v.await(`document.documentElement.dir === "rtl" && document.documentElement.lang === "ar"`)
		if see[bool](v, `document.body.dataset.events !== undefined`) {
			v.awaitText("#live", "تحديث مباشر")
		}
		v.do(chromedp.Evaluate("for (const d of document.querySelectorAll('details')) d.open = true", nil))
		if outside := see[string](v, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")).map((e) => e.outerHTML.slice(0, 80)).join(" ")`); outside != "" {
			v.t.Errorf("%s: outside of the screen: %s", path, outside)
		}
		v.picture("ar-" + name)
	}
}
