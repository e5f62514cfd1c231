package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/jobs"
)

//go:embed templates/*.html
var templateFiles embed.FS

// viewsAt are the pages by name, each with the layout around it, in the words of a
// speaker. Templates write the addresses of pages from the root; base, the path that the
// pages are below, is put before them here.
func viewsAt(base string, s speaker) map[string]*template.Template {
	parse := func(t *template.Template, names ...string) *template.Template {
		for _, name := range names {
			text, err := templateFiles.ReadFile("templates/" + name + ".html")
			if err != nil {
				panic(err) // it is embedded
			}
			template.Must(t.New(name + ".html").Parse(rooted.ReplaceAllString(versioned(string(text)), "${1}"+base+"/")))
		}
		return t
	}
	frame := parse(template.New("").Funcs(s.words()), "layout", "parts", "hours", "together")
	all := make(map[string]*template.Template)
	for _, name := range []string{
		"home", "campaign", "contacts", "contact", "unconfirmed", "log", "plan", "settings", "people", "again", "append", "new", "step", "preview", "trial", "error", "sign-in",
	} {
		all[name] = parse(template.Must(frame.Clone()), name)
	}
	// What a viewer sees are the same pages with some of their parts replaced.
	for name, of := range map[string]string{"seen-home": "home", "glance": "campaign"} {
		all[name] = parse(template.Must(all[of].Clone()), name)
	}
	return all
}

// rooted matches the beginning of an address of ours in a template.
var rooted = regexp.MustCompile(`((?:href|src|action|formaction|data-events)=")/`)

// A view is a page with what its layout needs.
type view struct {
	Title   any        // a Line or a Name
	Nav     string     // its entry in the navigation
	Events  string     // address of its live parts; empty: it has none
	Reload  bool       // reloads itself where scripts are off
	Flash   texts.Line // what was just done
	Trouble trouble
	Visitor visitor
	Body    any

	Here   string  // address where the page is found; empty: that of the request
	Posted []field // see switcher
	Switch *switcher
}

// May reports whether the visitor has at least a role.
func (v view) May(least string) bool {
	role, err := users.ParseRole(least)
	return err == nil && v.Visitor.Role >= role
}

// pages serves all pages but the asynq UI.
type pages struct {
	Config
	gate      *gate
	store     reader
	views     map[texts.Language]map[string]*template.Template
	feed      *feed
	readings  chan struct{} // one for each list that is being read
	wanted    *known[launch.Wanted]
	flashes   flashes
	board     *report.Board
	list      *known[*report.Snapshot] // of one name, which is empty
	standings *known[standing]
	accounts  *known[report.Account]
	seen      sights
	searches  chan struct{} // each search of a person takes one
}

// keptStandings is how many campaigns can be shown as they were when Redis does not
// answer.
const keptStandings = 100

func newPages(cfg Config) *pages {
	p := &pages{Config: cfg, store: cfg.Store, views: make(map[texts.Language]map[string]*template.Template), readings: make(chan struct{}, maxReadings), flashes: flashes{kept: make(map[string]flash)}, board: report.NewBoard(cfg.Store)}
	p.gate = newGate(p.Config)
	p.gate.refuse, p.gate.fail = p.refuse, p.fail
	for _, l := range texts.Languages() {
		p.views[l] = viewsAt(cfg.BasePath, newSpeaker(l))
	}
	p.feed = newFeed(p.fragments)
	p.list, p.standings = newKnown(1, p.lookAt), newKnown(keptStandings, p.readStanding)
	p.accounts = newKnown(keptAccounts, p.readAccount)
	p.accounts.patience = countPatience
	p.wanted = newKnown(keptWanted, p.wants)
	p.wanted.patience = wantedPatience
	p.searches = make(chan struct{}, 1)
	return p
}

// link is the address of a page, whose path is given from our own root.
func (p *pages) link(path string) string { return p.BasePath + path }

// actions are what people do to a campaign, by the last part of the address, and the least
// role of those who may.
var actions = map[string]struct {
	least users.Role
	do    func(context.Context, *jobs.Queue, campaign.Campaign, url.Values) (int, error)
}{
	"pause": {users.Operator, pause}, "resume": {users.Operator, resume}, "start": {users.Operator, start},
	"resolve": {users.Operator, resolve}, "cancel": {users.Operator, cancel}, "rerun": {users.Operator, rerun}, "approve": {users.Launcher, approve},
}

func (p *pages) routes(rs *routes) {
	rs.below("GET /sign-in", users.Nobody, p.signInForm)
	rs.below("POST /sign-in", users.Nobody, p.signIn)
	rs.below("POST /sign-out", users.Viewer, p.signOut)
	rs.below("GET /static/{file}", users.Nobody, packed(static))
	rs.below("GET /{$}", users.Viewer, p.home)
	rs.below("GET /events", users.Viewer, p.live)
	rs.below("GET /campaigns/{name}", users.Viewer, p.campaign)
	rs.below("GET /campaigns/{name}/events", users.Viewer, p.live)
	rs.below("GET /campaigns/{name}/report", users.Viewer, p.of(p.known, p.account))
	for name, a := range actions {
		rs.below("POST /campaigns/{name}/"+name, a.least, p.act(name, a.do))
	}
	rs.below("POST /all/pause", users.Operator, p.together("pause", pauseAll))
	rs.below("POST /all/resume", users.Operator, p.together("resume", resumeAll))
	rs.below("GET /people", users.Operator, p.people)
	rs.below("POST /people", users.Operator, p.people)
	rs.below("POST /people/add", users.Operator, p.changeList("did.listed", (*jobs.Queue).Suppress))
	rs.below("POST /people/remove", users.Operator, p.changeList("did.delisted", (*jobs.Queue).Unsuppress))
	rs.below("POST /people/wish", users.Operator, p.closeWish)
	rs.below("POST /people/import", users.Operator, p.importList)
	rs.below("GET /people/do-not-contact.csv", users.Operator, p.exportList)
	rs.below("GET /campaigns/{name}/unconfirmed", users.Operator, p.of(p.readable, p.unconfirmed))
	rs.below("GET /campaigns/{name}/again", users.Operator, p.of(p.readable, p.again))
	rs.below("POST /campaigns/{name}/again", users.Operator, p.of(p.readable, p.again))
	rs.below("GET /campaigns/{name}/append", users.Launcher, p.of(p.readable, p.appendForm))
	rs.below("POST /campaigns/{name}/append", users.Launcher, p.appendList)
	rs.below("GET /campaigns/{name}/append/{id}", users.Launcher, p.of(p.readable, p.appendPreview))
	rs.below("POST /campaigns/{name}/append/{id}", users.Launcher, p.of(p.readable, p.appended))
	rs.below("GET /campaigns/{name}/append/{id}/refused.csv", users.Launcher, p.of(p.readable, p.appendRefused))
	rs.below("GET /campaigns/{name}/log", users.Operator, p.of(p.known, p.log))
	rs.below("GET /campaigns/{name}/plan", users.Operator, p.of(p.readable, p.plan))
	rs.below("GET /campaigns/{name}/settings", users.Operator, p.of(p.known, p.settings))
	rs.below("POST /campaigns/{name}/settings", users.Launcher, p.of(p.known, p.settings))
	rs.below("POST /campaigns/{name}/calendar", users.Launcher, p.calendar)
	rs.below("GET /campaigns/{name}/contacts", users.Operator, p.of(p.readable, p.contacts))
	rs.below("POST /campaigns/{name}/contacts", users.Operator, p.of(p.readable, p.contacts))
	rs.below("GET /campaigns/{name}/contacts/{place}", users.Operator, p.of(p.readable, p.contact))
	for file := range downloads {
		rs.below("GET /campaigns/{name}/"+file, users.Operator, p.results(file))
	}
	rs.below("GET /campaigns/{name}/rejects.csv", users.Operator, p.file("rejects.csv", csvKind, p.rejects))
	rs.below("GET /new", users.Launcher, p.begin)
	rs.below("POST /new", users.Launcher, p.begun)
	rs.below("GET /new/template.csv", users.Launcher, p.template)
	rs.below("GET /new/{id}", users.Launcher, p.goOn)
	rs.below("GET /new/{id}/refused.csv", users.Launcher, p.refusedLines)
	rs.below("GET /new/{id}/{step}", users.Launcher, p.step)
	rs.below("POST /new/{id}/{step}", users.Launcher, p.stepped)
	rs.below("GET /new/{id}/review", users.Launcher, p.review)
	rs.below("GET /new/{id}/test", users.Launcher, p.trial)
	rs.below("POST /new/{id}/test", users.Launcher, p.try)
	rs.below("POST /new/{id}/launch", users.Launcher, p.launch)
	rs.below("POST /new/{id}/discard", users.Launcher, p.discard)
	rs.below("/", users.Viewer, func(w http.ResponseWriter, r *http.Request) {
		p.fail(w, r, http.StatusNotFound, texts.Of("error.nothing_here"))
	})
}

// show writes a page in the layout of all.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	l := p.language(w, r)
	v.Visitor, v.Events, v.Switch = visitorOf(r), inLanguage(v.Events, l), p.switchFrom(r, l, v.Here, v.Posted)
	p.write(w, r, status, l, name, "layout", v)
}

// write writes a whole page by one of its templates, or none.
func (p *pages) write(w http.ResponseWriter, r *http.Request, status int, l texts.Language, name, whole string, data any) {
	var page bytes.Buffer
	if err := p.views[l][name].ExecuteTemplate(&page, whole, data); err != nil {
		p.Logger.ErrorContext(r.Context(), "page not written", "page", name, "error", err)
		http.Error(w, "this page has a fault, see the worker's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}

// fail writes a page that says in one line what went wrong.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, status int, text texts.Line) {
	back := p.link("/")
	if name := r.PathValue("name"); name != "" && campaign.CheckName(name) == nil && status != http.StatusNotFound {
		back = p.link("/campaigns/" + name)
	}
	title, here := texts.Of(cmp.Or(failures[status], "error.400")), ""
	if r.Method != http.MethodGet {
		here = back
	}
	p.show(w, r, status, "error", view{Title: title, Here: here, Body: struct {
		Title, Text texts.Line
		Back        string
	}{title, text, back}})
}

// failures tell people what went wrong.
var failures = map[int]string{
	http.StatusBadRequest:         "error.400",
	http.StatusForbidden:          "error.403",
	http.StatusNotFound:           "error.404",
	http.StatusConflict:           "error.409",
	http.StatusGone:               "error.410",
	http.StatusServiceUnavailable: "error.503",
}

// refuse writes an error as a page: not found, Redis does not answer, or a request that
// cannot be met.
func (p *pages) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusServiceUnavailable
	var wish *wishError
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		status = http.StatusNotFound
	case errors.As(err, &wish):
		status = wish.status
	default:
		p.Logger.WarnContext(r.Context(), "page not served", "page", r.Pattern, "error", err)
	}
	p.fail(w, r, status, lineOf(err))
}

// who names the visitor for the campaign's log.
func (p *pages) who(r *http.Request) string {
	if v := visitorOf(r); v.Name != "" {
		return campaign.OnPages(v.Name)
	}
	return campaign.OnPages("")
}

// queue acts in the visitor's name.
func (p *pages) queue(r *http.Request) *jobs.Queue {
	return jobs.NewQueue(p.Store, p.Logger).By(p.who(r))
}

// fragments are the live parts of a page, by the id of their element.
func (p *pages) fragments(ctx context.Context, of subject) (content, error) {
	views := p.views[of.language]
	if chosen, ok := strings.CutPrefix(of.page, "/"); ok {
		q, err := url.ParseQuery(strings.TrimPrefix(chosen, "?"))
		if err != nil {
			return content{}, err
		}
		snap, since, err := p.list.get(ctx, "", liveEvery/2)
		if since.IsZero() {
			return content{}, err
		}
		view, body := p.homeFor(of.role, snap, readFilter(q), err != nil)
		c, wrong := listContent(views[view], body)
		c.since = since
		return c, cmp.Or(err, wrong)
	}
	s, since, err := p.standings.get(ctx, of.page, liveEvery/2)
	if since.IsZero() {
		return content{}, err
	}
	s.Stale, s.Account = err != nil, p.cameTo(ctx, s, 0)
	view, body := standingFor(of.role, s)
	parts, wrong := fill(views[view], body, standingParts[view]...)
	return content{parts: parts, since: since}, cmp.Or(err, wrong)
}

// standingParts are the live parts of a campaign's page.
var standingParts = map[string][]string{
	"campaign": {"say", "head", "actions", "outcomes", "chart", "reasons", "facts"},
	"glance":   {"say", "head", "outcomes", "chart", "facts"},
}

// listContent is the list with its rows apart: most of them stay as they are.
func listContent(t *template.Template, body any) (content, error) {
	parts, err := fill(t, body, "together", "agents", "say", "found", "empty", "paging")
	if err != nil {
		return content{}, err
	}
	c := content{parts: parts, rows: []string{}}
	add := func(name string, row any) error {
		cells, err := fill(t, row, "row")
		c.parts["r-"+name], c.rows = cells["row"], append(c.rows, "r-"+name)
		return err
	}
	switch h := body.(type) {
	case home:
		for _, r := range h.Campaigns {
			err = cmp.Or(err, add(r.Campaign, r))
		}
	case seenHome:
		for _, r := range h.Campaigns {
			err = cmp.Or(err, add(r.Campaign, r))
		}
	}
	return c, err
}

func fill(t *template.Template, data any, names ...string) (map[string]string, error) {
	parts := make(map[string]string, len(names))
	for _, name := range names {
		var text bytes.Buffer
		if err := t.ExecuteTemplate(&text, name, data); err != nil {
			return nil, err
		}
		parts[name] = text.String()
	}
	return parts, nil
}
