package main

import (
	"strings"
	"testing"

	"campaign-runner/campaign"
)

func TestPurge(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	f.move("sale", 0, "no such number", campaign.Send, campaign.Reject)
	for _, step := range []struct {
		name, args     string
		code           int
		stdout, stderr string // what must stand there
	}{
		{"asks where nobody can be asked", "purge sale", 2, "", "campaign: purge sale: it cannot be undone; say --yes\n"},
		{"refuses what is not over", "purge sale --yes", 1, "", "campaign: purge sale: it is running, with 1 contacts to be sent; cancel it first, or --force does\n"},
		{"cancels by force", "purge sale --yes --force", 0, "sale is purged: 2 contacts are gone, totals kept\n", ""},
		{"once is enough", "purge sale", 0, "sale was purged already\n", ""},
		{"tells so in JSON", "purge sale --json", 0, `{"campaign":"sale","purged":true,"already":true,"contacts":2}` + "\n", ""},
		{"shows the totals", "show sale", 0, "rejected  1  no such number\n", ""},
		{"shows since when", "show sale", 0, "\n  purged    20", ""},
		{"verifies the totals", "verify sale", 0, "ok: totals of 2 contacts add up; each of them was purged, there is nothing to recount\n", ""},
		{"has no results", "results sale", 1, "", "campaign: campaign sale: its contacts were purged on "},
		{"has no rejects", "rejects sale", 1, "", "campaign: campaign sale: its contacts were purged on "},
		{"has no plan", "plan sale", 1, "", "campaign: campaign sale: its contacts were purged on "},
		{"has nobody to resolve", "resolve sale", 1, "", "campaign: campaign sale: its contacts were purged on "},
		{"has no log of one", "log sale --contact +966501000000", 1, "", "campaign: campaign sale: its contacts were purged on "},
		{"has a log", "log sale", 0, "purge\n", ""},
		{"there is none", "purge gone --yes", 1, "", "campaign: read campaign gone: no such campaign; 'campaign list' shows all\n"},
	} {
		t.Run(step.name, func(t *testing.T) {
			got := f.run(strings.Fields(step.args)...)
			if got.code != step.code || !strings.Contains(got.stdout, step.stdout) || !strings.Contains(got.stderr, step.stderr) {
				t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}
