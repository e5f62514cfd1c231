package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"campaign-runner/cmd/internal/cli"
)

// shortSecret is the length in bytes below which a secret can be guessed. Tokens are
// made by the platform, and are not asked about.
const shortSecret = 12

// warnings says which secrets are missing or weak, one line each.
func (o options) warnings(getenv func(string) string) (lines []string) {
	for _, s := range []cli.Setting{cli.AdminPassword, cli.WebhookSecret, cli.WebhookPrevious, cli.WebhookAuth} {
		if value := s.Get(getenv); value != "" && len(value) < shortSecret {
			lines = append(lines, fmt.Sprintf("%s has fewer than %d characters: it can be guessed, and the next major version refuses it", s.Variable, shortSecret))
		}
	}
	if o.webhookAddr != "" && cli.WebhookAuth.Get(getenv) == "" {
		lines = append(lines, cli.WebhookAuth.Variable+" is not set: a link is all it takes to post events; set it here and in the platform's dashboard")
	}
	if host, _, err := net.SplitHostPort(o.adminAddr); err == nil && o.tlsCert == "" && len(o.proxies) == 0 && cli.AdminPassword.Get(getenv) != "" {
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			lines = append(lines, "the admin pages are open to other machines without TLS: everybody on the way can read "+cli.AdminPassword.Variable+"; see --admin-tls-cert, or put a proxy with TLS before them")
		}
	}
	return lines
}

// A proxyList is a flag: addresses and networks, separated by commas.
type proxyList []netip.Prefix

func (l *proxyList) Set(text string) error {
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		prefix, err := netip.ParsePrefix(part)
		if addr, bad := netip.ParseAddr(part); bad == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q: want an address or a network, as 10.0.0.5 or 10.0.0.0/24", part)
		}
		*l = append(*l, prefix)
	}
	return nil
}

func (l *proxyList) String() string { return "" }

func (l *proxyList) Type() string { return "address,…" }
