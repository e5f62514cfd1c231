package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

// env is an environment for a command.
type env map[string]string

func (e env) get(key string) string { return e[key] }

func (e env) all() []string {
	var all []string
	for key, value := range e {
		all = append(all, key+"="+value)
	}
	return all
}

// A log is what a command prints, which others may wait for.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newLog() *log { return &log{more: make(chan struct{}, 1)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the log has a match of the pattern.
func (l *log) await(t *testing.T, pattern string) []string {
	t.Helper()
	for re := regexp.MustCompile(pattern); ; {
		if match := re.FindStringSubmatch(l.String()); match != nil {
			return match
		}
		select {
		case <-l.more:
		case <-t.Context().Done():
			t.Fatalf("the log has no %s:\n%s", pattern, l)
		}
	}
}

// freePort is a port that nobody listened on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs the worker until the test ends or stop is called.
func start(t *testing.T, e env, args ...string) (out *log, stop func() error) {
	t.Helper()
	out = newLog()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- worker(e.all)(ctx, append(args, "--admin-addr", "127.0.0.1:0"), nil, io.Discard, out, e.get)
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return out, stop
}

func TestWorkerWithARedisInside(t *testing.T) {
	e := env{"VELENTS_TOKEN": "secret-token", "REDIS_URL": fmt.Sprintf("redis://:pass@127.0.0.1:%d/1", freePort(t))}
	out, stop := start(t, e, "--embedded-redis")
	url := out.await(t, `url=(http://\S+)`)[1]
	out.await(t, "worker started")
	for _, path := range []string{"/healthz", "/readyz", "/queues/", "/metrics"} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"EMBEDDED REDIS: nothing survives a restart", "agents=[default]", "worker stopping"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "secret-token") || strings.Contains(out.String(), "pass@") {
		t.Errorf("the log has a secret:\n%s", out)
	}
}

func TestWorkerTakesEventsAndAppliesThem(t *testing.T) {
	for name, args := range map[string][]string{"redis": nil, "a Redis inside": {"--embedded-redis"}} {
		t.Run(name, func(t *testing.T) {
			e := env{"VELENTS_TOKEN": "a", "WEBHOOK_SECRET": "secret", "VELENTS_WEBHOOK_AUTH": "key", "WEBHOOK_ADDR": "127.0.0.1:0"}
			if args == nil {
				e["REDIS_URL"] = redistest.Start(t).URL()
			} else {
				e["REDIS_URL"] = fmt.Sprintf("redis://127.0.0.1:%d", freePort(t))
			}
			out, stop := start(t, e, args...)
			admin := out.await(t, `admin pages" url=(http://\S+)`)[1]
			inbox := out.await(t, `webhook inbox" url=(http://\S+)/webhooks/velents`)[1]
			out.await(t, "worker started")
			link := webhook.Link(inbox, "secret", webhook.Target{Campaign: "nobody"})
			for _, tt := range []struct {
				link, key string
				want      int
			}{
				{link, "key", http.StatusNoContent},
				{link, "", http.StatusUnauthorized},
				{link + "0", "key", http.StatusUnauthorized},
			} {
				req, err := http.NewRequestWithContext(t.Context(), "POST", tt.link, strings.NewReader(`{"event":{"type":"onStarted"},"conversation":{"phone":"+966500000001"}}`))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("x-velents-authorization", tt.key)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != tt.want {
					t.Errorf("%s with key %q: %d, want %d", tt.link, tt.key, res.StatusCode, tt.want)
				}
			}
			for page := ""; !strings.Contains(page, `campaign_runner_events_total{result="unmatched"} 1`); {
				res, err := http.Get(admin + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				page = string(text)
				if !strings.Contains(page, `campaign_runner_events_received_total{status="401"} 2`) {
					t.Fatalf("refused events are not counted:\n%s", page)
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if strings.Contains(out.String(), "not applied") || strings.Contains(out.String(), "966500000001") {
				t.Errorf("the log:\n%s", out)
			}
		})
	}
}

func TestWorkerServesTheAgentsThatHaveATokenOrAreNamed(t *testing.T) {
	redis := redistest.Start(t)
	e := env{"VELENTS_TOKEN": "a", "VELENTS_TOKEN_SALES_KSA": "b", "REDIS_URL": redis.URL()}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"all that have a token", nil, `agents="\[default sales-ksa\]"`},
		{"one that is named, in any spelling", []string{"--agents", "Sales_KSA"}, `agents=\[sales-ksa\]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := start(t, e, tt.args...)
			out.await(t, tt.want)
		})
	}
}

func TestWorkerWarnsOfARedisThatMayForget(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings []string
		want     []string
	}{
		{"as it comes", nil, []string{"appendonly no, not yes"}},
		{"written once a second", []string{"--appendonly", "yes"}, []string{"appendfsync everysec, not always"}},
		{"that throws away", []string{"--maxmemory-policy", "allkeys-lru", "--appendonly", "yes", "--appendfsync", "always"}, []string{"maxmemory-policy allkeys-lru, not noeviction"}},
		{"as documented", []string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redis := redistest.Start(t, tt.settings...)
			out, stop := start(t, env{"VELENTS_TOKEN": "a", "REDIS_URL": redis.URL()})
			out.await(t, "worker started")
			if err := stop(); err != nil {
				t.Error(err)
			}
			if got := strings.Count(out.String(), "Redis has "); got != len(tt.want) {
				t.Errorf("%d warnings, want %d:\n%s", got, len(tt.want), out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, out)
				}
			}
		})
	}
}

func TestBadCallsGetOneLine(t *testing.T) {
	redis, foreign := redistest.Start(t), redistest.Start(t)
	if err := foreign.Client().LPush(t.Context(), "workers", "somebody's").Err(); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := env{"VELENTS_TOKEN": "secret-token", "REDIS_URL": redis.URL()}
	for _, tt := range []struct {
		name string
		env  env
		args []string
		code int
		want string
	}{
		{"no token", env{"VELENTS_TOKEN": ""}, nil, 2, "VELENTS_TOKEN is not set"},
		{"no token for an agent", nil, []string{"--agents", "sales"}, 2, "VELENTS_TOKEN_SALES is not set"},
		{"a bad agent", nil, []string{"--agents", "a b"}, 2, "--agents: agent: want"},
		{"an unknown flag", nil, []string{"--nope"}, 2, "unknown flag"},
		{"an argument", nil, []string{"now"}, 2, "unknown command"},
		{"a bad rate", nil, []string{"--rate", "fast"}, 2, "--rate"},
		{"a bad share", nil, []string{"--quota-share", "2"}, 2, "share"},
		{"a bad platform", env{"VELENTS_URL": "ftp://x"}, nil, 2, "VELENTS_URL"},
		{"a bad log format", nil, []string{"--log-format", "xml"}, 2, "--log-format"},
		{"a bad log level", nil, []string{"--log-level", "loud"}, 2, "--log-level"},
		{"no concurrency", nil, []string{"--concurrency", "0"}, 2, "--concurrency"},
		{"a bad Redis address", env{"REDIS_URL": "nonsense"}, nil, 2, "REDIS_URL"},
		{"a Redis of another program", env{"REDIS_URL": foreign.URL()}, nil, 1, "the key \"workers\" is not this program's"},
		{"Redis down", env{"REDIS_URL": fmt.Sprintf("redis://127.0.0.1:%d", freePort(t))}, nil, 1, "connection refused"},
		{"a Redis inside, elsewhere", env{"REDIS_URL": "redis://192.0.2.1:6379"}, []string{"--embedded-redis"}, 2, "must be on this machine"},
		{"a Redis inside, of another kind", env{"REDIS_URL": "rediss://127.0.0.1:6379"}, []string{"--embedded-redis"}, 2, "redis://127.0.0.1:PORT/DB"},
		{"a Redis inside, where there is one", nil, []string{"--embedded-redis"}, 1, "name another port with REDIS_URL"},
		{"admin pages for everybody", nil, []string{"--admin-addr", ":8080"}, 2, "set ADMIN_PASSWORD"},
		{"admin pages for everybody, by the environment", env{"ADMIN_ADDR": ":8080"}, nil, 2, "set ADMIN_PASSWORD"},
		{"admin pages at no port", nil, []string{"--admin-addr", "127.0.0.1:99999"}, 2, `--admin-addr "127.0.0.1:99999": want HOST:PORT`},
		{"events at no port", env{"WEBHOOK_SECRET": "s", "WEBHOOK_ADDR": "127.0.0.1"}, []string{"--admin-addr", "127.0.0.1:0"}, 2, `WEBHOOK_ADDR "127.0.0.1": want HOST:PORT`},
		{"an address for notices that is none", env{"NOTIFY_URL": "hooks.example.org/secret"}, []string{"--admin-addr", "127.0.0.1:0"}, 2, "NOTIFY_URL: want http:// or https:// and a host"},
		{"events without a secret", nil, []string{"--webhook-addr", "127.0.0.1:0"}, 2, "set WEBHOOK_SECRET"},
		{"events where something is", env{"WEBHOOK_SECRET": "s"}, []string{"--webhook-addr", taken.Addr().String(), "--admin-addr", "127.0.0.1:0"}, 1, "name another port with --webhook-addr"},
		{"a base path that is none", nil, []string{"--base-path", "/a b"}, 2, "base path"},
		{"a proxy that is no address", nil, []string{"--trusted-proxy", "proxy.example.org"}, 2, "want an address or a network"},
		{"a trusted proxy without a password", nil, []string{"--trusted-proxy", "127.0.0.1"}, 2, "needs ADMIN_PASSWORD"},
		{"a certificate without its key", nil, []string{"--admin-tls-cert", "cert.pem"}, 2, "give both"},
		{"a certificate that is none", nil, []string{"--admin-tls-cert", "worker_test.go", "--admin-tls-key", "worker_test.go", "--admin-addr", "127.0.0.1:0"}, 2, "--admin-tls-cert"},
		{"admin pages where something is", nil, []string{"--admin-addr", taken.Addr().String()}, 1, "address already in use: stop what listens there, or name another port with --admin-addr"},
		{"events at the address of another machine", env{"WEBHOOK_SECRET": "s"}, []string{"--webhook-addr", "192.0.2.1:0", "--admin-addr", "127.0.0.1:0"}, 2, "name an address of this machine with --webhook-addr"},
		{"a token that is no agent's", env{"VELENTS_TOKEN_sales": "secret-token"}, nil, 2, "the token of the agent 'sales' is in VELENTS_TOKEN_SALES"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := env{}
			for _, from := range []env{good, tt.env} {
				for key, value := range from {
					e[key] = value
				}
			}
			var out, errs bytes.Buffer
			err := worker(e.all)(t.Context(), tt.args, nil, &out, &errs, e.get)
			if code := cli.ExitCode(err); err == nil || code != tt.code || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("exit %d: %v; want %d and %q", code, err, tt.code, tt.want)
			}
			if strings.Contains(errs.String(), "secret-token") || strings.Contains(fmt.Sprint(err), "secret-token") {
				t.Error("the token is told")
			}
		})
	}
}
