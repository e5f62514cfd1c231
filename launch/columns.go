package launch

import (
	"fmt"
	"strings"

	"campaign-runner/campaign"
)

// columnsFor decides which columns of a file go to the platform, and as what.
//
// When the agent's value keys are known, a column goes if its name is one of
// them, letter for letter, and a key without a column is an error. Otherwise
// every column goes under its own name but the phone's, and those without a
// name.
func columnsFor(header []string, phone int, found checked) (columns []campaign.Column, warnings []string, err error) {
	columns = make([]campaign.Column, len(header))
	at := make(map[string][]int) // name → indexes
	for i, name := range header {
		columns[i].Name = name
		at[name] = append(at[name], i)
	}
	if !found.keysKnown {
		for i, name := range header {
			switch {
			case i == phone:
			case name == "":
				warnings = append(warnings, fmt.Sprintf("column %d has no name: it is kept and not sent", i+1))
			case len(at[name]) > 1:
				return nil, nil, twice(name)
			default:
				columns[i].Key = name
			}
		}
		return columns, warnings, nil
	}
	var missing []string
	for _, key := range found.keys {
		switch indexes := at[strings.TrimSpace(key)]; len(indexes) {
		case 0:
			missing = append(missing, key)
		case 1:
			columns[indexes[0]].Key = key
		default:
			return nil, nil, twice(key)
		}
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("the agent wants values that the file has no column for: missing %s; the columns are %s", quoted(missing), quoted(header))
	}
	return columns, nil, nil
}

func twice(name string) error {
	return fmt.Errorf("two columns are named %q: it is not clear which to send", name)
}

func quoted(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(texts, ", ")
}
