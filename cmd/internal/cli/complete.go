package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// completePatience bounds how long a shell waits for the names of campaigns.
const completePatience = time.Second

// complete lets shells complete every command of the tree: the names of campaigns, the
// values of flags that have few, and files.
func complete(cmd *cobra.Command, getenv func(string) string) {
	names := func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return namesLike(cmd.Context(), begun, getenv), cobra.ShellCompDirectiveNoFileComp
	}
	_, args, _ := strings.Cut(cmd.Use, " ")
	first, _, _ := strings.Cut(args, " ")
	switch {
	case strings.HasPrefix(strings.Trim(first, "[]"), "NAME"):
		several := strings.HasPrefix(first, "NAME...")
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !several {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return names(cmd, args, begun)
		}
	case first != "" && cmd.HasSubCommands() && cmd.ValidArgsFunction == nil:
		cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // a file, beside its commands
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		placeholder, _ := pflag.UnquoteUsage(f)
		switch alternatives := strings.Split(placeholder, "|"); {
		case placeholder == "CAMPAIGN":
			_ = cmd.RegisterFlagCompletionFunc(f.Name, names) // fails on what is registered already
		case f.Name == "state":
			var states []cobra.Completion
			for _, s := range campaign.States() {
				states = append(states, s.String())
			}
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp))
		case len(alternatives) > 1:
			alternatives = slices.DeleteFunc(alternatives, func(a string) bool { return a == strings.ToUpper(a) }) // voice|whatsapp|ID
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(alternatives, cobra.ShellCompDirectiveNoFileComp))
		}
	})
	for _, sub := range cmd.Commands() {
		complete(sub, getenv)
	}
}

// unquote takes the quotes from the placeholders of flags: shells would show them.
func unquote(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { _, f.Usage = pflag.UnquoteUsage(f) })
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { _, f.Usage = pflag.UnquoteUsage(f) })
	for _, sub := range cmd.Commands() {
		unquote(sub)
	}
}

// namesLike are the names of campaigns that begin so; none if Redis does not tell.
func namesLike(ctx context.Context, begun string, getenv func(string) string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, completePatience)
	defer cancel()
	rdb, err := OpenRedis(ctx, getenv)
	if err != nil {
		return nil
	}
	defer rdb.Close()
	all, err := store.New(rdb).Names(ctx)
	if err != nil {
		return nil
	}
	for _, name := range all {
		if strings.HasPrefix(name, begun) {
			names = append(names, name)
		}
	}
	return names
}
