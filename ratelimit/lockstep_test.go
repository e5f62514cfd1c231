package ratelimit

import (
	"cmp"
	"context"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"campaign-runner/internal/redistest"
)

// The script reads its clock from a key, so that a test can set it.
var timedScript = redis.NewScript(strings.Replace(scriptText, "redis.call('TIME')", "redis.call('HMGET', 'time', 's', 'us')", 1))

func TestScriptDecidesAsTheCoreDoes(t *testing.T) {
	mini := miniredis.RunT(t)
	servers := map[string]*redis.Client{
		"redis":     redistest.Shared(t),
		"miniredis": redis.NewClient(&redis.Options{Addr: mini.Addr()}),
	}
	t.Cleanup(func() { servers["miniredis"].Close() })
	for name, rdb := range servers {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { lockstep(t, rdb) })
		})
	}
}

// lockstep drives the core and the script with the same random calls and wants
// the same answers and the same state after each.
func lockstep(t *rapid.T, rdb *redis.Client) {
	ctx := context.Background()
	p := policies.Draw(t, "policy")
	script := &sharedBook{rdb: rdb, key: "quota:x", script: timedScript, policy: p}
	if err := rdb.Del(ctx, script.key).Err(); err != nil {
		t.Fatal(err)
	}
	var core state
	now := int64(1_700_000_000_000)
	permits := []Permit{{state: 1, serial: 1}} // of a state that was lost
	var want reply

	m := calm
	for call := range rapid.IntRange(1, 120).Draw(t, "calls") {
		if call%20 == 0 {
			m = rapid.SampledFrom([]mood{calm, shared, shared, failing, anything}).Draw(t, "mood")
		}
		now += steps(p, want.Wait).Draw(t, "after")
		if err := rdb.HSet(ctx, "time", "s", now/1000, "us", now%1000*1000+999).Err(); err != nil {
			t.Fatal(err)
		}

		var got reply
		var err error
		var decide func() reply
		peer := rapid.Int64Range(1, 4).Draw(t, "peer")
		if rapid.Bool().Draw(t, "report") {
			all := make([]told, rapid.SampledFrom([]int{1, 1, 1, 2, 3, 20}).Draw(t, "told at once"))
			for i := range all {
				all[i] = told{recent(permits).Draw(t, "permit"), outcomes(m, core.limit(p), core.limit(p)-core.used()).Draw(t, "outcome")}
			}
			got, err = script.callReport(ctx, peer, all)
			decide = func() reply { return core.report(now, p, peer, all) }
		} else {
			a := ask{
				Peer:   peer,
				Waited: rapid.SampledFrom([]int64{0, 0, 10, 5000, 100_000}).Draw(t, "waited"),
				Want:   rapid.SampledFrom([]int64{1, 1, 2, 20}).Draw(t, "want"),
			}
			got, err = script.callAcquire(ctx, a)
			decide = func() reply { return core.acquire(now, p, a) }
		}
		if err != nil {
			t.Fatal(err)
		}
		stored, _, err := script.look(ctx)
		if err != nil {
			t.Fatal(err)
		}
		core.ID = cmp.Or(core.ID, stored.ID) // the script's choice
		want = decide()
		for i := range want.Permits {
			granted := want.Permit
			granted.serial += i
			permits = append(permits, granted)
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(Permit{})); diff != "" {
			t.Fatalf("answers, core -, script +:\n%s", diff)
		}
		if diff := gocmp.Diff(core, stored, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("state, core -, script +:\n%s", diff)
		}
	}
}

var policies = rapid.Custom(func(t *rapid.T) policy {
	return policy{
		Limit:   rapid.SampledFrom([]int64{0, 1, 2, 30, 30, 30, 595, 1000}).Draw(t, "limit"),
		Window:  rapid.SampledFrom([]int64{1_000, 2_500, 60_000, 60_000, 60_000, 86_400_000}).Draw(t, "window"),
		Asks:    rapid.IntRange(0, 4).Draw(t, "asks") == 0,
		Share:   rapid.SampledFrom([]int64{1000, 1000, 700, 1}).Draw(t, "share"),
		Timeout: rapid.SampledFrom([]int64{1_000, 75_000, 75_000}).Draw(t, "timeout"),
		Burst:   rapid.SampledFrom([]int64{0, 0, 1}).Draw(t, "burst"),
	}
})

// steps of time are often just what a decision turns on, or one off.
func steps(p policy, wait int64) *rapid.Generator[int64] {
	bounds := []int64{
		wait, wait, wait, lateness, batchAhead, wait + lateness, p.Timeout,
		p.Window, p.Window / 3, p.Window / 6, p.Window / 60, p.Window / 500, 2 * p.Window,
	}
	return rapid.OneOf(
		rapid.Int64Range(0, 500),
		rapid.Custom(func(t *rapid.T) int64 {
			return rapid.SampledFrom(bounds).Draw(t, "bound") + rapid.Int64Range(-1, 1).Draw(t, "off")
		}),
		rapid.Custom(func(t *rapid.T) int64 { // clocks are set, failovers go back
			return rapid.SampledFrom([]int64{0, 0, 0, -2000, -3 * p.Window, p.Window}).Draw(t, "jump")
		}),
	)
}

func recent(permits []Permit) *rapid.Generator[Permit] {
	return rapid.OneOf(
		rapid.SampledFrom(permits[max(0, len(permits)-4):]),
		rapid.SampledFrom(permits),
	)
}

// A mood is what a server answers for a while: mostly near to what is believed.
type mood int

const (
	calm mood = iota
	shared
	failing
	anything
)

func outcomes(m mood, limit, left int64) *rapid.Generator[outcome] {
	return rapid.Custom(func(t *rapid.T) outcome {
		o := outcome{Counted: true, Answered: true, Limit: limit}
		switch m {
		case calm:
			o.Remaining = left + rapid.Int64Range(-1, 3).Draw(t, "off")
		case shared:
			o.Limit = rapid.SampledFrom([]int64{10, 10, 10, 10, limit, 60}).Draw(t, "limit")
			o.Remaining = left - rapid.Int64Range(0, 2).Draw(t, "taken")
			if rapid.IntRange(0, 4).Draw(t, "opened") == 0 {
				o.Remaining = o.Limit - rapid.Int64Range(1, 4).Draw(t, "counted")
			}
		case failing:
			o.Failed = rapid.IntRange(0, 9).Draw(t, "failed") > 0
			o.Counted = rapid.Bool().Draw(t, "counted")
			o.Limit = 0
		case anything:
			o = outcome{
				Counted:    rapid.Bool().Draw(t, "counted"),
				Answered:   rapid.Bool().Draw(t, "answered"),
				Failed:     rapid.Bool().Draw(t, "failed"),
				Refused:    rapid.Bool().Draw(t, "refused"),
				Held:       rapid.IntRange(0, 4).Draw(t, "held") == 0,
				Lost:       rapid.IntRange(0, 4).Draw(t, "lost") == 0,
				RetryAfter: rapid.SampledFrom([]int64{0, 1000, 1001, 8_000, 51_000, 90_000, 601_000, 602_000}).Draw(t, "retry after"),
				Limit:      rapid.SampledFrom([]int64{0, 1, 10, 30, 1000}).Draw(t, "limit"),
				Remaining:  rapid.Int64Range(0, 1000).Draw(t, "remaining"),
			}
		}
		o.Remaining = min(max(0, o.Remaining), o.Limit)
		return o
	})
}
