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

	"campaign-runner/sandbox"
)

// options is the command line, read.
type options struct {
	config  sandbox.Config
	addr    string
	public  bool
	json    bool
	verbose bool
}

func usage(err error) error { return fmt.Errorf("%w: %w", err, errUsage) }

// newCommand reads the command line and hands it to serve.
func newCommand(serve func(options) error) *cobra.Command {
	var o options
	var limit int
	var support, outages, maintenances []string
	var shape, form string
	c := &o.config

	listen := pflag.NewFlagSet("Listening", pflag.ContinueOnError)
	listen.StringVar(&o.addr, "addr", "127.0.0.1:8090", "`address` to listen on; port 0 takes a free one")
	listen.BoolVar(&o.public, "public", false, "allow an address that other machines can reach")
	listen.BoolVar(&o.json, "json", false, "print the lines on stdout as JSON")
	listen.BoolVarP(&o.verbose, "verbose", "v", false, "log every request, without numbers and tokens")

	access := pflag.NewFlagSet("Tokens and limit", pflag.ContinueOnError)
	access.StringSliceVar(&c.Tokens, "tokens", nil, "agents' `tokens` (default any token is an agent)")
	access.StringArrayVar(&support, "support-token", nil, "Support Center `token` with all abilities, or TOKEN=ability,...; repeatable (default any token like App_tenant_x_y)")
	access.IntVar(&limit, "limit", 30, "requests of a token per window; 0 for no limit")
	access.DurationVar(&c.Window, "window", time.Minute, "length of the window")
	access.IntVar(&c.Overrun, "overrun", 0, "`requests` let in beyond the limit while others of the token are under way")
	access.BoolVar(&c.NoHeaders, "no-headers", false, "keep the limit but send no X-RateLimit headers")

	rules := pflag.NewFlagSet("Validation", pflag.ContinueOnError)
	rules.IntSliceVar(&c.Channels, "channels", []int{3, 7}, "accepted channel `ids`")
	rules.StringSliceVar(&c.ValueKeys, "value-keys", nil, "`keys` of the values every contact needs")
	rules.StringVar(&shape, "values-shape", string(sandbox.ShapeData), "how the value keys are told: list, objects, map or data")
	rules.StringSliceVar(&c.BadNumbers, "bad-numbers", nil, "well-formed `numbers` that are refused nevertheless")
	rules.BoolVar(&c.Unnamed422, "unnamed-422", false, "refuse bad contacts without saying which")
	rules.IntVar(&c.Laravel, "laravel", 10, "`version` whose texts are told: 8, 9 or 10")
	rules.IntVar(&c.MaxRows, "max-rows", 1000, "contacts a batch may hold")
	rules.Int64Var(&c.MaxBody, "max-body", 1<<20, "`bytes` a request may hold, or nginx says 413")
	rules.Int64Var(&c.MaxPost, "max-post", 0, "`bytes` a request may hold, or PHP says 413; 0 for any number")

	f := &c.Faults
	faults := pflag.NewFlagSet("Faults, as shares of all requests from 0 to 1", pflag.ContinueOnError)
	faults.Uint64Var(&c.Seed, "seed", 0, "which requests meet a fault")
	faults.Float64Var(&f.ServerError, "fault-5xx", 0, "`share` answered 500, not carried out")
	faults.BoolVar(&f.HTMLErrors, "html-5xx", false, "make those a proxy's 502 page")
	faults.Float64Var(&f.TooMany, "fault-429", 0, "`share` answered 429 by a proxy, without X-RateLimit headers")
	faults.Float64Var(&f.ResetBefore, "reset-before", 0, "`share` whose connection is reset, not carried out")
	faults.Float64Var(&f.ResetAfter, "reset-after", 0, "`share` carried out, then the connection is reset")
	faults.Float64Var(&f.HangBefore, "hang-before", 0, "`share` never answered, not carried out")
	faults.Float64Var(&f.Hang, "hang", 0, "`share` carried out, never answered")
	faults.Float64Var(&f.BadGateway, "fault-502", 0, "`share` carried out, answered 502 by nginx since PHP is gone")
	faults.Float64Var(&f.GatewayTimeout, "fault-504", 0, "`share` carried out, answered 504 by nginx since PHP is slow")
	faults.Float64Var(&f.UnknownError, "fault-520", 0, "`share` carried out, answered 520 by Cloudflare since the answer was cut")
	faults.Float64Var(&f.Fatal, "fault-fatal", 0, "`share` carried out, then PHP's fatal error: 500 without X-RateLimit headers")
	faults.Float64Var(&f.WebPage, "fault-page", 0, "`share` carried out, answered by a sign-in page with status 200")
	faults.BoolVar(&f.SignIn, "sign-in", false, "answer everybody with a sign-in page with status 200, not carried out")

	phases := pflag.NewFlagSet("Times", pflag.ContinueOnError)
	phases.TextVar(&f.Latency, "latency", sandbox.Span{}, "how long requests take, `from-to`: 50ms-800ms")
	phases.StringArrayVar(&outages, "outage", nil, "503 for everybody at a `time` since the start: 30s-45s; repeatable")
	phases.StringArrayVar(&maintenances, "maintenance", nil, "maintenance at a `time` since the start: 30s-45s; repeatable")
	phases.StringVar(&form, "maintenance-as", string(sandbox.FormJSON), "what it looks like: json (503), page (503) or redirect (302)")
	phases.IntVar(&f.MaintenanceRetry, "maintenance-retry", 0, "`seconds` of its Retry-After; 0 sends none")
	phases.TextVar(&f.UnauthorizedAfter, "unauthorized-after", sandbox.After{}, "401 for everybody after so `many` requests (100) or so long (30s)")

	h := &c.Webhooks
	events := pflag.NewFlagSet("Webhook events", pflag.ContinueOnError)
	events.BoolVar(&h.Enabled, "webhooks", false, "report conversations to the webhook.link of their request")
	events.StringVar(&h.Secret, "webhook-secret", "", "sent as x-velents-authorization")
	events.IntVar(&h.Concurrency, "webhook-concurrency", 16, "conversations reported at a time")
	events.DurationVar(&h.Delay, "webhook-delay", 0, "wait before each event")
	events.Float64Var(&h.Duplicates, "webhook-duplicates", 0, "`share` of events sent twice")
	events.Float64Var(&h.Disorder, "webhook-disorder", 0, "`share` of conversations whose events come in any order")
	events.BoolVar(&h.OldVoice, "webhook-old-voice", false, "report calls in the older shape: one ondone event")

	cmd := &cobra.Command{
		Use:   "sandbox [flags]",
		Short: "A stand-in for the Velents platform, to rehearse a campaign against",
		Long: `A stand-in for the Velents platform, to rehearse a campaign against.

It remembers how often each number was contacted:
  GET    /sandbox/ledger   numbers contacted more than once; ?all=1 every number; ?phone= one
  DELETE /sandbox/ledger   forget contacts and counts
  GET    /sandbox/stats    requests, contacts, cut connections, by token
  PUT    /sandbox/limit    {"limit":10} changes the limit; 0 lifts it
  PUT    /sandbox/faults   {"reset_after":0.1} changes the faults named; GET shows all, DELETE ends them

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
			c.ValuesShape = sandbox.ValuesShape(shape)
			if c.Limit = limit; limit == 0 {
				c.Limit = sandbox.Unlimited
			}
			// In a Config zero means the default; here it was asked for.
			if c.Window == 0 || c.MaxRows == 0 || c.MaxBody == 0 || h.Concurrency == 0 {
				return usage(errors.New("window, max-rows, max-body and webhook-concurrency: want more than 0"))
			}
			c.SupportTokens = supportTokens(support)
			var err error
			if f.Outages, err = spans("outage", outages); err != nil {
				return usage(err)
			}
			if f.Maintenances, err = spans("maintenance", maintenances); err != nil {
				return usage(err)
			}
			f.MaintenanceForm = sandbox.MaintenanceForm(form)
			if err := checkAddr(o.addr, o.public); err != nil {
				return usage(err)
			}
			return serve(o)
		},
	}
	groups := []*pflag.FlagSet{listen, access, rules, faults, phases, events}
	for _, group := range groups {
		group.SortFlags = false
		cmd.Flags().AddFlagSet(group)
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
		for _, group := range groups {
			fmt.Fprintf(out, "\n%s:\n%s", group.Name(), group.FlagUsages())
		}
		fmt.Fprintln(out)
		return nil
	})
	return cmd
}

// spans reads the times of a flag.
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

// checkAddr keeps the sandbox on this machine unless told otherwise: it takes
// any token, and holds the numbers of a real list.
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
