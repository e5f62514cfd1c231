package contacts

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"campaign-runner/campaign"
)

// A Delimiter separates the cells of a row: one ASCII character. Empty: a comma.
type Delimiter string

// delimiters are the ones that are detected, with their names.
var delimiters = []struct {
	is   Delimiter
	name string
}{{",", "comma"}, {";", "semicolon"}, {"\t", "tab"}, {"|", "pipe"}}

// ParseDelimiter reads a delimiter or its name.
func ParseDelimiter(text string) (Delimiter, error) {
	for _, d := range delimiters {
		if text == d.name || text == string(d.is) || text == `\t` && d.is == "\t" {
			return d.is, nil
		}
	}
	if err := checkComma([]rune(text + " ")[0]); err != nil || len(text) != 1 {
		return "", fmt.Errorf("delimiter %q: want comma, semicolon, tab, pipe or another ASCII character", text)
	}
	return Delimiter(text), nil
}

// String is the delimiter's name, or the delimiter if it has none.
func (d Delimiter) String() string {
	for _, known := range delimiters {
		if known.is == d {
			return known.name
		}
	}
	return string(d)
}

// MarshalText writes the delimiter's name.
func (d Delimiter) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Delimiter) comma() rune {
	if d == "" {
		return ','
	}
	return rune(d[0])
}

func checkComma(comma rune) error {
	if comma > '~' || comma < ' ' && comma != '\t' || comma == '"' {
		return fmt.Errorf("comma %q: want an ASCII character that is not a quote", comma)
	}
	return nil
}

// LineEnds are the ends of the lines of a file.
type LineEnds string

const (
	LF   LineEnds = "lf"
	CRLF LineEnds = "crlf"
	CR   LineEnds = "cr" // Excel for Mac
)

func (f *File) findDialect(phoneColumns []string) error {
	text, err := f.text()
	if err != nil {
		return err
	}
	defer text.Close()
	head, err := readHead(text)
	if err != nil {
		return err
	}
	sample := string(head)
	f.format.LineEnds = lineEndsOf(sample)
	_, _, f.separator = separatorLine(sample)
	if f.format.LineEnds == CR {
		sample = strings.ReplaceAll(strings.ReplaceAll(sample, "\r\n", "\n"), "\r", "\n")
	}
	if f.format.Delimiter == "" {
		f.format.Delimiter = delimiterOf(sample, len(head) == sampleBytes, Options{HeaderLine: f.format.HeaderLine, Reading: campaign.Reading{PhoneColumns: phoneColumns}})
	}
	return nil
}

// lineEndsOf looks at the end of the first line, outside of quotes.
func lineEndsOf(text string) LineEnds {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case quoted:
		case text[i] == '\n':
			return LF
		case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
			return CRLF
		case text[i] == '\r':
			return CR
		}
	}
	return ""
}

const sampleRows = 50

// delimiterOf returns the delimiter with which the first rows make most sense: the
// header names a phone column, and the rows have as many cells as the header.
func delimiterOf(text string, cut bool, opt Options) Delimiter {
	if d, _, ok := separatorLine(text); ok {
		return d
	}
	best, found := make([]int, 3), Delimiter(",")
	for _, d := range delimiters {
		rows := firstRows(text, cut, byte(d.is[0]))
		header := slices.IndexFunc(rows[:min(len(rows), maxTitleRows)], func(r sampled) bool { return namesPhones(r.cells, opt.PhoneColumns) })
		if opt.HeaderLine > 0 {
			header = slices.IndexFunc(rows, func(r sampled) bool { return r.line == opt.HeaderLine })
		}
		phone := 0
		if header >= 0 && namesPhones(rows[header].cells, opt.PhoneColumns) {
			phone = 1
		}
		if header < 0 { // the first row that is no title
			header = max(slices.IndexFunc(rows, func(r sampled) bool { return len(r.cells) > 1 }), 0)
		}
		if header >= len(rows) || len(rows[header].cells) < 2 {
			continue
		}
		alike, cells := 0, len(rows[header].cells)
		for _, row := range rows[header:] {
			if len(row.cells) == cells {
				alike++
			}
		}
		if score := []int{phone, alike, cells}; slices.Compare(score, best) > 0 {
			best, found = score, d.is
		}
	}
	return found
}

// firstRows are the first rows that are not empty lines.
func firstRows(text string, cut bool, comma byte) []sampled {
	s := splitter{comma: comma, buf: []byte(text), line: 1}
	if !cut {
		s.err = io.EOF
	}
	rows := (&Reader{src: &s}).sample()
	rows = slices.DeleteFunc(rows, func(r sampled) bool { return len(r.cells) == 1 && r.cells[0] == "" })
	return rows[:min(len(rows), sampleRows)]
}

// separatorLine reads "sep=;", the line that tells Excel the delimiter of a CSV. length
// includes the line end.
func separatorLine(text string) (d Delimiter, length int, ok bool) {
	line, _, _ := strings.Cut(text, "\n")
	name, value, _ := strings.Cut(strings.Trim(strings.TrimSuffix(line, "\r"), `"`), "=")
	if !strings.EqualFold(name, "sep") || len(value) != 1 || checkComma(rune(value[0])) != nil {
		return "", 0, false
	}
	return Delimiter(value), min(len(line)+1, len(text)), true
}

// returns turns carriage returns into line feeds, alone or before a line feed.
type returns struct {
	src   io.Reader
	after bool // the last byte was a carriage return
}

func (r *returns) Read(p []byte) (int, error) {
	for {
		n, err := r.src.Read(p)
		kept := p[:0]
		for _, b := range p[:n] {
			if b != '\n' || !r.after {
				kept = append(kept, b)
			}
			if r.after = b == '\r'; r.after {
				kept[len(kept)-1] = '\n'
			}
		}
		if len(kept) > 0 || n == 0 || err != nil {
			return len(kept), err
		}
	}
}
