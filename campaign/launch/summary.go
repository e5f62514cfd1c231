package launch

import (
	"cmp"
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/plan"
	"campaign-runner/ratelimit"
)

// A Summary is what came of a launch.
type Summary struct {
	Campaign  string          `json:"campaign"`
	State     campaign.Phase  `json:"state,omitempty"` // empty after a dry run
	DryRun    bool            `json:"dry_run,omitempty"`
	Agent     string          `json:"agent"`
	Mode      campaign.Mode   `json:"mode"`
	ChannelID int             `json:"channel_id"`
	Listens   bool            `json:"listens"` // it asks the platform for events
	File      contacts.Format `json:"file"`    // how the contact file is written
	campaign.Counts
	Chunks           int       `json:"chunks"`
	Calls            int       `json:"calls"`                         // requests that the campaign needs if none fails
	Unapproved       bool      `json:"waits_for_approval,omitempty"`  // after a dry run: it would
	Canary           int       `json:"canary,omitempty"`              // the first contacts, after which the rest waits; 0: none
	EstimatedSeconds int       `json:"estimated_seconds"`             // until the last of them has left, at the known limit, and those of --then; 0: at once, or no limit is known
	Plan             *Outlook  `json:"plan,omitempty"`                // nil: no hours, times or caps matter
	CountryColumn    string    `json:"country_column,omitempty"`      // that tells the country of the numbers
	CountryCode      string    `json:"country_code_column,omitempty"` // the same, by calling codes
	SheetsNotRead    []string  `json:"sheets_not_read,omitempty"`
	HiddenRows       int       `json:"hidden_rows,omitempty"`       // that were read although they are hidden
	Listings         []Listing `json:"suppression_lists,omitempty"` // after a dry run: what each came to
	RejectsFile      string    `json:"rejects_file"`                // empty: no line was refused
	Sent             []string  `json:"columns_sent"`                // columns of the file that go to the platform as values
	NotSent          []string  `json:"columns_not_sent"`            // the others, without the phone column
	Warnings         []string  `json:"warnings"`

	Messages []campaign.Message `json:"-"` // the warnings, for who says them in other words
}

// summary tells of a campaign that was loaded or added to. A limit of 0 is not known.
func (l *Launcher) summary(ctx context.Context, req Request, c campaign.Campaign, src *sources, out loaded, limit int) (Summary, error) {
	now, err := l.now(ctx, req.DryRun)
	if err != nil {
		return Summary{}, err
	}
	if out.beside == nil {
		out.beside = l.beside(ctx, c.Name, c.Settings.Agent)
	}
	agent := sendsAt{rate: l.Rate, limit: limit, blocked: l.blockedUntil(ctx, c.Settings.Agent, now)}
	s := summarize(c, outlook(c.Settings, out.work, *out.beside, agent, now))
	visible, hidden := src.contacts.list.SheetsNotRead()
	s.File, s.RejectsFile, s.DryRun = src.contacts.list.Format(), out.rejectsFile, req.DryRun
	s.SheetsNotRead, s.HiddenRows = append(visible, hidden...), out.hidden
	if req.DryRun {
		s.Listings = out.listings
	}
	s.say(out.warnings...)
	return s, l.tellApproval(ctx, &s, out.before+c.Counts.Contacts)
}

func (s *Summary) say(list ...campaign.Message) {
	s.Warnings, s.Messages = append(s.Warnings, campaign.Strings(list)...), append(s.Messages, list...)
}

// An Outlook is when a campaign's contacts will be sent.
type Outlook struct {
	plan.Plan
	Hours    string    `json:"hours"`
	StartAt  time.Time `json:"start_at,omitzero"`
	FinishBy time.Time `json:"finish_by,omitzero"`
	Now      time.Time `json:"now"`

	blocked time.Time
}

// A beside is how contacts would be sent, and what comes before them.
type beside struct {
	own    plan.Work
	others []plan.Work
}

// beside asks how contacts of an agent would be sent, and what comes before them but for the
// campaign of that name. An estimate is not worth an error.
func (l *Launcher) beside(ctx context.Context, name, agent string) *beside {
	if l.Beside == nil {
		return new(beside)
	}
	own, others, err := l.Beside(ctx, name, agent)
	if err != nil {
		l.note("not known what else is to be sent: %v", err)
		return new(beside)
	}
	return &beside{own, others}
}

// A sendsAt is the pace of an agent, as far as its launcher knows it.
type sendsAt struct {
	rate    ratelimit.Rate
	limit   int       // requests per window, as the platform has told; 0: not known
	blocked time.Time // nothing is sent before
}

// outlook is the plan of a campaign of which nothing is sent yet, beside others on its
// token. Where the campaign's own work has a pace already, it goes by that.
func outlook(s campaign.Settings, w plan.Work, with beside, agent sendsAt, now time.Time) Outlook {
	own := with.own
	w.PerCall, w.PerDay, w.Start, w.FinishBy = s.RequestRows(), s.DailyCap, s.StartAt, s.FinishBy
	w.Midnight, w.Canary = s.DayOf(now).From.Location(), s.Canary
	w.Again = plan.Repeats(s.Delays(), 1) // nobody is known to have answered
	for _, until := range []time.Time{agent.blocked, own.Start} {
		if until.After(w.Start) {
			w.Start = until
		}
	}
	w.Agent, w.Lane, w.Turn = s.Agent, float64(campaign.LaneWeights[s.LaneFor(len(w.Chunks))]), own.Turn
	w.Rate, w.Burst = own.Rate, own.Burst
	if w.Rate == 0 {
		perWindow, window := agent.rate.Count()
		w.AtLimit(float64(cmp.Or(agent.limit, perWindow)), cmp.Or(window, time.Minute))
	}
	works := append(with.others, w)
	works[0].Rate, works[0].Burst = w.Rate, w.Burst
	plans := plan.Together(works, now)
	return Outlook{plans[len(plans)-1], s.Hours.String(), s.StartAt, s.FinishBy, now, agent.blocked}
}

// summarize tells of a loaded campaign.
func summarize(c campaign.Campaign, o Outlook) Summary {
	s := Summary{
		Campaign:  c.Name,
		Agent:     c.Settings.Agent,
		Mode:      c.Settings.Mode,
		ChannelID: c.Settings.ChannelID,
		Listens:   c.Settings.WebhookURL != "",
		Canary:    c.Settings.Canary,
		Counts:    c.Counts,
		Chunks:    c.Chunks,
		Calls:     o.Calls,
		Sent:      []string{},
		NotSent:   []string{},
		Warnings:  []string{},

		CountryColumn: c.Settings.Reading.FoundCountryColumn,
		CountryCode:   c.Settings.Reading.FoundCountryCodeColumn,
	}
	if o.Ends.After(o.Now) {
		s.EstimatedSeconds = int(o.Ends.Sub(o.Now).Seconds())
	}
	if set := c.Settings; !set.Hours.IsZero() || !set.StartAt.IsZero() || !set.FinishBy.IsZero() || set.DailyCap > 0 {
		s.Plan = &o
	}
	for i, column := range c.Settings.Columns {
		switch {
		case column.Key != "":
			s.Sent = append(s.Sent, column.Name)
		case i != c.Settings.PhoneColumn:
			s.NotSent = append(s.NotSent, column.Name)
		}
	}
	s.say(campaign.HoursWarnings(c.Settings.Hours)...)
	if o.blocked.After(o.Now) {
		s.say(campaign.Say(campaign.MsgBlocked, "agent", c.Settings.Agent, "until", o.blocked.UTC()))
	}
	if c.Counts.Contacts == 0 {
		s.say(campaign.Say(campaign.MsgNobody))
	}
	if n := c.Counts.Refused[string(contacts.TwoNumbers)]; n > 0 {
		s.say(campaign.Say(campaign.MsgTwoNumbers, "lines", n))
	}
	if o.Held > 0 {
		s.say(campaign.Say(campaign.MsgHeld, "contacts", o.Held))
	}
	if o.Missed > 0 {
		s.say(campaign.Say(campaign.MsgMissed, "contacts", o.Missed, "end", o.FinishBy.UTC()))
	}
	return s
}
