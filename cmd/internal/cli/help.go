package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Columns is how wide help is.
const Columns = 80

// fit makes the help of a command tree fit into columns, and tells with each command its
// settings beside those of the commands above it.
func fit(cmd *cobra.Command, above []Setting) {
	settings := slices.Concat(above, settingsOf(cmd))
	cmd.Long = Fill(cmd.Long)
	usage := strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", Columns))
	if len(settings) > len(above) {
		usage, _, _ = strings.Cut(usage, environmentHeading)
		usage += environmentHeading + environmentTable(settings, Columns)
	}
	cmd.SetUsageTemplate(usage)
	for _, sub := range cmd.Commands() {
		fit(sub, settings)
	}
}

const environmentHeading = "\nEnvironment:\n"

// environmentTable is what help says of settings, each once, in lines of columns.
func environmentTable(settings []Setting, columns int) string {
	longest := 0
	for _, s := range settings {
		longest = max(longest, len(s.Variable))
	}
	var text strings.Builder
	for i, s := range settings {
		if slices.ContainsFunc(settings[:i], func(before Setting) bool { return before.Variable == s.Variable }) {
			continue
		}
		help := s.Help
		if s.Default != "" {
			help += " (default " + s.Default + ")"
		}
		text.WriteString(Hanging(fmt.Sprintf("  %-*s   ", longest, s.Variable), help, columns))
	}
	return text.String()
}

// Fill breaks the paragraphs of a text between words to lines of columns. Lines that begin
// with a space stay as they are, as those of a table.
func Fill(text string) string {
	var filled, paragraph strings.Builder
	end := func() {
		if paragraph.Len() > 0 {
			filled.WriteString(Hanging("", paragraph.String(), Columns))
			paragraph.Reset()
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") || strings.TrimSpace(line) == "" {
			end()
			filled.WriteString(line)
			continue
		}
		paragraph.WriteString(line)
	}
	end()
	return strings.TrimSuffix(filled.String(), "\n")
}

// Fit breaks the lines of a text that are wider than columns between words, below the
// beginning of their last column.
func Fit(text string, columns int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) <= columns {
			b.WriteString(line)
			continue
		}
		label := labelOf(line, columns-narrowest)
		b.WriteString(Hanging(label, line[len(label):], columns))
	}
	return b.String()
}

// narrowest is how wide a column must be for words to be broken in it.
const narrowest = 20

// labelOf is what stands before the last column of a line that begins within so many
// columns, or before its text: two spaces part columns.
func labelOf(line string, columns int) string {
	label := line[:len(line)-len(strings.TrimLeft(line, " "))]
	for rest := label; ; {
		_, after, more := strings.Cut(line[len(rest):], "  ")
		if !more {
			return label
		}
		rest = line[:len(line)-len(strings.TrimLeft(after, " "))]
		if utf8.RuneCountInString(rest) > columns {
			return label
		}
		label = rest
	}
}

// Hanging is a text behind its label, broken between words to lines of columns, each below
// the first.
func Hanging(label, text string, columns int) string {
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
