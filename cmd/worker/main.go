// Command worker sends campaigns to the platform and serves the admin pages.
package main

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"
	_ "time/tzdata" // there may be none on the machine

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/ratelimit"
)

// heapFloor lets garbage gather while little is alive: else it is collected with every few
// megabytes, which took a fourth of a busy worker's time. Its pages are never touched.
const heapFloor = 32 << 20

func main() {
	defer runtime.KeepAlive(make([]byte, heapFloor))
	cli.MainService("worker", worker(os.Environ))
}

var (
	adminPassword   = cli.Setting{Variable: "ADMIN_PASSWORD", Help: "password of the admin pages; required unless they are on loopback"}
	webhookSecret   = cli.Setting{Variable: "WEBHOOK_SECRET", Help: "signs the links at which the platform posts events; none: no events"}
	webhookPrevious = cli.Setting{Variable: "WEBHOOK_SECRET_PREVIOUS", Help: "signed links before WEBHOOK_SECRET was changed; they stay valid"}
	adminURL        = cli.Setting{Variable: "ADMIN_URL", Help: "public address of the admin pages, for links in notices; none: no links"}
	notifyURL       = cli.Setting{Variable: "NOTIFY_URL", Help: "address that gets a POST of JSON when a campaign pauses, waits to be started, is canceled or has finished; none: no notices"}
	notifyLanguage  = cli.Setting{Variable: "NOTIFY_LANGUAGE", Default: "en", Help: "language of these notices: en or ar"}
	webhookAuth     = cli.Setting{Variable: "VELENTS_WEBHOOK_AUTH", Help: "what the platform sends with events as x-velents-authorization; none: not asked for"}
)

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
				"requests on their way get their answers; a second one ends at once.",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return o.run(cmd.Context(), environ(), stderr, getenv)
			},
		}
		flags := cmd.Flags()
		flags.SortFlags = false
		flags.StringSliceVar(&o.agents, "agents", nil, "`AGENTS` to serve; all that have a token when not given")
		flags.Var(&o.rate, "rate", "requests per window, as a `RATE` such as 30/60s, while the platform sends no limit headers, or none")
		cli.Bind(flags, "rate", "VELENTS_RATE")
		flags.Float64Var(&o.share, "quota-share", 1, "`PART` of each token's quota to use; less leaves room for other systems on it")
		cli.Bind(flags, "quota-share", "VELENTS_QUOTA_SHARE")
		flags.StringVar(&o.adminAddr, "admin-addr", "127.0.0.1:8080", "`ADDRESS` at which the admin pages are served")
		cli.Bind(flags, "admin-addr", "ADMIN_ADDR")
		flags.StringVar(&o.basePath, "base-path", "", "`PATH` below which a proxy serves the admin pages, as /campaigns; the root when not given")
		cli.Bind(flags, "base-path", "ADMIN_BASE_PATH")
		flags.Var((*proxyList)(&o.proxies), "trusted-proxy", "`ADDRESSES` of proxies, as 10.0.0.5 or 10.0.0.0/24, whose X-Forwarded-For, -Host and -Proto are believed")
		cli.Bind(flags, "trusted-proxy", "ADMIN_TRUSTED_PROXY")
		flags.StringVar(&o.tlsCert, "admin-tls-cert", "", "certificate `FILE`, with its chain, to serve the admin pages by TLS; read again when it changes")
		cli.Bind(flags, "admin-tls-cert", "ADMIN_TLS_CERT")
		flags.StringVar(&o.tlsKey, "admin-tls-key", "", "`FILE` of its key")
		cli.Bind(flags, "admin-tls-key", "ADMIN_TLS_KEY")
		flags.StringVar(&o.webhookAddr, "webhook-addr", "", "`ADDRESS` at which the platform's events are received, as :8081; nowhere when not given")
		cli.Bind(flags, "webhook-addr", "WEBHOOK_ADDR")
		flags.BoolVar(&o.embedded, "embedded-redis", false, "run a Redis inside, at the address of REDIS_URL; nothing survives a restart")
		flags.IntVar(&o.concurrency, "concurrency", 4, "`CHUNKS` per agent in hand at once; the quota sets the pace")
		flags.DurationVar(&o.timeout, "request-timeout", time.Minute, "longest `TIME` to wait for an answer of the platform")
		flags.IntVar(&o.replicas, "wait-replicas", 0, "`REPLICAS` of Redis that must have what is written before a request leaves")
		cli.Bind(flags, "wait-replicas", "REDIS_WAIT_REPLICAS")
		flags.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log: text or json")
		cli.Bind(flags, "log-format", "LOG_FORMAT")
		flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least `LEVEL` that is logged: debug, info, warn or error")
		cli.Document(cmd, cli.RedisURL, cli.PlatformURL, cli.AgentToken, cli.SupportToken, webhookSecret, webhookPrevious, webhookAuth, notifyURL, notifyLanguage, cli.AdminUser, adminPassword, adminURL, cli.KeepFor, cli.WebhookURL, cli.WhatsappChannel)
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
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return cli.Usagef("--admin-tls-cert and --admin-tls-key: give both, or none")
	}
	for _, warning := range o.warnings(getenv) {
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
	s, err := o.services(ctx, st, tokens, log, getenv)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

func (o options) logger(w io.Writer) (*slog.Logger, error) {
	handler := &slog.HandlerOptions{Level: o.logLevel}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, handler)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(cli.JSONScreen(w), handler)), nil
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
