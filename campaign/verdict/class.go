package verdict

import (
	"errors"
	"fmt"

	"campaign-runner/velents"
)

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
