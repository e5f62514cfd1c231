package jobs

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

// A step is what the sender does after an answer.
type step int

const (
	goOn          step = iota // nothing more to do for these contacts now
	again                     // send those that are pending again at once; the quota says when that is
	halve                     // send them again in two halves
	backOff                   // those that are pending wait for their next attempt
	pauseCampaign             // the request is at fault, not the list: a person must look
	pauseAgent                // the token or the address is at fault: nothing of this agent can work
)

// A verdict is what an answer means for the contacts of its request.
type verdict struct {
	cause  campaign.Cause // of every contact but the refused
	reason string         // why, where that says more than the state; or why it was paused
	// refused are the contacts that the platform named, by their place in the
	// request, with its text for each.
	refused map[int]string
	then    step
	wait    time.Duration // backOff: no sooner than this
	// vague marks a single contact that was refused without being named: several
	// in a row say that it is not the contacts.
	vague bool
	// tooMany: the platform takes fewer rows per request.
	tooMany bool
}

// verdictOf alone decides what the platform's answer to a request of so many
// rows means. A request that may have been carried out is never repeated;
// whatever certainly was not is. strict doubts a 5xx which is not the platform's
// own JSON: a proxy may have lost the real answer.
func verdictOf(err error, rows int, mode campaign.Mode, strict bool) verdict {
	if err == nil {
		return verdict{cause: campaign.Accept}
	}
	if errors.Is(err, errNotOurs) {
		return verdict{cause: campaign.Unsent, then: backOff} // we kept it from leaving
	}
	var refused *velents.Error
	if !errors.As(err, &refused) {
		var unanswered *velents.Unanswered
		if errors.As(err, &unanswered) && !unanswered.Sent {
			return verdict{cause: campaign.Unsent, reason: "not sent: no connection to the platform", then: backOff}
		}
		return verdict{cause: campaign.Lose, reason: "no answer: the request may have been carried out"}
	}

	text := fmt.Sprintf("%d: %s", refused.Status, refused.Message)
	switch status := refused.Status; {
	case status == http.StatusTooManyRequests:
		return verdict{cause: campaign.Unsent, then: again}
	case status == http.StatusUnprocessableEntity:
		return verdictOnFields(refused, rows, mode)
	case status == http.StatusBadRequest:
		return vagueRefusal(text, rows)
	case status == http.StatusRequestEntityTooLarge:
		if rows == 1 {
			return verdict{cause: campaign.Reject, reason: text}
		}
		return verdict{cause: campaign.Unsent, then: halve, tooMany: true}
	case status/100 == 3, slices.Contains(agentFaults, status):
		return verdict{cause: campaign.Unsent, reason: "the platform answers " + text + agentAdvice(status), then: pauseAgent}
	case status == http.StatusGatewayTimeout, status == 524, // a gateway gave up waiting; the platform may not have
		strict && status >= 500 && (status == http.StatusBadGateway || !refused.JSON),
		status < 200 || status > 599:
		return verdict{cause: campaign.Lose, reason: text}
	default: // other 4xx, and 5xx, which the platform says are safe to retry
		return verdict{cause: campaign.Retry, reason: text, then: backOff, wait: refused.RetryAfter}
	}
}

// agentFaults are answers that have nothing to do with the list: the token is
// wrong, unpaid or not allowed, the address is not the platform's.
var agentFaults = []int{
	http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden,
	http.StatusNotFound, http.StatusMethodNotAllowed, 419, // 419: Laravel's "page expired"
}

func agentAdvice(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "; check the agent's token"
	case http.StatusPaymentRequired:
		return "; check the account"
	}
	return "; check VELENTS_URL"
}

// verdictOnFields reads a validation error: which rows it names, or whether it
// is about the request as a whole.
func verdictOnFields(refused *velents.Error, rows int, mode campaign.Mode) verdict {
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
			return verdict{cause: campaign.Unsent, reason: "the platform refuses the request: " + said, then: pauseCampaign}
		}
	}
	switch {
	case len(named) > 0 && !unusable:
		if len(named) == rows {
			return verdict{cause: campaign.Unsent, refused: named}
		}
		return verdict{cause: campaign.Unsent, refused: named, then: again}
	case whole && !unusable && rows > 1:
		return verdict{cause: campaign.Unsent, then: halve, tooMany: true}
	case whole && !unusable:
		return verdict{cause: campaign.Reject, reason: text}
	default:
		return vagueRefusal(text, rows)
	}
}

// vagueRefusal is a refusal that names nobody: halving finds whom it means.
func vagueRefusal(text string, rows int) verdict {
	if rows == 1 {
		return verdict{cause: campaign.Reject, reason: text, vague: true}
	}
	return verdict{cause: campaign.Unsent, then: halve}
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

// A Fate is what an answer means for a request that was about one thing only.
type Fate struct {
	Cause  campaign.Cause // Accept, Unsent, Retry, Reject or Lose
	Reason string
	Wait   time.Duration // before it is tried again, at the least
	// Broken: nothing of this token can go well before a person has looked.
	Broken bool
}

// FateOf reads an answer as verdictOf does, for requests that carry no contacts.
func FateOf(err error) Fate {
	v := verdictOf(err, 1, campaign.Dispatch, false)
	f := Fate{Cause: v.cause, Reason: v.reason, Wait: v.wait, Broken: v.then == pauseAgent}
	if text, named := v.refused[0]; named {
		f.Cause, f.Reason = campaign.Reject, text
	}
	if v.then == pauseCampaign { // a field of the request, which is all there is
		f.Cause = campaign.Reject
	}
	return f
}
