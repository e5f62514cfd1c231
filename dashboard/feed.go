package dashboard

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

const (
	// liveEvery is the time between two reads of an open page.
	liveEvery = 2 * time.Second
	// beatEvery is the time between two signs of life to a viewer while nothing changes.
	beatEvery = 15 * time.Second
	// livePatience bounds one read of Redis, so that a page says within five seconds
	// that Redis is gone. writePatience bounds one write to a viewer.
	livePatience  = 2 * time.Second
	writePatience = 3 * time.Second
	// maxViewers is the most pages open at once.
	maxViewers = 500
	// maxOfOne is the most pages that one person, or one address, has open at once.
	maxOfOne = 50
)

// content is what a page shows live.
type content struct {
	parts map[string]string // HTML by the id of its element
	since time.Time         // when it was so; zero: now
	rows  []string          // ids of the rows of its list, in order, not nil; their HTML is among the parts. Nil: it has no list
}

// news are the events that make old into c.
func (c content) news(old content) (news []event) {
	if !slices.Equal(c.rows, old.rows) {
		news = append(news, event{Rows: &c.rows})
	}
	for _, id := range slices.Sorted(maps.Keys(c.parts)) {
		if html, ok := old.parts[id]; !ok || html != c.parts[id] {
			news = append(news, event{ID: id, HTML: c.parts[id]})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old.parts)) {
		if _, ok := c.parts[id]; !ok && !slices.Contains(old.rows, id) { // rows go with the order
			news = append(news, event{ID: id})
		}
	}
	return news
}

// trouble is why a page shows what is old; an empty Text: it does not.
type trouble struct {
	Text  texts.Line
	Since time.Time // when what it shows was so
}

// An event tells a page's script the new content of an element, the order of its list's
// rows, or that the page has trouble; one without text is over.
type event struct {
	ID      string    `json:"id,omitempty"`
	HTML    string    `json:"html"` // empty: the element is emptied
	Rows    *[]string `json:"rows,omitempty"`
	Trouble *string   `json:"trouble,omitempty"`
	Since   string    `json:"since,omitempty"` // of trouble: when what the page shows was so
}

// Age is how old that is, in words that the page's script goes on with.
func (t trouble) Age() texts.Line {
	seconds := int(time.Since(t.Since).Round(time.Second).Seconds())
	if seconds < 90 {
		return texts.Of("ago.seconds", "n", max(seconds, 0))
	}
	return texts.Of("ago.minutes", "n", (seconds+30)/60)
}

func (t trouble) same(other trouble) bool { return reflect.DeepEqual(t.Text, other.Text) }

// event tells a page of the trouble, in the words of its language.
func (t trouble) event(say texts.Printer) event {
	text := string(say.Value(t.Text))
	e := event{Trouble: &text}
	if t.Text != nil && !t.Since.IsZero() {
		e.Since = t.Since.UTC().Format(time.RFC3339)
	}
	return e
}

// An audience is what makes one page another for some viewers.
type audience struct {
	language texts.Language
	role     users.Role
}

// A subject is a page as an audience sees it.
type subject struct {
	page string // a campaign's name, or a choice of the list
	audience
}

// A feed reads each open page once for all viewers of an audience and sends them what
// has changed. With no viewer it reads nothing.
type feed struct {
	// read reads a page. With an error comes what is known of it.
	read func(ctx context.Context, of subject) (content, error)

	mu      sync.Mutex
	topics  map[subject]*topic
	viewers int
	of      map[string]int // viewers, by who they are
	running bool
	wake    chan struct{}
}

// A topic is a page that has viewers.
type topic struct {
	say     texts.Printer
	viewers int
	content content
	trouble trouble
	read    time.Time     // when content was; zero: never
	version int           // of content and trouble
	last    message       // makes the version before into this one
	whole   *message      // all of this version; nil: nobody has asked yet
	changed chan struct{} // closed when the version changes
}

func newFeed(read func(context.Context, subject) (content, error)) *feed {
	return &feed{read: read, topics: make(map[subject]*topic), of: make(map[string]int), wake: make(chan struct{}, 1)}
}

// join adds a viewer, unless there are too many, in all or of theirs.
func (f *feed) join(name subject, who string) (*topic, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.viewers == maxViewers || f.of[who] == maxOfOne {
		return nil, false
	}
	f.viewers++
	f.of[who]++
	t := f.topics[name]
	if t == nil {
		t = &topic{say: newSpeaker(name.language).plain, changed: make(chan struct{})}
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

func (f *feed) leave(name subject, who string, t *topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.viewers--
	if f.of[who]--; f.of[who] == 0 {
		delete(f.of, who)
	}
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

// run reads all topics every liveEvery, and new ones at once, until there are none.
func (f *feed) run() {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for all := true; ; {
		names := f.names(all)
		if names == nil {
			return
		}
		var gone error // once Redis does not answer, no other page waits for it
		for _, name := range names {
			if err := f.update(name, gone); isDown(err) {
				gone = err
			}
		}
		select {
		case <-tick.C:
			all = true
		case <-f.wake:
			all = false
		}
	}
}

// names lists the topics, or those that were never read. It is nil when the reader is to
// end, because there are none.
func (f *feed) names(all bool) []subject {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running = len(f.topics) > 0; !f.running {
		return nil
	}
	names := []subject{}
	for name, t := range f.topics {
		if all || t.version == 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b subject) int {
		return cmp.Or(strings.Compare(a.page, b.page), cmp.Compare(a.language, b.language))
	})
	return names
}

// update reads a topic, unless it is known that this fails.
func (f *feed) update(name subject, failed error) error {
	var now content
	err := failed
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), livePatience)
		defer cancel()
		now, err = f.read(ctx, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[name]
	if t == nil {
		return err
	}
	before, had := t.content, t.trouble
	if err == nil {
		t.content, t.trouble, t.read = now, trouble{}, time.Now()
	} else if had.Text == nil {
		if t.version == 0 && now.parts != nil {
			t.content, t.read = now, now.since
		}
		t.trouble = trouble{troubleText(err), t.read}
	}
	news := t.content.news(before)
	if !t.trouble.same(had) || t.version == 0 {
		news = append(news, t.trouble.event(t.say))
	}
	if len(news) == 0 {
		return err
	}
	t.version++
	t.last, t.whole = encode(news), nil
	close(t.changed)
	t.changed = make(chan struct{})
	return err
}

func troubleText(err error) texts.Line {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return texts.Of("page.gone")
	case isDown(err):
		return texts.Of("page.no_redis")
	}
	return texts.Of("page.unreadable", "why", texts.Technical(err.Error()))
}

// next is what a viewer is sent who has been sent a version; changed is closed when there
// is more. There is nothing before a topic has been read for the first time.
func (f *feed) next(t *topic, seen int) (m message, version int, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case t.version == seen:
		return message{}, seen, t.changed
	case t.version == seen+1 && seen > 0:
		return t.last, t.version, t.changed
	}
	if t.whole == nil {
		whole := encode(append(t.content.news(content{}), t.trouble.event(t.say)))
		t.whole = &whole
	}
	return *t.whole, t.version, t.changed
}

// follow sends what has changed of a topic, until ctx ends, and a beat where nothing has
// for beatEvery, so that each side notices when the other is gone.
func (f *feed) follow(ctx context.Context, t *topic, send func(message) error) error {
	life := time.NewTicker(beatEvery)
	defer life.Stop()
	for seen := 0; ; {
		m, version, changed := f.next(t, seen)
		if version == seen {
			m = beat()
		}
		seen = version
		if err := send(m); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-life.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// live serves a page's changes as server-sent events.
func (p *pages) live(w http.ResponseWriter, r *http.Request) {
	topic := subject{listTopic(r.URL.Query()), audience{languageOf(r), visitorOf(r).Role}}
	if name := r.PathValue("name"); name != "" {
		ctx, cancel := context.WithTimeout(r.Context(), livePatience)
		defer cancel()
		// When Redis does not answer, the feed says so.
		if _, err := p.known(r.WithContext(ctx)); err != nil && !isDown(err) {
			p.refuse(w, r, err)
			return
		}
		topic.page = name
	}
	who := "address " + addressOf(r)
	if v := visitorOf(r); v.Name != "" {
		who = "user " + v.Name
	}
	t, ok := p.feed.join(topic, who)
	if !ok {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer p.feed.leave(topic, who, t)
	out := http.NewResponseController(w)
	s := newStream(w, r)
	_ = p.feed.follow(r.Context(), t, func(m message) error {
		_ = out.SetWriteDeadline(time.Now().Add(writePatience)) // tests have no connection
		if err := s.write(m); err != nil {
			return err
		}
		return out.Flush()
	})
	s.end()
}
