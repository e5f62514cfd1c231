package campaign

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An Approval is whether a campaign needs the word of a second person. It is apart from
// the phase: a campaign that runs, is paused or is scheduled may wait for it.
type Approval struct {
	Wanted   bool      `json:"wanted"`       // nothing is sent before it is given
	By       string    `json:"by,omitempty"` // who gave it
	At       time.Time `json:"at,omitzero"`
	Makers   []string  `json:"makers"`   // who loaded the campaign or changed its list or settings, the first one first
	Revision int       `json:"revision"` // of list and settings: an approval is of one of them
}

// MadeBy reports whether somebody may be one of the makers, who cannot approve.
func (a Approval) MadeBy(who string) bool {
	return slices.ContainsFunc(a.Makers, func(maker string) bool { return MayBeSame(maker, who) })
}

// Waits says that a campaign waits for approval; zero if it does not.
func (a Approval) Waits(name string) Message {
	if !a.Wanted {
		return Message{}
	}
	return Say(MsgUnapproved, "makers", strings.Join(a.Makers, ", "), "campaign", name)
}

// Sends reports whether the campaign may begin requests.
func (c Campaign) Sends() bool { return c.Phase == Running && !c.Approval.Wanted }

// maxName bounds the name of a person, in bytes.
const maxName = 64

// CheckClaim finds what is wrong with the name that a command claims.
func CheckClaim(name string) error {
	switch {
	case name == "" || len(name) > maxName || strings.TrimSpace(name) != name || !utf8.ValidString(name):
		return errors.New("want a name of 1 to 64 bytes")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune("()", r) }):
		return errors.New("want a name of letters, digits, spaces and signs, without parentheses")
	case personOf(name) == "":
		return errors.New("want a name with a letter or a digit")
	}
	return nil
}

// MayBeSame reports whether two names in logs may be one person. They are compared as
// people write them, and without what follows an @: one person has several machines, and a
// container is another host each time. A claim is compared by its name. Beside one who
// claims nothing, it is compared by its account, too: that may have been the same person.
// A visitor of pages without a password may be anybody.
func MayBeSame(a, b string) bool {
	nameA, accountA, claimedA := strings.Cut(a, claimedBy)
	nameB, accountB, claimedB := strings.Cut(b, claimedBy)
	nameA, nameB = personOf(nameA), personOf(nameB)
	return nameA == nameB || a == pages || b == pages ||
		claimedA && !claimedB && personOf(accountA) == nameB ||
		claimedB && !claimedA && personOf(accountB) == nameA
}

// personOf is a name as it is compared.
func personOf(name string) string {
	name, _, _ = strings.Cut(strings.TrimSuffix(name, onPages), "@")
	return Fold(name)
}
