package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// A fixture is a Redis with campaigns, and the pages over it.
type fixture struct {
	campaigntest.Fixture
	*httptest.Server
	language string // that uploads ask for
}

func newFixture(t *testing.T, edit ...func(*dashboard.Config)) fixture {
	t.Helper()
	return newFixtureOn(t, redistest.Shared(t), edit...)
}

func newFixtureOn(t *testing.T, rdb redis.UniversalClient, edit ...func(*dashboard.Config)) fixture {
	t.Helper()
	var cfg dashboard.Config
	for _, e := range edit {
		e(&cfg)
	}
	return fixture{Fixture: campaigntest.New(t, rdb), Server: serve(t, rdb, cfg)}
}

var columns = []campaign.Column{{Name: "phone"}, {Name: "الاسم", Key: "name"}, {Name: "note"}}

// hostile is a name as somebody may have put it into a list: markup, quotes and a
// mark that turns the writing around.
const hostile = "<script>document.title='taken'</script>\"'&\u202egnihton"

const chunkSize = 10

// load makes a running campaign of that size; the fourth contact has a hostile name.
func (f fixture) load(name string, contacts int, edit ...func(*campaign.Settings)) campaign.Campaign {
	f.T.Helper()
	return f.loadBy("", name, contacts, edit...)
}

func (f fixture) loadBy(by, name string, contacts int, edit ...func(*campaign.Settings)) campaign.Campaign {
	f.T.Helper()
	settings := campaigntest.Settings(chunkSize, columns...)
	settings.Region = "SA"
	for _, e := range edit {
		e(&settings)
	}
	people := campaigntest.People(966501000000, contacts, func(i int, number string) []string {
		name := fmt.Sprintf("نورة %d", i)
		if i == 3 {
			name = hostile
		}
		return []string{number, name, fmt.Sprintf("note %d", i)}
	})
	return f.Load(campaigntest.List{
		Name: name, By: by, Settings: settings, Contacts: people, Rejects: "phone,reason\n12,too short\n",
		Counts: campaign.Counts{Rows: 1, Invalid: 1, Refused: map[string]int{"too short": 1}},
	})
}

var at = campaigntest.At

// requestLog is how the log tells of a request.
var requestLog = store.Decision{By: "worker w", Action: store.ActionRequest, Request: "1-1"}

// move makes things happen to a contact.
func (f fixture) move(name string, place int, reason string, causes ...campaign.Cause) {
	f.T.Helper()
	f.Move(name, []int{place}, campaigntest.Step{Reason: reason, Log: requestLog}, causes...)
}

// get reads a page, which must be there.
func (f fixture) get(path string) string {
	f.T.Helper()
	res, page := f.ask("GET", path, nil)
	if res.StatusCode != http.StatusOK {
		f.T.Fatalf("GET %s: %d\n%s", path, res.StatusCode, page)
	}
	return page
}

// ask makes a request as a page of ours does.
func (f fixture) ask(method, path string, form url.Values) (*http.Response, string) {
	f.T.Helper()
	return ask(f.T, method, f.URL+path, form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") })
}

func wantTexts(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}
