// Package contacts reads contact files: CSV in, one Row out for each row of the
// file, which is either a contact of a campaign or a refusal with its reason.
// Rows read are contacts plus refused lines, always; Reader.Counts has the sums.
//
// Open finds out how a file is written: its encoding, delimiter and line ends, and
// whether it is packed or a workbook. A Reader reads UTF-8 with a separator it is
// told; File.Reader has a Reader on what Open has found.
//
// # Why not gocsv or encoding/csv
//
// gocsv takes nearly four times the time of encoding/csv for the same file (2.1
// s and 0.56 s for a million rows of five columns; BenchmarkGocsv). It panics on a row longer
// than the header and keeps only the last of two columns of one name.
//
// encoding/csv skips empty lines, so that they cannot be counted; it reads on to
// the end of the file after a quote that is not closed; and it does not hand out
// a row that it could not read. So rows are cut here, and a fuzz test holds the
// cells of every row that is accepted equal to what encoding/csv makes of it.
//
// The caller's goroutine cuts blocks of whole rows, workers make cells and phone
// numbers of them and ask who is suppressed, and the caller's goroutine takes the
// blocks back in order and looks for duplicates. With two cores that takes less than twice the time of
// encoding/csv, for numbers in E.164 and for common local ones alike; the
// benchmarks have both beside each other.
package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"campaign-runner/campaign"
)

// Options say how a file is read. The zero value reads commas and international
// numbers.
type Options struct {
	Comma       rune   // an ASCII character; 0: a comma
	PhoneColumn string // header name; empty: found by its common names
	Region      string // ISO 3166 alpha-2, for numbers without a country code; empty: such numbers are refused
	Workers     int    // 0: GOMAXPROCS

	// Suppressed tells why somebody must not be contacted: Suppressed,
	// DoNotContact or Recent, or Duplicate for a contact of an earlier file; empty:
	// may be. Nil: everybody may. Several goroutines call it.
	Suppressed func(campaign.Phone) Reason

	Choice Choice

	rowsAreLines bool // a row counts as one line, whatever its cells hold
}

// A Row is one row of the file.
type Row struct {
	campaign.Contact         // Phone is 0 if the number or a value was refused; Fields is nil if the cells do not fit the columns
	Refusal          Refusal // zero: the row is a contact
	Original         string  // the row as it stands in the file, if its cells do not fit the columns
}

// A Reader reads one contact file.
type Reader struct {
	src        *splitter
	parser     *PhoneParser
	suppressed func(campaign.Phone) Reason
	choice     Choice
	workers    int
	text       io.Closer // nil: nothing is to be closed

	columns     []string
	phoneColumn int
	required    []required
	corrected   bool // the file is one of rejects, given back

	sheet      *sheetText // nil: no workbook
	skipHidden bool
	oddities   oddities

	seen   index // the contacts read
	counts campaign.Counts
}

// NewReader reads the header of r. A header without rows is no error; a file
// without a header is.
func NewReader(r io.Reader, opt Options) (*Reader, error) {
	c, err := open(r, opt)
	if err != nil {
		return nil, err
	}
	first, err := c.firstRow()
	if err != nil {
		return nil, err
	}
	if err := c.useHeader(first); err != nil {
		return nil, err
	}
	if c.phoneColumn, err = findPhoneColumn(c.columns, opt.PhoneColumn); err != nil {
		return nil, err
	}
	return c, nil
}

// Close frees what the file needs. Rows are no longer handed out.
func (c *Reader) Close() error {
	if c.text == nil {
		return nil
	}
	return c.text.Close()
}

// Columns are the names in the header, trimmed. They may be empty, and equal. Of a
// file of rejects that is given back they are those of the file they came from.
func (c *Reader) Columns() []string { return c.columns }

// PhoneColumn is the index of the column with the numbers.
func (c *Reader) PhoneColumn() int { return c.phoneColumn }

// A required column must not be empty.
type required struct {
	column int
	why    Reason
}

// Require refuses rows whose cell in a column is blank, naming the value key that
// it fills. It must be called before All.
func (c *Reader) Require(column int, key string) {
	c.required = append(c.required, required{column, EmptyValue(key)})
}

// Counts are of the rows handed out so far.
func (c *Reader) Counts() campaign.Counts {
	counts := c.counts
	counts.Refused = maps.Clone(c.counts.Refused)
	return counts
}

// Contacts are the numbers of the contacts read so far, each with its place among
// them, counted from 0, in no order that means anything.
func (c *Reader) Contacts() iter.Seq2[campaign.Phone, int] { return c.seen.all() }

// All hands out the rows in the order of the file, once. An error ends it: of
// the source, or of a file that is not what it seemed to be. It names the line
// and never shows what stands there.
func (c *Reader) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		ahead := 2 * c.workers // blocks that are parsed or wait for it
		work := make(chan *block, ahead)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer close(work)
		for range c.workers {
			workers.Go(func() {
				for b := range work {
					c.parse(b)
					b.done <- struct{}{}
				}
			})
		}
		var (
			free   []*block
			queue  = make(chan *block, ahead)
			srcErr error
		)
		for range ahead {
			free = append(free, &block{done: make(chan struct{}, 1)})
		}
		for more := true; ; {
			for more && len(free) > 0 {
				b := free[len(free)-1]
				b.text, b.spans, srcErr = c.src.next(b.spans[:0])
				if more = srcErr == nil && len(b.spans) > 0; !more {
					break
				}
				free = free[:len(free)-1]
				work <- b
				queue <- b
			}
			if len(queue) == 0 {
				break
			}
			b := <-queue
			<-b.done
			c.settle(b.rows)
			unpin(b)
			for i := range b.rows {
				count(&c.counts, b.rows[i].Refusal)
				if !yield(b.rows[i], nil) {
					return
				}
			}
			if b.err != nil {
				yield(Row{}, b.err)
				return
			}
			free = append(free, b)
		}
		if srcErr != nil {
			yield(Row{}, srcErr)
		}
	}
}

// A block is a run of rows on its way through a worker. Its slices are used
// again; its text and the cells in it are not.
type block struct {
	text  string
	spans []span
	rows  []Row
	err   error // of the row after the last of rows
	done  chan struct{}
}

// parse makes rows of a block, as far as that needs no other block.
func (c *Reader) parse(b *block) {
	b.rows, b.err = b.rows[:0], nil
	valid := checkText(b.text) == nil
	columns := len(c.columns)
	if c.corrected {
		columns += len(rejectColumns)
	}
	// Each cell but the first of its row has a separator.
	cells := make([]string, 0, min(len(b.spans)*columns, len(b.text)+len(b.spans))+1)
	for _, s := range b.spans {
		text := b.text[s.start:s.end]
		if !valid {
			if err := checkText(text); err != nil {
				b.err = fmt.Errorf("line %d: %w", s.line, err)
				return
			}
		}
		b.rows = append(b.rows, Row{Contact: campaign.Contact{Line: s.line}})
		row := &b.rows[len(b.rows)-1]
		begin := len(cells)
		if !s.broken {
			cells = appendCells(cells, text, c.src.comma, columns+1)
		} else if lazy := lazyCells(text, c.src.comma); len(lazy) == columns {
			cells = append(cells, lazy...)
		} else {
			row.Refusal.Reason, row.Original = BrokenQuotes, text
			continue
		}
		fields := cells[begin:len(cells):len(cells)]
		if why := checkShape(fields, columns); why != "" {
			row.Refusal.Reason, row.Original = why, text
			cells = cells[:begin]
			continue
		}
		passed := false // the row was not chosen when its rejects were written
		if c.corrected {
			passed = strings.HasPrefix(fields[columns-2], string(NotChosen))
			fields = fields[: columns-len(rejectColumns) : columns-len(rejectColumns)]
			for i, cell := range fields {
				fields[i] = UnescapeCell(cell)
			}
		}
		row.Fields = fields
		fault, at := c.faultOf(fields)
		hidden := c.sheet != nil && c.sheet.isHidden(s.line)
		if hidden && c.skipHidden {
			row.Refusal.Reason = HiddenRow
			continue
		}
		if passed || c.choice.Row != nil && !c.choice.Row(s.line, fields) {
			row.Refusal.Reason = NotChosen
			continue
		}
		if hidden {
			c.oddities.hidden.Add(1)
		}
		row.Phone, row.Refusal.Reason = c.parser.Parse(fields[c.phoneColumn])
		if fault != "" && (at == c.phoneColumn || row.Refusal.Reason == "") {
			row.Phone, row.Refusal.Reason = 0, fault
		}
		for _, r := range c.required {
			if row.Refusal.Reason == "" && !isFilled(fields[r.column]) {
				row.Phone, row.Refusal.Reason = 0, r.why
			}
		}
		if row.Refusal.Reason == "" && c.suppressed != nil {
			row.Refusal.Reason = c.suppressed(row.Phone)
		}
	}
}

// checkShape tells why cells do not fit the columns.
func checkShape(cells []string, columns int) Reason {
	switch {
	case len(cells) > columns:
		return TooManyCells
	case !slices.ContainsFunc(cells, isFilled):
		return EmptyLine
	case len(cells) < columns:
		return TooFewCells
	}
	return ""
}

func isFilled(cell string) bool { return strings.TrimSpace(cell) != "" }

// settle decides what depends on the rows before.
func (c *Reader) settle(rows []Row) {
	for part := range slices.Chunk(rows, fetchRows) {
		c.seen.fetch(part)
		for i := range part {
			if row := &part[i]; row.Refusal.Reason == "" {
				if !c.choice.takes(row.Phone) || c.choice.Limit > 0 && c.seen.len() >= c.choice.Limit && !c.seen.has(row.Phone) {
					row.Refusal.Reason = NotChosen
					continue
				}
				if first, added := c.seen.add(row.Phone, row.Line); !added {
					row.Refusal = Refusal{Reason: Duplicate, First: first}
				}
			}
		}
	}
}

// unpin copies the contacts of a block that holds little else, so that a few of them
// do not keep all its text in memory.
func unpin(b *block) {
	used := 0
	for i := range b.rows {
		if b.rows[i].Refusal.Reason == "" {
			for _, cell := range b.rows[i].Fields {
				used += len(cell)
			}
		}
	}
	if used > len(b.text)/8 {
		return
	}
	for i := range b.rows {
		if row := &b.rows[i]; row.Refusal.Reason == "" {
			row.Fields = slices.Clone(row.Fields)
			for k, cell := range row.Fields {
				row.Fields[k] = strings.Clone(cell)
			}
		}
	}
}

// open prepares a reader before its first line.
func open(r io.Reader, opt Options) (*Reader, error) {
	if opt.Comma == 0 {
		opt.Comma = ','
	}
	if err := checkComma(opt.Comma); err != nil {
		return nil, err
	}
	if opt.Workers < 0 {
		return nil, fmt.Errorf("workers %d: want 0 or more", opt.Workers)
	}
	parser, err := NewPhoneParser(opt.Region)
	if err != nil {
		return nil, err
	}
	c := &Reader{
		src:        &splitter{src: r, comma: byte(opt.Comma), block: blockBytes, line: 1, rowsAreLines: opt.rowsAreLines},
		parser:     parser,
		suppressed: opt.Suppressed,
		choice:     opt.Choice,
		workers:    opt.Workers,
	}
	if c.workers == 0 {
		c.workers = runtime.GOMAXPROCS(0)
	}
	c.src.fill(blockBytes)
	if c.src.err != nil && !c.src.eof() {
		return nil, c.src.failure()
	}
	if kind := looksLike(c.src.buf); kind != "" {
		return nil, fmt.Errorf("this is %s: save it as \"CSV UTF-8\"", kind)
	}
	if kind := notUTF8(c.src.buf); kind != "" {
		return nil, fmt.Errorf("this is %s: save it as \"CSV UTF-8\"", kind)
	}
	c.src.buf = bytes.TrimPrefix(c.src.buf, []byte(bom))
	if _, length, ok := separatorLine(string(c.src.buf[:min(len(c.src.buf), 10)])); ok {
		c.src.buf = c.src.buf[length:]
		c.src.line++
	}
	if len(bytes.TrimSpace(c.src.buf)) == 0 {
		return nil, errEmpty
	}
	return c, nil
}

var errEmpty = errors.New("the file is empty")

const bom = "\ufeff"

// firstRow is the cells of the first line, which is not consumed.
func (c *Reader) firstRow() ([]string, error) {
	n, broken := c.src.row(c.src.buf)
	if n == 0 {
		return nil, fmt.Errorf("line %d: longer than %d bytes: this is not a contact list", c.src.line, blockBytes)
	}
	text := string(trimLineEnd(c.src.buf[:n]))
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("line %d: %w", c.src.line, err)
	}
	if broken {
		return nil, fmt.Errorf("line %d: %s", c.src.line, BrokenQuotes)
	}
	return appendCells(nil, text, c.src.comma, maxColumns+1), nil
}

// useHeader takes the first line for the names of the columns.
func (c *Reader) useHeader(cells []string) error {
	for _, cell := range cells {
		c.columns = append(c.columns, trimName(cell))
	}
	if err := checkHeader(c.columns, rune(c.src.comma)); err != nil {
		return fmt.Errorf("line %d: %w", c.src.line, err)
	}
	if at := len(c.columns) - len(rejectColumns); at > 0 && slices.Equal(c.columns[at:], rejectColumns) {
		c.columns, c.corrected = c.columns[:at:at], true
		for i, name := range c.columns {
			c.columns[i] = UnescapeCell(name)
		}
	}
	c.src.rows = max(maxBlockCells/len(c.columns), 1)
	n, _ := c.src.row(c.src.buf)
	c.src.line += c.src.lines(c.src.buf[:n])
	c.src.buf = c.src.buf[n:]
	return nil
}
