package tickets

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

const (
	// perFollow is how many conversations of a campaign are looked at before the next
	// campaign has its turn.
	perFollow = 10

	// A message is tried for about a day: those behind it wait.
	maxReplyTries   = 30
	longestReplyTry = time.Hour

	// A conversation is read back after firstRead, and in twice the time after each look
	// that found nothing new, up to longestRead; after lastRead such looks no more.
	firstRead   = 2 * time.Minute
	longestRead = 6 * time.Hour
	lastRead    = 40

	notMadeWait = 30 * time.Second // for a ticket that is still to be made
	// orphanLooks is how often messages wait for a ticket that is not there: an hour.
	orphanLooks = 120
)

var (
	never = store.FollowDue{Never: true}
	leave = store.FollowDue{Leave: true}
)

func in(d time.Duration) store.FollowDue { return store.FollowDue{After: d} }

// beginFollow says when a ticket is looked at again that has just got its answer, or lost
// it.
func (m *Maker) beginFollow(ctx context.Context, c campaign.Campaign, at store.Place, t campaign.Ticket) error {
	lost := t.State == campaign.TicketUnconfirmed && t.Ref != ""
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
			f.Looks = 0
			switch {
			case !lost && (t.State != campaign.TicketMade || !c.Settings.TicketReplies):
				return never, true
			case !lost && f.Next() >= 0:
				return in(store.BeforeOthers), true
			}
			return in(firstRead), true
		})
	})
}

// followDue takes the next step with a few conversations of a campaign.
func (m *Maker) followDue(ctx context.Context, c campaign.Campaign) error {
	if ctx.Err() != nil {
		return nil
	}
	at, err := m.cfg.Store.Now(ctx)
	if err != nil {
		return err
	}
	due, err := m.cfg.Store.DueFollows(ctx, c.Name, at, perFollow)
	if err != nil {
		return err
	}
	var errs []error
	for _, place := range due {
		if ctx.Err() != nil || time.Now().Before(m.broken) {
			break
		}
		errs = append(errs, m.follow(ctx, c, place))
	}
	return errors.Join(errs...)
}

// follow takes the next step with what goes on about one ticket.
func (m *Maker) follow(ctx context.Context, c campaign.Campaign, at store.Place) error {
	ticket, err := m.cfg.Store.Ticket(ctx, at)
	if err != nil {
		return err
	}
	f, err := m.cfg.Store.Follow(ctx, at)
	if err != nil {
		return err
	}
	if f == nil || ticket == nil {
		return m.orphan(ctx, at, f)
	}
	switch ticket.State {
	case campaign.TicketDue, campaign.TicketCreating:
		return m.put(ctx, at, in(notMadeWait))
	case campaign.TicketUnconfirmed:
		return m.lookFor(ctx, c, at, *ticket, f.Looks)
	case campaign.TicketMade:
	default:
		return m.put(ctx, at, never) // until it is made again
	}
	next := f.Next()
	if !c.Settings.TicketReplies && (next < 0 || f.Said[next].State != campaign.TicketCreating) {
		return m.put(ctx, at, never)
	}
	if next >= 0 && f.Said[next].State == campaign.TicketCreating {
		alive, err := m.alive(ctx, at)
		if alive || err != nil {
			return err // another worker has claimed it since this one looked what is due
		}
		return m.settle(ctx, at, f.Said[next].Claim, campaign.Ticket{State: campaign.TicketUnconfirmed, Tries: f.Said[next].Tries, Reason: campaign.Say(campaign.MsgTicketLost)}, 0)
	}
	if ticket.Conversation == "" {
		return m.findConversation(ctx, c, at, *ticket, f.Looks)
	}
	if next >= 0 && f.Said[next].State == campaign.TicketDue {
		return m.passOn(ctx, c, at, ticket.Conversation, f.Said[next])
	}
	return m.readBack(ctx, c, at, *ticket, *f)
}

// alive reports whether the claim on a message that is on its way has not ended.
func (m *Maker) alive(ctx context.Context, at store.Place) (bool, error) {
	due, err := m.cfg.Store.FollowDueAt(ctx, at)
	if err != nil {
		return false, err
	}
	now, err := m.cfg.Store.Now(ctx)
	return now.Before(due), err
}

// put says when what goes on about a ticket is looked at next.
func (m *Maker) put(ctx context.Context, at store.Place, due store.FollowDue) error {
	return m.cfg.Store.UpdateFollow(ctx, at, 0, func(*campaign.Follow) (store.FollowDue, bool) { return due, true })
}

// orphan keeps messages for a ticket that is still to be written down, and forgets them
// when none comes: its rule is no longer true.
func (m *Maker) orphan(ctx context.Context, at store.Place, f *campaign.Follow) error {
	if f == nil || f.Looks >= orphanLooks {
		return m.cfg.Store.DropFollow(ctx, at)
	}
	return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Looks++
		return in(notMadeWait), true
	})
}

// passOn sends one message, once the quota allows it.
func (m *Maker) passOn(ctx context.Context, c campaign.Campaign, at store.Place, conversation string, r campaign.Reply) error {
	permit, err := m.cfg.Quota.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopping; it stays due
		}
		return err
	}
	// From here on neither the claim nor the request ends when the worker stops.
	ctx = context.WithoutCancel(ctx)
	claimed, claim, mine := time.Now(), rand.Text(), false
	err = m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		i := f.Next()
		if mine = i >= 0 && f.Said[i].State == campaign.TicketDue && f.Said[i].Sum == r.Sum && f.Said[i].At.Equal(r.At); !mine {
			return leave, false
		}
		f.Said[i].State, f.Said[i].Claim, f.Said[i].Moved = campaign.TicketCreating, claim, now()
		f.Said[i].Tries++
		r = f.Said[i]
		return in(m.cfg.RequestTimeout + claimMargin), true
	})
	if err == nil && mine { // also not written: the contact was erased, or the campaign purged
		mine, err = m.holds(ctx, at, claim)
	}
	if err != nil && mine {
		// Redis may have claimed it, and only the answer is lost. Nothing was sent.
		err = errors.Join(err, m.settle(ctx, at, claim, campaign.Ticket{State: campaign.TicketDue, Tries: r.Tries - 1}, 0))
	}
	if err != nil || !mine {
		m.cfg.Quota.Return(ctx, permit)
		return err
	}
	answer, err := m.cfg.Desk.SendMessage(velents.WithGuard(ctx, func() error { return stillOurs(claimed) }), conversation, r.Text)
	m.tellQuota(ctx, permit, answer, err)
	next, wait := m.afterReply(r.Tries, err)
	m.log.Log(ctx, levelOf(next.State), "reply answered", "campaign", c.Name, "chunk", at.Chunk, "contact", at.Index,
		"state", next.State, "tries", r.Tries, "reason", next.Reason)
	return m.settle(ctx, at, claim, next, wait)
}

// holds reports whether a message is there under a claim.
func (m *Maker) holds(ctx context.Context, at store.Place, claim string) (bool, error) {
	f, err := m.cfg.Store.Follow(ctx, at)
	return err != nil || f != nil && f.Claimed(claim) >= 0, err
}

// afterReply is what the answer to a message makes of it: the same as of a ticket, but it
// is tried for longer.
func (m *Maker) afterReply(tries int, err error) (next campaign.Ticket, wait time.Duration) {
	as := min(tries, maxTries-1)
	next, wait = m.after(campaign.Ticket{Tries: as}, velents.Ticket{ID: "known"}, err)
	again := next.State == campaign.TicketDue && next.Tries == as // it was a try
	next.Tries += tries - as
	if again && tries >= maxReplyTries {
		next.State = campaign.TicketFailed
	} else if again {
		wait = max(wait, min(firstWait<<min(tries-1, 10), longestReplyTry))
	}
	return next, wait
}

// settle writes down what became of the message under a claim, and repeats that while Redis
// is away.
func (m *Maker) settle(ctx context.Context, at store.Place, claim string, next campaign.Ticket, wait time.Duration) error {
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
			i := f.Claimed(claim)
			if i < 0 {
				return leave, false
			}
			r := &f.Said[i]
			f.Looks = 0
			r.State, r.Tries, r.Reason, r.Claim, r.Moved = next.State, next.Tries, next.Reason, "", now()
			switch next.State {
			case campaign.TicketMade:
				r.Pass(now())
			case campaign.TicketDue:
				return in(cmp.Or(wait, time.Second)), true
			case campaign.TicketUnconfirmed:
				return in(store.BeforeOthers), true // what is there tells
			}
			if f.Next() >= 0 {
				return in(store.BeforeOthers), true
			}
			return in(firstRead), true
		})
	})
}

// readBack reads a conversation, and settles by it what was lost.
func (m *Maker) readBack(ctx context.Context, c campaign.Campaign, at store.Place, t campaign.Ticket, f campaign.Follow) error {
	var said []velents.Turn
	err := m.ask(ctx, func() (answer velents.Answer, err error) {
		said, answer, err = m.cfg.Desk.History(ctx, t.Conversation)
		return answer, err
	})
	status := f.Status
	if err == nil && t.ID != "" {
		err = m.ask(ctx, func() (velents.Answer, error) {
			found, answer, err := m.cfg.Desk.Ticket(ctx, t.ID)
			status = cmp.Or(found.Status, status)
			return answer, err
		})
	}
	if ctx.Err() != nil {
		return nil // stopping; it stays due
	}
	if err != nil {
		return m.notRead(ctx, c, at, err)
	}
	turns := Turns(said)
	return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		if f.Read(status, turns, now()) {
			f.Looks = 0
		} else {
			f.Looks++
		}
		i := f.Next()
		switch {
		case i >= 0 && f.Said[i].State == campaign.TicketDue:
			return in(store.BeforeOthers), true
		case f.Looks >= lastRead:
			return never, true
		}
		return in(readAfter(f.Looks)), true
	})
}

// Turns is a conversation as the Support Center tells it.
func Turns(said []velents.Turn) []campaign.Turn {
	turns := make([]campaign.Turn, len(said))
	for i, turn := range said {
		turns[i] = campaign.Turn(turn)
	}
	return turns
}

// readAfter is the time to the next look, after a number of looks that found nothing new.
func readAfter(looks int) time.Duration { return min(firstRead<<min(looks, 20), longestRead) }

// notRead puts off a look at which the Support Center did not say what was asked.
func (m *Maker) notRead(ctx context.Context, c campaign.Campaign, at store.Place, err error) error {
	fate := verdict.OfSingle(err)
	if fate.Broken {
		m.broken = time.Now().Add(brokenWait)
	}
	m.log.WarnContext(ctx, "ticket not read", "campaign", c.Name, "chunk", at.Chunk, "contact", at.Index, "error", err)
	return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		if f.Looks++; f.Looks >= lastRead {
			return never, true
		}
		return in(max(fate.Wait, readAfter(f.Looks))), true
	})
}

// ask makes one request that changes nothing, once the quota allows it.
func (m *Maker) ask(ctx context.Context, request func() (velents.Answer, error)) error {
	permit, err := m.cfg.Quota.Acquire(ctx)
	if err != nil {
		return err
	}
	answer, err := request()
	m.cfg.Quota.Report(context.WithoutCancel(ctx), permit, verdict.ForQuota(answer, err))
	return err
}

// Settle says of messages in doubt what a person has found: they are in the Support Center,
// or they are not, and are sent again. at is the contact; nil: all of the campaign. It
// returns how many messages that were.
func Settle(ctx context.Context, s keeper, c campaign.Campaign, at *store.Place, there bool) (n int, err error) {
	for chunk := range c.Chunks {
		ref := store.Ref{Campaign: c.Name, Chunk: chunk}
		if at != nil && at.Ref != ref {
			continue
		}
		all, err := s.Follows(ctx, ref)
		if err != nil {
			return n, err
		}
		for index := range all {
			place := store.Place{Ref: ref, Index: index}
			if at != nil && *at != place {
				continue
			}
			settled := 0
			err := s.UpdateFollow(ctx, place, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
				settled = f.Settle(there, now())
				return in(store.BeforeOthers), settled > 0
			})
			if err != nil {
				return n, err
			}
			n += settled
		}
	}
	return n, nil
}
