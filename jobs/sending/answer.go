package sending

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// vagueLimit is how many single contacts in a row may be refused without being named.
// Then the request is taken to be at fault, if no contact of the chunk was accepted in this
// run.
const vagueLimit = 8

// verdict is what an answer to a request with that many rows means.
func (p *pass) verdict(ctx context.Context, answer error, rows int) verdict.Verdict {
	s := p.campaign.Settings
	v := verdict.Of(answer, rows, s.Mode, s.Retry5xx, p.seen.before(ctx, p.Store, s.Agent, answer, p.log))
	if refused := (*velents.Error)(nil); errors.As(answer, &refused) && verdict.NoWorkDone(refused) {
		v.Wait = 0 // the agent's quota waits instead, until a person lifts that
	}
	return v
}

// commitAnswers commits the answer to one request, or those to several that are alike,
// in one step. Each of them learns what went wrong, if anything did.
func (p *pass) commitAnswers(ctx context.Context, rs []*request) {
	err := p.commitAnswer(ctx, rs[0], contactsOf(rs))
	for _, r := range rs {
		r.err = err
	}
}

// commitAnswer commits what the answer to a request means for its contacts, and for those
// of others with the same answer, and acts on it.
func (p *pass) commitAnswer(ctx context.Context, r *request, piece []int) error {
	answer, v := r.failed, r.verdict
	change := store.Change{
		ClaimTTL: p.claimTTL(), Due: timings.KeepDue,
		Log:   store.Decision{Request: p.nameOf(r.number), Text: campaign.Text(verdict.Class(answer))},
		Judge: v.Then != verdict.Again, // the good rows of a request come after the bad ones it names
	}
	var err error
	if change.Moves, err = p.movesBy(ctx, piece, v); err != nil {
		return p.notWritten(r, piece, err)
	}
	attempt := p.attemptOf(piece)
	last := v.Cause == campaign.Accept && p.isLast(piece)
	if last {
		change.ClaimTTL = 0
	}
	if err := p.commit(ctx, change); err != nil {
		return p.notWritten(r, piece, err)
	}
	if last {
		p.agenda.close()
	}
	p.logAnswer(r.number, attempt, answer, change.Moves)
	return p.act(ctx, piece, v)
}

// movesBy are the moves of a request's contacts by a verdict. Those to be tried again
// postpone the chunk.
func (p *pass) movesBy(ctx context.Context, piece []int, v verdict.Verdict) ([]store.Move, error) {
	reason, err := p.reason(ctx, v.Reason)
	if err != nil {
		return nil, err
	}
	list := Moves(piece, v.Cause, reason)
	for place, index := range piece {
		move := &list[place]
		move.InDoubt = v.Doubt
		if text, named := v.Refused[place]; named {
			move.Cause = campaign.Reject
			if move.Reason, err = p.reason(ctx, campaign.Text(text)); err != nil {
				return nil, err
			}
		} else if v.Cause == campaign.Unsent && v.Then != verdict.BackOff {
			move.Reason = campaign.NoReason // it is as if nothing had happened to it
		} else if v.Cause == campaign.Retry {
			if record := p.chunk.Record(index); p.campaign.Settings.UsedUp(record) {
				move.Cause = campaign.Fail
			} else {
				p.agenda.postpone(max(v.Wait, jitter(retryBackoff.delay(int(record.Tries)+1))))
			}
		}
	}
	return list, nil
}

// notWritten logs an answer that is lost because Redis has not taken it: only a
// person can find out what became of its contacts.
func (p *pass) notWritten(r *request, piece []int, err error) error {
	if !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrMoved) {
		p.log.Error("answer lost, since Redis did not take it: its contacts become unconfirmed",
			"request", r.number, "contacts", len(piece), "answer", verdict.Class(r.failed), "error", err)
	}
	return err
}

// isLast reports whether the chunk has no contact to send or under way except those
// of this request.
func (p *pass) isLast(piece []int) bool {
	return len(p.chunk.In(campaign.Pending, campaign.Sending)) == len(piece)
}

// act does what the verdict asks for beyond the contacts of the request.
func (p *pass) act(ctx context.Context, piece []int, v verdict.Verdict) error {
	p.learnRows(ctx, len(piece), v)
	if fault, err := p.vagueInARow(ctx, piece, v); err != nil || fault {
		return err
	}
	switch v.Then {
	case verdict.Again:
		var again []int
		for place, index := range piece {
			if _, refused := v.Refused[place]; !refused {
				again = append(again, index)
			}
		}
		p.agenda.push(again)
	case verdict.Halve:
		p.agenda.halve(piece)
	case verdict.BackOff:
		p.agenda.postpone(v.Wait)
		if v.Cause == campaign.Unsent {
			p.agenda.postpone(jitter(retryBackoff.base))
		}
	case verdict.PauseCampaign:
		p.agenda.finish(nil)
		return p.Queue.Halt(ctx, p.campaign.Name, v.Reason)
	case verdict.PauseAgent:
		p.agenda.finish(nil)
		return p.Queue.HaltAgent(ctx, p.campaign, v.Reason)
	}
	return nil
}

// learnRows stores how many rows per request the platform takes. If one of them is at fault,
// halving goes below that until it is found: what the platform takes then stands against it.
func (p *pass) learnRows(ctx context.Context, rows int, v verdict.Verdict) {
	var err error
	a := &p.agenda
	a.mu.Lock()
	lowered := v.TooMany && max(rows/2, 1) >= a.accepted
	raised := v.Cause == campaign.Accept && a.lowered > 0 && rows > a.lowered && p.campaign.Settings.Mode == campaign.Batch
	switch {
	case lowered:
		a.lowered = max(rows/2, 1)
	case raised:
		a.lowered, a.accepted = rows, rows
	}
	a.mu.Unlock()
	switch {
	case lowered:
		err = p.Store.LowerRequestRows(ctx, p.campaign.Name, max(rows/2, 1))
	case raised:
		err = p.Store.RaiseRequestRows(ctx, p.campaign.Name, rows)
	}
	if err != nil {
		p.log.WarnContext(ctx, "not stored how many rows per request the platform takes", "error", err)
	}
}

// vagueInARow counts single contacts that were refused without being named. When
// they are many, and no contact of the chunk was accepted in this run or a firewall refuses
// them, the request is at fault and not they: they become pending again and the
// campaign pauses.
func (p *pass) vagueInARow(ctx context.Context, piece []int, v verdict.Verdict) (fault bool, err error) {
	p.agenda.mu.Lock()
	switch {
	case v.Cause == campaign.Accept:
		p.agenda.vague = nil
	case v.Vague:
		p.agenda.vague = append(p.agenda.vague, piece[0])
	}
	suspects := p.agenda.vague
	p.agenda.mu.Unlock()
	if !v.Vague || len(suspects) < vagueLimit || !v.Firewall && p.hasAccepted() {
		return false, nil
	}
	p.agenda.finish(nil)
	err = p.commit(ctx, store.Change{
		ClaimTTL: p.claimTTL(), Due: timings.KeepDue, Moves: Moves(suspects, campaign.Withdraw, campaign.NoReason),
		Log: store.Decision{Text: campaign.Say(campaign.MsgVagueTakenBack)},
	})
	if err != nil {
		return true, err
	}
	return true, p.Queue.Halt(ctx, p.campaign.Name,
		campaign.Say(campaign.MsgVague, "contacts", len(suspects), "answer", v.Reason))
}

// hasAccepted reports whether the platform has accepted a contact of the chunk in this run of
// the campaign.
func (p *pass) hasAccepted() bool {
	return slices.ContainsFunc(p.chunk.In(campaign.Accepted, campaign.Started, campaign.Ended), func(index int) bool {
		return p.chunk.Record(index).Run == p.campaign.Run
	})
}

// attemptOf is the attempt, counted from 1, that a request is for the contact of it
// that was tried most.
func (p *pass) attemptOf(piece []int) (attempt uint8) {
	for _, index := range piece {
		attempt = max(attempt, p.chunk.Record(index).Attempts)
	}
	return attempt
}

func (p *pass) logAnswer(request int, attempt uint8, answer error, moves []store.Move) {
	n := make(map[campaign.Cause]int)
	for _, m := range moves {
		n[m.Cause]++
	}
	level, attrs := slog.LevelInfo, []any{"request", request, "attempt", attempt, "accepted", n[campaign.Accept], "rejected", n[campaign.Reject],
		"failed", n[campaign.Fail], "unconfirmed", n[campaign.Lose], "again", n[campaign.Retry] + n[campaign.Unsent]}
	if answer != nil {
		level, attrs = slog.LevelWarn, append(attrs, "answer", answer)
	}
	p.log.Log(context.Background(), level, "request answered", attrs...)
}

// commit writes a change under our claim, for as long as it takes Redis to come
// back: an answer that was received must not be lost.
func (p *pass) commit(ctx context.Context, change store.Change) error {
	change.Act, change.Token, change.Terms = store.Commit, p.token, p.terms
	change.Log.By, change.Log.Action = p.Worker.By, store.ActionRequest
	change.Contacted, change.ContactedAt = Recorded(p.campaign, p.chunk.Contacts, change.Moves), p.clock.now()
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		done, err := p.Store.Apply(ctx, p.chunk, change)
		if err != nil {
			return err
		}
		if done.Unrecorded != nil {
			p.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "error", done.Unrecorded)
			for _, m := range change.Moves {
				p.reserved.abandon(m.Index)
			}
		}
		if len(done.Refused) > 0 {
			// Evidence came first, or the claim was taken over: what is written
			// stands, and it is not ours to change.
			p.log.InfoContext(ctx, "contacts left as they are", "contacts", len(done.Refused))
		}
		if len(done.Tripped) > 0 {
			p.agenda.finish(nil)
			return p.Queue.ExplainTrip(ctx, p.campaign, done.Tripped)
		}
		return nil
	})
}

// reason is the code of a text, found for as long as a commit would be tried.
func (p *pass) reason(ctx context.Context, reason campaign.Message) (code campaign.Reason, err error) {
	err = store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		code, err = p.Store.ReasonCode(ctx, p.campaign.Name, reason)
		return err
	})
	return code, err
}

// Moves are the moves of contacts that all move alike, when they are applied.
func Moves(contacts []int, cause campaign.Cause, reason campaign.Reason) []store.Move {
	list := make([]store.Move, len(contacts))
	for i, index := range contacts {
		list[i] = store.Move{Index: index, Move: campaign.Move{Cause: cause, Reason: reason}}
	}
	return list
}

// Recorded marks the moves that go into the contact record, and returns the people
// they are about: those who were contacted by them, or may have been.
func Recorded(c campaign.Campaign, contacts []campaign.Contact, moves []store.Move) (people []campaign.Phone) {
	if c.Settings.Unrecorded {
		return nil
	}
	for i, m := range moves {
		if m.MayReach() && m.Index < len(contacts) {
			moves[i].Recorded = true
			people = append(people, contacts[m.Index].Phone)
		}
	}
	return people
}

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

// A backoff is the longest wait before each attempt.
type backoff struct{ base, max time.Duration }

// retryBackoff lets the five attempts that a contact has by default span about
// a minute and a half, longer than a restart of the platform. What fails for
// longer blocks the whole quota instead of using up attempts.
var retryBackoff = backoff{base: 6 * time.Second, max: 10 * time.Minute}

// delay is the longest wait before an attempt, counted from 1.
func (b backoff) delay(attempt int) time.Duration {
	if attempt <= 1 {
		return 0
	}
	d := b.base
	for range attempt - 2 {
		if d *= 2; d >= b.max {
			return b.max // before the doubling overflows
		}
	}
	return min(d, b.max)
}

// jitter is a random part of d, any from none to all of it ("full jitter"), so
// that chunks which failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
