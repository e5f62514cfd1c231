package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// pageContacts is the most contacts on a page.
const pageContacts = 50

// A listing is one page of a campaign's contacts.
type listing struct {
	Campaign string
	Columns  []any // names of those of the file, without the phone column
	Rows     []listed
	States   []option
	Reasons  []option
	Find     string // the text or number searched for
	Searched int    // contacts examined for it
	Total    int    // contacts that match the filter, by the tally; -1: unknown
	Before   string // address of the page before; empty on the first
	After    string // address of the page after; empty on the last
	On       int    // place from which a search goes on; 0: it has ended
}

// A listed contact is a row of a listing.
type listed struct {
	report.Contact
	Cells []string // one for each of Columns
}

// An option of a filter.
type option struct {
	Value  string
	Label  texts.Line
	Chosen bool
}

// contacts lists a campaign's contacts by state and reason. A search is posted, because
// names and numbers must not stand in addresses.
func (p *pages) contacts(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	wish, err := readWish(r.Form, r.PostForm.Get("find"), c.Settings.Region)
	if err != nil {
		return err
	}
	page, err := wish.filter.List(r.Context(), p.store, c.Name, wish.place, wish.back, pageContacts)
	if err != nil {
		return err
	}
	if wish.filter.Phone != 0 && len(page.Contacts) == 1 {
		http.Redirect(w, r, p.link(fmt.Sprintf("/campaigns/%s/contacts/%d", c.Name, page.Contacts[0].Place)), http.StatusSeeOther)
		return nil
	}
	l, err := p.listing(r.Context(), c, wish, page)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "contacts", view{Title: texts.Of("contacts.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Posted: wish.posted(r), Body: l})
	return nil
}

// posted is what a search was asked for by, which stands in no address.
func (v wish) posted(r *http.Request) []field {
	if v.find == "" {
		return nil
	}
	return []field{{"find", v.find}, {"from", r.PostForm.Get("from")}}
}

// A wish says which contacts to list.
type wish struct {
	filter report.Filter
	find   string
	place  int
	back   bool
}

// maxFind bounds the text of a search, in characters.
const maxFind = 100

// readWish reads the parameters of a list. find is a text, or a number in any spelling.
func readWish(form url.Values, find, region string) (wish, error) {
	v := wish{find: strings.TrimSpace(find)}
	if state := form.Get("state"); state != "" {
		s, err := campaign.ParseState(state)
		if err != nil {
			return v, wishf(http.StatusBadRequest, "error.no_state", "state", state)
		}
		v.filter.States = []campaign.State{s}
	}
	reason, err := strconv.ParseUint(cmp.Or(form.Get("reason"), "0"), 10, 16)
	if err != nil {
		return v, wishf(http.StatusBadRequest, "error.no_reason")
	}
	v.filter.Reason = campaign.Reason(reason)
	at := form.Get("from")
	if before := form.Get("before"); before != "" {
		at, v.back = before, true
	}
	if v.place, err = strconv.Atoi(cmp.Or(at, "0")); err != nil || v.place < 0 {
		return v, wishf(http.StatusBadRequest, "error.no_page")
	}
	if utf8.RuneCountInString(v.find) > maxFind {
		return v, wishf(http.StatusBadRequest, "error.long_find", "n", maxFind)
	}
	if v.find == "" {
		return v, nil
	}
	numbers, err := contacts.NewPhoneParser(region)
	if err != nil {
		return v, err
	}
	phone, why := numbers.Parse(v.find)
	if why == "" {
		v.filter.Phone = phone
	} else {
		v.filter.Text = v.find
	}
	return v, nil
}

// address is the address of a listing, without the search.
func (v wish) address(name, key string, place int) string {
	query := make(url.Values)
	if len(v.filter.States) > 0 {
		query.Set("state", v.filter.States[0].String())
	}
	if v.filter.Reason != campaign.NoReason {
		query.Set("reason", strconv.Itoa(int(v.filter.Reason)))
	}
	query.Set(key, strconv.Itoa(place))
	return "/campaigns/" + name + "/contacts?" + query.Encode()
}

func (p *pages) listing(ctx context.Context, c campaign.Campaign, v wish, page report.Page) (listing, error) {
	tally, err := p.store.Tally(ctx, c.Name)
	if err != nil {
		return listing{}, err
	}
	reasons, err := p.store.Reasons(ctx, c.Name)
	if err != nil {
		return listing{}, err
	}
	l := listing{Campaign: c.Name, Columns: withoutPhone(c.Settings, names(c.Settings)), Find: v.find, Searched: page.Searched, Total: total(tally, v)}
	for _, found := range page.Contacts {
		l.Rows = append(l.Rows, listed{found, withoutPhone(c.Settings, found.Fields)})
	}
	for _, state := range campaign.States() {
		chosen := slices.Contains(v.filter.States, state)
		if n := tally.States[state]; n > 0 || chosen {
			l.States = append(l.States, option{state.String(), texts.Of("option", "what", state, "n", n), chosen})
		}
	}
	l.Reasons = reasonOptions(tally, reasons, v.filter)
	switch {
	case v.find != "":
		l.On = max(page.After, 0)
	default:
		if page.Before > 0 {
			l.Before = p.link(v.address(c.Name, "before", page.Before))
		}
		if page.After >= 0 {
			l.After = p.link(v.address(c.Name, "from", page.After))
		}
	}
	return l, nil
}

// shownOptions bounds the reasons to choose from. The platform may send thousands.
const shownOptions = 100

// reasonOptions lists the reasons for the chosen state, most frequent first.
func reasonOptions(tally campaign.Tally, reasons map[campaign.Reason]campaign.Message, f report.Filter) []option {
	counts := make(map[campaign.Reason]int)
	for at, n := range tally.Reasons {
		if len(f.States) == 0 || slices.Contains(f.States, at.State) {
			counts[at.Reason] += n
		}
	}
	if f.Reason != campaign.NoReason {
		counts[f.Reason] += 0 // the chosen reason is always an option
	}
	var codes []campaign.Reason
	for code := range counts {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b campaign.Reason) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b))
	})
	var options []option
	for i, code := range codes {
		if i < shownOptions || code == f.Reason {
			reason := cmp.Or(reasons[code], campaign.Say(campaign.MsgLostReason, "code", int(code)))
			label := texts.Of("option", "what", reason, "n", counts[code])
			options = append(options, option{strconv.Itoa(int(code)), label, code == f.Reason})
		}
	}
	return options
}

// total counts the contacts that match a wish, by the tally. It is -1 for a search.
func total(tally campaign.Tally, v wish) int {
	switch {
	case v.find != "":
		return -1
	case v.filter.Reason != campaign.NoReason:
		n := 0
		for at, contacts := range tally.Reasons {
			if at.Reason == v.filter.Reason && (len(v.filter.States) == 0 || slices.Contains(v.filter.States, at.State)) {
				n += contacts
			}
		}
		return n
	case len(v.filter.States) > 0:
		return tally.States[v.filter.States[0]]
	}
	return tally.Contacts()
}

// A person is the page of one contact.
type person struct {
	Campaign string
	report.Contact
	Values   []value
	Outcome  campaign.Outcome
	Learned  []value
	Turns    []campaign.Turn
	Ticket   *campaign.Ticket
	Follow   *campaign.Follow // what goes on about the ticket
	Timeline []moment
	Batches  string // prefix of its batches' names on the platform
}

type value struct {
	Name any
	Text string
	Note texts.Line
}

func (p *pages) contact(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	place, err := strconv.Atoi(r.PathValue("place"))
	if err != nil {
		return fmt.Errorf("contact: %w", store.ErrGone)
	}
	who, err := p.readPerson(r.Context(), c, place)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "contact", view{Title: texts.Of("contact.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Body: who})
	return nil
}

func (p *pages) readPerson(ctx context.Context, c campaign.Campaign, place int) (person, error) {
	found, err := report.FindContact(ctx, p.store, c, place)
	if err != nil {
		return person{}, err
	}
	outcomes, err := p.store.Outcomes(ctx, found.Ref)
	if err != nil {
		return person{}, err
	}
	turns, err := p.store.History(ctx, found.Ref, found.Index)
	if err != nil {
		return person{}, err
	}
	who := person{Campaign: c.Name, Contact: found, Outcome: outcomes[found.Index], Turns: turns}
	if err := who.readTicket(ctx, p.store, c); err != nil {
		return person{}, err
	}
	if c.Settings.Mode == campaign.Batch && found.Record.Attempts > 0 {
		who.Batches = campaign.BatchPrefix(c.Name, found.Ref.Chunk)
	}
	for i, name := range names(c.Settings) {
		note := texts.Of("contact.not_sent")
		if key := c.Settings.Columns[i].Key; key != "" && key != name {
			note = texts.Of("contact.sent_as", "key", texts.Name(key))
		} else if key != "" || i == c.Settings.PhoneColumn {
			note = nil
		}
		who.Values = append(who.Values, value{name, found.Fields[i], note})
	}
	learned := who.Outcome.Learned()
	for _, key := range slices.Sorted(maps.Keys(learned)) {
		who.Learned = append(who.Learned, value{Name: key, Text: campaign.CellOf(learned[key])})
	}
	who.Timeline, err = p.timeline(ctx, c, who)
	return who, err
}

// downloads lists the files of results, by name.
var downloads = map[string]struct {
	format report.Format
	kind   string
}{
	"results.csv":   {report.CSV, csvKind},
	"results.xlsx":  {report.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	"results.jsonl": {report.JSONLines, "application/x-ndjson"},
}

// results serves the results of a campaign as a file.
func (p *pages) results(file string) http.HandlerFunc {
	as := downloads[file]
	return p.file(file, as.kind, func(ctx context.Context, name string, w io.Writer) error {
		_, err := report.Results{Format: as.format, BOM: true}.Write(ctx, p.store, name, w)
		if errors.Is(err, report.ErrTooLarge) {
			return &wishError{status: http.StatusBadRequest, err: err}
		}
		return err
	})
}

// rejects serves the refused lines.
func (p *pages) rejects(ctx context.Context, name string, w io.Writer) error {
	_, err := report.Rejects(ctx, p.store, name, w)
	return err
}

// file serves a file of a campaign.
func (p *pages) file(suffix, kind string, write func(context.Context, string, io.Writer) error) http.HandlerFunc {
	return p.of(p.readable, func(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
		p.send(w, r, c.Name+"-"+suffix, kind, func(out io.Writer) error { return write(r.Context(), c.Name, out) })
		return nil
	})
}
