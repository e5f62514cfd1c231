package sending

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"campaign-runner/campaign"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// A seen keeps what the answers to an agent have shown: in this process and, for
// those that start later, in Redis. Its zero value has seen nothing.
type seen struct {
	mu     sync.Mutex
	known  campaign.Seen
	stored campaign.Seen // of that, what is in Redis
}

// note adds to what is known and to what is stored, and returns both.
func (s *seen) note(known, stored campaign.Seen) (campaign.Seen, campaign.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.stored = s.known.Or(known), s.stored.Or(stored)
	return s.known, s.stored
}

// before is what answers had shown when err came. It stores what is new. When Redis
// cannot say, a failure counts as not the platform's own, and a refusal as one of
// every contact.
func (s *seen) before(ctx context.Context, st Store, agent string, err error, log *slog.Logger) campaign.Seen {
	ctx, cancel := context.WithTimeout(ctx, timings.SeenPatience)
	defer cancel()
	known, stored := s.note(campaign.Seen{}, campaign.Seen{})
	if known != stored {
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
