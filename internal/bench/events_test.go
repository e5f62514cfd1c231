package bench

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/sandbox"
)

var (
	told   = flag.Int("events", 84_000, "events that the platform posts, about")
	posts  = flag.Int("posts", 16, "events that the platform posts at a time")
	before = flag.String("before", "", "`folder` of an earlier checkout, whose commands are measured beside ours")
)

// earlier is the folder of the commands that -before builds.
const earlier = "before/"

// eventsPerContact is how many the sandbox posts in the mean: four, or three where the
// agent learned nothing.
const eventsPerContact = 3.8

// lookEvery is the time between two looks at how far a worker is: each costs it some
// milliseconds.
const lookEvery = 100 * time.Millisecond

// BenchmarkEvents lets a platform on the same machine post its events as fast as they are
// taken, with everything written to disk before it counts, and tells how many are applied
// in a second from the first to the last.
func BenchmarkEvents(b *testing.B) {
	t := &bench{B: b, dir: b.TempDir(), server: redistest.Start(b, "--appendonly", "yes", "--appendfsync", "always")}
	t.rdb = t.server.Client()
	t.build("enqueue", "campaign", "worker", "sandbox")
	if *before != "" {
		t.buildFrom(*before, earlier, "enqueue", "campaign", "worker")
	}
	list := t.list("+9665", int(float64(*told)/eventsPerContact))
	for _, mode := range []string{"batch", "dispatch"} {
		b.Run(mode, func(b *testing.B) { t.compareEvents(b, list, mode) })
	}
}

func (t *bench) compareEvents(b *testing.B, list, mode string) {
	var ours, theirs []telling
	for range *runs {
		ours = append(ours, t.tell(list, mode, ""))
		if *before != "" {
			theirs = append(theirs, t.tell(list, mode, earlier))
		}
	}
	rate := middle(ours, telling.rate)
	fmt.Printf("\n%d events as fast as they are posted, %d at a time, appendfsync always, medians of %d runs\n", *told, *posts, *runs)
	t.line(mode+" mode", "%.0f events/s (want at least 8,000); %s", rate, tellingOf(ours))
	b.ReportMetric(rate, "events/s")
	if len(theirs) > 0 {
		was := middle(theirs, telling.rate)
		t.line("before", "%.0f events/s; %s", was, tellingOf(theirs))
		t.line("", "%.1f× before", rate/was)
		b.ReportMetric(rate/was, "of-before")
	}
}

// A telling is what the events of one campaign took.
type telling struct {
	events                  int
	coming, after           time.Duration // from the first applied until the last was posted, and from there to the last applied
	early                   int           // of them applied while others still came in
	worker, redis, platform time.Duration // of processor, per event
	commands                float64       // of Redis, per event
}

func (e telling) rate() float64 { return float64(e.events) / (e.coming + e.after).Seconds() }

// middle is the median of a figure.
func middle(all []telling, of func(telling) float64) float64 {
	var figures []float64
	for _, e := range all {
		figures = append(figures, of(e))
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func tellingOf(all []telling) string {
	micros := func(of func(telling) time.Duration) float64 {
		return middle(all, func(e telling) float64 { return float64(of(e)) / 1000 })
	}
	return fmt.Sprintf("%.0f/s while they came in; an event takes %.0f µs of the worker, %.0f of Redis, %.0f of the platform, and %.1f Redis commands; two busy cores would apply %.0f/s",
		middle(all, func(e telling) float64 { return float64(e.early) / e.coming.Seconds() }),
		micros(func(e telling) time.Duration { return e.worker }), micros(func(e telling) time.Duration { return e.redis }),
		micros(func(e telling) time.Duration { return e.platform }), middle(all, func(e telling) float64 { return e.commands }),
		2e6/micros(func(e telling) time.Duration { return e.worker + e.redis + e.platform }))
}

// tell sends a list to a platform that tells of every conversation, with the commands in
// a folder below t.dir. It fails unless the ledger says that all contacts have ended, and
// no event is left, lost, or nobody's.
func (t *bench) tell(list, mode, folder string) (e telling) {
	t.flush()
	inbox, admin := freeAddr(t), freeAddr(t)
	env := []string{"WEBHOOK_URL=http://" + inbox, "WEBHOOK_SECRET=bench"}
	t.run(folder+"enqueue", env, list, "--name", "send", "--channel", "voice", "--region", "SA", "--skip-preflight", "--mode", mode)
	platform := t.platform("--webhooks", "--webhook-concurrency", strconv.Itoa(*posts))
	redisBefore, commandsBefore := t.redisCPU(), t.redisCommands()
	worker := t.start(folder+"worker", append(env, "VELENTS_URL="+platform.url), "--rate", "none", "--admin-addr", admin, "--webhook-addr", inbox, "--log-level", "error")

	st := store.New(t.rdb)
	var stats sandbox.Stats
	var began, posted time.Time
	first, done := 0, false
	for deadline := time.Now().Add(10 * time.Minute); !done; time.Sleep(lookEvery) {
		sent, applied := stats.EventsSent, appliedBy(admin)
		platform.get("/sandbox/stats", &stats)
		if began.IsZero() && applied > 0 {
			began, first = time.Now(), applied
		}
		if stats.EventsSent > sent {
			posted, e.early = time.Now(), applied-first
		}
		tally, err := st.Tally(t.Context(), "send")
		if err != nil {
			t.Fatal(err)
		}
		done = stats.Numbers > 0 && tally.States[campaign.Ended] == stats.Numbers && applied == stats.EventsSent
		if stats.EventsFailed+stats.EventsDropped > 0 || time.Now().After(deadline) {
			t.Fatalf("%+v, %d applied, %+v", stats, applied, tally.States)
		}
	}
	e.events, e.coming, e.after = stats.EventsSent, posted.Sub(began), time.Since(posted)
	each := time.Duration(e.events)
	e.redis, e.commands = (t.redisCPU()-redisBefore)/each, float64(t.redisCommands()-commandsBefore)/float64(e.events)
	e.worker, _ = worker.stop(e.events)
	e.platform, _ = platform.stop(e.events)
	t.run(folder+"campaign", nil, "verify", "send")
	return e
}

// appliedBy is how many events a worker has applied, by its metrics.
func appliedBy(admin string) (events int) {
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return 0 // it has not started yet
	}
	defer res.Body.Close()
	page, _ := io.ReadAll(res.Body)
	for line := range strings.Lines(string(page)) {
		_, _ = fmt.Sscanf(line, `campaign_runner_events_total{result="applied"} %d`, &events)
	}
	return events
}

// redisCommands is how many commands Redis has carried out, those of scripts included.
func (t *bench) redisCommands() (n int) {
	for line := range strings.Lines(t.rdb.Info(t.Context(), "stats").Val()) {
		_, _ = fmt.Sscanf(line, "total_commands_processed:%d", &n)
	}
	return n
}
