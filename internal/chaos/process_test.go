//go:build chaos

package chaos

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
)

// A process is one run of a command. What it prints goes to a file.
type process struct {
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
}

// start runs one of the built commands.
func start(log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p := &process{log: log, cmd: exec.Command(filepath.Join(commands, name), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	p.cmd.SysProcAttr = endWithParent()
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

func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) } // fails only when it has ended

// kill ends it without a chance to tidy up, a frozen one too.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// ended waits for its end.
func (p *process) ended(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// code is its exit code, -1 when a signal ended it.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// printed is what it has printed so far.
func (p *process) printed() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tail is the last lines it has printed.
func (p *process) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(p.printed()), "\n")
	return filepath.Base(p.log) + ":\n  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// startSandbox runs the platform and returns its URL.
func startSandbox(t *testing.T, log string, args ...string) (url string) {
	t.Helper()
	p, err := start(log, nil, "sandbox", append([]string{"--addr", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	err = await(10*time.Second, func() error {
		line, rest, whole := strings.Cut(p.printed(), "\n")
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

// await asks until there is nothing wrong any more, and returns what still is
// when the time is up.
func await(limit time.Duration, wrong func() error) error {
	for end := time.Now().Add(limit); ; {
		err := wrong()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// An outcome is what came of a run of enqueue or campaign.
type outcome struct {
	stdout, stderr string
	code           int
}

// said is why it failed.
func (o outcome) said() string { return strings.TrimSpace(o.stderr) }

// call runs a command until it ends by itself, or is killed when kill says so.
func call(env []string, kill <-chan time.Time, name string, args ...string) (outcome, error) {
	var stdout, stderr strings.Builder
	cmd := exec.Command(filepath.Join(commands, name), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	if err := cmd.Start(); err != nil {
		return outcome{}, err
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
		return outcome{}, err
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, nil
}
