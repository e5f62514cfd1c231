package report

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// eachChunk runs build for each chunk of a campaign and use in the chunks' order;
// see inOrder.
func eachChunk[T any](ctx context.Context, c campaign.Campaign, build func(context.Context, store.Ref) (T, error), use func(T) error) error {
	return inOrder(ctx, c.Name, walk(c, 0, false), build, use)
}

// inOrder runs build for chunks of a campaign, on all cores and some chunks ahead,
// and gives the results to use one at a time, in the order of chunks.
func inOrder[T any](ctx context.Context, name string, chunks []int, build func(context.Context, store.Ref) (T, error), use func(T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan T, 2*runtime.GOMAXPROCS(0)) // half of them wait for Redis
	group.Go(func() error {
		defer close(queue)
		for _, n := range chunks {
			built := make(chan T, 1)
			select {
			case queue <- built:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error {
				t, err := build(ctx, store.Ref{Campaign: name, Chunk: n})
				if err == nil {
					built <- t
				}
				return err
			})
		}
		return nil
	})
	group.Go(func() error {
		for built := range queue {
			select {
			case t := <-built:
				if err := use(t); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// A relay hands a number on from chunk to chunk, while their builds run side by side.
type relay struct {
	mu   sync.Mutex
	hand map[int]chan int // by chunk
}

func (r *relay) of(chunk int) chan int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hand == nil {
		r.hand = make(map[int]chan int)
	}
	if r.hand[chunk] == nil {
		r.hand[chunk] = make(chan int, 1)
	}
	return r.hand[chunk]
}

// pass gives a chunk its number, once.
func (r *relay) pass(chunk, n int) { r.of(chunk) <- n }

// take waits for a chunk's number.
func (r *relay) take(ctx context.Context, chunk int) (int, error) {
	select {
	case n := <-r.of(chunk):
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.hand, chunk)
		return n, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// reasons are those of a campaign. They are read again for an unknown code: a reason is
// always written before its code is used.
type reasons struct {
	store    catalog
	campaign string

	mu     sync.Mutex
	byCode map[campaign.Reason]campaign.Message
}

func (r *reasons) of(ctx context.Context, code campaign.Reason) (campaign.Message, error) {
	if code == campaign.NoReason {
		return campaign.Message{}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason, ok := r.byCode[code]; ok {
		return reason, nil
	}
	all, err := r.store.Reasons(ctx, r.campaign)
	if err != nil {
		return campaign.Message{}, err
	}
	if _, ok := all[code]; !ok { // Redis has lost it
		all[code] = campaign.Say(campaign.MsgLostReason, "code", int(code))
	}
	r.byCode = all
	return r.byCode[code], nil
}

// A Ticket is a contact's ticket as people see it.
type Ticket struct {
	Line   int                  `json:"line"`  // of the contact file
	Phone  string               `json:"phone"` // masked
	State  campaign.TicketState `json:"state"`
	Rule   campaign.Rule        `json:"rule"`
	ID     string               `json:"ticket_id"`
	Reason campaign.Message     `json:"reason"`
	Tries  int                  `json:"tries"`
	At     time.Time            `json:"changed_at"`
}

// ListTickets calls yield for each ticket of a campaign, in the file's order.
func ListTickets(ctx context.Context, s Store, c campaign.Campaign, yield func(Ticket) error) error {
	return eachChunk(ctx, c, func(ctx context.Context, ref store.Ref) (list []Ticket, err error) {
		tickets, err := ticketsOf(ctx, s, c, ref)
		if err != nil || len(tickets) == 0 {
			return nil, err
		}
		chunk, err := s.ReadChunk(ctx, ref)
		if err != nil {
			return nil, err
		}
		for i, contact := range chunk.Contacts {
			if t, has := tickets[i]; has {
				list = append(list, Ticket{contact.Line, contact.Phone.String(), t.State, t.Rule, t.ID, t.Reason, t.Tries, t.At})
			}
		}
		return list, nil
	}, func(list []Ticket) error {
		for _, t := range list {
			if err := yield(t); err != nil {
				return err
			}
		}
		return nil
	})
}

// ticketsOf are the tickets of a chunk's contacts; nil when the campaign makes none.
func ticketsOf(ctx context.Context, s chunks, c campaign.Campaign, ref store.Ref) (map[int]campaign.Ticket, error) {
	if len(c.Settings.TicketRules) == 0 {
		return nil, nil
	}
	return s.Tickets(ctx, ref)
}

// Unconfirmed is a chunk with contacts that the platform may or may not have.
type Unconfirmed struct {
	Chunk    int       `json:"chunk"`
	Contacts int       `json:"contacts"`
	First    time.Time `json:"first_at"` // when the first of them became unconfirmed
	Last     time.Time `json:"last_at"`
	Batches  string    `json:"batches"` // how its batches' names begin on the platform; empty in dispatch mode
}

// ListUnconfirmed lists the chunks of a campaign that have unconfirmed contacts.
func ListUnconfirmed(ctx context.Context, s Store, name string) ([]Unconfirmed, error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return nil, err
	}
	list := []Unconfirmed{}
	err = eachChunk(ctx, c, s.ReadLedger, func(chunk *store.Chunk) error {
		lost := chunk.In(campaign.Unconfirmed)
		if len(lost) == 0 {
			return nil
		}
		u := Unconfirmed{Chunk: chunk.Ref.Chunk, Contacts: len(lost)}
		if c.Settings.Mode == campaign.Batch {
			u.Batches = campaign.BatchPrefix(c.Name, chunk.Ref.Chunk)
		}
		for _, i := range lost {
			at := chunk.Record(i).ChangedAt()
			if u.First.IsZero() || at.Before(u.First) {
				u.First = at
			}
			if at.After(u.Last) {
				u.Last = at
			}
		}
		list = append(list, u)
		return nil
	})
	return list, err
}
