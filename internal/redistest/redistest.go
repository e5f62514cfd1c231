// Package redistest gives tests a real redis-server.
//
// Start runs one for a test that kills, freezes or configures its server;
// StartSentinels and StartCluster run several that belong together. Shared hands
// out databases of one server per test binary to the many tests that only want an
// empty Redis. Servers listen on loopback only, keep nothing on disk unless asked to,
// and end with the test binary however it ends.
//
// Call either before entering a testing/synctest bubble: a bubble waits for
// every goroutine started in it, and a server's lives as long as the server.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/child"
)

// Server is one redis-server with a port and a directory of its own.
type Server struct {
	Addr string // host:port, the same for the life of the Server

	t    testing.TB
	dir  string
	args []string
	proc *process
}

// Start runs a redis-server until the test ends. Args are settings as on
// redis-server's command line and win over the default of no persistence:
//
//	redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), args: args}
	var err error
	if s.Addr, s.proc, err = launch(s.dir, args); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// URL is the server's address as REDIS_URL wants it.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Client returns a new client of database 0, closed when the test ends.
func (s *Server) Client() *redis.Client {
	return newClient(s.t, s.Addr, 0)
}

// Kill ends the server as a crash does, without a chance to save. Killing an
// ended server does nothing.
func (s *Server) Kill() { s.proc.end(syscall.SIGKILL) }

// Stop lets the server shut down in order, a frozen one too.
func (s *Server) Stop() { s.proc.end(syscall.SIGTERM) }

// Freeze holds the server: connections stay open, nothing is answered.
func (s *Server) Freeze() { s.proc.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.proc.signal(syscall.SIGCONT) }

// Restart runs the server again at the same address and in the same directory,
// so that an append-only file survives. A running server is stopped first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	proc, err := start(s.Addr, s.dir, s.args)
	if err != nil {
		t.Fatal(err)
	}
	s.proc = proc
}

// sharedDatabases bounds how many tests of one binary use Shared at a time.
const sharedDatabases = 256

var (
	sharedAddr = sync.OnceValues(func() (string, error) {
		args := []string{"--databases", strconv.Itoa(sharedDatabases)}
		addr, _, err := launch(os.TempDir(), args) // writes nothing there
		return addr, err
	})
	freeDatabases = func() chan int {
		free := make(chan int, sharedDatabases)
		for n := range sharedDatabases {
			free <- n
		}
		return free
	}()
)

// Shared returns a client of an empty database that no other test uses until
// this one ends. Scripts, pub/sub and CONFIG are common to the whole server; a
// test that changes those wants Start.
func Shared(t testing.TB) *redis.Client {
	t.Helper()
	addr, err := sharedAddr()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-freeDatabases:
		t.Cleanup(func() { freeDatabases <- n })
		client := newClient(t, addr, n)
		if err := client.FlushDB(context.Background()).Err(); err != nil {
			t.Fatalf("empty database %d: %v", n, err)
		}
		return client
	default:
		t.Fatalf("more than %d tests share the redis-server at once", sharedDatabases)
		return nil
	}
}

func newClient(t testing.TB, addr string, db int) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, DB: db})
	t.Cleanup(func() { client.Close() }) // a test may have closed it
	return client
}

// launch starts a server on a free port. Ports come from below the range that
// outgoing connections and listeners on port 0 draw from, so that a killed
// server finds its own still free when it restarts.
func launch(dir string, args []string) (addr string, proc *process, err error) {
	const tries = 8 // another server may hold the port
	for range tries {
		addr = freeAddr()
		if proc, err = start(addr, dir, args); err == nil || errors.Is(err, exec.ErrNotFound) {
			return addr, proc, err
		}
	}
	return "", nil, err
}

// freeAddr is an address that is most likely free.
func freeAddr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000))) }

// process is one run of redis-server.
type process struct {
	os   *os.Process
	done chan struct{} // closed once it has ended
}

// start runs redis-server at addr and returns once it has loaded its data and
// accepts connections.
func start(addr, dir string, args []string) (*process, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	return run("Ready to accept connections", append([]string{
		"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no",
	}, args...)...)
}

// run runs redis-server until it has printed that it is up.
func run(up string, args ...string) (*process, error) {
	cmd := exec.Command("redis-server", args...)
	cmd.SysProcAttr = child.EndWithParent()
	proc := &process{done: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		// The kernel ends the child together with the thread that started it:
		// this goroutine keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer close(proc.done)
		proc.run(cmd, up, ready)
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	return proc, nil
}

// run sends one answer to ready, then stays until the server has ended.
func (p *process) run(cmd *exec.Cmd, upLine string, ready chan<- error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		ready <- err
		return
	}
	cmd.Stderr = cmd.Stdout
	switch err := cmd.Start(); {
	case errors.Is(err, exec.ErrNotFound):
		ready <- fmt.Errorf("%w: install Redis 7, for example with: apt-get install redis-server", err)
		return
	case err != nil:
		ready <- err
		return
	}
	p.os = cmd.Process
	up := false
	var log []string
	for lines := bufio.NewScanner(out); lines.Scan(); { // to the end, or the server would block on a full pipe
		switch {
		case up:
		case strings.Contains(lines.Text(), upLine):
			up = true
			ready <- nil
		default:
			log = append(log, lines.Text())
		}
	}
	err = cmd.Wait()
	if !up {
		ready <- fmt.Errorf("%v\n%s", err, strings.Join(log, "\n"))
	}
}

func (p *process) signal(sig syscall.Signal) {
	_ = p.os.Signal(sig) // fails only when it has ended already
}

// end sends sig and waits until the server is gone.
func (p *process) end(sig syscall.Signal) {
	p.signal(sig)
	p.signal(syscall.SIGCONT) // a frozen server would not notice
	<-p.done
}
