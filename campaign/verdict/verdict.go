// Package verdict decides what an answer of the platform means: for the contacts of
// its request (Of), for a request about one other thing (OfSingle), for the quota
// (ForQuota), and in a word (Class).
//
// It alone reads status codes. The sender, the maker of tickets and the launcher act
// on what it says.
package verdict

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// ErrNotOurs is a guard's error: others may have taken the claim over, so the request
// was not written.
var ErrNotOurs = errors.New("the claim may be another worker's by now")

// A Step is what the sender does after an answer.
type Step int

const (
	GoOn          Step = iota // nothing more to do for these contacts now
	Again                     // send those that are pending again at once; the quota says when that is
	Halve                     // send them again in two halves
	BackOff                   // those that are pending wait for their next attempt
	PauseCampaign             // the request is at fault, not the list: a person must look
	PauseAgent                // the token or the address is at fault: nothing of this agent can work
)

// A Verdict is what an answer means for the contacts of its request.
type Verdict struct {
	Cause  campaign.Cause   // of every contact that is not among Refused
	Reason campaign.Message // why, where that says more than the state; or why it is paused
	// Refused are the contacts that the platform refused by name: by their place in
	// the request, with its text for each.
	Refused map[int]string
	Then    Step
	Wait    time.Duration // BackOff: no sooner than this
	// Doubt says of a Retry that the platform may have reached the contacts.
	Doubt bool
	// Vague marks a single contact that was refused without being named. When
	// several in a row are, the contacts are not the reason.
	Vague bool
	// Firewall says that something in front of the platform refused the request: it
	// answered 403 with a page. That others were accepted says nothing then.
	Firewall bool
	// TooMany says that the platform takes fewer rows per request.
	TooMany bool
}

// Of decides what the answer to a request with that many rows means: the first case that
// matches, as in the table of docs/developers/sending.md. A request that certainly was not
// carried out is made again. One that may have been is not, unless retry allows it.
// seen is what earlier answers to the agent have shown.
func Of(err error, rows int, mode campaign.Mode, retry campaign.Retry5xx, seen campaign.Seen) Verdict {
	if err == nil {
		return Verdict{Cause: campaign.Accept}
	}
	if errors.Is(err, ErrNotOurs) {
		return Verdict{Cause: campaign.Unsent, Then: BackOff} // we kept it from leaving
	}
	var refused *velents.Error
	if !errors.As(err, &refused) {
		var unanswered *velents.Unanswered
		if errors.As(err, &unanswered) && !unanswered.Sent {
			return Verdict{Cause: campaign.Unsent, Reason: campaign.Say(cmp.Or(obstacles[unanswered.Obstacle], campaign.MsgNotSent)), Then: BackOff}
		}
		return Verdict{Cause: campaign.Lose, Reason: campaign.Say(campaign.MsgNoAnswer)}
	}

	status, text := refused.Status, fmt.Sprintf("%d: %s", refused.Status, refused.Message)
	switch {
	case status/100 == 2 && refused.Page: // something answers in the platform's place
		return Verdict{Cause: campaign.Lose, Reason: campaign.Say(campaign.MsgAnswers, "answer", text, "advice", agentAdvice(status)), Then: PauseAgent}
	case status/100 == 2: // the platform may have acted, but its answer is unreadable
		return Verdict{Cause: campaign.Lose, Reason: campaign.Text(text)}
	case status == http.StatusUnprocessableEntity:
		return ofFields(refused, rows, mode)
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge(text, rows)
	case status == http.StatusBadRequest:
		return vagueRefusal(text, rows)
	case status == http.StatusForbidden && refused.Page && seen.Accepted: // a firewall that dislikes a row
		v := vagueRefusal(text, rows)
		v.Firewall = true
		return v
	case status/100 == 3 && status != http.StatusSeeOther, slices.Contains(agentFaults, status):
		return Verdict{Cause: campaign.Unsent, Reason: campaign.Say(campaign.MsgAnswers, "answer", text, "advice", agentAdvice(status)), Then: PauseAgent}
	case slices.Contains(requestFaults, status):
		return Verdict{Cause: campaign.Unsent, Reason: campaign.Say(campaign.MsgRefuses, "answer", text), Then: PauseCampaign}
	case status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return Verdict{Cause: campaign.Unsent, Then: Again}
	case NoWorkDone(refused):
		return Verdict{Cause: campaign.Unsent, Reason: campaign.Text(text), Then: BackOff, Wait: refused.RetryAfter}
	case status/100 == 5 && (retry == campaign.RetryAll || retry != campaign.RetryNone && isOwn(refused, seen)):
		return Verdict{Cause: campaign.Retry, Reason: campaign.Text(text), Doubt: true, Then: BackOff, Wait: refused.RetryAfter}
	case status/100 != 4, slices.Contains(lostWork, status):
		return Verdict{Cause: campaign.Lose, Reason: campaign.Text(text)}
	default:
		return Verdict{Cause: campaign.Retry, Reason: campaign.Text(text), Then: BackOff, Wait: refused.RetryAfter}
	}
}

// Statuses by what they are about.
var (
	// agentFaults have nothing to do with the list: the token is wrong, unpaid or not
	// allowed, the address is not the platform's.
	agentFaults = []int{
		http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusGone, 419, // 419: Laravel's "page expired"
		http.StatusMisdirectedRequest, http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons,
	}
	// requestFaults are about how the request is made, not about its contacts.
	requestFaults = []int{
		http.StatusNotAcceptable, http.StatusLengthRequired, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusExpectationFailed,
	}
	// lostWork come from what stands in front of the platform, which may go on
	// working: load balancers say 460 and 499 when the client has left.
	lostWork = []int{http.StatusRequestTimeout, 460, 499}
)

// isOwn reports whether an answer is the platform's own failure, which its vendor
// calls safe to repeat. When PHP itself dies or a proxy answers, the headers of the
// rate limit are missing.
func isOwn(e *velents.Error, seen campaign.Seen) bool {
	return e.Status == http.StatusInternalServerError && e.JSON && (e.RateHeaders || !seen.RateHeaders)
}

// NoWorkDone reports whether an answer says that the platform takes no work for now:
// maintenance, or too much load. A bare page with that status says nothing.
func NoWorkDone(e *velents.Error) bool {
	return e.Status == http.StatusServiceUnavailable && (e.JSON || e.HasRetryAfter)
}

// obstacles say why nothing of a request was sent.
var obstacles = map[velents.Obstacle]campaign.Code{
	velents.BadCertificate: campaign.MsgCertificate,
	velents.NoName:         campaign.MsgNoName,
	velents.Refused:        campaign.MsgRefused,
	velents.BadProxy:       campaign.MsgBadProxy,
	velents.TooSlow:        campaign.MsgTooSlow,
	velents.NoTLS:          campaign.MsgNoTLS,
	velents.Closed:         campaign.MsgClosed,
	velents.Unreachable:    campaign.MsgUnreachable,
}

// agentAdvice says what to look at when a campaign is paused for an answer.
func agentAdvice(status int) campaign.Message {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return campaign.Say(campaign.MsgCheckToken)
	case http.StatusPaymentRequired, http.StatusUnavailableForLegalReasons:
		return campaign.Say(campaign.MsgCheckAccount)
	case http.StatusProxyAuthRequired:
		return campaign.Say(campaign.MsgCheckProxy)
	}
	return campaign.Say(campaign.MsgCheckURL)
}

// ofFields reads a validation error: which rows it names, or whether it is about the
// request as a whole.
func ofFields(refused *velents.Error, rows int, mode campaign.Mode) Verdict {
	text := fmt.Sprintf("%d: %s", refused.Status, refused.Message)
	named := make(map[int]string)
	whole, unusable := false, len(refused.Fields) == 0
	for _, field := range slices.Sorted(maps.Keys(refused.Fields)) {
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
			return Verdict{Cause: campaign.Unsent, Reason: campaign.Say(campaign.MsgRefuses, "answer", said), Then: PauseCampaign}
		}
	}
	switch {
	case len(named) > 0 && !unusable:
		if len(named) == rows {
			return Verdict{Cause: campaign.Unsent, Refused: named}
		}
		return Verdict{Cause: campaign.Unsent, Refused: named, Then: Again}
	case whole && !unusable:
		return tooLarge(text, rows)
	default:
		return vagueRefusal(text, rows)
	}
}

// tooLarge is a refusal of the rows as a whole. The platform takes fewer, or something is
// wrong with one of them, or with all: halving finds out.
func tooLarge(text string, rows int) Verdict {
	v := vagueRefusal(text, rows)
	v.TooMany = rows > 1
	return v
}

// vagueRefusal is a refusal that names no contact: halving finds the one it is about.
func vagueRefusal(text string, rows int) Verdict {
	if rows == 1 {
		return Verdict{Cause: campaign.Reject, Reason: campaign.Text(text), Vague: true}
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

// A Single is what an answer means for a request about one thing that is no contact,
// a support ticket for example.
type Single struct {
	Cause  campaign.Cause // Accept, Unsent, Retry, Reject or Lose
	Reason campaign.Message
	Wait   time.Duration // before it is tried again, at the least
	// Broken says that nothing can work with this token before a person has looked.
	Broken bool
}

// OfSingle reads an answer as Of does, for a request that carries no contact. The
// headers of the rate limit are published, so no failure without them counts as the
// platform's own.
func OfSingle(err error) Single {
	v := Of(err, 1, campaign.Dispatch, campaign.RetryOwn, campaign.Seen{RateHeaders: true})
	one := Single{Cause: v.Cause, Reason: v.Reason, Wait: v.Wait, Broken: v.Then == PauseAgent}
	if text, named := v.Refused[0]; named {
		one.Cause, one.Reason = campaign.Reject, campaign.Text(text)
	}
	if v.Then == PauseCampaign { // a field of the request, which is all there is
		one.Cause = campaign.Reject
	}
	return one
}

// ForQuota is what the quota learns from an answer. It leaves Lost to the sender, who
// knows whether the answer is lost for its contacts.
func ForQuota(a velents.Answer, err error) ratelimit.Answer {
	report := ratelimit.Answer{Status: a.Status, Known: a.Rate.Known, Limit: a.Rate.Limit, Remaining: a.Rate.Remaining}
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case errors.As(err, &refused):
		report.RetryAfter, report.HasRetryAfter = refused.RetryAfter, refused.HasRetryAfter
		report.Failed = refused.Status >= 500
		report.Held = NoWorkDone(refused)
	case errors.As(err, &unanswered):
		report.Failed, report.Unsent = true, !unanswered.Sent
	}
	return report
}

// Class is what became of a request, in a word: 2xx, 4xx, 5xx, and 422 and 429 by
// themselves; held when the platform takes no work for now; lost, unsent or withheld.
func Class(err error) string {
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case err == nil:
		return "2xx"
	case errors.Is(err, ErrNotOurs):
		return "withheld"
	case errors.As(err, &refused) && refused.Status/100 == 2: // but its body is not the platform's
		return "lost"
	case errors.As(err, &refused) && (refused.Status == 422 || refused.Status == 429):
		return fmt.Sprint(refused.Status)
	case errors.As(err, &refused) && NoWorkDone(refused):
		return "held"
	case errors.As(err, &refused):
		return fmt.Sprintf("%dxx", refused.Status/100)
	case errors.As(err, &unanswered) && !unanswered.Sent:
		return "unsent"
	}
	return "lost"
}
