// Package users is who may do what on the pages: people by name, each with a role and a
// password.
//
// It decides nothing about requests, and keeps nothing: users lie in Redis, and package
// dashboard asks for their passwords.
package users

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// A Role says what somebody may do. Each may do all that those below it may.
type Role int

const (
	Nobody   Role = iota // not signed in
	Viewer               // sees totals and states, and nothing of a person
	Operator             // sees contacts, pauses, resumes, cancels, sends again
	Launcher             // uploads lists and launches campaigns
	Admin
)

var roles = []string{"nobody", "viewer", "operator", "launcher", "admin"}

// RoleNames are the roles that a user can have, the least first.
func RoleNames() []string { return roles[Viewer:] }

// ParseRole reads the name of a role that a user can have.
func ParseRole(text string) (Role, error) {
	for i, name := range RoleNames() {
		if name == text {
			return Viewer + Role(i), nil
		}
	}
	return Nobody, fmt.Errorf("there is no role %q: want %s", text, strings.Join(RoleNames(), ", "))
}

func (r Role) String() string {
	if r < Nobody || r > Admin {
		return fmt.Sprintf("Role(%d)", int(r))
	}
	return roles[r]
}

// MarshalText is its name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRole.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// A User may sign in to the pages.
type User struct {
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Password string    `json:"password"` // its Hash
	Stamp    string    `json:"stamp"`    // new with each change: sessions of an older one are over
	Changed  time.Time `json:"changed"`
	By       string    `json:"by"` // who made the last change, as the command knew it
}

// New is a user as somebody makes it now; password is its Hash.
func New(name string, role Role, password, by string) User {
	u := User{Name: name, Role: role, Password: password}
	u.Renew(by)
	return u
}

// Renew ends the user's sessions, because somebody has changed it now.
func (u *User) Renew(by string) {
	u.Stamp, u.Changed, u.By = rand.Text(), time.Now().UTC().Truncate(time.Millisecond), by
}

var names = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}._@-]{0,63}$`)

// CheckName fails for what cannot be a user's name.
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("user %q: want 1 to 64 letters, digits and . _ @ -, a letter or a digit first", name)
	}
	return nil
}

// Key is a name as it is compared: two that differ in case or in the style of letters alone
// are one.
func Key(name string) string { return norm.NFKC.String(strings.ToLower(norm.NFKC.String(name))) }
