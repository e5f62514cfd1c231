package dashboard

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// source is where the contacts of a draft are and how they are read, without its settings,
// and which agent is to contact them by which channel.
func (p *pages) source(ctx context.Context, d draft) (req launch.Request, agent, channel string, err error) {
	agent, channel, err = p.agentAndChannel(d)
	if err != nil {
		return req, agent, channel, err
	}
	if d.From() != "" {
		if req, err = p.followUp(ctx, d, agent); err != nil {
			return req, agent, channel, err
		}
	} else {
		req.File, req.Stdin = "-", p.Store.DraftFile(ctx, d.Draft)
	}
	req.Name, req.Called, req.Mapping = d.Name(), d.called(), d.mapping(req.Mapping)
	req.Format.Sheet = strings.TrimSpace(d.Form.Get("sheet"))
	req.Format.AllSheets = d.Form.Has("all_sheets")
	req.Format.SkipHiddenRows = d.Form.Has("skip_hidden_rows")
	return req, agent, channel, nil
}

// request makes of a draft what is to be launched, and for which agent.
func (p *pages) request(ctx context.Context, d draft) (req launch.Request, agent string, err error) {
	req, agent, channel, err := p.source(ctx, d)
	if err != nil {
		return req, agent, err
	}
	if lacks := unpicked(d.Form); len(lacks) > 0 {
		return req, agent, &wishError{status: http.StatusBadRequest, line: lacks}
	}
	all := campaign.Given{"agent": {agent}, "channel": {channel}}
	for _, s := range steps {
		said, err := p.said(ctx, d, s.sections...)
		if err != nil {
			return req, agent, err
		}
		maps.Copy(all, said)
	}
	req.Listed = p.listed(ctx, d)
	maps.Copy(all, kept(d.Form, all))
	if req.Settings, err = campaign.NewSettings(all); err == nil {
		req.Settings.WebhookURL = p.WebhookURL
		err = cmp.Or(d.chosenTwice(), req.Check())
	}
	if err != nil {
		err = &wishError{status: http.StatusBadRequest, err: err}
	}
	return req, agent, err
}

// followUp takes the contacts of a campaign in place of a file. For its own agent their
// columns mean what they meant to it.
func (p *pages) followUp(ctx context.Context, d draft, agent string) (req launch.Request, err error) {
	c, err := p.Store.Campaign(ctx, d.From())
	if err != nil {
		return req, asWish(err)
	}
	req.From = c.Name
	if c.Settings.Agent == agent {
		req.Mapping.Constants, req.Mapping.Columns = c.Settings.Constants, make(map[string]string)
		for _, column := range c.Settings.Columns {
			if column.Key != "" {
				req.Mapping.Columns[column.Name] = column.Key
			}
		}
	}
	if where := strings.TrimSpace(d.Form.Get("where")); where != "" {
		rule, err := campaign.ParseRule(where)
		if err != nil {
			return req, &wishError{status: http.StatusBadRequest, err: err}
		}
		req.Choice.Where = campaign.Rules{rule}
	}
	return req, nil
}

// agentAndChannel are those of a draft, or the first of this worker; the channel by its id.
func (p *pages) agentAndChannel(d draft) (agent, channel string, err error) {
	agent, channel = strings.TrimSpace(d.Form.Get("agent")), strings.TrimSpace(d.Form.Get("channel"))
	if all := p.agents(); !d.Form.Has("agent") && len(all) > 0 {
		agent = all[0]
	}
	if !d.Form.Has("channel") && len(p.Channels) > 0 {
		channel = p.Channels[0].Name
	}
	if _, ok := p.Agents[agent]; !ok {
		return agent, channel, wishf(http.StatusBadRequest, "error.agent", "agent", agent)
	}
	if i := slices.IndexFunc(p.Channels, func(c Channel) bool { return strings.EqualFold(c.Name, channel) }); i >= 0 {
		return agent, strconv.Itoa(p.Channels[i].ID), nil
	}
	if _, err := strconv.Atoi(channel); err != nil {
		return agent, channel, wishf(http.StatusBadRequest, "error.channel", "channel", channel)
	}
	return agent, channel, nil
}

const (
	// maxRehearsal bounds how long a person waits at a page while a list is read.
	// A workbook of a million rows takes a tenth of it.
	maxRehearsal = 2 * time.Minute
	// maxReadings are the lists that this worker reads at once, each into a file of up to
	// maxUpload.
	maxReadings = 4
)

var errTooSlow = wishf(http.StatusUnprocessableEntity, "error.too_slow", "n", int(maxRehearsal.Minutes()))

// turn waits for one's turn to read a list.
func (p *pages) turn(ctx context.Context) (end func(), err error) {
	select {
	case p.readings <- struct{}{}:
		return func() { <-p.readings }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reading waits for its turn to read a list, and bounds the time that takes.
func (p *pages) reading(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxRehearsal, errTooSlow)
	defer cancel()
	end, err := p.turn(ctx)
	if err != nil {
		return err
	}
	defer end()
	return read(ctx)
}

// rehearse does everything that a launch by somebody does except storing. rejects is a file
// for the lines that are refused; empty: they are only counted.
func (p *pages) rehearse(ctx context.Context, d draft, by, rejects string) (preview, error) {
	shown := preview{draft: d, File: strings.TrimPrefix(d.called(), contactFile)}
	err := p.reading(ctx, func(ctx context.Context) error {
		req, agent, err := p.request(ctx, d)
		if err != nil {
			return err
		}
		if !d.Launching { // else the campaign may be its own
			if err := p.nameTaken(ctx, req.Name); err != nil {
				return err
			}
		}
		shown.Settings = req.Settings
		l := p.Agents[agent]
		l.By, l.Beside = by, report.Beside(p.store)
		l.Note = func(text string) { shown.Notes = append(shown.Notes, texts.Technical(text)) }
		req.DryRun, req.RejectsFile = true, rejects
		shown.Summary, err = l.Launch(ctx, req)
		return err
	})
	return shown, asDraft(err)
}

// launch launches what has been shown.
func (p *pages) launch(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	// A person who closes the page has still asked for it.
	ctx := context.WithoutCancel(r.Context())
	sum, err := p.launchDraft(ctx, r.PathValue("id"), func() (launch.Summary, bool, error) { return p.launchAs(ctx, r) })
	if err != nil {
		p.refuse(w, r, asWish(asDraft(err)))
		return
	}
	p.did(w, r, "/campaigns/"+sum.Campaign, texts.Of("did.launch", "n", sum.Contacts))
}

// launchDraft launches a draft, which stays as it is meanwhile: pressed twice, on two workers,
// or in two tabs with other names, it becomes one campaign. as says, if there is an error,
// whether surely nothing was launched.
func (p *pages) launchDraft(ctx context.Context, id string, as func() (sum launch.Summary, surely bool, err error)) (sum launch.Summary, err error) {
	wait, cancel := context.WithTimeoutCause(ctx, maxRehearsal, wishf(http.StatusServiceUnavailable, "error.busy"))
	defer cancel()
	end, err := p.turn(wait)
	if err != nil {
		return sum, err
	}
	defer end()
	unlock, err := p.Store.LockDraft(ctx, id)
	if err != nil {
		return sum, err
	}
	var surely bool // nothing was launched if there is an error
	ended := false
	defer func() {
		var left error
		switch {
		case !ended: // it has panicked
		case err == nil:
			left = p.Store.DropDraft(ctx, id)
		case surely:
			left = unlock(ctx)
		}
		if left != nil {
			p.Logger.WarnContext(ctx, "a draft stays locked until it ends by itself", "error", left)
		}
	}()
	sum, surely, err = as()
	ended = true
	return sum, err
}

// errChanged: a draft is no longer what a person has looked at.
var errChanged = wishf(http.StatusConflict, "error.draft_changed")

// launchAs launches a draft as it is. surely: if there is an error, nothing was launched.
func (p *pages) launchAs(ctx context.Context, r *http.Request) (sum launch.Summary, surely bool, err error) {
	d, err := p.draft(r)
	if err == nil && r.PostForm.Has("seen") && r.PostForm.Get("seen") != d.Mark() {
		err = errChanged
	}
	if err != nil {
		return sum, true, err
	}
	req, agent, err := p.request(ctx, d)
	if err != nil {
		return sum, true, err
	}
	req.AtMost, _ = strconv.Atoi(r.PostForm.Get("contacts")) // as many as were seen
	l := p.Agents[agent]
	l.Queue, l.By, l.With, l.Beside = p.queue(r), p.who(r), d.makers(), report.Beside(p.store)
	if sum, err = l.Launch(ctx, req); err != nil {
		return sum, p.cameToNothing(ctx, req.Name, err), err
	}
	return sum, false, nil
}

// cameToNothing reports whether a launch that failed has surely left no campaign that may run
// or still come to run.
func (p *pages) cameToNothing(ctx context.Context, name string, failed error) bool {
	var exists *launch.ExistsError
	if errors.As(failed, &exists) {
		return true // it is another's
	}
	_, err := p.Store.Campaign(ctx, name)
	return errors.Is(err, store.ErrNotFound)
}
