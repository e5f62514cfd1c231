package jobs

import (
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A memory holds how far this process has seen each chunk change. A chunk that
// is found less changed later comes from a Redis that has lost writes: restored
// from a backup, restarted from a log without its end, or failed over to a
// replica that lagged. What it then calls pending may have been sent.
type memory struct {
	mu       sync.Mutex
	versions map[memoryKey]int
}

type memoryKey struct {
	ref     store.Ref
	created time.Time // a name may be used again once its campaign is gone
}

// memorySize bounds the chunks remembered: some megabytes.
const memorySize = 100_000

func newMemory() *memory { return &memory{versions: make(map[memoryKey]int)} }

// newer reports whether we have seen a newer version of the chunk than this.
func (m *memory) newer(c campaign.Campaign, chunk *store.Chunk) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.versions[memoryKey{chunk.Ref, c.CreatedAt}] > chunk.Version
}

// keep remembers the chunk as it is now.
func (m *memory) keep(c campaign.Campaign, chunk *store.Chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.versions) >= memorySize {
		clear(m.versions)
	}
	m.versions[memoryKey{chunk.Ref, c.CreatedAt}] = chunk.Version
}

func (m *memory) forget(c campaign.Campaign, chunk *store.Chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.versions, memoryKey{chunk.Ref, c.CreatedAt})
}
