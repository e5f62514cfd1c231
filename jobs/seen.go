package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// seenPatience bounds how long an answer waits for what is known of those before.
const seenPatience = 2 * time.Second

// A seen keeps what the answers to an agent have shown: in this process and, for
// those that start later, in Redis. Its zero value has seen nothing.
type seen struct {
	mu    sync.Mutex
	known store.Seen
	kept  store.Seen // of that, what is in Redis
}

// note takes in an answer.
func (s *seen) note(a velents.Answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = s.known.Or(store.Seen{RateHeaders: a.RateHeaders, Accepted: err == nil})
}

// before is what was seen of the agent when err came. What is new is written down.
// When Redis cannot say, a failure counts as one that the platform did not own up
// to, and a refusal as one of all.
func (s *seen) before(ctx context.Context, st *store.Store, agent string, err error, log *slog.Logger) store.Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, seenPatience)
	defer cancel()
	if s.known != s.kept {
		if failed := st.AddSeen(ctx, agent, s.known); failed != nil {
			log.WarnContext(ctx, "what the platform's answers show is not kept", "error", failed)
		} else {
			s.kept = s.known
		}
	}
	var refused *velents.Error
	if !errors.As(err, &refused) || s.known.RateHeaders && s.known.Accepted {
		return s.known
	}
	stored, failed := st.Seen(ctx, agent)
	if failed != nil {
		log.WarnContext(ctx, "what the platform's answers have shown is not known", "error", failed)
		return s.known.Or(store.Seen{RateHeaders: true})
	}
	s.known, s.kept = s.known.Or(stored), s.kept.Or(stored)
	return s.known
}
