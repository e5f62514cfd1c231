package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

// noise is a file that cannot be compressed.
func noise(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// draft makes a draft of a file.
func draft(ctx context.Context, s *Store, file []byte, steps map[string]string) (Draft, error) {
	w, err := s.BeginDraft(ctx, "sara", "list.csv", int64(len(file)))
	if err == nil {
		_, err = w.Write(file)
	}
	if err != nil {
		return Draft{}, err
	}
	return w.End(steps)
}

// draftKeys is what keys of drafts hold: the fields with the bytes of their values.
func draftKeys(t *testing.T, s *Store) (fields, values int64, keys []string) {
	t.Helper()
	for _, key := range s.rdb.Keys(t.Context(), keyDrafts+":*").Val() {
		if key == keyDraftBytes || strings.HasSuffix(key, ":launches") {
			continue
		}
		keys = append(keys, key)
		for _, value := range s.rdb.HGetAll(t.Context(), key).Val() {
			fields, values = fields+1, values+int64(len(value))
		}
	}
	return fields, values, keys
}

// counted are the bytes that all drafts are said to take.
func counted(t *testing.T, s *Store) (sum int64) {
	t.Helper()
	for _, text := range s.rdb.HVals(t.Context(), keyDraftBytes).Val() {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// pass lets time pass for drafts.
func pass(t *testing.T, s *Store, d time.Duration) {
	t.Helper()
	for _, z := range s.rdb.ZRangeWithScores(t.Context(), keyDrafts, 0, -1).Val() {
		s.rdb.ZIncrBy(t.Context(), keyDrafts, -float64(d.Milliseconds()), z.Member.(string))
	}
	for _, key := range s.rdb.Keys(t.Context(), keyDrafts+":*").Val() {
		if key == keyDraftBytes {
			continue
		}
		left := s.rdb.PTTL(t.Context(), key).Val()
		if left <= 0 {
			t.Fatalf("%s stays for ever", key)
		}
		s.rdb.Do(t.Context(), "pexpire", key, (left - d).Milliseconds()) // a time that is over deletes it
	}
}

func TestADraft(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		file := []byte(strings.Repeat("phone,name\n0501000001,نورة\n", 50_000)) // several parts
		made, err := draft(t.Context(), s, file, map[string]string{"list": "region=SA"})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.rdb.HLen(t.Context(), keyDraftFile(made.ID)).Val(); n != 4 {
			t.Errorf("%d bytes are in %d parts", len(file), n)
		}
		if err := s.SaveStep(t.Context(), made.ID, "when", "hours=09:00-21:00"); err != nil {
			t.Fatal(err)
		}
		got, err := s.Draft(t.Context(), made.ID)
		if err != nil || got.By != "sara" || got.File != "list.csv" || got.Size != int64(len(file)) || !got.Made.Equal(made.Made.Truncate(time.Millisecond)) ||
			!maps.Equal(got.Steps, map[string]string{"list": "region=SA", "when": "hours=09:00-21:00"}) {
			t.Errorf("%+v, %v", got, err)
		}
		read, err := io.ReadAll(s.DraftFile(t.Context(), got))
		if err != nil || !bytes.Equal(read, file) {
			t.Errorf("%d bytes of %d, %v", len(read), len(file), err)
		}
		if list, err := s.Drafts(t.Context()); err != nil || len(list) != 1 || list[0].ID != made.ID {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.DiscardDraft(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Draft(t.Context(), made.ID)
		_, reading := io.ReadAll(s.DraftFile(t.Context(), got))
		_, launching := s.LockDraft(t.Context(), made.ID)
		for _, err := range []error{err, reading, launching, s.SaveStep(t.Context(), made.ID, "when", "")} {
			if !errors.Is(err, ErrNoDraft) {
				t.Errorf("of one that is dropped: %v", err)
			}
		}
		if left := s.rdb.Keys(t.Context(), "*drafts*").Val(); len(left) > 0 {
			t.Errorf("there is left %v", left)
		}
	})
}

func TestADraftIsKeptForADayAfterItsLastUse(t *testing.T) {
	s := New(redistest.Shared(t))
	made, err := draft(t.Context(), s, []byte("phone\n1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		pass(t, s, DraftLife-time.Hour)
		if _, err := s.Draft(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if file, err := io.ReadAll(s.DraftFile(t.Context(), made)); err != nil || string(file) != "phone\n1\n" {
		t.Errorf("%q, %v", file, err)
	}
	pass(t, s, DraftLife+time.Second)
	if _, err := s.Draft(t.Context(), made.ID); !errors.Is(err, ErrNoDraft) {
		t.Errorf("it is there after a day: %v", err)
	}
	if list, err := s.Drafts(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// A file that is cut off on its way is in no list, and takes its room for minutes only.
func TestAnUploadThatDiesLeavesNothing(t *testing.T) {
	s := New(redistest.Shared(t))
	w, err := s.BeginDraft(t.Context(), "sara", "list.csv", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(noise(rand.New(rand.NewPCG(1, 1)), 3*draftPart)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Draft(t.Context(), w.ID); !errors.Is(err, ErrNoDraft) {
		t.Errorf("a draft without its whole file: %v", err)
	}
	if list, err := s.Drafts(t.Context()); err != nil || len(list) > 0 || counted(t, s) < 3*draftPart {
		t.Errorf("%v, %v, %d bytes", list, err, counted(t, s))
	}
	pass(t, s, uploadLife+time.Second)
	if _, err := draft(t.Context(), s, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if n := counted(t, s); n > 2000 {
		t.Errorf("it takes %d bytes still", n)
	}
}

func TestDraftsAreBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := New(redistest.Shared(t))
	s.drafts = draftBounds{bytes: 4 << 20, drafts: 2}
	packed := noise(random, 3<<20)
	if _, err := draft(t.Context(), s, packed, nil); err != nil {
		t.Fatal(err)
	}
	// What is packed does not fit, which is known after its first part.
	w, err := s.BeginDraft(t.Context(), "sara", "list.xlsx", 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(packed); !errors.Is(err, ErrDraftsFull) || n > draftPart {
		t.Errorf("%d bytes were taken: %v", n, err)
	}
	if _, err := draft(t.Context(), s, []byte("x"), nil); !errors.Is(err, ErrManyDrafts) {
		t.Errorf("a third: %v", err)
	}
	if err := s.DropDraft(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	// Text takes a fraction of its size, but this is too long all the same.
	text := bytes.Repeat(fmt.Appendf(nil, "%x,name\n", noise(random, 30_000)), 2000)
	if w, err = s.BeginDraft(t.Context(), "sara", "list.csv", int64(len(text))); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(text); !errors.Is(err, ErrDraftsFull) || n > surePart+2*draftPart {
		t.Errorf("%d bytes of %d were taken: %v", n, len(text), err)
	}
	if err := s.DropDraft(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	// Without a size that is likely it is refused when the room is full.
	if w, err = s.BeginDraft(t.Context(), "sara", "list.xlsx", 0); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(packed); !errors.Is(err, ErrDraftsFull) || n <= draftPart {
		t.Errorf("%d bytes were taken: %v", n, err)
	}
	if err := s.SaveStep(t.Context(), w.ID, "list", strings.Repeat("x", 2<<20)); !errors.Is(err, ErrDraftsFull) {
		t.Errorf("a step beyond the room: %v", err)
	}
	if n := counted(t, s); n > s.drafts.bytes {
		t.Errorf("%d bytes", n)
	}
}

func TestDraftsLeaveCampaignsTheirMemory(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "noeviction")
	s := New(server.Client())
	campaigns := func(share float64) { // take that share of the memory
		for {
			m, err := memoryOf(t.Context(), s.rdb)
			if err != nil {
				t.Fatal(err)
			}
			if m.Full() > share {
				return
			}
			if err := s.rdb.RPush(t.Context(), "others", strings.Repeat("x", 1<<20)).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	campaigns(0.5)
	w, err := s.BeginDraft(t.Context(), "sara", "list.xlsx", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(noise(rand.New(rand.NewPCG(1, 4)), 40<<20)); !errors.Is(err, ErrScarce) {
		t.Errorf("a draft beyond the share: %v", err)
	}
	small, err := draft(t.Context(), s, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	campaigns(DraftShare)
	if err := s.SaveStep(t.Context(), small.ID, "list", "region=SA"); !errors.Is(err, ErrScarce) {
		t.Errorf("a step: %v", err)
	}
	if _, err := s.BeginDraft(t.Context(), "sara", "list.csv", 0); !errors.Is(err, ErrScarce) {
		t.Errorf("another draft: %v", err)
	}
}

// A launch keeps its draft as it is until it has come to nothing.
func TestADraftStaysAsItIsWhileItIsLaunched(t *testing.T) {
	s := New(redistest.Shared(t))
	made, err := draft(t.Context(), s, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.LockDraft(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.LockDraft(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, unlock := range []func(context.Context) error{first, second} {
		if err := s.SaveStep(t.Context(), made.ID, "agent", "name=other"); !errors.Is(err, ErrDraftLaunches) {
			t.Errorf("it was changed: %v", err)
		}
		if d, err := s.Draft(t.Context(), made.ID); err != nil || !d.Launching {
			t.Error(d.Launching, err)
		}
		if err := s.DiscardDraft(t.Context(), made.ID); !errors.Is(err, ErrDraftLaunches) {
			t.Errorf("it was discarded: %v", err)
		}
		// Who looks at it prolongs it, and what keeps it as it is with it.
		if err := s.rdb.PExpire(t.Context(), keyDraftLaunches(made.ID), time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Draft(t.Context(), made.ID); err != nil {
			t.Error(err)
		}
		if life := s.rdb.PTTL(t.Context(), keyDraftLaunches(made.ID)).Val(); life < DraftLife-time.Minute {
			t.Errorf("it can be changed in %v", life)
		}
		for range 2 { // a call may be repeated
			if err := unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.SaveStep(t.Context(), made.ID, "agent", "name=other"); err != nil {
		t.Error(err)
	}
}

// Many make drafts at once: some end them, some change or drop them, some die on the way. All
// together never take more than they may, what is counted is what is there, and each file is
// whole.
func TestManyMakeDraftsAtOnce(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rdb := redistest.Shared(t)
			s := New(rdb)
			s.drafts = draftBounds{bytes: 6 << 20, drafts: 8}
			if seed%2 == 1 { // go-redis repeats a call whose answer was lost
				rdb.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) { _ = run(ctx, cmd) }})
			}
			var group sync.WaitGroup
			var mu sync.Mutex
			files, refused := make(map[string][]byte), 0
			for maker := range uint64(6) {
				random := rand.New(rand.NewPCG(seed, maker))
				group.Go(func() {
					for range 8 {
						file := noise(random, random.IntN(3*draftPart))
						d, err := makeDraft(t.Context(), s, random, file)
						mu.Lock()
						switch {
						case errors.Is(err, ErrDraftsFull), errors.Is(err, ErrManyDrafts):
							refused++
						case err != nil:
							t.Error(err)
						case d.ID != "":
							files[d.ID] = file
						}
						mu.Unlock()
						if all := counted(t, s); all > s.drafts.bytes {
							t.Errorf("%d bytes in all", all)
						}
						if n := rdb.ZCard(t.Context(), keyDrafts).Val(); n > int64(s.drafts.drafts) {
							t.Errorf("%d drafts", n)
						}
					}
				})
			}
			group.Wait()
			fields, values, keys := draftKeys(t, s)
			own := 0
			for _, key := range keys {
				if !strings.HasSuffix(key, ":file") {
					own++
				}
			}
			if want := values + 64*fields + 512*int64(own); counted(t, s) != want {
				t.Errorf("%d bytes are counted, %d are there", counted(t, s), want)
			}
			for id, file := range files {
				d, err := s.Draft(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if read, err := io.ReadAll(s.DraftFile(t.Context(), d)); err != nil || !bytes.Equal(read, file) {
					t.Errorf("%d bytes of %d, %v", len(read), len(file), err)
				}
			}
			t.Logf("%d drafts, %d refused", len(files), refused)
			pass(t, s, DraftLife+time.Second)
			if err := s.SaveStep(t.Context(), "none", "list", "x"); !errors.Is(err, ErrNoDraft) {
				t.Error(err)
			}
			if left := rdb.Keys(t.Context(), "*drafts*").Val(); len(left) > 0 {
				t.Errorf("after a day there is left %v", left)
			}
		})
	}
}

// makeDraft makes a draft, or one that comes to nothing: then it has no id.
func makeDraft(ctx context.Context, s *Store, random *rand.Rand, file []byte) (Draft, error) {
	w, err := s.BeginDraft(ctx, "sara", "list.csv", 0)
	if err == nil {
		_, err = w.Write(file)
	}
	if err != nil || random.IntN(4) == 0 { // it dies
		return Draft{}, errors.Join(err, s.rdb.Ping(ctx).Err())
	}
	d, err := w.End(map[string]string{"list": "x"})
	if err != nil {
		return Draft{}, err
	}
	for range random.IntN(3) {
		if err := s.SaveStep(ctx, d.ID, "when", strings.Repeat("y", random.IntN(100))); err != nil && !errors.Is(err, ErrDraftsFull) {
			return Draft{}, err
		}
	}
	if random.IntN(2) == 0 {
		return Draft{}, s.DropDraft(ctx, d.ID)
	}
	return d, nil
}
