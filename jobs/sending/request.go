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

// A request is one on its way through the steps of sendPiece.
type request struct {
	piece   []int // its contacts
	batch   velents.Batch
	permit  ratelimit.Permit
	fence   time.Time    // by Redis's clock; its begin and its reservations count until then
	claimed time.Time    // just before it was begun
	inHand  *openRequest // from then on
	number  int          // among all requests ever begun on the chunk
}

// sendPiece sends the contacts of one request, or those of them who may be sent, and
// commits what became of them.
func (p *pass) sendPiece(ctx context.Context, piece []int) error {
	piece, err := p.sift(ctx, piece) // first, so that no permit is taken in vain
	if err != nil || len(piece) == 0 {
		return err
	}
	batch := p.batch(piece)
	if len(piece) > 1 && !batch.Fits(maxBodyBytes) {
		p.agenda.halve(piece)
		return nil
	}
	permit, err := p.permit(ctx)
	if err != nil || permit == nil {
		return err
	}
	if permit.Probe && len(piece) > 1 { // one contact finds out whether answers come again
		p.agenda.push(piece[1:])
		piece = piece[:1]
	}
	r := &request{piece: piece, batch: batch, permit: *permit}
	begun, err := p.begin(ctx, r)
	defer r.inHand.done()
	if err != nil || !begun {
		p.giveBack(ctx, piece, r.fence)
		p.Quota.Return(context.WithoutCancel(ctx), r.permit)
		return err
	}
	ctx = context.WithoutCancel(ctx) // from here on only the request's own timeout ends it
	answer, failed := p.attempt(ctx, r)
	v := p.verdict(ctx, failed, len(r.piece))
	// The ledger first: until then only this process knows the answer.
	err = p.commitAnswer(ctx, r, failed, v)
	p.report(ctx, r.permit, answer, failed, v)
	p.giveBack(ctx, r.piece, r.fence)
	return err
}

// permit waits for the quota. It returns nil and no error when the pass is over or
// the worker is stopping. One request of a pass waits at a time: in dispatch mode
// four of each task would otherwise stand before those of a shorter list.
func (p *pass) permit(ctx context.Context) (*ratelimit.Permit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.Worker.Stopping, cancel)()
	defer context.AfterFunc(p.agenda.ended, cancel)()
	var permit ratelimit.Permit
	var err error
	select {
	case p.waiting <- struct{}{}:
		permit, err = p.Quota.Acquire(ctx)
		<-p.waiting
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case err == nil:
		return &permit, nil
	case p.Worker.Stopping.Err() != nil, p.agenda.ended.Err() != nil:
		return nil, nil
	}
	return nil, err
}

// begin reserves the numbers of a request's contacts and then writes down that they are
// sending, except contacts that may not be sent after all. begun is false when no request
// is to leave.
func (p *pass) begin(ctx context.Context, r *request) (begun bool, err error) {
	r.fence = p.clock.now().Add(timings.BeginPatience).Truncate(time.Millisecond) // as the script takes it
	if r.piece, err = p.admit(ctx, r.piece, r.fence); err != nil || len(r.piece) == 0 {
		return false, err
	}
	if len(r.piece) < len(r.batch.Rows) {
		r.batch = p.batch(r.piece)
	}
	r.claimed = time.Now()
	var ok bool
	if r.inHand, ok = p.Worker.InHand.begin(); !ok || !p.Worker.Alive(r.claimed) {
		// Others may take this worker for dead, and what it begins for lost.
		p.agenda.finish(heartbeatIsLate)
		return false, nil
	}
	done, err := p.Store.Apply(ctx, p.chunk, store.Change{
		Act: store.Begin, Token: p.token, ClaimTTL: p.claimTTL(), Due: timings.KeepDue, Latest: r.fence,
		Moves: Moves(r.piece, campaign.Send, campaign.NoReason), Terms: p.terms,
	})
	if err != nil {
		return false, p.notBegun(ctx, r.piece, r.fence, err)
	}
	p.clock.set(done.Now)
	r.number = done.Request
	r.batch.Name = campaign.BatchPrefix(p.chunk.Ref.Campaign, p.chunk.Ref.Chunk) + p.nameOf(r.number)
	return true, nil
}

// notBegun decides what to do when a request could not begin.
func (p *pass) notBegun(ctx context.Context, piece []int, fence time.Time, err error) error {
	var busy *store.BusyError
	var late *store.LateError
	switch {
	case errors.Is(err, store.ErrMoved):
		// Evidence or a person got to some of them first, maybe between this begin and
		// its repetition: go on with the others.
		if err := p.takeBack(ctx, piece, time.Time{}); err != nil {
			return err
		}
		pending := slices.DeleteFunc(slices.Clone(piece), func(i int) bool { return p.chunk.Record(i).State != campaign.Pending })
		p.agenda.push(pending)
	case errors.Is(err, store.ErrGone):
		p.agenda.finish(nil)
	case errors.Is(err, store.ErrNotRunning):
		p.agenda.finish(nil)
		return p.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrOutdated):
		p.agenda.finish(&ComeBack{0, "the settings have changed: the chunk is looked at again"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.As(err, &late):
		p.clock.set(late.Now)
		p.agenda.finish(&ComeBack{0, "Redis took too long to begin the request"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrCapped):
		p.agenda.push(piece) // others were faster: sift finds out how many are left
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
	ctx = velents.WithGuard(ctx, func() error { return p.stillOurs(r.claimed) })
	r.inHand.sent()
	if s.Mode == campaign.Dispatch {
		row := r.batch.Rows[0]
		answer, err = p.Platform.Dispatch(ctx, velents.Dispatch{ChannelID: r.batch.ChannelID, Phone: row.Phone, Values: row.Values, Webhook: r.batch.Webhook})
	} else {
		answer, err = p.Platform.Batch(ctx, r.batch)
	}
	r.inHand.answered(time.Now().Add(timings.CommitPatience))
	p.seen.note(campaign.Seen{RateHeaders: answer.RateHeaders, Accepted: err == nil}, campaign.Seen{})
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

// stillOurs is asked just before a request is written. A process that was frozen
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
