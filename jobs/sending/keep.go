package sending

import (
	"context"
	"maps"
	"sync"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// A keeper reports every KeepEvery that chunks have a living sender: those of a campaign in
// one command. The wait for a permit can be long.
type keeper struct {
	mu     sync.Mutex        // guards the others
	chunks map[store.Ref]int // passes on it
	end    context.CancelFunc
	told   chan struct{} // closed when the report under way is over; nil: none was made
}

// keepDue reports the chunk of p, at once and until stop is called. After that the keeper
// says nothing more of it.
func (p *pass) keepDue(ctx context.Context) (stop func()) {
	k := &p.keeper
	// A failure does no harm: the sweeper looks at the chunk early and finds the claim alive.
	_ = p.Store.SetDue(ctx, p.chunk.Ref, timings.KeepDue)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.chunks) == 0 {
		k.chunks = make(map[store.Ref]int)
		loop, end := context.WithCancel(context.WithoutCancel(ctx))
		k.end = end
		go k.run(loop, p.Store)
	}
	k.chunks[p.chunk.Ref]++
	return func() {
		k.mu.Lock()
		if k.chunks[p.chunk.Ref]--; k.chunks[p.chunk.Ref] == 0 {
			delete(k.chunks, p.chunk.Ref)
		}
		if len(k.chunks) == 0 {
			k.end()
		}
		told := k.told
		k.mu.Unlock()
		if told != nil {
			<-told
		}
	}
}

func (k *keeper) run(ctx context.Context, st Store) {
	tick := time.NewTicker(timings.KeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.report(ctx, st)
		}
	}
}

// report holds up passes that end meanwhile, but not for longer than Redis may take.
func (k *keeper) report(ctx context.Context, st Store) {
	k.mu.Lock()
	k.told = make(chan struct{})
	defer close(k.told)
	chunks := maps.Clone(k.chunks)
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timings.KeepEvery)
	defer cancel()
	now, err := st.About(ctx)
	if err != nil {
		return
	}
	dues := make(map[string][]store.Due)
	for ref := range chunks {
		dues[ref.Campaign] = append(dues[ref.Campaign], store.Due{Chunk: ref.Chunk, At: now.Add(timings.KeepDue)})
	}
	for name, chunks := range dues {
		_ = st.SetDues(ctx, name, chunks)
	}
}
