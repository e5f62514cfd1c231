//go:build laravel

package laravel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

const (
	children     = 8                  // of php-fpm
	nginxBytes   = 512 << 10          // a body larger than this is refused by nginx
	phpBytes     = 256 << 10          // and one larger than this by Laravel, for PHP has not read it
	maxRows      = 40                 // of a batch
	token        = "platform-token-1" // of the agent default
	secondToken  = "platform-token-2" // no worker uses it
	supportToken = "App_1_2_support"  // of the Support Center
	readTimeout  = "2s"               // after which nginx gives PHP up
	upIn         = 20 * time.Second
)

// control is what app/index.php reads before each request.
type control struct {
	Tokens   []string `json:"tokens"`
	Limit    int      `json:"limit"`
	Window   int      `json:"window"` // seconds
	Channels []int    `json:"channels"`
	Keys     []string `json:"keys"` // values that a contact needs
	MaxRows  int      `json:"max_rows"`
	Bad      []string `json:"bad"`  // well-formed numbers that are refused
	Work     int      `json:"work"` // milliseconds that a request takes once its contacts are in the ledger
	Desk     string   `json:"desk"` // what becomes of the Support Center's answers after a change: die
	Then     string   `json:"then"` // what becomes of the answer: throw, fatal, die, page; or of the work: refuse
}

// A platform is Laravel behind php-fpm behind nginx.
type platform struct {
	t   *testing.T
	dir string
	url string
	now control
}

// servers are the configurations, and what they are filled with.
var servers = template.Must(template.New("").Parse(`
{{define "php-fpm.conf"}}
[global]
pid = {{.Dir}}/php-fpm.pid
error_log = {{.Dir}}/php-fpm.log
daemonize = no
[platform]
{{if .Root}}user = root{{end}}
listen = {{.Dir}}/php-fpm.sock
listen.backlog = 64
pm = static
pm.max_children = {{.Children}}
php_admin_value[post_max_size] = {{.PHPBytes}}
php_admin_value[error_log] = {{.Dir}}/php.log
php_admin_value[log_errors] = on
php_admin_value[display_errors] = off
{{end}}
{{define "nginx.conf"}}
{{if .Root}}user root;{{end}}
daemon off;
worker_processes 2;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/nginx.log;
events { worker_connections 256; }
http {
	log_format what '$msec $request_method $uri $status $upstream_status';
	access_log {{.Dir}}/access.log what;
	client_body_temp_path {{.Dir}}/body;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	proxy_temp_path {{.Dir}}/proxy;
	scgi_temp_path {{.Dir}}/scgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	client_max_body_size {{.NginxBytes}};
	server {
		listen 127.0.0.1:{{.Port}};
		location / {
			fastcgi_pass unix:{{.Dir}}/php-fpm.sock;
			fastcgi_read_timeout {{.ReadTimeout}};
			fastcgi_param SCRIPT_FILENAME {{.App}}/index.php;
			fastcgi_param SCRIPT_NAME /index.php;
			fastcgi_param REQUEST_URI $request_uri;
			fastcgi_param REQUEST_METHOD $request_method;
			fastcgi_param QUERY_STRING $query_string;
			fastcgi_param CONTENT_TYPE $content_type;
			fastcgi_param CONTENT_LENGTH $content_length;
			fastcgi_param SERVER_PROTOCOL $server_protocol;
			fastcgi_param REMOTE_ADDR $remote_addr;
			fastcgi_param HTTP_HOST $http_host;
			fastcgi_param STORAGE {{.Dir}};
			fastcgi_param REDIS_PORT {{.RedisPort}};
		}
	}
}
{{end}}`))

func newPlatform(t *testing.T) *platform {
	t.Helper()
	// A path of t.TempDir is too long for a socket, and belongs to this user alone.
	dir, err := os.MkdirTemp("", "laravel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	app, err := filepath.Abs("app")
	if err != nil {
		t.Fatal(err)
	}
	_, redisPort, _ := net.SplitHostPort(redistest.Start(t).Addr)
	port := freePort(t)
	p := &platform{t: t, dir: dir, url: "http://127.0.0.1:" + port}
	if err := os.Mkdir(filepath.Join(dir, "framework"), 0o700); err != nil { // where Laravel looks for maintenance
		t.Fatal(err)
	}
	p.set(control{
		Tokens: []string{token, secondToken, supportToken}, Limit: 1_000_000, Window: 60, Channels: []int{3}, MaxRows: maxRows,
		Keys: []string{}, Bad: []string{},
	})
	root := os.Geteuid() == 0
	for _, name := range []string{"php-fpm.conf", "nginx.conf"} {
		var text bytes.Buffer
		if err := servers.ExecuteTemplate(&text, name, map[string]any{
			"Dir": dir, "Root": root, "Children": children, "PHPBytes": phpBytes, "NginxBytes": nginxBytes,
			"Port": port, "ReadTimeout": readTimeout, "App": app, "RedisPort": redisPort,
		}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fpm := []string{fpmCommand(t), "-y", filepath.Join(dir, "php-fpm.conf")}
	if root {
		fpm = append(fpm, "-R") // it belongs to the test
	}
	p.serve(fpm...)
	p.serve("nginx", "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "nginx.log"))
	if err := commands.Await(upIn, p.up); err != nil {
		t.Fatalf("%v\n%s", err, p.logs())
	}
	return p
}

// fpmCommand is php-fpm under the name of whichever version is installed.
func fpmCommand(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/sbin/php-fpm*") // the pattern is well formed
	if len(found) == 0 {
		t.Fatal("php-fpm is not installed: make laravel installs it")
	}
	return found[0]
}

// freePort is a port below those that outgoing connections are given.
func freePort(t *testing.T) string {
	t.Helper()
	for port := 21000 + os.Getpid()%8000; port < 32000; port++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			l.Close()
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// serve runs a server until the test ends. A server has children, which a kill of
// the server alone would leave behind; so a shell stays beside it, and ends it in
// order when its own standard input ends, with this process at the latest.
func (p *platform) serve(command ...string) {
	p.t.Helper()
	const script = `"$@" </dev/null & server=$!; cat >/dev/null; kill "$server"; wait "$server"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, command...)...)
	out, err := os.Create(filepath.Join(p.dir, filepath.Base(command[0])+".out"))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	hold, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		hold.Close()
		_ = cmd.Wait() // its status is that of a server told to end
		out.Close()
	})
}

func (p *platform) up() error {
	a, err := p.ask(http.MethodGet, "/Integration/Agent", secondToken, "") // which has a window of its own
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("the platform answers %d: %s", a.status, a.body)
	}
	return err
}

// pid is the process id of the master of a server.
func (p *platform) pid(server string) int {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, server+".pid"))
	if err != nil {
		p.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

func (p *platform) signal(server string, sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid(server), sig); err != nil {
		p.t.Fatal(err)
	}
}

// workers are the process ids of a server's children.
func (p *platform) workers(server string) []int {
	p.t.Helper()
	pid := p.pid(server)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			p.t.Fatal(err)
		}
		pids = append(pids, n)
	}
	return pids
}

// set changes what the app does from the next request on.
func (p *platform) set(c control) {
	p.t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	p.now = c
	p.replace("control.json", text)
}

// replace writes a file of the storage at once.
func (p *platform) replace(name string, text []byte) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.t.Fatal(err)
	}
}

// down begins maintenance as php artisan down does, with its options; healthy ends it.
func (p *platform) down(options string) { p.t.Helper(); p.replace("framework/down", []byte(options)) }

// then sets what becomes of answers from now on.
func (p *platform) then(what string) { p.t.Helper(); p.now.Then = what; p.set(p.now) }

// healthy ends maintenance and faults.
func (p *platform) healthy() {
	p.t.Helper()
	if err := os.Remove(filepath.Join(p.dir, "framework/down")); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	p.now.Then, p.now.Work = "", 0
	p.set(p.now)
}

// ledger is how often each number was contacted.
func (p *platform) ledger() map[string]int {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "ledger"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, phone := range strings.Fields(string(text)) {
		counts[phone]++
	}
	return counts
}

// A call is a request to contact people, as nginx has logged it.
type call struct {
	ended  float64 // unix time
	status int
	php    bool // PHP has answered so, and not nginx in its place
}

func (p *platform) calls() []call {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "access.log"))
	if err != nil {
		p.t.Fatal(err)
	}
	var calls []call
	for line := range strings.Lines(string(text)) {
		var ended float64
		var method, path, status, upstream string
		if n, _ := fmt.Sscan(line, &ended, &method, &path, &status, &upstream); n < 5 || method != http.MethodPost {
			continue
		}
		code, err := strconv.Atoi(status)
		if err != nil {
			p.t.Fatal(err)
		}
		calls = append(calls, call{ended, code, upstream == status})
	}
	return calls
}

// answered counts the answers with a status.
func (p *platform) answered(status int) int {
	p.t.Helper()
	n := 0
	for _, c := range p.calls() {
		if c.status == status {
			n++
		}
	}
	return n
}

// logs are what the servers have said last.
func (p *platform) logs() string {
	var all strings.Builder
	for _, name := range []string{"php-fpm.log", "php.log", "nginx.log", "laravel.log", filepath.Base(fpmCommand(p.t)) + ".out", "nginx.out"} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err == nil && len(text) > 0 {
			fmt.Fprintf(&all, "%s:\n%s\n", name, text[max(0, len(text)-2000):])
		}
	}
	return all.String()
}

// An answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (p *platform) ask(method, path, token, body string) (answer, error) {
	return ask(p.url, method, path, token, body, nil)
}

// ask sends a request that edit has made another of.
func ask(url, method, path, token, body string, edit func(*http.Request)) (answer, error) {
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if edit != nil {
		edit(req)
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}
