package sending

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// maxBodyBytes keeps requests below what servers refuse unread: such an early
// refusal looks like a lost answer.
const maxBodyBytes = 900_000

// A request is one on its way through the steps of start and finish.
type request struct {
	piece   []int // its contacts
	batch   velents.Batch
	permit  ratelimit.Permit
	fence   time.Time    // by Redis's clock; its begin and its reservations count until then
	closes  time.Time    // by Redis's clock; it must have left before; zero: at any time
	claimed time.Time    // just before it was begun
	inHand  *openRequest // from then on
	number  int          // of its begin, among all ever made on the chunk

	failed  error // its answer, if that is no 2xx
	verdict verdict.Verdict
	err     error // what kept its answer from being written down, or acted on
}

// contactsOf are the contacts of requests.
func contactsOf(rs []*request) (piece []int) {
	for _, r := range rs {
		piece = append(piece, r.piece...)
	}
	return piece
}

// start begins requests with these pieces, or with those contacts of them who may be
// sent. Those that get their permits at once begin together; the others stay on the agenda.
func (p *pass) start(ctx context.Context, pieces [][]int) (begun []*request, err error) {
	ready, err := p.sift(ctx, slices.Concat(pieces...), p.clock.now()) // first, so that no permit is taken in vain
	if err != nil {
		return nil, err
	}
	var rs []*request
	for _, piece := range pieces {
		if piece, ready = among(piece, ready); len(piece) == 0 {
			continue
		}
		batch := p.batch(piece)
		if len(piece) > 1 && !batch.Fits(maxBodyBytes) {
			p.agenda.halve(piece)
		} else {
			rs = append(rs, &request{piece: piece, batch: batch})
		}
	}
	permits, err := p.permits(ctx, len(rs))
	if err != nil || len(permits) == 0 {
		return nil, err
	}
	for _, r := range slices.Backward(rs[len(permits):]) {
		p.agenda.push(r.piece)
	}
	rs = rs[:len(permits)]
	for i, r := range rs {
		if r.permit = permits[i]; r.permit.Probe && len(r.piece) > 1 { // one contact finds out whether answers come again
			p.agenda.push(r.piece[1:])
			r.piece = r.piece[:1]
		}
	}
	taken := contactsOf(rs)
	defer func() {
		for _, r := range rs {
			if !slices.Contains(begun, r) {
				r.inHand.done()
				p.Quota.Return(context.WithoutCancel(ctx), r.permit)
			}
		}
	}()
	if begun, err = p.begin(ctx, rs); len(begun) == 0 {
		p.giveBack(ctx, taken, rs[0].fence)
	}
	return begun, err
}

// among takes the contacts of a piece off the front of those that are left of several
// pieces, in their order.
func among(piece, left []int) (kept, rest []int) {
	for _, index := range piece {
		if len(left) > 0 && left[0] == index {
			kept, left = append(kept, index), left[1:]
		}
	}
	return kept, left
}

// finish makes a request that has begun, and commits what became of its contacts. It
// calls land as soon as another may take its place, if that is before the end.
func (p *pass) finish(ctx context.Context, r *request, land func()) error {
	defer r.inHand.done()
	ctx = context.WithoutCancel(ctx) // from here on only the request's own timeout ends it
	answer, failed := p.attempt(ctx, r)
	r.failed, r.verdict = failed, p.verdict(ctx, failed, len(r.piece))
	// The ledger first: until then only this process knows the answer.
	if r.failed == nil {
		p.accepted.Do(r, func(rs []*request) { p.commitAnswers(ctx, rs) })
		if r.err == nil { // its contacts are decided; others must have their numbers back first
			land()
		}
	} else {
		p.commitAnswers(ctx, []*request{r})
	}
	p.report(ctx, r.permit, answer, failed, r.verdict)
	p.answered.Do(r, func(rs []*request) { p.giveAllBack(ctx, rs) })
	return r.err
}

// permits waits for the quota, and returns up to that many permits. It returns none and
// no error when the pass is over or the worker is stopping.
func (p *pass) permits(ctx context.Context, most int) ([]ratelimit.Permit, error) {
	if most == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.Worker.Stopping, cancel)()
	defer context.AfterFunc(p.agenda.ended, cancel)()
	p.agenda.hold(most)
	permits, err := p.Quota.AcquireUpTo(ctx, most)
	p.agenda.hold(0)
	if err != nil && (p.Worker.Stopping.Err() != nil || p.agenda.ended.Err() != nil) {
		return nil, nil
	}
	return permits, err
}

// begin reserves the numbers of requests' contacts and then writes down, in one step,
// that they are sending, except contacts that may not be sent after all. It returns the
// requests that are to leave, all of them now.
func (p *pass) begin(ctx context.Context, rs []*request) (begun []*request, err error) {
	fence := p.fence(rs, p.clock.now())
	admitted, err := p.admit(ctx, contactsOf(rs), fence)
	if err != nil || len(admitted) == 0 {
		return nil, err
	}
	claimed, ok := time.Now(), true
	for _, r := range rs {
		if r.piece, admitted = among(r.piece, admitted); len(r.piece) == 0 {
			continue
		}
		if len(r.piece) < len(r.batch.Rows) {
			r.batch = p.batch(r.piece)
		}
		var may bool
		r.claimed = claimed
		r.inHand, may = p.Worker.InHand.begin()
		ok = ok && may
		begun = append(begun, r)
	}
	if !ok || !p.Worker.Alive(claimed) {
		// Others may take this worker for dead, and what it begins for lost.
		p.agenda.finish(heartbeatIsLate)
		return nil, nil
	}
	done, err := p.Store.Apply(ctx, p.chunk, store.Change{
		Act: store.Begin, Token: p.token, ClaimTTL: p.claimTTL(), Due: timings.KeepDue, Latest: fence,
		Moves: Moves(contactsOf(begun), campaign.Send, campaign.NoReason), Terms: p.terms,
	})
	if err != nil {
		return nil, p.notBegun(ctx, begun, fence, err)
	}
	p.clock.set(done.Now)
	for _, r := range begun {
		r.number = done.Request
		r.batch.Name = campaign.BatchPrefix(p.chunk.Ref.Campaign, p.chunk.Ref.Chunk) + p.nameOf(r.number)
	}
	return begun, nil
}

// notBegun decides what to do when requests could not begin.
func (p *pass) notBegun(ctx context.Context, rs []*request, fence time.Time, err error) error {
	piece := contactsOf(rs)
	var busy *store.BusyError
	var late *store.LateError
	var guard *store.TripError
	switch {
	case errors.Is(err, store.ErrMoved):
		// Evidence or a person got to some of them first, maybe between this begin and
		// its repetition: go on with the others.
		if err := p.takeBack(ctx, piece, time.Time{}); err != nil {
			return err
		}
		for _, r := range slices.Backward(rs) {
			p.agenda.push(slices.DeleteFunc(r.piece, func(i int) bool { return p.chunk.Record(i).State != campaign.Pending }))
		}
	case errors.Is(err, store.ErrGone):
		p.agenda.finish(nil)
	case errors.Is(err, store.ErrNotRunning):
		p.agenda.finish(nil)
		return p.takeBack(ctx, piece, time.Time{})
	case errors.As(err, &guard):
		again, err := p.Queue.HeedGuard(ctx, p.campaign, guard.Trip)
		p.agenda.finish(again)
		return errors.Join(err, p.takeBack(ctx, piece, time.Time{}))
	case errors.Is(err, store.ErrOutdated):
		p.agenda.finish(&ComeBack{0, "the settings have changed: the chunk is looked at again"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.As(err, &late):
		p.clock.set(late.Now)
		p.agenda.finish(&ComeBack{0, "Redis took too long to begin the request"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrCapped):
		for _, r := range slices.Backward(rs) { // others were faster: sift finds out how many are left
			p.agenda.push(r.piece)
		}
	case errors.As(err, &busy):
		p.agenda.finish(&ComeBack{min(max(busy.Left, time.Second), timings.BusyWait), "another worker is sending it"})
	case errors.Is(err, store.ErrUnrecovered):
		p.agenda.finish(&ComeBack{0, "a dead claim must be recovered first"})
	default:
		// Redis may have done it and lost only the answer, or may do it yet. Nothing
		// was sent.
		return errors.Join(err, p.takeBack(ctx, piece, fence))
	}
	return nil
}

// errMayBegin keeps a sender from taking a begin back while Redis may still carry it
// out.
var errMayBegin = errors.New("a request may still begin")

// takeBack makes contacts pending again that a begin without an answer may have
// marked, so that they do not end up unconfirmed. A refusal, too, can be the answer to
// a begin that was carried out and then repeated after a pause. A begin that may
// still be on its way carries the fence: takeBack waits until that has passed.
func (p *pass) takeBack(ctx context.Context, piece []int, fence time.Time) error {
	err := store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		if !fence.IsZero() {
			if now, err := p.Store.Clock(ctx, p.campaign.Name); err != nil {
				return err
			} else if now.Sub(fence) < time.Millisecond {
				return errMayBegin
			}
		}
		chunk, err := p.Store.ReadLedger(ctx, p.chunk.Ref)
		if err != nil || chunk.Claim != p.token {
			return err
		}
		_, err = p.Store.Apply(ctx, chunk, store.Change{
			Act: store.Commit, Token: p.token, ClaimTTL: p.claimTTL(), Due: timings.KeepDue, Terms: p.terms,
			Moves: Moves(piece, campaign.Unsent, campaign.NoReason),
			Log:   store.Decision{By: p.Worker.By, Action: store.ActionRequest, Text: campaign.Say(campaign.MsgTakenBack)},
		})
		return err
	})
	if err != nil && !errors.Is(err, store.ErrGone) {
		p.reserved.abandon(piece...)
	}
	return err
}

// attempt makes the one request.
func (p *pass) attempt(ctx context.Context, r *request) (answer velents.Answer, err error) {
	began, s := time.Now(), p.campaign.Settings
	ctx = velents.WithGuard(ctx, func() error { return p.mayLeave(r) })
	r.inHand.sent()
	if s.Mode == campaign.Dispatch {
		row := r.batch.Rows[0]
		answer, err = p.Platform.Dispatch(ctx, velents.Dispatch{ChannelID: r.batch.ChannelID, Phone: row.Phone, Values: row.Values, Webhook: r.batch.Webhook})
	} else {
		answer, err = p.Platform.Batch(ctx, r.batch)
	}
	r.inHand.answered(time.Now().Add(timings.CommitPatience))
	p.seen.note(campaign.Seen{RateHeaders: answer.RateHeaders, Accepted: err == nil}, campaign.Seen{})
	p.width.learn(err == nil)
	if p.Answered != nil {
		p.Answered(s.Agent, verdict.Class(err), time.Since(began))
	}
	return answer, err
}

// report tells the quota what became of the permit.
func (p *pass) report(ctx context.Context, permit ratelimit.Permit, answer velents.Answer, failed error, v verdict.Verdict) {
	if errors.Is(failed, verdict.ErrNotOurs) {
		p.Quota.Return(ctx, permit)
		p.agenda.finish(heartbeatIsLate)
		return
	}
	report := verdict.ForQuota(answer, failed)
	report.Lost = v.Cause == campaign.Lose
	p.Quota.Report(ctx, permit, report)
}

// claimTTL is how long a claim must last for one request.
func (p *pass) claimTTL() time.Duration { return p.Worker.RequestTimeout + timings.ClaimMargin }

// heartbeatIsLate ends a pass until the worker's heartbeat arrives again.
var heartbeatIsLate = &ComeBack{timings.HeartbeatEvery, "this worker's heartbeat is late"}

// mayLeave is asked just before a request is written: the answer to its begin may have come
// after its time.
func (p *pass) mayLeave(r *request) error {
	if !r.closes.IsZero() && !p.clock.now().Before(r.closes) {
		return verdict.ErrNotOurs
	}
	return p.stillOurs(r.claimed)
}

// stillOurs says that the claim is. A process that was frozen
// (SIGSTOP, a paused machine) may wake up long after others have taken its chunk
// over: it must not send.
func (p *pass) stillOurs(claimed time.Time) error {
	now := time.Now()
	if timings.Elapsed(claimed, now) > timings.WriteBy || !p.Worker.Alive(now) {
		return verdict.ErrNotOurs
	}
	return nil
}

// nameOf is the end of the name of the chunk's n-th request. No name is used twice.
func (p *pass) nameOf(n int) string { return fmt.Sprintf("%d-%d", p.chunk.Seq, n) }

// batch is the request for a piece, without its name.
func (p *pass) batch(piece []int) velents.Batch {
	b := velents.Batch{ChannelID: p.campaign.Settings.ChannelID, Rows: make([]velents.Row, len(piece))}
	for i, index := range piece {
		contact := p.chunk.Contacts[index]
		b.Rows[i] = velents.Row{Phone: contact.Phone.E164(), Values: p.campaign.Settings.Values(contact)}
	}
	if p.Webhook != nil {
		contact := 0
		if p.campaign.Settings.Mode == campaign.Dispatch {
			contact = p.chunk.Ref.Chunk*p.campaign.Settings.ChunkSize + piece[0] + 1
		}
		b.Webhook = p.Webhook(p.campaign, contact)
	}
	return b
}
