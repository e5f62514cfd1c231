package verdict

import (
	"errors"
	"fmt"

	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

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
