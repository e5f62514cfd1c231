//go:build laravel

package laravel

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

// A front is a worker's pages and inbox behind nginx.
type front struct {
	t     *testing.T
	pages string // of nginx
}

// newFront starts a worker, and nginx with locations before it. In these the addresses
// of the documents stand for the worker's.
func newFront(t *testing.T, locations string, env []string, args ...string) front {
	t.Helper()
	dir, err := os.MkdirTemp("", "nginx") // a path of t.TempDir is not readable for nginx's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sandbox := commands.Sandbox(t, filepath.Join(dir, "sandbox.log"))
	env = append(env, "REDIS_URL="+redistest.Start(t).URL(), "VELENTS_URL="+sandbox, "VELENTS_TOKEN=token", "VELENTS_RATE=none", "WEBHOOK_SECRET=long enough, surely")
	worker, err := commands.Start(filepath.Join(dir, "worker.log"), env, "worker", append(args, "--admin-addr", "127.0.0.1:0", "--webhook-addr", "127.0.0.1:0")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Kill)
	var own []string
	err = commands.Await(30*time.Second, func() error {
		found := regexp.MustCompile(`url=http://([\d.:]+)`).FindAllStringSubmatch(worker.Printed(), -1)
		if len(found) < 2 {
			return fmt.Errorf("the worker serves nothing: %s", worker.Tail(5))
		}
		own = []string{found[0][1], found[1][1]}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`%s daemon off; pid %[2]s/nginx.pid; error_log %[2]s/nginx.log; events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[2]s/body; fastcgi_temp_path %[2]s/f; proxy_temp_path %[2]s/p; scgi_temp_path %[2]s/s; uwsgi_temp_path %[2]s/u;
	server {
		listen 127.0.0.1:%[3]s;
		%[4]s
	}
}`, user, dir, port, strings.NewReplacer("127.0.0.1:8080", own[0], "127.0.0.1:8081", own[1]).Replace(locations))
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, dir: dir}
	p.serve("nginx", "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "nginx.log"))
	f := front{t: t, pages: "http://127.0.0.1:" + port}
	if err := commands.Await(upIn, func() error { _, err := http.Get(f.pages); return err }); err != nil {
		t.Fatalf("%v\n%s", err, p.logs())
	}
	return f
}

// documented are the locations that the documents give for nginx.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?ms)^    location .*?^    }$`).FindAllString(string(text), -1)
	if len(found) != 2 {
		t.Fatalf("%d locations in the documents", len(found))
	}
	return strings.Join(found, "\n")
}

func (f front) ask(method, path, kind string, body io.Reader) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.pages+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	req.SetBasicAuth("admin", "long enough, surely")
	req.Header.Set("Origin", f.pages) // as a browser's form has it
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res, string(text)
}

const formKind = "application/x-www-form-urlencoded"

func TestPagesBehindNginxAsDocumented(t *testing.T) {
	f := newFront(t, documented(t), []string{"ADMIN_PASSWORD=long enough, surely"}, "--base-path", "/campaigns")
	if res, _ := f.ask("GET", "/campaigns", "", nil); res.Header.Get("Location") != "/campaigns/" {
		t.Errorf("/campaigns leads to %q", res.Header.Get("Location"))
	}
	_, home := f.ask("GET", "/campaigns/", "", nil)
	links := regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(home, -1)
	if len(links) < 5 {
		t.Fatalf("the page has %d links:\n%s", len(links), home)
	}
	for _, link := range links {
		if res, _ := f.ask("GET", link[1], "", nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", link[1], res.StatusCode)
		}
	}
	// A list of more than nginx takes unless told otherwise, launched as a person does.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": "spring", "channel": "voice", "agent": "default", "mode": "batch", "canary": "1"} {
		_ = form.WriteField(field, value)
	}
	file, _ := form.CreateFormFile("file", "list.csv")
	fmt.Fprint(file, "phone,note\n+966500000001,"+strings.Repeat("x", 2000)+"\n")
	for n := range 2000 {
		fmt.Fprintf(file, "bad %d,%s\n", n, strings.Repeat("x", 1000))
	}
	_ = form.Close()
	res, page := f.ask("POST", "/campaigns/new", form.FormDataContentType(), &body)
	draft := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(draft, "/campaigns/new/") {
		t.Fatalf("%d %s\n%s", res.StatusCode, draft, page)
	}
	res, page = f.ask("GET", draft+"/review", "", nil)
	launch := regexp.MustCompile(`action="(/campaigns/new/[A-Z0-9]+/launch)"`).FindStringSubmatch(page)
	if res.StatusCode != http.StatusOK || launch == nil {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	res, page = f.ask("POST", launch[1], formKind, strings.NewReader(""))
	to := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/campaigns/campaigns/spring?did=") {
		t.Fatalf("%d %s\n%s", res.StatusCode, to, page)
	}
	if _, page := f.ask("GET", to, "", nil); !strings.Contains(page, "Launched, with 1 contact.") {
		t.Errorf("the page does not say what was done:\n%s", page)
	}
	f.live("/campaigns/campaigns/spring/events")
	// The inbox is reached at its one path.
	if res, _ := f.ask("POST", "/webhooks/velents?campaign=spring", "", strings.NewReader("{}")); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the inbox answers %d", res.StatusCode)
	}
}

// live awaits an event of an open page, which nginx must not hold back.
func (f front) live(path string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), "GET", f.pages+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.SetBasicAuth("admin", "long enough, surely")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: {") && strings.Contains(lines.Text(), "/campaigns/campaigns/spring") {
			return
		}
	}
	f.t.Errorf("%s tells nothing: %d", path, res.StatusCode)
}

func TestNginxThatLosesTheName(t *testing.T) {
	const location = "location / { proxy_pass http://127.0.0.1:8080; proxy_set_header X-Forwarded-Host $http_host; }"
	pause := func(f front) (int, string) {
		res, text := f.ask("POST", "/campaigns/spring/pause", formKind, strings.NewReader(url.Values{}.Encode()))
		return res.StatusCode, text
	}
	password := []string{"ADMIN_PASSWORD=long enough, surely"}
	if status, text := pause(newFront(t, location, password)); status != http.StatusForbidden || !strings.Contains(text, "proxy_set_header Host $http_host") {
		t.Errorf("it is not told what to do: %d %s", status, text)
	}
	if status, text := pause(newFront(t, location, password, "--trusted-proxy", "127.0.0.1")); status != http.StatusNotFound { // there is no such campaign
		t.Errorf("a trusted proxy is not believed: %d %s", status, text)
	}
}

func TestNothingWithoutAPasswordBehindNginx(t *testing.T) {
	for name, set := range map[string]string{
		"as it comes":         "",
		"by HTTP/1.1":         "proxy_http_version 1.1; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
		"with a real address": "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
		"with its name":       "proxy_http_version 1.1; proxy_set_header Host pages.example.org;",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, "location / { proxy_pass http://127.0.0.1:8080; "+set+" }", nil)
			for _, path := range []string{"/", "/queues/", "/metrics", "/new"} {
				res, err := http.Get(f.pages + path)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "ADMIN_PASSWORD") {
					t.Errorf("%s: %d %.100s", path, res.StatusCode, text)
				}
			}
		})
	}
}
