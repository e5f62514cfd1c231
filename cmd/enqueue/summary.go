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
type output struct {
	launch.Summary
	EstimatedTime string `json:"estimated_time"`
}

func outputOf(s launch.Summary) output {
	return output{s, cli.About(time.Duration(s.EstimatedSeconds) * time.Second)}
}

// String is the summary as people read it.
func (o output) String() string {
	var p page
	takes := o.EstimatedTime
	switch {
	case o.DryRun:
		fmt.Fprintf(&p, "Campaign %s: a dry run, nothing is stored\n\n", o.Campaign)
	case o.Unapproved:
		fmt.Fprintf(&p, "Campaign %s waits for approval\n\n", o.Campaign)
	default:
		fmt.Fprintf(&p, "Campaign %s is %s\n\n", o.Campaign, o.State)
	}
	if o.Unapproved {
		takes += ", once it is approved"
	}
	p.line("file read as", o.File.String())
	p.count("rows read", o.Rows)
	p.count("contacts", o.Contacts)
	p.numbers(o.Summary)
	if o.NotChosen > 0 {
		p.count("rows not chosen", o.NotChosen)
	}
	p.count("lines refused", o.Rows-o.Contacts-o.NotChosen)
	for _, r := range report.Refusals(o.Refused) {
		if r.Reason.String() != string(contacts.NotChosen) { // counted above
			p.reason(r)
		}
	}
	p.count("chunks", o.Chunks)
	p.count("requests", o.Calls)
	if o.Canary > 0 {
		p.line("canary", "the first "+cli.Number(o.Canary)+", before the others")
	}
	p.line("estimated time", takes)
	if o.Plan != nil {
		p.outlook(*o.Plan)
	}
	p.line("columns sent", strings.Join(o.Sent, ", "))
	p.line("columns not sent", strings.Join(o.NotSent, ", "))
	p.line("rejects", o.RejectsFile)
	return p.String()
}

// shownCountries and shownZones bound what people are shown of each.
const (
	shownCountries = 15
	shownZones     = 15
)

// A page has labels on the left and what they label on the right.
type page struct{ strings.Builder }

// line writes a line, if there is a value.
func (p *page) line(label, value string) {
	if value != "" {
		fmt.Fprintf(p, "  %-17s %s\n", label, cli.Printable(value))
	}
}

func (p *page) count(label string, n int) { p.line(label, fmt.Sprintf("%11s", cli.Number(n))) }

func (p *page) reason(r report.Reason) {
	fmt.Fprintf(p, "  %29s  %s\n", cli.Number(r.Contacts), r.Reason)
}

// numbers tells of the numbers of the contacts.
func (p *page) numbers(s launch.Summary) {
	var countries []string
	all := report.Refusals(s.Countries)
	for _, country := range all[:min(len(all), shownCountries)] {
		countries = append(countries, country.Reason.String()+" "+cli.Number(country.Contacts))
	}
	if more := len(all) - shownCountries; more > 0 {
		countries = append(countries, fmt.Sprintf("and %d more, all with --json", more))
	}
	p.line("countries", strings.Join(countries, ", "))
	for _, column := range []string{s.CountryColumn, s.CountryCode} {
		if column != "" {
			p.line("country by", "column "+column)
		}
	}
	for _, from := range report.Refusals(s.PhoneColumns) {
		p.line("numbers of", fmt.Sprintf("%11s  column %s", cli.Number(from.Contacts), from.Reason))
	}
	doubtful := 0
	for _, n := range s.Doubtful {
		doubtful += n
	}
	if doubtful > 0 {
		p.count("doubtful numbers", doubtful)
	}
	for _, r := range report.Refusals(s.Doubtful) {
		p.reason(r)
	}
}

// outlook tells when contacts will be sent.
func (p *page) outlook(o launch.Outlook) {
	p.line("hours", o.Hours)
	for _, at := range []struct {
		label string
		time  time.Time
	}{{"begins", o.Begins}, {"ends", o.Ends}, {"to finish by", o.FinishBy}} {
		if !at.time.IsZero() {
			p.line(at.label, cli.Moment(at.time))
		}
	}
	if len(o.Steps) < 2 {
		return
	}
	for _, step := range o.Steps[:min(len(o.Steps), shownZones)] {
		when := "held"
		if !step.Opens.IsZero() {
			when = "from " + cli.Moment(step.Opens)
		}
		p.line("", fmt.Sprintf("%11s  %s, %s", cli.Number(step.Contacts), step.Name, when))
	}
	if more := len(o.Steps) - shownZones; more > 0 {
		p.line("", "and "+cli.Count(more, "more zone", "more zones")+"; all with --json")
	}
}
