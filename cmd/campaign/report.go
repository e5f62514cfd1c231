package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/handout"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) report() *cobra.Command {
	var file, language string
	cmd := a.on("report", "Write what a campaign came to on one page", func(ctx context.Context, s *store.Store, name string) error {
		l, err := texts.ParseLanguage(language)
		if err != nil {
			return cli.Usagef("--language: %w", err)
		}
		account, err := report.ReadAccount(ctx, s, name, time.Local)
		if err != nil {
			return err
		}
		switch {
		case !toStdout(file):
		case a.json:
			return a.print(account, "")
		default:
			return handout.Write(cli.Screen(a.stdout, false), account, l)
		}
		_, err = writeFile(file, func(w io.Writer) (int, error) { return 1, handout.Write(w, account, l) })
		if err != nil {
			return fmt.Errorf("%s: %w", file, placeless(err))
		}
		return a.print(struct {
			Campaign string `json:"campaign"`
			File     string `json:"file"`
		}{name, file}, fmt.Sprintf("report of %s written to %s\n", name, file))
	})
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if toStdout(file) && !a.json && cli.IsTerminal(a.stdout) {
			return errors.New("a report is a page for a browser: want -o FILE.html")
		}
		if ext := strings.ToLower(filepath.Ext(file)); !toStdout(file) && ext != ".html" && ext != ".htm" {
			return fmt.Errorf("%s: want a name that ends in .html", file)
		}
		return nil
	}
	cmd.Long = `Write what a campaign came to, for a person who does not run it: how many contacts the
platform accepted, how many answered, how many conversations ended without an answer,
over time, by hour of the day and by attempt, what the agent learned, opt-outs and
tickets. Every contact is counted, as 'verify' does.

The page is one HTML file to read, print or send on. It has no script, loads nothing,
and holds no personal data: of what the agent learned it shows values that at least
three contacts share, and none of a key that looks like free text. --json on stdout
gives the same numbers.

Hours and days are by the clock of the campaign's hours, or else by TZ.`
	outputFlag(cmd, &file)
	cmd.Flags().StringVar(&language, "language", string(texts.English), "`LANGUAGE` of the page: en or ar")
	return cmd
}
