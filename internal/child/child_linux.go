// Package child keeps processes that a test starts from outliving it.
package child

import "syscall"

// EndWithParent kills the child as soon as the thread that started it is gone:
// lock the goroutine that starts it to its thread until the child has ended.
func EndWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
