package sending

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
)

// In dispatch mode dispatchesAtFirst contacts of one chunk are under way at once, and one
// more after each that is accepted, up to dispatchesInFlight. The quota lets fewer leave,
// if it has a limit.
const (
	dispatchesAtFirst  = 4
	dispatchesInFlight = 32
)

// A width is how many contacts of a chunk may be under way at once, as the latest answers
// to an agent allow. Any but a 2xx makes it small again: fewer are on their way to a
// platform that refuses them while the guard or a person stops the campaign.
type width struct{ more atomic.Int32 } // beyond dispatchesAtFirst

func (w *width) now() int { return dispatchesAtFirst + int(w.more.Load()) }

func (w *width) learn(accepted bool) {
	if n := w.more.Load(); !accepted {
		w.more.Store(0)
	} else if n < dispatchesInFlight-dispatchesAtFirst {
		w.more.CompareAndSwap(n, n+1)
	}
}

// Pass sends the pending contacts of a chunk that may be sent now, under one claim, and
// gives the claim up at the end. The campaign must be running, and the chunk's last claim
// be over. Nil means that nothing is left to do for now, and rest until when; a *ComeBack
// asks to be run again.
func (s *Sender) Pass(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) (rest Rest, err error) {
	p, err := s.newPass(ctx, c, chunk)
	if err != nil {
		return Rest{}, err
	}
	defer p.agenda.end()
	err = p.run(ctx)
	return p.rest, err
}

func (p *pass) run(ctx context.Context) error {
	c, chunk := p.campaign, p.chunk
	ready, err := p.sift(ctx, chunk.In(campaign.Pending), p.clock.now())
	if err != nil {
		return err
	}
	if len(ready) == 0 {
		return p.idleOr(ctx, &ComeBack{0, "contacts may be sent by now"})
	}
	p.agenda.push(cut(ready, c.RequestRows(), func(i int) int { return int(chunk.Record(i).Tries) })...)
	stop := sync.OnceFunc(p.keepDue(ctx))
	defer stop()
	err = p.sendPieces(ctx)
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
	// Accepted requests that wait to be written down, and any that wait for their numbers
	// to be given back.
	accepted, answered ratelimit.Together[*request]
	// These change, each under a lock of its own.
	clock    redisClock // of the server that holds the campaign
	agenda   agenda
	reserved reservations
	deferred deferrals
	rest     Rest // at its end
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
		reserved: reservations{by: make(map[int]held, len(chunk.Contacts))},
		deferred: deferrals{of: make(map[int]deferral)},
	}
	p.clock.set(now)
	p.agenda.turnAt = time.Now()
	p.agenda.ended, p.agenda.end = context.WithCancel(context.Background())
	return p, nil
}

// mostUnderWay is how many requests may be under way now.
func (p *pass) mostUnderWay() int {
	if p.campaign.Settings.Mode == campaign.Dispatch {
		return p.width.now()
	}
	return 1
}

// sendPieces sends what stands on the agenda. Only one of a pass waits for permits: all
// that may be under way would otherwise stand before those of a shorter list.
func (p *pass) sendPieces(ctx context.Context) error {
	var failed error
	var all errgroup.Group
	var underWay atomic.Int32
	landed := make(chan struct{}, 1)
	for p.Worker.Stopping.Err() == nil {
		n := int(underWay.Load()) // first, since each may put pieces back on the agenda
		pieces := p.agenda.next(p.mostUnderWay() - n)
		if len(pieces) == 0 && n == 0 {
			break
		}
		if len(pieces) == 0 {
			<-landed
			continue
		}
		begun, err := p.start(ctx, pieces)
		if err != nil {
			p.agenda.finish(nil)
			failed = err
		}
		underWay.Add(int32(len(begun)))
		for _, r := range begun {
			land := sync.OnceFunc(func() {
				p.giveWay(ctx)
				underWay.Add(-1)
				select {
				case landed <- struct{}{}:
				default:
				}
			})
			all.Go(func() error {
				defer land()
				err := p.finish(ctx, r, land)
				if err != nil {
					p.agenda.finish(nil)
				}
				return err
			})
		}
	}
	return errors.Join(failed, all.Wait())
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
	held   int           // more pieces, which wait for their permits
	turnAt time.Time     // when the present turn began
	wait   time.Duration // before the chunk is looked at again; the longest asked for
	over   bool          // no further request
	after  *ComeBack     // why it is over, when it is to go on later
	closed bool          // the last answer has given the claim up
	vague  []int         // single contacts refused in a row without being named

	lowered  int // rows per request, as noted for the campaign by this pass; 0: not
	accepted int // rows of the largest request that was accepted since
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

// next takes up to most pieces.
func (a *agenda) next(most int) (pieces [][]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.over && len(pieces) < most && len(a.pieces) > 0 {
		last := len(a.pieces) - 1
		pieces, a.pieces = append(pieces, a.pieces[last]), a.pieces[:last]
	}
	return pieces
}

// hold notes how many pieces wait for their permits.
func (a *agenda) hold(pieces int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = pieces
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
	over := !a.over && len(a.pieces)+a.held > 0 && time.Since(a.turnAt) >= turn
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
