package store

import (
	"context"
	"errors"
	"iter"
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestFind(t *testing.T) {
	const contacts, chunkSize = 10_000, 300
	s := New(redistest.Shared(t))
	c := testCampaign("sale", chunkSize)
	load, err := s.BeginLoad(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := load.AddIndex(t.Context(), indexOf(contacts)); err != nil {
		t.Fatal(err)
	}
	for n := range contacts {
		ref, index, err := s.Find(t.Context(), c, person(n).Phone)
		if want := (Ref{"sale", n / chunkSize}); err != nil || ref != want || index != n%chunkSize {
			t.Fatalf("contact %d is at %s, %d, %v", n, ref, index, err)
		}
	}
	for n := contacts; n < contacts+1000; n++ {
		if ref, index, err := s.Find(t.Context(), c, person(n).Phone); !errors.Is(err, ErrNotFound) {
			t.Fatalf("number %d, which is not in the list, is at %s, %d, %v", n, ref, index, err)
		}
	}
}

// A network tells a number in the other spelling of its country: it is the same person.
func TestFindByTheOtherSpelling(t *testing.T) {
	s := New(redistest.Shared(t))
	c := testCampaign("sale", 10)
	load, err := s.BeginLoad(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	list := []campaign.Phone{5215512345678, 551187654321, 541123456789, 966500000001, 525587654321}
	if err := load.AddIndex(t.Context(), func(yield func(campaign.Phone, int) bool) {
		for i, p := range list {
			if !yield(p, i) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	for told, want := range map[campaign.Phone]int{
		5215512345678: 0, 525512345678: 0, 551187654321: 1, 5511987654321: 1, 5491123456789: 2, 541123456789: 2, 966500000001: 3, 5215587654321: 4,
	} {
		if _, index, err := s.Find(t.Context(), c, told); err != nil || index != want {
			t.Errorf("%s is contact %d, %v, want %d", told.E164(), index, err, want)
		}
	}
	if _, _, err := s.Find(t.Context(), c, 5215512345679); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
}

// What an append does to the index brings nobody back who is erased meanwhile.
func TestAppendsLeaveTheErasedOutOfTheIndex(t *testing.T) {
	for name, do := range map[string]func(*Append, context.Context) error{
		"as they are added": func(a *Append, ctx context.Context) error {
			return a.AddIndex(ctx, maps.All(map[campaign.Phone]int{person(6).Phone: 0}))
		},
		"as they are undone": (*Append).Abandon,
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.Shared(t)
			s, ctx := New(rdb), t.Context()
			c := lived(t, s)
			meanwhile := redis.NewClient(rdb.Options())
			t.Cleanup(func() { meanwhile.Close() })
			a, err := New(meanwhile).BeginAppend(ctx, "sale", "later")
			if err == nil {
				err = a.Add(ctx, 0, []campaign.Contact{person(5)})
			}
			if err == nil {
				err = a.AddIndex(ctx, maps.All(map[campaign.Phone]int{person(5).Phone: 0}))
			}
			if err != nil {
				t.Fatal(err)
			}
			once := func() { erase(t, s, c, 1) }
			meanwhile.AddHook(&scripts{before: func(context.Context, redis.Cmder, redis.ProcessHook) {
				if once != nil {
					once()
					once = nil
				}
			}})
			if err := do(a, ctx); err != nil {
				t.Fatal(err)
			}
			if got := numbersIn(t, s, 1); len(got) > 0 {
				t.Errorf("the number is back in %q", got)
			}
			for n, want := range []bool{true, false, true, true, true} {
				if _, _, err := s.Find(ctx, c, person(n).Phone); (err == nil) != want {
					t.Errorf("contact %d: %v", n, err)
				}
			}
		})
	}
}

// An entry that leads to an erased contact goes, however it came there.
func TestEraseContactEndsAnEntryOfTheErased(t *testing.T) {
	s := New(redistest.Shared(t))
	c := lived(t, s)
	before := s.rdb.HGetAll(t.Context(), keyIndex("sale")).Val()
	erase(t, s, c, 1)
	s.rdb.HSet(t.Context(), keyIndex("sale"), before)
	if err := s.EraseContact(t.Context(), c, Place{Ref{"sale", 0}, 1}, person(1).Phone, "tester"); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	for n, want := range []bool{true, false, true, true, true} {
		if _, _, err := s.Find(t.Context(), c, person(n).Phone); (err == nil) != want {
			t.Errorf("contact %d: %v", n, err)
		}
	}
}

// indexOf are n contacts, the last first.
func indexOf(contacts int) iter.Seq2[campaign.Phone, int] {
	return func(yield func(campaign.Phone, int) bool) {
		for n := contacts - 1; n >= 0; n-- {
			if !yield(person(n).Phone, n) {
				return
			}
		}
	}
}

func TestFindWithoutAnIndex(t *testing.T) {
	s := New(redistest.Shared(t))
	c := launch(t, s, "sale", 2, 2, campaign.Running)
	if _, _, err := s.Find(t.Context(), c, person(0).Phone); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	load, err := s.BeginLoad(t.Context(), testCampaign("empty", 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := load.AddIndex(t.Context(), indexOf(0)); err != nil {
		t.Error(err)
	}
	s.rdb.HSet(t.Context(), keyCampaign("sale"), "buckets", 1)
	s.rdb.Set(t.Context(), keyIndex("sale"), "no hash", 0)
	if _, _, err := s.Find(t.Context(), c, person(0).Phone); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a damaged index: got %v", err)
	}
}

// A look-up reads one bucket, so none may be much larger than the others, even
// for numbers that follow each other or share their last digits.
func TestBucketsAreEven(t *testing.T) {
	for _, tt := range []struct {
		name string
		step uint64
	}{
		{"numbers in a row", 1},
		{"numbers that end in three zeros", 1000},
		{"every 64th number", 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const contacts = 100_000
			buckets := contacts/bucketContacts + 1
			size := make([]int, buckets)
			largest := 0
			for n := range uint64(contacts) {
				b := bucketOf(campaign.Phone(966500000000+n*tt.step), buckets)
				size[b]++
				largest = max(largest, size[b])
			}
			if largest > 2*bucketContacts {
				t.Errorf("a bucket holds %d contacts", largest)
			}
		})
	}
}
