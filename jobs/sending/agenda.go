package sending

import (
	"context"
	"slices"
	"sync"
	"time"
)

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
