package dashboard

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"campaign-runner/campaign/texts"
)

// flashLife is how long it is kept what was done. A browser asks for the next page at
// once.
const flashLife = time.Minute

// flashes tell the page that follows an action what was done, once. The address holds
// an id that cannot be guessed, so that no link makes a page say what was not done.
type flashes struct {
	mu   sync.Mutex
	kept map[string]flash
}

type flash struct {
	path  string
	line  texts.Line
	until time.Time
}

// did leads a visitor to a page of ours, which says what was done.
func (p *pages) did(w http.ResponseWriter, r *http.Request, path string, line texts.Line) {
	id, now := rand.Text(), time.Now()
	p.flashes.mu.Lock()
	for old, f := range p.flashes.kept {
		if now.After(f.until) {
			delete(p.flashes.kept, old)
		}
	}
	p.flashes.kept[id] = flash{path, line, now.Add(flashLife)}
	p.flashes.mu.Unlock()
	http.Redirect(w, r, p.link(path)+"?did="+id, http.StatusSeeOther)
}

// done is what was just done, for the page that is asked for.
func (p *pages) done(r *http.Request) texts.Line {
	id := r.URL.Query().Get("did")
	p.flashes.mu.Lock()
	defer p.flashes.mu.Unlock()
	f, ok := p.flashes.kept[id]
	if !ok || f.path != r.URL.Path || time.Now().After(f.until) {
		return nil
	}
	delete(p.flashes.kept, id)
	return f.line
}
