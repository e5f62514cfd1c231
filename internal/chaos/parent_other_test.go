//go:build chaos && !linux

package chaos

import "syscall"

// endWithParent can promise nothing here: children of a test binary that is
// killed stay behind.
func endWithParent() *syscall.SysProcAttr { return nil }
