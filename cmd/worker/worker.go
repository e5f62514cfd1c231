package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/dashboard"
	"campaign-runner/jobs"
	"campaign-runner/jobs/events"
	"campaign-runner/jobs/metrics"
	"campaign-runner/jobs/notify"
	"campaign-runner/jobs/tickets"
	"campaign-runner/jobs/webhook"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

var (
	adminUser     = cli.Setting{Variable: "ADMIN_USER", Default: "admin", Help: "user of the admin pages"}
	adminPassword = cli.Setting{Variable: "ADMIN_PASSWORD", Help: "password of the admin pages; required unless they are on loopback"}
	webhookSecret = cli.Setting{Variable: "WEBHOOK_SECRET", Help: "signs the links at which the platform posts events; none: no events"}
	notifyURL     = cli.Setting{Variable: "NOTIFY_URL", Help: "address that is told, as JSON by POST, when a campaign pauses, waits to be started, is canceled or has finished; none: nobody is"}
	webhookAuth   = cli.Setting{Variable: "VELENTS_WEBHOOK_AUTH", Help: "what the platform sends with events as x-velents-authorization; none: not asked for"}
)

type options struct {
	agents      []string
	rate        ratelimit.Rate
	share       float64
	adminAddr   string
	webhookAddr string
	embedded    bool
	concurrency int
	replicas    int
	timeout     time.Duration
	logFormat   string
	logLevel    slog.Level
}

// worker is the command; environ is where it looks for tokens.
func worker(environ func() []string) cli.Run {
	return func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error {
		var o options
		cmd := &cobra.Command{
			Use:   "worker",
			Short: "Send campaigns to the platform and serve the admin pages",
			Long: "Sends the contacts of running campaigns to the platform, as fast as the quota of each\n" +
				"agent's token allows, until it is stopped. The first Ctrl-C, SIGTERM or SIGHUP lets\n" +
				"requests on their way get their answers; a second one ends at once.",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return o.run(cmd.Context(), environ(), stderr, getenv)
			},
		}
		flags := cmd.Flags()
		flags.SortFlags = false
		flags.StringSliceVar(&o.agents, "agents", nil, "agents to serve; all that have a token when not given")
		flags.Var(&o.rate, "rate", "requests per window while the platform sends no limit headers, or none")
		cli.Bind(flags, "rate", "VELENTS_RATE")
		flags.Float64Var(&o.share, "quota-share", 1, "part of each token's quota to use; less leaves room for other systems on it")
		cli.Bind(flags, "quota-share", "VELENTS_QUOTA_SHARE")
		flags.StringVar(&o.adminAddr, "admin-addr", "127.0.0.1:8080", "where the admin pages are served")
		flags.StringVar(&o.webhookAddr, "webhook-addr", "", "where the platform's events are received, as :8081; nowhere when not given")
		cli.Bind(flags, "webhook-addr", "WEBHOOK_ADDR")
		flags.BoolVar(&o.embedded, "embedded-redis", false, "run a Redis inside, at the address of REDIS_URL; nothing survives a restart")
		flags.IntVar(&o.concurrency, "concurrency", 4, "chunks per agent in hand at once; the quota sets the pace")
		flags.DurationVar(&o.timeout, "request-timeout", time.Minute, "longest wait for an answer of the platform")
		flags.IntVar(&o.replicas, "wait-replicas", 0, "replicas of Redis that must have what is written before a request leaves")
		cli.Bind(flags, "wait-replicas", "REDIS_WAIT_REPLICAS")
		flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
		flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
		cli.Document(cmd, cli.RedisURL, cli.PlatformURL, cli.AgentToken, cli.SupportToken, webhookSecret, webhookAuth, notifyURL, adminUser, adminPassword, cli.WebhookURL, cli.WhatsappChannel)
		return cli.Execute(ctx, cmd, args, stdin, stdout, stderr, getenv)
	}
}

func (o options) run(ctx context.Context, environ []string, stderr io.Writer, getenv func(string) string) error {
	log, err := o.logger(stderr)
	if err != nil {
		return err
	}
	tokens, err := o.tokens(environ, getenv)
	if err != nil {
		return err
	}
	if o.concurrency < 1 || o.timeout < time.Second || o.replicas < 0 {
		return cli.Usagef("--concurrency, --request-timeout and --wait-replicas: want at least 1, 1s and 0")
	}
	if o.webhookAddr != "" && webhookSecret.Get(getenv) == "" {
		return cli.Usagef("--webhook-addr: set WEBHOOK_SECRET, which signs the links")
	}
	if o.embedded {
		stop, err := embedRedis(cli.RedisURL.Get(getenv))
		if err != nil {
			return err
		}
		defer stop()
		log.WarnContext(ctx, "EMBEDDED REDIS: nothing survives a restart of this worker; never use it for real campaigns")
	}
	rdb, err := cli.OpenRedis(ctx, getenv)
	if err != nil {
		return err
	}
	// Never closed: a stop without Redis leaves asynq's servers behind, and the subscriber
	// of v0.26 panics when its client is closed. All of it ends with the process.
	if !o.embedded {
		for _, warning := range store.DurabilityWarnings(ctx, rdb) {
			log.WarnContext(ctx, warning)
		}
	}

	st := store.New(rdb)
	st.WaitForReplicas(o.replicas)
	var notifier *notify.Notifier
	if address := notifyURL.Get(getenv); address != "" {
		if notifier, err = notify.New(st, address, log); err != nil {
			return cli.Usagef("NOTIFY_URL: %w", err)
		}
	}
	shown := metrics.New(st)
	w, launchers, err := o.worker(st, shown, tokens, log, getenv)
	if err != nil {
		return err
	}
	maker, err := o.maker(st, log, getenv)
	if err != nil {
		return err
	}
	shown.ShowQuotas(w.Quotas)
	admin, err := dashboard.New(dashboard.Config{
		Addr: o.adminAddr, User: adminUser.Get(getenv), Password: adminPassword.Get(getenv), Store: st, Metrics: shown, Logger: log,
		Agents: launchers, Channels: channels(getenv), WebhookURL: cli.WebhookURL.Get(getenv),
	})
	if err != nil {
		return cli.Usage(err)
	}
	pages, err := net.Listen("tcp", o.adminAddr)
	if err != nil {
		return fmt.Errorf("admin pages: %w", err)
	}
	defer pages.Close()
	log.InfoContext(ctx, "admin pages", "url", "http://"+pages.Addr().String())

	g, ctx := errgroup.WithContext(ctx)
	if o.webhookAddr != "" {
		inbox, err := net.Listen("tcp", o.webhookAddr)
		if err != nil {
			return fmt.Errorf("webhook inbox: %w", err)
		}
		log.InfoContext(ctx, "webhook inbox", "url", "http://"+inbox.Addr().String()+webhook.Path)
		server := webhook.NewServer(&webhook.Inbox{
			Events: st, Secret: webhookSecret.Get(getenv), Authorization: webhookAuth.Get(getenv), Received: shown.Received, Log: log,
		})
		g.Go(func() error { return serve(ctx, "webhook inbox", inbox, server) })
	}
	// What these have in hand, others take up again: a stop does not wait for them.
	var others sync.WaitGroup
	applier := events.New(events.Config{Store: st, Count: shown.Events, Logger: log})
	others.Go(func() { applier.Run(ctx) })
	if maker != nil {
		g.Go(func() error { maker.Run(ctx); return nil })
	}
	if notifier != nil {
		others.Go(func() { notifier.Run(ctx) })
	}
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { watchClock(ctx, st, log); return nil })
	g.Go(func() error {
		return serve(ctx, "admin pages", pages, &http.Server{
			Handler: admin, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
			BaseContext: func(net.Listener) context.Context { return ctx }, // streams to open pages end with it
		})
	})
	err = g.Wait()
	ended := make(chan struct{})
	go func() { defer close(ended); others.Wait() }()
	select {
	case <-ended:
	case <-time.After(othersWithin):
		log.WarnContext(ctx, "events or notices are left as they are: Redis does not answer; other workers take them up")
	}
	return err
}

// othersWithin is how long a stop waits, once all answers are written down, for what
// other workers would take up.
const othersWithin = 2 * time.Second

func (o options) logger(w io.Writer) (*slog.Logger, error) {
	handler := &slog.HandlerOptions{Level: o.logLevel}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, handler)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, handler)), nil
	}
	return nil, cli.Usagef("--log-format %q: want text or json", o.logFormat)
}

// tokens are the agents to serve with their tokens.
func (o options) tokens(environ []string, getenv func(string) string) (map[string]string, error) {
	agents := cli.TokenAgents(environ)
	if len(o.agents) > 0 {
		agents = nil
		for _, name := range o.agents {
			agent, err := campaign.AgentName(name)
			if err != nil {
				return nil, cli.Usagef("--agents: %w", err)
			}
			agents = append(agents, agent)
		}
	} else if len(agents) == 0 {
		agents = []string{cli.DefaultAgent} // whose token is missing, as the error says
	}
	slices.Sort(agents)
	tokens := make(map[string]string)
	for _, agent := range slices.Compact(agents) {
		token, err := cli.Token(getenv, agent)
		if err != nil {
			return nil, err
		}
		tokens[agent] = token
	}
	return tokens, nil
}

func (o options) worker(st *store.Store, shown *metrics.Metrics, tokens map[string]string, log *slog.Logger, getenv func(string) string) (*jobs.Worker, map[string]launch.Launcher, error) {
	launchers := make(map[string]launch.Launcher)
	cfg := jobs.Config{
		Store:          st,
		Concurrency:    o.concurrency,
		RequestTimeout: o.timeout,
		Watch:          jobs.Watch{Answered: shown.Answered, Swept: shown.Swept},
		Tickets:        cli.SupportToken.Get(getenv) != "",
		Logger:         log,
	}
	if secret := webhookSecret.Get(getenv); secret != "" {
		cfg.Webhook = func(c campaign.Campaign, contact int) *velents.Webhook {
			if c.Settings.WebhookURL == "" {
				return nil
			}
			return &velents.Webhook{Link: webhook.Link(c.Settings.WebhookURL, secret, webhook.Target{Campaign: c.Name, Contact: contact})}
		}
	}
	for agent, token := range tokens {
		platform, err := velents.New(velents.Config{BaseURL: cli.PlatformURL.Get(getenv), Token: token, Timeout: o.timeout})
		if err != nil {
			return nil, nil, cli.Usagef("VELENTS_URL or the token of agent %s: %w", agent, err)
		}
		quota, err := ratelimit.NewShared(st.Redis(), token, ratelimit.Config{Rate: o.rate, Share: o.share, Timeout: o.timeout + permitSlack, Logger: log.With("agent", agent)})
		if err != nil {
			return nil, nil, cli.Usage(err)
		}
		cfg.Agents = append(cfg.Agents, jobs.Agent{Name: agent, Platform: platform, Quota: quota})
		launchers[agent] = launch.Launcher{Store: st, Platform: platform, Quota: quota, Rate: o.rate}
	}
	w, err := jobs.NewWorker(cfg)
	return w, launchers, err
}

// permitSlack is what a permit outlives its request by: while a request may still be
// under way, a probe must wait for it.
const permitSlack = 5 * time.Second

// channels are those whose ids are known, for whoever launches from the pages.
func channels(getenv func(string) string) []dashboard.Channel {
	list := []dashboard.Channel{{Name: "voice", ID: cli.VoiceChannel}}
	if id, err := strconv.Atoi(cli.WhatsappChannel.Get(getenv)); err == nil && id > 0 {
		list = append(list, dashboard.Channel{Name: "whatsapp", ID: id})
	}
	return list
}

// maker makes tickets, if there is a token for that.
func (o options) maker(st *store.Store, log *slog.Logger, getenv func(string) string) (*tickets.Maker, error) {
	token := cli.SupportToken.Get(getenv)
	if token == "" {
		return nil, nil
	}
	desk, err := velents.NewSupport(velents.Config{BaseURL: cli.PlatformURL.Get(getenv), Token: token, Timeout: o.timeout})
	if err != nil {
		return nil, cli.Usagef("VELENTS_URL or %s: %w", cli.SupportToken.Variable, err)
	}
	log = log.With("component", "tickets")
	quota, err := ratelimit.NewShared(st.Redis(), token, ratelimit.Config{Share: o.share, Timeout: o.timeout, Logger: log})
	if err != nil {
		return nil, cli.Usage(err)
	}
	return tickets.New(tickets.Config{Store: st, Desk: desk, Quota: quota, RequestTimeout: o.timeout, Logger: log}), nil
}

// serve answers requests until ctx is over.
func serve(ctx context.Context, what string, listener net.Listener, server *http.Server) error {
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

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
		case err != nil: // others tell of a Redis that does not answer
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
