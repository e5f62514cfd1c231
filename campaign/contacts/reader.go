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
// than the header and keeps only the last of two columns of one name. Lists of numbers,
// whose columns are known, go through it all the same: see ReadNumbers.
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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"campaign-runner/campaign"
)

// Options say how a file is read. The zero value reads commas and international
// numbers.
type Options struct {
	Comma      rune   // an ASCII character; 0: a comma
	Region     string // ISO 3166 alpha-2, for numbers without a country code; empty: such numbers are refused
	HeaderLine int    // the line of the header; 0: the first one, or one soon below a title
	Workers    int    // 0: GOMAXPROCS

	campaign.Reading
	CountryIfThere bool // the country columns asked for are another file's, and may be missing here

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

	doubt   doubt
	country uint16            // the number's, by the index of its plan
	column  uint16            // of the phone columns, the one it was in
	all     *[]campaign.Phone // every number in the row, if all are wanted
}

// Doubt tells why the number may be wrong; empty: nothing speaks for that.
func (r *Row) Doubt() Reason { return doubts[r.doubt] }

// A Reader reads one contact file.
type Reader struct {
	src        *splitter
	parser     *PhoneParser
	suppressed func(campaign.Phone) Reason
	choice     Choice
	workers    int
	text       io.Closer // nil: nothing is to be closed

	columns   []string
	phones    []int    // columns with the numbers, in order of preference
	places    []beside // columns that say whose country a number is of
	required  []required
	corrected bool         // the file is one of rejects, given back
	header    int          // its line
	remarks   []string     // what people should be told of how the file is read
	missing   atomic.Int64 // cells at the end of rows

	strict, firstOfTwo bool // see campaign.Reading
	allNumbers         bool // every number of a row is wanted, not one

	sheet      *sheetText // nil: no workbook
	skipHidden bool
	oddities   oddities

	seen      index // the contacts read
	counts    campaign.Counts
	byCountry []int // contacts, by the index of the plan
	byColumn  []int // contacts, by phone column
	byDoubt   [len(doubts)]int
}

// NewReader reads the header of r. A header without rows is no error; a file
// without a header is.
func NewReader(r io.Reader, opt Options) (*Reader, error) {
	c, err := open(r, opt)
	if err != nil {
		return nil, err
	}
	if err := c.findHeader(opt, false); err != nil {
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

// PhoneColumn is the index of the column with the numbers, of several the preferred one.
func (c *Reader) PhoneColumn() int { return c.phones[0] }

// HeaderLine is the line on which the header stands.
func (c *Reader) HeaderLine() int { return c.header }

// CountryColumns are the names of the columns that say whose country a number is of:
// of countries and of calling codes. Empty: there is none.
func (c *Reader) CountryColumns() (country, code string) {
	for _, in := range c.places {
		if in.codes {
			code = c.columns[in.column]
		} else {
			country = c.columns[in.column]
		}
	}
	return country, code
}

// Remarks are what people should be told of how the file is read.
func (c *Reader) Remarks() []string { return c.remarks }

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

// count adds what became of a row.
func (c *Reader) count(row *Row) {
	count(&c.counts, row.Refusal)
	if row.Refusal.Reason != "" {
		return
	}
	c.byCountry[row.country]++
	c.byColumn[row.column]++
	c.byDoubt[row.doubt]++
}

// add adds to a count by name.
func add(counts *map[string]int, name string, n int) {
	if *counts == nil {
		*counts = make(map[string]int)
	}
	(*counts)[name] += n
}

// Counts are of the rows handed out so far.
func (c *Reader) Counts() campaign.Counts {
	counts := c.counts
	counts.Refused = maps.Clone(c.counts.Refused)
	for doubt, n := range c.byDoubt {
		if n > 0 && doubt > 0 {
			add(&counts.Doubtful, string(doubts[doubt]), n)
		}
	}
	for i, n := range c.byCountry {
		if n > 0 {
			add(&counts.Countries, world().all[i].region, n)
		}
	}
	if len(c.phones) > 1 {
		for i, n := range c.byColumn {
			add(&counts.PhoneColumns, c.columns[c.phones[i]], n)
		}
	}
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
				c.count(&b.rows[i])
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

// maxMissing bounds the cells that rows lack: a small file could ask for any number of
// them, below a header of thousands of columns. A million rows may lack 250 each.
const maxMissing = 1 << 28

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
	clean := strings.IndexByte(b.text, 0) < 0
	columns := len(c.columns)
	if c.corrected {
		columns += len(rejectColumns)
	}
	seen := make(map[string]placed)
	// Each cell but the first of its row has a separator.
	cells := make([]string, 0, min(len(b.spans)*columns, len(b.text)+len(b.spans))+1)
	for _, s := range b.spans {
		text := b.text[s.start:s.end]
		b.rows = append(b.rows, Row{Contact: campaign.Contact{Line: s.line}})
		row := &b.rows[len(b.rows)-1]
		if !clean && strings.IndexByte(text, 0) >= 0 {
			row.Refusal.Reason, row.Original = ControlChar, strings.ReplaceAll(text, "\x00", "\ufffd")
			continue
		}
		if !valid && checkText(text) != nil {
			row.Refusal.Reason, row.Original = NotUTF8, strings.ToValidUTF8(text, "\ufffd")
			continue
		}
		begin := len(cells)
		if !s.broken {
			cells = appendCells(cells, text, c.src.comma, columns+1)
		} else if lazy := lazyCells(text, c.src.comma); len(lazy) == columns {
			cells = append(cells, lazy...)
		} else {
			row.Refusal.Reason, row.Original = BrokenQuotes, text
			continue
		}
		if len(cells)-begin > columns && areBlank(appendCells(nil, text, c.src.comma, len(text)+1)[columns:]) {
			cells = cells[:begin+columns] // a spreadsheet wrote empty cells beyond the header
		}
		if why := checkShape(cells[begin:], columns); why != "" {
			row.Refusal.Reason, row.Original = why, text
			cells = cells[:begin]
			continue
		}
		if missing := columns - (len(cells) - begin); missing > 0 { // Excel leaves out empty cells at the end
			if c.missing.Add(int64(missing)) > maxMissing {
				b.rows = b.rows[:len(b.rows)-1]
				b.err = fmt.Errorf("line %d: the rows have far fewer cells than the header's %d: this is not a contact list", s.line, columns)
				return
			}
			cells = append(cells, make([]string, missing)...)
		}
		fields := cells[begin:len(cells):len(cells)]
		passed := false // the row was not chosen when its rejects were written
		if c.corrected {
			passed = strings.HasPrefix(fields[columns-2], string(NotChosen))
			fields = fields[: columns-len(rejectColumns) : columns-len(rejectColumns)]
			for i, cell := range fields {
				fields[i] = UnescapeCell(cell)
			}
		}
		row.Fields = fields
		faults := c.faultsOf(fields)
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
		c.readNumber(row, seen, faults)
		for _, r := range c.required {
			switch why, faulty := faults[r.column]; {
			case row.Refusal.Reason != "":
			case faulty:
				row.Phone, row.Refusal.Reason = 0, why
			case !isFilled(fields[r.column]):
				row.Phone, row.Refusal.Reason = 0, r.why
			}
		}
		if row.Refusal.Reason == "" && c.suppressed != nil {
			row.Refusal.Reason = c.suppressed(row.Phone)
		}
	}
}

// add adds to the numbers of the row.
func (r *Row) add(phones ...campaign.Phone) {
	if r.all == nil {
		r.all = new([]campaign.Phone)
	}
	*r.all = append(*r.all, phones...)
}

// readNumber reads the number of a row: in the first of the phone columns that has
// one that can be used.
func (c *Reader) readNumber(row *Row, seen map[string]placed, faults map[int]Reason) {
	var in placed
	if len(c.places) > 0 {
		in = c.placeIn(row.Fields, seen)
	}
	for k, column := range c.phones {
		var r reading
		switch why, faulty := faults[column]; {
		case faulty:
			r.why = why
		case len(c.places) > 0:
			r = c.readPlaced(row.Fields[column], in)
		default:
			r = c.parser.readAll(row.Fields[column])
		}
		switch {
		case r.why == TwoNumbers && c.allNumbers:
			r.phone, r.why = r.several[0], ""
			row.add(r.several...)
		case r.why == TwoNumbers && c.firstOfTwo:
			r = c.firstNumber(r)
		}
		if c.strict && r.why == "" {
			r.why = doubts[r.doubt]
		}
		switch {
		case r.why == "" && c.allNumbers:
			row.add(r.phone)
			fallthrough
		case r.why == "":
			if row.Phone == 0 {
				row.Phone, row.doubt, row.country, row.column = r.phone, r.doubt, r.country.at(), uint16(k)
			}
			if row.Refusal.Reason = ""; !c.allNumbers {
				return
			}
		case row.Phone == 0 && (row.Refusal.Reason == "" || row.Refusal.Reason == EmptyNumber):
			row.Refusal.Reason = r.why
		}
	}
}

// firstNumber takes the first of the numbers in a cell.
func (c *Reader) firstNumber(r reading) reading {
	r.phone, r.why = r.several[0], ""
	r.country, r.doubt = world().doubt(strconv.FormatUint(uint64(r.phone), 10))
	return r
}

// checkShape tells why cells do not fit the columns.
func checkShape(cells []string, columns int) Reason {
	switch {
	case len(cells) > columns:
		return TooManyCells
	case areBlank(cells):
		return EmptyLine
	}
	return ""
}

func areBlank(cells []string) bool { return !slices.ContainsFunc(cells, isFilled) }

func isFilled(cell string) bool { return strings.TrimSpace(cell) != "" }

// settle decides what depends on the rows before.
func (c *Reader) settle(rows []Row) {
	if c.allNumbers {
		return // Numbers keeps them
	}
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
	if opt.HeaderLine < 0 {
		return nil, fmt.Errorf("header line %d: want 1 or more", opt.HeaderLine)
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
		strict:     opt.StrictNumbers,
		firstOfTwo: opt.FirstOfTwo,
		byCountry:  make([]int, len(world().all)),
	}
	if c.workers == 0 {
		c.workers = runtime.GOMAXPROCS(0)
	}
	c.src.fill(blockBytes)
	if c.src.err != nil && !c.src.eof() {
		return nil, c.src.failure()
	}
	if err := looksLike(c.src.buf); err != nil {
		return nil, err
	}
	if err := notUTF8(c.src.buf); err != nil {
		return nil, err
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
