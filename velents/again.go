package velents

import (
	"bytes"
	"hash/maphash"
	"sync"
)

// An EventReader reads events that are needed twice: when they come in, and soon after, when
// they are applied. It keeps what it has read for the second time. The zero value is ready,
// and nil reads as well. It is safe for use by many goroutines.
type EventReader struct {
	mu         sync.Mutex
	young, old map[uint64]readEvent // by the hash of their bodies; old is what was young before it was full
	bytes      int                  // of the bodies in young
}

type readEvent struct {
	body []byte
	says Event
	err  error
}

// maxKeptBytes bounds the bodies that are young, and those that are old. An event that is
// forgotten is read again.
const maxKeptBytes = 2 << 20

var keptSeed = maphash.MakeSeed() // which nobody can know who posts events

// Read is ReadEvent, and keeps the result. The caller does not change raw afterwards.
func (r *EventReader) Read(raw []byte) (Event, error) {
	says, err := ReadEvent(raw)
	if r == nil || len(raw) > maxEventBytes {
		return says, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes+len(raw) > maxKeptBytes || r.young == nil {
		r.old, r.young, r.bytes = r.young, make(map[uint64]readEvent), 0
	}
	r.young[maphash.Bytes(keptSeed, raw)] = readEvent{raw, says, err}
	r.bytes += len(raw)
	return says, err
}

// ReadAgain is ReadEvent of what may have been read before, and forgets it.
func (r *EventReader) ReadAgain(raw []byte) (Event, error) {
	if kept, is := r.take(raw); is {
		return kept.says, kept.err
	}
	return ReadEvent(raw)
}

func (r *EventReader) take(raw []byte) (kept readEvent, is bool) {
	if r == nil {
		return kept, false
	}
	hash := maphash.Bytes(keptSeed, raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, some := range []map[uint64]readEvent{r.young, r.old} {
		if kept, is = some[hash]; is && bytes.Equal(kept.body, raw) {
			delete(some, hash)
			return kept, true
		}
	}
	return kept, false
}
