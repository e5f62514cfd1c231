//go:build !linux

package redistest

import "syscall"

// endWithParent can promise nothing here: the shared server, and those of a
// test binary that is killed, stay behind.
func endWithParent() *syscall.SysProcAttr { return nil }
