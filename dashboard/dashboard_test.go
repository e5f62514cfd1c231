package dashboard_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

// serve starts the admin pages over rdb.
func serve(t *testing.T, rdb redis.UniversalClient, cfg dashboard.Config) *httptest.Server {
	t.Helper()
	cfg.Store = store.New(rdb)
	for name, l := range cfg.Agents {
		l.Store = cfg.Store
		cfg.Agents[name] = l
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	pages, err := dashboard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	return server
}

// ask makes a request and returns the answer with its body.
func ask(t testing.TB, method, url string, form url.Values, edit func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestWhoMayListenWhere(t *testing.T) {
	rdb := redistest.Shared(t)
	for _, tt := range []struct {
		addr, password string
		ok             bool
	}{
		{"127.0.0.1:8080", "", true},
		{"localhost:8080", "", true},
		{"[::1]:8080", "", true},
		{":8080", "", false},
		{"0.0.0.0:8080", "", false},
		{"192.0.2.1:8080", "", false},
		{"example.org:8080", "", false},
		{":8080", "secret", true},
		{"8080", "secret", false},
	} {
		_, err := dashboard.New(dashboard.Config{Addr: tt.addr, Password: tt.password, Store: store.New(rdb)})
		if (err == nil) != tt.ok {
			t.Errorf("%s with password %q: %v", tt.addr, tt.password, err)
		}
	}
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	server := serve(t, redistest.Shared(t), dashboard.Config{})
	foreign := regexp.MustCompile(`(?:src|href)="(?:https?:)?//`)
	for _, path := range []string{"/queues/", "/queues/q/none", "/queues/queues/default"} {
		res, page := ask(t, "GET", server.URL+path, nil, nil)
		if res.StatusCode != http.StatusOK || !strings.Contains(page, "<div id=\"root\">") {
			t.Errorf("%s: %d %.80s", path, res.StatusCode, page)
		}
		if found := foreign.FindString(page); found != "" {
			t.Errorf("%s loads %s…", path, found)
		}
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'self'") {
			t.Errorf("%s has policy %q", path, policy)
		}
	}
	if res, _ := ask(t, "GET", server.URL+"/queues", nil, nil); res.Header.Get("Location") != "/queues/" {
		t.Errorf("/queues leads to %q", res.Header.Get("Location"))
	}
}

func TestScriptsComeAsTheyAre(t *testing.T) {
	server := serve(t, redistest.Shared(t), dashboard.Config{})
	_, page := ask(t, "GET", server.URL+"/queues/", nil, nil)
	script := regexp.MustCompile(`src="(/queues/static/js/[^"]+)"`).FindStringSubmatch(page)
	if script == nil {
		t.Fatal("the page has no script")
	}
	res, body := ask(t, "GET", server.URL+script[1], nil, nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Content-Type"), "javascript") || len(body) < 1000 {
		t.Errorf("%d %s, %d bytes", res.StatusCode, res.Header.Get("Content-Type"), len(body))
	}
}

func TestTasksAreShownAsTheReferenceOfTheirChunk(t *testing.T) {
	rdb := redistest.Shared(t)
	client := asynq.NewClientFromRedisClient(rdb)
	if _, err := client.Enqueue(asynq.NewTask("send", []byte(`{"campaign":"sale","chunk":7}`)), asynq.Queue("default")); err != nil {
		t.Fatal(err)
	}
	server := serve(t, rdb, dashboard.Config{})
	_, body := ask(t, "GET", server.URL+"/queues/api/queues/default/pending_tasks", nil, nil)
	var page struct {
		Tasks []struct{ Payload string }
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Tasks) != 1 || page.Tasks[0].Payload != `{"campaign":"sale","chunk":7}` {
		t.Errorf("%v: %s", err, body)
	}
}

func TestTasksTellWhatTheirCampaignWaitsFor(t *testing.T) {
	rdb := redistest.Shared(t)
	f := newFixtureOn(t, rdb)
	f.load("sale", 4)
	f.Pass("sale", campaign.Paused, "lunch")
	if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("send", []byte(`{"campaign":"sale","chunk":0}`)), asynq.Queue("default")); err != nil {
		t.Fatal(err)
	}
	_, body := ask(t, "GET", f.URL+"/queues/api/queues/default/pending_tasks", nil, nil)
	if want := `campaign_waits_for\":\"paused: lunch`; !strings.Contains(body, want) {
		t.Errorf("no %s in %s", want, body)
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	rdb := redistest.Shared(t)
	if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("send", nil), asynq.Queue("default")); err != nil {
		t.Fatal(err)
	}
	server := serve(t, rdb, dashboard.Config{})
	pause := server.URL + "/queues/api/queues/default:pause"
	for _, tt := range []struct {
		name string
		edit func(*http.Request)
		want int
	}{
		{"a page elsewhere", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"a page elsewhere, in an older browser", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, http.StatusForbidden},
		{"a name elsewhere that leads here", func(r *http.Request) { r.Host = "evil.example:8080" }, http.StatusForbidden},
		{"the page itself", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, http.StatusNoContent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if res, body := ask(t, "POST", pause, nil, tt.edit); res.StatusCode != tt.want {
				t.Errorf("%d %s, want %d", res.StatusCode, body, tt.want)
			}
		})
	}
}

func TestMetricsAreProtectedAsThePages(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") })
	server := serve(t, redistest.Shared(t), dashboard.Config{Password: "secret", Metrics: shown})
	if res, _ := ask(t, "GET", server.URL+"/metrics", nil, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %d", res.StatusCode)
	}
	res, body := ask(t, "GET", server.URL+"/metrics", nil, func(r *http.Request) { r.SetBasicAuth("admin", "secret") })
	if res.StatusCode != http.StatusOK || body != "up 1\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestPassword(t *testing.T) {
	server := serve(t, redistest.Shared(t), dashboard.Config{Addr: "0.0.0.0:0", User: "ops", Password: "päss"})
	for _, tt := range []struct {
		name           string
		user, password string
		want           int
	}{
		{"right", "ops", "päss", http.StatusOK},
		{"wrong password", "ops", "pass", http.StatusUnauthorized},
		{"wrong user", "admin", "päss", http.StatusUnauthorized},
		{"moved between user and password", "ops\x00p", "äss", http.StatusUnauthorized},
		{"none", "", "", http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, _ := ask(t, "GET", server.URL+"/queues/", nil, func(r *http.Request) {
				if tt.user != "" {
					r.SetBasicAuth(tt.user, tt.password)
				}
			})
			if res.StatusCode != tt.want {
				t.Errorf("%d, want %d", res.StatusCode, tt.want)
			}
			if asks := res.Header.Get("WWW-Authenticate") != ""; asks != (tt.want == http.StatusUnauthorized) {
				t.Errorf("asks for a password: %v", asks)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	redis := redistest.Start(t)
	server := serve(t, redis.Client(), dashboard.Config{Password: "secret"})
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusOK} {
		if res, _ := ask(t, "GET", server.URL+path, nil, nil); res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if err := redis.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	res, body := ask(t, "GET", server.URL+"/readyz", nil, nil)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(body, "Redis takes no writes: OOM ") {
		t.Errorf("with a full Redis, /readyz: %d %q", res.StatusCode, body)
	}
	redis.Kill()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if res, _ := ask(t, "GET", server.URL+path, nil, nil); res.StatusCode != want {
			t.Errorf("without Redis, %s: %d", path, res.StatusCode)
		}
	}
}
