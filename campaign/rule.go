package campaign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Rule is something that is true of a contact, or not. One grammar serves all
// that choose contacts:
//
//	state=failed                 its state
//	reason=busy                  a part of the reason for it, or the name of its code
//	ended.answered               its conversation has ended, and it said something
//	ended.no_answer              its conversation has ended, and it said nothing
//	extraction.KEY=VALUE         what the agent has learned of it
//	column.NAME=VALUE            a cell of its line in the list
//
// With != for = the rule holds where that does not. Cells and reasons are written by
// people: their case and the spaces around them do not matter.
type Rule struct {
	about subject
	key   string // of an extraction or a column
	value string
	not   bool
}

// A subject is what a rule is about.
type subject uint8

const (
	aboutState subject = iota + 1
	aboutReason
	aboutEnd
	aboutExtraction
	aboutColumn
)

const (
	answered     = "ended.answered"
	noAnswer     = "ended.no_answer"
	columnPrefix = "column."
)

// RuleForms are the forms of a rule about a contact of a campaign.
const RuleForms = "state=STATE, reason=TEXT, ended.answered, ended.no_answer, extraction.KEY=VALUE or column.NAME=VALUE, or one of them with !="

// ParseRule reads a rule about a contact of a campaign.
func ParseRule(text string) (Rule, error) {
	if text == answered || text == noAnswer {
		return Rule{about: aboutEnd, key: text}, nil
	}
	name, r, err := splitRule(text)
	if err != nil {
		return Rule{}, fmt.Errorf("%q: want %s", text, RuleForms)
	}
	switch {
	case name == "state":
		state, err := ParseState(strings.ToLower(strings.TrimSpace(r.value)))
		if err != nil {
			return Rule{}, fmt.Errorf("%q: %w", text, err)
		}
		r.about, r.value = aboutState, state.String()
	case name == "reason":
		r.about = aboutReason
	default:
		for prefix, about := range map[string]subject{ExtractionPrefix: aboutExtraction, columnPrefix: aboutColumn} {
			if key, ok := strings.CutPrefix(name, prefix); ok && key != "" {
				r.about, r.key = about, key
			}
		}
	}
	if r.about == 0 {
		return Rule{}, fmt.Errorf("%q: want %s", text, RuleForms)
	}
	return r, nil
}

// ParseFileRule reads a rule about a line of a contact file, of which nothing is
// known but its cells: COLUMN=VALUE, COLUMN!=VALUE, or either with "column." before.
func ParseFileRule(text string) (Rule, error) {
	name, r, err := splitRule(text)
	if err != nil {
		return Rule{}, fmt.Errorf("%q: of a file want COLUMN=VALUE or COLUMN!=VALUE", text)
	}
	r.about, r.key = aboutColumn, strings.TrimPrefix(name, columnPrefix)
	return r, nil
}

// splitRule reads NAME=VALUE and NAME!=VALUE.
func splitRule(text string) (name string, r Rule, err error) {
	name, value, ok := strings.Cut(text, "=")
	name, not := strings.CutSuffix(name, "!")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return "", Rule{}, errors.New("no =")
	}
	return name, Rule{value: value, not: not}, nil
}

func (r Rule) String() string {
	sign := "="
	if r.not {
		sign = "!="
	}
	switch r.about {
	case aboutState:
		return "state" + sign + r.value
	case aboutReason:
		return "reason" + sign + r.value
	case aboutEnd:
		return r.key
	case aboutExtraction:
		return ExtractionPrefix + r.key + sign + r.value
	case aboutColumn:
		return columnPrefix + r.key + sign + r.value
	}
	return ""
}

// Facts are what is known of a contact when a rule is asked about it. What the rules
// do not need (see Rules.Need) may be left out.
type Facts struct {
	Record  Record
	Reason  Message // of the record
	Outcome Outcome
	Learned Extraction               // of the outcome
	Cell    func(name string) string // of its line, by the column's name
}

// Of reports whether the rule is true of a contact. Whether somebody answered is
// known of a conversation that has ended in the contact's present run, and of no
// other.
func (r Rule) Of(f Facts) bool {
	switch r.about {
	case aboutState:
		return (f.Record.State.String() == r.value) != r.not
	case aboutReason:
		return f.Reason.Matches(r.value) != r.not
	case aboutEnd:
		return f.Record.State == Ended && f.Outcome.Known() && f.Outcome.Run == f.Record.Run && f.Outcome.Said == (r.key == answered)
	case aboutExtraction:
		return Learned{r.key, r.value}.In(f.Learned) != r.not
	case aboutColumn:
		return strings.EqualFold(strings.TrimSpace(f.Cell(r.key)), strings.TrimSpace(r.value)) != r.not
	}
	return false
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(strings.TrimSpace(part)))
}

// Rules must all be true.
type Rules []Rule

// Of reports whether they are.
func (all Rules) Of(f Facts) bool {
	return !slices.ContainsFunc(all, func(r Rule) bool { return !r.Of(f) })
}

// Need says which facts the rules ask for beside the record.
func (all Rules) Need() (reason, outcome, cells bool) {
	for _, r := range all {
		reason = reason || r.about == aboutReason
		outcome = outcome || r.about == aboutEnd || r.about == aboutExtraction
		cells = cells || r.about == aboutColumn
	}
	return reason, outcome, cells
}

// States are those that a rule asks for by name; none: no rule does.
func (all Rules) States() []State {
	var named []State
	for _, r := range all {
		if state, err := ParseState(r.value); r.about == aboutState && !r.not && err == nil {
			named = append(named, state)
		}
	}
	return named
}

// Check fails when a rule asks for a column that is not among those of a list.
func (all Rules) Check(columns []string) error {
	for _, r := range all {
		if r.about == aboutColumn && FindColumn(columns, r.key) < 0 {
			return fmt.Errorf("rule %s: there is no such column; there are %q", r, columns)
		}
	}
	return nil
}

// FindColumn is the place of a column of that name, in any case; -1: there is none.
func FindColumn(columns []string, name string) int {
	if at := slices.Index(columns, name); at >= 0 {
		return at
	}
	return slices.IndexFunc(columns, func(column string) bool {
		return strings.EqualFold(strings.TrimSpace(column), strings.TrimSpace(name))
	})
}

// Cells are those of a line, as Facts wants them.
func Cells(columns, fields []string) func(name string) string {
	return func(name string) string {
		if at := FindColumn(columns, name); at >= 0 && at < len(fields) {
			return fields[at]
		}
		return ""
	}
}

// ColumnNames are the columns of the campaign's list.
func (s Settings) ColumnNames() []string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	return names
}
