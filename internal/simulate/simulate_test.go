//go:build simulate

// Package simulate plays schedules of faults against the real code, thousands of them, in
// virtual time and one process: workers, asynq, the store, the quota, events and the
// sandbox, over links that can be cut, held, slowed and made to lose answers. Redis is
// miniredis, so its scripts are the real ones.
//
// A schedule follows from its seed. What goes wrong is drawn from decks of cards, and so is
// what people do meanwhile. A monitor of its own judges every change of a ledger and every
// contact that the platform reaches; when all is over, every contact is compared with the
// platform's ledger.
//
// It is behind the build tag simulate: run it with make simulate.
package simulate

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/child"
)

var (
	seeds = flag.Int("simulate.seeds", 200, "how many schedules")
	first = flag.Uint64("simulate.seed", 1, "the first of them")
	only  = flag.String("simulate.kind", "", "play only seeds of this kind, such as remembered")
	whole = flag.Bool("simulate.trace", false, "print all that happened")
)

// repeats is how often a seed that fails is played again; enough failing end the test. With
// -failfast the first one does.
var repeats, enough = 4, 3

// alone is set in the process that plays one schedule.
const alone = "SIMULATE_ALONE"

var (
	failing struct {
		sync.Mutex
		lines []string // one a seed: what went wrong first
	}
	worked atomic.Int64 // nanoseconds of processor time
)

func failed() int {
	failing.Lock()
	defer failing.Unlock()
	return len(failing.lines)
}

// A schedule takes some seconds of processor time. If it takes maxWork, it ends with what all
// goroutines do. One that waits for ever, so that no virtual time passes, is killed after tooLong.
const (
	maxWork = time.Minute
	tooLong = time.Hour
)

// TestSimulate plays each schedule in a process of its own. Libraries keep timers in pools,
// which must not get from one virtual time into another, and a run on one processor is
// repeated more exactly.
func TestSimulate(t *testing.T) {
	if os.Getenv(alone) != "" {
		t.Skip("this process plays one schedule")
	}
	if *only != "" && !slices.Contains(kinds[:], *only) {
		t.Fatalf("no such kind: %s", *only)
	}
	if flag.Lookup("test.failfast").Value.String() == "true" {
		repeats, enough = 0, 1
	}
	began := time.Now()
	next := make(chan uint64)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			runtime.LockOSThread() // the children end with it
			for seed := range next {
				playAlone(t, seed)
			}
		})
	}
	played := 0
	for seed := *first; played < *seeds && failed() < enough; seed++ {
		if *only == "" || *only == kinds[planOf(seed).kind] {
			next <- seed
			played++
		}
	}
	close(next)
	all.Wait()
	t.Logf("%d schedules from seed %d on in %v; %.2f s of processor time each",
		played, *first, time.Since(began).Round(time.Second), time.Duration(worked.Load()).Seconds()/float64(played))
	for _, line := range failing.lines {
		t.Log(line) // again: the end of a long output is what is read first
	}
}

// playAlone plays a seed, and one that fails several times more, to say how surely it
// fails.
func playAlone(t *testing.T, seed uint64) {
	text, err := playOnce(seed)
	if err == nil {
		for line := range strings.Lines(text) {
			if at := strings.Index(line, "seed "); at >= 0 && !*whole {
				t.Log(strings.TrimSpace(line[at:]))
			}
		}
		if *whole {
			t.Log(text)
		}
		return
	}
	again := 0
	for range repeats {
		if _, err := playOnce(seed); err != nil {
			again++
		}
	}
	t.Errorf("seed %d: %v; played again it fails %d of %d times\nto repeat: make simulate SEED=%d\n%s", seed, err, again, repeats, seed, text)
	failing.Lock()
	defer failing.Unlock()
	failing.lines = append(failing.lines, fmt.Sprintf("seed %d failed, and %d of %d times again: %s", seed, again, repeats, firstFault(text)))
}

// wrong stands before what a schedule found.
const wrong = "wrong: "

// firstFault is the first of what a schedule found; one that found nothing did not end.
func firstFault(text string) string {
	for line := range strings.Lines(text) {
		if _, text, found := strings.Cut(line, wrong); found {
			return strings.TrimSpace(text)
		}
	}
	return "it did not come to its end"
}

func playOnce(seed uint64) (text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSchedule$", "-test.v", fmt.Sprintf("-simulate.seed=%d", seed), fmt.Sprintf("-simulate.trace=%t", *whole))
	cmd.Env = append(os.Environ(), alone+"=1", "GOMAXPROCS=1", "GOGC=400")
	cmd.SysProcAttr = child.EndWithParent()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil {
		worked.Add(int64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()))
	}
	return string(out), err
}

// silence takes what go-redis says of each lost connection.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// today is when schedules begin.
var today = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// endAfter ends this process when it has worked for so long.
func endAfter(t *testing.T, work time.Duration) {
	worked := make(chan os.Signal, 1)
	signal.Notify(worked, syscall.SIGXCPU)
	go func() {
		<-worked
		_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)
		os.Exit(1)
	}()
	if err := syscall.Setrlimit(syscall.RLIMIT_CPU, &syscall.Rlimit{Cur: uint64(work.Seconds()), Max: uint64(2 * work.Seconds())}); err != nil {
		t.Fatal(err)
	}
}

// TestSchedule plays the schedule of one seed.
func TestSchedule(t *testing.T) {
	if os.Getenv(alone) == "" {
		t.Skip("TestSimulate plays each schedule in a process of its own")
	}
	endAfter(t, maxWork)
	redis.SetLogger(silence{})
	began := time.Now()
	var w *world
	var lasted time.Duration
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(today)) // events tell nothing of years before the platform's
		from := time.Now()
		cryptotest.SetGlobalRandom(t, *first)
		var stop func()
		w, stop = newWorld(t, planOf(*first))
		defer stop()
		w.play()
		if !w.isWrong() {
			w.settle()
		}
		if !w.isWrong() {
			w.audit()
		}
		lasted = time.Since(from)
	})
	st := w.platform.sandbox.Stats()
	t.Logf("seed %d, %s: %d strokes, %d lives, %d losses; %d requests, %d numbers reached, %d climbs, %d begins with approval; %d commands, %d changes, digest %08x; %.1f virtual minutes in %.1f s",
		w.plan.seed, kinds[w.plan.kind], len(w.plan.strokes), len(w.all), w.losses, st.Requests, st.Numbers, w.monitor.climbed, w.monitor.approved,
		w.redis.commands, w.monitor.changes, uint32(w.redis.digest), lasted.Minutes(), time.Since(began).Seconds())
	for _, text := range w.wrong {
		t.Error(wrong + text)
	}
	if len(w.wrong) > 0 || *whole {
		t.Log("\n" + w.trace.about(w.wrong))
	}
}

// about is what happened: all of it, or what concerns those numbers that are named in
// texts, with what went wrong around them.
func (t *trace) about(texts []string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b bytes.Buffer
	for _, line := range t.lines {
		if *whole || concerns(line, texts) {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func concerns(line string, texts []string) bool {
	if !strings.Contains(line, "…") && !strings.Contains(line, "platform answers") {
		return true
	}
	for _, text := range texts {
		if at := strings.Index(text, "+96650"); at >= 0 && strings.Contains(line, text[at+9:at+13]) {
			return true
		}
	}
	return false
}
