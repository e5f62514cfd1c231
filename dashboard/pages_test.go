package dashboard_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

func TestAnEmptyListSaysHowToBegin(t *testing.T) {
	wantTexts(t, newFixture(t).get("/"), "No campaign yet", `href="/new"`)
}

func TestTheListTellsWhereEachCampaignStands(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 2000)
	f.load("autumn", 20, func(s *campaign.Settings) { s.Agent = "sales" })
	f.move("spring", 0, "busy", campaign.Send, campaign.Fail)
	f.move("spring", 1, "", campaign.Send, campaign.Accept)
	if err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": {Limit: 30, Remaining: 12, Window: 60}}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.SetPhase(t.Context(), "autumn", campaign.Paused, campaign.Text(hostile), campaign.Running); err != nil {
		t.Fatal(err)
	}
	page := f.get("/")
	wantTexts(t, page, `href="/campaigns/spring"`, "2 of 2,000", "0.1 %", "running", "<b>1</b> failed",
		"paused", "&lt;script&gt;document.title", "12 of 30 requests left in 1 minute", "no live worker")
	if strings.Contains(page, "<script>document") {
		t.Error("a reason is markup")
	}
}

func TestACampaignPageTellsAllThatIsKnown(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 2000)
	f.move("spring", 0, "busy "+hostile, campaign.Send, campaign.Fail)
	f.move("spring", 1, "no answer", campaign.Send, campaign.Lose)
	if _, err := f.TakeSample(t.Context(), "spring", time.Now()); err != nil {
		t.Fatal(err)
	}
	page := f.get("/campaigns/spring")
	wantTexts(t, page, "2 of 2,000 contacts through (0.1 %)", "busy &lt;script&gt;", "no live worker", "200", "2,001 rows, 2,000 of them contacts",
		"too short", `href="/campaigns/spring/unconfirmed"`, "1 of the 1 that are failed may have been contacted.",
		"Of all that are failed 1 may have been contacted already: those who were are contacted twice.", `href="/campaigns/spring/results.xlsx"`, `href="/campaigns/spring/contacts?state=failed&amp;reason=1"`,
		`action="/campaigns/spring/pause"`, `action="/campaigns/spring/cancel"`, `action="/campaigns/spring/rerun"`, "<path class=\"a-problems\"", `<time datetime="`)
	if strings.Contains(page, "<script>document") {
		t.Error("a reason is markup")
	}
}

// inline is what the policy of our pages would keep from working.
var inline = regexp.MustCompile(` style=| on[a-z]+=|<style|<script>|javascript:`)

func TestOurPagesNeedNothingInlineAndNothingFromElsewhere(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.move("spring", 0, "busy", campaign.Send, campaign.Fail)
	for _, path := range []string{"/", "/campaigns/spring", "/campaigns/none"} {
		res, page := f.ask("GET", path, nil)
		if found := inline.FindString(page); found != "" {
			t.Errorf("%s has %q in it", path, found)
		}
		if found := regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//`).FindString(page); found != "" {
			t.Errorf("%s leads elsewhere: %s", path, found)
		}
		if policy := res.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		if res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept by a browser", path)
		}
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/campaigns/none", "/campaigns/none/events", "/campaigns/%3Cscript%3E", "/nothing", "/campaigns/a/b/c"} {
		if res, page := f.ask("GET", path, nil); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "Not there") {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if res, _ := f.ask("POST", "/campaigns/none/pause", url.Values{}); res.StatusCode != http.StatusNotFound {
		t.Errorf("an action on nothing: %d", res.StatusCode)
	}
}

func TestWithoutRedisPagesSaySo(t *testing.T) {
	redis := redistest.Start(t)
	f := newFixtureOn(t, redis.Client())
	f.load("spring", 20)
	redis.Kill()
	for _, path := range []string{"/", "/campaigns/spring"} {
		if res, page := f.ask("GET", path, nil); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "Not working at the moment") {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if res, _ := f.ask("POST", "/campaigns/spring/pause", url.Values{}); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an action: %d", res.StatusCode)
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(f fixture)
		action  string
		form    url.Values
		status  int
		says    string // the page it leads to, or what is wrong
		phase   campaign.Phase
	}{
		{"pause, with a reason", nil, "pause", url.Values{"reason": {"wait\nfor me"}}, 303, "Paused. What is on its way still gets its answer.", campaign.Paused},
		{"pause, for a novel", nil, "pause", url.Values{"reason": {strings.Repeat("x", 301)}}, 400, "at most 300 bytes", campaign.Running},
		{"resume what was paused again meanwhile", func(f fixture) { f.Pass("spring", campaign.Paused, "wrong offer") },
			"resume", url.Values{"seen": {"another"}}, 409, "again since you looked:", campaign.Paused},
		{"resume what waits to be started", func(f fixture) {
			f.SetPhase(f.T.Context(), "spring", campaign.Ready, campaign.Message{}, campaign.Running)
		}, "resume", nil, 409, "it is ready", campaign.Ready},
		{"start what waits for something else meanwhile", func(f fixture) {
			f.SetPhase(f.T.Context(), "spring", campaign.Ready, campaign.Text("canary of 5"), campaign.Running)
		}, "start", nil, 409, "again since you looked:", campaign.Ready},
		{"cancel", nil, "cancel", nil, 303, "20 contacts canceled.", campaign.CanceledPhase},
		{"rerun a state", func(f fixture) { f.move("spring", 1, "busy", campaign.Send, campaign.Fail) }, "rerun", url.Values{"state": {"failed", "rejected"}}, 303, "1 contact to be sent again.", campaign.Running},
		{"rerun for a reason that nobody has", func(f fixture) { f.move("spring", 1, "busy", campaign.Send, campaign.Fail) }, "rerun", url.Values{"state": {"failed"}, "reason": {"lazy"}}, 303, "0 contacts to be sent again.", campaign.Running},
		{"rerun nobody", nil, "rerun", nil, 400, "Choose which contacts to send again", campaign.Running},
		{"rerun those who were reached", nil, "rerun", url.Values{"state": {"accepted"}}, 400, "are not sent again", campaign.Running},
		{"rerun nonsense", nil, "rerun", url.Values{"state": {hostile}}, 400, "&lt;script&gt;", campaign.Running},
		{"a form beyond all measure", nil, "pause", url.Values{"reason": {strings.Repeat("x", 100<<10)}}, 400, "cannot be read", campaign.Running},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("spring", 20)
			if tt.prepare != nil {
				tt.prepare(f)
			}
			res, page := f.ask("POST", "/campaigns/spring/"+tt.action, tt.form)
			if to := res.Header.Get("Location"); to != "" {
				if page = f.get(to); strings.Contains(f.get(to), `class="flash"`) {
					t.Error("it is said twice")
				}
			}
			if res.StatusCode != tt.status || !strings.Contains(page, tt.says) {
				t.Errorf("%d %s, want %d and %q", res.StatusCode, page, tt.status, tt.says)
			}
			if c, err := f.Campaign(t.Context(), "spring"); err != nil || c.Phase != tt.phase {
				t.Errorf("it is %s, %v; want %s", c.Phase, err, tt.phase)
			}
		})
	}
}

// A page's button ends the pause that the page shows, and no later one; so it is with a start.
func TestAPageGoesByWhatItShows(t *testing.T) {
	for do, phase := range map[string]campaign.Phase{"resume": campaign.Paused, "start": campaign.Ready} {
		t.Run(do, func(t *testing.T) { goesByWhatItShows(t, do, phase) })
	}
}

func goesByWhatItShows(t *testing.T, do string, still campaign.Phase) {
	f := newFixture(t)
	f.load("spring", 20)
	stop := func() {
		if _, ok, err := f.SetPhase(t.Context(), "spring", still, campaign.Text("lunch"), campaign.Running, still); !ok {
			t.Fatal(err)
		}
	}
	stop()
	seen := regexp.MustCompile(`name="seen" value="([^"]+)"`)
	first := seen.FindStringSubmatch(f.get("/campaigns/spring"))
	if first == nil {
		t.Fatal("the page does not name it")
	}
	stop() // for the same reason, and once more
	goOn := func(shown string, want int, phase campaign.Phase) {
		t.Helper()
		res, page := f.ask("POST", "/campaigns/spring/"+do, url.Values{"seen": {shown}})
		if c, err := f.Campaign(t.Context(), "spring"); res.StatusCode != want || err != nil || c.Phase != phase {
			t.Errorf("%d, want %d; it is %s, want %s, %v\n%s", res.StatusCode, want, c.Phase, phase, err, page)
		}
	}
	goOn(first[1], http.StatusConflict, still)
	goOn(seen.FindStringSubmatch(f.get("/campaigns/spring"))[1], http.StatusSeeOther, campaign.Running)
}

func TestTheLogNamesWhoActed(t *testing.T) {
	f := newFixture(t, func(c *dashboard.Config) { c.Password = "secret" })
	f.load("spring", 20)
	res, _ := ask(t, "POST", f.URL+"/campaigns/spring/pause", url.Values{"reason": {"lunch"}}, func(r *http.Request) { r.SetBasicAuth("admin", "secret") })
	if res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.Status)
	}
	var last store.Decision
	for log := f.ReadLog("spring"); ; {
		d, ok, err := log.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		last = d
	}
	if last.Action != store.ActionPause || last.By != "admin on the admin pages" || last.Text.String() != "lunch" {
		t.Errorf("%+v", last)
	}
}

func TestActionsAreNotTakenFromElsewhere(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	for _, action := range []string{"pause", "resume", "start", "cancel", "rerun"} {
		path := f.URL + "/campaigns/spring/" + action
		for name, edit := range map[string]func(*http.Request){
			"another site":           func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"an older browser":       func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
			"a name that leads here": func(r *http.Request) { r.Host = "evil.example" },
		} {
			if res, _ := ask(t, "POST", path, url.Values{"state": {"failed"}}, edit); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %s: %d", action, name, res.StatusCode)
			}
		}
		if res, _ := f.ask("GET", "/campaigns/spring/"+action, nil); res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET of %s: %d", action, res.StatusCode)
		}
	}
	if c, err := f.Campaign(t.Context(), "spring"); err != nil || c.Phase != campaign.Running {
		t.Errorf("it is %s, %v", c.Phase, err)
	}
}

func TestOnlyWhatWasDoneIsSaidToBe(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.load("summer", 20)
	for _, query := range []string{"?did=nothing", "?did=pause", "?did=cancel&n=20", "?did=cancel&n=" + url.QueryEscape(hostile), "?n=3", "?did=", "?did=launch&n=1"} {
		for _, path := range []string{"/", "/campaigns/spring"} {
			if page := f.get(path + query); strings.Contains(page, `class="flash"`) {
				t.Errorf("%s says something", path+query)
			}
		}
	}
	res, _ := f.ask("POST", "/campaigns/spring/cancel", nil)
	_, query, _ := strings.Cut(res.Header.Get("Location"), "?")
	if page := f.get("/campaigns/summer?" + query); strings.Contains(page, `class="flash"`) {
		t.Error("a page says what was done to another campaign")
	}
	wantTexts(t, f.get(res.Header.Get("Location")), "20 contacts canceled.")
}

func TestAPageIsToldWhatChanges(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	for _, path := range []string{"/events", "/campaigns/spring/events"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", f.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("%s is %s", path, kind)
		}
		events := bufio.NewReader(res.Body)
		awaitEvent(t, events, "running")
		if _, _, err := f.SetPhase(t.Context(), "spring", campaign.Paused, campaign.Text(hostile), campaign.Running); err != nil {
			t.Fatal(err)
		}
		awaitEvent(t, events, "&lt;script&gt;")
		res.Body.Close()
		if _, _, err := f.SetPhase(t.Context(), "spring", campaign.Running, campaign.Message{}, campaign.Paused); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitEvent reads a stream until an event has a text in its markup.
func awaitEvent(t *testing.T, events *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatalf("no event has %q: %v", text, err)
		}
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		var e struct{ ID, HTML string }
		if ok && json.Unmarshal([]byte(data), &e) != nil {
			t.Fatalf("not JSON: %s", data)
		}
		if strings.Contains(e.HTML, text) {
			return
		}
		if err == io.EOF {
			t.Fatal("the stream ends")
		}
	}
}
