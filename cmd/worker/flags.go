package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/pflag"

	"campaign-runner/cmd/internal/cli"
	"campaign-runner/dashboard"
)

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringSliceVar(&o.agents, "agents", nil, "`AGENTS` to serve; all that have a token when not given")
	flags.Var(&o.rate, "rate", "requests per window, as a `RATE` such as 30/60s, while the platform sends no limit headers, or none")
	cli.Bind(flags, "rate", "VELENTS_RATE")
	flags.Float64Var(&o.share, "quota-share", 1, "`PART` of each token's quota to use; less leaves room for other systems on it")
	cli.Bind(flags, "quota-share", "VELENTS_QUOTA_SHARE")
	cli.Check(flags, "quota-share", func() error { return want(o.share > 0 && o.share <= 1, "above 0 up to 1") })
	flags.StringVar(&o.adminAddr, "admin-addr", "127.0.0.1:8080", "`ADDRESS` at which the admin pages are served")
	cli.Bind(flags, "admin-addr", "ADMIN_ADDR")
	cli.Check(flags, "admin-addr", func() error { return checkListen(o.adminAddr) })
	flags.StringVar(&o.basePath, "base-path", "", "`PATH` below which a proxy serves the admin pages, as /campaigns; the root when not given")
	cli.Bind(flags, "base-path", "ADMIN_BASE_PATH")
	cli.Check(flags, "base-path", func() error { return dashboard.CheckBasePath(o.basePath) })
	flags.Var((*proxyList)(&o.proxies), "trusted-proxy", "`ADDRESSES` of proxies, as 10.0.0.5 or 10.0.0.0/24, whose X-Forwarded-For, -Host and -Proto are believed")
	cli.Bind(flags, "trusted-proxy", "ADMIN_TRUSTED_PROXY")
	flags.StringVar(&o.tlsCert, "admin-tls-cert", "", "certificate `FILE`, with its chain, to serve the admin pages by TLS; read again when it changes")
	cli.Bind(flags, "admin-tls-cert", "ADMIN_TLS_CERT")
	flags.StringVar(&o.tlsKey, "admin-tls-key", "", "`FILE` of its key")
	cli.Bind(flags, "admin-tls-key", "ADMIN_TLS_KEY")
	flags.StringVar(&o.webhookAddr, "webhook-addr", "", "`ADDRESS` at which the platform's events are received, as :8081; nowhere when not given")
	cli.Bind(flags, "webhook-addr", "WEBHOOK_ADDR")
	cli.Check(flags, "webhook-addr", func() error { return checkListen(o.webhookAddr) })
	flags.BoolVar(&o.embedded, "embedded-redis", false, "run a Redis inside, at the address of REDIS_URL; nothing survives a restart")
	flags.IntVar(&o.concurrency, "concurrency", 4, "`CHUNKS` per agent in hand at once; the quota sets the pace")
	cli.Check(flags, "concurrency", func() error { return want(o.concurrency > 0, "at least 1") })
	flags.DurationVar(&o.timeout, "request-timeout", time.Minute, "longest `TIME` to wait for an answer of the platform")
	cli.Check(flags, "request-timeout", func() error { return want(o.timeout >= time.Second, "at least 1s") })
	flags.IntVar(&o.replicas, "wait-replicas", 0, "`REPLICAS` of Redis that must have what is written before a request leaves")
	cli.Bind(flags, "wait-replicas", "REDIS_WAIT_REPLICAS")
	cli.Check(flags, "wait-replicas", func() error { return want(o.replicas >= 0, "at least 0") })
	flags.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log: text or json")
	cli.Bind(flags, "log-format", "LOG_FORMAT")
	cli.Check(flags, "log-format", func() error { return want(o.logFormat == "text" || o.logFormat == "json", "text or json") })
	flags.Var((*level)(&o.logLevel), "log-level", "least `LEVEL` that is logged: debug, info, warn or error")
	cli.Bind(flags, "log-level", "LOG_LEVEL")
}

// want is an error that says what a flag takes, unless its value is good.
func want(good bool, what string) error {
	if good {
		return nil
	}
	return errors.New("want " + what)
}

// checkListen refuses what cannot be an address to listen at; none is one.
func checkListen(address string) error {
	if address == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return want(err == nil, "HOST:PORT, as 127.0.0.1:8080, or :8080 for all addresses of this machine")
}

// A level is a flag: the least level that is logged.
type level slog.Level

func (l *level) Set(text string) error {
	return want((*slog.Level)(l).UnmarshalText([]byte(text)) == nil, "debug, info, warn or error")
}

func (l *level) String() string { return fmt.Sprint(slog.Level(*l)) }

func (l *level) Type() string { return "level" }
