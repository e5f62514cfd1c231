package campaign

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
}

// Values are the cells that go to the platform, by the agent's value keys.
func (c Contact) Values(columns []Column) map[string]string {
	values := make(map[string]string, len(columns))
	for i, col := range columns {
		if col.Key != "" && i < len(c.Fields) {
			values[col.Key] = c.Fields[i]
		}
	}
	return values
}
