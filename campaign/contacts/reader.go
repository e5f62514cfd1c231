// Package contacts reads contact files. It makes one Row of each row of a file: a contact
// of a campaign, or a refusal with its reason. Contacts and refused lines always add up to
// the rows read; Reader.Counts has the sums.
//
// Open detects how a file is written: encoding, delimiter, line ends, and whether it is
// packed or a workbook. File.Reader reads it; NewReader reads UTF-8 with a known
// delimiter. What may be sent to whom, and how often, is left to the callers.
//
// What may have to grow has a table each: encodings (encodings), words in headers
// (phoneWords), names of countries (otherNames), files that are not lists (foreignFiles
// and foreignTexts), delimiters (delimiters), reasons to refuse a line (Reason).
//
// # Why not gocsv or encoding/csv
//
// gocsv takes nearly four times as long as encoding/csv for the same file (2.1 s and
// 0.56 s for a million rows of five columns; BenchmarkGocsv). It panics on a row longer
// than the header and keeps only the last of two columns of one name. Lists of numbers,
// whose columns are known, are read with it: see ReadNumbers.
//
// encoding/csv skips empty lines, so they cannot be counted; after a quote that is not
// closed it reads on to the end of the file; and it does not return a row that it could
// not read. So this package cuts rows itself. A fuzz test holds the cells of accepted rows
// equal to those of encoding/csv.
//
// # How it is fast
//
// The caller's goroutine cuts blocks of whole rows. Workers split them into cells, parse
// the numbers and ask who is suppressed. The caller's goroutine takes the blocks back in
// order and finds duplicates. With two cores that takes less than twice the time of
// encoding/csv; the benchmarks compare them.
package contacts

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"campaign-runner/campaign"
)

// Options say how to read a file. The zero value reads commas and international
// numbers.
type Options struct {
	Comma      rune   // an ASCII character; 0: a comma
	Region     string // ISO 3166 alpha-2, for numbers without a country code; empty: such numbers are refused
	HeaderLine int    // the line of the header; 0: the first row, or one below a title
	Workers    int    // 0: GOMAXPROCS

	campaign.Reading
	CountryIfThere bool // the country columns asked for may be missing

	// Suppressed returns why a number must not be contacted: Suppressed, DoNotContact,
	// Recent, or Duplicate for a contact of an earlier file; empty if it may be. Several
	// goroutines call it. Nil: every number may be contacted.
	Suppressed func(campaign.Phone) Reason

	Choice Choice

	// ReuseFields allows later rows to use the Fields of a row again: what must stay has to be
	// copied before the next row. Their cells do stay.
	ReuseFields bool

	size         int64 // bytes of the text; 0: not known
	sound        bool  // all of the text is known to be UTF-8
	rowsAreLines bool  // a row counts as one line, even if its cells hold line ends
}

// A Row is a row of the file.
type Row struct {
	campaign.Contact         // Phone is 0 if the number or a value was refused; Fields is nil if the cells do not fit the columns
	Refusal          Refusal // zero: the row is a contact
	Original         string  // the row as in the file, if its cells do not fit the columns
	Doubt            Reason  // why the number may be wrong; empty: no doubt

	country uint16            // of the number, by the index of its plan
	column  uint16            // of the number, among the phone columns
	all     *[]campaign.Phone // all numbers of the row, if all are wanted
}

// A Reader reads one contact file.
type Reader struct {
	src        *splitter
	parser     *PhoneParser
	suppressed func(campaign.Phone) Reason
	choice     Choice
	workers    int
	text       io.Closer // nil: nothing to close

	columns   []string
	phones    []int    // columns with the numbers, in order of preference
	places    []beside // columns with the country of a number
	required  []required
	corrected bool               // the file is a corrected file of rejects
	header    int                // the line of the header
	remarks   []campaign.Message // see Remarks
	missing   atomic.Int64       // cells missing at the end of rows

	strict, firstOfTwo bool // see campaign.Reading
	reuse, sound       bool // see Options
	size               int64
	allNumbers         bool // all numbers of a row are wanted

	sheet      *sheetText // nil: not a workbook
	skipHidden bool
	oddities   oddities

	seen      index // the contacts read
	counts    campaign.Counts
	byCountry []int // contacts, by the index of the plan
	byColumn  []int // contacts, by phone column
}

// NewReader reads the header of r. A file without rows is valid; a file without a
// header is not.
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

// Close frees what the reader needs. It returns no more rows.
func (c *Reader) Close() error {
	if c.text == nil {
		return nil
	}
	return c.text.Close()
}

// Columns are the trimmed names in the header. They may be empty or equal. For a
// corrected file of rejects they are the columns of the original file.
func (c *Reader) Columns() []string { return c.columns }

// PhoneColumn is the index of the preferred column with numbers.
func (c *Reader) PhoneColumn() int { return c.phones[0] }

// HeaderLine is the line of the header.
func (c *Reader) HeaderLine() int { return c.header }

// CountryColumns are the names of the columns with the numbers' countries and with
// their calling codes; empty if there is none.
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

// Remarks say what people should know about how the file is read.
func (c *Reader) Remarks() []campaign.Message { return c.remarks }

type required struct {
	column int
	why    Reason
}

// Require refuses rows with a blank cell in a column. key is the value key that the
// column fills. It must be called before All.
func (c *Reader) Require(column int, key string) {
	c.required = append(c.required, required{column, EmptyValue(key)})
}

func (c *Reader) count(row *Row) {
	count(&c.counts, row.Refusal)
	if row.Refusal.Reason != "" {
		return
	}
	c.byCountry[row.country]++
	c.byColumn[row.column]++
	if row.Doubt != "" {
		add(&c.counts.Doubtful, string(row.Doubt), 1)
	}
}

func add(counts *map[string]int, name string, n int) {
	if *counts == nil {
		*counts = make(map[string]int)
	}
	(*counts)[name] += n
}

// Counts are of the rows returned so far.
func (c *Reader) Counts() campaign.Counts {
	counts := c.counts
	counts.Refused, counts.Doubtful = maps.Clone(counts.Refused), maps.Clone(counts.Doubtful)
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

// Contacts are the numbers of the contacts read so far, each with its place among them
// from 0. Their order is arbitrary.
func (c *Reader) Contacts() iter.Seq2[campaign.Phone, int] { return c.seen.all() }

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
		reuse:      opt.ReuseFields,
		sound:      opt.sound,
		size:       opt.size,
		byCountry:  make([]int, len(world().all)),
		oddities:   make(oddities),
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

var errEmpty = campaign.Faulty(campaign.MsgFileEmpty)

const bom = "\ufeff"

// A Choice says which rows of a file become contacts; the others are NotChosen. The
// zero value takes all rows.
type Choice struct {
	// Row decides on each row first, by its line and its cells in the order of the columns.
	// Several goroutines call it. Nil: every row.
	Row func(line int, cells []string) bool
	// Sample takes only numbers whose rank is below it; 0: every number. See Sampler.
	Sample uint64
	// Limit takes the first contacts of the file; 0: all.
	Limit int
}

func (c Choice) takes(p campaign.Phone) bool { return c.Sample == 0 || rank(p) < c.Sample }

// rank puts numbers into an order that is always the same and has nothing to do with
// them: the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014), which maps no two numbers to the same rank. No phone number
// has the greatest rank.
func rank(p campaign.Phone) uint64 {
	z := uint64(p.Person()) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// A Sampler finds the Choice.Sample that takes a given number of contacts: those of the
// lowest ranks. It needs about ten bytes for each.
type Sampler struct {
	size  int
	ranks []uint64 // the lowest, and some more
	limit uint64   // ranks from here on are not among the lowest
}

// NewSampler returns a sampler for size contacts.
func NewSampler(size int) *Sampler { return &Sampler{size: size, limit: math.MaxUint64} }

// Add adds a contact to choose from.
func (s *Sampler) Add(p campaign.Phone) {
	if r := rank(p); r < s.limit {
		s.ranks = append(s.ranks, r)
	}
	if len(s.ranks) > s.size+s.size/4+1000 {
		s.trim()
	}
}

// Sample is for a Choice that takes size of the contacts added, or all if there are no
// more.
func (s *Sampler) Sample() uint64 {
	if len(s.ranks) < s.size {
		return 0
	}
	s.trim()
	return s.limit
}

func (s *Sampler) trim() {
	slices.Sort(s.ranks)
	s.ranks = s.ranks[:s.size]
	s.limit = s.ranks[s.size-1] + 1
}
