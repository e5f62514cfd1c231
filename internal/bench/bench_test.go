// Package bench holds the benchmarks that print what the runner costs beside its
// baselines: bare encoding/csv, a task with a status hash for each contact, and
// requests of which nothing is written down.
//
// All runs on one machine in one go, with the commands themselves; each figure is
// the median of several runs, and the baselines run between ours.
package bench

import (
	"bufio"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
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
	runs = flag.Int("runs", 3, "runs of each measurement, of which the median counts")
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

	var bare, e164, national, perRow, export []time.Duration
	var ours, theirs, peak, exportPeak int64
	for range *runs {
		bare = append(bare, t.readBare(intl))

		before := t.memory()
		took, most := t.enqueue(intl, "list", "WEBHOOK_URL=https://example.org")
		e164, peak, ours = append(e164, took), max(peak, most), t.memory()-before
		took, most = t.run("campaign", nil, "results", "list", "-o", filepath.Join(t.dir, "results.csv"))
		export, exportPeak = append(export, took), max(exportPeak, most)
		t.flush()

		took, _ = t.enqueue(local, "list")
		national = append(national, took)
		t.flush()

		before = t.memory()
		perRow = append(perRow, asynqShare*t.taskPerRow(*rows/asynqShare))
		theirs = asynqShare * (t.memory() - before)
		t.flush()
	}

	n := float64(*rows)
	fmt.Printf("\n%d rows, medians of %d runs; task per row measured for 1/%d of them\n", *rows, *runs, asynqShare)
	t.line("encoding/csv alone", "%v", round(median(bare)))
	t.line("load, numbers in E.164", "%v, %.1f× encoding/csv (want at most 4×)", round(median(e164)), ratio(median(e164), median(bare)))
	t.line("load, local numbers", "%v, %.1f× E.164 (want at most 3×)", round(median(national)), ratio(median(national), median(e164)))
	t.line("a task per row", "%v, %.1f× our load (want at least 10×)", round(median(perRow)), ratio(median(perRow), median(e164)))
	t.line("Redis, ours with index", "%.0f B a contact", float64(ours)/n)
	t.line("Redis, task and hash", "%.0f B a contact, %.1f× ours (want at least 10×)", float64(theirs)/n, float64(theirs)/float64(ours))
	t.line("peak memory of enqueue", "%d MB", peak>>20)
	t.line("results of all", "%v, peak %d MB (want at most 10s a million)", round(median(export)), exportPeak>>20)
	if *ten {
		took, most := t.enqueue(t.list("+9665", 10*(*rows)), "long")
		t.line("load of ten times the rows", "%v, %.1f× one (want at most 11×), peak %d MB (want below 1024)", round(took), ratio(took, median(e164)), most>>20)
	}
	b.ReportMetric(ratio(median(e164), median(bare)), "load/csv")
}

func (t *bench) line(what, format string, args ...any) {
	fmt.Printf("%-28s %s\n", what, fmt.Sprintf(format, args...)) // a benchmark's log is cut after ten lines
}

// build builds commands into the bench's folder.
func (t *bench) build(commands ...string) {
	for _, name := range commands {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(t.dir, name), "campaign-runner/cmd/"+name).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
}

// list writes a list of n numbers and four values each.
func (t *bench) list(prefix string, n int) string {
	path := filepath.Join(t.dir, fmt.Sprintf("%s-%d.csv", strings.Trim(prefix, "+"), n))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "phone,name,company,city,order_id")
	for i := range n {
		fmt.Fprintf(w, "%s%08d,محمد العتيبي %d,شركة النور,Riyadh,A-%d\n", prefix, i, i%1000, i)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// readBare reads a list with encoding/csv at its fastest.
func (t *bench) readBare(path string) time.Duration {
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return time.Since(began)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// enqueue loads a list with the command, which releases it as well.
func (t *bench) enqueue(list, name string, env ...string) (took time.Duration, peakBytes int64) {
	return t.run("enqueue", env, list, "--name", name, "--channel", "voice", "--region", "SA", "--skip-preflight", "--json")
}

// run runs a command to its end.
func (t *bench) run(command string, env []string, args ...string) (took time.Duration, peakBytes int64) {
	t.Helper()
	cmd := t.command(command, env, args...)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	took = time.Since(began)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peakBytes = usage.Maxrss << 10 // kilobytes on Linux
	}
	return took, peakBytes
}

func (t *bench) command(command string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(t.dir, command), args...)
	cmd.Env = append([]string{"REDIS_URL=" + t.server.URL(), "VELENTS_TOKEN=bench", "HOME=" + t.dir, "TMPDIR=" + t.dir}, env...)
	return cmd
}

// taskPerRow is what is compared with: for each contact an asynq task with its
// number and values, by 32 goroutines, and a hash of its status.
func (t *bench) taskPerRow(n int) time.Duration {
	ctx := t.Context()
	client := asynq.NewClientFromRedisClient(t.rdb)
	began := time.Now()
	var all sync.WaitGroup
	for g := range 32 {
		all.Go(func() {
			for i := g; i < n; i += 32 {
				payload := fmt.Appendf(nil, `{"campaign":"list","phone":"+9665%08d","values":{"name":"محمد العتيبي %d","company":"شركة النور","city":"Riyadh","order_id":"A-%d"}}`, i, i%1000, i)
				if _, err := client.EnqueueContext(ctx, asynq.NewTask("send", payload)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
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

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
