package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/store"
)

// refusedLines serves the lines of a draft's list that would be refused, as CSV, so that they
// can be corrected before the launch.
func (p *pages) refusedLines(w http.ResponseWriter, r *http.Request) {
	d, err := p.draft(r)
	if err == nil {
		err = p.sendRefused(w, r, d.Name(), func(path string) (preview, error) { return p.rehearse(r.Context(), d, p.who(r), path) })
	}
	if err != nil {
		p.refuse(w, r, asWish(err))
	}
}

// sendRefused serves the refused lines that a rehearsal writes into a file.
func (p *pages) sendRefused(w http.ResponseWriter, r *http.Request, name string, rehearse func(path string) (preview, error)) error {
	dir, release, err := scratch.Dir()
	if err != nil {
		return err
	}
	defer release()
	path := filepath.Join(dir, rand.Text()+".csv")
	defer os.Remove(path)
	shown, err := rehearse(path)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && shown.Refused() == 0 && shown.Summary.NotChosen == 0 {
		return wishf(http.StatusNotFound, "error.no_refused")
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	asAttachment(w, name+"-refused.csv", csvKind)
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}

// template serves an agent's own template of a contact file.
func (p *pages) template(w http.ResponseWriter, r *http.Request) {
	agent := r.URL.Query().Get("agent")
	l, ok := p.Agents[agent]
	if !ok {
		p.refuse(w, r, wishf(http.StatusBadRequest, "error.agent", "agent", agent))
		return
	}
	csv, err := l.Template(r.Context())
	if err != nil {
		p.refuse(w, r, asWish(err))
		return
	}
	asAttachment(w, agent+"-template.csv", csvKind)
	_, _ = w.Write(csv)
}

// inPlaceOf is a draft whose list another one takes the place of. One that is being launched
// keeps its list.
func (p *pages) inPlaceOf(ctx context.Context, id string) (draft, error) {
	d, err := p.Store.Draft(ctx, id)
	if err == nil {
		err = p.Store.SaveStep(ctx, id, beginningStep, d.Steps[beginningStep])
	}
	return p.draftOf(d), asDraft(err)
}

// replaced drops the draft whose list another one has taken the place of.
func (p *pages) replaced(ctx context.Context, d store.Draft) {
	if err := p.Store.DiscardDraft(ctx, d.ID); err != nil {
		p.Logger.WarnContext(ctx, "a draft whose list was replaced is not deleted", "error", err)
	}
}
