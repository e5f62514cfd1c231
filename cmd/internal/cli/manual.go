package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Describe gives a command tree its --version, its completions, and a hidden command
// that writes its manual pages.
func Describe(root *cobra.Command) {
	// A package may install a program under a longer name, as campaign-worker: its help,
	// completions and manual pages then go by that name.
	if name := filepath.Base(os.Args[0]); strings.HasSuffix(name, "-"+root.Name()) {
		root.Use = name + strings.TrimPrefix(root.Use, root.Name())
	}
	root.Version = ThisBuild().String()
	root.AddCommand(&cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return writeManual(root, args[0]) },
	})
}

// writeManual writes a page for each command of the tree.
func writeManual(root *cobra.Command, dir string) error {
	forManual(root)
	for _, sub := range root.Commands() {
		if sub.Name() == "completion" { // the package has what it prints
			root.RemoveCommand(sub)
		}
	}
	build := ThisBuild()
	date, _ := time.Parse(time.DateOnly, build.Date) // of no known commit: the year 1, the same each time
	err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "campaign-runner " + build.Version, Date: &date}, dir)
	if err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	return nil
}

// margin is how far a manual page indents a table.
const margin = 9

// forManual readies the long texts of a tree: pages are made from Markdown, which would
// fill the lines of their tables.
func forManual(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.Long = verbatim(cmd.Long)
	if settings := settingsOf(cmd); len(settings) > 0 {
		cmd.Long = cmp.Or(cmd.Long, cmd.Short) + "\n\nThese come from the environment:\n\n" + verbatim(environmentTable(settings, Columns-margin))
	}
	for _, sub := range cmd.Commands() {
		forManual(sub)
	}
}

// verbatim indents lines that are indented so far that Markdown keeps them as they are.
func verbatim(text string) string {
	var b strings.Builder
	table := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ")
		if indented != table && strings.TrimSpace(line) != "" {
			b.WriteString("\n")
			table = indented
		}
		if indented {
			line = "    " + line
		}
		b.WriteString(line)
	}
	return b.String()
}
