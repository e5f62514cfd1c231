package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign/store"
)

const (
	// liveEvery is the time between two reads of an open page.
	liveEvery = 2 * time.Second
	// beatEvery is the time between two signs of life to a viewer while nothing changes.
	beatEvery = 15 * time.Second
	// livePatience bounds one read of Redis and one write to a viewer, so that a page
	// says within five seconds that Redis is gone.
	livePatience = 3 * time.Second
	// maxViewers is the most pages open at once.
	maxViewers = 500
)

// A feed reads each open page once for all its viewers and sends them what has changed.
// With no viewer it reads nothing.
type feed struct {
	read func(ctx context.Context, topic string) (parts map[string]string, err error)

	mu      sync.Mutex
	topics  map[string]*topic
	viewers int
	running bool
	wake    chan struct{}
}

// A topic is a page that has viewers.
type topic struct {
	viewers int
	parts   map[string]string // HTML by the id of its element
	trouble string            // why parts are old; empty: they are current
	changed chan struct{}     // closed when parts or trouble change
}

func newFeed(read func(context.Context, string) (map[string]string, error)) *feed {
	return &feed{read: read, topics: make(map[string]*topic), wake: make(chan struct{}, 1)}
}

// join adds a viewer, unless there are too many.
func (f *feed) join(name string) (*topic, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.viewers == maxViewers {
		return nil, false
	}
	f.viewers++
	t := f.topics[name]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		f.topics[name] = t
		f.look()
	}
	t.viewers++
	if !f.running {
		f.running = true
		go f.run()
	}
	return t, true
}

func (f *feed) leave(name string, t *topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.viewers--
	if t.viewers--; t.viewers == 0 {
		delete(f.topics, name)
	}
	if f.viewers == 0 {
		f.look()
	}
}

// look wakes the reader, because topics have come or gone.
func (f *feed) look() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run reads all topics every liveEvery, until there are none.
func (f *feed) run() {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		f.mu.Lock()
		names := slices.Sorted(maps.Keys(f.topics))
		f.running = len(names) > 0
		f.mu.Unlock()
		if len(names) == 0 {
			return
		}
		for _, name := range names {
			f.update(name)
		}
		select {
		case <-tick.C:
		case <-f.wake:
		}
	}
}

func (f *feed) update(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), livePatience)
	defer cancel()
	parts, err := f.read(ctx, name)
	trouble := ""
	switch {
	case errors.Is(err, store.ErrNotFound):
		trouble = "this campaign is no longer there"
	case err != nil:
		trouble = "Redis does not answer and what is shown is old: start it again, and all goes on by itself"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[name]
	if t == nil || (trouble == t.trouble && (trouble != "" || maps.Equal(parts, t.parts))) {
		return
	}
	if t.trouble = trouble; trouble == "" {
		t.parts = parts
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// now is what a topic shows. changed is closed when that changes.
func (f *feed) now(t *topic) (parts map[string]string, trouble string, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.parts, t.trouble, t.changed
}

// An event tells a page's script the new content of an element, or that the page has
// trouble; an empty trouble is over.
type event struct {
	ID      string  `json:"id,omitempty"`
	HTML    string  `json:"html"` // empty: the element is emptied
	Trouble *string `json:"trouble,omitempty"`
}

// follow sends the parts of a topic that have changed, until ctx ends. Every beatEvery it
// sends at least an empty list, so that each side notices when the other is gone.
func (f *feed) follow(ctx context.Context, t *topic, send func([]event) error) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	sent := make(map[string]string)
	for told := "?"; ; {
		parts, trouble, changed := f.now(t)
		var news []event
		for _, id := range slices.Sorted(maps.Keys(parts)) {
			if html, ok := sent[id]; !ok || html != parts[id] {
				news = append(news, event{ID: id, HTML: parts[id]})
			}
		}
		for _, id := range slices.Sorted(maps.Keys(sent)) {
			if _, ok := parts[id]; !ok {
				news = append(news, event{ID: id})
			}
		}
		if trouble != told && (parts != nil || trouble != "") {
			news = append(news, event{Trouble: &trouble})
			told = trouble
		}
		if err := send(news); err != nil {
			return err
		}
		sent = parts
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// live serves a page's changes as server-sent events.
func (p *pages) live(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name != "" {
		if _, err := p.known(r); err != nil {
			p.refuse(w, r, err)
			return
		}
	}
	t, ok := p.feed.join(name)
	if !ok {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer p.feed.leave(name, t)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	out := http.NewResponseController(w)
	_ = p.feed.follow(r.Context(), t, func(news []event) error {
		_ = out.SetWriteDeadline(time.Now().Add(livePatience)) // tests have no connection
		if len(news) == 0 {
			if _, err := fmt.Fprint(w, "event: beat\ndata:\n\n"); err != nil {
				return err
			}
		}
		for _, e := range news {
			text, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}
