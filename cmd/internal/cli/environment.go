package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// Bind lets a flag take its value from an environment variable when it is not
// given: flag beats environment beats default. -h names the variable.
func Bind(flags *pflag.FlagSet, flag, variable string) {
	if !slices.Contains(variables(), variable) {
		panic("no command is known to read " + variable) // a mistake of this program
	}
	f := flags.Lookup(flag)
	f.Usage += " [$" + variable + "]"
	_ = flags.SetAnnotation(flag, variableAnnotation, []string{variable}) // fails on unknown flags only
}

const (
	variableAnnotation = "environment variable" // of a flag
	settingsAnnotation = "settings"             // of a command: the variables of its settings
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
				errs = append(errs, invalid(variable[0], value, errors.Unwrap(err)))
			}
		}
	})
	return errors.Join(errs...)
}

// invalid says what is wrong with the value of a flag or of a variable. A reason that
// quotes the value stands for itself.
func invalid(name, value string, reason error) error {
	if text := reason.Error(); strings.Contains(text, strconv.Quote(value)) || strings.HasPrefix(text, value+" ") || strings.HasPrefix(text, value+":") {
		return fmt.Errorf("%s: %w", name, reason)
	}
	return fmt.Errorf("%s %q: %w", name, value, reason)
}

// FlagError is an error of a command's flags, with a wrong value said once.
func FlagError(_ *cobra.Command, err error) error {
	if wrong := (*pflag.InvalidValueError)(nil); errors.As(err, &wrong) {
		return invalid("--"+wrong.GetFlag().Name, wrong.GetValue(), errors.Unwrap(wrong))
	}
	return err
}

// Check makes a flag refuse values that check does not take, so that the error names the
// flag, or the variable that the value came from.
func Check(flags *pflag.FlagSet, flag string, check func() error) {
	f := flags.Lookup(flag)
	f.Value = &checked{f.Value, check}
}

type checked struct {
	pflag.Value
	check func() error
}

func (c *checked) Set(text string) error {
	if err := c.Value.Set(text); err != nil {
		return err
	}
	return c.check()
}

// Document adds settings to the help of cmd and its subcommands, which then refuse to run
// with values that the settings cannot have.
func Document(cmd *cobra.Command, settings ...Setting) {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	for _, s := range settings {
		cmd.Annotations[settingsAnnotation] += s.Variable + " "
	}
}

// checkEnvironment finds values that the settings of a command, or of those above it,
// cannot have.
func checkEnvironment(cmd *cobra.Command, getenv func(string) string) error {
	var errs []error
	for ; cmd != nil; cmd = cmd.Parent() {
		if cmd.Hidden || cmd.Name() == "completion" { // it needs none of them
			return nil
		}
		for _, s := range settingsOf(cmd) {
			errs = append(errs, s.check(getenv))
		}
	}
	return errors.Join(errs...)
}

// settingsOf are the settings that Document has added to a command.
func settingsOf(cmd *cobra.Command) (settings []Setting) {
	for _, variable := range strings.Fields(cmd.Annotations[settingsAnnotation]) {
		settings = append(settings, settingOf(variable))
	}
	return settings
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
	if err := velents.CheckToken(token); err != nil {
		return "", Usagef("%s: %w", variable, err)
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
