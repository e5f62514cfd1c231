package tickets

import (
	"cmp"
	"context"
	"regexp"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// refLength is the length of our reference in a ticket: 80 random bits.
const refLength = 16

// refMark is how a subject ends that has our reference: the subject is the one field that
// the Support Center is known to keep.
func refMark(ref string) string { return " [ref " + ref + "]" }

var refPattern = regexp.MustCompile(`\[ref ([A-Z2-7]{16})\]`)

const (
	// A walk reads pagesAtOnce pages, and goes on at the next look. One is taken for what
	// the list says for walkKept.
	pagesAtOnce = 5
	walkKept    = time.Minute
	// maxFound bounds the tickets of ours that a walk keeps: about a megabyte.
	maxFound = 10_000

	// A ticket that is not in the list is looked for again after firstRead, and five times
	// as long after each walk, lastWalk times. A list may lag, so it is never taken for
	// not made.
	lastWalk = 6
)

// A walk goes through the tenant's tickets, in the order in which the Support Center lists
// them.
type walk struct {
	began time.Time
	next  *velents.Cursor
	over  bool
	found map[string]velents.Ticket // by our reference
}

// fresh reports whether what the walk has found, and not, holds for a ticket that was lost
// before it began.
func (w *walk) fresh(lost time.Time) bool {
	return w.over && w.began.After(lost) && time.Since(w.began) < walkKept
}

// lookFor looks for a ticket whose answer was lost, by our reference.
func (m *Maker) lookFor(ctx context.Context, c campaign.Campaign, at store.Place, t campaign.Ticket, looks int) error {
	if t.Ref == "" {
		return m.put(ctx, at, never)
	}
	found, is, err := m.walkTo(ctx, t.Ref, t.At)
	if ctx.Err() != nil {
		return nil // stopping
	}
	if err != nil {
		return m.notRead(ctx, c, at, err)
	}
	if !is {
		return m.walkOn(ctx, at, t.At, looks)
	}
	made := t
	made.State, made.ID, made.Conversation, made.At = campaign.TicketMade, found.ID, found.ConversationID, now()
	made.Reason = campaign.Say(campaign.MsgTicketFound)
	moved, err := m.cfg.Store.SetTicket(ctx, at, &t, &made, 0, 0)
	if err != nil || !moved {
		return err
	}
	m.log.InfoContext(ctx, "ticket found", "campaign", c.Name, "chunk", at.Chunk, "contact", at.Index)
	if !c.Settings.TicketReplies {
		return m.put(ctx, at, never)
	}
	return m.beginFollow(ctx, c, at, made)
}

// walkOn says when a ticket that was not found yet is looked for again.
func (m *Maker) walkOn(ctx context.Context, at store.Place, lost time.Time, looks int) error {
	if !m.walk.fresh(lost) {
		return m.put(ctx, at, in(lookEvery)) // the walk goes on
	}
	return m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		if f.Looks = looks + 1; f.Looks >= lastWalk {
			return never, true // a person must look
		}
		wait := firstRead
		for range f.Looks {
			wait *= 5
		}
		return in(wait), true
	})
}

// walkTo goes on through the list until it finds a reference, for a few pages.
func (m *Maker) walkTo(ctx context.Context, ref string, lost time.Time) (found velents.Ticket, is bool, err error) {
	w := &m.walk
	if found, is = w.found[ref]; is || w.fresh(lost) {
		return found, is, nil
	}
	if w.over || w.found == nil {
		*w = walk{began: time.Now(), found: make(map[string]velents.Ticket)}
	}
	for range pagesAtOnce {
		if w.over {
			break
		}
		var page velents.Page
		err := m.ask(ctx, func() (answer velents.Answer, err error) {
			page, answer, err = m.cfg.Desk.ListTickets(ctx, w.next)
			return answer, err
		})
		if err != nil {
			*w = walk{} // its cursor may be at fault
			return found, false, err
		}
		for _, t := range page.Tickets {
			if mark := refPattern.FindStringSubmatch(t.Subject); mark != nil {
				t.Raw = nil
				w.found[mark[1]] = t
			}
		}
		w.next, w.over = page.Next, page.Next == nil || len(w.found) >= maxFound
		if found, is = w.found[ref]; is {
			break
		}
	}
	return found, is, nil
}

// findConversation learns the conversation of a ticket whose answer did not name it.
func (m *Maker) findConversation(ctx context.Context, c campaign.Campaign, at store.Place, t campaign.Ticket, looks int) error {
	var found velents.Ticket
	var is bool
	var err error
	if t.ID != "" {
		err = m.ask(ctx, func() (answer velents.Answer, err error) {
			found, answer, err = m.cfg.Desk.Ticket(ctx, t.ID)
			return answer, err
		})
		is = found.ConversationID != ""
	} else if t.Ref != "" {
		found, is, err = m.walkTo(ctx, t.Ref, t.At)
	}
	switch {
	case ctx.Err() != nil:
		return nil // stopping
	case err != nil:
		return m.notRead(ctx, c, at, err)
	case !is && t.ID == "" && t.Ref != "":
		return m.walkOn(ctx, at, t.At, looks)
	case !is || found.ConversationID == "":
		return m.put(ctx, at, never) // the Support Center does not tell
	}
	named := t
	named.ID, named.Conversation = cmp.Or(t.ID, found.ID), found.ConversationID
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		if _, err := m.cfg.Store.SetTicket(ctx, at, &t, &named, 0, 0); err != nil {
			return err
		}
		return m.put(ctx, at, in(store.BeforeOthers))
	})
}
