package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign/store"
)

// maxMeant bounds how many words are proposed for a mistyped one.
const maxMeant = 3

// DidYouMean proposes words for one that is not among them; empty if none is like it.
func DidYouMean(typed string, words []string) string { return didYouMean(typed, "", words) }

// didYouMean proposes words for one that is not among them; empty if none is like it.
func didYouMean(typed, before string, words []string) string {
	known := &cobra.Command{SuggestionsMinimumDistance: 2} // cobra measures how alike names of commands are
	for _, word := range words {
		known.AddCommand(&cobra.Command{Use: word, Run: func(*cobra.Command, []string) {}})
	}
	found := known.SuggestionsFor(typed)
	if len(found) == 0 || typed == "" {
		return ""
	}
	found = found[:min(len(found), maxMeant)]
	return fmt.Sprintf(" (did you mean %s%s?)", before, strings.Join(found, " or "+before))
}

var unknownCommand = regexp.MustCompile(`^unknown command "([^"]*)"`)

// meant proposes what a call that was refused may have meant.
func meant(cmd *cobra.Command, err error) string {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) {
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				flags = append(flags, f.Name)
			}
		})
		return didYouMean(unknown.GetSpecifiedName(), "--", flags)
	}
	if typed := unknownCommand.FindStringSubmatch(err.Error()); typed != nil && cmd.HasSubCommands() {
		return didYouMean(typed[1], "", commandNames(cmd))
	}
	if args := cmd.Flags().Args(); len(args) > 0 && cmd.HasSubCommands() {
		return didYouMean(args[0], "", commandNames(cmd)) // it was taken for an argument
	}
	return ""
}

func commandNames(cmd *cobra.Command) (names []string) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

var noSuchCampaign = regexp.MustCompile(`([A-Za-z0-9._-]+): ` + store.ErrNotFound.Error())

// helped adds to the error of a command what can be done about a name it does not know.
func helped(ctx context.Context, err error, getenv func(string) string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var like string
	if name := noSuchCampaign.FindStringSubmatch(err.Error()); name != nil {
		like = didYouMean(name[1], "", namesLike(ctx, "", getenv))
	}
	return fmt.Errorf("%w%s; 'campaign list' shows all", err, like)
}
