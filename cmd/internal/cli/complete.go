package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/store"
)

// completePatience bounds how long a shell waits for the names of campaigns.
const completePatience = time.Second

// completeNames lets shells complete the names of campaigns, in every command of the tree
// whose first argument is one.
func completeNames(cmd *cobra.Command, getenv func(string) string) {
	_, args, _ := strings.Cut(cmd.Use, " ")
	if first, _, _ := strings.Cut(args, " "); strings.HasPrefix(strings.Trim(first, "[]"), "NAME") {
		several := strings.HasPrefix(first, "NAME...")
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !several {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return namesLike(cmd.Context(), begun, getenv), cobra.ShellCompDirectiveNoFileComp
		}
	}
	for _, sub := range cmd.Commands() {
		completeNames(sub, getenv)
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
