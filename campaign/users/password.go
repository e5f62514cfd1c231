package users

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Bounds of a password, in characters and in bytes.
const (
	MinPassword      = 12
	maxPasswordBytes = 1024
)

// CheckPassword fails for a password that is too short or too long.
func CheckPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("the password is too short: want at least %d characters", MinPassword)
	case len(password) > maxPasswordBytes:
		return fmt.Errorf("the password is too long: want at most %d bytes", maxPasswordBytes)
	}
	return nil
}

// cost is what one guess takes. OWASP's least for argon2id is 19 MiB and two passes.
type cost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

var usual = cost{memory: 19 << 10, passes: 2, threads: 1}

// most bounds the cost of a stored hash.
var most = cost{memory: 256 << 10, passes: 10, threads: 8}

const (
	saltBytes = 16
	keyBytes  = 32
)

// Hash is a password by argon2id, as a PHC string.
func Hash(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return encode(usual, salt, derive(password, salt, usual))
}

// derive is the key of a password. One that is written in composed letters is the same as
// one in decomposed letters: keyboards differ.
func derive(password string, salt []byte, c cost) []byte {
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, c.passes, c.memory, c.threads, keyBytes)
}

var b64 = base64.RawStdEncoding

func encode(c cost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

var errHash = errors.New("the stored password is damaged: set it again with campaign user passwd")

func decode(hash string) (c cost, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprint("v=", argon2.Version) {
		return c, nil, nil, errHash
	}
	_, wrong := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.threads)
	salt, bad := b64.DecodeString(parts[4])
	key, worse := b64.DecodeString(parts[5])
	if err := errors.Join(wrong, bad, worse); err != nil || len(salt) < 8 || len(key) != keyBytes ||
		c.passes < 1 || c.threads < 1 || c.passes > most.passes || c.threads > most.threads || c.memory > most.memory {
		return c, nil, nil, errHash
	}
	return c, salt, key, nil
}

// ErrBusy: too many passwords are being checked already.
var ErrBusy = errors.New("too many people sign in at once: try again in a moment")

// A Checker checks passwords, few at a time, so that guesses take no more than a bounded
// part of the process's memory.
type Checker struct {
	places chan struct{} // of those being checked and of those that wait
	turns  chan struct{} // of those being checked
	nobody func() string // a hash that no password has
}

const (
	checkedAtOnce = 2
	checksWaiting = 14
)

// NewChecker returns a Checker.
func NewChecker() *Checker {
	return &Checker{
		places: make(chan struct{}, checkedAtOnce+checksWaiting), turns: make(chan struct{}, checkedAtOnce),
		nobody: sync.OnceValue(func() string { return Hash(rand.Text()) }),
	}
}

// Check reports whether a password is the user's. For no user, whose hash is empty, it
// takes as long and answers no.
func (c *Checker) Check(ctx context.Context, hash, password string) (bool, error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		return false, ErrBusy
	}
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	known := hash != ""
	if !known {
		hash = c.nobody()
	}
	if len(password) > maxPasswordBytes { // nobody's is
		password, known = "", false
	}
	of, salt, key, err := decode(hash)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, derive(password, salt, of)) == 1 && known, nil
}
