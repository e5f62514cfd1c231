package sandbox

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPick(t *testing.T) {
	f := Faults{ResetBefore: 0.1, ServerError: 0.2, Hang: 0.1}
	for _, tt := range []struct {
		name string
		draw float64
		want fate
	}{
		{"the first share takes the lowest draws", 0, resetBefore},
		{"a share ends where the next begins", 0.1, serverError},
		{"shares of 0 are passed over", 0.35, hangAfter},
		{"the rest is served", 0.5, served},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.pick(tt.draw); got != tt.want {
				t.Errorf("pick(%v) = %v, want %v", tt.draw, got, tt.want)
			}
		})
	}
}

func TestFaultsComeInTheirShares(t *testing.T) {
	f := Faults{ResetBefore: .05, HangBefore: .05, TooMany: .05, ServerError: .05, ResetAfter: .05, Hang: .05, GatewayTimeout: .05,
		BadGateway: .05, UnknownError: .05, Fatal: .05, WebPage: .05}
	s := &faultSource{faults: f, rng: rand.New(rand.NewPCG(1, 0))}
	const n = 100_000
	seen := make(map[fate]int)
	for range n {
		seen[s.next(time.Time{}).fate]++
	}
	for fate, count := range seen {
		want := .05
		if fate == served {
			want = .45
		}
		if got := float64(count) / n; math.Abs(got-want) > .005 {
			t.Errorf("fate %d: share %v, want about %v", fate, got, want)
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d fates seen, want all 12", len(seen))
	}
}

func TestSeedRepeatsThePlan(t *testing.T) {
	plans := func(change bool) (list []plan) {
		f := Faults{ResetAfter: .3, Latency: Span{0, time.Second}}
		s := &faultSource{faults: f, rng: rand.New(rand.NewPCG(7, 0))}
		for i := range 50 {
			if change && i == 10 {
				_ = s.set(Faults{})
			}
			if change && i == 20 {
				_ = s.set(f)
			}
			if p := s.next(time.Time{}); i >= 20 {
				list = append(list, p)
			}
		}
		return list
	}
	if diff := cmp.Diff(plans(false), plans(true), cmp.AllowUnexported(plan{})); diff != "" {
		t.Errorf("a pause of the faults changed what came after it:\n%s", diff)
	}
}

func TestFaultsCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults Faults
		ok     bool
	}{
		{"none", Faults{}, true},
		{"all of the requests", Faults{Hang: 0.5, ResetAfter: 0.5}, true},
		{"more than all of them", Faults{Hang: 0.6, ResetAfter: 0.5}, false},
		{"a negative share", Faults{Hang: -0.1}, false},
		{"a share above 1", Faults{Hang: 1.1}, false},
		{"a share that is not a number", Faults{Hang: math.NaN()}, false},
		{"maintenance in a form that is known", Faults{MaintenanceForm: FormRedirect}, true},
		{"maintenance in another form", Faults{MaintenanceForm: "xml"}, false},
		{"maintenance that ended before it began", Faults{MaintenanceRetry: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.faults.check(); (err == nil) != tt.ok {
				t.Errorf("check = %v", err)
			}
		})
	}
}

func TestOutageAt(t *testing.T) {
	f := Faults{Outages: []Span{{30 * time.Second, 45 * time.Second}, {time.Minute, 2 * time.Minute}}}
	for _, tt := range []struct {
		name string
		at   time.Duration
		want bool
	}{
		{"before the first", 29 * time.Second, false},
		{"from its first moment", 30 * time.Second, true},
		{"until its last, excluded", 45 * time.Second, false},
		{"in the second", 90 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.outageAt(tt.at); got != tt.want {
				t.Errorf("outageAt(%v) = %v", tt.at, got)
			}
		})
	}
	if !(Faults{Outage: true}).outageAt(0) {
		t.Error("an outage without times is not at once")
	}
}

func TestSpanText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Span
		ok   bool
	}{
		{"", Span{}, true},
		{"50ms-800ms", Span{50 * time.Millisecond, 800 * time.Millisecond}, true},
		{"2s", Span{2 * time.Second, 2 * time.Second}, true},
		{"0s-1s", Span{0, time.Second}, true},
		{"800ms-50ms", Span{}, false},
		{"soon", Span{}, false},
		{"1s-later", Span{}, false},
		{"-1s", Span{}, false},
	} {
		t.Run(tt.text, func(t *testing.T) {
			var got Span
			err := got.UnmarshalText([]byte(tt.text))
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestAfterText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want After
		ok   bool
	}{
		{"", After{}, true},
		{"100", After{Requests: 100}, true},
		{"30s", After{Elapsed: 30 * time.Second}, true},
		{"0", After{}, false},
		{"-5", After{}, false},
		{"-5s", After{}, false},
		{"never", After{}, false},
	} {
		t.Run(tt.text, func(t *testing.T) {
			var got After
			err := got.UnmarshalText([]byte(tt.text))
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestFaultsSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Custom(func(t *rapid.T) Span {
			from := rapid.Int64Range(0, 1e12).Draw(t, "from")
			return Span{time.Duration(from), time.Duration(from + rapid.Int64Range(1, 1e12).Draw(t, "length"))}
		})
		want := Faults{
			ResetAfter: rapid.Float64Range(0, 1).Draw(t, "share"),
			Outages:    rapid.SliceOfN(span, 1, 3).Draw(t, "outages"),
			Latency:    span.Draw(t, "latency"),

			Maintenances:     rapid.SliceOfN(span, 1, 3).Draw(t, "maintenances"),
			MaintenanceForm:  rapid.SampledFrom(forms).Draw(t, "form"),
			MaintenanceRetry: rapid.IntRange(0, 100).Draw(t, "retry"),
			UnauthorizedAfter: rapid.OneOf(
				rapid.Map(rapid.IntRange(0, 1000), func(n int) After { return After{Requests: n} }),
				rapid.Map(rapid.Int64Range(0, 1e12), func(n int64) After { return After{Elapsed: time.Duration(n)} }),
			).Draw(t, "unauthorized after"),
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Faults
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
