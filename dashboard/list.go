package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
)

// pageRows is the most campaigns on a page of the list.
const pageRows = 50

// maxSearch bounds what is searched for, in bytes.
const maxSearch = 100

// A filter is which campaigns somebody wants to see, and in which order. It is kept in
// the address.
type filter struct {
	Search string
	State  string // a campaign.Phase, or attention; empty: any
	Sort   string // a name in orders
	Page   int    // from 1
}

// phases are the states of campaigns, as a list is filtered by them.
var phases = []campaign.Phase{
	campaign.Running, campaign.Paused, campaign.Ready, campaign.Scheduled, campaign.Loading, campaign.Finished, campaign.CanceledPhase,
}

const attention = "attention" // in place of a state: what needs a person

// order is a way to sort a list. Of equal rows the newest comes first.
type order struct {
	name    string
	compare func(a, b *report.Row) int
}

// orders are the ways to sort a list, the usual one first.
var orders = []order{
	{"attention", func(a, b *report.Row) int { return cmp.Compare(needOf(a), needOf(b)) }},
	{"newest", func(a, b *report.Row) int { return 0 }},
	{"oldest", func(a, b *report.Row) int { return a.CreatedAt.Compare(b.CreatedAt) }},
	{"name", func(a, b *report.Row) int { return strings.Compare(a.Campaign, b.Campaign) }},
	{"ends", func(a, b *report.Row) int { return endOf(a).Compare(endOf(b)) }},
	{"problems", func(a, b *report.Row) int { return b.States.Problems() - a.States.Problems() }},
	{"contacts", func(a, b *report.Row) int { return b.Contacts - a.Contacts }},
}

// endOf is when a campaign ends by itself; those of which that is not known, and those
// that have ended, come after all others.
func endOf(r *report.Row) time.Time {
	const century = 100 * 365 * 24 * time.Hour
	switch {
	case r.Over():
		return r.CreatedAt.Add(2 * century)
	case r.ETA.IsZero():
		return r.CreatedAt.Add(century)
	}
	return r.ETA
}

// A need says how much a campaign needs somebody to look at it.
type need int

const (
	needsPerson need = iota // it stands still until somebody acts
	goesOn                  // it is on its way, or will be
	isOver
)

func needOf(r *report.Row) need {
	waits := r.WaitingFor
	rests := slices.ContainsFunc([]string{"waits.hours", "waits.day", "waits.rungs"}, func(key string) bool { return waitKey(waits) == key })
	switch {
	case r.Over():
		return isOver
	case rests:
		return goesOn
	case r.State == campaign.Paused, r.State == campaign.Ready, r.Unapproved(),
		!waits.IsZero() && !r.Paced && r.State == campaign.Running, waits.Is(campaign.MsgLoadDied), waits.Is(campaign.MsgQuotaBlocked):
		return needsPerson
	}
	return goesOn
}

// readFilter reads a filter out of an address. What cannot be read is as if it was not
// there.
func readFilter(q url.Values) filter {
	c := filter{Search: strings.TrimSpace(strings.ToValidUTF8(q.Get("q"), "")), State: q.Get("state"), Sort: q.Get("sort"), Page: 1}
	if len(c.Search) > maxSearch {
		c.Search = strings.ToValidUTF8(c.Search[:maxSearch], "")
	}
	if c.State != attention && !slices.Contains(phases, campaign.Phase(c.State)) {
		c.State = ""
	}
	if !slices.ContainsFunc(orders, func(o order) bool { return o.name == c.Sort }) {
		c.Sort = orders[0].name
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 1_000_000 {
		c.Page = n
	}
	return c
}

// query is the filter as it stands in an address: with ?, or empty.
func (c filter) query() string {
	q := make(url.Values)
	for name, value := range map[string]string{"q": c.Search, "state": c.State, "sort": c.Sort} {
		if value != "" && (name != "sort" || value != orders[0].name) {
			q.Set(name, value)
		}
	}
	if c.Page > 1 {
		q.Set("page", strconv.Itoa(c.Page))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// listTopic names a filter among the topics of the feed. No campaign's name begins with a
// slash.
func listTopic(q url.Values) string { return "/" + readFilter(q).query() }

// find is the campaigns that are chosen, in order.
func (c filter) find(rows []report.Row) (found []*report.Row) {
	search := campaign.NewNeedle(c.Search)
	for i := range rows {
		r := &rows[i]
		switch {
		case c.State == attention && needOf(r) != needsPerson,
			c.State != attention && c.State != "" && c.State != string(r.State),
			!search.In(r.Campaign) && !search.In(r.Title):
			continue
		}
		found = append(found, r)
	}
	by := orders[slices.IndexFunc(orders, func(o order) bool { return o.name == c.Sort })]
	slices.SortStableFunc(found, by.compare) // they are the newest first
	return found
}

// Plain reports whether nothing is chosen: all campaigns, in the usual order.
func (c filter) Plain() bool { return c.Search == "" && c.State == "" }

// Pages is how many pages the list has; at least one.
func (h list) Pages() int { return max((h.Found+pageRows-1)/pageRows, 1) }

// Range is the places of the rows in the whole list, from 1.
func (h list) Range() texts.Name {
	first := (h.Page-1)*pageRows + 1
	return texts.Name(campaign.Number(first) + "–" + campaign.Number(first+h.Shown-1))
}

// Before and After are the addresses of the pages beside this one; empty: there is none.
func (h list) Before() string { return h.page(h.Page - 1) }
func (h list) After() string  { return h.page(h.Page + 1) }

func (h list) page(n int) string {
	if n < 1 || n > h.Pages() {
		return ""
	}
	c := h.filter
	c.Page = n
	return "/" + c.query()
}

// StateOptions and SortOptions are what a list is filtered and sorted by.
func (c filter) StateOptions() []option {
	options := []option{{"", texts.Of("home.any"), c.State == ""}, {attention, texts.Of("home.attention"), c.State == attention}}
	for _, state := range phases {
		options = append(options, option{string(state), texts.Of("phase." + string(state)), c.State == string(state)})
	}
	return options
}

func (c filter) SortOptions() (options []option) {
	for _, o := range orders {
		options = append(options, option{o.name, texts.Of("sort." + o.name), c.Sort == o.name})
	}
	return options
}
