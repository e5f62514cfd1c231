package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Bind lets a flag take its value from an environment variable when it is not
// given: flag beats environment beats default. -h names the variable.
func Bind(flags *pflag.FlagSet, flag, variable string) {
	f := flags.Lookup(flag)
	f.Usage += " [$" + variable + "]"
	_ = flags.SetAnnotation(flag, variableAnnotation, []string{variable}) // fails on unknown flags only
}

const (
	variableAnnotation    = "environment variable" // of a flag
	environmentAnnotation = "environment"          // of a command: its settings, as a table
)

func fillFromEnv(flags *pflag.FlagSet, getenv func(string) string) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		variable := f.Annotations[variableAnnotation]
		if len(variable) == 0 || f.Changed {
			return
		}
		if value := strings.TrimSpace(getenv(variable[0])); value != "" {
			if err := flags.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", variable[0], errors.Unwrap(err)))
			}
		}
	})
	return errors.Join(errs...)
}

// A Setting comes from the environment alone, because it is a secret, may hold
// one, or belongs to the installation.
type Setting struct {
	Variable string
	Default  string
	Help     string
}

// Settings that several commands read.
var (
	RedisURL = Setting{"REDIS_URL", "redis://127.0.0.1:6379/0",
		"redis:// or rediss://, redis+sentinel://HOST:PORT,…/MASTER/DB, redis+cluster://HOST:PORT,…"}
	PlatformURL  = Setting{"VELENTS_URL", "https://velents-agents.velents.ai", "address of the platform"}
	AgentToken   = Setting{"VELENTS_TOKEN", "", "API token of the agent 'default'; that of the agent NAME is in VELENTS_TOKEN_NAME"}
	SupportToken = Setting{"VELENTS_SUPPORT_TOKEN", "", "token of the Support Center, for tickets; none: no tickets are made"}
	KeepFor      = Setting{"KEEP_FOR", "", "personal data of a campaign is purged this long after it is over, unless its --keep-for says otherwise: 30d; none: never"}
	AdminUser    = Setting{"ADMIN_USER", "admin", "user of ADMIN_PASSWORD on the admin pages"}
	WebhookURL   = Setting{"WEBHOOK_URL", "", "public address at which workers receive the platform's events; none: no events"}
)

// VoiceChannel is the platform's id of that channel, as it was seen in use;
// WhatsApp's is not published.
const VoiceChannel = 3

// WhatsappChannel is the other channel's id.
var WhatsappChannel = Setting{Variable: "VELENTS_CHANNEL_WHATSAPP", Help: "the platform's id of the WhatsApp channel; without it, that channel is not known by name"}

// Get is the setting's value, or its default. White space around it is none of it: a
// .env file with Windows' line ends leaves some behind each value.
func (s Setting) Get(getenv func(string) string) string {
	return cmp.Or(strings.TrimSpace(getenv(s.Variable)), s.Default)
}

// Document adds settings to the help of cmd and its subcommands.
func Document(cmd *cobra.Command, settings ...Setting) {
	var text strings.Builder
	longest := 0
	for _, s := range settings {
		longest = max(longest, len(s.Variable))
	}
	for _, s := range settings {
		help := s.Help
		if s.Default != "" {
			help += " (default " + s.Default + ")"
		}
		text.WriteString(hanging(fmt.Sprintf("  %-*s   ", longest, s.Variable), help))
	}
	cmd.SetUsageTemplate(cmd.UsageTemplate() + "\nEnvironment:\n" + text.String())
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[environmentAnnotation] = text.String()
}

// columns is how wide help is.
const columns = 80

// hanging is a text behind its label, broken between words, each line below the first.
func hanging(label, text string) string {
	var b strings.Builder
	line := label
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case len([]rune(line))+1+len([]rune(word)) > columns:
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", len([]rune(label))) + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}

// TokenVariable is the environment variable of an agent's token.
func TokenVariable(agent string) string {
	if agent == campaign.DefaultAgent {
		return AgentToken.Variable
	}
	return AgentToken.Variable + "_" + strings.ToUpper(strings.ReplaceAll(agent, "-", "_"))
}

// Token is the API token of an agent, which is named as campaign.AgentName has
// it. The token must never be printed. Without one, the call is wrong: exit 2.
func Token(getenv func(string) string, agent string) (string, error) {
	variable := TokenVariable(agent)
	token := strings.TrimSpace(getenv(variable))
	if token == "" {
		return "", Usagef("%s is not set: the API token of the agent '%s'; make one in the platform's dashboard", variable, agent)
	}
	return token, nil
}

// TokenAgents lists the agents that have a token in an environment of
// KEY=value, as os.Environ gives it. Variables that name no agent are left out.
func TokenAgents(environ []string) []string {
	var agents []string
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		agent := campaign.DefaultAgent
		if name, ok := strings.CutPrefix(key, AgentToken.Variable+"_"); ok {
			agent, _ = campaign.AgentName(name)
		}
		if agent != "" && key == TokenVariable(agent) && strings.TrimSpace(value) != "" {
			agents = append(agents, agent)
		}
	}
	slices.Sort(agents)
	return agents
}

// OpenRedis connects to the Redis of REDIS_URL, which must be ours; the caller closes it.
func OpenRedis(ctx context.Context, getenv func(string) string) (redis.UniversalClient, error) {
	redis.SetLogger(silence{}) // a failure is reported once, by its error
	rdb, err := store.Connect(ctx, RedisURL.Get(getenv))
	var unreachable *store.UnreachableError
	if err != nil && !errors.As(err, &unreachable) {
		return nil, Usage(err)
	}
	if err == nil {
		err = store.CheckForeign(ctx, rdb)
	}
	return rdb, err
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
