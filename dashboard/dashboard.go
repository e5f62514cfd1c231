// Package dashboard serves the worker's admin pages: the asynq UI, and whether
// the worker is well.
//
// The asynq UI knows neither users nor forgery: this package keeps both out. It
// promises that no page loads anything from elsewhere, and that no page shows a
// phone number, because no task holds one.
package dashboard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config says who may see the pages, and what they show.
type Config struct {
	// Addr is where the pages are served, host:port. Anything but loopback needs
	// a password.
	Addr     string
	User     string // admin when empty
	Password string // none asked for when empty
	Redis    redis.UniversalClient
	Metrics  http.Handler // shown at /metrics
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
	pages := http.NewServeMux()
	pages.Handle("/queues/", queues(cfg.Redis))
	pages.Handle("/queues", http.RedirectHandler("/queues/", http.StatusFound))
	if cfg.Metrics != nil {
		pages.Handle("GET /metrics", cfg.Metrics)
	}
	pages.Handle("/{$}", http.RedirectHandler("/queues/", http.StatusFound))

	guarded := http.NewCrossOriginProtection().Handler(pages)
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
		if err := cfg.Redis.Ping(ctx).Err(); err != nil {
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

// onlyAsLoopback refuses requests under another name than this machine's own. A
// page elsewhere may have its name point here and then read what it likes (DNS
// rebinding); without a password nothing else would keep it out.
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

// withHeaders lets pages load from here only and keeps them out of frames.
// asynqmon has its scripts and styles in its page.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}
