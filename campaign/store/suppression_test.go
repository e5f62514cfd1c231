package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// A number of the list keeps its spelling, and stands for both of its person's.
func TestOnePersonTwoSpellingsOnTheDoNotContactList(t *testing.T) {
	const mexican, before2019 campaign.Phone = 525512345678, 5215512345678
	const brazilian, withoutNinth campaign.Phone = 5511987654321, 551187654321
	const argentine, mobile campaign.Phone = 541123456789, 5491123456789
	for _, pair := range [][2]campaign.Phone{
		{mexican, before2019}, {before2019, mexican}, {brazilian, withoutNinth},
		{withoutNinth, brazilian}, {argentine, mobile}, {mobile, argentine},
	} {
		s := New(redistest.Shared(t))
		ctx := t.Context()
		if n, err := s.Suppress(ctx, []campaign.Phone{966500000001, pair[0], pair[1]}); n != 2 || err != nil {
			t.Errorf("%d numbers added, %v, want 2", n, err)
		}
		if n, err := s.Suppress(ctx, []campaign.Phone{pair[1]}); n != 0 || err != nil {
			t.Errorf("the other spelling is new: %d, %v", n, err)
		}
		var listed []uint64
		for p, err := range s.Suppressed(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			listed = append(listed, uint64(p))
		}
		slices.Sort(listed)
		want := []uint64{uint64(pair[0]), 966500000001}
		slices.Sort(want)
		if diff := cmp.Diff(want, listed); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
		asked := []campaign.Phone{966500000002, pair[1], 966500000001, pair[0]}
		found, err := s.FindSuppressed(ctx, asked)
		if diff := cmp.Diff([]bool{false, true, true, true}, found); err != nil || diff != "" {
			t.Errorf("%v, found (-want +got):\n%s", err, diff)
		}
		all, err := s.ReadSuppressed(ctx)
		if err != nil || !all.Has(pair[0]) || !all.Has(pair[1]) || all.Has(966500000002) {
			t.Errorf("%v, in memory: %v, %v", err, all.Has(pair[0]), all.Has(pair[1]))
		}
		if n, err := s.Unsuppress(ctx, []campaign.Phone{pair[1], pair[0]}); n != 1 || err != nil {
			t.Errorf("%d removed, %v, want 1", n, err)
		}
		found, err = s.FindSuppressed(ctx, asked)
		if diff := cmp.Diff([]bool{false, false, true, false}, found); err != nil || diff != "" {
			t.Errorf("%v, found afterwards (-want +got):\n%s", err, diff)
		}
	}
}

// The list is a set, whatever is added and removed in whatever order.
func TestDoNotContactListIsASet(t *testing.T) {
	s := New(redistest.Shared(t))
	model := make(map[campaign.Phone]bool)
	some := []campaign.Phone{1234567, 966500000001, 966500000001 + phoneBuckets, 966500000002, 999999999999999}
	rapid.Check(t, func(rt *rapid.T) {
		phones := rapid.SliceOf(rapid.SampledFrom(some)).Draw(rt, "phones")
		want := 0
		if rapid.Bool().Draw(rt, "add") {
			for _, p := range phones {
				if !model[p] {
					want++
				}
				model[p] = true
			}
			if got, err := s.Suppress(t.Context(), phones); got != want || err != nil {
				rt.Fatalf("%d added, %v, want %d", got, err, want)
			}
		} else {
			for _, p := range phones {
				if model[p] {
					want++
				}
				delete(model, p)
			}
			if got, err := s.Unsuppress(t.Context(), phones); got != want || err != nil {
				rt.Fatalf("%d removed, %v, want %d", got, err, want)
			}
		}
		found, err := s.FindSuppressed(t.Context(), some)
		if err != nil {
			rt.Fatal(err)
		}
		read, err := s.ReadSuppressed(t.Context())
		if err != nil || read.len != len(model) {
			rt.Fatalf("%d numbers read, %v, want %d", read.len, err, len(model))
		}
		var listed, got []uint64
		for i, p := range some {
			if found[i] != model[p] || read.Has(p) != model[p] {
				rt.Fatalf("number %d: looked up %v, read %v, want %v", i, found[i], read.Has(p), model[p])
			}
			if model[p] {
				listed = append(listed, uint64(p))
			}
		}
		for p, err := range s.Suppressed(t.Context()) {
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, uint64(p))
		}
		slices.Sort(listed)
		slices.Sort(got)
		if diff := cmp.Diff(listed, got); diff != "" {
			rt.Fatalf("list (-want +got):\n%s", diff)
		}
	})
}

func TestListingMayStop(t *testing.T) {
	s := New(redistest.Shared(t))
	if _, err := s.Suppress(t.Context(), []campaign.Phone{966500000001, 966500000002}); err != nil {
		t.Fatal(err)
	}
	for range s.Suppressed(t.Context()) {
		break
	}
}

func TestWhoWasContacted(t *testing.T) {
	s := New(redistest.Shared(t))
	now := time.Date(2026, 3, 10, 1, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	phones := []campaign.Phone{966500000001, 966500000002, 966500000003}
	for i, at := range []time.Time{day(0), day(-7), day(-8)} {
		if err := s.RecordContacted(t.Context(), at, phones[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for days, want := range map[int][]bool{1: {true, false, false}, 7: {true, true, false}, 8: {true, true, true}} {
		found, err := findContacted(t.Context(), s, now, days, phones)
		if diff := cmp.Diff(want, found); diff != "" || err != nil {
			t.Errorf("%d days: %v, %s", days, err, diff)
		}
		read, err := s.ReadContacted(t.Context(), now, days)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range phones {
			if read.Has(p) != want[i] {
				t.Errorf("%d days, read: number %d", days, i)
			}
		}
	}
	// Read twice on the same days, a number is one.
	if err := s.RecordContacted(t.Context(), day(-1), phones[:1]); err != nil {
		t.Fatal(err)
	}
	if read, err := s.ReadContacted(t.Context(), now, 1); err != nil || read.len != 1 {
		t.Errorf("%d numbers, %v", read.len, err)
	}
	// The days that are too long ago are forgotten, and nothing of them is left.
	if err := s.RecordContacted(t.Context(), day(1+campaign.MaxContactedDays), phones[:1]); err != nil {
		t.Fatal(err)
	}
	keys := s.rdb.Keys(t.Context(), "contacted:*").Val()
	slices.Sort(keys)
	last := dayOf(day(1 + campaign.MaxContactedDays))
	want := []string{fmt.Sprintf("contacted:%d:%d", last, 966500000001%phoneBuckets), fmt.Sprintf("contacted:%d:used", last), "contacted:days"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestSuppressionErrorsNameTheOperation(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	rdb.Set(t.Context(), "suppressed:used", strings.Repeat("\xff", 5000), 0)
	rdb.SAdd(t.Context(), "suppressed:7", "x")
	if _, err := s.ReadSuppressed(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "do-not-contact list: read: bucket 7: ") {
		t.Errorf("a bucket of something else: %v", err)
	}
	rdb.Close()
	phones := []campaign.Phone{966500000001}
	_, add := s.Suppress(t.Context(), phones)
	_, remove := s.Unsuppress(t.Context(), phones)
	_, find := s.FindSuppressed(t.Context(), phones)
	_, read := s.ReadSuppressed(t.Context())
	var list error
	for _, list = range s.Suppressed(t.Context()) {
	}
	_, contacted := s.ReadContacted(t.Context(), time.Now(), 1)
	_, lookUp := findContacted(t.Context(), s, time.Now(), 1, phones)
	for want, err := range map[string]error{
		"do-not-contact list: add: ": add, "do-not-contact list: remove: ": remove, "do-not-contact list: look up: ": find,
		"do-not-contact list: read: ": read, "do-not-contact list: read:": list, "read who was contacted: ": contacted,
		"look up who was contacted: ": lookUp, "record contacts: begin day: ": s.RecordContacted(t.Context(), time.Now(), phones),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s…", err, want)
		}
	}
}

// BenchmarkSuppress adds a million numbers and reports what each takes in Redis.
func BenchmarkSuppress(b *testing.B) {
	rdb := redistest.Start(b).Client()
	s := New(rdb)
	const n = 1_000_000
	phones := make([]campaign.Phone, n)
	memory := func() (used int64) {
		for line := range strings.Lines(rdb.Info(b.Context(), "memory").Val()) {
			_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
		}
		return used
	}
	before, added := memory(), 0
	for b.Loop() {
		for i := range phones {
			phones[i] = campaign.Phone(966500000000 + (added+i)*7)
		}
		if _, err := s.Suppress(b.Context(), phones); err != nil {
			b.Fatal(err)
		}
		added += n
	}
	b.ReportMetric(float64(memory()-before)/float64(added), "redis-B/number")
	b.ReportMetric(float64(added)/b.Elapsed().Seconds(), "numbers/s")
}

// findContacted says of each number whether its owner was contacted today or on one
// of that many days before.
func findContacted(ctx context.Context, s *Store, now time.Time, days int, phones []campaign.Phone) ([]bool, error) {
	on, err := s.DaysContacted(ctx, now, days+1, phones)
	found := make([]bool, len(on))
	for i := range on {
		found[i] = slices.Contains(on[i], true)
	}
	return found, err
}
