package dashboard_test

import (
	"net/http"
	"net/url"
	"testing"

	"campaign-runner/campaign"
)

func TestContactsAreSentAgainByOutcome(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 6)
	f.move("sale", 0, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	f.move("sale", 1, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	f.move("sale", 2, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	f.learn("sale", 2, `{"intent":"buy"}`)
	wantTexts(t, f.get("/campaigns/sale"), `href="/campaigns/sale/again"`)
	const path = "/campaigns/sale/again"
	buyers := url.Values{"where": {"extraction.intent=buy"}}
	res, page := f.ask("POST", path, buyers)
	if res.StatusCode != http.StatusOK {
		t.Errorf("%d", res.StatusCode)
	}
	wantTexts(t, page, "1 contact would be sent again", "Their conversations have ended", `name="seen" value="1"`)
	if is := f.State("sale", 2); is != campaign.Ended {
		t.Fatalf("it was sent again without being asked for: %v", is)
	}
	// Another one is chosen by now: the number is shown again.
	f.learn("sale", 1, `{"intent":"buy"}`)
	buyers.Set("seen", "1")
	buyers.Set("run", "0")
	res, page = f.ask("POST", path, buyers)
	if res.StatusCode != http.StatusUnprocessableEntity || f.State("sale", 2) != campaign.Ended {
		t.Errorf("%d", res.StatusCode)
	}
	wantTexts(t, page, "more contacts are chosen than were seen", "2 contacts would be sent again")
	buyers.Set("seen", "2")
	if said, want := f.done(path, buyers), "2 contacts to be sent again."; said != want {
		t.Errorf("it says %q", said)
	}
	// They end again without an answer: who looked before they were sent again did not see that.
	f.move("sale", 1, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
	f.learn("sale", 1, `{"intent":"buy"}`)
	if _, page = f.ask("POST", path, buyers); f.State("sale", 1) != campaign.Ended {
		t.Error("a page of an earlier run has sent again")
	}
	wantTexts(t, page, "some were sent again meanwhile", `name="run" value="1"`)
	f.move("sale", 1, "", campaign.Rerun)
	for place, want := range []campaign.State{campaign.Ended, campaign.Pending, campaign.Pending} {
		if is := f.State("sale", place); is != want {
			t.Errorf("contact %d is %v, want %v", place, is, want)
		}
	}
	for _, bad := range []url.Values{{}, {"where": {"nonsense"}}, {"where": {"state=failed"}, "limit": {"0"}}, {"where": {"state=pending"}}, {"where": {"state=failed"}, "seen": {"x"}}} {
		if res, _ := f.ask("POST", path, bad); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", bad, res.StatusCode)
		}
	}
}

func TestSendingAgainInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 3)
	f.move("sale", 0, "busy", campaign.Send, campaign.Fail)
	v := visit(t, f.URL)
	v.open("/campaigns/sale")
	v.click("#do-again")
	v.awaitText("h1", "Send again by outcome")
	v.click(`input[value="state=failed"]`)
	v.click(`.form button`)
	v.awaitText("#h-found", "1 contact would be sent again")
	v.picture("again")
	v.click("#send")
	v.awaitText(".flash", "1 contact to be sent again")
	if is := f.State("sale", 0); is != campaign.Pending {
		t.Errorf("it is %v", is)
	}
}
