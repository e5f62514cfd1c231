// Command worker sends campaigns to the platform and serves the admin pages.
package main

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"
	_ "time/tzdata" // there may be none on the machine

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs/metrics"
	"campaign-runner/ratelimit"
)

func main() { cli.MainService("worker", worker(os.Environ)) }

type options struct {
	agents      []string
	rate        ratelimit.Rate
	share       float64
	adminAddr   string
	basePath    string
	proxies     []netip.Prefix
	tlsCert     string
	tlsKey      string
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
				"requests on their way get their answers; a second one ends at once.\n\n" +
				"Exit code 0: stopped, 1: failed, 2: wrong usage or a wrong or missing setting.",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return o.run(cmd.Context(), environ(), stderr, getenv)
			},
		}
		o.addFlags(cmd.Flags())
		cli.Document(cmd, append([]cli.Setting{
			cli.RedisURL, cli.PlatformURL, cli.AgentToken, cli.SupportToken,
			cli.WebhookSecret, cli.WebhookPrevious, cli.WebhookAuth, cli.NotifyURL, cli.NotifyLanguage,
			cli.AdminUser, cli.AdminPassword, cli.AdminURL, cli.KeepFor, cli.WebhookURL, cli.WhatsappChannel,
		}, cli.LaunchDefaults()...)...)
		return cli.Execute(ctx, cmd, args, stdin, stdout, stderr, getenv)
	}
}

func (o options) run(ctx context.Context, environ []string, stderr io.Writer, getenv func(string) string) error {
	log := o.logger(stderr)
	tokens, err := o.tokens(environ, getenv)
	if err != nil {
		return err
	}
	if o.webhookAddr != "" && cli.WebhookSecret.Get(getenv) == "" {
		return cli.Usagef("--webhook-addr: set WEBHOOK_SECRET, which signs the links")
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return cli.Usagef("--admin-tls-cert and --admin-tls-key: give both, or none")
	}
	for _, warning := range append(o.warnings(getenv), cli.Mistyped(environ)...) {
		log.WarnContext(ctx, warning)
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
	log.InfoContext(ctx, "worker starting", "version", cli.ThisBuild().String(), "platform", cli.PlatformURL.Get(getenv), "redis", store.Address(cli.RedisURL.Get(getenv)))
	s, err := assembly{o, getenv, tokens, st, metrics.New(st), log}.services(ctx)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

func (o options) logger(w io.Writer) *slog.Logger {
	handler := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(cli.JSONScreen(w), handler))
	}
	return slog.New(slog.NewTextHandler(w, handler))
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
	} else if err := cli.CheckTokens(environ); err != nil {
		return nil, err
	} else if len(agents) == 0 {
		agents = []string{campaign.DefaultAgent} // whose token is missing, as the error says
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
