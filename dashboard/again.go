package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
)

// An againForm is the page that sends contacts of a campaign again by a rule.
type againForm struct {
	Campaign string
	Run      uint8      // of the campaign
	Rules    []followUp // to choose from
	Where    string     // rules that must all hold, one on each line
	Limit    string
	Ended    bool // conversations of some of them have ended
	Example  texts.Name
	Found    *jobs.Rerunning // that it would come to; nil: it was not asked yet
	Problem  texts.Line
}

// ruleExamples show how rules are written.
const ruleExamples texts.Name = "ended.no_answer, extraction.intent=buy, column.city=Riyadh"

// maxRules bounds the rules of a form.
const maxRules = 20

// selectionOf is which contacts a form chooses.
func selectionOf(form url.Values) (sel jobs.Selection, err error) {
	lines := strings.FieldsFunc(form.Get("where"), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range append(lines, form["rule"]...) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rule, err := campaign.ParseRule(line)
		if err != nil {
			return sel, &wishError{status: http.StatusUnprocessableEntity, err: err}
		}
		sel.Where = append(sel.Where, rule)
	}
	if len(sel.Where) == 0 || len(sel.Where) > maxRules {
		return sel, wishf(http.StatusUnprocessableEntity, "error.rule", "n", maxRules)
	}
	if text := strings.TrimSpace(form.Get("limit")); text != "" {
		sel.Limit, err = strconv.Atoi(text)
		if err != nil || sel.Limit < 1 {
			return sel, wishf(http.StatusUnprocessableEntity, "error.limit")
		}
	}
	sel.States = sel.DefaultStates()
	return sel, nil
}

// seenIn is what a page has shown of the contacts that a form is about; nil: it has shown
// nothing.
func seenIn(form url.Values) (*jobs.Seen, error) {
	if !form.Has("seen") {
		return nil, nil
	}
	contacts, wrong := strconv.Atoi(form.Get("seen"))
	run, err := strconv.ParseUint(form.Get("run"), 10, 8)
	seen := &jobs.Seen{Contacts: contacts, Run: uint8(run)}
	if text := form.Get("until"); text != "" && err == nil {
		var until int64
		until, err = strconv.ParseInt(text, 10, 64)
		seen.Until = time.Unix(until, 0)
	}
	if err != nil || wrong != nil || contacts < 1 {
		return nil, wishf(http.StatusBadRequest, "error.unseen")
	}
	return seen, nil
}

// again serves that page. It counts before it sends.
func (p *pages) again(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	f := againForm{Campaign: c.Name, Run: c.Run, Rules: followUps, Example: ruleExamples, Where: r.PostForm.Get("where"), Limit: r.PostForm.Get("limit")}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		done, err := p.sendAgain(w, r, c, &f)
		switch {
		case done:
			return nil
		case isDown(err):
			return err
		case err != nil:
			status, f.Problem = http.StatusUnprocessableEntity, lineOf(err)
		}
	}
	posted := []field{{"where", f.Where}, {"limit", f.Limit}}
	if r.Method != http.MethodPost {
		posted = nil
	}
	p.show(w, r, status, "again", view{Title: texts.Of("again.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Posted: posted, Body: f})
	return nil
}

// sendAgain counts what a form chooses, or sends it if that is no more than its page has
// shown. done: the request is answered.
func (p *pages) sendAgain(w http.ResponseWriter, r *http.Request, c campaign.Campaign, f *againForm) (done bool, err error) {
	sel, err := selectionOf(r.PostForm)
	if err != nil {
		return false, err
	}
	var rules []string
	for _, rule := range sel.Where {
		rules = append(rules, rule.String())
	}
	f.Where = strings.Join(rules, "\n") // what was chosen stands there, too
	f.Ended = slices.Contains(sel.States, campaign.Ended)
	if sel.Seen, err = seenIn(r.PostForm); err != nil {
		return false, err
	}
	var found jobs.Rerunning
	if sel.Seen == nil {
		found, err = p.queue(r).Survey(r.Context(), c.Name, sel)
	} else { // it goes on when the page is closed
		found, err = p.queue(r).Rerun(context.WithoutCancel(r.Context()), c.Name, sel)
	}
	switch {
	case errors.Is(err, jobs.ErrMoreChosen), err == nil && sel.Seen == nil:
		f.Found = &found
		return false, err
	case err != nil:
		return false, err
	}
	p.did(w, r, "/campaigns/"+c.Name, texts.Of("did.rerun", "n", found.Contacts))
	return true, nil
}
