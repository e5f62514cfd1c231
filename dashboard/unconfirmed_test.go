package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
)

// lose loses the answers of requests with contacts.
func (f fixture) lose(name string, at time.Time, places ...int) {
	f.T.Helper()
	f.Move(name, places, campaigntest.Step{At: at, Log: requestLog}, campaign.Send, campaign.Lose)
}

var seenLost = regexp.MustCompile(`name="until" value="(\d+)"><input type="hidden" name="seen" value="(\d+)"><input type="hidden" name="run" value="0">`)

func TestUnconfirmedContactsAreDecided(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 20)
	f.lose("sale", at, 0, 1, 2, 11)
	page := f.get("/campaigns/sale")
	wantTexts(t, page, `href="/campaigns/sale/unconfirmed"`)
	if strings.Contains(page, `name="state" value="unconfirmed"`) {
		t.Error("they are offered to be sent again before anybody has seen what to look up")
	}
	page = f.get("/campaigns/sale/unconfirmed")
	wantTexts(t, page, "with 4 contacts were lost", `<bdi dir="ltr">sale/0/1-1</bdi>`, `<bdi dir="ltr">sale/1/1-1</bdi>`, "they are contacted twice")
	forms := seenLost.FindAllStringSubmatch(page, -1)
	if len(forms) != 4 || forms[0][2] != "4" || forms[1][2] != "4" || forms[2][2] != "3" || forms[3][2] != "1" {
		t.Fatalf("forms are about %v", forms)
	}
	form := func(i int, more url.Values) url.Values {
		v := url.Values{"until": {forms[i][1]}, "seen": {forms[i][2]}, "run": {"0"}}
		for key, values := range more {
			v[key] = values
		}
		return v
	}
	for _, bad := range []url.Values{{}, {"found": {"accepted"}}, {"found": {"accepted"}, "seen": {"4"}, "run": {"0"}}, form(0, nil), form(0, url.Values{"found": {"perhaps"}}), form(2, url.Values{"found": {"accepted"}, "chunk": {"x"}})} {
		if res, _ := f.ask("POST", "/campaigns/sale/resolve", bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, res.StatusCode)
		}
	}
	wantTexts(t, page, `<bdi dir="ltr">sale/0/…</bdi>`, `name="seen" value="4"><input type="hidden" name="run" value="0">`)
	if res, page := f.ask("POST", "/campaigns/sale/rerun", url.Values{"state": {"unconfirmed"}, "seen": {"3"}, "run": {"0"}}); res.StatusCode != http.StatusConflict || f.State("sale", 0) != campaign.Unconfirmed {
		t.Errorf("more were sent again than the page has shown: %d %s", res.StatusCode, page)
	}
	// One more is lost in the same second, and is not among those that were looked up.
	f.lose("sale", at, 3)
	res, page := f.ask("POST", "/campaigns/sale/resolve", form(2, url.Values{"found": {"not_sent"}, "chunk": {"0"}}))
	if res.StatusCode != http.StatusConflict || !strings.Contains(page, "more contacts are chosen than were seen") {
		t.Errorf("%d %s", res.StatusCode, page)
	}
	if is := f.State("sale", 0); is != campaign.Unconfirmed {
		t.Errorf("it is %v", is)
	}
	if said, want := f.done("/campaigns/sale/resolve", form(3, url.Values{"found": {"accepted"}, "chunk": {"1"}})), "1 contact decided."; said != want {
		t.Errorf("it says %q", said)
	}
	forms = seenLost.FindAllStringSubmatch(f.get("/campaigns/sale/unconfirmed"), -1)
	f.move("sale", 1, "", campaign.Start) // an event tells of one of them meanwhile
	if said, want := f.done("/campaigns/sale/resolve", form(0, url.Values{"found": {"not_sent"}})), "3 contacts decided."; said != want {
		t.Errorf("it says %q", said)
	}
	for place, want := range map[int]campaign.State{0: campaign.Pending, 1: campaign.Started, 2: campaign.Pending, 3: campaign.Pending, 11: campaign.Accepted} {
		if is := f.State("sale", place); is != want {
			t.Errorf("contact %d is %v, want %v", place, is, want)
		}
	}
	wantTexts(t, f.get("/campaigns/sale/unconfirmed"), "No contact is unconfirmed.")
	if page := f.get("/campaigns/sale"); strings.Contains(page, "/unconfirmed") {
		t.Error("there is nothing to decide, and it is offered")
	}
}

func TestDecidingInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 20)
	f.lose("sale", at, 0, 1, 2, 11)
	v := visit(t, f.URL)
	v.open("/campaigns/sale")
	v.click("#do-resolve")
	v.awaitText("h1", "Unconfirmed contacts")
	v.click("#decide-all")
	v.picture("unconfirmed")
	v.click(`#decide-0`)
	v.click(`td form input[value="accepted"]`)
	v.click(`td form button`)
	v.awaitText(".flash", "3 contacts decided")
	if is := f.State("sale", 0); is != campaign.Accepted {
		t.Errorf("it is %v", is)
	}
}
