package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
	"golang.org/x/text/transform"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
)

// Everything that a command says passes through here, because names, values and the
// platform's texts are in it: a terminal would obey what they hold.

// Print prints a result: v as JSON, or text, which is made to fit a terminal.
func Print(w io.Writer, asJSON bool, v any, text string) error {
	if asJSON {
		return PrintJSON(w, v)
	}
	text = clean(text, "\n")
	if columns := Width(w); columns > 0 {
		text = Fit(text, columns)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// PrintJSON prints v as one object on one line.
func PrintJSON(w io.Writer, v any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err == nil {
		_, err = w.Write(EscapeJSON(line.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Note prints a remark of a command as one line.
func Note(w io.Writer, name, text string) { fmt.Fprintf(w, "%s: %s\n", name, Printable(text)) }

// Printable is a text from outside on one line, without what a terminal would obey.
func Printable(text string) string { return clean(text, "") }

// clean takes out of a text what a terminal would obey, except the characters in keep.
// What turns writing around is left out; other controls become spaces.
func clean(text, keep string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case ' ' <= r && r <= '~', strings.ContainsRune(keep, r):
			return r
		case turnsWriting(r):
			return -1
		case obeyed(r):
			return ' '
		}
		return r
	}, text)
}

// obeyed reports whether a terminal does something else with a character than show it:
// C0, DEL, C1, the marks of direction, and the separators of lines.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || turnsWriting(r) || r == '\u2028' || r == '\u2029'
}

// turnsWriting reports whether a character changes the direction of what stands around
// it, so that a text can look like another. Arabic needs none of them.
func turnsWriting(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }

// EscapeJSON writes those characters in JSON as escapes. Its values stay the same.
func EscapeJSON(text []byte) []byte {
	escaped, _, err := transform.Bytes(filter(escape), text)
	if err != nil {
		return nil // it has no errors of its own
	}
	return escaped
}

// escape writes a character that a terminal obeys as JSON does. JSON has them only
// within its strings; between those stand the ends of lines.
func escape(r rune) string {
	if obeyed(r) && r != '\n' && r != '\t' && r != '\r' {
		return fmt.Sprintf(`\u%04x`, r) // all of them have four digits
	}
	return string(r)
}

// Screen is where a table of rows goes that may be a file, a pipe or a terminal. On a
// terminal it is printable; anywhere else it stays as it is.
func Screen(w io.Writer, asJSON bool) io.Writer {
	switch {
	case !IsTerminal(w):
		return w
	case asJSON:
		return transform.NewWriter(w, filter(escape))
	}
	return transform.NewWriter(w, filter(func(r rune) string { return clean(string(r), "\n") }))
}

// JSONScreen escapes what a terminal obeys in lines of JSON, such as those of a log.
func JSONScreen(w io.Writer) io.Writer { return transform.NewWriter(w, filter(escape)) }

// A filter is a transform.Transformer that replaces characters one by one.
type filter func(r rune) string

// Reset is a method of transform.Transformer.
func (filter) Reset() {}

// Transform is a method of transform.Transformer.
func (f filter) Transform(dst, src []byte, atEOF bool) (written, read int, err error) {
	for read < len(src) {
		if !atEOF && !utf8.FullRune(src[read:]) {
			return written, read, transform.ErrShortSrc
		}
		r, size := utf8.DecodeRune(src[read:])
		text := f(r)
		if written+len(text) > len(dst) {
			return written, read, transform.ErrShortDst
		}
		written += copy(dst[written:], text)
		read += size
	}
	return written, read, nil
}

// Number, Count, About and Moment write numbers and times for people.
func Number(n int) string                  { return campaign.Number(n) }
func Count(n int, one, many string) string { return campaign.Count(n, one, many) }
func About(d time.Duration) string         { return report.About(d) }
func Moment(t time.Time) string            { return campaign.Moment(t) }

// IsTerminal reports whether a person looks at, or types into, stream.
func IsTerminal(stream any) bool {
	_, ok := Terminal(stream)
	return ok
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Width is how many columns a terminal has; 0 of what is no terminal.
func Width(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// Widest is how many columns the longest line of a text has.
func Widest(text string) (columns int) {
	for line := range strings.Lines(text) {
		columns = max(columns, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	return columns
}

// Cut is a line, cut to a width in columns.
func Cut(line string, columns int) string {
	if utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns-1]) + "…"
}
