// Package commands builds the commands and runs them as processes, for tests of
// what only whole processes can show.
//
// TestMain of such a package is os.Exit(commands.Main(m)).
package commands

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaign-runner/internal/child"
)

// built is the folder of the built commands.
var built string

// Main builds the commands and runs the tests; it returns their exit code.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "commands")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "campaign-runner/cmd/...")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the commands:", err)
		return 1
	}
	built = dir
	return m.Run()
}

// A Process is one run of a command. What it prints goes to a file.
type Process struct {
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
}

// command is one of the built commands, or, given with its path, one of another version,
// with nothing but env in its environment.
func command(env []string, name string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(name) {
		name = filepath.Join(built, name)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return cmd
}

// Start runs one of the built commands with nothing but env in its environment.
// log is the path of the file for what it prints.
func Start(log string, env []string, name string, args ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p := &Process{log: log, cmd: command(env, name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = child.EndWithParent()
	started := make(chan error)
	go func() {
		// The kernel ends the child together with the thread that started it:
		// this goroutine keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer close(p.done)
		defer out.Close()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // its exit code says more than its error
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Done is closed once it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal does nothing to a process that has ended.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends it without a chance to tidy up, a frozen one too.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Ended waits for its end.
func (p *Process) Ended(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// Code is its exit code, -1 when a signal ended it.
func (p *Process) Code() int { return p.cmd.ProcessState.ExitCode() }

// Printed is what it has printed so far.
func (p *Process) Printed() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail is the last lines it has printed.
func (p *Process) Tail(lines int) string {
	all := strings.Split(strings.TrimSpace(p.Printed()), "\n")
	return filepath.Base(p.log) + ":\n  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// Sandbox runs the stand-in platform until the test ends and returns its URL.
func Sandbox(t *testing.T, log string, args ...string) (url string) {
	t.Helper()
	p, err := Start(log, nil, "sandbox", append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	err = Await(10*time.Second, func() error {
		line, rest, whole := strings.Cut(p.Printed(), "\n")
		found, ok := strings.CutPrefix(line, "sandbox listening on ")
		if !whole || !ok {
			return fmt.Errorf("the sandbox does not listen: %s", line+rest)
		}
		url = found
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Await asks until there is nothing wrong any more, and returns what still is
// when the time is up.
func Await(limit time.Duration, wrong func() error) error {
	for end := time.Now().Add(limit); ; {
		err := wrong()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// An Outcome is what came of a run of enqueue or campaign.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// Said is why it failed.
func (o Outcome) Said() string { return strings.TrimSpace(o.Stderr) }

// Call runs a command until it ends by itself, or is killed when kill says so.
func Call(env []string, kill <-chan time.Time, name string, args ...string) (Outcome, error) {
	return call(command(env, name, args...), kill)
}

// CallTyping runs a command with something on its standard input until it ends.
func CallTyping(env []string, typed, name string, args ...string) (Outcome, error) {
	cmd := command(env, name, args...)
	cmd.Stdin = strings.NewReader(typed)
	return call(cmd, nil)
}

func call(cmd *exec.Cmd, kill <-chan time.Time) (Outcome, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return Outcome{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-kill:
		_ = cmd.Process.Kill() // fails only when it has ended
		err = <-ended
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Outcome{}, err
	}
	return Outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, nil
}
