package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents/mask"
)

// A Selection says which contacts to rerun.
type Selection struct {
	// States are any of Rerunnable, and Ended with a rule about outcomes.
	States []campaign.State
	Reason string // part of the reason's text, in any case; empty: any reason
	Where  campaign.Rules

	Limit   int       // contacts, the first of the list; 0: all
	Canary  int       // contacts that are sent before the others wait for a person; 0: no canary
	StartAt time.Time // zero: at once

	Seen *Seen // what a person has seen of it, and agreed to; nil: it is bound to nothing
}

// Seen bounds what a person agrees to by what a page has shown them: nothing is done when it
// is about more contacts by now, or if somebody has sent again since.
type Seen struct {
	Contacts int
	Run      uint8 // of the campaign
	// Until leaves out contacts that have changed later: nobody has looked at them. It counts
	// in whole seconds; zero: none is left out.
	Until time.Time
}

// ErrMoreChosen: it is no longer what a person has seen.
var ErrMoreChosen = campaign.Faulty(campaign.MsgMoreChosen)

// check is ErrMoreChosen unless what was seen is still so.
func (s *Seen) check(contacts int, run uint8) error {
	if s == nil || contacts <= s.Contacts && run == s.Run {
		return nil
	}
	return ErrMoreChosen
}

// covers reports whether a contact is as it was when it was seen.
func (s *Seen) covers(is campaign.Record) bool {
	return s == nil || s.Until.IsZero() || !is.ChangedAt().After(s.Until)
}

// most is how many contacts are sent again at most; 0: all that are chosen.
func (s Selection) most() int {
	if s.Seen != nil && (s.Limit == 0 || s.Seen.Contacts < s.Limit) {
		return s.Seen.Contacts
	}
	return s.Limit
}

// message says it in the log.
func (s Selection) message() campaign.Message {
	var names []string
	for _, state := range s.States {
		names = append(names, state.String())
	}
	parts := []campaign.Message{campaign.Text(strings.Join(names, ", "))}
	if s.Reason != "" {
		parts = append(parts, campaign.Say(campaign.MsgWithReason, "reason", mask.Numbers(strconv.Quote(s.Reason))))
	}
	for _, rule := range s.Where {
		parts = append(parts, campaign.Say(campaign.MsgWhere, "rule", mask.Numbers(rule.String())))
	}
	if s.Limit > 0 {
		parts = append(parts, campaign.Say(campaign.MsgLimited, "contacts", s.Limit))
	}
	if s.Canary > 0 {
		parts = append(parts, campaign.Say(campaign.MsgCanaryOf, "contacts", s.Canary))
	}
	if !s.StartAt.IsZero() {
		parts = append(parts, campaign.Say(campaign.MsgStartsAt, "start", s.StartAt))
	}
	return campaign.Say(campaign.MsgSelection, "parts", parts)
}

// Rerunnable are the states from which a contact can be sent again on request, without
// a rule about its outcome.
var Rerunnable = []campaign.State{campaign.Rejected, campaign.Failed, campaign.Unconfirmed, campaign.Canceled}

func (s Selection) check() error {
	if s.Limit < 0 || s.Canary < 0 {
		return errors.New("a limit and a canary are numbers of contacts")
	}
	for _, state := range s.States {
		switch {
		case slices.Contains(Rerunnable, state), state == campaign.Ended && s.ByOutcome():
		case state == campaign.Ended:
			return errors.New("contacts whose conversation has ended are sent again only by what it came to")
		default:
			return fmt.Errorf("contacts that are %s are not sent again", state)
		}
	}
	return nil
}

// ByOutcome reports whether a rule is about what the conversations came to.
func (s Selection) ByOutcome() bool {
	_, outcome, _ := s.Where.Need()
	return outcome
}

// DefaultStates are the states that a selection without any means: those that a rule
// names, else Ended if a rule is about outcomes, else Failed.
func (s Selection) DefaultStates() []campaign.State {
	if named := s.Where.States(); len(named) > 0 {
		return named
	}
	if s.ByOutcome() {
		return []campaign.State{campaign.Ended}
	}
	return []campaign.State{campaign.Failed}
}

// selectorOf selects the contacts that a selection names.
func (q *Queue) selectorOf(ctx context.Context, c campaign.Campaign, sel Selection) (_ selector, err error) {
	if sel.Where, err = sel.Where.On(c.Settings.ColumnNames()); err != nil {
		return nil, err
	}
	reason, outcome, cells := sel.Where.Need()
	read, err := q.factsOf(ctx, c, reason || sel.Reason != "", outcome, cells)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, chunk *store.Chunk) (func(int) bool, error) {
		facts, err := read(ctx, chunk)
		if err != nil {
			return nil, err
		}
		return func(i int) bool {
			f := facts(i)
			return !f.Record.Erased && sel.Seen.covers(f.Record) && slices.Contains(sel.States, f.Record.State) &&
				(sel.Reason == "" || f.Reason.Matches(sel.Reason)) && sel.Where.Of(f)
		}, nil
	}, nil
}

// factsOf reads what rules are asked about: of each chunk what they need beside its ledger. A
// *store.DamagedError of a chunk says of which contacts the outcomes cannot be read; the facts
// of the others are returned with it.
func (q *Queue) factsOf(ctx context.Context, c campaign.Campaign, reason, outcome, cells bool) (factsReader, error) {
	header := c.Settings.ColumnNames()
	var reasons map[campaign.Reason]campaign.Message
	if reason {
		var err error
		if reasons, err = q.store.Reasons(ctx, c.Name); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, chunk *store.Chunk) (facts func(i int) campaign.Facts, err error) {
		var outcomes map[int]campaign.Outcome
		var damaged error
		var contacts []campaign.Contact
		if outcome {
			outcomes, damaged = q.store.Outcomes(ctx, chunk.Ref)
			if damaged != nil && !errors.As(damaged, new(*store.DamagedError)) {
				return nil, damaged
			}
		}
		if cells {
			whole, err := q.store.ReadChunk(ctx, chunk.Ref)
			if err != nil {
				return nil, err
			}
			contacts = whole.Contacts
		}
		return func(i int) campaign.Facts {
			r := chunk.Record(i)
			f := campaign.Facts{Record: r, Reason: reasons[r.Reason], Outcome: outcomes[i]}
			if cells {
				f.Cell = campaign.Cells(header, contacts[i].Fields)
			}
			return f
		}, damaged
	}, nil
}

// A factsReader reads the facts of a chunk's contacts.
type factsReader func(ctx context.Context, chunk *store.Chunk) (facts func(i int) campaign.Facts, err error)

// A selector says of a chunk which of its contacts are selected.
type selector func(ctx context.Context, chunk *store.Chunk) (selected func(i int) bool, err error)
