package quotasim

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
)

var (
	full  = flag.Bool("full", false, "measure the whole table with fresh seeds, not its short form")
	seed  = flag.Uint64("seed", 0, "the first seed; 0: 1 in the short form, else a fresh one")
	only  = flag.String("only", "", "measure only the cases whose name contains this")
	times = flag.Int("seeds", 0, "how many seeds; 0: 1 in the short form, else 4")
)

// A gate is a scenario and what it has to reach. Zero means not asked for.
type gate struct {
	name string
	scenario
	used    float64 // at least this part of the limit, by all together
	refused float64 // at most this many of 1000 of our requests answered 429
	other   float64 // at most this part of the other client's refused
	longest float64 // wait at most, in waiters / rate
	calls   float64 // to Redis per request, at most
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
	{name: "alone, 1 worker", scenario: scenario{workers: 1, client: mine}, used: 0.99, refused: 1},
	{name: "alone, 4 workers", scenario: scenario{workers: 4, client: mine}, used: 0.99, refused: 1, longest: 1.6},
	{name: "alone, 16 workers", quick: true, scenario: scenario{workers: 16, client: mine, windows: 100}, used: 0.99, refused: 1, longest: 1.6, calls: 15},
	{name: "alone, 64 workers", scenario: scenario{workers: 64, client: mine}, used: 0.99, refused: 1, longest: 1.6},
	{name: "alone, 64 workers in 4 processes", scenario: scenario{workers: 64, crowd: 16, client: mine}, used: 0.99, refused: 1, longest: 1.6},
	{name: "another client takes 30 %", quick: true, scenario: scenario{workers: 16, client: mine, other: steady(0.3), windows: 200}, used: 0.99, refused: 6, other: 0.2},
	{name: "another client 0 / 60 %", scenario: scenario{workers: 16, client: mine, other: alternating(0.6), windows: 150}, used: 0.985, refused: 9},
	{name: "limit 30, 60, 10", quick: true, scenario: scenario{workers: 16, client: mine, beside: limits}, used: 0.985, check: dropRefusals},
	{name: "limit unknown at first", quick: true, scenario: scenario{workers: 16, client: mine, limit: 7, idle: true, windows: 3}, check: oneFindsOut},
	{name: "a worker killed every 30 s", quick: true, scenario: scenario{workers: 16, client: mine, beside: kills}, used: 0.99, refused: 1},
	{name: "Redis wiped every 5 min", quick: true, scenario: scenario{workers: 16, client: mine, beside: wipes}, check: wipeRefusals},
	{name: "Redis gone for 120 s", quick: true, scenario: scenario{workers: 16, client: mine, beside: outages}, check: outageUse},
	{name: "ten requests, idle token", quick: true, scenario: scenario{workers: 10, client: mine, idle: true, windows: 1}, check: tenAtOnce},
	{name: "whole-second window", scenario: scenario{kind: floored, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "aligned minute", quick: true, scenario: scenario{kind: aligned, workers: 16, client: mine, windows: 100}, used: 0.985, refused: 1},
	{name: "sliding log", quick: true, scenario: scenario{kind: sliding, workers: 16, client: mine, windows: 100}, used: 0.985, refused: 1},
	{name: "leaky bucket", scenario: scenario{kind: leaky, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "no headers, --rate 30/60s", scenario: scenario{mute: true, workers: 16, client: mine}, used: 0.985, refused: 1},
	{name: "600 per minute", scenario: scenario{limit: 600, workers: 16, client: mine, windows: 10}, used: 0.985, refused: 1, calls: 15},
	{name: "6000 per minute, 4 x 32 workers", scenario: scenario{limit: 6000, workers: 128, crowd: 32, client: mine, windows: 3}, used: 0.985, refused: 1, calls: 3},
	{name: "20 per 3 s, near server", scenario: scenario{limit: 20, window: 3 * time.Second, trips: trips{time.Millisecond, 20 * time.Millisecond}, workers: 16, client: ours(ratelimit.Config{Rate: ratelimit.Rate{Limit: 20, Window: 3 * time.Second}}), windows: 200}, used: 0.97, refused: 2},
	{name: "30 per 5 s, 4 x 16, near server", scenario: scenario{limit: 30, window: 5 * time.Second, trips: trips{2 * time.Millisecond, 40 * time.Millisecond}, workers: 64, crowd: 16, client: ours(ratelimit.Config{Rate: ratelimit.Rate{Limit: 30, Window: 5 * time.Second}}), windows: 200}, used: 0.97, refused: 2},
	{name: "share 0.7", scenario: scenario{workers: 16, client: ours(ratelimit.Config{Share: 0.7})}, used: 0.68, refused: 1, check: keepsShare},
	{name: "60 s declared, counts in 10", quick: true, scenario: scenario{window: 10 * time.Second, workers: 16, client: mine, warmUp: 5, windows: 100}, used: 0.95, refused: 3},
	{name: "60 s declared, counts in 10, 1 worker", scenario: scenario{window: 10 * time.Second, workers: 1, trips: trips{10 * time.Millisecond, 120 * time.Millisecond}, client: mine, warmUp: 5, windows: 100}, used: 0.95, refused: 3},
	{name: "60 s declared, whole seconds of 10", scenario: scenario{kind: floored, window: 10 * time.Second, workers: 16, client: mine, warmUp: 5, windows: 100}, used: 0.94, refused: 3},
	{name: "60 s declared, counts in 2", scenario: scenario{window: 2 * time.Second, trips: trips{10 * time.Millisecond, 120 * time.Millisecond}, workers: 16, client: mine, warmUp: 30, windows: 300}, used: 0.94, refused: 3},
	{name: "60 s declared, 10 per 5 s", scenario: scenario{limit: 10, window: 5 * time.Second, trips: trips{10 * time.Millisecond, 60 * time.Millisecond}, workers: 16, client: mine, warmUp: 10, windows: 200}, used: 0.95, refused: 3},
	{name: "60 s declared, counts in 10, other 30 %", scenario: scenario{window: 10 * time.Second, workers: 16, client: mine, other: steady(0.3), warmUp: 5, windows: 200}, used: 0.9, refused: 20, other: 0.25},
	{name: "10 s declared, counts in 60", quick: true, scenario: scenario{workers: 16, client: declared(10 * time.Second), warmUp: 3, windows: 100}, used: 0.985, check: refusedInAll},
	{name: "10 s declared, counts in 60, no headers", scenario: scenario{mute: true, workers: 16, client: declared(10 * time.Second), warmUp: 3}, used: 0.95, check: refusedInAll},
	{name: "10 s declared, sliding 60", scenario: scenario{kind: sliding, workers: 16, client: declared(10 * time.Second), warmUp: 3}, used: 0.95, check: refusedInAll},
	{name: "10 and 60 s declared, counts in 10", quick: true, scenario: scenario{window: 10 * time.Second, workers: 16, client: mixed(10*time.Second, time.Minute), warmUp: 5, windows: 60}, used: 0.94, refused: 3},
	{name: "5 s declared, guests say 60", quick: true, scenario: scenario{window: 5 * time.Second, trips: trips{10 * time.Millisecond, 120 * time.Millisecond}, workers: 16, client: declared(5 * time.Second), beside: guests, mute: true, windows: 60}, used: 0.94, refused: 2},
	{name: "30 a minute and 50 in 3", quick: true, scenario: scenario{workers: 16, client: mine, slower: bound{50, 3 * time.Minute}, windows: 90}, refused: 22, used: 0.97},
	{name: "30 per 2 s, trips up to 120 ms", quick: true, scenario: scenario{window: 2 * time.Second, trips: trips{10 * time.Millisecond, 120 * time.Millisecond}, workers: 16, client: declared(2 * time.Second), windows: 300}, used: 0.94, refused: 2},
	{name: "platform fails 10 min", quick: true, scenario: scenario{workers: 16, client: mine, beside: fails, windows: 20}, check: probesOnly},
}

var alternatives = []gate{
	{name: "x/time/rate, full limit each", scenario: scenario{workers: 16, client: fullEach}},
	{name: "x/time/rate, limit divided", scenario: scenario{workers: 16, client: divided}},
	{name: "redis_rate", scenario: scenario{workers: 16, client: viaRedisRate}},
	{name: "redis_rate, other takes 30 %", scenario: scenario{workers: 16, client: viaRedisRate, other: steady(0.3)}},
	{name: "retry after 429 only", scenario: scenario{workers: 16, client: retryOnly}},
	{name: "retry only, other takes 30 %", scenario: scenario{workers: 16, client: retryOnly, other: steady(0.3)}},
}

// declared is a worker that says how long the window is.
func declared(window time.Duration) maker {
	return ours(ratelimit.Config{Rate: ratelimit.Rate{Limit: 30, Window: window}})
}

// mixed are workers that say it differently, in turns.
func mixed(windows ...time.Duration) maker {
	var n atomic.Int64
	return func(w *world, share float64) (client, error) {
		return declared(windows[int(n.Add(1))%len(windows)])(w, share)
	}
}

// guests come now and then, as enqueue does, with the default rate.
func guests(ctx context.Context, w *world) {
	rng := w.rng(11)
	for sleep(ctx, 7*time.Second) == nil {
		c, err := ours(ratelimit.Config{Asks: true})(w, 0)
		if err != nil {
			panic(err)
		}
		if t, err := c.before(ctx); err == nil {
			c.after(ctx, t, w.send(rng, false))
		}
	}
}

// refusedInAll counts from the beginning, while the window is being learned.
func refusedInAll(r result) (string, bool) {
	_, refused := r.world.between(time.Time{}, r.world.end)
	return fmt.Sprintf("%d refused in all (<= 6)", refused), refused <= 6
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

// keepsShare wants at most 0.7 of the limit used, give or take a request.
func keepsShare(r result) (string, bool) { return "at most 70 % used", r.used < 0.705 }

func fails(ctx context.Context, w *world) {
	if sleep(ctx, 5*w.window) != nil {
		return
	}
	w.setFailing(true)
	w.mark()
	if sleep(ctx, 10*w.window) != nil {
		return
	}
	w.setFailing(false)
}

// probesOnly wants about one request a minute to a failing platform, and full use of
// it soon after it works again.
func probesOnly(r result) (string, bool) {
	from := r.world.marks[0]
	sent := 0
	var back time.Duration
	for _, e := range r.world.events {
		switch {
		case e.status == 503:
			sent++
		case back == 0 && e.at.After(from.Add(10*r.world.window)):
			back = e.at.Sub(from.Add(10 * r.world.window))
		}
	}
	return fmt.Sprintf("%d requests in 10 min (<= 20), used again after %.0f s (<= 65)", sent, back.Seconds()),
		sent <= 20 && back <= 65*time.Second
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

// tenAtOnce wants the tenth request to leave no later than a round trip and
// 50 ms after the first, which is what a limiter may cost.
func tenAtOnce(r result) (string, bool) {
	late := r.world.left[9].Sub(r.world.left[0])
	return fmt.Sprintf("the tenth left %d ms after the first (<= 850), whose answer took %d",
		late.Milliseconds(), r.world.heard.Sub(r.world.left[0]).Milliseconds()), late <= r.world.trips.longest+50*time.Millisecond
}

func TestGates(t *testing.T) {
	first, seeds := uint64(1), 1
	if *full {
		first, seeds = rand.Uint64N(1_000_000), 4
	}
	if *seed != 0 {
		first = *seed
	}
	if *times != 0 {
		seeds = *times
	}
	all := append(gates, alternatives...)
	results := make([][]result, len(all))
	t.Run("run", func(t *testing.T) {
		for i, g := range all {
			if !g.quick && !*full || !strings.Contains(g.name, *only) {
				continue
			}
			g.windows = cmp.Or(g.windows, 30)
			results[i] = make([]result, seeds)
			for n := range seeds {
				t.Run(fmt.Sprintf("%s/%d", g.name, first+uint64(n)), func(t *testing.T) {
					t.Parallel()
					db := redistest.Shared(t).Options()
					synctest.Test(t, func(t *testing.T) {
						var err error
						if results[i][n], err = g.run(t.Context(), db, first+uint64(n)); err != nil {
							t.Fatal(err)
						}
					})
				})
			}
		}
	})
	fmt.Printf("seeds %d to %d\n", first, first+uint64(seeds)-1)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "case\tused %\tof 1000 refused\tother refused %\tlongest wait\tcalls\t")
	for i, g := range all {
		if results[i] == nil || results[i][0].world == nil { // left out by a flag
			continue
		}
		if i == len(gates) {
			fmt.Fprintln(table, "FOR COMPARISON\t\t\t\t\t\t")
		}
		row, missed := g.judge(results[i])
		fmt.Fprintln(table, row)
		for _, m := range missed {
			t.Errorf("%s: missed: %s", g.name, m)
		}
	}
	table.Flush()
}

// judge sums the runs up in a row of the table and names the gates they miss.
func (g gate) judge(runs []result) (row string, missed []string) {
	var sum result
	for _, r := range runs {
		sum.used += r.used / float64(len(runs))
		sum.callsPer += r.callsPer / float64(len(runs))
		sum.longest = max(sum.longest, r.longest)
		sum.ours.add(r.ours)
		sum.others.add(r.others)
	}
	row = g.name
	cell := func(format string, value float64, sign string, limit float64) {
		text := fmt.Sprintf(format, value)
		if limit != 0 {
			text += fmt.Sprintf(" (%s %g)", sign, limit)
			if sign == ">=" && value < limit || sign == "<=" && value > limit {
				text += " !"
				missed = append(missed, text)
			}
		}
		row += "\t" + text
	}
	if g.idle {
		row += "\t"
	} else {
		cell("%.1f", 100*sum.used, ">=", 100*g.used)
	}
	cell("%.1f", sum.refusedPer1000(), "<=", g.refused)
	if g.scenario.other == nil {
		row += "\t"
	} else {
		cell("%.1f", 100*sum.otherRefused(), "<=", 100*g.other)
	}
	cell("%.2f", sum.longest, "<=", g.longest)
	cell("%.1f", sum.callsPer, "<=", g.calls)
	row += "\t"
	if g.check == nil {
		return row, missed
	}
	for i, r := range runs {
		note, ok := g.check(r)
		if !ok {
			missed = append(missed, note)
		}
		if i == 0 || !ok { // one stands for all, unless it fails
			row = row[:strings.LastIndexByte(row, '\t')+1] + note
		}
	}
	return row, missed
}
