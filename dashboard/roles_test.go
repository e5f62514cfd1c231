package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

// least is who may ask for what. A new address needs a line here.
var least = map[string]users.Role{
	"GET /healthz":                                  dashboard.Anybody,
	"GET /readyz":                                   dashboard.Anybody,
	"GET /sign-in":                                  users.Nobody,
	"POST /sign-in":                                 users.Nobody,
	"GET /static/{file}":                            users.Nobody,
	"GET /metrics":                                  users.Viewer,
	"POST /sign-out":                                users.Viewer,
	"GET /{$}":                                      users.Viewer,
	"GET /events":                                   users.Viewer,
	"GET /campaigns/{name}":                         users.Viewer,
	"GET /campaigns/{name}/events":                  users.Viewer,
	"GET /campaigns/{name}/report":                  users.Viewer,
	"/queues":                                       users.Viewer,
	"GET /queues/":                                  users.Viewer,
	"GET /queues/static/":                           users.Viewer,
	"/":                                             users.Viewer,
	"GET /queues/api/redis_info":                    users.Operator,
	"/queues/":                                      users.Operator,
	"POST /all/pause":                               users.Operator,
	"POST /all/resume":                              users.Operator,
	"POST /campaigns/{name}/pause":                  users.Operator,
	"POST /campaigns/{name}/resume":                 users.Operator,
	"POST /campaigns/{name}/start":                  users.Operator,
	"POST /campaigns/{name}/cancel":                 users.Operator,
	"POST /campaigns/{name}/rerun":                  users.Operator,
	"POST /campaigns/{name}/resolve":                users.Operator,
	"GET /people":                                   users.Operator,
	"POST /people":                                  users.Operator,
	"POST /people/add":                              users.Operator,
	"POST /people/remove":                           users.Operator,
	"POST /people/wish":                             users.Operator,
	"POST /people/import":                           users.Operator,
	"GET /people/do-not-contact.csv":                users.Operator,
	"GET /campaigns/{name}/unconfirmed":             users.Operator,
	"GET /campaigns/{name}/again":                   users.Operator,
	"POST /campaigns/{name}/again":                  users.Operator,
	"GET /campaigns/{name}/append":                  users.Launcher,
	"POST /campaigns/{name}/append":                 users.Launcher,
	"GET /campaigns/{name}/append/{id}":             users.Launcher,
	"POST /campaigns/{name}/append/{id}":            users.Launcher,
	"GET /campaigns/{name}/append/{id}/refused.csv": users.Launcher,
	"GET /campaigns/{name}/log":                     users.Operator,
	"GET /campaigns/{name}/plan":                    users.Operator,
	"GET /campaigns/{name}/settings":                users.Operator,
	"POST /campaigns/{name}/calendar":               users.Launcher,
	"POST /campaigns/{name}/settings":               users.Launcher,
	"POST /campaigns/{name}/approve":                users.Launcher,
	"GET /campaigns/{name}/contacts":                users.Operator,
	"POST /campaigns/{name}/contacts":               users.Operator,
	"GET /campaigns/{name}/contacts/{place}":        users.Operator,
	"GET /campaigns/{name}/results.csv":             users.Operator,
	"GET /campaigns/{name}/results.xlsx":            users.Operator,
	"GET /campaigns/{name}/results.jsonl":           users.Operator,
	"GET /campaigns/{name}/rejects.csv":             users.Operator,
	"GET /new":                                      users.Launcher,
	"POST /new":                                     users.Launcher,
	"GET /new/{id}":                                 users.Launcher,
	"GET /new/{id}/{step}":                          users.Launcher,
	"POST /new/{id}/{step}":                         users.Launcher,
	"GET /new/{id}/review":                          users.Launcher,
	"GET /new/{id}/refused.csv":                     users.Launcher,
	"GET /new/template.csv":                         users.Launcher,
	"GET /new/{id}/test":                            users.Launcher,
	"POST /new/{id}/test":                           users.Launcher,
	"POST /new/{id}/launch":                         users.Launcher,
	"POST /new/{id}/discard":                        users.Launcher,
}

const password = "correct horse battery"

var everyRole = []users.Role{users.Nobody, users.Viewer, users.Operator, users.Launcher, users.Admin}

// A crowd is pages with a user of each role, who are signed in; their names are those of
// their roles.
type crowd struct {
	fixture
	cookies map[users.Role]*http.Cookie
}

func newCrowd(t *testing.T, rdb redis.UniversalClient, edit ...func(*dashboard.Config)) crowd {
	t.Helper()
	c := crowd{newFixtureOn(t, rdb, edit...), make(map[users.Role]*http.Cookie)}
	hash := users.Hash(password)
	for _, role := range everyRole[1:] {
		if err := c.AddUser(t.Context(), users.New(role.String(), role, hash, "test")); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range everyRole[1:] {
		c.cookies[role] = signIn(t, c.Server.URL, role.String(), password)
	}
	return c
}

// signIn signs somebody in, and returns the cookie of the session.
func signIn(t *testing.T, address, name, password string) *http.Cookie {
	t.Helper()
	res, body := ask(t, "POST", address+"/sign-in", url.Values{"name": {name}, "password": {password}}, nil)
	for _, cookie := range res.Cookies() {
		if cookie.Name == "campaign_session" && cookie.Value != "" && res.StatusCode == http.StatusSeeOther {
			return cookie
		}
	}
	t.Fatalf("%s is not signed in: %d %s", name, res.StatusCode, body)
	return nil
}

// as asks in somebody's name, as a browser does.
func (c crowd) as(role users.Role, method, path string, form url.Values) (*http.Response, string) {
	c.T.Helper()
	return ask(c.T, method, c.Server.URL+path, form, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept", "text/html")
		if cookie := c.cookies[role]; cookie != nil {
			r.AddCookie(cookie)
		}
	})
}

var filler = strings.NewReplacer("{$}", "", "{name}", "sale", "{place}", "1", "{file}", "style.css", "{id}", "x", "{step}", "when")

func metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") })
}

// Every address is asked for with every role. Who may gets an answer; who may not is told
// why, and nothing has changed.
func TestEveryAddressWithEveryRole(t *testing.T) {
	withMetrics := func(c *dashboard.Config) { c.Metrics = metrics() }
	c := newCrowd(t, redistest.Shared(t), withAgent(t), withMetrics)
	c.load("sale", 4)
	c.move("sale", 1, "busy", campaign.Send, campaign.Fail)
	routes := dashboard.Routes(dashboard.Config{Store: c.Store, Metrics: metrics()})
	for pattern := range least {
		if !slices.ContainsFunc(routes, func(r dashboard.Route) bool { return r.Pattern == pattern }) {
			t.Errorf("there is no %s", pattern)
		}
	}
	for _, route := range routes {
		want, known := least[route.Pattern]
		if !known || want != route.Least {
			t.Errorf("%s is for %v, want %v; is a line missing in this test? %v", route.Pattern, route.Least, want, !known)
			continue
		}
		method, path, found := strings.Cut(route.Pattern, " ")
		if !found {
			method, path = "POST", route.Pattern
		}
		path = filler.Replace(path)
		for _, role := range everyRole {
			if strings.HasSuffix(path, "/events") && role >= want {
				continue // they do not end; see below
			}
			if path == "/sign-out" && role >= want {
				continue // it is asked for in another test
			}
			before := c.state("sale")
			res, body := c.as(role, method, path, url.Values{})
			name := fmt.Sprintf("%s by %v: %d %.200s", route.Pattern, role, res.StatusCode, body)
			turnedAway := res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/sign-in")
			switch {
			case role >= want:
				if res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized && path != "/sign-in" || turnedAway {
					t.Errorf("refused: %s", name)
				}
				continue
			case role == users.Nobody:
				if !turnedAway {
					t.Errorf("not led to the sign-in page: %s", name)
				}
			case res.StatusCode != http.StatusForbidden || !strings.Contains(body, fmt.Sprintf("Your role is %v, and this needs the role %v", role, want)):
				t.Errorf("not told why: %s", name)
			}
			if after := c.state("sale"); after != before {
				t.Errorf("it has changed %s\nto %s: %s", before, after, name)
			}
		}
	}
}

// state is all that is known of a campaign.
func (c crowd) state(name string) string {
	c.T.Helper()
	found, err := c.Campaign(c.T.Context(), name)
	if err != nil {
		c.T.Fatal(err)
	}
	tally, err := c.Tally(c.T.Context(), name)
	if err != nil {
		c.T.Fatal(err)
	}
	return fmt.Sprint(found.Phase, found.PhaseReason, found.Run, tally.States)
}

var links = regexp.MustCompile(`(?:href|action|data-events)="(/[^"]*)"`)

// No page shows a button or a link that its visitor may not use.
func TestPagesShowOnlyWhatARoleMayDo(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t), withAgent(t))
	c.load("sale", 4)
	c.move("sale", 1, "busy", campaign.Send, campaign.Fail)
	c.lose("sale", at, 2)
	c.load("done", 1)
	c.move("done", 0, "", campaign.Send, campaign.Accept)
	mux := http.NewServeMux()
	roleOf := make(map[string]users.Role)
	for _, route := range dashboard.Routes(dashboard.Config{Store: c.Store}) {
		mux.Handle(route.Pattern, http.NotFoundHandler())
		roleOf[route.Pattern] = route.Least
	}
	shown := make(map[users.Role]int)
	for _, role := range everyRole[1:] {
		for _, path := range []string{"/", "/campaigns/sale", "/campaigns/done", "/campaigns/done/report", "/people", "/campaigns/sale/unconfirmed", "/campaigns/sale/log?of=all", "/campaigns/sale/plan", "/campaigns/sale/again", "/campaigns/sale/append", "/campaigns/sale/settings", "/campaigns/sale/contacts", "/campaigns/sale/contacts/1", "/new", "/nowhere"} {
			res, page := c.as(role, "GET", path, nil)
			if res.StatusCode == http.StatusForbidden && len(links.FindAllString(page, -1)) == 0 {
				t.Errorf("%s for %v leads nowhere", path, role)
			}
			for _, form := range regexp.MustCompile(`(?s)<(a|form)\b[^>]*>`).FindAllString(page, -1) {
				link := links.FindStringSubmatch(form)
				if link == nil || strings.Contains(form, `class="switch"`) { // the same page in another language
					continue
				}
				method := "GET"
				if strings.Contains(form, `method="post"`) {
					method = "POST"
				}
				req, err := http.NewRequest(method, html.UnescapeString(link[1]), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, pattern := mux.Handler(req)
				if roleOf[pattern] > role {
					t.Errorf("%s shows %v %s", path, role, form)
				}
				shown[role]++
			}
		}
	}
	if !(shown[users.Viewer] < shown[users.Operator] && shown[users.Operator] < shown[users.Launcher] && shown[users.Launcher] == shown[users.Admin]) {
		t.Errorf("links and buttons by role: %v", shown)
	}
}

// asynqActions are all that the asynq UI can change: by package asynqmon, handler.go.
var asynqActions = func() (list [][2]string) {
	add := func(method, path string) { list = append(list, [2]string{method, "/queues/api/queues/default" + path}) }
	for _, verb := range []string{":pause", ":resume", "/active_tasks/x:cancel", "/active_tasks:cancel_all", "/active_tasks:batch_cancel"} {
		add("POST", verb)
	}
	for _, state := range []string{"pending", "scheduled", "retry", "archived", "completed", "groups/g/aggregating"} {
		add("DELETE", "/"+state+"_tasks/x")
		add("DELETE", "/"+state+"_tasks:delete_all")
		for _, verb := range []string{"_tasks:batch_delete", "_tasks/x:archive", "_tasks:archive_all", "_tasks:batch_archive", "_tasks/x:run", "_tasks:run_all", "_tasks:batch_run"} {
			add("POST", "/"+state+verb)
		}
	}
	add("DELETE", "")
	return list
}()

func TestTheAsynqUIIsReadOnlyBelowAnOperator(t *testing.T) {
	rdb := redistest.Shared(t)
	c := newCrowd(t, rdb)
	client := asynq.NewClientFromRedisClient(rdb)
	for range 3 {
		if _, err := client.Enqueue(asynq.NewTask("send", []byte(`{"campaign":"sale","chunk":7}`)), asynq.Queue("default")); err != nil {
			t.Fatal(err)
		}
	}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	for _, action := range asynqActions {
		for _, role := range []users.Role{users.Nobody, users.Viewer} {
			res, body := ask(t, action[0], c.Server.URL+action[1], nil, func(r *http.Request) {
				r.Header.Set("Accept", "application/json")
				if cookie := c.cookies[role]; cookie != nil {
					r.AddCookie(cookie)
				}
			})
			want := map[users.Role]int{users.Nobody: http.StatusUnauthorized, users.Viewer: http.StatusForbidden}[role]
			if res.StatusCode != want || role == users.Viewer && !strings.Contains(body, "Your role is viewer, and this needs the role operator") {
				t.Errorf("%v by %v: %d %s", action, role, res.StatusCode, body)
			}
			if info, err := inspector.GetQueueInfo("default"); err != nil || info.Pending != 3 || info.Paused {
				t.Fatalf("%v by %v changed the queue: %+v, %v", action, role, info, err)
			}
		}
	}
	for role, want := range map[users.Role]string{users.Viewer: `FLAG_READ_ONLY="true"`, users.Operator: `FLAG_READ_ONLY="false"`} {
		if _, page := c.as(role, "GET", "/queues/", nil); !strings.Contains(page, want) {
			t.Errorf("for %v the UI has no %s: %s", role, want, page)
		}
	}
	for _, role := range everyRole[2:] {
		for _, verb := range []string{":pause", ":resume"} {
			if res, body := c.as(role, "POST", "/queues/api/queues/default"+verb, nil); res.StatusCode != http.StatusNoContent {
				t.Errorf("%s by %v: %d %s", verb, role, res.StatusCode, body)
			}
		}
	}
}

// personal is what a viewer must not see: a number, a name, a value, what the platform says
// of a person, and what a person writes of another.
var personal = []string{"96650100", "نورة", "note 3", "Noura", "noura", "too short", "taken", "Layla"}

// A viewer asks for everything there is, and sees nothing of a person.
func TestAViewerSeesNothingOfAPerson(t *testing.T) {
	rdb := redistest.Shared(t)
	c := newCrowd(t, rdb, withAgent(t))
	c.load("sale", 12)
	c.move("sale", 1, "the number of Noura is wrong", campaign.Send, campaign.Reject)
	c.move("sale", 2, "", campaign.Send, campaign.Accept)
	for _, at := range []int{4, 5, 6, 7} {
		c.move("sale", at, "", campaign.Send, campaign.Accept)
		c.learn("sale", at, `{"friend":"Layla"}`)
	}
	c.Pass("sale", campaign.Paused, "Noura has complained")
	failed(t, rdb, asynq.NewClientFromRedisClient(rdb))

	seen := make(map[string]string)
	for _, route := range dashboard.Routes(dashboard.Config{Store: c.Store}) {
		method, path, found := strings.Cut(route.Pattern, " ")
		if path = filler.Replace(path); found && method == "GET" && !strings.HasSuffix(path, "/events") {
			_, seen[path] = c.as(users.Viewer, "GET", path, nil)
		}
	}
	for _, path := range []string{"/campaigns/sale/report?lang=ar", "/campaigns/sale/report?save=1", "/?q=sale", "/campaigns/sale/contacts?state=accepted", "/campaigns/sale/contacts/3"} {
		_, seen[path] = c.as(users.Viewer, "GET", path, nil)
	}
	for _, list := range []string{"pending", "active", "scheduled", "retry", "archived", "completed"} {
		path := "/queues/api/queues/default/" + list + "_tasks"
		_, seen[path] = c.as(users.Viewer, "GET", path, nil)
	}
	for _, path := range []string{"/queues/api/queues", "/queues/api/queues/default", "/queues/api/servers", "/queues/api/redis_info", "/queues/api/queues/default/tasks/failed"} {
		_, seen[path] = c.as(users.Viewer, "GET", path, nil)
	}
	for _, path := range []string{"/events", "/campaigns/sale/events"} {
		seen[path] = c.firstEvents(users.Viewer, path)
	}
	for path, text := range seen {
		for _, secret := range personal {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells a viewer %q:\n%s", path, secret, text)
			}
		}
	}
	wantTexts(t, seen["/campaigns/sale"], "It is paused.", "5</b> accepted", "1</b> rejected", "As a viewer you see totals and states")
	wantTexts(t, seen["/"], "It is paused.", `<b>1</b> rejected`)
	wantTexts(t, seen["/campaigns/sale/events"], "It is paused.", `"id":"facts"`)
	wantTexts(t, seen["/events"], `"id":"r-sale"`, "It is paused.")
	wantTexts(t, seen["/campaigns/sale/report"], "What became of the contacts")
	wantTexts(t, seen["/queues/api/queues/default/archived_tasks"], `"error_message":""`, `campaign_waits_for`, "It is paused.")

	// An operator sees all of it, so the texts above are where they were looked for.
	for path, secrets := range map[string][]string{
		"/campaigns/sale":             {"the number of Noura is wrong", "Noura has complained"},
		"/":                           {"Noura has complained"},
		"/campaigns/sale/report":      {"Layla"},
		"/campaigns/sale/contacts":    {"96650100", "نورة", "note 3"},
		"/campaigns/sale/rejects.csv": {"too short"},
		"/queues/api/queues/default/archived_tasks": {"noura", "Noura has complained"},
		"/queues/api/queues/default/tasks/failed":   {"noura"},
	} {
		_, text := c.as(users.Operator, "GET", path, nil)
		for _, secret := range secrets {
			if !strings.Contains(text, secret) {
				t.Errorf("%s does not tell an operator %q:\n%s", path, secret, text)
			}
		}
	}
	wantTexts(t, c.firstEvents(users.Operator, "/campaigns/sale/events"), "Noura has complained")
}

// learn writes down what the agent learned of a contact.
func (c fixture) learn(name string, at int, extraction string) {
	c.T.Helper()
	ref := store.Ref{Campaign: name, Chunk: at / chunkSize}
	err := c.UpdateOutcomes(c.T.Context(), ref, []int{at % chunkSize}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		return campaign.Outcome{Started: time.Now(), Said: true, Extraction: json.RawMessage(extraction)}, nil
	})
	if err != nil {
		c.T.Fatal(err)
	}
}

// failed leaves a task that has failed for a reason of the platform.
func failed(t *testing.T, rdb redis.UniversalClient, client *asynq.Client) {
	t.Helper()
	if _, err := client.Enqueue(asynq.NewTask("fail", []byte(`{"campaign":"sale","chunk":0}`)), asynq.Queue("default"), asynq.TaskID("failed"), asynq.MaxRetry(0)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{Concurrency: 1, Queues: map[string]int{"default": 1}, LogLevel: asynq.FatalLevel, ShutdownTimeout: time.Second})
	err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		defer close(done)
		return fmt.Errorf("the platform says that noura hung up")
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-done
	server.Shutdown()
}

// firstEvents are the first messages of a live page: all that it shows.
func (c crowd) firstEvents(role users.Role, path string) string {
	c.T.Helper()
	req, err := http.NewRequestWithContext(c.T.Context(), "GET", c.Server.URL+path, nil)
	if err != nil {
		c.T.Fatal(err)
	}
	req.AddCookie(c.cookies[role])
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.T.Fatal(err)
	}
	defer res.Body.Close()
	var text strings.Builder
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), `"trouble"`) {
			break // it ends each whole message
		}
	}
	return html.UnescapeString(strings.NewReplacer(`\"`, `"`, `\u003c`, "<", `\u003e`, ">").Replace(text.String()))
}

// harmless are the fields of text in what viewers get: names that a campaign was given, and
// words and drawings of the runner.
var harmless = []string{
	"totals.Campaign", "totals.Title", "totals.Agent", "totals.Queue", "totals.Waits", "agent.Name", "agent.Quota", "list.Says", "glance.Quota",
	"filter.Search", "filter.State", "filter.Sort", "area.Name", "area.Path", "chart.Spoken", "tick.Show",
	"Totals.Campaign", "Totals.Title", "Totals.Agent", "Totals.Zone",
}

// What a viewer gets is made of types that have no room for anything of a person.
func TestTypesForViewersHoldNothingOfAPerson(t *testing.T) {
	used := make(map[string]bool)
	var look func(of reflect.Type, field string)
	look = func(of reflect.Type, field string) {
		switch {
		case of == reflect.TypeFor[time.Time](), of == reflect.TypeFor[campaign.Phase](), of == reflect.TypeFor[campaign.Mode](), of == reflect.TypeFor[time.Location]():
			return
		case of == reflect.TypeFor[report.States](), of == reflect.TypeFor[map[campaign.TicketState]int]():
			return
		}
		kind := of.Kind()
		if of == reflect.TypeFor[texts.Line]() {
			kind = reflect.String
		}
		switch kind {
		case reflect.Int, reflect.Int64, reflect.Float64, reflect.Bool:
		case reflect.Pointer, reflect.Slice:
			look(of.Elem(), field)
		case reflect.Struct:
			for i := range of.NumField() {
				look(of.Field(i).Type, of.Name()+"."+of.Field(i).Name)
			}
		case reflect.String:
			if used[field] = true; !slices.Contains(harmless, field) {
				t.Errorf("%s is a text that could hold anything", field)
			}
		default:
			t.Errorf("%s is a %v, which could hold anything", field, of)
		}
	}
	for _, seen := range append(slices.Clone(dashboard.SeenByViewers), report.Totals{}) {
		look(reflect.TypeOf(seen), "")
	}
	for _, field := range harmless {
		if !used[field] {
			t.Errorf("there is no %s", field)
		}
	}
}

// The log names the person who acts on a page.
func TestTheLogNamesWhoActs(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t), withAgent(t))
	c.load("sale", 2)
	if res, body := c.as(users.Operator, "POST", "/campaigns/sale/pause", url.Values{"reason": {"lunch"}}); res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.StatusCode, body)
	}
	var who []string
	log, err := report.ReadLog(t.Context(), c.Store, "sale", 0)
	for err == nil {
		var d report.Decision
		var more bool
		if d, more, err = log.Next(t.Context()); !more {
			break
		}
		if d.Action == store.ActionPause {
			who = append(who, d.By)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(who, []string{"operator on the admin pages"}) {
		t.Errorf("it was paused by %q", who)
	}
}
