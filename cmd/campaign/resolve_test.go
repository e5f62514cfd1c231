package main

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
)

// A script that has looked contacts up says which by what the list printed.
func TestResolveIsAboutAnEarlierList(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 5)
	for i, after := range []time.Duration{0, time.Minute, time.Hour} {
		f.Move("sale", []int{i}, campaigntest.Step{At: at.Add(after)}, campaign.Send, campaign.Lose)
	}
	more := "campaign: more contacts are chosen than were seen, or some were sent again meanwhile: look at the number again\n"
	for _, tt := range []struct{ args, stdout, stderr string }{
		{"--until 2026-01-02T03:05:05Z --contacts 1", "", more},
		{"--contacts 2", "", more},
		{"--until 2026-01-02T03:05:05Z --contacts 2 --chunk 0", "sale: 2 unconfirmed contacts will be sent\n", ""},
		{"--until 2026-01-02T06:05:05+03:00", "sale: 0 unconfirmed contacts will be sent\n", ""},
		{"--contacts 1", "sale: 1 unconfirmed contact will be sent\n", ""},
		{"--contacts -1", "", "campaign: --contacts: want a number from 1; campaign resolve -h shows how\n"},
		{"--until yesterday", "", `campaign: --until: time "yesterday": want 2026-11-27T09:00:00+03:00, or 2026-11-27 09:00 with a time zone` + "\n"},
	} {
		got := f.run(append([]string{"resolve", "sale", "--not-sent"}, strings.Fields(tt.args)...)...)
		if got.stdout != tt.stdout || got.stderr != tt.stderr {
			t.Errorf("%s: %+v", tt.args, got)
		}
	}
}
