package users

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func check(t *testing.T, hash, password string) bool {
	t.Helper()
	ok, err := NewChecker().Check(t.Context(), hash, password)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestPasswords(t *testing.T) {
	const password = "correct horse é"
	hash := Hash(password)
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(hash) {
		t.Errorf("the hash is %q", hash)
	}
	if hash == Hash(password) {
		t.Error("two hashes of a password are the same: they have no salt")
	}
	for typed, want := range map[string]bool{
		password: true, "correct horse e\u0301": true, // as another keyboard writes it
		"correct horse e": false, "": false, password + " ": false, strings.Repeat(password, 100): false,
	} {
		if got := check(t, hash, typed); got != want {
			t.Errorf("%q: %v", typed, got)
		}
	}
	// That of the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
	if !check(t, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password") {
		t.Error("a hash of the reference implementation is not understood")
	}
}

func TestOfNoUserNoPasswordIsRight(t *testing.T) {
	for _, password := range []string{"", "x", strings.Repeat("x", 2000)} {
		if check(t, "", password) {
			t.Errorf("%q is the password of nobody", password)
		}
	}
}

func TestDamagedHashes(t *testing.T) {
	good := Hash("correct horse battery")
	for _, hash := range []string{
		"x", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=19456", "m=99999999", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), good[:len(good)-3], good + "$",
	} {
		if ok, err := NewChecker().Check(t.Context(), hash, "correct horse battery"); ok || !errors.Is(err, errHash) {
			t.Errorf("%q: %v, %v", hash, ok, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"elevenchars": false, "twelve chars": true, "كلمة سر طويلة": true, "كلمةسر": false, strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false,
	} {
		if err := CheckPassword(password); (err == nil) != ok {
			t.Errorf("%.20q: %v", password, err)
		}
	}
}

// However many guesses come at once, few are checked, few wait, and the others are
// refused without the memory of a check.
func TestGuessesAtOnceAreBounded(t *testing.T) {
	c := NewChecker()
	c.turns <- struct{}{}
	c.turns <- struct{}{} // as if two were being checked
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := make(chan error, 1000)
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			_, err := c.Check(ctx, "", fmt.Sprint("guess ", i))
			answers <- err
		})
	}
	for range 1000 - cap(c.places) {
		if err := <-answers; !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	cancel()
	all.Wait()
	if waited := len(answers); waited != cap(c.places) {
		t.Errorf("%d have waited", waited)
	}
	<-c.turns
	if _, err := c.Check(t.Context(), "", "later"); err != nil {
		t.Errorf("nobody is let in later: %v", err)
	}
}

// Who guesses a name learns nothing from how long it takes: for an unknown name, too, a
// hash is read and a key of the same cost is derived.
func TestUnknownNamesCostAsMuch(t *testing.T) {
	c := NewChecker()
	of, _, _, err := decode(c.nobody())
	if err != nil || of != usual {
		t.Errorf("an unknown name costs %+v, %v", of, err)
	}
	c.nobody = func() string { return "damaged" }
	if _, err := c.Check(t.Context(), "", "guess"); !errors.Is(err, errHash) {
		t.Errorf("for an unknown name nothing is derived: %v", err)
	}
}
