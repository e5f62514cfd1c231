package xlsx

import (
	"fmt"
)

// root takes the root element, which must have the given name.
func (s *scanner) root(name string) error {
	kind, err := s.next()
	if err == nil && (kind != tokenOpen || string(s.name) != name || s.space == spaceOther) {
		err = fmt.Errorf("this is no <%s>", name)
	}
	return err
}

// children calls use for each child of the element that was just opened, and skips what
// use leaves of it.
func (s *scanner) children(use func() error) error {
	for depth := len(s.open); ; {
		kind, err := s.next()
		switch {
		case err != nil:
			return err
		case kind == tokenClose && len(s.open) < depth:
			return nil
		case kind == tokenOpen:
			inner := len(s.open)
			if err := use(); err != nil {
				return err
			}
			if err := s.leave(inner); err != nil {
				return err
			}
		}
	}
}

// leave skips the rest of the element at this depth.
func (s *scanner) leave(depth int) error {
	for len(s.open) >= depth {
		if _, err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) skip() error { return s.leave(len(s.open)) }

// finish reads the document to its end, and with it the part.
func (s *scanner) finish() error {
	for {
		if kind, err := s.next(); err != nil || kind == tokenEnd {
			return err
		}
	}
}

// opened reports whether the token is a workbook element of this name.
func (s *scanner) opened(name string) bool {
	return (s.space == spaceMain || s.space == spaceNone) && string(s.name) == name
}

// attr returns the value of an attribute without a prefix, or nil.
func (s *scanner) attr(name string) []byte {
	for _, a := range s.attrs {
		if len(a.prefix) == 0 && string(a.name) == name {
			return a.value
		}
	}
	return nil
}

func isTrue(value []byte) bool { return string(value) == "1" || string(value) == "true" }

// number reads an attribute that is a count.
func number(value []byte) (int, bool) {
	n := 0
	for _, b := range value {
		if b < '0' || b > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, len(value) > 0
}
