package sim

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
)

var (
	full = flag.Bool("full", false, "measure the whole table with fresh seeds, not its short form")
	seed = flag.Uint64("seed", 0, "the first seed; 0: 1 in the short form, else a fresh one")
)

// A gate is a scenario and what it has to reach. Zero means not asked for.
type gate struct {
	name string
	scenario
	used    float64 // at least this part of the limit, by all together
	refused float64 // at most so many of 1000 of ours answered 429
	other   float64 // at most this part of the other client's refused
	longest float64 // wait at most, in waiters / rate
	calls   float64 // of Redis per request, at most
	check   func(result) (note string, ok bool)
	quick   bool // part of the short form
}

var mine = ours(ratelimit.Config{})

func steady(part float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return part }
}

func alternating(part float64) func(time.Duration) float64 {
	return func(d time.Duration) float64 { return part * float64(int(d.Minutes())/3%2) }
}

var gates = []gate{
	{name: "alone, 1 worker", quick: true, scenario: scenario{workers: 1, client: mine}, used: 0.99, refused: 1},
	{name: "alone, 4 workers", scenario: scenario{workers: 4, client: mine}, used: 0.99, refused: 1, longest: 1.6},
	{name: "alone, 16 workers", quick: true, scenario: scenario{workers: 16, client: mine}, used: 0.99, refused: 1, longest: 1.6, calls: 15},
	{name: "alone, 64 workers", scenario: scenario{workers: 64, client: mine}, used: 0.99, refused: 1, longest: 1.6},
	{name: "another client takes 30 %", quick: true, scenario: scenario{workers: 16, client: mine, other: steady(0.3), windows: 60}, used: 0.99, refused: 6, other: 0.2},
	{name: "another client 0 / 60 %", quick: true, scenario: scenario{workers: 16, client: mine, other: alternating(0.6), windows: 60}, used: 0.985, refused: 9},
	{name: "limit 30, 60, 10", quick: true, scenario: scenario{workers: 16, client: mine, beside: limits}, used: 0.985, check: dropRefusals},
	{name: "limit unknown at first", quick: true, scenario: scenario{workers: 16, client: mine, limit: 7, idle: true, windows: 3}, check: oneFindsOut},
	{name: "a worker killed every 30 s", quick: true, scenario: scenario{workers: 16, client: mine, beside: kills}, used: 0.99, refused: 1},
	{name: "Redis wiped every 5 min", quick: true, scenario: scenario{workers: 16, client: mine, beside: wipes}, check: wipeRefusals},
	{name: "Redis gone for 120 s", quick: true, scenario: scenario{workers: 16, client: mine, beside: outages}, check: outageUse},
	{name: "ten requests, idle token", quick: true, scenario: scenario{workers: 10, client: mine, idle: true, windows: 1}, check: tenAtOnce},
	{name: "whole-second window", scenario: scenario{kind: floored, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "aligned minute", quick: true, scenario: scenario{kind: aligned, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "sliding log", quick: true, scenario: scenario{kind: sliding, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "leaky bucket", quick: true, scenario: scenario{kind: leaky, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "no headers, --rate 30/60s", scenario: scenario{mute: true, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "600 per minute", scenario: scenario{limit: 600, workers: 16, client: mine, windows: 10}, used: 0.985, refused: 1, calls: 15},
	{name: "20 per 3 s", scenario: scenario{limit: 20, window: 3 * time.Second, workers: 16, client: ours(ratelimit.Config{Rate: ratelimit.Rate{Limit: 20, Window: 3 * time.Second}}), windows: 100}, refused: 2},
}

var alternatives = []gate{
	{name: "x/time/rate, full limit each", scenario: scenario{workers: 16, client: fullEach}},
	{name: "x/time/rate, limit divided", scenario: scenario{workers: 16, client: divided}},
	{name: "redis_rate", scenario: scenario{workers: 16, client: viaRedisRate}},
	{name: "redis_rate, other takes 30 %", scenario: scenario{workers: 16, client: viaRedisRate, other: steady(0.3)}},
	{name: "retry after 429 only", scenario: scenario{workers: 16, client: retryOnly}},
	{name: "retry only, other takes 30 %", scenario: scenario{workers: 16, client: retryOnly, other: steady(0.3)}},
}

func limits(ctx context.Context, w *world) {
	for _, limit := range []int{60, 10, 30, 60, 10} {
		if sleep(ctx, 6*w.window+w.window/3) != nil {
			return
		}
		w.setLimit(limit)
		w.mark()
	}
}

// dropRefusals looks at the two windows after each drop of the limit.
func dropRefusals(r result) (string, bool) {
	worst := 0
	for _, i := range []int{1, 4} {
		from := r.world.marks[i]
		_, refused := r.world.between(from, from.Add(2*r.world.window))
		worst = max(worst, refused)
	}
	return fmt.Sprintf("%d refused after a drop (<= 2)", worst), worst <= 2
}

// oneFindsOut wants the first answer before the second request, and the limit
// learned, which is far below the configured one.
func oneFindsOut(r result) (string, bool) {
	_, refused := r.world.between(time.Time{}, r.world.end)
	before := 0
	for _, at := range r.world.left {
		if at.Before(r.world.heard) {
			before++
		}
	}
	return fmt.Sprintf("%d sent before the first answer (<= 1), %d refused (<= 1)", before, refused), before <= 1 && refused <= 1
}

// kills takes turns between any worker, most likely one that waits, and one
// whose request is under way.
func kills(ctx context.Context, w *world) {
	rng := w.rng(7)
	for n := 0; sleep(ctx, time.Duration((20+20*rng.Float64())*float64(time.Second))) == nil; n++ {
		if n%2 == 0 {
			w.kill(rng.IntN(len(w.kills)))
			continue
		}
		w.mu.Lock()
		w.doomed = true
		w.mu.Unlock()
	}
}

func wipes(ctx context.Context, w *world) {
	rng := w.rng(8)
	for sleep(ctx, 5*w.window+time.Duration(rng.Int64N(int64(w.window)))) == nil {
		w.rdb.FlushDB(ctx)
		w.mark()
	}
}

func wipeRefusals(r result) (string, bool) {
	worst := 0
	for _, from := range r.world.marks {
		_, refused := r.world.between(from, from.Add(2*r.world.window))
		worst = max(worst, refused)
	}
	return fmt.Sprintf("%d refused after a wipe (<= 2)", worst), worst <= 2 && len(r.world.marks) > 0
}

const outage = 120 * time.Second

func outages(ctx context.Context, w *world) {
	rng := w.rng(9)
	for sleep(ctx, 4*w.window+time.Duration(rng.Int64N(int64(w.window)))) == nil {
		w.warp.gone.Store(true)
		w.mark()
		if sleep(ctx, outage) != nil {
			return
		}
		w.warp.gone.Store(false)
	}
}

// outageUse counts what is refused until two windows after Redis came back.
func outageUse(r result) (string, bool) {
	served, worst, whole := 0, 0, 0
	for _, from := range r.world.marks {
		if from.Add(outage + 2*r.world.window).After(r.world.end) {
			continue
		}
		n, _ := r.world.between(from, from.Add(outage))
		_, refused := r.world.between(from, from.Add(outage+2*r.world.window))
		served += n
		whole++
		worst = max(worst, refused)
	}
	used := float64(served) / (r.world.base * outage.Seconds() * float64(whole))
	return fmt.Sprintf("%.0f %% used meanwhile (>= 65 %%), %d refused (<= 4)", 100*used, worst), used >= 0.65 && worst <= 4
}

// tenAtOnce wants the tenth request to leave at most 50 ms after the answer to
// the first, which is what a limiter may cost.
func tenAtOnce(r result) (string, bool) {
	late := r.world.left[9].Sub(r.world.heard)
	return fmt.Sprintf("the tenth left %d ms after the first answer (<= 50)", late.Milliseconds()), late <= 50*time.Millisecond
}

func TestGates(t *testing.T) {
	first, seeds := uint64(1), 1
	if *full {
		first, seeds = rand.Uint64N(1_000_000), 3
	}
	if *seed != 0 {
		first = *seed
	}
	fmt.Printf("seeds from %d, %d each\n", first, seeds)
	var rows sync.Map
	t.Run("cases", func(t *testing.T) {
		for i, g := range append(gates, alternatives...) {
			if !g.quick && !*full {
				continue
			}
			for n := range seeds {
				t.Run(fmt.Sprintf("%s/%d", g.name, first+uint64(n)), func(t *testing.T) {
					t.Parallel()
					rows.Store([2]int{i, n}, measure(t, g, first+uint64(n)))
				})
			}
		}
	})
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "case\tused %\trefused of 1000\tother refused %\tlongest wait\tcalls\t")
	for i := range append(gates, alternatives...) {
		if i == len(gates) && *full {
			fmt.Fprintln(table, strings.Repeat("-", 28)+"\t\t\t\t\t\t")
		}
		for n := range seeds {
			if row, ok := rows.Load([2]int{i, n}); ok {
				fmt.Fprintln(table, row)
			}
		}
	}
	table.Flush()
}

// measure runs one case, fails the test where a gate is missed, and returns the
// row of the table.
func measure(t *testing.T, g gate, seed uint64) string {
	if g.windows == 0 {
		g.windows = 30
	}
	db := redistest.Shared(t).Options()
	var r result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = g.run(t.Context(), db, seed); err != nil {
			t.Fatal(err)
		}
	})
	row := g.name
	cell := func(value float64, format string, missed bool, limit string) {
		text := fmt.Sprintf(format, value)
		if limit != "" {
			text += " (" + limit + ")"
		}
		if missed {
			text += " MISSED"
			t.Errorf("%s: missed: %s", g.name, text)
		}
		row += "\t" + text
	}
	bound := func(sign string, v float64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%s %g", sign, v)
	}
	cell(100*r.used, "%.1f", r.used < g.used, bound(">=", 100*g.used))
	cell(r.refusedPer1000(), "%.1f", g.refused > 0 && r.refusedPer1000() > g.refused, bound("<=", g.refused))
	if g.scenario.other != nil {
		cell(100*r.otherRefused(), "%.1f", g.other > 0 && r.otherRefused() > g.other, bound("<=", 100*g.other))
	} else {
		row += "\t"
	}
	cell(r.longest, "%.2f", g.longest > 0 && r.longest > g.longest, bound("<=", g.longest))
	cell(r.callsPer, "%.1f", g.calls > 0 && r.callsPer > g.calls, bound("<=", g.calls))
	note := ""
	if g.check != nil {
		var ok bool
		if note, ok = g.check(r); !ok {
			note += " MISSED"
			t.Errorf("%s: missed: %s", g.name, note)
		}
	}
	return row + "\t" + note
}
