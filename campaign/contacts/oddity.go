package contacts

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"campaign-runner/campaign/contacts/xlsx"
)

// oddities count what a person should know of rows that are contacts all the same.
// Several goroutines count.
type oddities struct {
	hidden atomic.Int64 // rows that are hidden

	mu    sync.Mutex
	cells map[oddCell]int
}

// An oddCell is a kind of cells in one column.
type oddCell struct {
	column int
	what   string // an error as the sheet shows it, or xlsx.NoValue
}

// sheetErrors are what a spreadsheet shows where it could not calculate, in CSV too.
var sheetErrors = []string{
	"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#BUSY!", "#UNKNOWN!", "#GETTING_DATA",
}

// oddity is what is odd about a cell; empty: nothing.
func oddity(cell string) string {
	if len(cell) < 3 || cell[0] != '#' && cell[0] != xlsx.NoValue[0] {
		return ""
	}
	if cell == xlsx.NoValue || slices.Contains(sheetErrors, cell) {
		return cell
	}
	return ""
}

// faultsOf tells why cells that are needed cannot be used, by their column: those of
// numbers and of required values. Formulas without a value become empty.
func (c *Reader) faultsOf(fields []string) (faults map[int]Reason) {
	for i, cell := range fields {
		what := oddity(cell)
		if what == "" {
			continue
		}
		why := ErrorValue(what)
		if what == xlsx.NoValue {
			fields[i], why = "", FormulaWithoutValue
		}
		if !slices.Contains(c.phones, i) && !slices.ContainsFunc(c.required, func(r required) bool { return r.column == i }) {
			c.oddities.count(oddCell{i, what})
			continue
		}
		if faults == nil {
			faults = make(map[int]Reason)
		}
		faults[i] = why
	}
	return faults
}

func (o *oddities) count(cell oddCell) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cells == nil {
		o.cells = make(map[oddCell]int)
	}
	o.cells[cell]++
}

// HiddenRows is how many of the rows handed out are hidden and were read all the
// same.
func (c *Reader) HiddenRows() int { return int(c.oddities.hidden.Load()) }

// Warnings tell what a person should know of the rows handed out so far.
func (c *Reader) Warnings() (all []string) {
	if n := c.HiddenRows(); n > 0 {
		all = append(all, fmt.Sprintf("rows of the sheet that a filter or somebody has hidden, and that are read all the same: %d; --skip-hidden-rows leaves them out", n))
	}
	for _, column := range c.phones {
		if c.sheet != nil && c.sheet.hiddenColumn(column) {
			all = append(all, fmt.Sprintf("the column of the phone numbers, %q, is hidden in the sheet", c.columns[column]))
		}
	}
	if c.sheet != nil && len(c.sheet.starts) > 0 {
		all = append(all, "lines count on through the sheets: "+strings.Join(c.sheet.starts, ", "))
	}
	c.oddities.mu.Lock()
	defer c.oddities.mu.Unlock()
	for i, name := range c.columns {
		for _, what := range append([]string{xlsx.NoValue}, sheetErrors...) {
			switch n := c.oddities.cells[oddCell{i, what}]; {
			case n == 0:
			case what == xlsx.NoValue:
				all = append(all, fmt.Sprintf("column %q: formulas without a stored value, read as empty: %d; open and save the file in Excel", name, n))
			default:
				all = append(all, fmt.Sprintf("column %q: cells with %s instead of a value: %d", name, what, n))
			}
		}
	}
	return all
}
