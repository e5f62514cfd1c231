package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
)

// Guesses of passwords are slowed for all workers together, and never stopped: by address,
// and by name, so that many addresses together are slow, too. A browser in which a name has
// signed in before, and an address from which the password came, have guesses of their own:
// somebody who guesses elsewhere keeps them from nothing.
var (
	guessesOfAddress = store.Guesses{AtOnce: 20, Every: 5 * time.Second}
	guessesOfName    = store.Guesses{AtOnce: 10, Every: 10 * time.Second}
	guessesOfBrowser = store.Guesses{AtOnce: 10, Every: 10 * time.Second}
)

// knownFor is how long a browser or an address is known after it was right.
const knownFor = 90 * 24 * time.Hour

// guesses counts and slows them.
type guesses struct {
	store  *store.Store
	alone  *rate.Limiter // of this worker, while Redis does not answer
	seldom *rate.Sometimes

	mu    sync.Mutex
	right map[string]bool // addresses whose last word was the password
}

// maxTrusted bounds the addresses that one worker remembers.
const maxTrusted = 1000

func newGuesses(st *store.Store) guesses {
	return guesses{store: st, alone: rate.NewLimiter(1, 20), seldom: &rate.Sometimes{First: 1, Interval: time.Second}, right: make(map[string]bool)}
}

// A try takes one guess of somebody.
type try struct {
	store.Guesses
	of string
}

// hashed is part of a key in Redis: what may be anything, a mistyped password among it.
func hashed(kind, text string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return kind + "-" + hex.EncodeToString(sum[:16])
}

// bySignIn is what a guess on the sign-in page takes. browser is what the browser kept from
// an earlier time, or empty, and sign what stands for the password that was right then.
func (g *guesses) bySignIn(ctx context.Context, address, name, browser, sign string) []try {
	id := hashed("browser", browser)
	if browser != "" && g.isKnown(ctx, id, sign) {
		return []try{{guessesOfBrowser, id}}
	}
	return []try{{guessesOfAddress, hashed("address", address)}, {guessesOfName, hashed("name", users.Key(name))}}
}

// byPassword is what a guess in a request takes.
func (g *guesses) byPassword(ctx context.Context, address, name string) []try {
	tries := []try{{guessesOfAddress, hashed("address", address)}}
	if !g.isKnown(ctx, hashed("from", address), users.Key(name)) {
		tries = append(tries, try{guessesOfName, hashed("name", users.Key(name))})
	}
	return tries
}

func (g *guesses) isKnown(ctx context.Context, id, sign string) bool {
	ctx, cancel := context.WithTimeout(ctx, livePatience)
	defer cancel()
	whose, err := g.store.Session(ctx, id)
	return err == nil && string(whose) == sign
}

// know remembers where somebody was right.
func (g *guesses) know(ctx context.Context, id, sign string) error {
	return g.store.KeepSession(ctx, id, []byte(sign), knownFor)
}

// take takes all tries, and says how long to wait when one of them is used up.
func (g *guesses) take(ctx context.Context, tries []try) (wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, livePatience)
	defer cancel()
	for _, t := range tries {
		wait, err := t.Take(ctx, g.store, t.of)
		if err != nil {
			if !g.alone.Allow() {
				return time.Second
			}
			return 0
		}
		if wait > 0 {
			return wait
		}
	}
	return 0
}

// giveBack gives back what a right password has taken. Without Redis nothing was.
func (g *guesses) giveBack(ctx context.Context, tries []try) {
	for _, t := range tries {
		_ = t.GiveBack(ctx, g.store, t.of) // it comes back by itself
	}
}

// trusts reports whether the last word from an address was the password: then its next one
// is checked without asking Redis, so that scripts and Prometheus work without it.
func (g *guesses) trusts(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.right[address]
}

func (g *guesses) trust(ctx context.Context, address, name string) {
	_ = g.know(ctx, hashed("from", address), users.Key(name)) // the next one does it
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.right) >= maxTrusted {
		clear(g.right)
	}
	g.right[address] = true
}

func (g *guesses) distrust(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.right, address)
}

// addressOf is where a request comes from: an address, or the network that one household
// or company has, for IPv6.
func addressOf(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	addr := from.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}

// waitText is a wait in whole seconds.
func waitText(wait time.Duration) string { return fmt.Sprintf("%d s", int(wait/time.Second)+1) }
