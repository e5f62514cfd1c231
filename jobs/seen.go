package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// A seen keeps what the answers to an agent have shown: in this process and, for
// those that start later, in Redis. Its zero value has seen nothing.
type seen struct {
	mu    sync.Mutex
	known campaign.Seen
	kept  campaign.Seen // of that, what is in Redis
}

// note takes in an answer, and says what is known by then and what of it is kept.
func (s *seen) note(known, kept campaign.Seen) (campaign.Seen, campaign.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.kept = s.known.Or(known), s.kept.Or(kept)
	return s.known, s.kept
}

// before is what was seen of the agent when err came. What is new is written down.
// When Redis cannot say, a failure counts as one that the platform did not own up
// to, and a refusal as one of all.
func (s *seen) before(ctx context.Context, st *store.Store, agent string, err error, log *slog.Logger) campaign.Seen {
	ctx, cancel := context.WithTimeout(ctx, seenPatience)
	defer cancel()
	known, kept := s.note(campaign.Seen{}, campaign.Seen{})
	if known != kept {
		if failed := st.AddSeen(ctx, agent, known); failed != nil {
			log.WarnContext(ctx, "what the platform's answers show is not kept", "error", failed)
		} else {
			s.note(known, known)
		}
	}
	var refused *velents.Error
	if !errors.As(err, &refused) || known.RateHeaders && known.Accepted {
		return known
	}
	stored, failed := st.Seen(ctx, agent)
	if failed != nil {
		log.WarnContext(ctx, "what the platform's answers have shown is not known", "error", failed)
		return known.Or(campaign.Seen{RateHeaders: true})
	}
	known, _ = s.note(stored, stored)
	return known
}
