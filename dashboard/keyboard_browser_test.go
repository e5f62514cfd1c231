package dashboard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tabTo presses the tab key until what a selector finds has the focus.
func (v *visitor) tabTo(selector string) {
	v.t.Helper()
	for range 80 {
		v.do(chromedp.KeyEvent(kb.Tab))
		if see[bool](v, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	v.fail(fmt.Errorf("the tab key does not lead to %s", selector))
}

// typeInto goes to a field by the tab key, and types.
func (v *visitor) typeInto(selector, text string) {
	v.t.Helper()
	v.tabTo(selector)
	v.do(chromedp.KeyEvent(text))
}

// A campaign is made in Arabic, on a phone's width, by the keyboard alone: but for the file,
// which a dialog of the browser asks for.
func TestACampaignIsMadeByKeyboardInArabicInABrowser(t *testing.T) {
	f := newFixture(t, withAgent(t))
	file := filepath.Join(t.TempDir(), "قائمة.csv")
	stop := filepath.Join(t.TempDir(), "لا تتصل.csv")
	for path, text := range map[string]string{file: list, stop: "+966599999999\n"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	v := visit(t, f.URL)
	v.do(chromedp.EmulateViewport(390, 800))
	at := func(step string) {
		t.Helper()
		v.await(fmt.Sprintf(`location.pathname.endsWith(%q) && document.readyState === "complete" && document.documentElement.dir === "rtl"`, "/"+step))
		if wide := see[int](v, "document.documentElement.scrollWidth"); wide > 390 {
			t.Errorf("%s is %d wide", step, wide)
		}
		if nameless := see[string](v, `[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")].filter((e) => !e.labels.length).map((e) => e.name).join(" ")`); nameless != "" {
			t.Errorf("%s: fields without a label: %s", step, nameless)
		}
	}
	v.open("/new?lang=ar")
	at("new")
	v.upload("#file", file)
	v.tabTo("form button.primary")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("agent")
	v.typeInto("#title", "حملة العيد ٢٠٢٧")
	v.do(chromedp.KeyEvent(kb.Enter)) // as the first button
	at("list")
	v.awaitText("main", "الرقم أقصر من اللازم")
	v.tabTo(".scroll") // rows that are wider than the screen are scrolled
	v.typeInto("#region", "sa")
	v.tabTo("button[value=again]")
	v.do(chromedp.KeyEvent(kb.Enter))
	v.awaitText("main table", "+966501000001")
	at("list")
	v.picture("ar-keyboard-list")
	v.do(chromedp.EmulateViewport(390, 800))
	v.tabTo("button[value=next]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("when")
	if zone := see[string](v, `document.querySelector("#clock").value`); zone == "" {
		t.Error("the browser's zone is not proposed")
	}
	v.tabTo("#clock")
	v.do(chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowDown)) // Saudi Arabia
	v.await(`document.querySelector("#clock").value === "Asia/Riyadh"`)
	if first := see[string](v, `document.querySelector("[data-days] label").innerText`); !strings.Contains(first, "الأحد") {
		t.Errorf("the week begins with %s", first)
	}
	v.tabTo(".usual button:not([hidden])") // its usual week, to begin with
	v.do(chromedp.Evaluate("window.stays = true", nil), chromedp.KeyEvent(kb.Enter))
	v.await(`!window.stays && document.querySelector("[name='pick:way']:checked")?.value === "same"`)
	at("when")
	v.typeInto("[name='pick:all:to']", "1130A") // the browser may have a clock of 12 hours
	v.tabTo("[name='pick:on'][value=sat]")
	v.do(chromedp.KeyEvent(" "))
	v.typeInto("#start_at", "12012040"+kb.Tab+"0900A")
	v.awaitText("[data-hijri-of=start_at]", "هـ")
	v.typeInto("#except-from", "12052040")
	v.awaitText("[data-hijri-of=except-from]", "هـ")
	v.tabTo("[name=rules]")
	v.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	v.tabTo("button[value=back]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("list")
	v.tabTo("button[value=next]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("when")
	if picked := see[string](v, `[...document.querySelectorAll("[name='pick:on']:checked")].map((e) => e.value).join() + document.querySelector("[name='pick:all:to']").value`); picked != "sun,mon,tue,wed,thu,sat11:30" {
		t.Errorf("back has lost the hours: %q", picked)
	}
	if kept := see[string](v, `document.querySelector("[name=rules]:checked").value + document.querySelector("#except").value`); kept != "sa2040-12-05=closed" {
		t.Errorf("back has lost rules or dates: %q", kept)
	}
	v.awaitText("[data-hijri-of=start_at]", "هـ")
	v.picture("ar-keyboard-when")
	v.do(chromedp.EmulateViewport(390, 800))
	v.tabTo("button[value=next]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("safety")
	v.upload("#file", stop)
	v.typeInto("#daily_cap", "5")
	v.do(chromedp.Evaluate("window.stays = true", nil), chromedp.KeyEvent(kb.Enter)) // the file is shown first
	v.await("!window.stays")
	at("safety")
	v.awaitText("#files", "لا يستبعد أي سطر")
	v.picture("ar-keyboard-safety")
	v.do(chromedp.EmulateViewport(390, 800))
	v.tabTo("button[value=next]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("follow")
	v.tabTo("button[value=next]")
	v.do(chromedp.KeyEvent(kb.Enter))
	at("review")
	v.awaitText("main", "جهتا اتصال")
	v.tabTo("form[action$='/launch'] button")
	v.do(chromedp.KeyEvent(kb.Enter))
	v.awaitText(".flash", "أُطلقت")
	names, err := f.Names(t.Context())
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	if c, err := f.Campaign(t.Context(), names[0]); err != nil || c.Settings.Title != "حملة العيد ٢٠٢٧" || c.Settings.DailyCap != 5 || c.Settings.Hours.Week.String() != "sat-thu 09:00-11:30" || c.Settings.Hours.Zone != "Asia/Riyadh" || c.Settings.StartAt.IsZero() || c.Settings.Rules != "sa" || len(c.Settings.Hours.Except) != 1 || c.Counts.Contacts != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}
