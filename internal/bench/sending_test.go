package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/sandbox"
)

const (
	batchRows = 500 // contacts of a request, as by default
	inFlight  = 4   // requests at once, as a worker makes by default

	// dispatchShare is the part of the rows that is sent one by one as well.
	dispatchShare = 20
)

// BenchmarkSending sends a list to a platform without a limit on the same
// machine, with everything written to disk before it counts, and tells what the
// worker, Redis and the platform take of the processor. The baselines are the same
// requests to the same platform with nothing written down, and a task for each contact.
func BenchmarkSending(b *testing.B) {
	t := &bench{B: b, dir: b.TempDir(), server: redistest.Start(b, "--appendonly", "yes", "--appendfsync", "always")}
	t.rdb = t.server.Client()
	t.build("enqueue", "campaign", "worker", "sandbox")
	if *before != "" {
		t.buildFrom(*before, earlier, "enqueue", "campaign", "worker")
	}
	many, few := t.list("+9665", *rows), t.list("+9665", *rows/dispatchShare)
	var batch, unrecorded, dispatch, perTask, oldBatch, oldUnrecorded, oldDispatch []sending
	for range *runs {
		batch = append(batch, t.send("", many, *rows, "batch"))
		unrecorded = append(unrecorded, t.send("", many, *rows, "batch", "--no-record"))
		dispatch = append(dispatch, t.send("", few, *rows/dispatchShare, "dispatch"))
		if *before != "" {
			oldBatch = append(oldBatch, t.send(earlier, many, *rows, "batch"))
			oldUnrecorded = append(oldUnrecorded, t.send(earlier, many, *rows, "batch", "--no-record"))
			oldDispatch = append(oldDispatch, t.send(earlier, few, *rows/dispatchShare, "dispatch"))
		}
		perTask = append(perTask, t.sendByTasks(*rows/dispatchShare))
	}
	bare := t.sendBare(*rows) // last: it fills our memory, which a process that is started is charged for

	fmt.Printf("\nsending %d contacts without a limit, appendfsync always, %d cores, medians of %d runs\n", *rows, runtime.NumCPU(), *runs)
	t.line("bare requests", "%.0f contacts/s", bare)
	t.show("batch mode", batch, oldBatch)
	t.line("", "%.2f× bare requests (want at least 0.11×)", typical(batch).rate/bare)
	t.show("batch mode, --no-record", unrecorded, oldUnrecorded)
	t.line("", "%.2f× bare requests (want at least 0.13×)", typical(unrecorded).rate/bare)
	t.show("a task per contact", perTask, nil)
	t.show("dispatch mode", dispatch, oldDispatch)
	t.line("", "%s a task per contact (want at least 2×)", times(dispatch, perTask))
	b.ReportMetric(typical(batch).rate, "contacts/s")
	b.ReportMetric(typical(batch).rate/bare, "of-bare")
	b.ReportMetric(typical(dispatch).rate/typical(perTask).rate, "dispatch/task")
}

// show prints what a sending took, and how that compares with the same before.
func (t *bench) show(what string, now, old []sending) {
	s, cores := typical(now), min(2, runtime.NumCPU())
	t.line(what, "%.0f contacts/s; %d busy cores would send %.0f/s", s.rate, cores, float64(cores)/s.cpu().Seconds())
	t.line("", "%s", s)
	if len(old) > 0 {
		t.line("", "before %.0f contacts/s, %s", typical(old).rate, typical(old))
		t.line("", "%s before", times(now, old))
	}
}

// times tells how many times as fast one is as the other.
func times(a, b []sending) string {
	x, y := typical(a), typical(b)
	return fmt.Sprintf("%.2f× (by processor %.2f×)", x.rate/y.rate, ratio(y.cpu(), x.cpu()))
}

// typical has the median of each figure, and the highest peak.
func typical(all []sending) (m sending) {
	var rates []float64
	var parts [3][]time.Duration
	for _, s := range all {
		rates = append(rates, s.rate)
		for i, d := range []time.Duration{s.worker, s.redis, s.platform} {
			parts[i] = append(parts[i], d)
		}
		m.peakBytes = max(m.peakBytes, s.peakBytes)
	}
	slices.Sort(rates)
	for _, part := range parts {
		slices.Sort(part)
	}
	n := len(all) / 2
	m.rate, m.worker, m.redis, m.platform = rates[n], parts[0][n], parts[1][n], parts[2][n]
	return m
}

// A sending is what a campaign's sending took.
type sending struct {
	rate                    float64       // contacts accepted in a second
	worker, redis, platform time.Duration // of processor, per contact
	peakBytes               int64         // of the worker's memory
}

func (s sending) cpu() time.Duration { return s.worker + s.redis + s.platform }

func (s sending) String() string {
	share := func(d time.Duration) string {
		return fmt.Sprintf("%v (%.0f%%)", d.Round(100*time.Nanosecond), 100*ratio(d, s.cpu()))
	}
	text := fmt.Sprintf("a contact takes %s of the worker, %s of Redis, %s of the platform", share(s.worker), share(s.redis), share(s.platform))
	if s.peakBytes > 0 {
		text += fmt.Sprintf("; worker's peak %d MB", s.peakBytes>>20)
	}
	return text
}

// send sends a list and returns what it took, from the first accepted to the
// last. It fails unless every contact was contacted once and the ledger says so. The
// commands are those of a folder: ours, or earlier ones.
func (t *bench) send(folder, list string, contacts int, mode string, more ...string) sending {
	t.flush()
	t.run(folder+"enqueue", nil, append([]string{list, "--name", "send", "--channel", "voice", "--region", "SA", "--skip-preflight", "--mode", mode}, more...)...)
	platform := t.platform()
	redisBefore := t.redisCPU()
	worker := t.start(folder+"worker", []string{"VELENTS_URL=" + platform.url}, "--rate", "none", "--admin-addr", "127.0.0.1:0", "--log-level", "error")

	st := store.New(t.rdb)
	reach := func(n int, every time.Duration) int {
		for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(every) {
			tally, err := st.Tally(t.Context(), "send")
			if err != nil {
				t.Fatal(err)
			}
			switch have := tally.States[campaign.Accepted]; {
			case have >= n:
				return have
			case time.Now().After(deadline):
				t.Fatalf("%d of %d are accepted after 10 minutes", have, n)
			}
		}
	}
	first, began := reach(1, time.Millisecond), time.Now()
	reach(contacts, 10*time.Millisecond)
	s := sending{rate: float64(contacts-first) / time.Since(began).Seconds()}
	s.redis = (t.redisCPU() - redisBefore) / time.Duration(contacts)
	s.worker, s.peakBytes = worker.stop(contacts)

	var stats sandbox.Stats
	platform.get("/sandbox/stats", &stats)
	if stats.Numbers != contacts || stats.Repeated != 0 {
		t.Fatalf("%s mode: %d of %d contacted, %d of them more than once", mode, stats.Numbers, contacts, stats.Repeated)
	}
	s.platform, _ = platform.stop(contacts)
	t.run(folder+"campaign", nil, "verify", "send")
	return s
}

// sendByTasks is what dispatch mode is compared with: an asynq task for each contact, which
// makes the request and writes a hash of its status, on the same Redis, with as many
// requests at once.
func (t *bench) sendByTasks(contacts int) (s sending) {
	t.flush()
	t.taskPerRow(contacts)
	platform := t.platform()
	const inFlight = 4 * 32 // as a worker has in dispatch mode
	redisBefore := t.redisCPU()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	var sent atomic.Int64
	all := make(chan struct{})
	server := asynq.NewServerFromRedisClient(t.rdb, asynq.Config{Concurrency: inFlight, LogLevel: asynq.ErrorLevel})
	handle := asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		var contact struct {
			Campaign, Phone string
			Values          map[string]string
		}
		if err := json.Unmarshal(task.Payload(), &contact); err != nil {
			return err
		}
		body, err := json.Marshal(map[string]any{"channel_id": 3, "phone": contact.Phone, "values": contact.Values})
		if err != nil {
			return err
		}
		if err := post(client, platform.url+"/Integration/Agent/Dispatch", body); err != nil {
			return err
		}
		err = t.rdb.HSet(ctx, "contact:"+contact.Campaign+":"+contact.Phone, "state", "accepted", "attempts", 1, "updated_at", time.Now().Unix()).Err()
		if sent.Add(1) == int64(contacts) {
			close(all)
		}
		return err
	})
	took := measured(func() {
		if err := server.Start(handle); err != nil {
			t.Fatal(err)
		}
		<-all
	})
	server.Shutdown()
	n := time.Duration(contacts)
	s = sending{rate: float64(contacts) / took.wall.Seconds(), worker: took.cpu / n, redis: (t.redisCPU() - redisBefore) / n}
	s.platform, _ = platform.stop(contacts)
	return s
}

// sendBare posts the requests of a list of the same contacts, encoded before, as
// many at once as a worker does.
func (t *bench) sendBare(contacts int) (perSecond float64) {
	platform := t.platform()
	var bodies [][]byte
	for from := 0; from < contacts; from += batchRows {
		body := []byte(`{"channel_id":3,"name":"bare","rows":[`)
		for i := from; i < min(from+batchRows, contacts); i++ {
			body = fmt.Appendf(body, `{"phone":"+9665%08d","values":{"name":"محمد العتيبي %d","company":"شركة النور","city":"Riyadh","order_id":"A-%d"}},`, i, i%1000, i)
		}
		body[len(body)-1] = ']'
		bodies = append(bodies, append(body, '}'))
	}
	var posts errgroup.Group
	posts.SetLimit(inFlight)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	began := time.Now()
	for _, body := range bodies {
		posts.Go(func() error { return post(client, platform.url+"/Integration/Agent/Batch", body) })
	}
	if err := posts.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	platform.stop(contacts)
	return float64(contacts) / took.Seconds()
}

func post(client *http.Client, url string, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Authorization": {"Bearer bench"}, "Content-Type": {"application/json"}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return errors.Join(err, res.Body.Close())
}

// A process is a command at work.
type process struct {
	t   *bench
	cmd *exec.Cmd
	url string // where it listens, if it is a platform
}

// start runs a command until it is stopped, or the bench ends.
func (t *bench) start(command string, env []string, args ...string) *process {
	p := &process{t: t, cmd: t.command(command, env, args...)}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait() // killed, as it should be
		}
	})
	return p
}

// platform starts a sandbox without a limit.
func (t *bench) platform(args ...string) *process {
	addr := freeAddr(t)
	p := t.start("sandbox", nil, append([]string{"--addr", addr, "--limit", "0"}, args...)...)
	p.url = "http://" + addr
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return p
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// freeAddr is an address at which nothing listens.
func freeAddr(t *bench) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

func (p *process) get(path string, into any) {
	res, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends a command and returns what it took of the processor per contact,
// and of memory.
func (p *process) stop(contacts int) (cpu time.Duration, peakBytes int64) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // its exit status tells that it was stopped
	state := p.cmd.ProcessState
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		peakBytes = usage.Maxrss << 10 // kilobytes on Linux
	}
	return (state.UserTime() + state.SystemTime()) / time.Duration(contacts), peakBytes
}

// redisCPU is what Redis has taken of the processor so far.
func (t *bench) redisCPU() (used time.Duration) {
	for line := range strings.Lines(t.rdb.Info(t.Context(), "cpu").Val()) {
		for _, part := range []string{"used_cpu_sys:%g", "used_cpu_user:%g"} {
			var seconds float64
			if _, err := fmt.Sscanf(line, part, &seconds); err == nil {
				used += time.Duration(seconds * float64(time.Second))
			}
		}
	}
	return used
}
