// Package bench holds the benchmarks that print what the runner costs beside its
// baselines: bare encoding/csv, a task with a status hash for each contact, and
// requests without any record of them.
//
// All runs on one machine in one go, with the commands themselves; each figure is
// the median of several runs, and the baselines run between ours. Where other work
// disturbs the machine, time at the wall says little: processor time, which stands
// beside it, is what to go by. Redis's own is not in it.
package bench

import (
	"bufio"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

var (
	rows = flag.Int("rows", 1_000_000, "contacts of the list")
	runs = flag.Int("runs", 3, "runs of each measurement; the median counts")
	ten  = flag.Bool("ten-million", false, "load ten million rows as well")
)

// asynqShare is the part of the rows for which the task-per-row baseline is run;
// its time grows with the rows.
const asynqShare = 10

// A bench is a Redis, the built commands, and lists.
type bench struct {
	*testing.B
	dir    string
	server *redistest.Server
	rdb    *redis.Client
}

func BenchmarkRatios(b *testing.B) {
	t := &bench{B: b, dir: b.TempDir(), server: redistest.Start(b)}
	t.rdb = t.server.Client()
	t.build("enqueue", "campaign")
	intl, local := t.list("+9665", *rows), t.list("05", *rows)

	indexed := "WEBHOOK_URL=https://example.org"
	var bare, fastest, e164, withIndex, national, perRow []cost
	exports := map[string][]cost{"csv": nil, "jsonl": nil, "xlsx": nil}
	var workbook, firstByte []cost
	var ours, oursIndexed, theirs int64
	for range *runs {
		bare, fastest = append(bare, t.readBare(intl, false)), append(fastest, t.readBare(intl, true))

		before := t.memory()
		e164, ours = append(e164, t.enqueue(intl, "list")), t.memory()-before
		t.flush()
		national = append(national, t.enqueue(local, "list"))
		t.flush()

		before = t.memory()
		withIndex, oursIndexed = append(withIndex, t.enqueue(intl, "list", indexed)), t.memory()-before
		for format := range exports {
			exports[format] = append(exports[format], t.run("campaign", nil, "results", "list", "-o", filepath.Join(t.dir, "results."+format)))
		}
		firstByte = append(firstByte, t.firstByte("results", "list", "-o"))
		t.flush()
		workbook = append(workbook, t.enqueue(filepath.Join(t.dir, "results.xlsx"), "list"))
		t.flush()

		before = t.memory()
		perRow = append(perRow, t.taskPerRow(*rows/asynqShare).times(asynqShare))
		theirs = asynqShare * (t.memory() - before)
		t.flush()
	}

	n := float64(*rows)
	fmt.Printf("\n%d rows, medians of %d runs; task per row measured for 1/%d of them\n", *rows, *runs, asynqShare)
	t.line("encoding/csv alone", "%v; into one record, used again, %v", median(bare), median(fastest))
	t.line("load, numbers in E.164", "%v, %v encoding/csv, %v into one record (want at most 2.5×)", median(e164), per(e164, bare), per(e164, fastest))
	t.line("load, local numbers", "%v, %v E.164 (want at most 3×)", median(national), per(national, e164))
	t.line("load with index", "%v, %v E.164", median(withIndex), per(withIndex, e164))
	t.line("load of these results, xlsx", "%v, %v the list (want at most 15s a million)", median(workbook), per(workbook, e164))
	t.line("a task per row", "%v, %v our load (want at least 10×)", median(perRow), per(perRow, e164))
	t.line("Redis, ours", "%.0f B a contact, %.0f with index", float64(ours)/n, float64(oursIndexed)/n)
	t.line("Redis, task and hash", "%.0f B a contact, %.1f× ours with index (want at least 10×)", float64(theirs)/n, float64(theirs)/float64(oursIndexed))
	for _, format := range slices.Sorted(maps.Keys(exports)) {
		t.line("results as "+format, "%v, %v those as CSV (want at most 4s a million)", median(exports[format]), per(exports[format], exports["csv"]))
	}
	t.line("first byte of a workbook", "%v (want at most 1s)", median(firstByte))
	if *ten {
		t.flush()
		list := t.list("+9665", 10*(*rows))
		for _, load := range []struct {
			what string
			one  []cost
			env  []string
		}{{"ten times the rows", e164, nil}, {"ten times, with index", withIndex, []string{indexed}}} {
			long := []cost{t.enqueue(list, "long", load.env...)}
			t.line(load.what, "%v, %v one (want at most 11×, peak below 1024 MB)", long[0], per(long, load.one))
			t.line("results of that", "%v", t.run("campaign", nil, "results", "long", "-o", filepath.Join(t.dir, "results.csv")))
			t.flush()
		}
	}
	b.ReportMetric(ratio(median(e164).wall, median(bare).wall), "load/csv")
}

func (t *bench) line(what, format string, args ...any) {
	fmt.Printf("%-28s %s\n", what, fmt.Sprintf(format, args...)) // a benchmark's log is cut after ten lines
}

// build builds commands into the bench's folder.
// With -before it builds those of that checkout, too.
func (t *bench) build(commands ...string) {
	t.buildFrom("", "", commands...)
	if *before != "" {
		t.buildFrom(*before, earlier, commands...)
	}
}

var before = flag.String("before", "", "`folder` of an earlier checkout, whose commands are measured in between")

// earlier is the folder of the commands of that checkout.
const earlier = "before"

// commandsOf returns the folders of the commands to be measured, by version.
func (t *bench) commandsOf() map[string]string {
	versions := map[string]string{"now": t.dir}
	if *before != "" {
		versions[earlier] = filepath.Join(t.dir, earlier)
	}
	return versions
}

// buildFrom builds commands of another checkout into a folder of the bench's.
func (t *bench) buildFrom(checkout, folder string, commands ...string) {
	for _, name := range commands {
		cmd := exec.Command("go", "build", "-o", filepath.Join(t.dir, folder, name), "campaign-runner/cmd/"+name)
		cmd.Dir = checkout
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
}

// list writes a list of n numbers and four values each. The numbers are as
// scattered as those of people, all different, and the same in every run.
func (t *bench) list(prefix string, n int) string {
	path := filepath.Join(t.dir, fmt.Sprintf("%s-%d.csv", strings.Trim(prefix, "+"), n))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "phone,name,company,city,order_id")
	for i := range n {
		fmt.Fprintf(w, "%s%08d,محمد العتيبي %d,شركة النور,Riyadh,A-%d\n", prefix, scattered(i), i%1000, i)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// scattered is a number of eight digits, another for each i below 100,000,000:
// the factor has no divisor in common with that.
func scattered(i int) int { return i * 61_803_399 % 100_000_000 }

// A cost is what something took of a process.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes of memory; 0: not asked
}

func (c cost) String() string {
	text := fmt.Sprintf("%v (processor %v)", c.wall.Round(10*time.Millisecond), c.cpu.Round(10*time.Millisecond))
	if c.peak > 0 {
		text += fmt.Sprintf(", peak %d MB", c.peak>>20)
	}
	return text
}

func (c cost) times(n time.Duration) cost { return cost{wall: n * c.wall, cpu: n * c.cpu} }

// measured is what do takes of this process.
func measured(do func()) cost {
	used := func() time.Duration {
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails on bad arguments only
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	began, before := time.Now(), used()
	do()
	return cost{wall: time.Since(began), cpu: used() - before}
}

// readBare reads a list with encoding/csv, in its plain or its fastest use.
func (t *bench) readBare(path string, reuse bool) cost {
	return measured(func() { t.readAll(path, reuse) })
}

func (t *bench) readAll(path string, reuse bool) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = reuse
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// enqueue loads a list with the command, which releases it as well.
func (t *bench) enqueue(list, name string, env ...string) cost {
	return t.run("enqueue", env, list, "--name", name, "--channel", "voice", "--phone-column", "phone", "--region", "SA", "--skip-preflight", "--json")
}

// run runs a command to its end.
func (t *bench) run(command string, env []string, args ...string) cost {
	t.Helper()
	cmd := t.command(command, env, args...)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	c := cost{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.peak = usage.Maxrss << 10 // kilobytes on Linux
	}
	return c
}

// firstByte is how long campaign takes until something of a workbook comes out of it.
func (t *bench) firstByte(args ...string) cost {
	pipe := filepath.Join(t.dir, "pipe.xlsx")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(pipe)
	cmd := t.command("campaign", nil, append(args, pipe)...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	_, first := io.ReadFull(out, make([]byte, 1))
	took := time.Since(began)
	_, rest := io.Copy(io.Discard, out)
	if err := errors.Join(first, rest, cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	return cost{wall: took}
}

func (t *bench) command(command string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(t.dir, command), args...)
	cmd.Env = append([]string{"REDIS_URL=" + t.server.URL(), "VELENTS_TOKEN=bench", "HOME=" + t.dir, "TMPDIR=" + t.dir}, env...)
	return cmd
}

// taskPerRow is what is compared with: for each contact an asynq task with its
// number and values, by 32 goroutines, and a hash of its status.
func (t *bench) taskPerRow(n int) cost {
	ctx := t.Context()
	client := asynq.NewClientFromRedisClient(t.rdb)
	began := time.Now()
	took := measured(func() {
		var all sync.WaitGroup
		for g := range 32 {
			all.Go(func() {
				for i := g; i < n; i += 32 {
					payload := fmt.Appendf(nil, `{"campaign":"list","phone":"+9665%08d","values":{"name":"محمد العتيبي %d","company":"شركة النور","city":"Riyadh","order_id":"A-%d"}}`, scattered(i), i%1000, i)
					if _, err := client.EnqueueContext(ctx, asynq.NewTask("send", payload)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	})
	for part := range slices.Chunk(make([]struct{}, n), 1000) {
		_, err := t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range part {
				n--
				p.HSet(ctx, fmt.Sprintf("contact:list:+9665%08d", n), "state", "pending", "attempts", 0, "updated_at", began.Unix())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return took
}

func (t *bench) memory() (used int64) {
	for line := range strings.Lines(t.rdb.Info(t.Context(), "memory").Val()) {
		_, _ = fmt.Sscanf(line, "used_memory:%d", &used)
	}
	return used
}

func (t *bench) flush() {
	if err := t.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// median is what the run took that lies in the middle by the wall, with the
// processor time in the middle and the highest peak.
func median(runs []cost) cost {
	var walls, cpus []time.Duration
	var m cost
	for _, c := range runs {
		walls, cpus, m.peak = append(walls, c.wall), append(cpus, c.cpu), max(m.peak, c.peak)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	m.wall, m.cpu = walls[len(walls)/2], cpus[len(cpus)/2]
	return m
}

// per tells how many times as much one thing takes as another.
func per(a, b []cost) string {
	x, y := median(a), median(b)
	return fmt.Sprintf("%.1f× (processor %.1f×)", ratio(x.wall, y.wall), ratio(x.cpu, y.cpu))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
