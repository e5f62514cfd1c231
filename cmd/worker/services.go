package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
	"campaign-runner/jobs/events"
	"campaign-runner/jobs/notify"
	"campaign-runner/jobs/tickets"
	"campaign-runner/jobs/webhook"
)

// services are the parts of a worker, which run side by side.
type services struct {
	store    *store.Store
	worker   *jobs.Worker
	applier  *events.Applier
	maker    *tickets.Maker   // nil without VELENTS_SUPPORT_TOKEN
	notifier *notify.Notifier // nil without NOTIFY_URL
	pages    net.Listener
	admin    *http.Server
	events   net.Listener // nil without --webhook-addr
	inbox    *http.Server
	log      *slog.Logger
}

// open opens the ports of the pages and of the inbox.
func (o options) open(ctx context.Context, s *services, pages http.Handler, inbox *webhook.Inbox, agents int) (err error) {
	forPages, forInbox := pageBounds, inboxBounds
	listeners := []*bounds{&forPages}
	if o.webhookAddr != "" {
		listeners = append(listeners, &forInbox)
	}
	limit := descriptors()
	if missing := fit(limit, agents, o.concurrency, listeners...); missing > 0 {
		s.log.WarnContext(ctx, "this worker may open few files and connections: raise the limit (ulimit -n), or sending may stand still while the pages or the inbox are in use", "limit", limit, "wanted", limit+uint64(missing))
	}
	s.admin = forPages.server(pages, s.log)
	scheme := "http://"
	if o.tlsCert != "" {
		scheme = "https://"
		if s.admin.TLSConfig, err = tlsConfig(o.tlsCert, o.tlsKey, s.log); err != nil {
			return cli.Usagef("--admin-tls-cert, --admin-tls-key: %w", err)
		}
	}
	if s.pages, err = forPages.listen(o.adminAddr); err != nil {
		return cli.NotListening("admin pages", "--admin-addr", err)
	}
	s.log.InfoContext(ctx, "admin pages", "url", strings.TrimRight(scheme+s.pages.Addr().String()+"/"+strings.Trim(o.basePath, "/"), "/"))
	if o.webhookAddr == "" {
		return nil
	}
	if s.events, err = forInbox.listen(o.webhookAddr); err != nil {
		s.pages.Close()
		return cli.NotListening("webhook inbox", "--webhook-addr", err)
	}
	s.inbox = forInbox.server(inbox, s.log)
	s.log.InfoContext(ctx, "webhook inbox", "url", "http://"+s.events.Addr().String()+webhook.Path)
	return nil
}

// run runs the parts until ctx is over or one of them fails.
func (s *services) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, stopping)
	if s.inbox != nil {
		g.Go(func() error { return serve(ctx, "webhook inbox", s.events, s.inbox) })
	}
	// A stop does not wait for what these have in hand: other workers take it up.
	var others sync.WaitGroup
	others.Go(func() { s.applier.Run(ctx) })
	if s.maker != nil {
		g.Go(func() error { s.maker.Run(ctx); return nil })
	}
	if s.notifier != nil {
		others.Go(func() { s.notifier.Run(ctx) })
	}
	g.Go(func() error { return s.worker.Run(ctx) })
	g.Go(func() error { watchClock(ctx, s.store, s.log); return nil })
	g.Go(func() error {
		s.admin.BaseContext = func(net.Listener) context.Context { return ctx } // streams to open pages end with it
		return serve(ctx, "admin pages", s.pages, s.admin)
	})
	err := g.Wait()
	ended := make(chan struct{})
	go func() { defer close(ended); others.Wait() }()
	select {
	case <-ended:
	case <-time.After(othersWithin):
		s.log.WarnContext(ctx, "events or notices are left as they are: Redis does not answer; other workers take them up")
	}
	return err
}

// othersWithin is how long a stop waits for events and notices once all answers are
// written down.
const othersWithin = 2 * time.Second

const (
	clockEvery = time.Minute
	// clockApart is how far the clocks of Redis and of this machine may be apart
	// before a person should know: hours and limits go by Redis's clock, logs and
	// what people type by this machine's.
	clockApart = 5 * time.Second
)

// watchClock warns when this machine's clock and Redis's begin to differ, and says
// when they agree again.
func watchClock(ctx context.Context, st *store.Store, log *slog.Logger) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	apart := false
	for {
		ahead, giveOrTake, err := st.ClockAhead(ctx)
		switch differ := ahead.Abs()-giveOrTake > clockApart; {
		case err != nil: // others log that Redis does not answer
		case differ && !apart:
			log.WarnContext(ctx, "the clocks of Redis and of this machine differ: set both by NTP; hours, limits and starts go by that of Redis", "redis_ahead", ahead.Round(time.Millisecond))
			apart = true
		case !differ && apart:
			log.InfoContext(ctx, "the clocks of Redis and of this machine agree again")
			apart = false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// embedRedis runs a Redis in this process at the address of a redis:// URL, so
// that a first try needs nothing but this program.
func embedRedis(redisURL string) (stop func(), err error) {
	u, err := url.Parse(redisURL)
	if err != nil || u.Scheme != "redis" || u.Host == "" || strings.Contains(u.Host, ",") {
		return nil, cli.Usagef("--embedded-redis: REDIS_URL must be redis://127.0.0.1:PORT/DB")
	}
	host, port := u.Hostname(), u.Port()
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, cli.Usagef("--embedded-redis: REDIS_URL must be on this machine: redis://127.0.0.1:PORT/DB")
	}
	if port == "" {
		port = "6379"
	}
	m := miniredis.NewMiniRedis()
	if password, ok := u.User.Password(); ok {
		m.RequireAuth(password)
	}
	if err := m.StartAddr(net.JoinHostPort(host, port)); err != nil {
		return nil, cli.NotListening("embedded redis", "REDIS_URL", err)
	}
	// miniredis expires keys only when its clock is moved on.
	tick, done := time.NewTicker(time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				m.FastForward(time.Second)
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done); m.Close() }, nil
}
