package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// terminal is a terminal, and what is shown on it once it is closed.
func terminal(t *testing.T) (tty *os.File, shown func() string) {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { host.Close() })
	var number, unlocked int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlocked} {
		if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, host.Fd(), request, uintptr(unsafe.Pointer(value))); err != 0 {
			t.Skip(err)
		}
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Skip(err)
	}
	text := make(chan string, 1)
	go func() {
		var b bytes.Buffer
		_, _ = b.ReadFrom(host) // ends with an error once nobody has the terminal open
		text <- b.String()
	}()
	return tty, func() string { tty.Close(); return <-text }
}

// What a person has said moves no cursor of who looks at it.
func TestAPersonOnATerminalIsPrintable(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	_, err := f.KeepUnmatched(t.Context(), "sale", []store.Unmatched{{
		Event: store.Event{Campaign: "sale", At: time.Now(), Body: []byte(`{"conversation":{"phone":"+966501000000"},"x":"` + "\u009b2J\u202e" + `"}`)},
		Why:   campaign.Say(campaign.MsgNoContact),
	}})
	if err != nil {
		t.Fatal(err)
	}
	tty, shown := terminal(t)
	err = run(t.Context(), []string{"person", "+966501000000", "-o", "-"}, strings.NewReader(""), tty, os.Stderr, f.getenv)
	if text := shown(); err != nil || !strings.Contains(text, `\u009b2J\u202e`) || strings.ContainsAny(text, "\u009b\u202e") {
		t.Errorf("%v: %q", err, text)
	}
}
