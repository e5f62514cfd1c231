package launch

import (
	"cmp"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/contacts"
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
	File      contacts.Format `json:"file"` // how the contact file is written
	campaign.Counts
	Chunks           int      `json:"chunks"`
	Calls            int      `json:"calls"`             // requests that the campaign needs if all goes well
	EstimatedSeconds int      `json:"estimated_seconds"` // that they take at the known limit; 0: at once, or no limit is known
	RejectsFile      string   `json:"rejects_file"`      // empty: no line was refused
	Sent             []string `json:"columns_sent"`      // columns of the file that go to the platform as values
	NotSent          []string `json:"columns_not_sent"`  // the others, without the phone column
	Warnings         []string `json:"warnings"`
}

func (s *Summary) warn(texts ...string) {
	for _, text := range texts {
		if text != "" {
			s.Warnings = append(s.Warnings, text)
		}
	}
}

// summarize tells of a loaded campaign. A limit of 0 is not known.
func summarize(c campaign.Campaign, rate ratelimit.Rate, limit int) Summary {
	s := Summary{
		Campaign:  c.Name,
		Agent:     c.Settings.Agent,
		Mode:      c.Settings.Mode,
		ChannelID: c.Settings.ChannelID,
		Counts:    c.Counts,
		Chunks:    c.Chunks,
		Calls:     c.Chunks,
		Sent:      []string{},
		NotSent:   []string{},
		Warnings:  []string{},
	}
	if c.Settings.Mode == campaign.Dispatch {
		s.Calls = c.Counts.Contacts
	}
	s.EstimatedSeconds = int(estimate(s.Calls, rate, limit).Seconds())
	for i, column := range c.Settings.Columns {
		switch {
		case column.Key != "":
			s.Sent = append(s.Sent, column.Name)
		case i != c.Settings.PhoneColumn:
			s.NotSent = append(s.NotSent, column.Name)
		}
	}
	if c.Counts.Contacts == 0 {
		s.warn("there is nobody to contact in this file")
	}
	return s
}

// estimate is the time from the first call to the last when each window allows
// so many: those of the first window go at once. Without a limit it is zero.
func estimate(calls int, rate ratelimit.Rate, limit int) time.Duration {
	if rate == (ratelimit.Rate{}) {
		rate = ratelimit.Rate{Limit: 30, Window: time.Minute}
	}
	limit, window := cmp.Or(limit, rate.Limit), cmp.Or(rate.Window, time.Minute)
	if limit == 0 || calls == 0 {
		return 0
	}
	return time.Duration((calls-1)/limit) * window
}
