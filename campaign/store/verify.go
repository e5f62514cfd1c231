package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// A Verification is the result of a recount.
type Verification struct {
	Contacts int      // by the ledgers, or by the tally when it was purged
	Purged   bool     // only its totals could be compared
	Problems []string // empty: everything adds up
}

const (
	// verifyPage is how many chunks are read at once; verifyRounds bounds how often
	// chunks that changed meanwhile are read again.
	verifyPage   = 200
	verifyRounds = 100
)

// Verify recounts every ledger of a campaign and compares the sum with its tally,
// its counts and its open chunks.
//
// The campaign may run meanwhile. Verify reads all ledgers, then in one transaction
// the tally and every chunk's version, until no chunk has changed since it was read.
// Those that have are read within the next transaction, so a few busy chunks do not
// prevent an end.
func (s *Store) Verify(ctx context.Context, name string) (Verification, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return Verification{}, err
	}
	if c.Phase == campaign.Loading {
		return Verification{}, fmt.Errorf("verify %s: it is still loading", name)
	}
	if c.Kept() != nil {
		return s.verifyPurged(ctx, c)
	}
	v := &verifier{store: s, name: name, version: make([]int64, c.Chunks), tally: make([]campaign.Tally, c.Chunks), bad: make(map[int]string)}
	all := make([]int, c.Chunks)
	for n := range all {
		all[n] = n
	}
	for page := range slices.Chunk(all, verifyPage) {
		if err := v.read(ctx, page, func(redis.Pipeliner) {}); err != nil {
			return Verification{}, wrap(err, "verify %s", name)
		}
	}
	var busy []int
	for range verifyRounds {
		stale, err := v.recheck(ctx, busy)
		if err != nil {
			return Verification{}, wrap(err, "verify %s", name)
		}
		if len(stale) == 0 {
			return v.compare(c), nil
		}
		if len(busy)+len(stale) > verifyPage {
			busy = nil
		}
		busy = append(busy, stale...)
	}
	return Verification{}, fmt.Errorf("verify %s: it changes faster than it can be counted; pause it or try again", name)
}

// verifyPurged compares the totals of a campaign whose ledgers are gone.
func (s *Store) verifyPurged(ctx context.Context, c campaign.Campaign) (Verification, error) {
	hash, err := s.rdb.HGetAll(ctx, keyTally(c.Name)).Result()
	var tally campaign.Tally
	if err == nil {
		tally, err = decodeTally(hash)
	}
	if err != nil {
		return Verification{}, wrap(err, "read tally of %s", c.Name)
	}
	found := Verification{Contacts: tally.Contacts(), Purged: true}
	if found.Contacts != c.Counts.Contacts {
		found.Problems = append(found.Problems, fmt.Sprintf("the tally holds %d contacts, the file had %d", found.Contacts, c.Counts.Contacts))
	}
	for _, state := range campaign.States() {
		if doubtful, all := tally.InDoubt[state], tally.States[state]; doubtful < 0 || doubtful > all {
			found.Problems = append(found.Problems, fmt.Sprintf("%s: the tally holds %d, %d of them in doubt", state, all, doubtful))
		}
	}
	if err := c.Counts.Check(); err != nil {
		found.Problems = append(found.Problems, err.Error())
	}
	if c.PurgedAt.IsZero() {
		found.Problems = append(found.Problems, "its purge was not ended: purge it again")
	}
	return found, nil
}

type verifier struct {
	store   *Store
	name    string
	version []int64 // by chunk, as are the next two
	tally   []campaign.Tally
	bad     map[int]string
	stored  campaign.Tally
	open    map[string]bool // chunks by number
	rungs   int             // chunks that may have a rung to come
}

// read counts the ledgers of the given chunks, and reads what also asks for at the
// same moment.
func (v *verifier) read(ctx context.Context, chunks []int, also func(redis.Pipeliner)) error {
	versions, ledgers := make([]*redis.StringCmd, len(chunks)), make([]*redis.StringCmd, len(chunks))
	rows := make([]*redis.BoolCmd, len(chunks))
	ask := func(p redis.Pipeliner) error {
		for i, n := range chunks {
			ref := Ref{Campaign: v.name, Chunk: n}
			versions[i] = p.HGet(ctx, keyChunk(ref), "version")
			ledgers[i] = p.Get(ctx, keyLedger(ref))
			rows[i] = p.HExists(ctx, keyChunk(ref), "rows")
		}
		also(p)
		return nil
	}
	cmds, err := v.store.rdb.TxPipelined(ctx, ask)
	full := func(cmd redis.Cmder) bool { return redis.HasErrorPrefix(cmd.Err(), "OOM") }
	if slices.ContainsFunc(cmds, full) { // a full Redis takes no transaction, but no changes either
		cmds, err = v.store.rdb.Pipelined(ctx, ask)
	}
	wrongType := func(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
	// err is the first one, often a missing key. A chunk's key of another type is a
	// problem of that chunk only.
	for i, cmd := range cmds {
		ofChunk := i < 3*len(chunks)
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !(ofChunk && wrongType(err)) {
			return err
		}
	}
	if err != nil && !errors.Is(err, redis.Nil) && !wrongType(err) {
		return err
	}
	for i, n := range chunks {
		v.version[n], _ = strconv.ParseInt(versions[i].Val(), 10, 64)
		v.tally[n] = campaign.Tally{}
		delete(v.bad, n)
		if err := cmp.Or(ledgers[i].Err(), versions[i].Err(), rows[i].Err()); wrongType(err) {
			v.bad[n] = "it is of another type: " + err.Error()
			continue
		}
		ledger := campaign.Ledger(ledgers[i].Val())
		if len(ledger) == 0 {
			v.bad[n] = "its ledger is missing"
			continue
		}
		if !rows[i].Val() {
			v.bad[n] = "its rows are missing"
		}
		if err := ledger.Check(ledger.Len()); err != nil {
			v.bad[n] = err.Error()
			continue
		}
		for k := range ledger.Len() {
			v.tally[n].Count(ledger.At(k))
		}
	}
	return nil
}

// recheck reads the tally, the open chunks and the busy ones and, at the same
// moment, which other chunks have changed since they were counted.
func (v *verifier) recheck(ctx context.Context, busy []int) (stale []int, err error) {
	var tally *redis.MapStringStringCmd
	var open *redis.StringSliceCmd
	var rungs *redis.IntCmd
	versions := make([]*redis.StringCmd, len(v.version))
	err = v.read(ctx, busy, func(p redis.Pipeliner) {
		tally = p.HGetAll(ctx, keyTally(v.name))
		open = p.ZRange(ctx, keyOpen(v.name), 0, -1)
		rungs = p.ZCard(ctx, keyRungs(v.name))
		for n := range versions {
			versions[n] = p.HGet(ctx, keyChunk(Ref{Campaign: v.name, Chunk: n}), "version")
		}
	})
	if err != nil {
		return nil, err
	}
	for n, cmd := range versions {
		if now, _ := strconv.ParseInt(cmd.Val(), 10, 64); now != v.version[n] {
			stale = append(stale, n)
		}
	}
	v.open = make(map[string]bool)
	for _, chunk := range open.Val() {
		v.open[chunk] = true
	}
	v.rungs = int(rungs.Val())
	v.stored, err = decodeTally(tally.Val())
	return stale, err
}

func (v *verifier) compare(c campaign.Campaign) Verification {
	var sum campaign.Tally
	var found Verification
	problem := func(format string, args ...any) {
		found.Problems = append(found.Problems, fmt.Sprintf(format, args...))
	}
	sum.Reasons = make(map[campaign.StateReason]int)
	for n, t := range v.tally {
		for state, count := range t.States {
			sum.States[state] += count
			sum.InDoubt[state] += t.InDoubt[state]
		}
		sum.ForRung += t.ForRung
		for key, count := range t.Reasons {
			sum.Reasons[key] += count
		}
		if text := v.bad[n]; text != "" {
			problem("chunk %d: %s", n, text)
			continue
		}
		want := c.Settings.ChunkSize
		if have := t.Contacts(); have > want || (have < want && n < c.Chunks-1 && !slices.Contains(c.Ends, n)) {
			problem("chunk %d: holds %d contacts, not %d", n, have, want)
		}
		if listed := v.open[strconv.Itoa(n)]; listed != (t.Open() > 0) {
			problem("chunk %d: has %d contacts pending or sending, listed as open: %v", n, t.Open(), listed)
		}
	}
	found.Contacts = sum.Contacts()
	if found.Contacts != c.Counts.Contacts {
		problem("ledgers hold %d contacts, the file had %d", found.Contacts, c.Counts.Contacts)
	}
	if err := c.Counts.Check(); err != nil {
		problem("%v", err)
	}
	for _, state := range campaign.States() {
		if counted, told := sum.States[state], v.stored.States[state]; counted != told {
			problem("%s: the ledgers count %d, the tally says %d", state, counted, told)
		}
		if counted, told := sum.InDoubt[state], v.stored.InDoubt[state]; counted != told {
			problem("%s and in doubt: the ledgers count %d, the tally says %d", state, counted, told)
		}
	}
	v.compareRungs(sum, problem)
	for key, counted := range sum.Reasons {
		if told := v.stored.Reasons[key]; counted != told {
			problem("%s for reason %d: the ledgers count %d, the tally says %d", key.State, key.Reason, counted, told)
		}
	}
	for key, told := range v.stored.Reasons {
		if sum.Reasons[key] == 0 && told != 0 {
			problem("%s for reason %d: the ledgers count none, the tally says %d", key.State, key.Reason, told)
		}
	}
	return found
}

func (v *verifier) compareRungs(sum campaign.Tally, problem func(format string, args ...any)) {
	if sum.ForRung != v.stored.ForRung {
		problem("pending for a rung: the ledgers count %d, the tally says %d", sum.ForRung, v.stored.ForRung)
	}
	if v.rungs != v.stored.Rungs {
		problem("%d chunks are looked at for rungs to come, the tally says %d", v.rungs, v.stored.Rungs)
	}
}
