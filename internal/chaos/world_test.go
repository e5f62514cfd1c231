//go:build chaos

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

const (
	requestTimeout = 3 * time.Second // of the workers
	concurrency    = 4               // chunks of an agent that a worker has in hand at once
	batchRows      = 10              // contacts of a batch call
	dispatchRows   = 25              // contacts of a chunk in dispatch mode

	// inHand is the most contacts that a worker has under way at once: a call
	// for each chunk of the one agent, four for each of the other.
	inHand = concurrency*batchRows + concurrency*4

	started = "worker started" // says a worker that is up

	// lapse is how long a worker may be cut off from Redis without being taken
	// for dead.
	lapse = 5 * time.Second
)

// The agents. Each mode has one of its own, so that neither delays the other.
var tokens = map[campaign.Mode]string{campaign.Batch: "default", campaign.Dispatch: "second"}

// A world is everything there is: Redis, the platform, the workers and their
// links, and what people have begun.
type world struct {
	t       *testing.T
	dir     string // what all processes print
	redis   *redistest.Server
	store   *store.Store
	sandbox string // URL
	book    *book
	workers []*worker
	begun   time.Time

	background sync.WaitGroup // what people are doing
	over       chan struct{}  // closed when they are to come to an end

	inbox string // where the first worker receives events; empty: nowhere

	mu     sync.Mutex
	lists  []*list
	counts map[string]int
	hurts  []hurt
}

// A hurt is a time in which a worker was killed, frozen, or cut off from Redis
// long enough to be taken for dead.
type hurt struct {
	kind     harm
	worker   int
	from, to time.Time
}

type harm int

const (
	killed harm = iota
	frozen
	isolated
	harms

	// troubled is no harm by itself: Redis was away for however short a time, so
	// that an answer may have waited to be written down.
	troubled = harms
)

func newWorld(t *testing.T, seed uint64, sandbox ...string) *world {
	t.Helper()
	w := &world{
		t:      t,
		dir:    t.ArtifactDir(),
		redis:  redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"),
		book:   newBook(),
		begun:  time.Now(),
		over:   make(chan struct{}),
		counts: make(map[string]int),
	}
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	w.store = store.New(rdb)
	var bad []string
	for n := range maxLists {
		bad = append(bad, badNumbers(n)...)
	}
	if len(sandbox) == 0 {
		sandbox = []string{"--latency", "50ms-400ms"}
	}
	w.sandbox = commands.Sandbox(t, filepath.Join(w.dir, "sandbox.log"), append(sandbox,
		"--limit", "0", "--seed", fmt.Sprint(seed), "--bad-numbers", strings.Join(bad, ","))...)
	return w
}

// count notes that something was done.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *world) hurt(kind harm, worker int, from, to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurts = append(w.hurts, hurt{kind, worker, from, to})
}

// env is the environment of a command that reaches Redis and the platform so.
func (w *world) env(redis, platform string) []string {
	env := []string{
		"REDIS_URL=redis://" + redis + "/0", "VELENTS_URL=" + platform,
		"VELENTS_TOKEN=first-token", "VELENTS_TOKEN_SECOND=second-token",
	}
	if w.inbox != "" {
		env = append(env, "WEBHOOK_URL=http://"+w.inbox, "WEBHOOK_SECRET=secret")
	}
	return env
}

// call runs a command as people do: their links are never cut.
func (w *world) call(name string, args ...string) commands.Outcome {
	return w.callKilled(nil, name, args...)
}

func (w *world) callKilled(kill <-chan time.Time, name string, args ...string) commands.Outcome {
	out, err := commands.Call(w.env(w.redis.Addr, w.sandbox), kill, name, args...)
	if err != nil {
		w.t.Error(err)
	}
	return out
}

// A worker is a place in which one worker process at a time runs, started
// again by its supervisor whenever it ends.
type worker struct {
	w        *world
	number   int
	redis    *link
	platform *meter

	mu      sync.Mutex
	process *commands.Process
	runs    int
	retired bool
	mine    bool // whether its end is our doing
	frozen  time.Time
	stopped chan struct{} // closed when the supervisor has given up
}

func (w *world) startWorkers(n int) {
	w.t.Helper()
	for i := range n {
		k := &worker{w: w, number: i, stopped: make(chan struct{})}
		k.redis = newLink(w.t, fmt.Sprintf("redis %d", i), w.redis.Addr)
		behind := newLink(w.t, fmt.Sprintf("platform %d", i), strings.TrimPrefix(w.sandbox, "http://"))
		k.platform = newMeter(w.t, i, w.book, behind)
		w.workers = append(w.workers, k)
		if err := k.run(); err != nil {
			w.t.Fatal(err)
		}
		go k.supervise()
		w.t.Cleanup(func() { k.retire(); k.current().Kill(); <-k.stopped })
	}
}

func (k *worker) run() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs++
	log := filepath.Join(k.w.dir, fmt.Sprintf("worker-%d-%d.log", k.number, k.runs))
	env := k.w.env(k.redis.addr, "http://"+k.platform.addr)
	if k.w.inbox != "" && k.number == 0 { // what the platform tells while it is down is lost
		env = append(env, "WEBHOOK_ADDR="+k.w.inbox)
	}
	p, err := commands.Start(log, env, "worker",
		"--rate", "none", "--request-timeout", requestTimeout.String(), "--concurrency", fmt.Sprint(concurrency),
		"--admin-addr", "127.0.0.1:0")
	if err == nil {
		k.process, k.mine = p, false
	}
	return err
}

func (k *worker) current() *commands.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.process
}

func (k *worker) retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retired, k.mine = true, true
}

// supervise starts the worker again a moment after it has ended.
func (k *worker) supervise() {
	defer close(k.stopped)
	for {
		p := k.current()
		<-p.Done()
		k.mu.Lock()
		retired, mine := k.retired, k.mine
		k.mu.Unlock()
		// Without Redis a worker does not come up, and says so; that is what a
		// supervisor is for. One that was up must not end by itself.
		if !mine && strings.Contains(p.Printed(), started) {
			k.w.t.Errorf("a worker ended by itself with code %d\n%s", p.Code(), p.Tail(20))
		}
		if retired {
			return
		}
		time.Sleep(200 * time.Millisecond)
		if err := k.run(); err != nil {
			k.w.t.Error(err)
			return
		}
	}
}

// kill ends the process as a crash does; another one starts.
func (k *worker) kill() {
	k.mu.Lock()
	k.mine = true
	p := k.process
	k.mu.Unlock()
	p.Kill()
	now := time.Now()
	k.w.hurt(killed, k.number, now, now)
}

// restart lets the process end in order; another one starts.
func (k *worker) restart() {
	k.mu.Lock()
	if !k.frozen.IsZero() {
		k.mu.Unlock()
		return
	}
	k.mine = true
	p := k.process
	k.mu.Unlock()
	wasUp := strings.Contains(p.Printed(), started)
	p.Signal(syscall.SIGTERM)
	// A commit may be tried for three minutes while Redis is away.
	if !p.Ended(4 * time.Minute) {
		k.w.t.Errorf("a worker did not stop\n%s", p.Tail(20))
		p.Kill()
	} else if code := p.Code(); wasUp && code != 0 && code != -1 { // -1: killed meanwhile
		k.w.t.Errorf("a worker was stopped and ended with code %d\n%s", code, p.Tail(20))
	}
	_ = k.up(10 * time.Second) // without Redis it does not come up
}

// up waits until a worker serves here.
func (k *worker) up(limit time.Duration) error {
	return commands.Await(limit, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.retired || strings.Contains(k.process.Printed(), started) {
			return nil
		}
		return errors.New("the worker does not come up")
	})
}

func (k *worker) freeze() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = time.Now()
	k.process.Signal(syscall.SIGSTOP)
}

func (k *worker) thaw() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.process.Signal(syscall.SIGCONT)
	k.w.hurt(frozen, k.number, k.frozen, time.Now())
	k.frozen = time.Time{}
}

// stopWorkers ends them all in order.
func (w *world) stopWorkers() {
	var all sync.WaitGroup
	for _, k := range w.workers {
		k.retire()
		all.Go(k.restart)
	}
	all.Wait()
}

// fault changes what goes wrong in the platform itself; empty ends it.
func (w *world) fault(faults string) error {
	method, body := http.MethodPut, faults
	if faults == "" {
		method = http.MethodDelete
	}
	req, err := http.NewRequest(method, w.sandbox+"/sandbox/faults", strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("faults %s: %s", faults, res.Status)
	}
	return nil
}

// look reads a page of the sandbox.
func (w *world) look(page string, into any) {
	w.t.Helper()
	res, err := http.Get(w.sandbox + page)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		w.t.Fatal(err)
	}
}

// loaded are the lists whose campaigns are there.
func (w *world) loaded() []*list {
	w.mu.Lock()
	defer w.mu.Unlock()
	var loaded []*list
	for _, l := range w.lists {
		if l.loaded {
			loaded = append(loaded, l)
		}
	}
	return loaded
}

func sortedCounts(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }
