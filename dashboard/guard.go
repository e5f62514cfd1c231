package dashboard

import (
	"context"
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

// fromHere refuses requests for any host but this machine, and those that a proxy has
// passed on. Another site could point its name here and read the pages (DNS rebinding), and
// behind a proxy everybody asks from this machine; without users or a password nothing else
// stops them.
func fromHere(r *http.Request) error {
	if !isLoopback(hostOf(r.Host)) {
		return &shutError{status: http.StatusForbidden, text: "use http://localhost, set ADMIN_PASSWORD, or add users"}
	}
	if sign := passedOn(r); sign != "" {
		return &shutError{status: http.StatusForbidden, text: "this request came through a proxy (" + sign + "), and these pages ask nobody to sign in: set ADMIN_PASSWORD, or add users"}
	}
	return nil
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

type secureKey struct{}

// isSecure reports whether the browser speaks TLS, to us or to a trusted proxy.
func isSecure(r *http.Request) bool { return r.TLS != nil || r.Context().Value(secureKey{}) != nil }

// behind believes a trusted proxy which host its visitor asked for, from which address, and
// whether by TLS.
func behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	trusted := func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !trusted(peer.Addr()) {
			next.ServeHTTP(w, r)
			return
		}
		if host := lastWord(r, "X-Forwarded-Host"); host != "" {
			r.Host = host
		}
		if strings.EqualFold(lastWord(r, "X-Forwarded-Proto"), "https") {
			r = r.WithContext(context.WithValue(r.Context(), secureKey{}, true))
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) { // the last one that is no trusted proxy itself
			addr, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			if r.RemoteAddr = netip.AddrPortFrom(addr, 0).String(); !trusted(addr) {
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}

// lastWord is what the proxy that speaks to us has said in a header: its own word stands
// last.
func lastWord(r *http.Request, header string) string {
	said := r.Header.Values(header)
	if len(said) == 0 {
		return ""
	}
	words := strings.Split(said[len(said)-1], ",")
	return strings.TrimSpace(words[len(words)-1])
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
