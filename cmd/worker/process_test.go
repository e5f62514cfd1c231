package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/child"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

// asWorker in its environment makes the test binary the command.
const asWorker = "TEST_RUNS_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		limitDescriptors()
		main()
		return
	}
	os.Exit(m.Run())
}

// A process is a real worker, and what it prints as its standard error.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   *os.File // where it is read; closed when nobody reads it any more
	lines chan string
	ended chan struct{}
}

func startProcess(t *testing.T, redisURL, platform string, env ...string) *process {
	t.Helper()
	// Where the tests themselves run under nohup, a child would ignore SIGHUP as well.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0], "--rate", "none", "--admin-addr", "127.0.0.1:0"), log: read, lines: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Env = append([]string{asWorker + "=1", "VELENTS_TOKEN=secret-token", "REDIS_URL=" + redisURL, "VELENTS_URL=" + platform}, env...)
	p.cmd.Stderr, p.cmd.SysProcAttr = write, child.EndWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel ends the child together with this thread
		defer close(p.ended)
		err := p.cmd.Start()
		write.Close()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended; read.Close() })
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			select {
			case p.lines <- lines.Text():
			default: // nobody waits for a line any more
			}
		}
	}()
	return p
}

// await waits for a line of its log.
func (p *process) await(text string) string {
	p.t.Helper()
	var all []string
	for line := range p.lines {
		all = append(all, line)
		if strings.Contains(line, text) {
			return line
		}
	}
	p.t.Fatalf("the log has no %q:\n%s", text, strings.Join(all, "\n"))
	return ""
}

// awaitAddress waits until its log tells where something is served.
func (p *process) awaitAddress(what string) string {
	p.t.Helper()
	line := p.await(what + `" url=`)
	_, url, _ := strings.Cut(line, "://")
	address, _, _ := strings.Cut(url, "/")
	return address
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for its end and returns how it came about.
func (p *process) end(limit time.Duration) string {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.String()
	case <-time.After(limit):
		p.t.Fatalf("it has not ended within %v", limit)
		return ""
	}
}

// running reports whether it has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// slowPlatform takes requests and answers when it is told to.
func slowPlatform(t *testing.T) (url string, underWay chan struct{}, answer chan struct{}) {
	underWay, answer = make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		underWay <- struct{}{}
		<-answer
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"id": 1}})
	}))
	t.Cleanup(server.Close)
	return server.URL, underWay, answer
}

// load makes a running campaign of one chunk.
func load(t *testing.T, s *store.Store, contacts int) {
	t.Helper()
	campaigntest.Fixture{Store: s, T: t}.Load(campaigntest.List{
		Name: "sale", Settings: campaigntest.Settings(contacts, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, contacts, nil),
	})
	if _, err := jobs.NewQueue(s, nil).Release(t.Context(), "sale"); err != nil {
		t.Fatal(err)
	}
}

func wantAccepted(t *testing.T, s *store.Store, contacts int) {
	t.Helper()
	tally, err := s.Tally(t.Context(), "sale")
	if err != nil || tally.States[campaign.Accepted] != contacts {
		t.Errorf("states %v, %v; want %d accepted", tally.States, err, contacts)
	}
}

func TestAWorkerDrainsWhenItIsToldToStop(t *testing.T) {
	for _, stop := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		for _, closed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, log closed %v", stop, closed), func(t *testing.T) {
				redis := redistest.Start(t)
				s := store.New(redis.Client())
				url, underWay, answer := slowPlatform(t)
				p := startProcess(t, redis.URL(), url)
				p.await("worker started")
				if closed { // what it says from here on, nobody reads
					if err := p.log.Close(); err != nil {
						t.Fatal(err)
					}
				}
				load(t, s, 10)
				<-underWay
				p.signal(stop)
				if !closed {
					p.await("waiting for the answer of 1 request")
				}
				if !p.running() {
					t.Fatal("it has ended while its request is on its way")
				}
				close(answer)
				if how := p.end(30 * time.Second); how != "exit status 0" {
					t.Error(how)
				}
				wantAccepted(t, s, 10)
			})
		}
	}
}

func TestAWorkerWithAClosedLogGoesOn(t *testing.T) {
	redis := redistest.Start(t)
	s := store.New(redis.Client())
	url, underWay, answer := slowPlatform(t)
	close(answer)
	p := startProcess(t, redis.URL(), url)
	p.await("worker started")
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	load(t, s, 10)
	<-underWay
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		tally, err := s.Tally(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		if tally.States[campaign.Accepted] == 10 {
			break
		}
	}
	if !p.running() {
		t.Error("it has ended: ", p.cmd.ProcessState)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	redis := redistest.Start(t)
	url, underWay, answer := slowPlatform(t)
	defer close(answer)
	p := startProcess(t, redis.URL(), url)
	p.await("worker started")
	load(t, store.New(redis.Client()), 10)
	<-underWay
	p.signal(syscall.SIGHUP)
	p.await("waiting for the answer of 1 request")
	p.signal(syscall.SIGHUP)
	if how := p.end(30 * time.Second); how != "signal: hangup" {
		t.Error(how)
	}
}

func TestAWorkerIgnoresTheTerminalsEndUnderNohup(t *testing.T) {
	redis := redistest.Start(t)
	s := store.New(redis.Client())
	url, underWay, answer := slowPlatform(t)
	p := startProcess(t, redis.URL(), url)
	_ = p.cmd.Process.Kill()
	<-p.ended
	nohup := exec.Command("nohup", os.Args[0], "--rate", "none", "--admin-addr", "127.0.0.1:0")
	nohup.Env = append(p.cmd.Env, "PATH="+os.Getenv("PATH"))
	log := newLog()
	nohup.Stderr, nohup.Stdout = log, log
	if err := nohup.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nohup.Process.Kill(); _ = nohup.Wait() }()
	load(t, s, 10)
	<-underWay
	if err := nohup.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	close(answer)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if tally, err := s.Tally(t.Context(), "sale"); err != nil || tally.States[campaign.Accepted] == 10 {
			break
		}
	}
	if strings.Contains(log.String(), "worker stopping") {
		t.Errorf("it stops:\n%s", log.String())
	}
}

func TestAnIdleWorkerStopsWithoutARedis(t *testing.T) {
	for what, lose := range map[string]func(*redistest.Server){
		"frozen": (*redistest.Server).Freeze, "gone": (*redistest.Server).Kill,
	} {
		t.Run(what, func(t *testing.T) {
			redis := redistest.Start(t)
			p := startProcess(t, redis.URL(), "http://127.0.0.1:1", "WEBHOOK_SECRET=s", "WEBHOOK_ADDR=127.0.0.1:0",
				"NOTIFY_URL=http://127.0.0.1:1", "VELENTS_SUPPORT_TOKEN=t")
			p.await("worker started")
			lose(redis)
			line := p.await("no heartbeat reaches Redis")
			if address := strings.TrimPrefix(redis.URL(), "redis://"); !strings.Contains(line, `redis=`+strings.TrimSuffix(address, "/0")) {
				t.Errorf("it does not tell where Redis is: %s", line)
			}
			p.signal(syscall.SIGTERM)
			if how := p.end(12 * time.Second); how != "exit status 0" {
				t.Error(how)
			}
		})
	}
}
