// Package dashboard serves the worker's admin pages: the campaigns, live, with the
// actions on them; the asynq UI; and the worker's health.
//
// It promises that:
//   - a visitor needs the password; without a password, the pages answer this machine only,
//   - another site cannot make a browser act here,
//   - a page loads nothing from other sites,
//   - phone numbers never stand in addresses, so they reach no log and no history,
//   - whatever comes from a contact list is shown as text, never as markup.
//
// The pages decide nothing. They ask packages report, jobs and launch.
package dashboard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
)

// Config says who may see the pages and what they show.
type Config struct {
	// Addr is the address to serve at, host:port. Any but a loopback address needs a
	// password.
	Addr     string
	User     string // admin when empty
	Password string // empty: no password
	Store    *store.Store
	Metrics  http.Handler // served at /metrics

	// Agents are those of this worker. The pages can launch campaigns for them.
	Agents     map[string]launch.Launcher
	Channels   []Channel
	WebhookURL string       // for campaigns launched here; see campaign.Settings
	KeepDays   int          // likewise; 0: until somebody purges them
	Logger     *slog.Logger // discards when nil
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
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	rdb := cfg.Store.Redis()
	mux := http.NewServeMux()
	mux.Handle("/queues/", withPolicy(queuesPolicy, queues(rdb)))
	mux.Handle("/queues", http.RedirectHandler("/queues/", http.StatusFound))
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	mux.Handle("/", withPolicy(pagesPolicy, newPages(cfg).routes()))

	guarded := http.NewCrossOriginProtection().Handler(mux)
	if cfg.Password != "" {
		guarded = withPassword(cfg.User, cfg.Password, guarded)
	} else {
		guarded = onlyAsLoopback(guarded)
	}

	all := http.NewServeMux()
	all.Handle("/", withHeaders(guarded))
	all.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	all.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
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
	})
	return all, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// withPassword asks for a user and password. Both are compared in constant time.
func withPassword(user, password string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(user + "\x00" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		have := sha256.Sum256([]byte(u + "\x00" + p))
		if subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="campaign runner", charset="UTF-8"`)
			http.Error(w, "user and password, please", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// onlyAsLoopback refuses requests for any host but this machine. Another site could point
// its name here and read the pages (DNS rebinding); without a password nothing else
// stops it.
func onlyAsLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "use http://localhost, or set ADMIN_PASSWORD", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Policies of what pages may load and run. asynqmon needs inline scripts and styles. Our
// pages have none, so that text which slips through as markup does nothing.
const (
	pagesPolicy  = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	queuesPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)

func withPolicy(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		next.ServeHTTP(w, r)
	})
}

// withHeaders keeps pages out of frames and their addresses from other sites.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
