package release

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"campaign-runner/internal/terminal"
)

// The pages stay up until a person presses Ctrl-C, which is no error.
func TestTheDemoStaysUpUntilCtrlC(t *testing.T) {
	tty, shown := terminal.OpenAndType(t, "until Ctrl-C", "\x03")
	cmd := exec.Command("make", "demo", "KEEP=1")
	cmd.Dir, cmd.Env = checkout(t), append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := cmd.Run()
	text := shown()
	if _, after, kept := strings.Cut(text, "until Ctrl-C"); !kept || err != nil || strings.Contains(text, "make: ***") || !strings.Contains(after, "nobody was contacted twice") {
		t.Errorf("%v:\n%s", err, text)
	}
}
