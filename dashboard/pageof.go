package dashboard

import (
	"fmt"
	"net/http"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A pageOf serves a page of a campaign. What goes wrong becomes a page by refuse.
type pageOf func(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error

// of is how each page of a campaign begins: the campaign is read, and the form.
func (p *pages) of(read func(*http.Request) (campaign.Campaign, error), serve pageOf) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := read(r)
		if err == nil {
			err = formOf(w, r)
		}
		if err == nil {
			err = serve(w, r, c)
		}
		if err != nil {
			p.refuse(w, r, err)
		}
	}
}

// known reads the campaign of a page.
func (p *pages) known(r *http.Request) (campaign.Campaign, error) {
	name := r.PathValue("name")
	if err := campaign.CheckName(name); err != nil {
		return campaign.Campaign{}, fmt.Errorf("campaign: %w", store.ErrNotFound)
	}
	return p.store.Campaign(r.Context(), name)
}

// readable reads the campaign of a page that shows its contacts.
func (p *pages) readable(r *http.Request) (campaign.Campaign, error) {
	c, err := p.known(r)
	switch {
	case err != nil:
	case c.Phase == campaign.Loading:
		err = wishf(http.StatusConflict, "error.loading", "campaign", texts.Name(c.Name))
	case c.Kept() != nil:
		err = wishf(http.StatusGone, "error.purged", "campaign", texts.Name(c.Name), "date", c.PurgeBegan)
	}
	return c, err
}

// maxForm bounds a form without a file, in bytes.
const maxForm = 64 << 10

// formOf reads a form without a file.
func formOf(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return wishf(http.StatusBadRequest, "error.form", "why", texts.Technical(err.Error()))
	}
	return nil
}

// readForm is formOf for a page that refuses a form it cannot read. If it cannot, it answers
// the request.
func (p *pages) readForm(w http.ResponseWriter, r *http.Request) bool {
	err := formOf(w, r)
	if err != nil {
		p.refuse(w, r, err)
	}
	return err == nil
}
