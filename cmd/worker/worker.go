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
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/dashboard"
	"campaign-runner/jobs"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
	"campaign-runner/webhook"
)

var (
	adminUser     = cli.Setting{Variable: "ADMIN_USER", Default: "admin", Help: "user of the admin pages"}
	adminPassword = cli.Setting{Variable: "ADMIN_PASSWORD", Help: "password of the admin pages; required unless they are on loopback"}
	webhookSecret = cli.Setting{Variable: "WEBHOOK_SECRET", Help: "signs the links at which the platform posts events; none: no events"}
)

type options struct {
	agents      []string
	rate        ratelimit.Rate
	share       float64
	adminAddr   string
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
				"agent's token allows, until it is stopped. The first Ctrl-C or SIGTERM lets requests on\n" +
				"their way get their answers; a second one ends at once.",
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
		flags.BoolVar(&o.embedded, "embedded-redis", false, "run a Redis inside, at the address of REDIS_URL; nothing survives a restart")
		flags.IntVar(&o.concurrency, "concurrency", 4, "chunks per agent in hand at once; the quota sets the pace")
		flags.DurationVar(&o.timeout, "request-timeout", time.Minute, "longest wait for an answer of the platform")
		flags.IntVar(&o.replicas, "wait-replicas", 0, "replicas of Redis that must have what is written before a request leaves")
		cli.Bind(flags, "wait-replicas", "REDIS_WAIT_REPLICAS")
		flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
		flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
		cli.Document(cmd, cli.RedisURL, cli.PlatformURL, cli.AgentToken, webhookSecret, adminUser, adminPassword)
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
	defer rdb.Close()
	if !o.embedded {
		for _, warning := range store.DurabilityWarnings(ctx, rdb) {
			log.WarnContext(ctx, warning)
		}
	}

	w, err := o.worker(rdb, tokens, log, getenv)
	if err != nil {
		return err
	}
	admin, err := dashboard.New(dashboard.Config{
		Addr: o.adminAddr, User: adminUser.Get(getenv), Password: adminPassword.Get(getenv), Redis: rdb,
	})
	if err != nil {
		return cli.Usage(err)
	}
	listener, err := net.Listen("tcp", o.adminAddr)
	if err != nil {
		return fmt.Errorf("admin pages: %w", err)
	}
	log.InfoContext(ctx, "admin pages", "url", "http://"+listener.Addr().String())

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { return serve(ctx, listener, admin) })
	return g.Wait()
}

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

func (o options) worker(rdb redis.UniversalClient, tokens map[string]string, log *slog.Logger, getenv func(string) string) (*jobs.Worker, error) {
	st := store.New(rdb)
	if err := st.WaitForReplicas(o.replicas); err != nil {
		return nil, cli.Usage(err)
	}
	cfg := jobs.Config{
		Store:          st,
		Concurrency:    o.concurrency,
		RequestTimeout: o.timeout,
		Logger:         log,
	}
	if secret := webhookSecret.Get(getenv); secret != "" {
		cfg.Webhook = func(c campaign.Campaign) *velents.Webhook {
			if c.Settings.WebhookURL == "" {
				return nil
			}
			return &velents.Webhook{Link: webhook.Link(c.Settings.WebhookURL, secret, c.Name)}
		}
	}
	for agent, token := range tokens {
		platform, err := velents.New(velents.Config{BaseURL: cli.PlatformURL.Get(getenv), Token: token, Timeout: o.timeout})
		if err != nil {
			return nil, cli.Usagef("VELENTS_URL or the token of agent %s: %w", agent, err)
		}
		quota, err := ratelimit.NewShared(rdb, token, ratelimit.Config{Rate: o.rate, Share: o.share, Timeout: o.timeout, Logger: log.With("agent", agent)})
		if err != nil {
			return nil, cli.Usage(err)
		}
		cfg.Agents = append(cfg.Agents, jobs.Agent{Name: agent, Platform: platform, Quota: quota})
	}
	return jobs.NewWorker(cfg)
}

// serve answers the admin pages until ctx is over.
func serve(ctx context.Context, listener net.Listener, pages http.Handler) error {
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin pages: %w", err)
	}
	return nil
}
