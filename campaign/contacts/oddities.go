package contacts

import (
	"slices"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts/xlsx"
)

// oddities count what a person should know about rows that are contacts nevertheless.
type oddities map[oddCell]int

// hiddenRow counts rows that are hidden and were read nevertheless.
var hiddenRow = oddCell{column: -1}

type oddCell struct {
	column int
	what   string // an error as the sheet shows it, or xlsx.NoValue
}

// sheetErrors are what a spreadsheet writes where it cannot calculate, in CSV, too.
var sheetErrors = []string{
	"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#BUSY!", "#UNKNOWN!", "#GETTING_DATA",
}

// oddity returns what is odd about a cell; empty if nothing is.
func oddity(cell string) string {
	if len(cell) < 3 || cell[0] != '#' && cell[0] != xlsx.NoValue[0] {
		return ""
	}
	if cell == xlsx.NoValue || slices.Contains(sheetErrors, cell) {
		return cell
	}
	return ""
}

// faultsOf returns why cells with numbers or required values cannot be used, by their
// column. Formulas without a value become empty.
func (p *rowParser) faultsOf(fields []string) (faults map[int]Reason) {
	for i, cell := range fields {
		what := oddity(cell)
		if what == "" {
			continue
		}
		why := ErrorValue(what)
		if what == xlsx.NoValue {
			fields[i], why = "", FormulaWithoutValue
		}
		if !slices.Contains(p.phones, i) && !slices.ContainsFunc(p.required, func(r required) bool { return r.column == i }) {
			p.odd[oddCell{i, what}]++
			continue
		}
		if faults == nil {
			faults = make(map[int]Reason)
		}
		faults[i] = why
	}
	return faults
}

// HiddenRows is how many of the rows returned are hidden and were read nevertheless.
func (c *Reader) HiddenRows() int { return c.oddities[hiddenRow] }

// Warnings say what a person should know about the rows returned so far.
func (c *Reader) Warnings() (all []campaign.Message) {
	if n := c.HiddenRows(); n > 0 {
		all = append(all, campaign.Say(campaign.MsgReadHiddenRows, "rows", n))
	}
	for _, column := range c.phones {
		if c.sheet != nil && c.sheet.hiddenColumn(column) {
			all = append(all, campaign.Say(campaign.MsgReadHiddenColumn, "column", strconv.Quote(shown(c.columns[column]))))
		}
	}
	if c.sheet != nil && len(c.sheet.starts) > 0 {
		all = append(all, campaign.Say(campaign.MsgReadStarts, "starts", c.sheet.starts))
	}
	for i, name := range c.columns {
		for _, what := range append([]string{xlsx.NoValue}, sheetErrors...) {
			switch n := c.oddities[oddCell{i, what}]; {
			case n == 0:
			case what == xlsx.NoValue:
				all = append(all, campaign.Say(campaign.MsgReadFormulas, "column", strconv.Quote(shown(name)), "cells", n))
			default:
				all = append(all, campaign.Say(campaign.MsgReadErrors, "column", strconv.Quote(shown(name)), "error", what, "cells", n))
			}
		}
	}
	return all
}
