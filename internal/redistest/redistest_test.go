package redistest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"campaign-runner/internal/redistest"

	"github.com/redis/go-redis/v9"
)

func TestKilledServerKeepsWhatItHadConfirmed(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	ctx := t.Context()
	if err := s.Client().Set(ctx, "kept", "yes", 0).Err(); err != nil {
		t.Fatal(err)
	}
	addr := s.Addr
	s.Kill()
	s.Kill() // of an ended server: nothing
	if err := s.Client().Ping(ctx).Err(); err == nil {
		t.Fatal("a killed server answered")
	}
	s.Restart(t)
	if s.Addr != addr {
		t.Errorf("restarted at %s, want %s", s.Addr, addr)
	}
	if got, err := s.Client().Get(ctx, "kept").Result(); got != "yes" {
		t.Errorf("after the restart: %q, %v, want yes", got, err)
	}
}

func TestServerKeepsNothingUnlessAsked(t *testing.T) {
	s := redistest.Start(t)
	s.Client().Set(t.Context(), "k", "v", 0)
	s.Restart(t)
	if err := s.Client().Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("after the restart: %v, want redis.Nil", err)
	}
}

func TestFrozenServerAnswersOnceThawed(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	answer := make(chan error, 1)
	go func() { answer <- client.Ping(context.WithoutCancel(t.Context())).Err() }()
	select {
	case err := <-answer:
		t.Fatalf("a frozen server answered: %v", err)
	default:
	}
	s.Thaw()
	if err := <-answer; err != nil {
		t.Errorf("after the thaw: %v", err)
	}
	s.Freeze()
	s.Stop()
}

func TestSharedDatabasesAreEmptyAndSeparate(t *testing.T) {
	var addr string
	t.Run("left dirty", func(t *testing.T) {
		client := redistest.Shared(t)
		addr = client.Options().Addr
		client.Set(t.Context(), "k", "v", 0)
	})
	for range 300 { // more than there are databases
		t.Run("clean", func(t *testing.T) {
			a, b := redistest.Shared(t), redistest.Shared(t)
			if a.Options().Addr != addr {
				t.Errorf("a second server at %s", a.Options().Addr)
			}
			a.Set(t.Context(), "k", "v", 0)
			if n := b.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("%d keys in a database that should be empty", n)
			}
		})
	}
}

// failures records what would have ended a test.
type failures struct {
	testing.TB
	fatal chan string
}

func (f failures) Fatal(args ...any) {
	f.fatal <- args[0].(error).Error()
	runtime.Goexit()
}

// fatalOf runs Start in a test of its own and returns the line it ended with.
func fatalOf(t *testing.T, args ...string) string {
	f := failures{t, make(chan string, 1)}
	go func() {
		redistest.Start(f, args...)
		f.fatal <- "started"
	}()
	return <-f.fatal
}

func TestFailureToStartSaysWhy(t *testing.T) {
	if got := fatalOf(t, "--no-such-setting", "1"); !strings.Contains(got, "no-such-setting") {
		t.Errorf("bad setting: %q", got)
	}
	t.Setenv("PATH", t.TempDir())
	if got := fatalOf(t); !strings.Contains(got, "apt-get install redis-server") || strings.Contains(got, "\n") {
		t.Errorf("no redis-server: %q", got)
	}
}

// TestServersEndWithTheTestBinary kills a test binary that holds a server of
// each kind and waits for their connections to break.
func TestServersEndWithTheTestBinary(t *testing.T) {
	if os.Getenv("REDISTEST_HOLD") != "" {
		os.Stdout.WriteString(redistest.Start(t).Addr + " " + redistest.Shared(t).Options().Addr + "\n")
		select {}
	}
	if runtime.GOOS != "linux" {
		return // promised on Linux only
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "REDISTEST_HOLD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan error)
	for _, addr := range strings.Fields(string(buf[:n])) {
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ReadTimeout: time.Minute})
		t.Cleanup(func() { client.Close() })
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		go func() { broken <- client.BLPop(context.Background(), 0, "never").Err() }()
	}
	cmd.Process.Kill()
	cmd.Wait()
	for range 2 {
		if err := <-broken; err == nil {
			t.Error("an empty list was popped")
		}
	}
}
