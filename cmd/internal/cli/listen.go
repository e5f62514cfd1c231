package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// NotListening is why a port of ours is not open, and what to do about it: setting says where
// another is named. An address that can be none is a wrong setting; one that is taken may be
// free later.
func NotListening(what, setting string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	wrong := (*net.AddrError)(nil)
	switch {
	case errors.As(err, &wrong):
		return Usage(err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: stop what listens there, or name another port with %s", err, setting)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name a port above 1023 with %s", err, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Usagef("%w: name an address of this machine with %s", err, setting)
	}
	return err
}
