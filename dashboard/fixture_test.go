package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

// A fixture is a Redis with campaigns, and the pages over it.
type fixture struct {
	*store.Store
	*httptest.Server
	t testing.TB
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
	return fixture{store.New(rdb), serve(t, rdb, cfg), t}
}

var columns = []campaign.Column{{Name: "phone"}, {Name: "الاسم", Key: "name"}, {Name: "note"}}

// hostile is a name as somebody may have put it into a list: markup, quotes and a
// mark that turns the writing around.
const hostile = "<script>document.title='taken'</script>\"'&\u202egnihton"

// person is the i-th contact of a list.
func person(i int) campaign.Contact {
	phone := campaign.Phone(966501000000 + i)
	name := fmt.Sprintf("نورة %d", i)
	if i == 3 {
		name = hostile
	}
	return campaign.Contact{Phone: phone, Line: i + 2, Fields: []string{phone.E164(), name, fmt.Sprintf("note %d", i)}}
}

const chunkSize = 10

// load makes a running campaign of so many contacts.
func (f fixture) load(name string, contacts int, edit ...func(*campaign.Settings)) campaign.Campaign {
	f.t.Helper()
	ctx := f.t.Context()
	settings := campaign.Settings{
		Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: chunkSize, MaxAttempts: 5, Region: "SA", Columns: columns,
	}
	for _, e := range edit {
		e(&settings)
	}
	load, err := f.BeginLoad(ctx, campaign.Campaign{Name: name, Settings: settings})
	if err != nil {
		f.t.Fatal(err)
	}
	chunks := 0
	for from := 0; from < contacts; from += settings.ChunkSize {
		var list []campaign.Contact
		for i := from; i < min(from+settings.ChunkSize, contacts); i++ {
			list = append(list, person(i))
		}
		if err := load.Add(ctx, chunks, list); err != nil {
			f.t.Fatal(err)
		}
		chunks++
	}
	if err := load.AddRejects(ctx, []byte("phone,reason\n12,too short\n")); err != nil {
		f.t.Fatal(err)
	}
	counts := campaign.Counts{Rows: contacts + 1, Contacts: contacts, Invalid: 1, Refused: map[string]int{"too short": 1}}
	if err := load.Finish(ctx, counts, chunks, campaign.Running); err != nil {
		f.t.Fatal(err)
	}
	c, err := f.Campaign(ctx, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// requestLog is how the log tells of a request.
var requestLog = store.Decision{By: "worker w", Action: store.ActionRequest, Request: "1-1"}

// move makes things happen to a contact.
func (f fixture) move(name string, place int, reason string, causes ...campaign.Cause) {
	f.t.Helper()
	ctx := f.t.Context()
	chunk, err := f.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: place / chunkSize})
	if err != nil {
		f.t.Fatal(err)
	}
	code, err := f.ReasonCode(ctx, name, campaign.Text(reason))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, cause := range causes {
		move := store.Move{Index: place % chunkSize, Move: campaign.Move{Cause: cause, Reason: code, At: at, InDoubt: cause == campaign.Fail}}
		if done, err := f.Apply(ctx, chunk, store.Change{Act: store.Steer, Moves: []store.Move{move}, Log: requestLog}); err != nil || len(done.Moved) != 1 {
			f.t.Fatalf("move contact %d by %v: %v, %v", place, cause, done, err)
		}
	}
}

// get reads a page, which must be there.
func (f fixture) get(path string) string {
	f.t.Helper()
	res, page := f.ask("GET", path, nil)
	if res.StatusCode != http.StatusOK {
		f.t.Fatalf("GET %s: %d\n%s", path, res.StatusCode, page)
	}
	return page
}

// ask makes a request as a page of ours does.
func (f fixture) ask(method, path string, form url.Values) (*http.Response, string) {
	f.t.Helper()
	return ask(f.t, method, f.URL+path, form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") })
}

func wantTexts(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}
