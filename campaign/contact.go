package campaign

import (
	"fmt"
	"maps"
)

// A Contact is one person of a campaign, once, by number.
type Contact struct {
	Phone  Phone
	Line   int      // line of the contact file on which the row begins, from 1; the header is line 1
	Fields []string // the row's cells as they stood in the file, one for each of the campaign's Columns
}

// Erased is what is left of c when its person is erased: its line, with empty cells.
func (c Contact) Erased() Contact {
	return Contact{Line: c.Line, Fields: make([]string, len(c.Fields))}
}

// A Column is one column of the contact file.
type Column struct {
	Name string `json:"name"`          // as in the file's header
	Key  string `json:"key,omitempty"` // the agent's value it fills; empty: not sent to the platform

	// Required says that the agent asked for the value: a row without it is refused.
	Required bool `json:"required,omitempty"`
}

// Values are what goes to the platform of a contact, by the agent's value keys:
// its cells, and the constants of the campaign.
func (s Settings) Values(c Contact) map[string]string {
	values := make(map[string]string, len(s.Columns)+len(s.Constants))
	for i, col := range s.Columns {
		if col.Key != "" && i < len(c.Fields) {
			values[col.Key] = c.Fields[i]
		}
	}
	maps.Copy(values, s.Constants)
	return values
}

// Counts says what became of the lines of a contact file. Always, Rows = Contacts +
// Invalid + Duplicates + Suppressed + NotChosen. Rows does not count the header.
type Counts struct {
	Rows       int            `json:"rows"`
	Contacts   int            `json:"contacts"`
	Invalid    int            `json:"invalid"`
	Duplicates int            `json:"duplicates"`
	Suppressed int            `json:"suppressed"`
	NotChosen  int            `json:"not_chosen"`        // left out by rules, a sample, a limit or another campaign
	Refused    map[string]int `json:"refused,omitempty"` // by reason; sums to Rows - Contacts

	// About the contacts.
	Countries    map[string]int `json:"countries,omitempty"`     // contacts by country, ISO 3166 alpha-2; 001: of none
	Doubtful     map[string]int `json:"doubtful,omitempty"`      // contacts with a number that may be wrong, by the reason
	PhoneColumns map[string]int `json:"phone_columns,omitempty"` // contacts by the column of their number, if there are several
}

// Check is an error unless the counts add up.
func (c Counts) Check() error {
	if sum := c.Contacts + c.Invalid + c.Duplicates + c.Suppressed + c.NotChosen; sum != c.Rows {
		return fmt.Errorf("counts: %d rows, but %d contacts and refused lines", c.Rows, sum)
	}
	refused := 0
	for _, n := range c.Refused {
		refused += n
	}
	if refused != c.Rows-c.Contacts {
		return fmt.Errorf("counts: %d refused lines, but reasons for %d", c.Rows-c.Contacts, refused)
	}
	return nil
}

// Add gives the counts of two files together.
func (c Counts) Add(more Counts) Counts {
	c.Rows += more.Rows
	c.Contacts += more.Contacts
	c.Invalid += more.Invalid
	c.Duplicates += more.Duplicates
	c.Suppressed += more.Suppressed
	c.NotChosen += more.NotChosen
	c.Refused = sum(c.Refused, more.Refused)
	c.Countries = sum(c.Countries, more.Countries)
	c.Doubtful = sum(c.Doubtful, more.Doubtful)
	c.PhoneColumns = sum(c.PhoneColumns, more.PhoneColumns)
	return c
}

// sum adds counts by name. It changes neither, and is nil if there are none.
func sum(a, b map[string]int) map[string]int {
	all := maps.Clone(a)
	if all == nil && len(b) > 0 {
		all = make(map[string]int)
	}
	for name, n := range b {
		all[name] += n
	}
	return all
}
