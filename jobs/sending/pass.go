package sending

import (
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
	"campaign-runner/jobs/timings"
)

// dispatchesInFlight is how many contacts of one chunk are under way at once in
// dispatch mode.
const dispatchesInFlight = 4

// Pass sends the pending contacts of a chunk that may be sent now, under one claim, and
// gives the claim up at the end. The campaign must be running, and the chunk's last claim
// be over. Nil means that nothing is left to do for now; a *ComeBack asks to be run again.
func (s *Sender) Pass(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) error {
	p, err := s.newPass(ctx, c, chunk)
	if err != nil {
		return err
	}
	defer p.agenda.end()
	ready, err := p.sift(ctx, chunk.In(campaign.Pending))
	if err != nil {
		return err
	}
	if len(ready) == 0 {
		return p.idleOr(ctx, &ComeBack{0, "contacts may be sent by now"})
	}
	p.agenda.push(cut(ready, c.RequestRows(), func(i int) int { return int(chunk.Record(i).Tries) })...)
	stop := p.keepDue(ctx)

	inFlight := 1
	if c.Settings.Mode == campaign.Dispatch {
		inFlight = dispatchesInFlight
	}
	var g errgroup.Group
	for range inFlight {
		g.Go(func() error { return p.sendPieces(ctx) })
	}
	err = g.Wait()
	stop() // before close says when the chunk is due
	return p.close(ctx, err)
}

// A pass is the work on a chunk under one claim. In dispatch mode several of its requests
// are under way at once.
type pass struct {
	*Sender
	// These never change. The chunk's ledger moves on, under its own lock.
	campaign campaign.Campaign
	calendar *hours.Calendar
	chunk    *store.Chunk
	terms    *store.Terms // the settings and the day that the pass goes by
	token    string       // the claim
	log      *slog.Logger
	waiting  chan struct{} // holds the one request that waits for a permit
	// These change, each under a lock of its own.
	clock    redisClock // of the server that holds the campaign
	agenda   agenda
	reserved reservations
	deferred deferrals
}

func (s *Sender) newPass(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) (*pass, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return nil, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	now, err := s.Store.Clock(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	p := &pass{
		Sender: s, campaign: c, calendar: calendar, chunk: chunk, terms: store.TermsOf(c, now),
		token:    store.NewClaim(s.Worker.ID, rand.Text()),
		log:      s.Log.With("campaign", c.Name, "run", c.Run, "chunk", chunk.Ref.Chunk),
		waiting:  make(chan struct{}, 1),
		reserved: reservations{by: make(map[int]store.Reservation)},
		deferred: deferrals{until: make(map[int]time.Time)},
	}
	p.clock.set(now)
	p.agenda.turnAt = time.Now()
	p.agenda.ended, p.agenda.end = context.WithCancel(context.Background())
	return p, nil
}

// sendPieces sends what stands on the agenda, one request after the other.
func (p *pass) sendPieces(ctx context.Context) error {
	for p.Worker.Stopping.Err() == nil {
		piece, ok := p.agenda.next()
		if !ok {
			return nil
		}
		if err := p.sendPiece(ctx, piece); err != nil {
			p.agenda.finish(nil)
			return err
		}
		p.giveWay(ctx)
	}
	return nil
}

// giveWay ends the pass when its turn is over and others wait.
func (p *pass) giveWay(ctx context.Context) {
	if !p.agenda.turnOver(p.Worker.Turn) {
		return
	}
	others, err := p.Queue.OthersWait(p.campaign)
	if err != nil {
		p.log.WarnContext(ctx, "not known whether others wait", "error", err)
	}
	if others {
		p.agenda.finish(&ComeBack{0, "others wait for their turn"})
	}
}

// close gives the claim up, unless the last answer has done so, and says what the
// task is to do next.
func (p *pass) close(ctx context.Context, failed error) error {
	a := &p.agenda
	a.mu.Lock()
	wait, after, over, closed := a.wait, a.after, a.over, a.closed
	a.mu.Unlock()
	if closed {
		return failed
	}
	switch {
	case after != nil:
		wait = after.After
	case over || len(p.chunk.In(campaign.Pending)) == 0:
	case p.Worker.Stopping.Err() != nil:
		after = &ComeBack{wait, "the worker is stopping"}
	default:
		after = &ComeBack{wait, "contacts wait for their next attempt"}
	}
	err := p.commit(ctx, store.Change{Due: wait + timings.KeepDue})
	if failed != nil || err != nil || after == nil {
		return errors.Join(failed, err)
	}
	return p.idleOr(ctx, after)
}

// A redisClock is what is known of Redis's clock: what it said, and when that was
// heard. It is never ahead of Redis's.
type redisClock struct {
	mu          sync.Mutex
	said, heard time.Time
}

func (c *redisClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.heard = now, time.Now()
}

func (c *redisClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Add(time.Since(c.heard))
}

// An agenda is what is still to be sent in a pass, and how the pass ends.
type agenda struct {
	ended context.Context // over once no further request is to begin
	end   context.CancelFunc

	mu     sync.Mutex
	pieces [][]int       // the contacts of each request to come; the last is the next
	turnAt time.Time     // when the present turn began
	wait   time.Duration // before the chunk is looked at again; the longest asked for
	over   bool          // no further request
	after  *ComeBack     // why it is over, when it is to go on later
	closed bool          // the last answer has given the claim up
	vague  []int         // single contacts refused in a row without being named
}

// cut cuts contacts into requests of at most that size. Contacts that were tried
// equally often go together, in half as many after each try, so that one contact
// the platform stumbles over does not take its whole chunk with it.
func cut(contacts []int, size int, tries func(contact int) int) (pieces [][]int) {
	for from := 0; from < len(contacts); {
		n := tries(contacts[from])
		to := from + 1
		for to < len(contacts) && to-from < size>>n && tries(contacts[to]) == n {
			to++
		}
		pieces = append(pieces, contacts[from:to])
		from = to
	}
	return pieces
}

// next takes the next piece.
func (a *agenda) next() (piece []int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || len(a.pieces) == 0 {
		return nil, false
	}
	last := len(a.pieces) - 1
	piece, a.pieces = a.pieces[last], a.pieces[:last]
	return piece, true
}

// push puts pieces before the others, in their order.
func (a *agenda) push(pieces ...[]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, piece := range slices.Backward(pieces) {
		if len(piece) > 0 {
			a.pieces = append(a.pieces, piece)
		}
	}
}

// halve puts the two halves of a piece before the others.
func (a *agenda) halve(piece []int) { a.push(piece[:len(piece)/2], piece[len(piece)/2:]) }

// finish lets no further request begin. after is nil when the chunk is not to come
// back by itself, because its campaign has stopped or an error is returned.
func (a *agenda) finish(after *ComeBack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.end()
	if a.after == nil {
		a.after = after
	}
}

// postpone keeps the chunk from being looked at again for a while.
func (a *agenda) postpone(wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wait = max(a.wait, wait)
}

// turnOver reports whether a turn has ended with contacts left, and begins the next.
func (a *agenda) turnOver(turn time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	over := !a.over && len(a.pieces) > 0 && time.Since(a.turnAt) >= turn
	if over {
		a.turnAt = time.Now()
	}
	return over
}

// close notes that the claim has been given up.
func (a *agenda) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}
