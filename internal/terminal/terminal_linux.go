// Package terminal gives tests a terminal, for what a command does only when a person looks.
package terminal

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Open opens a terminal of 80 columns on which a person has typed something. shown closes
// it and returns what stood on it.
func Open(t testing.TB, typed string) (tty *os.File, shown func() string) {
	t.Helper()
	return OpenAndType(t, "", typed)
}

// OpenAndType is Open with a person who types once a text stands there.
func OpenAndType(t testing.TB, sees, types string) (tty *os.File, shown func() string) {
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
	if err := unix.IoctlSetWinsize(int(host.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	text, typed := make(chan string, 1), sees == ""
	if typed {
		if _, err := host.WriteString(types); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		var b bytes.Buffer
		piece := make([]byte, 4096)
		for {
			n, err := host.Read(piece)
			b.Write(piece[:n])
			if !typed && bytes.Contains(b.Bytes(), []byte(sees)) {
				_, _ = host.WriteString(types)
				typed = true
			}
			if err != nil { // nobody has the terminal open any more
				text <- b.String()
				return
			}
		}
	}()
	return tty, func() string { tty.Close(); return <-text }
}
