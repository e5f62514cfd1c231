package campaign

import (
	"fmt"
	"slices"
	"strings"
)

// A Rule is true of a contact, or not. One grammar serves everything that chooses
// contacts:
//
//	state=failed                 its state
//	reason=busy                  a part of the reason for the state, or the name of its code
//	ended.answered               its conversation has ended, and it said something
//	ended.no_answer              its conversation has ended, and it said nothing
//	extraction.KEY=VALUE         what the agent learned from it
//	column.NAME=VALUE            a cell of its line in the list
//
// With != in place of = the rule is true where the other is not. People write reasons and
// cells, so case and surrounding spaces do not matter in them, nor what Fold drops in the
// name of a column.
//
// A Rule is stored as its text. The zero Rule is true of no contact.
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

// prefixes are what stands before the key and the value of a rule.
var prefixes = [...]string{aboutState: "state", aboutReason: "reason", aboutExtraction: ExtractionPrefix, aboutColumn: columnPrefix}

// RuleForms are the forms of a rule about a contact of a campaign.
const RuleForms = "state=STATE, reason=TEXT, ended.answered, ended.no_answer, extraction.KEY=VALUE or column.NAME=VALUE, or one of them with !="

// ParseRule reads a rule about a contact of a campaign.
func ParseRule(text string) (Rule, error) {
	if text == answered || text == noAnswer {
		return Rule{about: aboutEnd, key: text}, nil
	}
	name, r := splitRule(text)
	extracted, _ := strings.CutPrefix(name, ExtractionPrefix)
	column, _ := strings.CutPrefix(name, columnPrefix)
	switch {
	case name == "state":
		state, err := ParseState(strings.ToLower(strings.TrimSpace(r.value)))
		if err != nil {
			return Rule{}, fmt.Errorf("%q: %w", text, err)
		}
		r.about, r.value = aboutState, state.String()
	case name == "reason":
		r.about = aboutReason
	case extracted != name && extracted != "":
		r.about, r.key = aboutExtraction, extracted
	case column != name && column != "":
		r.about, r.key = aboutColumn, column
	default:
		return Rule{}, Faulty(MsgWantRule, "text", text)
	}
	return r, nil
}

// ParseFileRule reads a rule about a line of a contact file, which has nothing but its
// cells: COLUMN=VALUE, COLUMN!=VALUE, or either with "column." in front.
func ParseFileRule(text string) (Rule, error) {
	name, r := splitRule(text)
	if name == "" {
		return Rule{}, fmt.Errorf("%q: of a file want COLUMN=VALUE or COLUMN!=VALUE", text)
	}
	r.about, r.key = aboutColumn, strings.TrimPrefix(name, columnPrefix)
	return r, nil
}

// ParseTicketRule reads a rule by which tickets are made.
func ParseTicketRule(text string) (Rule, error) {
	r, _ := ParseRule(text) // the zero Rule makes no tickets
	state, err := ParseState(r.value)
	makes := r.about == aboutExtraction || r.about == aboutState && err == nil && slices.Contains(ticketStates, state)
	if !makes || r.not {
		return Rule{}, fmt.Errorf("ticket rule %q: want %sKEY=VALUE, or state= and %s", text, ExtractionPrefix, OneOf(ticketStates))
	}
	return r, nil
}

// ParseOptOutRule reads a rule that puts contacts on the do-not-contact list.
func ParseOptOutRule(text string) (Rule, error) {
	r, _ := ParseRule(text)
	if r.about != aboutExtraction || r.not { // what the agent did not learn is no wish
		return Rule{}, fmt.Errorf("%q: want %sKEY=VALUE", text, ExtractionPrefix)
	}
	return r, nil
}

// ParseRules reads several rules, each by parse.
func ParseRules(texts []string, parse func(string) (Rule, error)) (Rules, error) {
	var all Rules
	for _, text := range texts {
		r, err := parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// splitRule reads NAME=VALUE and NAME!=VALUE. Without a name the text is neither.
func splitRule(text string) (name string, r Rule) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", Rule{}
	}
	name, not := strings.CutSuffix(name, "!")
	return strings.TrimSpace(name), Rule{value: value, not: not}
}

func (r Rule) String() string {
	sign := "="
	switch {
	case r.about == 0, r.about == aboutEnd:
		return r.key
	case r.not:
		sign = "!="
	}
	return prefixes[r.about] + r.key + sign + r.value
}

// MarshalText is the rule as ParseRule reads it; the zero Rule has no text.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Rule) UnmarshalText(text []byte) (err error) {
	if *r = (Rule{}); len(text) > 0 {
		*r, err = ParseRule(string(text))
	}
	return err
}

// Facts are what a rule is asked about. What the rules do not need (see Rules.Need) may
// be left out.
type Facts struct {
	Record  Record
	Reason  Message // of the record
	Outcome Outcome
	Cell    func(name string) string // of its line, by the column's name
}

// Of reports whether the rule is true of a contact. Whether the contact answered is known
// only of a conversation that has ended in the contact's present run and rung.
func (r Rule) Of(f Facts) bool {
	switch r.about {
	case aboutState:
		return (f.Record.State.String() == r.value) != r.not
	case aboutReason:
		return f.Reason.Matches(r.value) != r.not
	case aboutEnd:
		return f.Record.State == Ended && f.Outcome.of(f.Record) && f.Outcome.Said == (r.key == answered)
	case aboutExtraction:
		value, known := f.Outcome.Learned()[r.key]
		return (known && CellOf(value) == r.value) != r.not
	case aboutColumn:
		return sameName(f.Cell(r.key), r.value) != r.not
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

// States are those that a rule asks for by name; none when no rule does.
func (all Rules) States() []State {
	var named []State
	for _, r := range all {
		if state, err := ParseState(r.value); r.about == aboutState && !r.not && err == nil {
			named = append(named, state)
		}
	}
	return named
}

// On are the rules with each column named as the list names it, so that Cells finds it at
// once. It fails when a rule asks for a column that is not in the list.
func (all Rules) On(columns []string) (Rules, error) {
	all = slices.Clone(all)
	for i, r := range all {
		if r.about != aboutColumn {
			continue
		}
		at := FindColumn(columns, r.key)
		if at < 0 {
			return nil, fmt.Errorf("rule %s: there is no such column; there are %q", r, columns)
		}
		all[i].key = columns[at]
	}
	return all, nil
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
