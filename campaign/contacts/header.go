package contacts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"campaign-runner/campaign"
)

const (
	sampledRows  = 500 // that decide what the columns of a file are
	maxTitleRows = 20  // above a header
)

// A sampled row is one of the first rows of a file.
type sampled struct {
	cells []string
	line  int
	begin int // of the row in the buffer
	end   int
}

func (r sampled) filled() (n int) {
	for _, cell := range r.cells {
		if isFilled(cell) {
			n++
		}
	}
	return n
}

// sample reads the first rows without consuming them.
func (c *Reader) sample() (rows []sampled) {
	line := c.src.line
	for pos := 0; pos < len(c.src.buf) && len(rows) < sampledRows; {
		n, _ := c.src.row(c.src.buf[pos:])
		if n == 0 {
			break
		}
		text := string(trimLineEnd(c.src.buf[pos : pos+n]))
		row := sampled{line: line, begin: pos, end: pos + n}
		if checkText(text) == nil {
			row.cells = appendCells(nil, text, c.src.comma, maxColumns+1)
		}
		rows = append(rows, row)
		line += c.src.lines(c.src.buf[pos : pos+n])
		pos += n
	}
	return rows
}

// findHeader finds the header and what its columns are, and goes to the first row below
// it. With numbersOnly the file may be one number on each line, or have one column of
// any name.
func (c *Reader) findHeader(opt Options, numbersOnly bool) error {
	opt.PhoneColumns = named(opt.PhoneColumns)
	rows := c.sample()
	if len(rows) == 0 {
		return campaign.Faulty(campaign.MsgFileLongLine, "line", c.src.line, "bytes", blockBytes)
	}
	at, err := headerAmong(rows, opt)
	if err != nil {
		return err
	}
	header, below := rows[at], cellsOf(rows[at+1:])
	if numbersOnly && len(opt.PhoneColumns) == 0 && opt.HeaderLine == 0 && len(header.cells) == 1 && isNumberLike(header.cells[0]) {
		c.columns, c.header = []string{"phone"}, header.line
		c.usePhones([]int{0})
		return nil
	}
	if err := c.useHeader(header); err != nil {
		return err
	}
	if err := checkSpread(c.columns, below, rune(c.src.comma)); err != nil {
		return fmt.Errorf("line %d: %w", header.line, err)
	}
	if n, broken := c.src.row(c.src.buf[header.begin:]); broken && n > 0 {
		return campaign.Faulty(campaign.MsgFileLine, "line", header.line, "refusal", BrokenQuotes)
	}
	if at > 0 && opt.HeaderLine == 0 && slices.ContainsFunc(rows[:at], func(r sampled) bool { return r.filled() > 0 }) {
		c.remarks = append(c.remarks, campaign.Say(campaign.MsgReadHeader, "line", header.line))
	}
	if numbersOnly && len(opt.PhoneColumns) == 0 && len(c.columns) == 1 {
		c.usePhones([]int{0})
	} else {
		phones, remark, err := findPhoneColumns(c.columns, opt.PhoneColumns, func(column int) bool { return c.looksLikeNumbers(below, column) })
		if errors.Is(err, errNumberHeader) {
			return campaign.Faulty(campaign.MsgFileNoHeader, "line", header.line)
		}
		if err != nil {
			return &NoPhonesError{c.columns, c.orLower(rows, at, opt, err)}
		}
		if c.usePhones(phones); !remark.IsZero() {
			c.remarks = append(c.remarks, remark)
		}
	}
	if err := c.findPlaces(opt, below); err != nil {
		return err
	}
	c.src.line = header.line + c.src.lines(c.src.buf[header.begin:header.end])
	c.src.buf = c.src.buf[header.end:]
	return nil
}

// A NoPhonesError says that it is not known which column holds the numbers.
type NoPhonesError struct {
	Columns []string // of the file, trimmed
	Err     error
}

func (e *NoPhonesError) Error() string { return e.Err.Error() }
func (e *NoPhonesError) Unwrap() error { return e.Err }

func (c *Reader) usePhones(columns []int) { c.phones, c.byColumn = columns, make([]int, len(columns)) }

func cellsOf(rows []sampled) [][]string {
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = row.cells
	}
	return cells
}

// headerAmong finds the header among the first rows: the line asked for; the first row
// that names a phone column, if only titles stand above it; or the first row that is
// not empty.
func headerAmong(rows []sampled, opt Options) (int, error) {
	if opt.HeaderLine > 0 {
		at := slices.IndexFunc(rows, func(r sampled) bool { return r.line == opt.HeaderLine })
		if at < 0 {
			return 0, fmt.Errorf("--header-line %d: no row begins on that line, among the first %d", opt.HeaderLine, sampledRows)
		}
		return at, nil
	}
	first := max(slices.IndexFunc(rows, func(r sampled) bool { return r.cells == nil || r.filled() > 0 }), 0)
	for at := first; at < min(len(rows), first+maxTitleRows); at++ {
		if at > first && slices.ContainsFunc(rows[at].cells, isNumberLike) || !namesPhones(rows[at].cells, opt.PhoneColumns) {
			continue
		}
		above := rows[first:at]
		switch {
		case !slices.ContainsFunc(above, func(r sampled) bool { return r.filled() > 1 || slices.ContainsFunc(r.cells, isNumberLike) }):
			return at, nil
		case rows[first].filled() < rows[at].filled():
			return 0, looksLikeHeader(rows[at])
		}
		break
	}
	return first, nil
}

func looksLikeHeader(row sampled) error {
	return campaign.Faulty(campaign.MsgFileHeader, "line", row.line)
}

// namesPhones reports whether a cell is the name of a phone column.
func namesPhones(cells, asked []string) bool {
	return slices.ContainsFunc(cells, func(cell string) bool {
		if len(cell) > maxNameBytes {
			return false
		}
		if len(asked) == 0 {
			return isPhoneName(cell)
		}
		return slices.ContainsFunc(asked, func(name string) bool { return isFilled(cell) && columnKey(name) == columnKey(cell) })
	})
}

const maxNameBytes = 200

// orLower returns why there is no phone column, or that the header stands below a
// title.
func (c *Reader) orLower(rows []sampled, at int, opt Options, why error) error {
	if opt.HeaderLine > 0 || rows[at].filled() > 1 {
		return why
	}
	for i := at + 1; i < min(len(rows), at+maxTitleRows); i++ {
		switch {
		case rows[i].filled() < 2:
			continue
		case slices.ContainsFunc(rows[i].cells, isNumberLike):
			return why
		}
		err := looksLikeHeader(rows[i])
		for k, name := range rows[i].cells {
			if isFilled(name) && c.looksLikeNumbers(cellsOf(rows[i+1:]), k) {
				return fmt.Errorf("%w --phone-column %s", err, quoteFlag(trimName(name)))
			}
		}
		return err
	}
	return why
}

// looksLikeNumbers reports whether seven in ten filled cells of a column are phone numbers.
func (c *Reader) looksLikeNumbers(rows [][]string, column int) bool {
	cells, numbers := 0, 0
	for _, cell := range filled(rows, column) {
		cells++
		switch r := c.parser.readAll(cell); r.why {
		case "", NoCountryCode, TwoNumbers, HasExtension:
			numbers++
		}
	}
	return numbers > 0 && numbers*10 >= cells*7
}

func (c *Reader) useHeader(header sampled) error {
	if header.cells == nil {
		if err := checkText(string(c.src.buf[header.begin:header.end])); err != nil {
			return fmt.Errorf("line %d: %w", header.line, err)
		}
		return campaign.Faulty(campaign.MsgFileLine, "line", header.line, "refusal", BrokenQuotes)
	}
	c.header = header.line
	for _, cell := range header.cells {
		c.columns = append(c.columns, trimName(cell))
	}
	if err := checkHeader(c.columns); err != nil {
		return fmt.Errorf("line %d: %w", header.line, err)
	}
	if at := len(c.columns) - len(rejectColumns); at > 0 && slices.Equal(c.columns[at:], rejectColumns) {
		c.columns, c.corrected = c.columns[:at:at], true
		for i, name := range c.columns {
			c.columns[i] = UnescapeCell(name)
		}
	}
	if at := len(c.columns) - 2; !c.corrected && at > 0 && c.columns[at] == rejectColumns[0] && c.columns[at+1] == rejectColumns[2] {
		// Without the reasons, rows that were not chosen would be contacts.
		return campaign.Faulty(campaign.MsgFileRejects, "line", header.line, "column", strconv.Quote(rejectColumns[1]))
	}
	c.src.rows = max(maxBlockCells/len(c.columns), 1)
	return nil
}

// findPhoneColumns returns the columns with the numbers in order of preference: the ones
// asked for, or else the only one with a common name. fits reports whether the cells of a
// column are phone numbers. remark is what to tell people about the choice.
func findPhoneColumns(columns, asked []string, fits func(column int) bool) (found []int, remark campaign.Message, err error) {
	for _, name := range asked {
		i, err := columnNamed(columns, name)
		if err != nil {
			return nil, remark, err
		}
		if slices.Contains(found, i) {
			return nil, remark, campaign.Faulty(campaign.MsgFilePhoneTwice, "column", quoteFlag(columns[i]))
		}
		found = append(found, i)
	}
	if len(found) > 0 {
		return found, remark, nil
	}
	for i, name := range columns {
		if isPhoneName(name) {
			found = append(found, i)
		}
	}
	if len(found) > 1 {
		if first, ok := theFirst(columns, found); ok {
			var flags, others []campaign.Message
			for _, i := range first {
				flags = append(flags, campaign.Text("--phone-column "+quoteFlag(columns[i])))
				others = append(others, campaign.Text(strconv.Quote(shown(columns[i]))))
			}
			return first[:1], campaign.Say(campaign.MsgReadNumbers, "column", others[0], "others", others[1:], "flags", flags), nil
		}
	}
	if len(found) == 0 {
		for i, name := range columns {
			if numberNames.MatchString(nameKey(name)) && fits(i) {
				found = append(found, i)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, remark, noPhoneColumn(columns, fits)
	case 1:
		return found, remark, nil
	}
	return nil, remark, campaign.Faulty(campaign.MsgFileWhich, "columns", listColumns(columns, found))
}

// noPhoneColumn says which column may be meant where no name is that of a phone column.
func noPhoneColumn(columns []string, fits func(column int) bool) error {
	if slices.ContainsFunc(columns, isNumberLike) {
		return errNumberHeader
	}
	var found []int
	for i := range columns {
		if fits(i) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return campaign.Faulty(campaign.MsgFileNoPhone, "columns", quoteNames(columns))
	case len(found) == 1 && columns[found[0]] == "":
		return campaign.Faulty(campaign.MsgFileUnnamed, "column", found[0]+1)
	case len(found) == 1:
		return campaign.Faulty(campaign.MsgFilePhone, "column", found[0]+1, "name", strconv.Quote(shown(columns[found[0]])), "flag", quoteFlag(columns[found[0]]))
	}
	return campaign.Faulty(campaign.MsgFilePhones, "columns", listColumns(columns, found))
}

// errNumberHeader means that the file has no header. It does not list the columns,
// because one of them is a number.
var errNumberHeader = errors.New("a number stands where the names of the columns should be")

// checkHeader refuses a row that cannot be a header. Its errors never show a cell that
// may be a number.
func checkHeader(columns []string) error {
	switch {
	case len(columns) > maxColumns:
		return campaign.Faulty(campaign.MsgFileColumns, "most", maxColumns)
	case !slices.ContainsFunc(columns, func(name string) bool { return name != "" }):
		return campaign.Faulty(campaign.MsgFileNoNames)
	case slices.ContainsFunc(columns, func(name string) bool { return strings.ContainsRune(name, '\r') }):
		return campaign.Faulty(campaign.MsgFileReturns)
	}
	return nil
}

// checkSpread finds lists of which every line stands in one cell, and cells whose
// quotes follow a space and so are no quotes.
func checkSpread(columns []string, sample [][]string, comma rune) error {
	name := ""
	if filled := named(columns); len(filled) == 1 {
		name = filled[0]
	}
	for _, sep := range []struct {
		r    rune
		name string
	}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}, {',', "commas"}} {
		if !strings.ContainsRune(name, sep.r) {
			continue
		}
		alike := 0
		for _, row := range sample {
			if len(row) > 0 && strings.ContainsRune(row[0], sep.r) {
				alike++
			}
		}
		if 2*alike >= len(sample) && (alike > 0 || sep.r != comma) {
			return campaign.Faulty(campaign.MsgFileOneColumn, "separator", sep.name, "comma", strconv.QuoteRune(comma))
		}
	}
	rows := 0
	for _, row := range sample {
		opens := slices.IndexFunc(row, func(cell string) bool {
			bare := strings.Trim(cell, " ")
			return strings.HasPrefix(cell, " ") && len(bare) > 1 && bare[0] == '"'
		})
		if opens >= 0 && slices.ContainsFunc(row[opens:], func(cell string) bool { return strings.HasSuffix(strings.TrimRight(cell, " "), `"`) }) {
			rows++
		}
	}
	if slices.ContainsFunc(columns, func(name string) bool { return len(name) > 1 && name[0] == '"' && strings.HasSuffix(name, `"`) }) || rows > 0 && 2*rows >= len(sample) {
		return campaign.Faulty(campaign.MsgFileSpaced)
	}
	return nil
}

// isNumberLike reports whether a cell is only digits and punctuation, as no name is.
func isNumberLike(cell string) bool {
	digits := 0
	for _, r := range cell {
		if unicode.IsLetter(r) {
			return false
		}
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits >= 5
}
