package contacts

import (
	"fmt"
	"io"
	"iter"

	"campaign-runner/campaign"
)

// Numbers are the phone numbers of a file, such as a suppression list.
type Numbers struct {
	seen    index
	counts  campaign.Counts
	remarks []string
}

// ReadNumbers reads a file of phone numbers: CSV with a phone column, or one
// number on each line without a header. Every number of a row counts, of all the phone
// columns asked for and of two in one cell. Lines it cannot use are no error; see
// Unreadable. Options.Suppressed and StrictNumbers are not asked.
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
	for _, err := range c.All() {
		if err != nil {
			return nil, err
		}
	}
	return &Numbers{seen: c.seen, counts: c.Counts(), remarks: remarksOf(c)}, nil
}

// Has reports whether the number is in the file.
func (n *Numbers) Has(p campaign.Phone) bool {
	return n.seen.has(p)
}

// All hands out the numbers, in no order that means anything.
func (n *Numbers) All() iter.Seq[campaign.Phone] {
	return func(yield func(campaign.Phone) bool) {
		for p := range n.seen.all() {
			if !yield(p) {
				return
			}
		}
	}
}

// Len is the number of different numbers.
func (n *Numbers) Len() int { return n.seen.len() }

// Remarks are what people should be told of how the file was read.
func (n *Numbers) Remarks() []string { return n.remarks }

func remarksOf(c *Reader) []string {
	remarks := c.Remarks()
	country, code := c.CountryColumns()
	for _, name := range []string{country, code} {
		if name != "" {
			remarks = append(remarks, fmt.Sprintf("column %q says whose country the numbers are of", name))
		}
	}
	return remarks
}

// Unreadable are the lines without a usable number, by reason: people who may
// have asked not to be contacted and whom Has does not know. Repeated numbers
// and empty lines are not among them.
func (n *Numbers) Unreadable() map[Reason]int {
	lines := make(map[Reason]int)
	for reason, count := range n.counts.Refused {
		if r := Reason(reason); r != Duplicate && r != EmptyLine {
			lines[r] = count
		}
	}
	return lines
}
