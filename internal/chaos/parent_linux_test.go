//go:build chaos

package chaos

import "syscall"

// endWithParent kills the child as soon as the thread that started it is gone.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
