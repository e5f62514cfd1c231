package store

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

//go:embed change.lua
var changeSource string

var changeScript = redis.NewScript(changeSource)

// An Act is the right by which a change is made.
type Act string

const (
	// Begin is a sender's before its request leaves: it takes or renews the
	// claim and changes all of its contacts or none. It needs a running campaign
	// and a claim that is free, its own, expired or dead.
	Begin Act = "begin"
	// Commit is a sender's after its request, and anybody's who brings evidence:
	// under the stored claim every move counts, otherwise evidence alone.
	Commit Act = "commit"
	// Recover is anybody's once the claim has expired or its worker is gone. It
	// ends the claim.
	Recover Act = "recover"
	// Steer is a person's: rerun, cancel, resolve. It asks for no claim.
	Steer Act = "steer"
)

// A Change asks to move contacts of a chunk.
type Change struct {
	Act      Act
	Token    string        // the sender's claim
	Dead     string        // a claim whose worker is known to be gone
	ClaimTTL time.Duration // Begin, Commit: how long the claim is to last from now; 0 gives it up
	// Due is when, from now, the chunk must have moved on, or the sweeper looks
	// after it; 0 leaves that as it is. A chunk that is through is never due, one
	// that is no longer through is due at once.
	Due   time.Duration
	Moves []Move
	// Log is what the campaign's log is told, beside who was moved: By, Action, Text
	// and Request. Nothing when it has no Action, or nobody is moved.
	Log Decision
	// Terms are what a Begin was decided by, and the commits after it; nil: none.
	Terms *Terms
	// Latest is when a Begin, or a Recover, no longer counts, by the clock of the
	// server that holds the campaign; zero: never. A server that was frozen carries
	// out what it was told before, whatever has become of the caller.
	Latest time.Time
	// Contacted are people whom the contact record is told of before the change is
	// made, in one round trip with it, as contacted at ContactedAt by Redis's clock.
	Contacted   []campaign.Phone
	ContactedAt time.Time
	// Judge says that all is known of the request which a Commit is about, so that
	// the guard may judge by it; a Recover always is.
	Judge bool
}

// A Move moves one contact.
type Move struct {
	Index int // of the contact in its chunk
	campaign.Move
}

// A Changed says what came of a Change.
type Changed struct {
	Moved   []Move    // in effect now
	Refused []Move    // not allowed from the contact's present state, or not by this caller
	Request int       // Begin: the number of this request among all ever begun on the chunk
	Now     time.Time // Redis's clock
	// Tripped are the latest verdicts when the guard has paused the campaign and has
	// not said yet what for; see Explain.
	Tripped []Verdict
	// Unrecorded is why the contact record does not know of Contacted, though the
	// change was made; nil: it does.
	Unrecorded error
}

// maxRounds bounds how often a change is made again because contacts had moved
// meanwhile. Each round but the first means that somebody else made progress.
const maxRounds = 20

// Apply makes a change. Contacts that may not move are left alone and named in
// the answer; the others move. chunk's ledger is brought up to date. It may be
// called by several goroutines on one chunk.
//
// Begin fails with ErrNotRunning, ErrOutdated, ErrCapped (a *CappedError), ErrBusy
// (a *BusyError), ErrUnsettled, ErrLate (a *LateError) or ErrMoved and has then
// changed nothing.
func (s *Store) Apply(ctx context.Context, chunk *Chunk, c Change) (Changed, error) {
	chunk.mu.Lock()
	defer chunk.mu.Unlock()

	var done Changed
	todo := c.Moves
	for range maxRounds {
		read, planned := chunk.ledger, slices.Clone(chunk.ledger)
		asked := make([]Move, 0, len(todo))
		for _, m := range todo {
			if m.Index < 0 || m.Index >= planned.Len() {
				return done, fmt.Errorf("change chunk %s: no contact %d", chunk.Ref, m.Index)
			}
			next, ok := planned.At(m.Index).Next(m.Move)
			if !ok {
				done.Refused = append(done.Refused, m)
				continue
			}
			planned.Set(m.Index, next)
			asked = append(asked, m)
		}
		if c.Act == Begin && len(done.Refused) > 0 {
			return Changed{}, fmt.Errorf("begin chunk %s: %w", chunk.Ref, ErrMoved)
		}

		answer, err := s.runChange(ctx, chunk.Ref, c, changesOf(read, planned))
		if err != nil {
			return done, err
		}
		if c.Contacted != nil {
			done.Unrecorded, c.Contacted = answer.unrecorded, nil // once is enough
		}
		refused := answer.err(chunk.Ref)
		if refused != nil {
			planned = slices.Clone(read)
		}
		for index, record := range answer.moved {
			planned.Set(index, record)
		}
		chunk.ledger = planned
		if refused != nil {
			return done, refused
		}
		done.Now, done.Request, done.Tripped = answer.now, answer.request, answer.tripped
		if len(asked) > len(answer.moved) {
			chunk.Version++ // at least: others may have changed it as well
		}

		if len(answer.moved) == 0 {
			done.Moved = append(done.Moved, asked...)
			return done, nil
		}
		todo = nil
		for _, m := range asked {
			present, left := answer.moved[m.Index]
			switch {
			case !left:
				done.Moved = append(done.Moved, m)
			case decidedAnew(m, read.At(m.Index), present):
				todo = append(todo, m)
			default:
				done.Refused = append(done.Refused, m)
			}
		}
		if len(todo) == 0 {
			return done, nil
		}
	}
	return done, fmt.Errorf("change chunk %s: contacts moved %d times meanwhile: %w", chunk.Ref, maxRounds, ErrMoved)
}

// decidedAnew reports whether m, decided on the record that was read, may be
// decided again on the present one. A record that has not changed was left alone
// because the caller has no right to it. Evidence holds wherever the contact is
// by now; all else was said of one state and one request: a rerun of the failed
// must not send again whoever has answered meanwhile, nor a late refusal speak of
// a later request.
func decidedAnew(m Move, read, present campaign.Record) bool {
	if present == read {
		return false
	}
	return m.Cause.Evidence() || (present.State == read.State && present.Attempts == read.Attempts)
}

// changesOf are the contacts in which two ledgers of a chunk differ, as the
// script takes them: each contact once, even if several moves name it, in runs
// of neighbours that go from one state, reason and doubt to one other. The script then
// has a few strings to compare rather than every contact.
func changesOf(old, planned campaign.Ledger) []byte {
	const size = campaign.RecordSize
	changes := make([]byte, 0, 4+2*len(old))
	for i := 0; i < old.Len(); {
		before, after := old.At(i), planned.At(i)
		if before == after {
			i++
			continue
		}
		end := i + 1
		for ; end < old.Len(); end++ {
			b, a := old.At(end), planned.At(end)
			if b == a || !alike(b, before) || !alike(a, after) {
				break
			}
		}
		changes = binary.LittleEndian.AppendUint16(changes, uint16(i))
		changes = binary.LittleEndian.AppendUint16(changes, uint16(end-i))
		changes = append(changes, old[i*size:end*size]...)
		changes = append(changes, planned[i*size:end*size]...)
		i = end
	}
	return changes
}

// alike reports whether the tally counts two records together.
func alike(a, b campaign.Record) bool {
	return a.State == b.State && a.Reason == b.Reason && a.InDoubt == b.InDoubt
}

type changeAnswer struct {
	status  string
	now     time.Time
	detail  string
	request int
	moved   map[int]campaign.Record
	tripped []Verdict

	unrecorded error
}

func (s *Store) runChange(ctx context.Context, ref Ref, c Change, changes []byte) (changeAnswer, error) {
	args := []any{
		string(c.Act), c.Token, c.Dead, millis(c.ClaimTTL), millis(c.Due), ref.Chunk,
		campaign.RecordSize, evidenceStates, changes,
		c.Log.by(), string(c.Log.Action), c.Log.text(), c.Log.Request, maxChunksLog,
	}
	args = append(args, c.Terms.args()...)
	latest := ""
	if !c.Latest.IsZero() {
		latest = strconv.FormatInt(c.Latest.UnixMilli(), 10)
	}
	args = append(args, c.Judge || c.Act == Recover, guardTripped, latest)
	var cmd *redis.Cmd
	var unrecorded error
	switch {
	case c.Act == Begin && s.replicas > 0:
		cmd = s.runReplicated(ctx, chunkKeys(ref), args)
	case len(c.Contacted) > 0:
		cmd, unrecorded = s.runRecorded(ctx, c.ContactedAt, c.Contacted, chunkKeys(ref), args)
	default:
		cmd = changeScript.Run(ctx, s.rdb, chunkKeys(ref), args...)
	}
	reply, err := cmd.Slice()
	if err != nil {
		return changeAnswer{}, fmt.Errorf("change chunk %s: %w", ref, err)
	}
	if len(reply) != 5 {
		return changeAnswer{}, fmt.Errorf("change chunk %s: unexpected answer of %d parts", ref, len(reply))
	}
	status, _ := reply[0].(string)
	now, _ := reply[1].(int64)
	detail, _ := reply[2].(string)
	moved, _ := reply[3].(string)
	window, _ := reply[4].(string)
	a := changeAnswer{status: status, now: timeOf(now), detail: detail, tripped: decodeVerdicts(window), unrecorded: unrecorded}
	const width = 2 + campaign.RecordSize
	if len(moved) > 0 {
		a.moved = make(map[int]campaign.Record, len(moved)/width)
		for b := []byte(moved); len(b) >= width; b = b[width:] {
			a.moved[int(binary.LittleEndian.Uint16(b))] = campaign.DecodeRecord(b[2:])
		}
	}
	if status == "ok" {
		if a.request, err = strconv.Atoi(detail); err != nil {
			return a, fmt.Errorf("change chunk %s: request number: %w", ref, err)
		}
	}
	return a, nil
}

// runRecorded runs the script after telling the contact record, in one round trip:
// Redis carries commands of one connection out in their order. On a cluster they go
// to several servers, so the record is told in a round trip of its own.
func (s *Store) runRecorded(ctx context.Context, at time.Time, phones []campaign.Phone, keys []string, args []any) (change *redis.Cmd, unrecorded error) {
	defer func() {
		if unrecorded == nil && change.Err() == nil {
			s.forgetDays(ctx, dayOf(at)) // last: an answer may wait to be written down
		}
	}()
	if _, is := s.rdb.(*redis.ClusterClient); is {
		unrecorded = s.recordContacted(ctx, at, phones)
		var refused redis.Error
		if unrecorded != nil && !errors.As(unrecorded, &refused) {
			change = redis.NewCmd(ctx)
			change.SetErr(unrecorded)
			return change, unrecorded // the servers are away: no order without the record
		}
		return changeScript.Run(ctx, s.rdb, keys, args...), unrecorded
	}
	var record []redis.Cmder
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		record = s.contacted(dayOf(at)).addIn(ctx, p, persons(phones))
		record = append(record, p.HSet(ctx, contactedDays, dayOf(at), 1))
		change = changeScript.EvalSha(ctx, p, keys, args...)
		return nil
	})
	if redis.HasErrorPrefix(change.Err(), "NOSCRIPT") {
		change = changeScript.Eval(ctx, s.rdb, keys, args...)
	}
	return change, firstErr(record)
}

// replicaPatience bounds the wait for replicas.
const replicaPatience = time.Second

// ErrNotReplicated: a change was made, but too few replicas have it.
var ErrNotReplicated = errors.New("too few replicas have the change")

// runReplicated runs the script and waits until enough replicas have what it
// wrote. WAIT speaks of its own connection's writes, so both go down one, to the
// server that holds the keys. A cluster whose slots have just moved fails the
// change, as one whose server is gone does.
func (s *Store) runReplicated(ctx context.Context, keys []string, args []any) *redis.Cmd {
	change := redis.NewCmd(ctx)
	server, err := s.serverOf(ctx, keys[0])
	if err != nil {
		change.SetErr(err)
		return change
	}
	var replicas *redis.Cmd
	run := func() {
		_, _ = server.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			change = changeScript.EvalSha(ctx, p, keys, args...)
			replicas = p.Do(ctx, "WAIT", s.replicas, millis(replicaPatience))
			return nil
		})
	}
	run()
	if redis.HasErrorPrefix(change.Err(), "NOSCRIPT") {
		if err := changeScript.Load(ctx, server).Err(); err != nil {
			change.SetErr(err)
			return change
		}
		run()
	}
	if change.Err() == nil {
		if n, err := replicas.Int(); err != nil {
			change.SetErr(err)
		} else if n < s.replicas {
			change.SetErr(fmt.Errorf("%w: %d of %d", ErrNotReplicated, n, s.replicas))
		}
	}
	return change
}

// serverOf is the server that holds a key.
func (s *Store) serverOf(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return s.rdb, nil
}

// evidenceStates names to the script the states that anybody may bring about.
var evidenceStates = string([]byte{byte(campaign.Accepted), byte(campaign.Started), byte(campaign.Ended)})

// err is the refusal in an answer, if it is one.
func (a changeAnswer) err(ref Ref) error {
	switch a.status {
	case "ok":
		return nil
	case "phase":
		return fmt.Errorf("chunk %s: campaign is %s: %w", ref, a.detail, ErrNotRunning)
	case "outdated":
		return fmt.Errorf("chunk %s: %w", ref, ErrOutdated)
	case "capped":
		left, err := strconv.Atoi(a.detail)
		if err != nil {
			return fmt.Errorf("chunk %s: contacts left for the day: %w", ref, err)
		}
		return fmt.Errorf("chunk %s: %w", ref, &CappedError{Left: left})
	case "busy":
		until, err := strconv.ParseInt(a.detail, 10, 64)
		if err != nil {
			return fmt.Errorf("chunk %s: end of its claim: %w", ref, err)
		}
		return fmt.Errorf("chunk %s: %w", ref, &BusyError{Left: timeOf(until).Sub(a.now)})
	case "unrecovered":
		return fmt.Errorf("chunk %s: %w", ref, ErrUnrecovered)
	case "late":
		return fmt.Errorf("chunk %s: %w", ref, &LateError{Now: a.now})
	case "moved":
		return fmt.Errorf("chunk %s: %w", ref, ErrMoved)
	case "gone":
		return fmt.Errorf("chunk %s: %w", ref, ErrGone)
	}
	return fmt.Errorf("chunk %s: unknown answer %q", ref, a.status)
}

// A BusyError is ErrBusy with the time the claim has left.
type BusyError struct{ Left time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v for another %v", ErrBusy, e.Left.Round(time.Millisecond))
}
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// A LateError is ErrLate with the clock of the server that refused.
type LateError struct{ Now time.Time }

func (e *LateError) Error() string        { return ErrLate.Error() }
func (e *LateError) Is(target error) bool { return target == ErrLate }

// A Chunk is a slice of a campaign as it was read: its contacts and, kept up to
// date by Apply, the ledger of what became of them.
type Chunk struct {
	Ref        Ref
	Contacts   []campaign.Contact // nil when only the ledger was read
	Claim      string             // the token that held it when it was read; empty: free
	ClaimUntil time.Time
	Seq        int       // releases so far
	Version    int       // changes so far; it never falls unless Redis has lost writes
	Due        time.Time // when it must have moved; zero when it is through

	mu     sync.Mutex
	ledger campaign.Ledger
}

// Len is the number of contacts.
func (c *Chunk) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.Len()
}

// Record is what is known of contact i.
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
		for _, s := range states {
			if c.ledger.At(i).State == s {
				in = append(in, i)
			}
		}
	}
	return in
}

// ReadChunk reads a chunk with its contacts.
func (s *Store) ReadChunk(ctx context.Context, ref Ref) (*Chunk, error) {
	return s.readChunk(ctx, ref, true)
}

// ReadLedger reads a chunk without its contacts, which costs a tenth.
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
		due = p.ZScore(ctx, keyOpen(ref.Campaign), strconv.Itoa(ref.Chunk)) // after the count of releases
		return nil
	})
	if errors.Is(ledger.Err(), redis.Nil) {
		return nil, fmt.Errorf("read chunk %s: %w", ref, ErrGone)
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read chunk %s: %w", ref, err)
	}
	values := hash.Val()
	text := func(i int) string { t, _ := values[i].(string); return t }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	chunk := &Chunk{
		Ref:     ref,
		Claim:   text(0),
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
		if chunk.Contacts, err = s.decodeRows([]byte(text(4))); err != nil {
			return nil, fmt.Errorf("read chunk %s: %w", ref, err)
		}
		contacts = len(chunk.Contacts)
	}
	if err := chunk.ledger.Check(contacts); err != nil {
		return nil, fmt.Errorf("read chunk %s: %w", ref, err)
	}
	return chunk, nil
}
