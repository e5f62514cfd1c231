package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// pageDecisions is the most entries on a page of a campaign's log.
const pageDecisions = 50

// A logbook is a page of a campaign's log, the latest entry first.
type logbook struct {
	Campaign string
	Whole    bool // only decisions about the campaign as a whole
	Entries  []entry
	Earlier  string // address of the page of earlier entries; empty: there is none
}

// An entry of a log.
type entry struct{ report.Decision }

// What is what was done.
func (e entry) What() texts.Word { return done(e.Action) }

// logPlaces are places in a log, as they stand in an address.
var logPlaces = regexp.MustCompile(`^(\d{1,20}-\d{1,20})?,(\d{1,20}-\d{1,20})?$`)

// log serves the log of a campaign: who has decided what, or with of=all each request, too.
func (p *pages) log(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	asked := r.URL.Query()
	var at store.LogPlace
	if text := asked.Get("before"); text != "" {
		ids := logPlaces.FindStringSubmatch(text)
		if ids == nil {
			return wishf(http.StatusBadRequest, "error.no_page")
		}
		at = store.LogPlace{ids[1], ids[2]}
	}
	book, err := p.readLogbook(r.Context(), c, at, asked.Get("of") != "all")
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "log", view{Title: texts.Of("log.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Body: book})
	return nil
}

func (p *pages) readLogbook(ctx context.Context, c campaign.Campaign, at store.LogPlace, whole bool) (logbook, error) {
	book := logbook{Campaign: c.Name, Whole: whole}
	page, err := report.ReadLogPage(ctx, p.store, c, at, whole, pageDecisions)
	if err != nil {
		return book, err
	}
	for _, d := range page.Entries {
		book.Entries = append(book.Entries, entry{d})
	}
	if page.More {
		q := url.Values{"before": {strings.Join(page.Next[:], ",")}}
		if !whole {
			q.Set("of", "all")
		}
		book.Earlier = p.link("/campaigns/" + c.Name + "/log?" + q.Encode())
	}
	return book, nil
}
