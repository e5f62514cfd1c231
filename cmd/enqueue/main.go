// Command enqueue starts campaigns from contact files, and sends again what
// failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	_ "time/tzdata" // there may be none on the machine

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

func main() { cli.Main("enqueue", run) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error {
	stdin = cli.Interruptible(ctx, stdin)
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv}
	defer func() {
		if a.rdb != nil {
			_ = a.rdb.Close() // nothing is written through it any more
		}
	}()
	root := a.enqueue()
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object on one line")
	a.as.Add(root.PersistentFlags())
	root.AddCommand(a.append(), a.rerun(), a.test(), a.template(), a.rules())
	cli.Document(root, cli.RedisURL, cli.PlatformURL, cli.AgentToken, cli.WhatsappChannel, cli.WebhookURL)
	return cli.Execute(ctx, root, args, stdin, stdout, stderr, getenv)
}

// app is what the subcommands have in common.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	json           bool
	as             cli.As
	rdb            redis.UniversalClient // nil until it is needed
}

// print prints a result: v with --json, otherwise the text.
func (a *app) print(v any, text string) error { return cli.Print(a.stdout, a.json, v, text) }

func (a *app) note(text string) { cli.Note(a.stderr, "enqueue", text) }

func (a *app) redis(ctx context.Context) (_ redis.UniversalClient, err error) {
	if a.rdb == nil {
		a.rdb, err = cli.OpenRedis(ctx, a.getenv)
	}
	return a.rdb, err
}

func (a *app) store(ctx context.Context) (*store.Store, error) {
	rdb, err := a.redis(ctx)
	return store.New(rdb), err
}

// agentFlags are the flags of every command that speaks to the platform.
type agentFlags struct {
	cli.SettingFlags
	rate ratelimit.Rate
}

func (a *app) addSettings(f *agentFlags, flags *pflag.FlagSet, settings []campaign.Setting) {
	f.Add(flags, settings)
	if channel := flags.Lookup("channel"); channel != nil {
		channel.Value = channelFlag{channel.Value, a.channelID}
	}
	for _, setting := range settings {
		if setting.Variable != "" {
			cli.Bind(flags, setting.Flag, setting.Variable)
		}
	}
	rateFlag(flags, &f.rate, "requests per window while the platform names no limit: 30/60s, or none")
}

func rateFlag(flags *pflag.FlagSet, rate *ratelimit.Rate, usage string) {
	flags.Var(rate, "rate", usage)
	cli.Bind(flags, "rate", "VELENTS_RATE")
}

// A channelFlag knows channels by their names.
type channelFlag struct {
	pflag.Value
	id func(name string) (string, error)
}

func (f channelFlag) Set(name string) error {
	id, err := f.id(name)
	if err != nil {
		return err
	}
	return f.Value.Set(id)
}

// requestTimeout bounds a request for which a person waits at a terminal.
const requestTimeout = 30 * time.Second

// launcher is a launcher that may ask the platform.
func (a *app) launcher(ctx context.Context, agent string, rate ratelimit.Rate) (*launch.Launcher, error) {
	token, err := cli.Token(a.getenv, agent)
	if err != nil {
		return nil, err
	}
	client, err := velents.New(velents.Config{BaseURL: cli.PlatformURL.Get(a.getenv), Token: token, Timeout: requestTimeout})
	if err != nil {
		return nil, cli.Usagef("%s or %s: %w", cli.PlatformURL.Variable, cli.TokenVariable(agent), err)
	}
	// Its quota is the one that the workers on the token share. Not every command needs
	// Redis: without it the quota is this process's own.
	cfg := ratelimit.Config{Rate: rate, Asks: true, Timeout: requestTimeout}
	var quota *ratelimit.Quota
	if rdb, noRedis := a.redis(ctx); noRedis != nil {
		quota, err = ratelimit.New(cfg)
	} else {
		quota, err = ratelimit.NewShared(rdb, token, cfg)
	}
	return &launch.Launcher{Platform: client, Quota: quota, Rate: rate, Note: a.note}, cli.Usage(err)
}

// explain names the token's variable in an error that is about it.
func (a *app) explain(err error, agent string) error {
	var refused *launch.TokenError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", cli.TokenVariable(agent), refused)
	}
	none, odd := (*velents.Unanswered)(nil), (*velents.Error)(nil)
	if errors.As(err, &none) || errors.As(err, &odd) && notThere(odd) {
		return fmt.Errorf("%w; %s is %s", err, cli.PlatformURL.Variable, cli.PlatformURL.Get(a.getenv))
	}
	return err
}

// notThere reports whether an answer looks like that of an address where the platform is not.
func notThere(answer *velents.Error) bool {
	return answer.Page || answer.Status/100 == 3 || answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed
}

// channelID is the platform's id of a channel that is named or given by its id.
func (a *app) channelID(channel string) (string, error) {
	id := channel
	switch channel {
	case "voice":
		id = strconv.Itoa(cli.VoiceChannel)
	case "whatsapp":
		if id = cli.WhatsappChannel.Get(a.getenv); id == "" {
			return "", fmt.Errorf("set %s to the platform's id of that channel", cli.WhatsappChannel.Variable)
		}
	}
	if n, err := strconv.Atoi(id); err != nil || n < 1 {
		return "", fmt.Errorf("want voice, whatsapp or a positive id, have %q", id)
	}
	return id, nil
}
