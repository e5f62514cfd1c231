// Package scratch keeps the temporary files of this process in a folder of its own, which
// stays locked while the process lives. A killed process leaves its folder behind; the next
// process that needs one deletes it.
//
// The lock shows whether a process lives: process ids mean nothing to another container
// that shares the folder for temporary files.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

const prefix = "campaign-runner-"

var own struct {
	sync.Mutex
	dir   string
	lock  *os.File
	users int
}

// Dir is the folder of this process until it is released. The last release deletes it
// with all its files.
func Dir() (dir string, release func(), err error) {
	own.Lock()
	defer own.Unlock()
	if own.users == 0 {
		Sweep()
		if own.dir, own.lock, err = create(); err != nil {
			return "", nil, fmt.Errorf("folder for temporary files: %w", err)
		}
	}
	own.users++
	return own.dir, sync.OnceFunc(func() {
		own.Lock()
		defer own.Unlock()
		if own.users--; own.users == 0 {
			_ = os.RemoveAll(own.dir) // the next process sweeps what stays
			_ = own.lock.Close()
		}
	}), nil
}

// File is a temporary file without a name: it disappears when it is closed.
func File() (*os.File, error) {
	dir, release, err := Dir()
	if err != nil {
		return nil, err
	}
	defer release()
	file, err := os.CreateTemp(dir, "")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// create makes and locks a folder. Another process may sweep it before it is locked.
func create() (dir string, lock *os.File, err error) {
	for range 10 {
		if dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid())); err != nil {
			return "", nil, err
		}
		if lock, err = take(dir); err == nil {
			return dir, lock, nil
		}
		_ = os.RemoveAll(dir)
	}
	return "", nil, err
}

// take locks a folder that still exists.
func take(dir string) (*os.File, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		var have, want os.FileInfo
		if have, err = lock.Stat(); err == nil {
			want, err = os.Lstat(dir)
		}
		if err == nil && !os.SameFile(have, want) {
			err = errors.New("it was replaced")
		}
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// Sweep deletes the folders of processes that are gone.
func Sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*")) // a pattern that is right
	for _, dir := range left {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		if lock, err := take(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}
