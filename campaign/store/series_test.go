package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

// accept moves contacts of the first chunk to accepted.
func accept(t *testing.T, s *Store, name string, indexes ...int) {
	t.Helper()
	chunk, err := s.ReadLedger(t.Context(), Ref{name, 0})
	if err != nil {
		t.Fatal(err)
	}
	for _, cause := range []campaign.Cause{campaign.Send, campaign.Accept} {
		change := Change{Act: Steer}
		for _, i := range indexes {
			change.Moves = append(change.Moves, Move{Index: i, Move: campaign.Move{Cause: cause, At: time.Unix(1, 0)}})
		}
		if _, err := s.Apply(t.Context(), chunk, change); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSeriesTellsHowATallyWent(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		launch(t, s, "sale", 10, 10, campaign.Running)
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		sample := func(after time.Duration) {
			t.Helper()
			if _, err := s.TakeSample(ctx, "sale", start.Add(after)); err != nil {
				t.Fatal(err)
			}
		}
		sample(0)
		sample(SampleEvery) // nothing has moved
		accept(t, s, "sale", 0, 1)
		sample(SampleEvery - 1) // too soon
		sample(2 * SampleEvery)
		sample(2 * SampleEvery) // by another worker
		accept(t, s, "sale", 2)
		sample(time.Hour)

		series, err := s.Series(ctx, "sale")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, at := range series {
			got = append(got, at.At.Sub(start).String()+" "+strings.Repeat("|", at.Tally.States[campaign.Accepted])+strings.Repeat(".", at.Tally.Open()))
		}
		if want := "0s ..........,10s ||........,1h0m0s |||......."; strings.Join(got, ",") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
		}
	})
}

func TestSeriesStaysBounded(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		const contacts = 3 * MaxSamples
		launch(t, s, "sale", contacts, contacts, campaign.Running)
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range contacts {
			if err := s.rdb.HSet(ctx, keyTally("sale"), "0", contacts-i, "2", i).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.TakeSample(ctx, "sale", at.Add(time.Duration(i)*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		series, err := s.Series(ctx, "sale")
		if err != nil {
			t.Fatal(err)
		}
		if n := len(series); n > MaxSamples || n < MaxSamples/2 {
			t.Errorf("%d samples, want %d to %d", n, MaxSamples/2, MaxSamples)
		}
		if !series[0].At.Equal(at) {
			t.Errorf("the first sample is of %v, want %v", series[0].At, at)
		}
		if last := series[len(series)-1].Tally.States[campaign.Accepted]; last < contacts-3 {
			t.Errorf("the last sample has %d accepted, want about %d", last, contacts)
		}
		for i := range series[1:] {
			if gap := series[i+1].At.Sub(series[i].At); gap < time.Minute || gap > 16*time.Minute {
				t.Errorf("%v between samples %d and %d", gap, i, i+1)
			}
		}
	})
}

func TestNothingIsSampledWhereThereIsNothing(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		for name, prepare := range map[string]func(){
			"no campaign": func() {},
			"a tally whose campaign was purged": func() {
				if err := s.rdb.HSet(t.Context(), keyTally("sale"), "0", 3).Err(); err != nil {
					t.Fatal(err)
				}
			},
		} {
			prepare()
			if taken, err := s.TakeSample(t.Context(), "sale", time.Now()); taken || err != nil {
				t.Errorf("%s: %v, %v", name, taken, err)
			}
		}
		if n := s.rdb.Exists(t.Context(), keySeries("sale")).Val(); n != 0 {
			t.Error("there is a series")
		}
	})
}

func TestDamagedSeriesIsTold(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		launch(t, s, "sale", 1, 1, campaign.Running)
		for _, damaged := range []string{"x", "1 2 3"} {
			s.rdb.Del(ctx, keySeries("sale"))
			if err := s.rdb.RPush(ctx, keySeries("sale"), damaged).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Series(ctx, "sale"); err == nil || !strings.Contains(err.Error(), "read series of sale: sample: ") {
				t.Errorf("%q is read: %v", damaged, err)
			}
			if _, err := s.TakeSample(ctx, "sale", time.Now()); err == nil {
				t.Errorf("%q is continued", damaged)
			}
		}
		if err := s.rdb.LSet(ctx, keySeries("sale"), 0, "1 0 0 0 0 0 0 0 0 0").Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.RPush(ctx, keySeries("sale"), "x").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeSample(ctx, "sale", time.Now()); err == nil {
			t.Error("a damaged end is continued")
		}
		if err := s.rdb.HSet(ctx, keyTally("sale"), "0", "many").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeSample(ctx, "sale", time.Now()); err == nil {
			t.Error("a damaged tally is sampled")
		}
	})
	gone := closedStore()
	if _, err := gone.Series(context.Background(), "sale"); err == nil {
		t.Error("a series is read without Redis")
	}
	if _, err := gone.TakeSample(context.Background(), "sale", time.Now()); err == nil {
		t.Error("a sample is taken without Redis")
	}
}
