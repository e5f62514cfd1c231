// Package dashboard serves the worker's admin pages: the campaigns, live, with the
// actions on them; the asynq UI; and the worker's health.
//
// It promises that:
//   - a visitor signs in, or has the password; without users and a password, the pages
//     answer this machine only,
//   - nobody does or sees what their role does not allow: every address has a least role, and
//     what a viewer gets is made of types that hold nothing of a person,
//   - another site cannot make a browser act here,
//   - a page loads nothing from other sites,
//   - phone numbers never stand in addresses, so they reach no log and no history,
//   - whatever comes from a contact list is shown as text, never as markup.
//
// The pages decide nothing. They ask packages report, jobs and launch.
package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
)

// Config says who may see the pages and what they show.
type Config struct {
	// Addr is the address to serve at, host:port. Any but a loopback address needs a
	// password.
	Addr     string
	User     string // admin when empty
	Password string // empty: no password
	// BasePath is the path below which a proxy serves the pages, as /campaigns; empty:
	// the root. /metrics, /healthz and /readyz stay at the root.
	BasePath string
	// TrustedProxies are believed which host was asked for, by whom and how. They need a
	// password.
	TrustedProxies []netip.Prefix
	Store          *store.Store
	Metrics        http.Handler // served at /metrics
	// Stall is how long the body of a request may stand still on its way; 15 s.
	Stall time.Duration

	// Agents are those of this worker. The pages can launch campaigns for them.
	Agents     map[string]launch.Launcher
	Channels   []Channel
	WebhookURL string         // for campaigns launched here; see campaign.Settings
	Defaults   campaign.Given // of settings whose fields are left empty, as the installation has them
	Logger     *slog.Logger   // discards when nil

	// SignIn is told what became of each try to come in: one of SignInResults.
	SignIn func(result string)
}

// A Channel is a way to talk to people, by the platform's id.
type Channel struct {
	Name string
	ID   int
}

// New returns the admin pages.
func New(cfg Config) (http.Handler, error) {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: want host:port", cfg.Addr)
	}
	if !isLoopback(host) && cfg.Password == "" {
		return nil, errors.New("admin address " + cfg.Addr + " is open to other machines: set ADMIN_PASSWORD, or use 127.0.0.1")
	}
	if cfg.User == "" {
		cfg.User = "admin"
	}
	if cfg.Stall == 0 {
		cfg.Stall = stallAfter
	}
	if cfg.SignIn == nil {
		cfg.SignIn = func(string) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.BasePath, err = basePath(cfg.BasePath); err != nil {
		return nil, err
	}
	if len(cfg.TrustedProxies) > 0 && cfg.Password == "" {
		return nil, errors.New("a trusted proxy needs ADMIN_PASSWORD: without one, nothing that a proxy passes on is answered")
	}
	rs := newRoutes(cfg)
	return withHeaders(behind(cfg.TrustedProxies, onlyOwnForms(rs.mux))), nil
}

// newRoutes are all addresses.
func newRoutes(cfg Config) *routes {
	base, p := cfg.BasePath, newPages(cfg)
	rs := &routes{gate: p.gate, mux: http.NewServeMux()}
	rs.on("GET /healthz", anybody, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }))
	rs.on("GET /readyz", anybody, http.HandlerFunc(cfg.ready))
	if cfg.Metrics != nil {
		rs.on("GET /metrics", users.Viewer, cfg.Metrics)
	}
	if base != "" {
		rs.on("GET /{$}", users.Nobody, http.RedirectHandler(base+"/", http.StatusFound))
	}
	p.queues(rs)
	p.routes(rs)
	return rs
}

func (cfg Config) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := cfg.Store.CheckWrites(ctx)
	if refused := store.NoWrites(err); refused != nil {
		http.Error(w, refused.Error(), http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		http.Error(w, "redis does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

var basePaths = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// basePath is a path as it stands before others: with a slash at its beginning and none
// at its end; empty for the root.
func basePath(text string) (string, error) {
	path := strings.TrimRight(text, "/")
	if path != "" && path[0] != '/' {
		path = "/" + path
	}
	if !basePaths.MatchString(path) {
		return "", fmt.Errorf("base path %q: want something like /campaigns", text)
	}
	return path, nil
}
