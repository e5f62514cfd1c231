package sending

import (
	"context"
	"errors"
	"log/slog"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// vagueLimit is how many single contacts in a row may be refused without being named.
// Then the request is taken to be at fault, if no contact of the chunk was ever
// accepted.
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

// record commits what the answer means for the contacts and acts on it.
func (p *pass) record(ctx context.Context, r *request, answer error, v verdict.Verdict) error {
	change := store.Change{
		ClaimTTL: p.claimTTL(), Due: timings.KeepDue,
		Log:   store.Decision{Request: p.nameOf(r.number), Text: campaign.Text(verdict.Class(answer))},
		Judge: v.Then != verdict.Again, // the good rows of a request come after the bad ones it names
	}
	var err error
	if change.Moves, err = p.movesBy(ctx, r.piece, v); err != nil {
		return p.notWritten(r, answer, err)
	}
	attempt := p.attemptOf(r.piece)
	last := v.Cause == campaign.Accept && p.isLast(r.piece)
	if last {
		change.ClaimTTL = 0
	}
	if err := p.commit(ctx, change); err != nil {
		return p.notWritten(r, answer, err)
	}
	if last {
		p.agenda.close()
	}
	p.logAnswer(r.number, attempt, answer, change.Moves)
	return p.act(ctx, r.piece, v)
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
func (p *pass) notWritten(r *request, answer, err error) error {
	if !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrMoved) {
		p.log.Error("answer lost, since Redis did not take it: its contacts become unconfirmed",
			"request", r.number, "contacts", len(r.piece), "answer", verdict.Class(answer), "error", err)
	}
	return err
}

// isLast reports whether the chunk has no contact to send or under way except those
// of this request.
func (p *pass) isLast(piece []int) bool {
	return len(p.chunk.In(campaign.Pending)) == 0 && len(p.chunk.In(campaign.Sending)) == len(piece)
}

// act does what the verdict asks for beyond the contacts of the request.
func (p *pass) act(ctx context.Context, piece []int, v verdict.Verdict) error {
	if v.TooMany {
		most := max(len(piece)/2, 1)
		if err := p.Store.LowerRequestRows(ctx, p.campaign.Name, most); err != nil {
			p.log.WarnContext(ctx, "not stored that the platform takes fewer rows per request", "error", err)
		}
	}
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

// vagueInARow counts single contacts that were refused without being named. When
// they are many, and no contact of the chunk was ever accepted or a firewall refuses
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
	if !v.Vague || len(suspects) < vagueLimit || !v.Firewall && len(p.chunk.In(campaign.Accepted, campaign.Started, campaign.Ended)) > 0 {
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
