package store

import (
	"context"
	_ "embed"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

//go:embed rungs.lua
var luaRungs string

// rungsLookAfter is how long after a change a chunk is looked at for rungs to come, unless
// the shortest delay is shorter: no rung of that change can be due before.
const rungsLookAfter = time.Minute

// rungsOf are the rungs as rungs.lua reads them; empty: there are none.
func rungsOf(s campaign.Settings) string {
	if len(s.Then) == 0 {
		return ""
	}
	states := ""
	for _, state := range s.FollowUp.States() {
		states += strconv.Itoa(int(state))
	}
	return fmt.Sprintf("%d %d %s", millis(min(s.Soonest(), rungsLookAfter)), s.Rungs(), states)
}

// otherRungs reports whether contacts may have other rungs by other settings.
func otherRungs(from, to campaign.Settings) bool {
	rungs := func(s campaign.Settings) []any {
		return []any{s.FollowUp, s.MostAttempts(), s.FinishBy}
	}
	return !reflect.DeepEqual(rungs(from), rungs(to))
}

// A Look is what was found of the rungs of a chunk, as it was read.
type Look struct {
	Next    time.Time // when the next look is due, by Redis's clock; zero: no rung is to come
	Waiting int       // contacts that have a rung to come
	Open    int       // contacts of which an event may tell so
}

// Add adds a rung that is to come.
func (l *Look) Add(r campaign.Rung) {
	if l.Next.IsZero() || r.At.Before(l.Next) {
		l.Next = r.At
	}
	if r.Open {
		l.Open++
	} else {
		l.Waiting++
	}
}

// arg is what change.lua takes: what was read, and what was found.
func (l *Look) arg(chunk *Chunk) string {
	if l == nil {
		return ""
	}
	next := ""
	if !l.Next.IsZero() {
		next = strconv.FormatInt(l.Next.UnixMilli(), 10)
	}
	return fmt.Sprintf("%d %d %s %d %d", chunk.Told, chunk.Version, next, l.Waiting, l.Open)
}

// RungsDue lists chunks whose contacts may have a rung that is due by before, those due
// first at the front.
func (s *Store) RungsDue(ctx context.Context, name string, before time.Time, limit int) ([]int, error) {
	due, err := s.dueChunks(ctx, keyRungs(name), name, before, limit)
	chunks := make([]int, len(due))
	for i, d := range due {
		chunks[i] = d.Chunk
	}
	return chunks, err
}

// PutOffRungs lets a chunk be looked at for rungs later.
func (s *Store) PutOffRungs(ctx context.Context, ref Ref, at time.Time) error {
	err := s.rdb.ZAddXX(ctx, keyRungs(ref.Campaign), redis.Z{Score: float64(at.UnixMilli()), Member: ref.Chunk}).Err()
	return wrap(err, "put off rungs of chunk %s", ref)
}

// Rungs are those of a campaign that are to come, as far as was found at the last looks.
type Rungs struct {
	Look        // of all chunks; Next is when the first is looked at
	Chunks  int // with contacts that may have a rung
	Unknown int // of those, the ones that were not looked at yet
}

// Rungs reads what is to come.
func (s *Store) Rungs(ctx context.Context, name string) (r Rungs, err error) {
	first, err := s.firstScores(ctx, []string{name}, keyRungs)
	if err != nil {
		return r, err
	}
	r.Next = first[0]
	chunks, err := s.rdb.ZCard(ctx, keyRungs(name)).Result()
	if err != nil {
		return r, wrap(err, "rungs of %s", name)
	}
	seen, err := s.rdb.HVals(ctx, keyRungsSeen(name)).Result()
	if err != nil {
		return r, wrap(err, "rungs of %s", name)
	}
	r.Chunks, r.Unknown = int(chunks), max(int(chunks)-len(seen), 0)
	for _, text := range seen {
		waiting, open, _ := strings.Cut(text, " ")
		n, err1 := strconv.Atoi(waiting)
		m, err2 := strconv.Atoi(open)
		if err1 != nil || err2 != nil {
			return r, fmt.Errorf("rungs of %s: %q: want two numbers", name, text)
		}
		r.Waiting, r.Open = r.Waiting+n, r.Open+m
	}
	return r, nil
}
