package contacts

import (
	"cmp"
	"errors"
	"io"
	"iter"
	"slices"
	"strconv"

	"github.com/gocarina/gocsv"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts/xlsx"
)

// Numbers are the phone numbers of a file, such as a suppression list.
type Numbers struct {
	seen    index
	refused map[string]int // lines, by reason
	remarks []campaign.Message
	notRead []campaign.Message
	leftOut []campaign.Message
}

// ReadNumbers reads a file of phone numbers: CSV with a phone column, or one number on
// each line without a header. It takes all numbers of a row: from all the phone columns
// asked for, and two from one cell. Lines that it cannot use are no error; see
// Unreadable. It ignores Options.Suppressed and StrictNumbers.
func ReadNumbers(r io.Reader, opt Options) (*Numbers, error) {
	opt.Suppressed, opt.StrictNumbers = nil, false
	c, err := open(r, opt)
	if err != nil {
		return nil, err
	}
	c.allNumbers = true
	if err := c.findHeader(opt, true); err != nil {
		return nil, err
	}
	n := new(Numbers)
	if err := n.take(&numberRows{rows: c.All()}); err != nil {
		return nil, err
	}
	n.refused, n.remarks = c.Counts().Refused, remarksOf(c)
	return n, nil
}

// A Listed is a line of a list of numbers, such as the do-not-contact list.
type Listed struct {
	Phone string `csv:"phone"` // in E.164
}

const numbersAhead = 1024

func (n *Numbers) take(rows *numberRows) error {
	list := make(chan Listed, numbersAhead)
	var g errgroup.Group
	g.Go(func() error { return gocsv.UnmarshalDecoderToChan(gocsv.NewSimpleDecoderFromCSVReader(rows), list) })
	var bad error
	for listed := range list {
		phone, err := campaign.ParsePhone(listed.Phone)
		bad = cmp.Or(bad, err)
		n.seen.add(phone, 0)
	}
	return cmp.Or(g.Wait(), bad)
}

// numberRows presents a Reader's numbers to gocsv as a file with one column of numbers
// in E.164, whatever the encoding, dialect, columns and countries of the real file.
type numberRows struct {
	rows   iter.Seq2[Row, error]
	next   func() (Row, error, bool) // nil before the header
	stop   func()
	inHand []campaign.Phone
}

// Read returns the next record, the header first.
func (r *numberRows) Read() ([]string, error) {
	if r.next == nil {
		r.next, r.stop = iter.Pull2(r.rows)
		return []string{"phone"}, nil
	}
	for len(r.inHand) == 0 {
		row, err, ok := r.next()
		if !ok {
			err = io.EOF
		}
		if err != nil {
			r.stop()
			return nil, err
		}
		if row.Refusal.Reason == "" {
			r.inHand = *row.all
		}
	}
	phone := r.inHand[0]
	r.inHand = r.inHand[1:]
	return []string{phone.E164()}, nil
}

// ReadAll completes gocsv's interface. It is never used.
func (r *numberRows) ReadAll() ([][]string, error) { return nil, errors.ErrUnsupported }

// NotRead names the sheets of a workbook that could not be read, and why. The numbers
// lack those in them.
func (n *Numbers) NotRead() []campaign.Message { return n.notRead }

// LeftOut names the sheets that were left out: hidden ones, and those beside the one
// asked for.
func (n *Numbers) LeftOut() []campaign.Message { return n.leftOut }

// numbersOfSheets reads the sheet asked for, or all visible sheets, each as a list of
// its own.
func (f *File) numbersOfSheets(opt Options) (*Numbers, error) {
	sheets := f.sheets
	if !f.named {
		sheets = slices.DeleteFunc(slices.Clone(f.book.Sheets), func(s xlsx.Sheet) bool { return s.Hidden || !s.Grid })
	}
	text, err := f.rows(sheets[:1])
	if err != nil {
		return nil, err
	}
	defer text.Close()
	all, lists := new(Numbers), 0
	var failed error
	for i, sheet := range sheets {
		if i > 0 {
			if text, err = text.again(sheet); err != nil {
				return nil, err
			}
		}
		one, err := ReadNumbers(text, opt)
		damage := (*xlsx.DamageError)(nil)
		switch {
		case errors.Is(err, errEmpty):
			failed = cmp.Or(failed, err)
		case err != nil && (len(sheets) == 1 || errors.As(err, &damage) || errors.Is(err, xlsx.ErrTooLarge)):
			return nil, err
		case err != nil:
			failed = err
			all.notRead = append(all.notRead, campaign.Say(campaign.MsgReadNoSheet, "sheet", strconv.Quote(sheet.Name), "why", campaign.Told(err)))
		default:
			all.add(one)
			lists++
		}
	}
	if lists == 0 {
		return nil, failed
	}
	visible, hidden := f.sheetsBut(sheets)
	if len(visible) > 0 {
		all.leftOut = append(all.leftOut, campaign.Say(campaign.MsgReadNoSheets, "sheets", quoteNames(visible)))
	}
	if len(hidden) > 0 {
		all.leftOut = append(all.leftOut, campaign.Say(campaign.MsgReadNoHidden, "sheets", quoteNames(hidden)))
	}
	return all, nil
}

func (n *Numbers) add(other *Numbers) {
	for phone := range other.seen.all() {
		n.seen.add(phone, 0)
	}
	n.remarks = append(n.remarks, other.remarks...)
	for reason, lines := range other.refused {
		add(&n.refused, reason, lines)
	}
}

// Has reports whether the number is in the file.
func (n *Numbers) Has(p campaign.Phone) bool { return n.seen.has(p) }

// All returns the numbers in an arbitrary order.
func (n *Numbers) All() iter.Seq[campaign.Phone] {
	return func(yield func(campaign.Phone) bool) {
		for p := range n.seen.all() {
			if !yield(p) {
				return
			}
		}
	}
}

// Len is how many different numbers there are.
func (n *Numbers) Len() int { return n.seen.len() }

// Remarks say what people should know about how the file was read.
func (n *Numbers) Remarks() []campaign.Message { return n.remarks }

func remarksOf(c *Reader) []campaign.Message {
	remarks := c.Remarks()
	country, code := c.CountryColumns()
	for _, name := range []string{country, code} {
		if name != "" {
			remarks = append(remarks, campaign.Say(campaign.MsgReadCountry, "column", strconv.Quote(shown(name))))
		}
	}
	return remarks
}

// Unreadable counts the lines without a usable number, by reason. They may stand for
// people who must not be contacted and whom Has does not know. Repeated numbers and
// empty lines are not counted.
func (n *Numbers) Unreadable() map[Reason]int {
	lines := make(map[Reason]int)
	for reason, count := range n.refused {
		if r := Reason(reason); r != Duplicate && r != EmptyLine {
			lines[r] = count
		}
	}
	return lines
}
