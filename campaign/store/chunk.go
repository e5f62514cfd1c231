package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
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
	chunk.Seq, chunk.Version, chunk.Due = now.Seq, now.Version, now.Due
	return nil
}

func (s *Store) readChunk(ctx context.Context, ref Ref, rows bool) (*Chunk, error) {
	fields := []string{"claim", "claim_until", "seq", "version"}
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
		Ref:     ref,
		Claim:   texts[0],
		Seq:     int(number(2)),
		Version: int(number(3)),
		ledger:  campaign.Ledger(ledger.Val()),
	}
	if due.Err() == nil {
		chunk.Due = timeOf(int64(due.Val()))
	}
	if chunk.Claim != "" {
		chunk.ClaimUntil = timeOf(number(1))
	}
	contacts := len(chunk.ledger) / campaign.RecordSize
	if rows {
		if chunk.Contacts, err = s.decodeRows([]byte(texts[4])); err != nil {
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

// maxBlobBytes bounds everything compressed, once decompressed. It is far above any
// real chunk; a damaged blob cannot take the machine's memory.
const maxBlobBytes = 64 << 20

// encodeRows packs contacts as uvarints: the number of contacts and of cells, then
// for each contact the phone, the lines since the one before, and its cells. Before
// each cell stands its length plus one; zero means that the cell is the number in
// E.164. The whole is one S2 block, a seventh longer than zstd makes it, in a third
// of the time: a third of a load's time went into zstd.
func (s *Store) encodeRows(contacts []campaign.Contact, columns int) ([]byte, error) {
	scratch := s.packing.Get().(*[]byte)
	defer s.packing.Put(scratch)
	raw := binary.AppendUvarint((*scratch)[:0], uint64(len(contacts)))
	raw = binary.AppendUvarint(raw, uint64(columns))
	line := 0
	for _, c := range contacts {
		if len(c.Fields) != columns {
			return nil, fmt.Errorf("encode rows: line %d: want %d cells, have %d", c.Line, columns, len(c.Fields))
		}
		if c.Line < line {
			return nil, fmt.Errorf("encode rows: line %d after line %d", c.Line, line)
		}
		raw = binary.AppendUvarint(raw, uint64(c.Phone))
		raw = binary.AppendUvarint(raw, uint64(c.Line-line))
		line = c.Line
		for _, cell := range c.Fields {
			if isNumber(cell, c.Phone) {
				raw = append(raw, 0)
				continue
			}
			raw = binary.AppendUvarint(raw, uint64(len(cell))+1)
			raw = append(raw, cell...)
		}
	}
	if len(raw) > maxBlobBytes {
		return nil, fmt.Errorf("encode rows: %d bytes in a chunk, at most %d; use a smaller --chunk-size", len(raw), maxBlobBytes)
	}
	*scratch = raw
	return s2.Encode(nil, raw), nil
}

// isNumber reports whether a cell is the number in E.164.
func isNumber(cell string, phone campaign.Phone) bool {
	if cell == "" || cell[0] != '+' {
		return false // nearly always, and cheap
	}
	p, err := campaign.ParsePhone(cell)
	return err == nil && p == phone
}

var errDamaged = errors.New("decode rows: damaged")

// zstdMagic begins rows that an earlier version packed. No S2 block begins with it:
// its first step would copy from before its first byte.
const zstdMagic = "\x28\xb5\x2f\xfd"

// unpack decodes a block of either kind.
func (s *Store) unpack(blob []byte) ([]byte, error) {
	if bytes.HasPrefix(blob, []byte(zstdMagic)) {
		return s.decoder.DecodeAll(blob, nil)
	}
	size, err := s2.DecodedLen(blob)
	if err == nil && size > maxBlobBytes {
		err = fmt.Errorf("%d bytes in a chunk, at most %d", size, maxBlobBytes)
	}
	if err != nil {
		return nil, err
	}
	return s2.Decode(nil, blob)
}

func (s *Store) decodeRows(blob []byte) ([]campaign.Contact, error) {
	raw, err := s.unpack(blob)
	if err != nil {
		return nil, wrap(err, "decode rows")
	}
	text := string(raw) // cells are parts of this one string
	at, damaged := 0, false
	uvarint := func() uint64 {
		n, width := binary.Uvarint(raw[at:])
		if width <= 0 {
			damaged = true
			return 0
		}
		at += width
		return n
	}
	count, columns := uvarint(), uvarint()
	// Every cell takes a byte at least.
	if size := uint64(len(raw)); damaged || count > campaign.MaxChunkSize || columns > size || count*columns > size {
		return nil, errDamaged
	}
	contacts := make([]campaign.Contact, count)
	cells := make([]string, count*columns)
	line := 0
	for i := range contacts {
		phone := campaign.Phone(uvarint())
		line += int(uvarint())
		row := cells[:columns:columns]
		cells = cells[columns:]
		for k := range row {
			n := uvarint()
			switch {
			case damaged || n > uint64(len(raw)-at)+1:
				return nil, errDamaged
			case n == 0:
				row[k] = phone.E164()
			default:
				row[k] = text[at : at+int(n-1)]
				at += int(n - 1)
			}
		}
		contacts[i] = campaign.Contact{Phone: phone, Line: line, Fields: row}
	}
	if damaged || at != len(raw) {
		return nil, errDamaged
	}
	return contacts, nil
}
