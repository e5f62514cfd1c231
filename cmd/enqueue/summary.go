package main

import (
	"fmt"
	"strings"
	"time"

	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/cmd/internal/cli"
)

// output is the summary as --json prints it.
func output(s launch.Summary) any {
	return struct {
		launch.Summary
		EstimatedTime string `json:"estimated_time"`
	}{s, estimatedTime(s)}
}

func estimatedTime(s launch.Summary) string {
	return cli.About(time.Duration(s.EstimatedSeconds) * time.Second)
}

// text is the summary as people read it.
func text(s launch.Summary) string {
	var b strings.Builder
	if s.DryRun {
		fmt.Fprintf(&b, "Campaign %s: a dry run, nothing is stored\n\n", s.Campaign)
	} else {
		fmt.Fprintf(&b, "Campaign %s is %s\n\n", s.Campaign, s.State)
	}
	line := func(label, value string) { fmt.Fprintf(&b, "  %-17s %s\n", label, cli.Printable(value)) }
	line("file read as", s.File.String())
	count := func(label string, n int) { fmt.Fprintf(&b, "  %-17s %11s\n", label, cli.Number(n)) }
	count("rows read", s.Rows)
	count("contacts", s.Contacts)
	if len(s.Countries) > 0 {
		line("countries", perCountry(s.Countries))
	}
	for _, column := range []string{s.CountryColumn, s.CountryCode} {
		if column != "" {
			line("country by", "column "+column)
		}
	}
	for _, from := range report.Refusals(s.PhoneColumns) {
		line("numbers of", fmt.Sprintf("%11s  column %s", cli.Number(from.Contacts), from.Reason))
	}
	fates(&b, count, s)
	count("chunks", s.Chunks)
	count("calls needed", s.Calls)
	if s.Canary > 0 {
		line("canary", "the first "+cli.Number(s.Canary)+", before the others")
	}
	line("estimated time", estimatedTime(s))
	if s.Plan != nil {
		outlook(line, *s.Plan)
	}
	if len(s.Sent) > 0 {
		line("columns sent", strings.Join(s.Sent, ", "))
	}
	if len(s.NotSent) > 0 {
		line("columns not sent", strings.Join(s.NotSent, ", "))
	}
	if s.RejectsFile != "" {
		line("rejects", s.RejectsFile)
	}
	return b.String()
}

// fates says how many numbers are doubtful, and what became of the rows that are no
// contacts.
func fates(b *strings.Builder, count func(label string, n int), s launch.Summary) {
	if doubtful := report.Refusals(s.Doubtful); len(doubtful) > 0 {
		n := 0
		for _, d := range doubtful {
			n += d.Contacts
		}
		count("doubtful numbers", n)
		for _, d := range doubtful {
			fmt.Fprintf(b, "  %29s  %s\n", cli.Number(d.Contacts), d.Reason)
		}
	}
	if s.NotChosen > 0 {
		count("rows not chosen", s.NotChosen)
	}
	count("lines refused", s.Rows-s.Contacts-s.NotChosen)
	for _, r := range report.Refusals(s.Refused) {
		if r.Reason.String() == string(contacts.NotChosen) {
			continue // counted above
		}
		fmt.Fprintf(b, "  %29s  %s\n", cli.Number(r.Contacts), r.Reason)
	}
}

// perCountry lists countries by their contacts.
func perCountry(counts map[string]int) string {
	var texts []string
	all := report.Refusals(counts)
	for _, country := range all[:min(len(all), shownCountries)] {
		texts = append(texts, country.Reason.String()+" "+cli.Number(country.Contacts))
	}
	if more := len(all) - shownCountries; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more, all with --json", more))
	}
	return strings.Join(texts, ", ")
}

// outlook tells when contacts will be sent.
func outlook(line func(label, value string), o launch.Outlook) {
	line("hours", o.Hours)
	if !o.Begins.IsZero() {
		line("begins", cli.Moment(o.Begins))
	}
	if !o.Ends.IsZero() {
		line("ends", cli.Moment(o.Ends))
	}
	if !o.FinishBy.IsZero() {
		line("to finish by", cli.Moment(o.FinishBy))
	}
	if len(o.Steps) < 2 {
		return
	}
	for _, step := range o.Steps[:min(len(o.Steps), shownZones)] {
		when := "held"
		if !step.Opens.IsZero() {
			when = "from " + cli.Moment(step.Opens)
		}
		line("", fmt.Sprintf("%11s  %s, %s", cli.Number(step.Contacts), step.Name, when))
	}
	if more := len(o.Steps) - shownZones; more > 0 {
		line("", "and "+cli.Count(more, "more zone", "more zones")+"; all with --json")
	}
}

// shownCountries bounds the countries that people are shown.
const shownCountries = 15

// shownZones bounds the zones that people are shown.
const shownZones = 15
