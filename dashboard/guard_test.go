package dashboard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

func TestWithoutAPasswordNothingThatAProxyPassesOnIsAnswered(t *testing.T) {
	rdb := redistest.Shared(t)
	open, locked := serve(t, rdb, dashboard.Config{}), serve(t, rdb, dashboard.Config{Password: "secret"})
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	for name, edit := range map[string]func(*http.Request){
		"Forwarded":                 header("Forwarded", "for=192.0.2.1"),
		"Via":                       header("Via", "1.1 proxy"),
		"an empty Via":              header("Via", ""),
		"X-Forwarded-For":           header("X-Forwarded-For", "192.0.2.1"),
		"X-Forwarded-Proto":         header("X-Forwarded-Proto", "https"),
		"one that nobody has heard": header("X-Forwarded-Anything", "1"),
		"written in another way":    header("x-forwarded-FOR", "192.0.2.1"),
		"with underscores":          header("X_Forwarded_For", "192.0.2.1"),
		"X-Real-Ip":                 header("X-Real-Ip", "192.0.2.1"),
		"Cf-Connecting-Ip":          header("Cf-Connecting-Ip", "192.0.2.1"),
		"X-Forward-For":             header("X-Forward-For", "192.0.2.1"),
		"Proxy-Client-Ip":           header("Proxy-Client-Ip", "192.0.2.1"),
		"Wl-Proxy-Client-Ip":        header("Wl-Proxy-Client-Ip", "192.0.2.1"),
		"X-Nginx-Proxy":             header("X-Nginx-Proxy", "true"),
		"X-Request-Id":              header("X-Request-Id", "7"),
		"X-Varnish":                 header("X-Varnish", "7"),
		"True-Client-Ip":            header("True-Client-Ip", "192.0.2.1"),
		"Cf-Ipcountry":              header("Cf-Ipcountry", "SA"),
		"any with an X":             header("X-Of-Somebody", "1"),
		"a form of another host":    header("Origin", "https://pages.example.org"),
		"a link of its public pages": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Referer", "https://pages.example.org/")
		},
	} {
		for _, path := range []string{"/", "/new", "/queues/", "/metrics", "/static/pages.js"} {
			if res, body := ask(t, "GET", open.URL+path, nil, edit); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "set ADMIN_PASSWORD") {
				t.Errorf("%s, %s: %d %.100s", name, path, res.StatusCode, body)
			}
		}
		res, _ := ask(t, "GET", locked.URL, nil, func(r *http.Request) { edit(r); r.SetBasicAuth("admin", "secret") })
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s, with a password: %d", name, res.StatusCode)
		}
	}
	for name, edit := range map[string]func(*http.Request){
		"curl":              nil,
		"a form of its own": header("Origin", open.URL),
		"a link from a wiki": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Referer", "https://wiki.example.org/")
		},
		"a link of its own": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Referer", open.URL)
		},
		"a script":             header("X-Requested-With", "XMLHttpRequest"),
		"Prometheus":           header("X-Prometheus-Scrape-Timeout-Seconds", "10"),
		"a token of a script":  header("X-Xsrf-Token", "1"),
		"another local name":   func(r *http.Request) { r.Host = "localhost:8080" },
		"an address in braces": func(r *http.Request) { r.Host = "[::1]" },
	} {
		if res, body := ask(t, "GET", open.URL, nil, edit); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
}

// Who copies the page about proxies has one that shows itself.
func TestProxiesOfThePageShowThemselves(t *testing.T) {
	page, err := os.ReadFile("../docs/operations/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	open := serve(t, redistest.Shared(t), dashboard.Config{})
	examples := 0
	for _, location := range strings.Split(string(page), "    location ")[1:] {
		location, _, _ = strings.Cut(location, "\n    }")
		if !strings.Contains(location, ":8080") {
			continue // the inbox
		}
		examples++
		res, _ := ask(t, "GET", open.URL, nil, func(r *http.Request) {
			for _, set := range regexp.MustCompile(`proxy_set_header (\S+) (\S+);`).FindAllStringSubmatch(location, -1) {
				if set[1] != "Host" && set[1] != "Connection" {
					r.Header.Set(set[1], set[2])
				}
			}
		})
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("without a password it answers %d through\n%s", res.StatusCode, location)
		}
	}
	if examples == 0 {
		t.Error("no example")
	}
}

// nginx speaks so to what is behind it, and adds no header of its own.
func TestWithoutAPasswordHTTP10IsNotAnswered(t *testing.T) {
	server := serve(t, redistest.Shared(t), dashboard.Config{})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", server.Listener.Addr())
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %v", res, err)
	}
}

// proxied is a reverse proxy before pages.
func proxied(t *testing.T, pages *httptest.Server, rewrite func(*httputil.ProxyRequest)) *httptest.Server {
	t.Helper()
	target, err := url.Parse(pages.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); rewrite(r) }})
	t.Cleanup(proxy.Close)
	return proxy
}

func TestFormsBehindAProxy(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	changesHost := func(*httputil.ProxyRequest) {}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
		rewrite func(*httputil.ProxyRequest)
		origin  string // of the browser; empty: the proxy's
		want    int
	}{
		{"the name is passed on", nil, func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, "", http.StatusSeeOther},
		{"the name is lost", nil, changesHost, "", http.StatusForbidden},
		{"the name is told by a proxy that is not trusted", nil, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, "", http.StatusForbidden},
		{"by one that stands elsewhere", elsewhere, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, "", http.StatusForbidden},
		{"by a trusted one", here, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, "", http.StatusSeeOther},
		{"by a trusted one, after what the visitor said", here, func(r *httputil.ProxyRequest) {
			r.Out.Header.Set("X-Forwarded-Host", "evil.example, "+r.In.Host)
		}, "", http.StatusSeeOther},
		{"another site, which says so itself", here, func(r *httputil.ProxyRequest) {
			r.Out.Header.Set("X-Forwarded-Host", "evil.example, "+r.In.Host)
		}, "http://evil.example", http.StatusForbidden},
		{"another site", here, func(r *httputil.ProxyRequest) { r.SetXForwarded() }, "http://evil.example", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(c *dashboard.Config) { c.Password, c.TrustedProxies = "secret", tt.trusted })
			f.load("spring", 2)
			proxy := proxied(t, f.Server, tt.rewrite)
			res, body := ask(t, "POST", proxy.URL+"/campaigns/spring/pause", url.Values{}, func(r *http.Request) {
				r.SetBasicAuth("admin", "secret")
				r.Header.Set("Origin", proxy.URL)
				if tt.origin != "" {
					r.Header.Set("Origin", tt.origin)
				}
			})
			if res.StatusCode != tt.want || tt.want == http.StatusForbidden && !strings.Contains(body, "--trusted-proxy") {
				t.Errorf("%d %s, want %d", res.StatusCode, body, tt.want)
			}
		})
	}
	if _, err := dashboard.New(dashboard.Config{Addr: "127.0.0.1:0", Store: store.New(redistest.Shared(t)), TrustedProxies: here}); err == nil {
		t.Error("a proxy is trusted without a password")
	}
}

var addresses = regexp.MustCompile(`\b(href|src|action|data-events)="([^"]*)"`)

func TestEveryLinkLeadsBelowTheBasePath(t *testing.T) {
	const base = "/campaigns/ours" // which begins as paths of the pages do
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.Password, c.BasePath = "secret", base+"/" })
	f.load("spring", 120)
	f.move("spring", 1, "busy", campaign.Send, campaign.Fail)
	proxy := proxied(t, f.Server, func(r *httputil.ProxyRequest) {
		if !strings.HasPrefix(r.In.URL.Path, base) { // all else belongs to somebody else
			r.Out.URL.Path = "/not/ours"
		}
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	})
	as := func(r *http.Request) { r.SetBasicAuth("admin", "secret"); r.Header.Set("Origin", proxy.URL) }
	seen, queue, pages := map[string]bool{}, []string{base}, 0
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if at, _, _ = strings.Cut(at, "#"); at == "" || seen[at] || strings.Contains(at, "/events?") {
			continue
		}
		seen[at] = true
		res, page := ask(t, "GET", proxy.URL+at, nil, as)
		if to := res.Header.Get("Location"); to != "" {
			queue = append(queue, to)
			continue
		}
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %d", at, res.StatusCode)
		}
		if !strings.Contains(res.Header.Get("Content-Type"), "text/html") {
			continue
		}
		pages++
		for _, link := range addresses.FindAllStringSubmatch(page, -1) {
			to := strings.ReplaceAll(link[2], "&amp;", "&")
			if !strings.HasPrefix(to, base+"/") && !strings.HasPrefix(to, "#") {
				t.Errorf("%s has %s", at, link[0])
			}
			if link[1] != "action" && !strings.Contains(at, "?") {
				queue = append(queue, to)
			}
		}
	}
	if pages < 8 || !seen[base+"/queues/"] || !seen[base+"/campaigns/spring/contacts/1"] || !seen[base+"/campaigns/spring/results.csv"] {
		t.Errorf("%d pages: %v", pages, seen)
	}
	for path, form := range map[string]url.Values{"/campaigns/spring/pause": {}, "/campaigns/spring/contacts": {"find": {"+966501000001"}}} {
		res, page := ask(t, "POST", proxy.URL+base+path, form, as)
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, base+"/campaigns/spring") {
			t.Errorf("POST %s: %d %q %s", path, res.StatusCode, to, page)
		}
	}
	for _, path := range []string{"/campaigns/spring", "/queues/", "/static/pages.js"} {
		if res, _ := ask(t, "GET", f.URL+path, nil, as); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s, outside: %d", path, res.StatusCode)
		}
	}
}

func TestLivePartsLinkBelowTheBasePath(t *testing.T) {
	f := newFixture(t, func(c *dashboard.Config) { c.BasePath = "ours" })
	f.load("spring", 20)
	res, err := http.Get(f.URL + "/ours/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	awaitEvent(t, bufio.NewReader(res.Body), `href="/ours/campaigns/spring"`)
}

func TestBasePathsThatAreNone(t *testing.T) {
	for _, path := range []string{"/a b", "//", "/a//b", "/../a", "/.", "https://example.org/a", `/"><script>`, "/a?b", "/a{b}", "/%2e"} {
		_, err := dashboard.New(dashboard.Config{Addr: "127.0.0.1:0", Store: store.New(redistest.Shared(t)), BasePath: path})
		if (err == nil) != (path == "//") { // no more than the root
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestHealthIsAskedForAtTheRoot(t *testing.T) {
	server := serve(t, redistest.Shared(t), dashboard.Config{BasePath: "/ours", Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })})
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if res, _ := ask(t, "GET", server.URL+path, nil, nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
