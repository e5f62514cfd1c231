package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
)

// Print prints a result: v as JSON, or text.
func Print(w io.Writer, asJSON bool, v any, text string) error {
	if asJSON {
		return PrintJSON(w, v)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// PrintJSON prints v as one object on one line.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Number, Count, About and Moment write numbers and times for people.
func Number(n int) string                  { return campaign.Number(n) }
func Count(n int, one, many string) string { return campaign.Count(n, one, many) }
func About(d time.Duration) string         { return report.About(d) }
func Moment(t time.Time) string            { return campaign.Moment(t) }

// Printable is a text from outside without what a terminal would obey.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// IsTerminal reports whether a person looks at, or types into, stream.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
