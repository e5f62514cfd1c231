package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/jobs"
)

// An action is something that a person may do to a campaign in its present state.
type action struct {
	Do       string // last part of the address that the form is posted to
	Label    string
	Kind     string // primary, danger or empty
	Explain  string
	Confirm  string
	States   []choice   // of contacts to choose from
	Revision int        // of list and settings that are approved; 0: none are
	Rules    []followUp // of contacts for a campaign that follows up; the form then leads to that of a new campaign
}

// A followUp chooses contacts of a campaign that is over, by a rule.
type followUp struct{ Rule, Text string }

var followUps = []followUp{
	{"ended.no_answer", "who did not answer"},
	{"ended.answered", "who answered"},
	{"state=failed", "whose attempts all failed"},
	{"state=rejected", "whom the platform refused on this channel"},
}

type choice struct {
	State    campaign.State
	Contacts int
	Checked  bool
	Warning  string
}

// Actions lists what a person may do to the campaign.
func (s standing) Actions() []action {
	var list []action
	if s.Stale {
		return nil
	}
	if s.Unapproved && s.Visitor >= actions["approve"].least {
		list = append(list, action{Do: "approve", Label: "Approve…", Kind: "primary", Confirm: "Approve", Revision: s.Approval.Revision,
			Explain: "Its list and settings are as they should be, and its contacts may be sent. Somebody else has to say so than " + strings.Join(s.Approval.Makers, ", ") + "."})
	}
	switch s.State {
	case campaign.Running:
		list = append(list, action{Do: "pause", Label: "Pause…", Explain: "Nothing more is sent until it is resumed. What is on its way still gets its answer.", Confirm: "Pause"})
	case campaign.Paused:
		list = append(list, action{Do: "resume", Label: "Resume…", Kind: "primary", Explain: "It goes on where it was.", Confirm: "Resume"})
	case campaign.Ready, campaign.Scheduled:
		list = append(list, action{Do: "start", Label: "Start now…", Kind: "primary", Explain: "Its contacts are sent from now on.", Confirm: "Start"})
	}
	if choices := s.choices(); len(choices) > 0 {
		list = append(list, action{Do: "rerun", Label: "Send again…", Explain: "They become pending again, with new attempts:", Confirm: "Send again", States: choices})
	}
	if s.Visitor >= users.Launcher && (s.State == campaign.Finished || s.State == campaign.CanceledPhase) && s.PurgedAt.IsZero() && s.Contacts > 0 {
		list = append(list, action{Do: "follow-up", Label: "Follow up…", Explain: "A new campaign with those contacts of this one, perhaps on another channel:", Confirm: "Go on", Rules: followUps})
	}
	if s.State != campaign.Loading && s.State != campaign.Finished && s.State != campaign.CanceledPhase {
		list = append(list, action{Do: "cancel", Label: "Cancel campaign…", Kind: "danger",
			Explain: "Contacts that are still to be sent are canceled. Only sending them again brings them back.", Confirm: "Cancel the campaign"})
	}
	return list
}

func (s standing) choices() []choice {
	var list []choice
	for _, state := range jobs.Rerunnable {
		if !s.PurgedAt.IsZero() {
			break // their contacts are purged
		}
		if n := s.States.In(state); n > 0 {
			list = append(list, choice{state, n, state == campaign.Failed, s.rerunWarning(state)})
		}
	}
	return list
}

// rerunWarning says who may be contacted twice if contacts in a state are sent again.
func (s standing) rerunWarning(state campaign.State) string {
	const twice = "may have been contacted already: those who were are contacted twice."
	if state == campaign.Unconfirmed {
		return "They " + twice
	}
	if n := s.Whole.InDoubt.In(state); n > 0 {
		return fmt.Sprintf("Of all that are %s %s %s", state, campaign.Number(n), twice)
	}
	return ""
}

// maxForm bounds a form without a file, in bytes.
const maxForm = 64 << 10

// readForm reads a form without a file. If it cannot, it answers the request.
func (p *pages) readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.refuse(w, r, wishf(http.StatusBadRequest, "this form cannot be read: %w", err))
		return false
	}
	return true
}

// act serves an action: it carries it out and shows the campaign.
func (p *pages) act(did string, do func(ctx context.Context, q *jobs.Queue, name string, form url.Values) (n int, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := p.known(r)
		if err != nil {
			p.refuse(w, r, err)
			return
		}
		if !p.readForm(w, r) {
			return
		}
		// The action goes on when the page is closed.
		n, err := do(context.WithoutCancel(r.Context()), p.queue(r), c.Name, r.PostForm)
		if err != nil {
			p.refuse(w, r, asWish(err))
			return
		}
		p.did(w, r, "/campaigns/"+c.Name, deeds[did](n))
	}
}

// asWish blames the request for an error, unless Redis is at fault or the campaign is gone.
func asWish(err error) error {
	var wish *wishError
	if errors.As(err, &wish) || isDown(err) || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &wishError{http.StatusConflict, err}
}

// maxReason bounds the reason for a pause, in bytes.
const maxReason = 300

func pause(ctx context.Context, q *jobs.Queue, name string, form url.Values) (int, error) {
	reason := strings.Join(strings.Fields(form.Get("reason")), " ")
	if len(reason) > maxReason {
		return 0, wishf(http.StatusBadRequest, "the reason is too long: want at most %d bytes", maxReason)
	}
	return 0, q.Pause(ctx, name, campaign.Text(reason))
}

func resume(ctx context.Context, q *jobs.Queue, name string, _ url.Values) (int, error) {
	return q.Resume(ctx, name)
}

func start(ctx context.Context, q *jobs.Queue, name string, _ url.Values) (int, error) {
	return q.Start(ctx, name)
}

func approve(ctx context.Context, q *jobs.Queue, name string, form url.Values) (int, error) {
	revision, err := strconv.Atoi(form.Get("revision"))
	if err != nil || revision < 1 {
		return 0, wishf(http.StatusBadRequest, "this page does not say what is approved: load it again")
	}
	return q.Approve(ctx, name, revision)
}

func cancel(ctx context.Context, q *jobs.Queue, name string, _ url.Values) (int, error) {
	return q.Cancel(ctx, name)
}

func rerun(ctx context.Context, q *jobs.Queue, name string, form url.Values) (int, error) {
	sel := jobs.Selection{Reason: form.Get("reason")}
	for _, text := range form["state"] {
		state, err := campaign.ParseState(text)
		if err != nil || !slices.Contains(jobs.Rerunnable, state) {
			return 0, wishf(http.StatusBadRequest, "contacts that are %q are not sent again", text)
		}
		sel.States = append(sel.States, state)
	}
	if len(sel.States) == 0 {
		return 0, wishf(http.StatusBadRequest, "choose which contacts to send again")
	}
	done, err := q.Rerun(ctx, name, sel)
	return done.Contacts, err
}

// deeds say what an action has done. n counts its contacts.
var deeds = map[string]func(n int) string{
	"pause":   func(int) string { return "Paused. What is on its way still gets its answer." },
	"resume":  func(int) string { return "It goes on." },
	"start":   func(int) string { return "It has started." },
	"approve": func(int) string { return "Approved." },
	"cancel":  func(n int) string { return campaign.Count(n, "contact", "contacts") + " canceled." },
	"rerun":   func(n int) string { return campaign.Count(n, "contact", "contacts") + " to be sent again." },
	"launch":  func(n int) string { return "Launched, with " + campaign.Count(n, "contact", "contacts") + "." },
	"discard": func(int) string { return "Nothing was launched; the list is deleted." },
}
