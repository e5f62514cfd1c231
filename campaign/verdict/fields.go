package verdict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

// ofFields reads a validation error: which rows it names, or whether it is about the
// request as a whole.
func ofFields(refused *velents.Error, rows int, mode campaign.Mode) Verdict {
	text := fmt.Sprintf("%d: %s", refused.Status, refused.Message)
	named := make(map[int]string)
	whole, unusable := false, len(refused.Fields) == 0
	for _, field := range sortedKeys(refused.Fields) {
		row, about := fieldOf(field, rows, mode)
		switch about {
		case oneRow:
			for _, said := range refused.Fields[field] {
				named[row] = joinText(named[row], strings.ReplaceAll(said, rowPrefix(row), ""))
			}
			if named[row] == "" {
				named[row] = text // named without a text
			}
		case allRows:
			whole = true
		case noRow:
			unusable = true
		case foreign:
			said := strings.Join(refused.Fields[field], " ")
			if said == "" {
				said = refused.Message
			}
			return Verdict{Cause: campaign.Unsent, Reason: "the platform refuses the request: " + said, Then: PauseCampaign}
		}
	}
	switch {
	case len(named) > 0 && !unusable:
		if len(named) == rows {
			return Verdict{Cause: campaign.Unsent, Refused: named}
		}
		return Verdict{Cause: campaign.Unsent, Refused: named, Then: Again}
	case whole && !unusable && rows > 1:
		return Verdict{Cause: campaign.Unsent, Then: Halve, TooMany: true}
	case whole && !unusable:
		return Verdict{Cause: campaign.Reject, Reason: text}
	default:
		return vagueRefusal(text, rows)
	}
}

// vagueRefusal is a refusal that names no contact: halving finds the one it is about.
func vagueRefusal(text string, rows int) Verdict {
	if rows == 1 {
		return Verdict{Cause: campaign.Reject, Reason: text, Vague: true}
	}
	return Verdict{Cause: campaign.Unsent, Then: Halve}
}

// What a field of a validation error is about.
type about int

const (
	foreign about = iota // the request itself: channel, name, webhook
	oneRow               // one of its contacts
	allRows              // the rows as a whole: too many
	noRow                // a row, but not one of the request
)

func fieldOf(field string, rows int, mode campaign.Mode) (row int, what about) {
	head, rest, deeper := strings.Cut(field, ".")
	if mode == campaign.Dispatch {
		if field == "phone" || head == "values" {
			return 0, oneRow
		}
		return 0, foreign
	}
	if head != "rows" {
		return 0, foreign
	}
	if !deeper {
		return 0, allRows
	}
	number, _, _ := strings.Cut(rest, ".")
	row, err := strconv.Atoi(number)
	if err != nil || row < 0 || row >= rows {
		return 0, noRow
	}
	return row, oneRow
}

// rowPrefix is how the platform's texts name a field of a row ("The rows.3.phone
// field must be …"). The place in one request means nothing to people and would
// make a reason of its own for every contact.
func rowPrefix(row int) string { return fmt.Sprintf("rows.%d.", row) }

func joinText(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

func sortedKeys(fields map[string][]string) []string {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
