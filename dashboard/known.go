package dashboard

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/store"
)

// isDown reports whether an error means that Redis does not answer.
func isDown(err error) bool {
	var network net.Error
	var unreachable *store.UnreachableError
	return errors.As(err, &network) || errors.As(err, &unreachable) || errors.Is(err, redis.ErrClosed) ||
		errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}

// known is what pages last read, by name, so that they have something to show while Redis
// does not answer. Each name is read by one at a time. Who asks for what is young enough,
// or while it is known that reading fails, waits for nothing.
type known[V any] struct {
	read func(ctx context.Context, name string) (V, error)
	most int // values; the oldest go

	patience time.Duration // of one reading

	mu    sync.Mutex
	items map[string]*item[V]
}

type item[V any] struct {
	value   V
	read    time.Time     // when its reading began; zero: never
	failed  error         // of the last reading
	reading chan struct{} // closed at the end of the reading under way; nil: there is none
}

func newKnown[V any](most int, read func(context.Context, string) (V, error)) *known[V] {
	return &known[V]{read: read, most: most, patience: livePatience, items: make(map[string]*item[V])}
}

// get returns a value that is at most maxAge old; or what is known, and since when, with
// the error that keeps it from being read.
func (k *known[V]) get(ctx context.Context, name string, maxAge time.Duration) (value V, since time.Time, err error) {
	oldest := time.Now().Add(-maxAge)
	for {
		k.mu.Lock()
		it := k.item(name)
		if it.failed == nil && !it.read.IsZero() && !it.read.Before(oldest) {
			defer k.mu.Unlock()
			return it.value, it.read, nil
		}
		if it.reading == nil {
			it.reading = make(chan struct{})
			go k.renew(name, it, time.Now())
		}
		done := it.reading
		if isDown(it.failed) && !it.read.IsZero() { // it is read behind the visitor's back
			defer k.mu.Unlock()
			return it.value, it.read, it.failed
		}
		k.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return value, time.Time{}, ctx.Err()
		}
		k.mu.Lock()
		value, since, err = it.value, it.read, it.failed
		k.mu.Unlock()
		if err != nil || !since.Before(oldest) {
			return value, since, err
		}
	}
}

// last is what is known, and since when, without reading anything.
func (k *known[V]) last(name string) (value V, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if it := k.items[name]; it != nil {
		value, since = it.value, it.read
	}
	return value, since
}

// forget makes the next who asks read anew.
func (k *known[V]) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.items, name)
}

func (k *known[V]) item(name string) *item[V] {
	it := k.items[name]
	if it == nil {
		it = new(item[V])
		k.drop()
		k.items[name] = it
	}
	return it
}

// renew reads a value again.
func (k *known[V]) renew(name string, it *item[V], began time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), k.patience)
	defer cancel()
	value, err := k.read(ctx, name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if it.failed = err; err == nil {
		it.value, it.read = value, began
	} else if !isDown(err) {
		delete(k.items, name) // it is not there, and not to be shown as if it was
	}
	close(it.reading)
	it.reading = nil
}

// drop forgets the oldest values until there is room for one more.
func (k *known[V]) drop() {
	for len(k.items) >= k.most {
		oldest := ""
		for name, it := range k.items {
			if it.reading == nil && (oldest == "" || it.read.Before(k.items[oldest].read)) {
				oldest = name
			}
		}
		if k.items[oldest] == nil {
			return // all of them are being read
		}
		delete(k.items, oldest)
	}
}
