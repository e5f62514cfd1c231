package dashboard

import (
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/texts"
)

// hoursText is when contacts may be contacted. Hours and dates are written as the form
// takes them.
func hoursText(s hours.Schedule) (parts []texts.Line) {
	week := any(texts.Of("hours.any"))
	if text := s.Week.String(); text != "" {
		week = texts.Name(text)
	}
	switch {
	case s.Always():
		return []texts.Line{texts.Of("hours.any")}
	case s.Zone == hours.ByContact:
		parts = append(parts, texts.Of("hours.by_contact", "week", week))
	default:
		parts = append(parts, texts.Of("hours.in", "week", week, "zone", texts.Name(s.Zone)))
	}
	if !s.NoZone.IsZero() {
		parts = append(parts, texts.Of("hours.no_zone", "week", texts.Name(s.NoZone.String())))
	}
	for _, d := range s.Except {
		parts = append(parts, texts.Of("hours.except", "dates", texts.Name(d.String())))
	}
	if n := len(s.Closed); n > 0 {
		parts = append(parts, texts.Of("hours.closed", "n", n, "from", texts.Name(s.Closed[0].From.String()), "to", texts.Name(s.Closed[n-1].To.String())))
	}
	return parts
}

// formatText is how a contact file was read.
func formatText(f contacts.Format) texts.Line {
	container := texts.Name(f.Container)
	switch {
	case f.AllSheets:
		return texts.Of("format.sheets", "format", container)
	case f.Sheet != "":
		return texts.Of("format.sheet", "format", container, "sheet", f.Sheet)
	}
	text := texts.Of("format.text", "format", container, "encoding", texts.Name(f.Encoding), "delimiter", texts.Word{Family: "delimiter", Text: f.Delimiter.String()})
	if f.LineEnds != "" {
		return texts.Of("format.ends", "format", text, "ends", texts.Name(f.LineEnds))
	}
	return text
}

// Warnings are what a person should know before the launch. Those that are no codes tell
// of the file, in English.
func (p preview) Warnings() (list []any) {
	for _, m := range p.Summary.Messages {
		if m.Coded() {
			list = append(list, m)
		} else {
			list = append(list, texts.Technical(m.String()))
		}
	}
	return list
}
