package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/jobs"
)

// An action is something that a person may do to a campaign in its present state.
type action struct {
	Do       string // last part of the address that the form is posted to
	Label    texts.Line
	Kind     string // primary, danger or empty
	Explain  texts.Line
	Confirm  texts.Line
	States   []choice   // of contacts to choose from
	Revision int        // of list and settings that are approved; 0: none are
	Seen     string     // the change of phase since when it stands still; may be empty
	Link     string     // of the page that does it; empty: this form does
	Rules    []followUp // of contacts for a campaign that follows up; the form then leads to that of a new campaign
}

// A followUp chooses contacts of a campaign that is over, by a rule.
type followUp struct{ Rule, key string }

// Text is which contacts those are.
func (f followUp) Text() texts.Line { return texts.Of(f.key) }

var followUps = []followUp{
	{"ended.no_answer", "follow.unanswered"},
	{"ended.answered", "follow.answered"},
	{"state=failed", "follow.failed"},
	{"state=rejected", "follow.rejected"},
}

type choice struct {
	State    campaign.State
	Contacts int
	Checked  bool
	Warning  texts.Line
}

// offer is an action in the words of the catalogue.
func offer(do, kind string) action {
	say := func(part string) texts.Line { return texts.Of("act." + do + part) }
	return action{Do: do, Label: say(""), Kind: kind, Explain: say(".explain"), Confirm: say(".confirm")}
}

// Actions lists what a person may do to the campaign.
func (s standing) Actions() []action {
	var list []action
	if s.Stale {
		return nil
	}
	if s.Unapproved && s.Visitor >= actions["approve"].least {
		approve := offer("approve", "primary")
		approve.Revision, approve.Explain = s.Approval.Revision, texts.Of("act.approve.explain", "makers", texts.Who(strings.Join(s.Approval.Makers, ", ")))
		list = append(list, approve)
	}
	switch s.State {
	case campaign.Running:
		list = append(list, offer("pause", ""))
	case campaign.Paused:
		list = append(list, s.goOn("resume"))
	case campaign.Ready, campaign.Scheduled:
		list = append(list, s.goOn("start"))
	}
	if s.PurgedAt.IsZero() && s.States.In(campaign.Unconfirmed) > 0 {
		decide := offer("resolve", "")
		decide.Link = "unconfirmed"
		list = append(list, decide)
	}
	if choices := s.choices(); len(choices) > 0 {
		again := offer("rerun", "")
		again.States = choices
		list = append(list, again)
	}
	if s.PurgedAt.IsZero() && s.States.In(campaign.Ended, campaign.Rejected, campaign.Failed) > 0 {
		again := offer("again", "")
		again.Link = "again"
		list = append(list, again)
	}
	if s.Visitor >= users.Launcher && s.State != campaign.Loading && s.PurgedAt.IsZero() && s.Contacts > 0 {
		more := offer("append", "")
		more.Link = "append"
		list = append(list, more)
	}
	if s.Visitor >= users.Launcher && (s.State == campaign.Finished || s.State == campaign.CanceledPhase) && s.PurgedAt.IsZero() && s.Contacts > 0 {
		follow := offer("follow-up", "")
		follow.Rules = followUps
		list = append(list, follow)
	}
	if s.State != campaign.Loading && s.State != campaign.Finished && s.State != campaign.CanceledPhase {
		list = append(list, offer("cancel", "danger"))
	}
	return list
}

// goOn offers to set a campaign running that stands still as it is shown.
func (s standing) goOn(do string) action {
	a := offer(do, "primary")
	a.Seen = s.Whole.PhaseCall
	return a
}

func (s standing) choices() []choice {
	var list []choice
	for _, state := range jobs.Rerunnable {
		if !s.PurgedAt.IsZero() {
			break // their contacts are purged
		}
		if n := s.States.In(state); n > 0 && state != campaign.Unconfirmed { // they have a page, with what to look up
			list = append(list, choice{state, n, state == campaign.Failed, s.rerunWarning(state)})
		}
	}
	return list
}

// rerunWarning says who may be contacted twice if contacts in a state are sent again.
func (s standing) rerunWarning(state campaign.State) texts.Line {
	if n := s.Whole.InDoubt.In(state); n > 0 {
		return texts.Of("act.some_twice", "n", n, "state", state)
	}
	return nil
}

// act serves an action: it carries it out and shows the campaign.
func (p *pages) act(did string, do func(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (n int, err error)) http.HandlerFunc {
	return p.of(p.known, func(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
		// The action goes on when the page is closed.
		n, err := do(context.WithoutCancel(r.Context()), p.queue(r), c, r.PostForm)
		if err != nil {
			return asWish(err)
		}
		p.did(w, r, "/campaigns/"+c.Name, texts.Of("did."+did, "n", n))
		return nil
	})
}

// asWish blames the request for an error, unless Redis is at fault or the campaign is gone.
func asWish(err error) error {
	var wish *wishError
	if err == nil || errors.As(err, &wish) || isDown(err) || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &wishError{status: http.StatusConflict, err: err}
}

// maxReason bounds the reason for a pause, in bytes.
const maxReason = 300

func pause(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	reason, err := reasonOf(form)
	if err != nil {
		return 0, err
	}
	return 0, q.Pause(ctx, c.Name, campaign.Text(reason))
}

// reasonOf is the reason that a form gives, on one line.
func reasonOf(form url.Values) (string, error) {
	reason := strings.Join(strings.Fields(form.Get("reason")), " ")
	if len(reason) > maxReason {
		return "", wishf(http.StatusBadRequest, "error.long_reason", "n", maxReason)
	}
	return reason, nil
}

// resume and start go by the phase that the page has shown.
func resume(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	return q.Resume(ctx, seen(c, form))
}

func start(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	return q.Start(ctx, seen(c, form))
}

// seen is a campaign as the page of a form has shown it.
func seen(c campaign.Campaign, form url.Values) campaign.Campaign {
	c.PhaseCall = form.Get("seen")
	return c
}

func approve(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	revision, err := strconv.Atoi(form.Get("revision"))
	if err != nil || revision < 1 {
		return 0, wishf(http.StatusBadRequest, "error.revision")
	}
	return q.Approve(ctx, c.Name, revision)
}

func cancel(ctx context.Context, q *jobs.Queue, c campaign.Campaign, _ url.Values) (int, error) {
	return q.Cancel(ctx, c.Name)
}

func rerun(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	sel := jobs.Selection{Reason: form.Get("reason")}
	for _, text := range form["state"] {
		state, err := campaign.ParseState(text)
		if err != nil || !slices.Contains(jobs.Rerunnable, state) {
			return 0, wishf(http.StatusBadRequest, "error.not_again", "state", text)
		}
		sel.States = append(sel.States, state)
	}
	if len(sel.States) == 0 {
		return 0, wishf(http.StatusBadRequest, "error.choose")
	}
	var err error
	if sel.Seen, err = seenIn(form); err != nil {
		return 0, err
	}
	done, err := q.Rerun(ctx, c.Name, sel)
	return done.Contacts, err
}
