package dashboard

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/handout"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

const (
	// keptAccounts is how many reports are kept, each for accountFor: it reads every contact
	// of its campaign.
	keptAccounts = 100
	accountFor   = 10 * time.Second
	// countPatience bounds one count; a million contacts take seconds.
	countPatience = 2 * time.Minute
)

// On the page of a campaign the count is that of its report. It is made anew while somebody
// looks: where the states have changed, after recountAfter, and a while longer for many
// contacts; else after recountAgain, since events may tell more of a conversation that is over.
const (
	recountAfter   = 30 * time.Second
	recountContact = 50 * time.Microsecond
	recountAgain   = 5 * time.Minute
	// countWithin is how long a page waits for its first count. It has a place for it.
	countWithin = time.Second
)

// cameTo is what a campaign came to, as it was last counted. It waits at most that long for
// the first count, and for later ones not at all.
func (p *pages) cameTo(ctx context.Context, s standing, within time.Duration) report.Account {
	if s.State == campaign.Loading || s.Contacts == 0 {
		return report.Account{}
	}
	last, _ := p.accounts.last(s.Campaign)
	young := recountAgain
	if !maps.Equal(last.States, s.States) {
		young = recountAfter + time.Duration(s.Contacts)*recountContact
	}
	if !last.At.IsZero() {
		within = 0
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if a, _, err := p.accounts.get(ctx, s.Campaign, young); err == nil {
		return a
	}
	return last
}

func (p *pages) readAccount(ctx context.Context, name string) (report.Account, error) {
	return report.ReadAccount(ctx, p.store, name, time.Local)
}

// account serves what a campaign came to: the page that 'campaign report' writes.
func (p *pages) account(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	a, _, err := p.accounts.get(r.Context(), c.Name, accountFor)
	if err != nil {
		return err
	}
	if visitorOf(r).Role < users.Operator {
		a = report.Account{Totals: a.Totals}
	}
	l, address := p.language(w, r), p.link("/campaigns/"+c.Name)
	say := texts.Printer{Language: l}
	links := []handout.Link{{Address: address, Text: string(say.Say("report.back"))}}
	for _, other := range texts.Languages() {
		if other != l {
			links = append(links, handout.Link{Address: address + "/report?lang=" + string(other), Text: other.Own(), Language: other})
		}
	}
	links = append(links, handout.Link{Address: address + "/report?save=1", Text: string(say.Say("report.save"))})
	if r.URL.Query().Has("save") {
		links = nil // they lead nowhere from a file
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-report.html"`, c.Name))
	}
	var page bytes.Buffer
	if err := handout.Write(&page, a, l, links...); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", handout.Policy+"; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = page.WriteTo(w)
	return nil
}
