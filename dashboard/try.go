package dashboard

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/velents"
)

// A trial is the page on which somebody is contacted as the first person of a draft's list
// would be: the person who makes the campaign, before its launch.
type trial struct {
	draft
	Problem texts.Line // what came of it, or is in the way; empty: nothing was tried yet
	Number  string     // as it was typed
	Values  []field    // what the agent is told
}

// Bounds of trials.
const (
	trialPatience = 2 * time.Minute // waits for the quota included
	trialRows     = 1000            // first rows among which a contact is looked for
)

var (
	// onePress lets a form that is sent twice contact somebody once.
	onePress = store.Guesses{AtOnce: 1, Every: 24 * time.Hour}
	// trialsOf are those of a person: the page is for one's own phone.
	trialsOf = store.Guesses{AtOnce: 5, Every: time.Minute}
)

// Press names a form, so that it counts once.
func (d draft) Press() string { return rand.Text() }

// Region is the country of numbers without a country code.
func (d draft) Region() string { return d.Form.Get("region") }

// Marks are all steps.
func (t trial) Marks() []mark { return t.marks(review) }

// trial serves that page.
func (p *pages) trial(w http.ResponseWriter, r *http.Request) {
	d, err := p.draft(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.showTrial(w, r, d, nil)
}

func (p *pages) showTrial(w http.ResponseWriter, r *http.Request, d draft, problem error) {
	shown, status := trial{draft: d, Number: r.PostForm.Get("number")}, http.StatusOK
	_, values, err := p.firstOf(context.WithoutCancel(r.Context()), d)
	if problem == nil {
		problem = err
	}
	if problem != nil {
		status, shown.Problem = statusOf(problem), lineOf(problem)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		shown.Values = append(shown.Values, field{key, values[key]})
	}
	p.show(w, r, status, "trial", view{Title: texts.Of("test.of", "campaign", d.Title()), Nav: "new", Here: p.link("/new/" + d.ID + "/test"), Flash: p.done(r), Body: shown})
}

// firstOf is how the first contact of a draft's list would be sent, without a number.
func (p *pages) firstOf(ctx context.Context, d draft) (agent string, values map[string]string, err error) {
	l, err := p.glance(ctx, d, trialRows)
	if err = cmp.Or(err, l.wrong()); err != nil {
		return "", nil, err
	}
	for _, row := range l.Rows {
		if row.Number != "" {
			s := campaign.Settings{Columns: l.Columns, PhoneColumn: l.Phone, Constants: l.mapping.Constants}
			return l.agent, s.Values(row.Contact), nil
		}
	}
	return "", nil, wishf(http.StatusUnprocessableEntity, "test.nobody", "n", trialRows)
}

// try contacts one number as the first contact of the list would be.
func (p *pages) try(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	d, err := p.draft(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	// It goes on when the page is closed.
	said, err := p.tryDraft(context.WithoutCancel(r.Context()), r, d)
	if err != nil {
		p.showTrial(w, r, d, err)
		return
	}
	p.did(w, r, "/new/"+d.ID+"/test", said)
}

func (p *pages) tryDraft(ctx context.Context, r *http.Request, d draft) (said texts.Line, err error) {
	phone, err := phoneOf(r.PostForm)
	if err != nil {
		return nil, err
	}
	listed, err := p.Store.FindSuppressed(ctx, []campaign.Phone{phone})
	if err == nil && listed[0] {
		err = wishf(http.StatusConflict, "test.listed", "number", texts.Name(phone.String()))
	}
	if err != nil {
		return nil, err
	}
	agent, values, err := p.firstOf(ctx, d)
	if err != nil {
		return nil, err
	}
	_, channel, err := p.agentAndChannel(d)
	if err != nil {
		return nil, err
	}
	if err := p.mayTry(ctx, r, d); err != nil {
		return nil, err
	}
	id, _ := strconv.Atoi(channel) // it was checked
	l := p.Agents[agent]
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	answer, err := l.Try(ctx, velents.Dispatch{ChannelID: id, Phone: phone.E164(), Values: values})
	p.Logger.InfoContext(ctx, "somebody was contacted as a test", "by", p.who(r), "agent", agent, "contact", phone, "accepted", err == nil)
	if err != nil {
		return nil, cameOf(err, phone)
	}
	return texts.Of("test.accepted", "number", texts.Name(phone.String()), "conversation", answer.ID), nil
}

// mayTry takes what a trial needs: a form that was not sent before, and one of those that a
// person may make.
func (p *pages) mayTry(ctx context.Context, r *http.Request, d draft) error {
	wait, err := onePress.Take(ctx, p.Store, hashed("press", d.ID+" "+r.PostForm.Get("press")))
	if err == nil && wait > 0 {
		err = wishf(http.StatusConflict, "test.pressed")
	}
	if err != nil {
		return err
	}
	wait, err = trialsOf.Take(ctx, p.Store, hashed("trials", visitorOf(r).Name))
	if err == nil && wait > 0 {
		err = wishf(http.StatusTooManyRequests, "test.many", "wait", texts.Name(waitText(wait)))
	}
	return err
}

// cameOf says what came of a trial that was not accepted.
func cameOf(err error, phone campaign.Phone) error {
	number := texts.Name(phone.String())
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case errors.As(err, &refused) && refused.Status >= 500, errors.As(err, &unanswered) && unanswered.Sent:
		return wishf(http.StatusBadGateway, "test.unknown", "number", number)
	case errors.As(err, &refused):
		return wishf(http.StatusUnprocessableEntity, "test.refused", "number", number, "why", refused.Error())
	case errors.As(err, &unanswered):
		return wishf(http.StatusBadGateway, "test.not_sent", "number", number, "why", texts.Technical(unanswered.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		return wishf(http.StatusServiceUnavailable, "test.slow", "n", int(trialPatience.Minutes()))
	}
	return asWish(err)
}
