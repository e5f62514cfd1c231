package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// A Ref names a chunk.
type Ref struct {
	Campaign string
	Chunk    int // from 0
}

func (r Ref) String() string { return fmt.Sprintf("%s/%d", r.Campaign, r.Chunk) }

// A Chunk is a slice of a campaign as it was read: its contacts and the ledger of
// their states, which Apply keeps up to date.
type Chunk struct {
	Ref        Ref
	Contacts   []campaign.Contact // nil when only the ledger was read
	Claim      string             // its token; empty: free
	ClaimUntil time.Time
	Seq        int       // releases so far
	Version    int       // changes so far; it falls only when Redis has lost writes
	Told       int       // changes of its outcomes so far
	Requests   int       // begun so far; the same
	Due        time.Time // zero: nothing is left to send

	mu     sync.Mutex
	ledger campaign.Ledger
	turn   chan struct{} // holds the change that is under way; nil before the first
}

// takeTurn waits until no other change of the chunk is under way. The chunk may be read
// meanwhile: a change can take as long as Redis is away.
func (c *Chunk) takeTurn(ctx context.Context) (end func(), err error) {
	c.mu.Lock()
	if c.turn == nil {
		c.turn = make(chan struct{}, 1)
	}
	turn := c.turn
	c.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, wrap(context.Cause(ctx), "change chunk %s", c.Ref)
	}
}

func (c *Chunk) read() campaign.Ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger
}

func (c *Chunk) write(l campaign.Ledger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger = l
}

// Len is the number of contacts.
func (c *Chunk) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.Len()
}

// Record is the state of contact i and its history.
func (c *Chunk) Record(i int) campaign.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.At(i)
}

// In lists the contacts that are in one of the states.
func (c *Chunk) In(states ...campaign.State) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var in []int
	for i := range c.ledger.Len() {
		if slices.Contains(states, c.ledger.At(i).State) {
			in = append(in, i)
		}
	}
	return in
}

// ReadChunk reads a chunk with its contacts.
func (s *Store) ReadChunk(ctx context.Context, ref Ref) (*Chunk, error) {
	return s.readChunk(ctx, ref, true)
}

// ReadLedger reads a chunk without its contacts, for a tenth of the cost.
func (s *Store) ReadLedger(ctx context.Context, ref Ref) (*Chunk, error) {
	return s.readChunk(ctx, ref, false)
}

// ReadRecords reads the ledger of a chunk and nothing else, on a trip that it shares.
func (s *Store) ReadRecords(ctx context.Context, ref Ref) (*Chunk, error) {
	var ledger *redis.StringCmd
	err := s.applying.ride(ctx, func(p redis.Pipeliner) { ledger = p.Get(ctx, keyLedger(ref)) })
	if err == nil {
		err = ledger.Err()
	}
	if errors.Is(err, redis.Nil) {
		err = ErrGone
	}
	if err != nil {
		return nil, wrap(err, "read chunk %s", ref)
	}
	chunk := &Chunk{Ref: ref, ledger: campaign.Ledger(ledger.Val())}
	return chunk, wrap(chunk.ledger.Check(len(chunk.ledger)/campaign.RecordSize), "read chunk %s", ref)
}

// Reload brings a chunk up to date, its contacts included.
func (s *Store) Reload(ctx context.Context, chunk *Chunk) error {
	now, err := s.ReadChunk(ctx, chunk.Ref)
	if err != nil {
		return err
	}
	chunk.mu.Lock()
	defer chunk.mu.Unlock()
	chunk.Contacts, chunk.ledger = now.Contacts, now.ledger
	chunk.Claim, chunk.ClaimUntil = now.Claim, now.ClaimUntil
	chunk.Seq, chunk.Version, chunk.Told, chunk.Requests, chunk.Due = now.Seq, now.Version, now.Told, now.Requests, now.Due
	return nil
}

func (s *Store) readChunk(ctx context.Context, ref Ref, rows bool) (*Chunk, error) {
	fields := []string{"claim", "claim_until", "seq", "version", "requests", "told"}
	if rows {
		fields = append(fields, "rows")
	}
	var hash *redis.SliceCmd
	var ledger *redis.StringCmd
	var due *redis.FloatCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		hash = p.HMGet(ctx, keyChunk(ref), fields...)
		ledger = p.Get(ctx, keyLedger(ref))
		due = p.ZScore(ctx, keyOpen(ref.Campaign), strconv.Itoa(ref.Chunk)) // read after the count of releases
		return nil
	})
	if err = exceptNil(err); errors.Is(ledger.Err(), redis.Nil) {
		err = ErrGone
	}
	if err != nil {
		return nil, wrap(err, "read chunk %s", ref)
	}
	texts := textsOf(hash.Val())
	number := func(i int) int64 { n, _ := strconv.ParseInt(texts[i], 10, 64); return n }
	chunk := &Chunk{
		Ref:      ref,
		Claim:    texts[0],
		Seq:      int(number(2)),
		Version:  int(number(3)),
		Requests: int(number(4)),
		Told:     int(number(5)),
		ledger:   campaign.Ledger(ledger.Val()),
	}
	if due.Err() == nil {
		chunk.Due = timeOf(int64(due.Val()))
	}
	if chunk.Claim != "" {
		chunk.ClaimUntil = timeOf(number(1))
	}
	contacts := len(chunk.ledger) / campaign.RecordSize
	if rows {
		if chunk.Contacts, err = s.decodeRows([]byte(texts[6])); err != nil {
			return nil, wrap(err, "read chunk %s", ref)
		}
		contacts = len(chunk.Contacts)
	}
	if err := chunk.ledger.Check(contacts); err != nil {
		return nil, wrap(err, "read chunk %s", ref)
	}
	return chunk, nil
}

// Marks change whenever the states or outcomes of a chunk do; one for each chunk.
func (s *Store) Marks(ctx context.Context, c campaign.Campaign) ([]string, error) {
	marks := make([]string, 0, c.Chunks)
	const page = 1000
	for from := 0; from < c.Chunks; from += page {
		cmds := make([]*redis.SliceCmd, 0, page)
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for n := from; n < min(from+page, c.Chunks); n++ {
				cmds = append(cmds, p.HMGet(ctx, keyChunk(Ref{Campaign: c.Name, Chunk: n}), "version", "told"))
			}
			return nil
		})
		if err != nil {
			return nil, wrap(err, "look for changes of %s", c.Name)
		}
		for _, cmd := range cmds {
			marks = append(marks, fmt.Sprint(cmd.Val()...))
		}
	}
	return marks, nil
}
