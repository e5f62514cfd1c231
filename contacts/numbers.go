package contacts

import (
	"io"
	"iter"

	"campaign-runner/campaign"
)

// Numbers are the phone numbers of a file, such as a suppression list.
type Numbers struct {
	seen   index
	counts campaign.Counts
}

// ReadNumbers reads a file of phone numbers: CSV with a phone column, or one
// number on each line without a header. Lines it cannot use are no error; see
// Unreadable. Options.Suppressed is not asked.
func ReadNumbers(r io.Reader, opt Options) (*Numbers, error) {
	opt.Suppressed = nil
	c, err := open(r, opt)
	if err != nil {
		return nil, err
	}
	first, err := c.firstRow()
	switch {
	case err != nil:
		return nil, err
	case len(first) == 1 && opt.PhoneColumn == "" && isNumberLike(first[0]):
		c.columns = []string{"phone"}
	default:
		if err := c.useHeader(first); err != nil {
			return nil, err
		}
		if len(c.columns) > 1 || opt.PhoneColumn != "" {
			if c.phoneColumn, err = findPhoneColumn(c.columns, opt.PhoneColumn); err != nil {
				return nil, err
			}
		}
	}
	for _, err := range c.All() {
		if err != nil {
			return nil, err
		}
	}
	return &Numbers{seen: c.seen, counts: c.Counts()}, nil
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
