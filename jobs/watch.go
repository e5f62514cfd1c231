package jobs

import (
	"errors"
	"fmt"
	"time"

	"campaign-runner/campaign/verdict"
	"campaign-runner/velents"
)

// A Watch is told what a Worker does, for counting. A nil function is not called.
type Watch struct {
	// Answered is told of each request to the platform, by what became of it: 2xx,
	// 429 and 422 by themselves, 4xx, 5xx, held when the platform takes no work for
	// now, or lost, unsent and withheld.
	Answered func(agent, class string, took time.Duration)
	Swept    func(action string) // what the sweeper did to a chunk
}

func (w Watch) answered(agent string, answer error, took time.Duration) {
	if w.Answered != nil {
		w.Answered(agent, classOf(answer), took)
	}
}

func (w Watch) swept(action string) {
	if w.Swept != nil {
		w.Swept(action)
	}
}

// classOf is what became of a request, in a word.
func classOf(answer error) string {
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case answer == nil:
		return "2xx"
	case errors.Is(answer, verdict.ErrNotOurs):
		return "withheld"
	case errors.As(answer, &refused) && refused.Status/100 == 2: // but with nothing of the platform's in it
		return "lost"
	case errors.As(answer, &refused) && (refused.Status == 422 || refused.Status == 429):
		return fmt.Sprint(refused.Status)
	case errors.As(answer, &refused) && verdict.NobodyWorked(refused):
		return "held"
	case errors.As(answer, &refused):
		return fmt.Sprintf("%dxx", refused.Status/100)
	case errors.As(answer, &unanswered) && !unanswered.Sent:
		return "unsent"
	}
	return "lost"
}
