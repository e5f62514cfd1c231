package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// hostOf is the host of host:port, or of a host alone.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
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

// onlyFromHere refuses requests for any host but this machine, and those that a proxy
// has passed on. Another site could point its name here and read the pages (DNS
// rebinding), and behind a proxy everybody asks from this machine; without a password
// nothing else stops them.
func onlyFromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(hostOf(r.Host)) {
			http.Error(w, "use http://localhost, or set ADMIN_PASSWORD", http.StatusForbidden)
			return
		}
		if sign := passedOn(r); sign != "" {
			http.Error(w, "this request came through a proxy ("+sign+"), and these pages have no password: set ADMIN_PASSWORD", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Headers that proxies add, in lower case, and how such names begin: everything with X-,
// but for what scripts of pages and Prometheus send. Browsers and curl send none of them.
var (
	proxyHeaders = []string{
		"forwarded", "via", "cdn-loop", "client-ip", "true-client-ip", "proxy-client-ip", "remote-addr", "ali-cdn-real-ip", "incap-client-ip",
	}
	proxyPrefixes = []string{"x-", "cf-", "cloudfront-", "fastly-", "fly-", "akamai-", "wl-proxy-"}
	ownHeaders    = []string{"x-requested-with", "x-xsrf-token", "x-csrf-token", "x-moz", "x-purpose"}
	ownPrefix     = "x-prometheus-"
)

// passedOn says by what a request shows that a proxy has passed it on; empty: nothing
// shows it. A proxy that adds no header often speaks HTTP/1.0, as nginx does unless
// told otherwise, or leaves a browser's word for which site its visitor sees.
func passedOn(r *http.Request) string {
	for name := range r.Header {
		lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if slices.Contains(ownHeaders, lower) || strings.HasPrefix(lower, ownPrefix) {
			continue
		}
		if slices.Contains(proxyHeaders, lower) || slices.ContainsFunc(proxyPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }) {
			return "header " + name
		}
	}
	if !r.ProtoAtLeast(1, 1) {
		return "HTTP/1.0"
	}
	for _, name := range []string{"Origin", "Referer"} {
		seen, err := url.Parse(r.Header.Get(name))
		own := name == "Origin" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
		if err == nil && own && seen.Host != "" && !isLoopback(seen.Hostname()) {
			return name + " of another machine"
		}
	}
	return ""
}

// behind believes a trusted proxy which host its visitor asked for.
func behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		trusted := err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
		if said := r.Header.Values("X-Forwarded-Host"); trusted && len(said) > 0 {
			hosts := strings.Split(said[len(said)-1], ",")
			r.Host = strings.TrimSpace(hosts[len(hosts)-1]) // the proxy's own word stands last
		}
		next.ServeHTTP(w, r)
	})
}

// onlyOwnForms refuses what another site makes a browser send.
func onlyOwnForms(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := "refused: another site asks for this"
		if from, err := url.Parse(r.Header.Get("Origin")); err == nil && from.Host != "" && r.Header.Get("Sec-Fetch-Site") == "" {
			text = fmt.Sprintf("refused: the form is one of %q, and this worker was asked for %q. If a proxy stands in between, let it pass the name on "+
				"(nginx: proxy_set_header Host $http_host), or send it as X-Forwarded-Host and name the proxy with --trusted-proxy", from.Host, r.Host)
		}
		http.Error(w, text, http.StatusForbidden)
	}))
	return protection.Handler(next)
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
