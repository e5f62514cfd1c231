package dashboard_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
)

// await asks until something holds, and logs how long that took.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	from := time.Now()
	for !holds() {
		if t.Context().Err() != nil || time.Since(from) > 30*time.Second {
			t.Fatalf("%s: not within %v", what, time.Since(from))
		}
	}
	t.Logf("%s: after %v", what, time.Since(from).Round(10*time.Millisecond))
}

// status is what a page answers to the owner of a cookie, or to nobody.
func status(t *testing.T, address string, cookie *http.Cookie) int {
	t.Helper()
	res, _ := ask(t, "GET", address, nil, func(r *http.Request) {
		if cookie != nil {
			r.AddCookie(cookie)
		}
	})
	return res.StatusCode
}

func (f fixture) addUser(name string, role users.Role) {
	f.T.Helper()
	if err := f.AddUser(f.T.Context(), users.New(name, role, users.Hash(password), "test")); err != nil {
		f.T.Fatal(err)
	}
}

// Two workers without users serve everybody on this machine. The first user changes that on
// both, for pages that are open, too.
func TestTheFirstUserTurnsSignInOnInAllWorkers(t *testing.T) {
	rdb := redistest.Shared(t)
	f := newFixtureOn(t, rdb)
	other := serve(t, rdb, dashboard.Config{})
	f.load("sale", 2)
	var open []*http.Response
	for _, address := range []string{f.Server.URL, other.URL} {
		if got := status(t, address+"/", nil); got != http.StatusOK {
			t.Fatalf("without users: %d", got)
		}
		if res, _ := ask(t, "GET", address+"/sign-in", nil, nil); res.Header.Get("Location") != "/" {
			t.Errorf("without users the sign-in page leads to %q", res.Header.Get("Location"))
		}
		res, err := http.Get(address + "/campaigns/sale/events")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		open = append(open, res)
	}
	f.addUser("sara", users.Viewer)
	for i, address := range []string{f.Server.URL, other.URL} {
		await(t, "a worker asks to sign in", func() bool { return status(t, address+"/", nil) == http.StatusUnauthorized })
		await(t, "its open page ends", func() bool { _, err := open[i].Body.Read(make([]byte, 4096)); return err != nil })
	}
	cookie := signIn(t, f.Server.URL, "SARA", password)
	for _, address := range []string{f.Server.URL, other.URL} {
		if got := status(t, address+"/", cookie); got != http.StatusOK {
			t.Errorf("signed in: %d", got)
		}
	}
	if err := f.RemoveUser(t.Context(), "sara"); err != nil {
		t.Fatal(err)
	}
	await(t, "without users everything is as before", func() bool { return status(t, other.URL+"/", nil) == http.StatusOK })
}

// What ends a session ends it on all workers.
func TestWhatEndsASession(t *testing.T) {
	for name, end := range map[string]func(c crowd) error{
		"another password": func(c crowd) error {
			return c.ChangeUser(c.T.Context(), "operator", func(u *users.User) { u.Password = users.Hash("another horse battery"); u.Renew("test") })
		},
		"another role": func(c crowd) error {
			return c.ChangeUser(c.T.Context(), "operator", func(u *users.User) { u.Role = users.Admin; u.Renew("test") })
		},
		"removal": func(c crowd) error { return c.RemoveUser(c.T.Context(), "operator") },
		"removal, and another of that name": func(c crowd) error {
			if err := c.RemoveUser(c.T.Context(), "operator"); err != nil {
				return err
			}
			return c.AddUser(c.T.Context(), users.New("operator", users.Operator, users.Hash(password), "test"))
		},
		"signing out": func(c crowd) error {
			res, _ := c.as(users.Operator, "POST", "/sign-out", nil)
			if res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") {
				return fmt.Errorf("%d, %s", res.StatusCode, res.Header)
			}
			if got := status(c.T.(*testing.T), c.Server.URL+"/", c.cookies[users.Operator]); got != http.StatusUnauthorized {
				return fmt.Errorf("the worker that was asked still knows the session: %d", got)
			}
			return nil
		},
		"time": func(c crowd) error {
			for _, key := range c.Redis().Keys(c.T.Context(), "pages:session:*").Val() {
				c.Redis().Del(c.T.Context(), key)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.Shared(t)
			c := newCrowd(t, rdb)
			other := serve(t, rdb, dashboard.Config{})
			cookie := c.cookies[users.Operator]
			if got := status(t, other.URL+"/", cookie); got != http.StatusOK {
				t.Fatalf("on another worker: %d", got)
			}
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			for _, address := range []string{c.Server.URL, other.URL} {
				await(t, "the session is over", func() bool { return status(t, address+"/", cookie) == http.StatusUnauthorized })
			}
			if name != "time" {
				if got := status(t, other.URL+"/", c.cookies[users.Viewer]); got != http.StatusOK {
					t.Errorf("that of another user: %d", got)
				}
			}
		})
	}
}

func TestSessionsLastForATime(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	keys := c.Redis().Keys(t.Context(), "pages:session:*").Val()
	sessions := 0
	for _, key := range keys {
		if strings.Contains(key, "browser-") {
			continue
		}
		sessions++
		if ttl := c.Redis().TTL(t.Context(), key).Val(); ttl <= 7*time.Hour || ttl > 8*time.Hour {
			t.Errorf("%s lasts for %v", key, ttl)
		}
		for _, cookie := range c.cookies {
			if strings.Contains(key, cookie.Value) {
				t.Errorf("Redis has the browser's own token: %s", key)
			}
		}
		c.Redis().Expire(t.Context(), key, time.Minute)
	}
	if sessions != 4 {
		t.Errorf("%d sessions: %v", sessions, keys)
	}
	await(t, "a session in use is prolonged", func() bool {
		status(t, c.Server.URL+"/", c.cookies[users.Admin])
		for _, key := range keys {
			if c.Redis().TTL(t.Context(), key).Val() > 7*time.Hour && !strings.Contains(key, "browser-") {
				return true
			}
		}
		return false
	})
}

func TestTheTokenIsNewWithEachSignIn(t *testing.T) {
	f := newFixture(t)
	f.addUser("sara", users.Viewer)
	first := signIn(t, f.URL, "sara", password)
	res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}}, func(r *http.Request) { r.AddCookie(first) })
	var second *http.Cookie
	for _, cookie := range res.Cookies() {
		if cookie.Name == first.Name {
			second = cookie
		}
	}
	if second == nil || second.Value == first.Value || status(t, f.URL+"/", second) != http.StatusOK || status(t, f.URL+"/", first) != http.StatusUnauthorized {
		t.Errorf("%v, then %v", first, second)
	}
	// A token that somebody else has chosen becomes nobody's.
	planted := &http.Cookie{Name: first.Name, Value: strings.Repeat("a", 43)}
	res, _ = ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}}, func(r *http.Request) { r.AddCookie(planted) })
	if res.StatusCode != http.StatusSeeOther || status(t, f.URL+"/", planted) != http.StatusUnauthorized {
		t.Errorf("a planted token is taken: %d", res.StatusCode)
	}
}

func TestTheCookie(t *testing.T) {
	rdb := redistest.Shared(t)
	f := newFixtureOn(t, rdb)
	f.addUser("sara", users.Viewer)
	st := store.New(rdb)
	handler := func(cfg dashboard.Config) http.Handler {
		cfg.Addr, cfg.Store = "127.0.0.1:0", st
		pages, err := dashboard.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	proxy := dashboard.Config{BasePath: "/campaigns", Password: "secret", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, tt := range []struct {
		name   string
		cfg    dashboard.Config
		edit   func(*http.Request)
		path   string
		secure bool
	}{
		{"plain", dashboard.Config{}, func(*http.Request) {}, "/", false},
		{"TLS", dashboard.Config{}, func(r *http.Request) { r.TLS = new(tls.ConnectionState) }, "/", true},
		{"a trusted proxy with TLS", proxy, func(r *http.Request) { r.RemoteAddr = "10.1.1.1:5"; r.Header.Set("X-Forwarded-Proto", "https") }, "/campaigns", true},
		{"a trusted proxy without", proxy, func(r *http.Request) { r.RemoteAddr = "10.1.1.1:5"; r.Header.Set("X-Forwarded-Proto", "http") }, "/campaigns", false},
		{"somebody who says so", proxy, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, "/campaigns", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := url.Values{"name": {"sara"}, "password": {password}}
			r := httptest.NewRequest("POST", strings.TrimSuffix(tt.path, "/")+"/sign-in", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			tt.edit(r)
			w := httptest.NewRecorder()
			handler(tt.cfg).ServeHTTP(w, r)
			cookies := w.Result().Cookies()
			if len(cookies) != 2 {
				t.Fatalf("%d, %d cookies: %v", w.Code, len(cookies), w.Header())
			}
			for _, cookie := range cookies {
				if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != tt.path || cookie.Secure != tt.secure || cookie.Domain != "" || cookie.MaxAge <= 0 {
					t.Errorf("%v", cookie)
				}
			}
		})
	}
}

// Another site makes nobody sign in, or out.
func TestForgedSignIns(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	for _, path := range []string{"/sign-in", "/sign-out"} {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"} {
			res, _ := ask(t, "POST", c.Server.URL+path, url.Values{"name": {"viewer"}, "password": {password}}, func(r *http.Request) {
				r.Header.Set(header, value)
				r.AddCookie(c.cookies[users.Viewer])
			})
			if res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
				t.Errorf("%s, %s: %d", path, header, res.StatusCode)
			}
		}
	}
	if got := status(t, c.Server.URL+"/", c.cookies[users.Viewer]); got != http.StatusOK {
		t.Errorf("the session is over: %d", got)
	}
}

func TestSigningInLeadsBack(t *testing.T) {
	f := newFixture(t)
	f.addUser("sara", users.Viewer)
	res, _ := ask(t, "GET", f.URL+"/campaigns/sale?did=1", nil, func(r *http.Request) { r.Header.Set("Accept", "text/html") })
	if got := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || got != "/sign-in?to=%2Fcampaigns%2Fsale%3Fdid%3D1" {
		t.Errorf("%d, to %q", res.StatusCode, got)
	}
	for to, want := range map[string]string{
		"/campaigns/sale?did=1": "/campaigns/sale?did=1", "": "/", "//evil.example/": "/", "https://evil.example/": "/", `/\evil.example`: "/", "/\r\nX: y": "/",
		"javascript:alert(1)": "/", "/sign-in": "/", "evil": "/", "https:/evil.example": "/", "/%zz": "/",
	} {
		res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}, "to": {to}}, nil)
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("%q leads to %q: %d", to, got, res.StatusCode)
		}
		if _, page := ask(t, "GET", f.URL+"/sign-in?"+url.Values{"to": {to}}.Encode(), nil, nil); !strings.Contains(page, `name="to" value="`+want+`"`) {
			t.Errorf("%q stands in the form otherwise:\n%s", to, page)
		}
	}
}

func TestTheSignInPageSpeaksBothLanguages(t *testing.T) {
	f := newFixture(t)
	f.addUser("sara", users.Viewer)
	for language, wants := range map[string][]string{
		"en": {`<html lang="en" dir="ltr">`, "<h1>Sign in</h1>", "Password", `hreflang="ar"`, "lang=ar"},
		"ar": {`<html lang="ar" dir="rtl">`, "<h1>تسجيل الدخول</h1>", "كلمة المرور", `hreflang="en"`},
	} {
		_, page := ask(t, "GET", f.URL+"/sign-in", nil, func(r *http.Request) { r.Header.Set("Accept-Language", language) })
		wantTexts(t, page, wants...)
	}
	res, page := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"<b>sara"}, "password": {"x"}}, func(r *http.Request) { r.Header.Set("Accept-Language", "ar") })
	wantTexts(t, page, "الاسم وكلمة المرور لا يتطابقان.", `value="&lt;b&gt;sara"`)
	if res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "" || strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("%d, %v", res.StatusCode, res.Header)
	}
}

// ADMIN_PASSWORD goes on working beside users, with the request and on the sign-in page.
func TestThePasswordBesideUsers(t *testing.T) {
	rdb := redistest.Shared(t)
	f := newFixtureOn(t, rdb, func(c *dashboard.Config) { c.Password = "secret" })
	f.addUser("sara", users.Viewer)
	basic := func(password string) int {
		res, _ := ask(t, "GET", f.URL+"/new", nil, func(r *http.Request) { r.SetBasicAuth("admin", password) })
		return res.StatusCode
	}
	if right, wrong := basic("secret"), basic("public"); right != http.StatusOK || wrong != http.StatusUnauthorized {
		t.Errorf("with the request: %d, a wrong one: %d", right, wrong)
	}
	cookie := signIn(t, f.URL, "Admin", "secret")
	if got := status(t, f.URL+"/new", cookie); got != http.StatusOK {
		t.Errorf("on the sign-in page: %d", got)
	}
	changed := serve(t, rdb, dashboard.Config{Password: "another"})
	if got := status(t, changed.URL+"/", cookie); got != http.StatusUnauthorized {
		t.Errorf("its session with another password: %d", got)
	}
	none := serve(t, rdb, dashboard.Config{})
	if got := status(t, none.URL+"/", cookie); got != http.StatusUnauthorized {
		t.Errorf("its session without a password: %d", got)
	}
	res, _ := ask(t, "POST", none.URL+"/sign-in", url.Values{"name": {"admin"}, "password": {""}}, nil)
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password the admin signs in: %d", res.StatusCode)
	}
}

// logged collects a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// guessing is pages that count and log what becomes of passwords.
func guessing(t *testing.T, edit ...func(*dashboard.Config)) (f fixture, log *logged, counts *sync.Map) {
	log, counts = new(logged), new(sync.Map)
	f = newFixture(t, append(edit, func(c *dashboard.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
		c.SignIn = func(result string) {
			n, _ := counts.LoadOrStore(result, new(atomic.Int32))
			n.(*atomic.Int32).Add(1)
		}
	})...)
	return f, log, counts
}

func counted(counts *sync.Map, result string) int {
	n, ok := counts.Load(result)
	if !ok {
		return 0
	}
	return int(n.(*atomic.Int32).Load())
}

// Five thousand guesses on two workers: a few are checked, the others are slowed, counted
// and logged now and then. The password and what stood in place of a name are in no log.
func TestGuessesAreSlowed(t *testing.T) {
	f, log, counts := guessing(t)
	other := serve(t, f.Redis(), dashboard.Config{SignIn: func(result string) {
		n, _ := counts.LoadOrStore(result, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
	}})
	f.addUser("sara", users.Admin)
	guess := func(address, name, word string) int {
		res, _ := ask(t, "POST", address+"/sign-in", url.Values{"name": {name}, "password": {word}}, nil)
		return res.StatusCode
	}
	guess(f.URL, "my secret pass phrase", "hunter")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for n := range 250 {
				address := []string{f.URL, other.URL}[n%2]
				if got := guess(address, "sara", fmt.Sprintf("hunter-%d-%d", i, n)); got == http.StatusOK || got == http.StatusSeeOther {
					t.Errorf("a guess is answered with %d", got)
				}
			}
		})
	}
	all.Wait()
	wrong, slowed := counted(counts, "wrong"), counted(counts, "slowed")
	t.Logf("%d checked, %d slowed", wrong, slowed)
	if wrong < 1 || wrong > 25 || slowed < 4900 {
		t.Errorf("of 5,000 guesses %d were checked and %d slowed", wrong, slowed)
	}
	res, page := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}}, nil)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || !strings.Contains(page, "Too many wrong passwords. Try again in ") {
		t.Errorf("the right one after that: %d %s", res.StatusCode, page)
	}
	text := log.String()
	for _, want := range []string{"user=sara", "user=unknown", "from=127.0.0.1", "result=wrong", "result=slowed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%.3000s", want, text)
		}
	}
	for _, secret := range []string{"hunter", "secret pass", password} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if lines := strings.Count(text, "\n"); lines > 100 {
		t.Errorf("the log has %d lines", lines)
	}
}

// A browser has guesses of its own only while the password is the one that was right in it.
func TestABrowserIsKnownByThePassword(t *testing.T) {
	f, _, _ := guessing(t)
	f.addUser("sara", users.Admin)
	var known *http.Cookie
	try := func(word string) (status int) {
		res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {word}}, func(r *http.Request) {
			if known != nil {
				r.AddCookie(known)
			}
		})
		for _, cookie := range res.Cookies() {
			if cookie.Name == "campaign_browser" {
				known = cookie
			}
		}
		return res.StatusCode
	}
	if status := try(password); status != http.StatusSeeOther || known == nil {
		t.Fatal(status)
	}
	for range 40 {
		ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {"guess"}}, nil)
	}
	if status := try(password); status != http.StatusSeeOther {
		t.Errorf("in her browser: %d", status)
	}
	if err := f.ChangeUser(t.Context(), "sara", func(u *users.User) { u.Password = users.Hash(password + "!"); u.Renew("test") }); err != nil {
		t.Fatal(err)
	}
	status := 0
	await(t, "the worker sees her other password", func() bool { status = try(password + "!"); return status != http.StatusUnauthorized })
	if status != http.StatusTooManyRequests {
		t.Errorf("in her browser, once her password is another: %d", status)
	}
}

// Somebody who guesses at a name keeps its owner from nothing, in a browser in which the
// owner has signed in before.
func TestGuessesElsewhereLockNobodyOut(t *testing.T) {
	f, _, counts := guessing(t)
	f.addUser("sara", users.Admin)
	f.addUser("omar", users.Admin)
	res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}}, nil)
	if res.StatusCode != http.StatusSeeOther {
		t.Fatal(res.StatusCode)
	}
	known := func(r *http.Request) {
		for _, cookie := range res.Cookies() {
			if cookie.Name == "campaign_browser" {
				r.AddCookie(cookie)
			}
		}
	}
	for _, name := range []string{"sara", "omar"} {
		for range 40 {
			ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {name}, "password": {"guess"}}, nil)
		}
	}
	if counted(counts, "slowed") == 0 {
		t.Fatal("nothing was slowed")
	}
	try := func(name, word string, edit func(*http.Request)) int {
		res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {name}, "password": {word}}, edit)
		return res.StatusCode
	}
	if got := try("omar", password, known); got != http.StatusTooManyRequests {
		t.Errorf("another name in that browser: %d", got)
	}
	if got := try("sara", password, nil); got != http.StatusTooManyRequests {
		t.Errorf("in another browser: %d", got)
	}
	if got := try("sara", password, known); got != http.StatusSeeOther {
		t.Errorf("in her browser: %d", got)
	}
	slowed := false
	for range 30 {
		slowed = slowed || try("sara", "guess", known) == http.StatusTooManyRequests
	}
	if !slowed {
		t.Error("who has her browser may guess for ever")
	}
}

// A script that knows the password goes on while somebody elsewhere guesses at it, and
// guesses in requests are slowed, too.
func TestGuessesAtThePassword(t *testing.T) {
	f, log, counts := guessing(t, func(c *dashboard.Config) {
		c.Password = "secret"
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	get := func(from, password string) int {
		res, _ := ask(t, "GET", f.URL+"/", nil, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "203.0.113.9, "+from)
			r.SetBasicAuth("admin", password)
		})
		return res.StatusCode
	}
	if got := get("192.0.2.1", "secret"); got != http.StatusOK {
		t.Fatal(got)
	}
	statuses := make(map[int]int)
	for i := range 300 {
		statuses[get("198.51.100.7", fmt.Sprint("hunter", i))]++
	}
	if statuses[http.StatusOK] > 0 || statuses[http.StatusUnauthorized] > 25 || counted(counts, "slowed") < 270 {
		t.Errorf("300 guesses: %v", statuses)
	}
	if got := get("198.51.100.7", "secret"); got != http.StatusTooManyRequests {
		t.Errorf("the right one among guesses: %d", got)
	}
	for range 50 {
		if got := get("192.0.2.1", "secret"); got != http.StatusOK {
			t.Errorf("a script elsewhere: %d", got)
		}
	}
	for range 30 {
		get("192.0.2.2", "guess")
	}
	if got := get("192.0.2.2", "secret"); got != http.StatusTooManyRequests {
		t.Errorf("where nothing was ever right: %d", got)
	}
	// A worker that has just started knows nothing of the script.
	again := serve(t, f.Redis(), dashboard.Config{Password: "secret", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	res, _ := ask(t, "GET", again.URL+"/", nil, func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		r.SetBasicAuth("admin", "secret")
	})
	if res.StatusCode != http.StatusOK {
		t.Errorf("at a new worker: %d", res.StatusCode)
	}
	// Who guesses from the script's own address is slowed as anybody else.
	for range 30 {
		get("192.0.2.1", "guess")
	}
	if got := get("192.0.2.1", "secret"); got != http.StatusTooManyRequests {
		t.Errorf("the right one among guesses from there: %d", got)
	}
	if text := log.String(); !strings.Contains(text, "from=198.51.100.7") || strings.Contains(text, "203.0.113.9") || strings.Contains(text, "hunter") {
		t.Errorf("the log:\n%.2000s", text)
	}
}

// While Redis does not answer, who has signed in sees what was known, and the password and
// guesses at it are as before.
func TestSignedInWithoutRedis(t *testing.T) {
	redis := redistest.Start(t)
	f := newFixtureOn(t, redis.Client(), func(c *dashboard.Config) { c.Password = "secret" })
	f.load("sale", 2)
	f.addUser("sara", users.Operator)
	cookie := signIn(t, f.URL, "sara", password)
	for _, path := range []string{"/", "/campaigns/sale"} {
		if got := status(t, f.URL+path, cookie); got != http.StatusOK {
			t.Fatal(path, got)
		}
	}
	redis.Kill()
	for _, path := range []string{"/", "/campaigns/sale"} {
		res, page := ask(t, "GET", f.URL+path, nil, func(r *http.Request) { r.AddCookie(cookie) })
		if res.StatusCode != http.StatusOK || !strings.Contains(page, "Redis does not answer") || !strings.Contains(page, "sale") {
			t.Errorf("%s: %d %.300s", path, res.StatusCode, page)
		}
		if strings.Contains(page, `action="/all/`) {
			t.Error("it offers to stop everything, which cannot be done")
		}
	}
	if got := status(t, f.URL+"/", nil); got != http.StatusUnauthorized {
		t.Errorf("nobody: %d", got)
	}
	res, _ := ask(t, "POST", f.URL+"/sign-in", url.Values{"name": {"sara"}, "password": {password}}, nil)
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("signing in: %d", res.StatusCode)
	}
	basic := func(word string) int {
		res, _ := ask(t, "GET", f.URL+"/", nil, func(r *http.Request) { r.SetBasicAuth("admin", word) })
		return res.StatusCode
	}
	if got := basic("secret"); got != http.StatusOK {
		t.Errorf("the password: %d", got)
	}
	statuses := make(map[int]int)
	for range 30 {
		statuses[basic("guess")]++
	}
	if statuses[http.StatusOK] > 0 || statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("guesses: %v", statuses)
	}
	fresh := serve(t, redis.Client(), dashboard.Config{})
	if got := status(t, fresh.URL+"/", nil); got != http.StatusServiceUnavailable {
		t.Errorf("a worker that never knew whether there are users: %d", got)
	}
}

// An open page of somebody who may no longer see it ends by itself.
func TestOpenPagesEndWithTheirSession(t *testing.T) {
	c := newCrowd(t, redistest.Shared(t))
	c.load("sale", 2)
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.Server.URL+"/campaigns/sale/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(c.cookies[users.Operator])
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := c.ChangeUser(t.Context(), "operator", func(u *users.User) { u.Role = users.Viewer; u.Renew("test") }); err != nil {
		t.Fatal(err)
	}
	c.Pass("sale", campaign.Paused, "lunch")
	await(t, "the open page ends", func() bool { _, err := res.Body.Read(make([]byte, 4096)); return err != nil })
}

// Workers log what has changed about users.
func TestChangesOfUsersAreLogged(t *testing.T) {
	f, log, _ := guessing(t)
	status(t, f.URL+"/", nil)
	f.addUser("sara", users.Launcher)
	await(t, "her coming", func() bool {
		status(t, f.URL+"/", nil)
		return strings.Contains(log.String(), "added or changed") && strings.Contains(log.String(), "user=sara role=launcher by=test")
	})
	if err := f.RemoveUser(t.Context(), "sara"); err != nil {
		t.Fatal(err)
	}
	await(t, "her going", func() bool {
		status(t, f.URL+"/", nil)
		return strings.Contains(log.String(), `msg="a user of the pages was removed" user=sara`)
	})
}

// Whether there are users cannot be read: nobody comes in, and no stranger is told what
// Redis says.
func TestUsersThatCannotBeRead(t *testing.T) {
	f, log, _ := guessing(t)
	f.Redis().Set(t.Context(), "pages:users", "x", 0)
	res, page := ask(t, "GET", f.URL+"/", nil, nil)
	if res.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "WRONGTYPE") || !strings.Contains(page, "see the worker") || !strings.Contains(log.String(), "WRONGTYPE") {
		t.Errorf("%d %s\n%s", res.StatusCode, page, log)
	}
}
