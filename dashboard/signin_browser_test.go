package dashboard_test

import (
	"slices"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
)

// allow forgets what the console said of answers that are meant: Chromium notes each.
func (v *visitor) allow(status string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.troubles = slices.DeleteFunc(v.troubles, func(t string) bool { return strings.Contains(t, "status of "+status) })
}

// TestSigningInInABrowser is what people of two roles do and see, in both languages.
func TestSigningInInABrowser(t *testing.T) {
	f := newFixture(t, withAgent(t))
	f.load("spring-offer", 40, func(s *campaign.Settings) { s.Title = "عرض الربيع" })
	for i := range 12 {
		f.move("spring-offer", i, "", campaign.Send, campaign.Accept)
	}
	f.move("spring-offer", 13, "the number of Noura is wrong", campaign.Send, campaign.Reject)
	f.Pass("spring-offer", campaign.Paused, "Noura has complained")
	if err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	f.Redis().Persist(t.Context(), "worker:w")
	f.addUser("sara", users.Viewer)
	f.addUser("omar", users.Operator)

	v := visit(t, f.URL)
	sign := func(name, word string) {
		v.fill("#name", name)
		v.write("#password", word)
		v.click("form button.primary")
	}
	v.open("/campaigns/spring-offer")
	v.awaitText("h1", "Sign in")
	v.picture("sign-in")
	sign("sara", "a wrong pass phrase")
	v.awaitText(".notice", "do not belong together")
	v.await("document.querySelector('#name').value === 'sara' && document.querySelector('#password').value === '' && document.activeElement.id === 'password'")
	v.click("a[hreflang=ar]")
	v.awaitText("h1", "تسجيل الدخول")
	sign("sara", "a wrong pass phrase")
	v.awaitText(".notice", "لا يتطابقان")
	if dir := see[string](v, "getComputedStyle(document.querySelector('form')).direction"); dir != "rtl" {
		t.Errorf("the Arabic page is written %s", dir)
	}
	v.picture("sign-in-arabic")
	v.click("a[hreflang=en]") // the language is that of the pages, too
	v.awaitText("h1", "Sign in")
	v.allow("401")

	sign("sara", password)
	v.awaitText("h1", "عرض الربيع")
	v.awaitText("#live", "live")
	v.awaitText("#head .notice", "It is paused.")
	v.awaitText(".who", "sara viewer")
	if text := see[string](v, "document.documentElement.outerHTML"); strings.Contains(text, "Noura") || strings.Contains(text, "/contacts") || strings.Contains(text, `action="/campaigns`) {
		t.Errorf("a viewer's page has what it must not:\n%s", text)
	}
	v.picture("viewer-campaign")
	f.Pass("spring-offer", campaign.Running, "")
	v.awaitText("#head .badge", "running") // the page is live for a viewer, too
	f.Pass("spring-offer", campaign.Paused, "Noura has complained")
	v.open("/")
	v.awaitText("#rows", "It is paused.")
	v.picture("viewer-list")
	v.open("/new")
	v.awaitText("main", "Your role is viewer, and this needs the role launcher")
	v.picture("not-allowed")
	v.allow("403")

	v.click(".who button")
	v.awaitText("h1", "Sign in")
	sign("omar", password)
	v.awaitText(".who", "omar operator")
	v.open("/campaigns/spring-offer")
	v.awaitText("#head .notice", "Noura has complained")
	v.picture("operator-campaign")
	v.click("#do-resume")
	v.click("form[action$='/resume'] button")
	v.awaitText(".flash", "It goes on")

	// Who is removed is asked to sign in again, on the page that is open.
	v.awaitText("#live", "live")
	if err := f.RemoveUser(t.Context(), "omar"); err != nil {
		t.Fatal(err)
	}
	v.awaitText("h1", "Sign in")
	if at := see[string](v, "location.search"); !strings.HasPrefix(at, "?to=%2Fcampaigns%2Fspring-offer") {
		t.Errorf("the sign-in page leads back by %q", at)
	}
	v.allow("401")
}
