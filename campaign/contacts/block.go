package contacts

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"campaign-runner/campaign"
)

// All returns the rows in the order of the file, once. An error ends it: the source
// failed, or the file is not what it seemed. It names the line and never shows its
// content.
func (c *Reader) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		ahead := 2 * c.workers // blocks that are parsed or wait to be
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
				b.end = c.src.cut
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
			c.choose(b)
			c.unpin(b)
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

// A block is a run of rows on its way through a worker. Its slices are reused, those of
// cells only if Options allow it; its text is not.
type block struct {
	text  string
	end   int64 // bytes of the source to the end of the block
	spans []span
	rows  []Row
	cells []string
	err   error // of the row after the last of rows
	odd   oddities
	done  chan struct{}
}

// maxMissing bounds the cells that rows lack: below a header of thousands of columns a
// small file could demand billions. A million rows may lack 250 each.
const maxMissing = 1 << 28

// parse makes rows of a block, as far as that needs no other block.
func (c *Reader) parse(b *block) {
	b.rows, b.err, b.odd = b.rows[:0], nil, make(oddities)
	p := rowParser{Reader: c, width: len(c.columns), countries: make(map[string]placed), odd: b.odd}
	if c.corrected {
		p.width += len(rejectColumns)
	}
	p.valid, p.clean = c.sound || checkText(b.text) == nil, strings.IndexByte(b.text, 0) < 0
	// Each cell but the first of its row has a separator.
	if n := min(len(b.spans)*p.width, len(b.text)+len(b.spans)) + 1; c.reuse {
		p.cells = slices.Grow(b.cells[:0], n)
		defer func() { b.cells = p.cells }()
	} else {
		p.cells = make([]string, 0, n)
	}
	for _, s := range b.spans {
		b.rows = append(b.rows, Row{Contact: campaign.Contact{Line: s.line}})
		row := &b.rows[len(b.rows)-1]
		row.Fields, b.err = p.fields(row, b.text[s.start:s.end], s.broken)
		if b.err != nil {
			b.rows = b.rows[:len(b.rows)-1]
			return
		}
		if row.Fields != nil {
			p.read(row)
		}
	}
}

type rowParser struct {
	*Reader
	width        int               // columns of the file, with those of rejects
	cells        []string          // of all rows
	countries    map[string]placed // by cell
	odd          oddities
	valid, clean bool // the block is UTF-8 and has no NUL characters
}

// refuse refuses a row whose cells cannot be told apart.
func (r *Row) refuse(why Reason, original string) { r.Refusal.Reason, r.Original = why, original }

// fields splits a row into cells, one for each column. They are nil if it is refused.
func (p *rowParser) fields(row *Row, text string, broken bool) ([]string, error) {
	begin, comma := len(p.cells), p.src.comma
	switch {
	case !p.clean && strings.IndexByte(text, 0) >= 0:
		row.refuse(ControlChar, strings.ReplaceAll(text, "\x00", "\ufffd"))
		return nil, nil
	case !p.valid && checkText(text) != nil:
		row.refuse(NotUTF8, strings.ToValidUTF8(text, "\ufffd"))
		return nil, nil
	case broken:
		cells := appendCells(nil, text, comma, p.width+1)
		if len(cells) != p.width {
			row.refuse(BrokenQuotes, text)
			return nil, nil
		}
		p.cells = append(p.cells, cells...)
	default:
		p.cells = appendCells(p.cells, text, comma, p.width+1)
	}
	if len(p.cells)-begin > p.width && areBlank(appendCells(nil, text, comma, len(text)+1)[p.width:]) {
		p.cells = p.cells[:begin+p.width] // a spreadsheet wrote empty cells beyond the header
	}
	if cells := p.cells[begin:]; len(cells) > p.width || areBlank(cells) {
		why := EmptyLine
		if len(cells) > p.width {
			why = TooManyCells
		}
		row.refuse(why, text)
		p.cells = p.cells[:begin]
		return nil, nil
	}
	if missing := p.width - (len(p.cells) - begin); missing > 0 { // Excel omits empty cells at the end
		if p.missing.Add(int64(missing)) > maxMissing {
			return nil, campaign.Faulty(campaign.MsgFileShort, "line", row.Line, "columns", p.width)
		}
		p.cells = append(p.cells, make([]string, missing)...)
	}
	return p.cells[begin:len(p.cells):len(p.cells)], nil
}

// read decides what becomes of a row by its cells.
func (p *rowParser) read(row *Row) {
	var left Reason // why the row was left out on purpose when its rejects were written
	if p.corrected {
		left = leftOut(row.Fields[p.width-2])
		row.Fields = row.Fields[: p.width-len(rejectColumns) : p.width-len(rejectColumns)]
		for i, cell := range row.Fields {
			row.Fields[i] = UnescapeCell(cell)
		}
	}
	faults := p.faultsOf(row.Fields)
	hidden := p.sheet != nil && p.sheet.isHidden(row.Line)
	if hidden && p.skipHidden {
		row.Refusal.Reason = HiddenRow
		return
	}
	if left == "" && p.choice.Row != nil && !p.choice.Row(row.Line, row.Fields) {
		left = NotChosen
	}
	if left != "" {
		row.Refusal.Reason = left
		return
	}
	if hidden {
		p.odd[hiddenRow]++
	}
	p.readNumber(row, p.countries, faults)
	for _, r := range p.required {
		switch why, faulty := faults[r.column]; {
		case row.Refusal.Reason != "":
		case faulty:
			row.Phone, row.Refusal.Reason = 0, why
		case !isFilled(row.Fields[r.column]):
			row.Phone, row.Refusal.Reason = 0, r.why
		}
	}
	if row.Refusal.Reason == "" && p.suppressed != nil {
		row.Refusal.Reason = p.suppressed(row.Phone)
	}
}

func (r *Row) add(phones ...campaign.Phone) {
	if r.all == nil {
		r.all = new([]campaign.Phone)
	}
	*r.all = append(*r.all, phones...)
}

// readNumber reads the number of a row: the first usable one among its phone columns.
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
			r.why = r.doubt
		}
		switch {
		case r.why == "" && c.allNumbers:
			row.add(r.phone)
			fallthrough
		case r.why == "":
			if row.Phone == 0 {
				row.Phone, row.Doubt, row.country, row.column = r.phone, r.doubt, r.country.at(), uint16(k)
			}
			if row.Refusal.Reason = ""; !c.allNumbers {
				return
			}
		case row.Phone == 0 && (row.Refusal.Reason == "" || row.Refusal.Reason == EmptyNumber):
			row.Refusal.Reason = r.why
		}
	}
}

func (c *Reader) firstNumber(r reading) reading {
	r.phone, r.why = r.several[0], ""
	r.country, r.doubt = world().doubt(strconv.FormatUint(uint64(r.phone), 10))
	return r
}

func areBlank(cells []string) bool { return !slices.ContainsFunc(cells, isFilled) }

func isFilled(cell string) bool { return strings.TrimSpace(cell) != "" }

// choose adds up the oddities of a block and refuses contacts that are not wanted because of
// those before them, and duplicates.
func (c *Reader) choose(b *block) {
	for cell, n := range b.odd {
		c.oddities[cell] += n
	}
	if c.allNumbers {
		return // Numbers collects them
	}
	if c.size > 0 { // as many rows are to come as have come in these bytes
		c.seen.expected = int(float64(c.seen.len()+len(b.rows)) / float64(b.end) * float64(c.size))
	}
	for part := range slices.Chunk(b.rows, fetchRows) {
		c.seen.fetch(part)
		for i := range part {
			row := &part[i]
			if row.Refusal.Reason != "" {
				continue
			}
			if !c.choice.takes(row.Phone) || c.choice.Limit > 0 && c.seen.len() >= c.choice.Limit && !c.seen.has(row.Phone) {
				row.Refusal.Reason = NotChosen
			} else if first, added := c.seen.add(row.Phone, row.Line); !added {
				row.Refusal = Refusal{Reason: Duplicate, First: first}
			}
		}
	}
}

// unpin copies the contacts of a block that holds little else, so that a few contacts
// do not keep the whole text in memory.
func (c *Reader) unpin(b *block) {
	if c.reuse {
		return // the cells are not kept
	}
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
