package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// platform makes one attempt; *velents.Client is the real one.
type platform interface {
	Batch(ctx context.Context, b velents.Batch) (velents.Answer, error)
	Dispatch(ctx context.Context, d velents.Dispatch) (velents.Answer, error)
}

// quota says when a request may leave; *ratelimit.Quota is the real one. Each
// ticket is reported or returned once.
type quota interface {
	Acquire(ctx context.Context) (ratelimit.Ticket, error)
	Report(ctx context.Context, t ratelimit.Ticket, a ratelimit.Answer)
	Return(ctx context.Context, t ratelimit.Ticket)
	Status(ctx context.Context) (ratelimit.Status, error)
}

const (
	// maxBodyBytes keeps requests below what servers refuse unread: such an early
	// refusal looks like a lost answer.
	maxBodyBytes = 900_000

	// dispatchesInFlight is how many contacts of one chunk are under way at once
	// in dispatch mode.
	dispatchesInFlight = 4

	// vagueLimit is how many single contacts in a row may be refused without a
	// word about them, none of their chunk ever accepted, before it is taken for
	// a fault of the request.
	vagueLimit = 8

	// turnLasts is for how long a task may send while others wait in another lane. In
	// dispatch mode it may have a minute's requests and more before it, and there
	// are few places for tasks.
	turnLasts = 10 * time.Second
)

// A sender works off the chunks of one agent.
type sender struct {
	store          *store.Store
	queue          *Queue
	platform       platform
	quota          quota
	memory         *memory
	seen           *seen
	worker         string                                                  // the id in our claims
	requestTimeout time.Duration                                           // of one request, as the platform's client keeps it
	alive          func(now time.Time) bool                                // whether others still take this worker for living
	steady         func(now time.Time) bool                                // whether this worker may take others for dead
	hands          *hands                                                  // what the worker has in hand
	turn           time.Duration                                           // turnLasts
	webhook        func(c campaign.Campaign, contact int) *velents.Webhook // as Config.Webhook
	watch          Watch
	drain          context.Context
	log            *slog.Logger
}

// send works off one chunk. Nil means that nothing is left to do for now; a
// *comeBack asks to be run again.
func (s *sender) send(ctx context.Context, ref store.Ref) error {
	c, err := s.store.Campaign(ctx, ref.Campaign)
	if errors.Is(err, store.ErrNotFound) {
		return nil // purged meanwhile
	}
	if err != nil {
		return err
	}
	if c.Phase == campaign.Loading {
		return nil // a task of an earlier load of that name
	}
	chunk, err := s.store.ReadChunk(ctx, ref)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.memory.newer(c, chunk) {
		return s.hold(ctx, c, chunk)
	}
	defer func() { s.memory.keep(c, chunk) }()
	if wait, err := s.queue.settle(ctx, c, chunk, s.steady(time.Now())); err != nil || wait > 0 {
		return orComeBack(err, min(wait, busyWait), "somebody else is sending it")
	}
	switch {
	case c.Phase == campaign.CanceledPhase:
		_, err := s.queue.cancelPending(ctx, chunk)
		return err
	case c.Phase != campaign.Running:
		return nil // whoever sets it running releases the chunk again
	}
	r, err := s.newRun(c, chunk)
	if err != nil {
		return err
	}
	return errors.Join(r.work(ctx), s.queue.judgeCanary(ctx, c))
}

// hold pauses a campaign of which Redis has lost writes, until a person has
// looked. Resuming it is that person's word that the chunk may be sent as it is.
func (s *sender) hold(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) error {
	s.log.ErrorContext(ctx, "redis has lost writes", "campaign", c.Name, "run", c.Run, "chunk", chunk.Ref.Chunk)
	err := s.queue.halt(ctx, c.Name, fmt.Sprintf("Redis has lost writes: chunk %[1]d is older than what worker %[2]s wrote. "+
		"Who is pending in it may have been contacted; look up the batches %[3]s/%[1]d/… in the platform's dashboard before you resume or cancel",
		chunk.Ref.Chunk, s.worker, c.Name))
	if err == nil {
		s.memory.forget(c, chunk)
	}
	return err
}

func orComeBack(err error, after time.Duration, why string) error {
	if err != nil {
		return err
	}
	return &comeBack{after, why}
}

// settle makes contacts unconfirmed that are sending under a claim which has
// expired or whose worker is gone: their request may have arrived, and other
// campaigns are to know of them. While the claim is alive it changes nothing and says
// how long that lasts at the most. Only who is steady may tell that a worker is gone.
//
// First it ends the claim, which goes through only if that is dead: from then on its
// sender can no longer say that nothing was sent. Then those who are still sending are
// told to the contact record and moved. Interrupted, it is done again by the next.
func (q *Queue) settle(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, steady bool) (wait time.Duration, err error) {
	if chunk.Claim == "" && len(chunk.In(campaign.Sending)) == 0 {
		return 0, nil
	}
	end := store.Change{Act: store.Recover, Due: keepDue}
	if steady {
		dead, err := q.store.ClaimIsDead(ctx, chunk.Claim)
		if err != nil {
			return 0, err
		}
		if dead {
			now, err := q.store.Clock(ctx, c.Name)
			if err != nil {
				return 0, err
			}
			end.Dead, end.Latest = chunk.Claim, now.Add(beginPatience)
		}
	}
	done, err := q.store.Apply(ctx, chunk, end)
	var busy *store.BusyError
	switch {
	case errors.As(err, &busy):
		return max(busy.Left, time.Second), nil
	case errors.Is(err, store.ErrLate):
		return time.Second, nil // what was known of the claim is old
	case err != nil:
		return 0, err
	}
	if err := q.store.Reload(ctx, chunk); err != nil {
		return 0, err
	}
	sending := chunk.In(campaign.Sending)
	if len(sending) == 0 {
		return 0, nil
	}
	reason, err := q.store.ReasonCode(ctx, c.Name, "the sender died: the request may have been carried out")
	if err != nil {
		return 0, err
	}
	change := store.Change{
		Act: store.Recover, Due: keepDue, Log: store.Decision{By: q.by, Action: store.ActionRecover},
		Moves: moves(sending, campaign.Lose, reason), ContactedAt: done.Now,
	}
	change.Contacted = recorded(c, chunk.Contacts, change.Moves)
	done, err = q.store.Apply(ctx, chunk, change)
	if errors.As(err, &busy) {
		return max(busy.Left, time.Second), nil // they were answered for, and it goes on elsewhere
	}
	if err != nil {
		return 0, err
	}
	if done.Unrecorded != nil {
		q.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "campaign", c.Name, "error", done.Unrecorded)
	}
	if len(done.Tripped) > 0 { // who is lost counts for the guard
		err = q.tripped(ctx, c, done.Tripped)
	}
	return 0, err
}

// cancelPending cancels the contacts of a chunk that are still to be sent.
func (q *Queue) cancelPending(ctx context.Context, chunk *store.Chunk) (int, error) {
	change := store.Change{
		Act: store.Steer, Moves: moves(chunk.In(campaign.Pending), campaign.Cancel, campaign.NoReason),
		Log: store.Decision{By: q.by, Action: store.ActionCancel},
	}
	done, err := q.store.Apply(ctx, chunk, change)
	return len(done.Moved), err
}

func moves(contacts []int, cause campaign.Cause, reason campaign.Reason) []store.Move {
	now := time.Now()
	list := make([]store.Move, len(contacts))
	for i, index := range contacts {
		list[i] = store.Move{Index: index, Move: campaign.Move{Cause: cause, Reason: reason, At: now}}
	}
	return list
}

// A run is one pass over what is pending in a chunk, under one claim.
type run struct {
	*sender
	campaign campaign.Campaign
	calendar *hours.Calendar
	chunk    *store.Chunk
	terms    *store.Terms // by which it is decided who is sent
	token    string
	log      *slog.Logger
	ended    context.Context // once no further request is to begin: it waits for none either
	end      context.CancelFunc
	line     chan struct{} // held by the one request that waits for a permit
	clock    redisClock    // of the server that holds the campaign

	mu sync.Mutex
	// reserved are the reservations that may be ours, by contact.
	reserved      map[int]store.Reservation
	reservations  int             // so far
	contestedCode campaign.Reason // of contestedReason, once it is known
	// deferred are contacts that may not be sent now, and until when; zero: until
	// a person decides.
	deferred map[int]time.Time
	turnAt   time.Time     // when the present turn began
	pieces   [][]int       // what is still to be sent, as requests; the last is the next
	vague    []int         // single contacts refused in a row without being named
	wait     time.Duration // before the chunk is looked at again; the longest asked for
	over     bool          // no further request
	through  bool          // the last answer has given the claim up
	after    *comeBack     // why it is over, when it is to go on later
}

func (s *sender) newRun(c campaign.Campaign, chunk *store.Chunk) (*run, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return nil, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	ended, end := context.WithCancel(context.Background())
	return &run{
		ended: ended, end: end, line: make(chan struct{}, 1),
		sender:   s,
		campaign: c,
		calendar: calendar,
		chunk:    chunk,
		token:    store.NewClaim(s.worker, rand.Text()),
		turnAt:   time.Now(),
		log:      s.log.With("campaign", c.Name, "run", c.Run, "chunk", chunk.Ref.Chunk),
		deferred: make(map[int]time.Time),
		reserved: make(map[int]store.Reservation),
	}, nil
}

// plan cuts contacts into requests, the first to be sent last in pieces. Those
// that have failed together go in halves each time they are tried again, so that
// one contact the platform stumbles over does not take its whole chunk with it.
func (r *run) plan(contacts []int) {
	size := 1
	if r.campaign.Settings.Mode == campaign.Batch {
		size = cmp.Or(r.campaign.Settings.RowsPerRequest, r.campaign.Settings.ChunkSize)
		if most := r.campaign.RowsPerCall; most > 0 {
			size = min(size, most)
		}
	}
	for from := 0; from < len(contacts); {
		tries := r.chunk.Record(contacts[from]).Tries
		to := from + 1
		for to < len(contacts) && to-from < size>>tries && r.chunk.Record(contacts[to]).Tries == tries {
			to++
		}
		r.pieces = append(r.pieces, contacts[from:to])
		from = to
	}
	slices.Reverse(r.pieces)
}

// work sends who may be sent now and gives the claim up at the end.
func (r *run) work(ctx context.Context) error {
	defer r.end()
	now, err := r.store.Clock(ctx, r.campaign.Name)
	if err != nil {
		return err
	}
	r.clock.set(now)
	r.terms = store.TermsOf(r.campaign, now)
	ready, err := r.sift(ctx, r.chunk.In(campaign.Pending))
	if err != nil {
		return err
	}
	if len(ready) == 0 {
		return r.orRest(ctx, &comeBack{0, "somebody may be sent by now"})
	}
	r.plan(ready)
	kept := r.keep(ctx)

	inFlight := 1
	if r.campaign.Settings.Mode == campaign.Dispatch {
		inFlight = dispatchesInFlight
	}
	var g errgroup.Group
	for range inFlight {
		g.Go(func() error {
			for {
				piece, ok := r.next()
				if !ok {
					return nil
				}
				if err := r.request(ctx, piece); err != nil {
					r.finish(nil)
					return err
				}
				r.giveWay(ctx)
			}
		})
	}
	err = g.Wait()
	kept() // before it is said when the chunk is due
	return r.close(ctx, err)
}

// next takes the next piece off the stack.
func (r *run) next() (piece []int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.drain.Err() != nil || len(r.pieces) == 0 {
		return nil, false
	}
	last := len(r.pieces) - 1
	piece, r.pieces = r.pieces[last], r.pieces[:last]
	return piece, true
}

// push puts pieces on the stack, the first to be sent first.
func (r *run) push(pieces ...[]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(pieces) - 1; i >= 0; i-- {
		if len(pieces[i]) > 0 {
			r.pieces = append(r.pieces, pieces[i])
		}
	}
}

// finish lets no further request begin. after may be nil: whoever stopped the
// campaign, or an error, sees to the rest.
func (r *run) finish(after *comeBack) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.end()
	if r.after == nil {
		r.after = after
	}
}

// giveWay ends the run when its turn is over and others wait.
func (r *run) giveWay(ctx context.Context) {
	r.mu.Lock()
	over := !r.over && len(r.pieces) > 0 && time.Since(r.turnAt) >= r.turn
	if over {
		r.turnAt = time.Now()
	}
	r.mu.Unlock()
	if !over {
		return
	}
	others, err := r.queue.othersWait(r.campaign)
	if err != nil {
		r.log.WarnContext(ctx, "not known whether others wait", "error", err)
	}
	if others {
		r.finish(&comeBack{0, "others wait for their turn"})
	}
}

// keep says now and then that the chunk is in living hands, until it is called
// off: the wait for the quota can be long.
func (r *run) keep(ctx context.Context) (callOff func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(keepEvery)
		defer tick.Stop()
		for {
			// A failure needs no care: the sweeper then looks after the chunk early,
			// and finds the claim alive.
			_ = r.store.SetDue(ctx, r.chunk.Ref, keepDue)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// close gives the claim up, unless the last answer has done so, and says what the
// task is to do next.
func (r *run) close(ctx context.Context, failed error) error {
	r.mu.Lock()
	wait, after, over, through := r.wait, r.after, r.over, r.through
	r.mu.Unlock()
	if through {
		return failed
	}
	switch {
	case after != nil:
		wait = after.after
	case over || len(r.chunk.In(campaign.Pending)) == 0:
	case r.drain.Err() != nil:
		after = &comeBack{wait, "the worker is stopping"}
	default:
		after = &comeBack{wait, "contacts wait for their next attempt"}
	}
	err := r.commit(ctx, store.Change{Due: wait + keepDue})
	if failed != nil || err != nil || after == nil {
		return errors.Join(failed, err)
	}
	return r.orRest(ctx, after)
}

// request sends one piece and records what became of it.
func (r *run) request(ctx context.Context, piece []int) error {
	piece, err := r.sift(ctx, piece) // no permit for nobody
	if err != nil || len(piece) == 0 {
		return err
	}
	batch := r.batch(piece)
	if len(piece) > 1 && !batch.Fits(maxBodyBytes) {
		r.push(piece[:len(piece)/2], piece[len(piece)/2:])
		return nil
	}
	ticket, err := r.permit(ctx)
	if err != nil || ticket == nil {
		return err
	}
	if ticket.Probe && len(piece) > 1 { // one of them finds out whether answers come again
		r.push(piece[1:])
		piece = piece[:1]
		batch = r.batch(piece)
	}
	fence := r.clock.now().Add(beginPatience).Truncate(time.Millisecond) // as the script takes it
	rest, err := r.admit(ctx, piece, fence)
	if err != nil || len(rest) == 0 {
		r.letGo(ctx, piece, *ticket)
		return err
	}
	if len(rest) < len(piece) {
		piece, batch = rest, r.batch(rest)
	}
	claimed := time.Now()
	inHand, ok := r.hands.hold()
	defer inHand.drop()
	if !ok || !r.alive(claimed) {
		// Others may take this worker for dead, and whatever it begins for lost.
		r.letGo(ctx, piece, *ticket)
		r.finish(heartbeatIsLate)
		return nil
	}
	begun, err := r.store.Apply(ctx, r.chunk, store.Change{
		Act: store.Begin, Token: r.token, ClaimTTL: r.hold(), Due: keepDue, Latest: fence,
		Moves: moves(piece, campaign.Send, campaign.NoReason), Terms: r.terms,
	})
	if err != nil {
		err = r.notBegun(ctx, piece, fence, err)
		r.letGo(ctx, piece, *ticket)
		return err
	}
	r.clock.set(begun.Now)
	batch.Name = r.chunk.Ref.String() + "/" + r.nameOf(begun.Request)

	// From here on the request runs under its own timeout alone, and its answer
	// is written down, whatever becomes of the task.
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	inHand.sent()
	answer, failed := r.attempt(velents.WithGuard(ctx, func() error { return r.stillOurs(claimed) }), batch)
	inHand.answered(time.Now().Add(commitPatience))
	r.watch.answered(r.campaign.Settings.Agent, failed, time.Since(began))
	v := r.verdict(ctx, failed, len(piece))
	// The ledger first: until the answer stands there it is in this process alone.
	err = r.record(ctx, piece, begun.Request, failed, v)
	if errors.Is(failed, verdict.ErrNotOurs) {
		r.quota.Return(ctx, *ticket)
		r.finish(heartbeatIsLate)
	} else {
		report := verdict.QuotaAnswer(answer, failed)
		report.Lost = v.Cause == campaign.Lose
		r.quota.Report(ctx, *ticket, report)
	}
	r.giveBack(ctx, piece)
	return err
}

// letGo gives back what was taken for a request that did not begin.
func (r *run) letGo(ctx context.Context, piece []int, ticket ratelimit.Ticket) {
	r.giveBack(ctx, piece)
	r.quota.Return(context.WithoutCancel(ctx), ticket)
}

// permit waits for the quota. No ticket and no error: the run is over, or the worker
// is stopping. One request of a run waits at a time: in dispatch mode four of each
// task would otherwise stand before those of a shorter list.
func (r *run) permit(ctx context.Context) (*ratelimit.Ticket, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.drain, cancel)()
	defer context.AfterFunc(r.ended, cancel)()
	var ticket ratelimit.Ticket
	var err error
	select {
	case r.line <- struct{}{}:
		ticket, err = r.quota.Acquire(ctx)
		<-r.line
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case err == nil:
		return &ticket, nil
	case r.drain.Err() != nil, r.ended.Err() != nil:
		return nil, nil
	}
	return nil, err
}

// hold is how long a claim must last for one request.
func (r *run) hold() time.Duration { return r.requestTimeout + claimMargin }

// heartbeatIsLate ends a run whose worker has to be heard of first.
var heartbeatIsLate = &comeBack{heartbeatEvery, "this worker's heartbeat is late"}

// stillOurs is asked directly before a request is written. A process that was
// frozen (SIGSTOP, a paused machine) may wake up long after others have taken
// its chunk over: it must not send. Both clocks are asked, because the
// monotonic one may stand still while a machine is paused.
func (r *run) stillOurs(claimed time.Time) error {
	now := time.Now()
	if Elapsed(claimed, now) > writeBy || !r.alive(now) {
		return verdict.ErrNotOurs
	}
	return nil
}

// notBegun decides what to do when a request could not begin.
func (r *run) notBegun(ctx context.Context, piece []int, fence time.Time, err error) error {
	var busy *store.BusyError
	var late *store.LateError
	switch {
	case errors.Is(err, store.ErrMoved):
		// Evidence or a person got to some of them first: go on with the others.
		var rest []int
		for _, i := range piece {
			if r.chunk.Record(i).State == campaign.Pending {
				rest = append(rest, i)
			}
		}
		r.push(rest)
	case errors.Is(err, store.ErrGone):
		r.finish(nil)
	case errors.Is(err, store.ErrNotRunning):
		r.finish(nil)
		return r.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrOutdated):
		r.finish(&comeBack{0, "it must be decided anew who is sent"})
		return r.takeBack(ctx, piece, time.Time{})
	case errors.As(err, &late):
		r.clock.set(late.Now)
		r.finish(&comeBack{0, "Redis took too long to begin the request"})
		return r.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrCapped):
		r.push(piece) // others were faster: sift knows how many are left
	case errors.As(err, &busy):
		r.finish(&comeBack{min(max(busy.Left, time.Second), busyWait), "somebody else is sending it"})
	case errors.Is(err, store.ErrUnrecovered):
		r.finish(&comeBack{0, "an ended claim must be settled first"})
	default:
		// Redis may have done it and lost only the answer, or may do it yet. Nothing
		// was sent.
		return errors.Join(err, r.takeBack(ctx, piece, fence))
	}
	return nil
}

// errMayBegin keeps a sender from giving a begin up while it may still be carried out.
var errMayBegin = errors.New("a request may still begin")

// takeBack makes contacts pending again that a begin without an answer may have
// marked, so that they do not end up unconfirmed. A refusal can be the answer to
// the same begin, repeated after a pause had come between. A begin that may be on its
// way is waited for until the fence that it carries is over.
func (r *run) takeBack(ctx context.Context, piece []int, fence time.Time) error {
	err := Patiently(ctx, func(ctx context.Context) error {
		if !fence.IsZero() {
			if now, err := r.store.Clock(ctx, r.campaign.Name); err != nil {
				return err
			} else if now.Sub(fence) < time.Millisecond {
				return errMayBegin
			}
		}
		chunk, err := r.store.ReadLedger(ctx, r.chunk.Ref)
		if err != nil || chunk.Claim != r.token {
			return err
		}
		change := store.Change{Act: store.Commit, Token: r.token, ClaimTTL: r.hold(), Due: keepDue, Terms: r.terms}
		change.Moves = moves(piece, campaign.Unsent, campaign.NoReason)
		change.Log = store.Decision{By: r.queue.by, Action: store.ActionRequest, Text: "not sent: whether it had begun was not known"}
		_, err = r.store.Apply(ctx, chunk, change)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrGone) {
		r.leaveReserved(piece)
	}
	return err
}

// nameOf is the end of the name of the chunk's n-th request, which is never used
// again.
func (r *run) nameOf(n int) string { return fmt.Sprintf("%d-%d", r.chunk.Seq, n) }

// batch is the request for a piece, but for its name.
func (r *run) batch(piece []int) velents.Batch {
	b := velents.Batch{ChannelID: r.campaign.Settings.ChannelID, Rows: make([]velents.Row, len(piece))}
	for i, index := range piece {
		contact := r.chunk.Contacts[index]
		b.Rows[i] = velents.Row{Phone: contact.Phone.E164(), Values: r.campaign.Settings.Values(contact)}
	}
	if r.webhook != nil {
		contact := 0
		if r.campaign.Settings.Mode == campaign.Dispatch {
			contact = r.chunk.Ref.Chunk*r.campaign.Settings.ChunkSize + piece[0] + 1
		}
		b.Webhook = r.webhook(r.campaign, contact)
	}
	return b
}

// attempt makes the one request.
func (r *run) attempt(ctx context.Context, b velents.Batch) (answer velents.Answer, err error) {
	defer func() {
		r.seen.note(campaign.Seen{RateHeaders: answer.RateHeaders, Accepted: err == nil}, campaign.Seen{})
	}()
	if r.campaign.Settings.Mode == campaign.Dispatch {
		row := b.Rows[0]
		return r.platform.Dispatch(ctx, velents.Dispatch{ChannelID: b.ChannelID, Phone: row.Phone, Values: row.Values, Webhook: b.Webhook})
	}
	return r.platform.Batch(ctx, b)
}

// verdict is what an answer to a request of so many rows means.
func (r *run) verdict(ctx context.Context, answer error, rows int) verdict.Verdict {
	s := r.campaign.Settings
	v := verdict.Of(answer, rows, s.Mode, s.Retry5xx, r.seen.before(ctx, r.store, s.Agent, answer, r.log))
	if refused := (*velents.Error)(nil); errors.As(answer, &refused) && verdict.NobodyWorked(refused) {
		v.Wait = 0 // the agent's quota waits, until somebody lifts that
	}
	return v
}

// record writes down what the answer means and acts on it.
func (r *run) record(ctx context.Context, piece []int, request int, answer error, v verdict.Verdict) error {
	change := store.Change{Act: store.Commit, ClaimTTL: r.hold(), Due: keepDue, Log: store.Decision{Request: r.nameOf(request), Text: classOf(answer)}}
	reason, err := r.reason(ctx, v.Reason)
	if err != nil {
		return r.notWritten(request, piece, answer, err)
	}
	counts, attempt, now := make(map[campaign.Cause]int), r.attemptOf(piece), time.Now()
	change.Moves = make([]store.Move, 0, len(piece))
	for place, index := range piece {
		move := store.Move{Index: index, Move: campaign.Move{Cause: v.Cause, Reason: reason, At: now, InDoubt: v.Doubt}}
		if text, named := v.Refused[place]; named {
			move.Cause = campaign.Reject
			if move.Reason, err = r.reason(ctx, text); err != nil {
				return r.notWritten(request, piece, answer, err)
			}
		} else if v.Cause == campaign.Unsent && v.Then != verdict.BackOff {
			move.Reason = campaign.NoReason // it is as if nothing had happened to it
		} else if v.Cause == campaign.Retry {
			if record := r.chunk.Record(index); r.campaign.Settings.UsedUp(record) {
				move.Cause = campaign.Fail
			} else {
				r.postpone(max(v.Wait, jitter(retryBackoff.delay(int(record.Tries)+1))))
			}
		}
		counts[move.Cause]++
		change.Moves = append(change.Moves, move)
	}
	through := v.Cause == campaign.Accept && r.isLast(piece)
	if through {
		change.ClaimTTL = 0
	}
	change.Judge = v.Then != verdict.Again // the good rows of a request come after the bad ones it names
	if err := r.commit(ctx, change); err != nil {
		return r.notWritten(request, piece, answer, err)
	}
	if through {
		r.mu.Lock()
		r.through = true
		r.mu.Unlock()
	}
	r.logAnswer(request, attempt, answer, counts)
	return r.act(ctx, piece, v)
}

// notWritten tells of an answer that is lost because Redis has not taken it: only a
// person can find out what became of its contacts.
func (r *run) notWritten(request int, piece []int, answer, err error) error {
	if !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrMoved) {
		r.log.Error("answer lost, since Redis did not take it: its contacts become unconfirmed",
			"request", request, "contacts", len(piece), "answer", classOf(answer), "error", err)
	}
	return err
}

// isLast reports whether nobody of the chunk is left to be sent, or on the way,
// but those of this request.
func (r *run) isLast(piece []int) bool {
	return len(r.chunk.In(campaign.Pending)) == 0 && len(r.chunk.In(campaign.Sending)) == len(piece)
}

// reason is the code of a text, found for as long as a commit would be tried.
func (r *run) reason(ctx context.Context, text string) (code campaign.Reason, err error) {
	err = Patiently(ctx, func(ctx context.Context) error {
		code, err = r.store.ReasonCode(ctx, r.campaign.Name, text)
		return err
	})
	return code, err
}

// act does what the verdict asks for beyond the contacts of the request.
func (r *run) act(ctx context.Context, piece []int, v verdict.Verdict) error {
	if v.TooMany {
		most := max(len(piece)/2, 1)
		if err := r.store.LowerRequestRows(ctx, r.campaign.Name, most); err != nil {
			r.log.WarnContext(ctx, "rows per call not remembered", "error", err)
		}
	}
	if fault, err := r.vagueInARow(ctx, piece, v); err != nil || fault {
		return err
	}
	switch v.Then {
	case verdict.Again:
		var rest []int
		for place, index := range piece {
			if _, refused := v.Refused[place]; !refused {
				rest = append(rest, index)
			}
		}
		r.push(rest)
	case verdict.Halve:
		r.push(piece[:len(piece)/2], piece[len(piece)/2:])
	case verdict.BackOff:
		r.postpone(v.Wait)
		if v.Cause == campaign.Unsent {
			r.postpone(jitter(retryBackoff.base))
		}
	case verdict.PauseCampaign:
		r.finish(nil)
		return r.queue.halt(ctx, r.campaign.Name, v.Reason)
	case verdict.PauseAgent:
		r.finish(nil)
		return r.queue.haltAgent(ctx, r.campaign, v.Reason)
	}
	return nil
}

// vagueInARow counts single contacts that were refused without being named. When
// they are many and no contact of the chunk was ever accepted, or a firewall refuses
// them, the request is at fault rather than they: they become pending again and the
// campaign pauses.
func (r *run) vagueInARow(ctx context.Context, piece []int, v verdict.Verdict) (fault bool, err error) {
	r.mu.Lock()
	switch {
	case v.Cause == campaign.Accept:
		r.vague = nil
	case v.Vague:
		r.vague = append(r.vague, piece[0])
	}
	suspects := r.vague
	fault = v.Vague && len(suspects) >= vagueLimit
	r.mu.Unlock()
	if !fault || !v.Firewall && len(r.chunk.In(campaign.Accepted, campaign.Started, campaign.Ended)) > 0 {
		return false, nil
	}
	r.finish(nil)
	err = r.commit(ctx, store.Change{ClaimTTL: r.hold(), Due: keepDue, Moves: moves(suspects, campaign.Withdraw, campaign.NoReason),
		Log: store.Decision{Text: "refused one after the other: taken back"}})
	if err != nil {
		return true, err
	}
	return true, r.queue.halt(ctx, r.campaign.Name,
		fmt.Sprintf("the platform refused %d contacts one after the other without saying why: %s", len(suspects), v.Reason))
}

// postpone keeps the chunk from being looked at again for a while.
func (r *run) postpone(wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = max(r.wait, wait)
}

// commit writes a change under our claim, for as long as it takes Redis to come
// back: an answer that was received must not be lost.
func (r *run) commit(ctx context.Context, change store.Change) error {
	change.Act, change.Token = store.Commit, r.token
	change.Log.By, change.Log.Action = r.queue.by, store.ActionRequest
	change.Terms = r.terms
	change.Contacted, change.ContactedAt = recorded(r.campaign, r.chunk.Contacts, change.Moves), r.clock.now()
	return Patiently(ctx, func(ctx context.Context) error {
		done, err := r.store.Apply(ctx, r.chunk, change)
		if err == nil && done.Unrecorded != nil {
			r.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "error", done.Unrecorded)
			r.leaveReserved(indexesOf(change.Moves))
		}
		if err == nil && len(done.Refused) > 0 {
			// Evidence came first, or the claim was taken over: what is written
			// stands, and it is not ours to change.
			r.log.InfoContext(ctx, "contacts left as they are", "contacts", len(done.Refused))
		}
		if err == nil && len(done.Tripped) > 0 {
			r.finish(nil)
			return r.queue.tripped(ctx, r.campaign, done.Tripped)
		}
		return err
	})
}

func indexesOf(moves []store.Move) []int {
	indexes := make([]int, len(moves))
	for i, m := range moves {
		indexes[i] = m.Index
	}
	return indexes
}

// Patiently repeats an action on Redis that must not be lost, cancelled or not, for
// three minutes: longer than a failover of Redis takes. A chunk that is gone and
// contacts that have moved end it at once.
func Patiently(ctx context.Context, action func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
	defer cancel()
	wait := 100 * time.Millisecond
	for {
		err := action(ctx)
		if err == nil || errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrMoved) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		}
	}
}

// attemptOf is the attempt that a request was for its contacts, from 1: for the
// one that has been tried most.
func (r *run) attemptOf(piece []int) (attempt uint8) {
	for _, index := range piece {
		attempt = max(attempt, r.chunk.Record(index).Attempts)
	}
	return attempt
}

func (r *run) logAnswer(request int, attempt uint8, answer error, counts map[campaign.Cause]int) {
	level, attrs := slog.LevelInfo, []any{"request", request, "attempt", attempt, "accepted", counts[campaign.Accept], "rejected", counts[campaign.Reject],
		"failed", counts[campaign.Fail], "unconfirmed", counts[campaign.Lose], "again", counts[campaign.Retry] + counts[campaign.Unsent]}
	if answer != nil {
		level, attrs = slog.LevelWarn, append(attrs, "answer", answer)
	}
	r.log.Log(context.Background(), level, "request answered", attrs...)
}
