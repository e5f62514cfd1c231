package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/cmd/internal/cli"
	"campaign-runner/sandbox"
)

type options struct {
	config  sandbox.Config
	addr    string
	public  bool
	json    bool
	verbose bool
}

// A commandLine is options with the flags that apply puts into their config.
type commandLine struct {
	options
	limit                          int
	support, outages, maintenances []string
	shape, form                    string
}

func usage(err error) error { return fmt.Errorf("%w: %w", err, errUsage) }

func newCommand(serve func(options) error) *cobra.Command {
	var o commandLine
	cmd := &cobra.Command{
		Use:   "sandbox [flags]",
		Short: "A stand-in for the Velents platform, to rehearse a campaign against",
		Long: `A stand-in for the Velents platform, to rehearse a campaign against.

It remembers how often each number was contacted:
  GET    /sandbox/ledger   numbers contacted more than once; ?all=1 every
                           number; ?phone= one
  DELETE /sandbox/ledger   forget contacts and counts
  GET    /sandbox/stats    requests, contacts, cut connections, by token
  PUT    /sandbox/limit    {"limit":10} changes the limit; 0 lifts it
  PUT    /sandbox/faults   {"reset_after":0.1} changes the faults named; GET
                           shows all, DELETE ends them

Exit status: 0 stopped by SIGTERM, 130 by Ctrl-C, 1 failed, 2 usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("unexpected argument %q", args[0]))
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			if err := o.apply(); err != nil {
				return usage(err)
			}
			return serve(o.options)
		},
	}
	groups := []*pflag.FlagSet{o.listenFlags(), o.accessFlags(), o.ruleFlags(), o.faultFlags(), o.timeFlags(), o.eventFlags()}
	for _, group := range groups {
		group.SortFlags = false
		cmd.Flags().AddFlagSet(group)
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cli.FlagError(cmd, err)) })
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
		for _, group := range groups {
			fmt.Fprintf(out, "\n%s:\n%s", group.Name(), group.FlagUsagesWrapped(cli.Columns))
		}
		return nil
	})
	return cmd
}

func (o *commandLine) apply() (err error) {
	c := &o.config
	c.ValuesShape, c.Faults.MaintenanceForm = sandbox.ValuesShape(o.shape), sandbox.MaintenanceForm(o.form)
	if c.Limit = o.limit; o.limit == 0 {
		c.Limit = sandbox.Unlimited
	}
	// In a Config zero means the default; here it was asked for.
	if c.Window == 0 || c.MaxRows == 0 || c.MaxBody == 0 || c.Webhooks.Concurrency == 0 {
		return errors.New("window, max-rows, max-body and webhook-concurrency: want more than 0")
	}
	c.SupportTokens = supportTokens(o.support)
	if c.Faults.Outages, err = spans("outage", o.outages); err != nil {
		return err
	}
	if c.Faults.Maintenances, err = spans("maintenance", o.maintenances); err != nil {
		return err
	}
	return checkAddr(o.addr, o.public)
}

func (o *commandLine) listenFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("Listening", pflag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8090", "`address` to listen on; port 0 takes a free one")
	flags.BoolVar(&o.public, "public", false, "allow an address that other machines can reach")
	flags.BoolVar(&o.json, "json", false, "print the lines on stdout as JSON")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "log every request, without numbers and tokens")
	return flags
}

func (o *commandLine) accessFlags() *pflag.FlagSet {
	c := &o.config
	flags := pflag.NewFlagSet("Tokens and limit", pflag.ContinueOnError)
	flags.StringSliceVar(&c.Tokens, "tokens", nil, "agents' `tokens` (default any token is an agent)")
	flags.StringArrayVar(&o.support, "support-token", nil, "Support Center `token` with all abilities, or TOKEN=ability,...; repeatable (default any token like App_tenant_x_y)")
	flags.IntVar(&o.limit, "limit", 30, "requests of a token per window; 0 for no limit")
	flags.DurationVar(&c.Window, "window", time.Minute, "length of the window")
	flags.IntVar(&c.Overrun, "overrun", 0, "`requests` admitted beyond the limit while others of the token are in flight")
	flags.BoolVar(&c.NoHeaders, "no-headers", false, "keep the limit but send no X-RateLimit headers")
	return flags
}

func (o *commandLine) ruleFlags() *pflag.FlagSet {
	c := &o.config
	flags := pflag.NewFlagSet("Validation", pflag.ContinueOnError)
	flags.IntSliceVar(&c.Channels, "channels", []int{3, 7}, "accepted channel `ids`")
	flags.StringSliceVar(&c.ValueKeys, "value-keys", nil, "`keys` of the values every contact needs")
	flags.StringVar(&o.shape, "values-shape", string(sandbox.ShapeData), "form of the answer with the value keys: list, objects, map or data")
	flags.StringSliceVar(&c.BadNumbers, "bad-numbers", nil, "well-formed `numbers` to refuse")
	flags.BoolVar(&c.Unnamed422, "unnamed-422", false, "refuse bad contacts without saying which")
	flags.IntVar(&c.Laravel, "laravel", 10, "`version` whose texts are used: 8, 9 or 10")
	flags.IntVar(&c.MaxRows, "max-rows", 1000, "contacts a batch may hold")
	flags.Int64Var(&c.MaxBody, "max-body", 1<<20, "`bytes` of a request beyond which nginx answers 413")
	flags.Int64Var(&c.MaxPost, "max-post", 0, "`bytes` of a request beyond which PHP answers 413; 0 for any number")
	return flags
}

func (o *commandLine) faultFlags() *pflag.FlagSet {
	c := &o.config
	f := &o.config.Faults
	flags := pflag.NewFlagSet("Faults, as shares of all requests from 0 to 1", pflag.ContinueOnError)
	flags.Uint64Var(&c.Seed, "seed", 0, "which requests meet a fault")
	flags.Float64Var(&f.ServerError, "fault-5xx", 0, "`share` answered 500, not carried out")
	flags.BoolVar(&f.HTMLErrors, "html-5xx", false, "make those a proxy's 502 page")
	flags.Float64Var(&f.TooMany, "fault-429", 0, "`share` answered 429 by a proxy, without X-RateLimit headers")
	flags.Float64Var(&f.ResetBefore, "reset-before", 0, "`share` whose connection is reset, not carried out")
	flags.Float64Var(&f.ResetAfter, "reset-after", 0, "`share` carried out, then the connection is reset")
	flags.Float64Var(&f.HangBefore, "hang-before", 0, "`share` never answered, not carried out")
	flags.Float64Var(&f.Hang, "hang", 0, "`share` carried out, never answered")
	flags.Float64Var(&f.BadGateway, "fault-502", 0, "`share` carried out, answered 502 by nginx because PHP is gone")
	flags.Float64Var(&f.GatewayTimeout, "fault-504", 0, "`share` carried out, answered 504 by nginx because PHP is slow")
	flags.Float64Var(&f.UnknownError, "fault-520", 0, "`share` carried out, answered 520 by Cloudflare because the answer was cut")
	flags.Float64Var(&f.Fatal, "fault-fatal", 0, "`share` carried out, then PHP's fatal error: 500 without X-RateLimit headers")
	flags.Float64Var(&f.WebPage, "fault-page", 0, "`share` carried out, answered by a sign-in page with status 200")
	flags.BoolVar(&f.SignIn, "sign-in", false, "answer all requests with a sign-in page with status 200, not carried out")
	return flags
}

func (o *commandLine) timeFlags() *pflag.FlagSet {
	f := &o.config.Faults
	flags := pflag.NewFlagSet("Times", pflag.ContinueOnError)
	flags.TextVar(&f.Latency, "latency", sandbox.Span{}, "how long requests take, `from-to`: 50ms-800ms")
	flags.StringArrayVar(&o.outages, "outage", nil, "503 for all requests at a `time` since the start: 30s-45s; repeatable")
	flags.StringArrayVar(&o.maintenances, "maintenance", nil, "maintenance at a `time` since the start: 30s-45s; repeatable")
	flags.StringVar(&o.form, "maintenance-as", string(sandbox.FormJSON), "what it looks like: json (503), page (503) or redirect (302)")
	flags.IntVar(&f.MaintenanceRetry, "maintenance-retry", 0, "`seconds` of its Retry-After; 0 sends none")
	flags.TextVar(&f.UnauthorizedAfter, "unauthorized-after", sandbox.After{}, "401 for all requests after `many` requests (100) or a time (30s)")
	return flags
}

func (o *commandLine) eventFlags() *pflag.FlagSet {
	h := &o.config.Webhooks
	flags := pflag.NewFlagSet("Webhook events", pflag.ContinueOnError)
	flags.BoolVar(&h.Enabled, "webhooks", false, "report conversations to the webhook.link of their request")
	flags.StringVar(&h.Secret, "webhook-secret", "", "sent as x-velents-authorization")
	flags.IntVar(&h.Concurrency, "webhook-concurrency", 16, "conversations reported at a time")
	flags.DurationVar(&h.Delay, "webhook-delay", 0, "wait before each event")
	flags.Float64Var(&h.Duplicates, "webhook-duplicates", 0, "`share` of events sent twice")
	flags.Float64Var(&h.Disorder, "webhook-disorder", 0, "`share` of conversations whose events are shuffled")
	flags.BoolVar(&h.OldVoice, "webhook-old-voice", false, "report calls in the older shape: one ondone event")
	flags.Float64Var(&h.NoAnswer, "webhook-no-answer", 0, "`share` of contacts who say nothing")
	flags.Float64Var(&h.OptOut, "webhook-opt-out", 0, "`share` of those who speak that answer STOP")
	flags.Float64Var(&h.LateAnswer, "webhook-late-answer", 0, "`share` of those who say nothing that answer after the end")
	flags.DurationVar(&h.LateAfter, "webhook-late-after", 10*time.Second, "how long after the end they do")
	return flags
}

func spans(flag string, texts []string) (list []sandbox.Span, err error) {
	for _, text := range texts {
		var s sandbox.Span
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// supportTokens reads TOKEN or TOKEN=ability,ability.
func supportTokens(list []string) map[string][]string {
	tokens := make(map[string][]string)
	for _, s := range list {
		token, abilities, named := strings.Cut(s, "=")
		tokens[token] = []string{"*"}
		if named {
			tokens[token] = strings.Split(abilities, ",")
		}
	}
	return tokens
}

// checkAddr keeps the sandbox on this machine unless public allows more: it accepts any
// token and holds the numbers of a real list.
func checkAddr(addr string, public bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err // "address ADDR: reason"
	}
	ip, err := netip.ParseAddr(host)
	if loopback := host == "localhost" || err == nil && ip.IsLoopback(); !loopback && !public {
		return fmt.Errorf("address %s: other machines could reach it: add --public to allow that", addr)
	}
	return nil
}
