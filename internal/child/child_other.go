//go:build !linux

// Package child keeps processes that a test starts from outliving it.
package child

import "syscall"

// EndWithParent can promise nothing here: children of a test binary that is
// killed stay behind.
func EndWithParent() *syscall.SysProcAttr { return nil }
