package campaign

import "maps"

// A Contact is one person of a campaign, once, by number.
type Contact struct {
	Phone  Phone
	Line   int      // line of the contact file on which the row begins, from 1; the header is line 1
	Fields []string // the row's cells as they stood in the file, one for each of the campaign's Columns
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
