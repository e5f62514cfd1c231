package campaign

import (
	"slices"
	"strings"
)

// ResultColumns name the columns that results add to those of the list, in their order.
// Behind them stands one for each key that the agent has learned, named with
// ExtractionPrefix. A campaign has some of the last only if its settings ask for them.
var ResultColumns = []string{
	"phone_e164", "state", "reason", "attempts", "run", "changed_at", "conversation_id", "started_at", "ended_at", "messages",
	"may_have_been_reached", "rung", "next_at", "ticket_id", "ticket_status", "ticket_last_reply", "erased",
}

// AddedByResults marks the columns of a contact file that results have added, if the file
// is the results of a campaign. A column of the list that is named like one of them is
// "state (file)" there. Of other files nothing is marked.
func AddedByResults(header []string) []bool {
	added := make([]bool, len(header))
	for _, always := range ResultColumns[:4] {
		if !slices.Contains(header, always) {
			return added
		}
	}
	for i, name := range header {
		added[i] = slices.Contains(ResultColumns, name) || strings.HasPrefix(name, ExtractionPrefix)
	}
	return added
}
