package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// shownWishes bounds the open wishes on the page, the oldest ones.
const shownWishes = 20

// An openWish is that of somebody not to be contacted, of whom no number is known for sure.
type openWish struct{ store.Wish }

// Place is that of the contact whose link the event came by; -1: it named none.
func (w openWish) Place() int { return w.Contact - 1 }

// openWishes are the wishes that a person has to look at, and how many more there are.
func (p *pages) openWishes(ctx context.Context) (list []openWish, more int, err error) {
	all, err := p.Store.Wishes(ctx)
	for _, w := range all[:min(len(all), shownWishes)] {
		list = append(list, openWish{w})
	}
	return list, len(all) - len(list), err
}

// closeWish closes a wish. The number that was found out goes on the do-not-contact list
// first.
func (p *pages) closeWish(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	// It goes on when the page is closed.
	ctx, id, did := context.WithoutCancel(r.Context()), r.PostForm.Get("id"), texts.Of("did.wish")
	open, err := p.Store.FindWishes(ctx, []string{id})
	wish, is := open[id]
	if err == nil && !is {
		err = store.ErrNoWish
	}
	if err == nil && strings.TrimSpace(r.PostForm.Get("number")) != "" {
		var phone campaign.Phone
		if phone, err = phoneOf(r.PostForm); err == nil {
			var n int
			n, err = p.queue(r).Suppress(ctx, []campaign.Phone{phone}, wish.Rule)
			did = texts.Of("did.listed", "n", n)
		}
	}
	if err == nil {
		err = p.Store.CloseWish(ctx, id)
	}
	if errors.Is(err, store.ErrNoWish) {
		err = wishf(http.StatusConflict, "error.no_wish")
	}
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.did(w, r, "/people", did)
}
