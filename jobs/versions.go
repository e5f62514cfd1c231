package jobs

import (
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// versions are those at which this process last saw each chunk. A chunk that has an
// older one later comes from a Redis that has lost writes: restored from a backup,
// restarted from a log without its end, or failed over to a replica that lagged.
// Contacts that are pending in it may have been sent.
type versions struct {
	mu   sync.Mutex
	seen map[chunkKey]int
}

type chunkKey struct {
	ref     store.Ref
	created time.Time // a name may be used again once its campaign is gone
}

// versionsKept bounds the chunks kept: some megabytes.
const versionsKept = 100_000

func newVersions() *versions { return &versions{seen: make(map[chunkKey]int)} }

// newer reports whether we have seen a newer version of the chunk than this.
func (v *versions) newer(c campaign.Campaign, chunk *store.Chunk) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen[chunkKey{chunk.Ref, c.CreatedAt}] > chunk.Version
}

// keep notes the chunk's version as it is now.
func (v *versions) keep(c campaign.Campaign, chunk *store.Chunk) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= versionsKept {
		clear(v.seen)
	}
	v.seen[chunkKey{chunk.Ref, c.CreatedAt}] = chunk.Version
}

func (v *versions) forget(c campaign.Campaign, chunk *store.Chunk) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.seen, chunkKey{chunk.Ref, c.CreatedAt})
}
