package dashboard

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
	persons "campaign-runner/jobs/person"
)

// Bounds of what is shown of a person, and of the list.
const (
	shownCampaigns = 20 // with what happened in each
	shownMoments   = 100
	shownListings  = 20 // changes of the do-not-contact list
)

// searchPatience bounds the search of a person in all campaigns. Those without an index of
// numbers are read as a whole.
const searchPatience = 2 * time.Minute

// A desk is the page of a person in all campaigns, and of the do-not-contact list.
type desk struct {
	Number  string // as it was typed
	Region  string // of numbers without a country code, as it was typed
	Found   *somebody
	Changes []store.Suppression // of the list, the latest first
	Country formField
	Open    []openWish // the oldest first
	Later   int        // further ones
}

// Somebody is the person with a number. It stands in forms of the page, never in an
// address.
type somebody struct {
	E164     string
	Listed   bool // on the do-not-contact list
	Searched bool
	persons.Person
	Campaigns []involved
	More      int // campaigns that are named alone
	Timeline  []involvement
	Trouble   texts.Line // why the campaigns could not be searched
}

// Involved is a person as a contact of a campaign.
type involved struct {
	Campaign, State string
	Place, Attempts int
	Changed         time.Time
	Why             campaign.Message
}

// An involvement is a moment of a person in a campaign.
type involvement struct {
	Campaign string
	moment
}

// people serves that page. A number is posted, as it must not stand in an address.
func (p *pages) people(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	d := desk{Number: strings.TrimSpace(r.PostForm.Get("number")), Region: strings.TrimSpace(r.PostForm.Get("region")), Country: formField{Setting: campaign.LaunchSettings("region")[0]}}
	var posted []field
	if r.Method == http.MethodPost {
		phone, err := phoneOf(r.PostForm)
		if err == nil {
			d.Found, err = p.findSomebody(r.Context(), phone, r.PostForm.Has("all"), p.queue(r))
		}
		if err != nil {
			p.refuse(w, r, err)
			return
		}
		posted = []field{{"number", d.Number}, {"region", d.Region}}
		if r.PostForm.Has("all") {
			posted = append(posted, field{"all", "1"})
		}
	}
	var err error
	if d.Changes, err = p.Store.SuppressionLog(r.Context(), shownListings); err != nil {
		p.refuse(w, r, err)
		return
	}
	if d.Open, d.Later, err = p.openWishes(r.Context()); err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "people", view{Title: texts.Of("people.title"), Nav: "people", Flash: p.done(r), Posted: posted, Body: d})
}

// phoneOf is the number of a form, in any spelling and digits.
func phoneOf(form url.Values) (campaign.Phone, error) {
	numbers, err := contacts.NewPhoneParser(strings.ToUpper(strings.TrimSpace(form.Get("region"))))
	if err != nil {
		return 0, wishf(http.StatusBadRequest, "error.region", "region", form.Get("region"))
	}
	text := strings.TrimSpace(form.Get("number"))
	phone, why := numbers.Parse(text[:min(len(text), maxFind)])
	switch {
	case why == "":
		return phone, nil
	case strings.Contains(string(why), "--region"):
		return 0, wishf(http.StatusBadRequest, "error.no_country")
	}
	return 0, wishf(http.StatusBadRequest, "error.number", "why", texts.Word{Family: "refusal", Text: string(why)})
}

// findSomebody looks a number up on the do-not-contact list, and with all in all campaigns.
func (p *pages) findSomebody(ctx context.Context, phone campaign.Phone, all bool, q *jobs.Queue) (*somebody, error) {
	listed, err := p.Store.FindSuppressed(ctx, []campaign.Phone{phone})
	if err != nil {
		return nil, err
	}
	s := &somebody{E164: phone.E164(), Listed: listed[0], Searched: all}
	if !all {
		return s, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, searchPatience, wishf(http.StatusGatewayTimeout, "people.slow", "n", int(searchPatience.Minutes())))
	defer cancel()
	select {
	case p.searches <- struct{}{}: // a search may read a lot: they take turns
		defer func() { <-p.searches }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s.Person, err = (&persons.Desk{Store: p.Store, Queue: q}).Find(ctx, phone, false); err == nil {
		err = p.involve(ctx, s)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		s.Trouble = lineOf(err)
	}
	return s, nil
}

// involve reads what happened to a person, in the campaigns that were changed last.
func (p *pages) involve(ctx context.Context, s *somebody) error {
	found := s.Contacts
	slices.SortStableFunc(found, func(a, b persons.Contact) int { return b.ChangedAt.Compare(a.ChangedAt) })
	for i, contact := range found {
		in := involved{Campaign: contact.Campaign, State: contact.StateName, Place: contact.Place, Attempts: contact.Attempts, Changed: contact.ChangedAt}
		if i < shownCampaigns {
			c, err := p.store.Campaign(ctx, contact.Campaign)
			if err != nil {
				return err
			}
			who, err := p.readPerson(ctx, c, contact.Place)
			if err != nil {
				return err
			}
			in.Why = who.Reason
			for _, m := range who.Timeline {
				if !m.whole {
					s.Timeline = append(s.Timeline, involvement{c.Name, m})
				}
			}
		}
		s.Campaigns = append(s.Campaigns, in)
	}
	s.More = max(len(found)-shownCampaigns, 0)
	slices.SortStableFunc(s.Timeline, func(a, b involvement) int { return a.At.Compare(b.At) })
	slices.Reverse(s.Timeline)
	s.Timeline = s.Timeline[:min(len(s.Timeline), shownMoments)]
	return nil
}

// changeList serves a change of the do-not-contact list by one number.
func (p *pages) changeList(did string, change func(*jobs.Queue, context.Context, []campaign.Phone, string) (int, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.readForm(w, r) {
			return
		}
		phone, err := phoneOf(r.PostForm)
		var reason string
		if err == nil {
			reason, err = whyListed(r.PostForm)
		}
		n := 0
		if err == nil { // it goes on when the page is closed
			n, err = change(p.queue(r), context.WithoutCancel(r.Context()), []campaign.Phone{phone}, reason)
		}
		if err != nil {
			p.refuse(w, r, err)
			return
		}
		p.did(w, r, "/people", texts.Of(did, "n", n))
	}
}

// whyListed is the reason for a change of the list, which must be given.
func whyListed(form url.Values) (string, error) {
	reason, err := reasonOf(form)
	if err == nil && reason == "" {
		err = wishf(http.StatusBadRequest, "error.why")
	}
	return reason, err
}

// exportList serves the do-not-contact list as a file.
func (p *pages) exportList(w http.ResponseWriter, r *http.Request) {
	p.send(w, r, "do-not-contact.csv", csvKind, func(to io.Writer) error {
		out := bufio.NewWriterSize(to, 64<<10)
		_, err := io.WriteString(out, "phone\n")
		for phone, wrong := range p.Store.Suppressed(r.Context()) {
			if err = cmp.Or(err, wrong); err != nil {
				return err
			}
			_, err = fmt.Fprintln(out, phone.E164())
		}
		return cmp.Or(err, out.Flush())
	})
}
