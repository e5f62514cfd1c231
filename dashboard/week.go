package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/texts"
)

// The pickers of days and hours. What they say becomes the text of the settings, which alone
// counts; what they cannot say stays a text.
const (
	pickField = "pick:" // begins the field of a picker
	pickWay   = pickField + "way"
	pickZone  = pickField + "zone"
	pickDay   = pickField + "on"

	otherZone = "other"  // of pickZone: as written in the field of the setting
	usual     = "usual:" // begins the wish for the usual week of a place, whose name follows
)

// The ways to say hours.
const (
	anyTime  = "any"
	sameDays = "same" // the same on some days
	eachDay  = "days" // of each day
	asText   = "text"
)

// spanEnds are the ends of the two spans of a day.
var spanEnds = []string{"from", "to", "from2", "to2"}

// allDays stands in place of a day's name in the fields of hours that are the same on some.
const allDays = "all"

func dayName(day time.Weekday) string { return strings.ToLower(day.String()[:3]) }

// weekdays are the days from one on.
func weekdays(first time.Weekday) (days []time.Weekday) {
	for i := range time.Weekday(7) {
		days = append(days, (first+i)%7)
	}
	return days
}

func dayLine(day time.Weekday) texts.Line { return texts.Of("weekday." + dayName(day)) }

func pickOf(day, end string) string { return pickField + day + ":" + end }

// picks reads the ends of a day's spans.
func picks(form url.Values, day string) (ends [4]string) {
	for i, end := range spanEnds {
		ends[i] = campaign.LatinDigits(strings.TrimSpace(form.Get(pickOf(day, end))))
	}
	return ends
}

// spansText are the spans of a day as settings take them. From midnight to midnight is the
// whole day.
func spansText(ends [4]string) string {
	var spans []string
	for i := 0; i < len(ends); i += 2 {
		switch from, to := ends[i], ends[i+1]; {
		case from == "" && to == "":
		case from == "00:00" && to == from:
			spans = append(spans, "00:00-24:00")
		default:
			spans = append(spans, from+"-"+to)
		}
	}
	return strings.Join(spans, ",")
}

// settle writes what pickers say into the fields of the settings, and forgets the pickers
// that say nothing.
func settle(form url.Values) {
	if zone := form.Get(pickZone); zone != "" && zone != otherZone {
		form.Set("timezone", zone)
	}
	if strings.TrimSpace(form.Get("timezone")) != hours.ByContact {
		form.Del("no_zone_hours")
	}
	takeDates(form)
	way := form.Get(pickWay)
	for field := range form {
		if strings.HasPrefix(field, pickExcept) {
			continue
		}
		ofSame := field == pickDay || strings.HasPrefix(field, pickOf(allDays, ""))
		if strings.HasPrefix(field, pickField) && field != pickWay && (way != sameDays || !ofSame) && (way != eachDay || ofSame || field == pickZone) {
			form.Del(field)
		}
	}
	if way == "" || way == asText {
		return
	}
	form.Del("days")
	form.Set("hours", "")
	if len(unpicked(form)) == 0 {
		form.Set("hours", pickedHours(form))
	}
}

// pickedHours is the text of the hours that were picked.
func pickedHours(form url.Values) string {
	var parts []string
	switch form.Get(pickWay) {
	case sameDays:
		parts = []string{strings.Join(form[pickDay], ",") + " " + spansText(picks(form, allDays))}
	case eachDay:
		for _, day := range weekdays(time.Sunday) {
			if spans := spansText(picks(form, dayName(day))); spans != "" {
				parts = append(parts, dayName(day)+" "+spans)
			}
		}
	}
	text := strings.Join(parts, "; ")
	if week, err := hours.ParseWeek(text); err == nil {
		return week.String()
	}
	return text
}

// unpicked is what lacks in the pickers, without which hours would be others than were meant;
// empty: nothing.
func unpicked(form url.Values) texts.Line {
	if _, half := pickedDates(form); half {
		return texts.Of("when.half_dates")
	}
	days := []string{allDays}
	switch form.Get(pickWay) {
	case sameDays:
		if len(form[pickDay]) == 0 {
			return texts.Of("when.no_day")
		}
	case eachDay:
		days = days[:0]
		for _, day := range weekdays(time.Sunday) {
			days = append(days, dayName(day))
		}
	default:
		return nil
	}
	some := false
	for _, day := range days {
		ends := picks(form, day)
		for i := 0; i < len(ends); i += 2 {
			if (ends[i] == "") != (ends[i+1] == "") {
				return texts.Of("when.half")
			}
			some = some || ends[i] != ""
		}
	}
	if !some {
		return texts.Of("when.no_times")
	}
	return nil
}

// takeUsual puts the usual week of a place into a form.
func takeUsual(form url.Values, name string) {
	at := slices.IndexFunc(hours.Places(), func(p hours.Place) bool { return p.Name == name })
	if at < 0 {
		return
	}
	place := hours.Places()[at]
	form.Set("hours", place.Work)
	form.Del("days")
	form.Del(pickWay) // as the text can be shown
	if strings.TrimSpace(form.Get("timezone")) == "" {
		form.Set("timezone", place.Zone)
	}
}

// weekOf is the week that is said by the fields of the settings.
func weekOf(form url.Values) (hours.Week, error) {
	said := given(form, []campaign.Section{campaign.WhenSection})
	s, err := campaign.NewSettings(campaign.Given{"hours": said["hours"], "days": said["days"], "timezone": {"UTC"}})
	return s.Hours.Week, err
}

// wayOf is the simplest way to show a week.
func wayOf(week hours.Week) string {
	if week.Always() {
		return anyTime
	}
	way := sameDays
	var same []hours.Window
	for _, open := range week {
		switch {
		case len(open) > len(spanEnds)/2:
			return asText
		case len(open) == 0:
		case same == nil:
			same = open
		case !slices.Equal(same, open):
			way = eachDay
		}
	}
	return way
}

// A picker is a field for a time of day.
type picker struct {
	Name, Value string
	Label       texts.Line
}

// A weekDay is a day of the pickers.
type weekDay struct {
	Name   string
	Number int // 0: Sunday
	Label  texts.Line
	On     bool // one of those with the same hours
	Ends   []picker
}

// A proposal is the usual week of a place.
type proposal struct {
	Name, Zone  string
	Place, Week any
	Hidden      bool // it is for another clock than the campaign's
	Often       bool // shown while none is chosen that is known here
}

// A clockOption is a zone to choose from.
type clockOption struct {
	option
	First int // the day that calendars there begin with
}

// A weekForm are the pickers as they are shown.
type weekForm struct {
	Ways      []option
	Same      []picker
	Days      []weekDay
	Clocks    []clockOption
	Proposals []proposal
}

// often is how many places are proposed while no clock is chosen: the first.
const often = 4

// A whenForm is what was filled in of when people may be contacted.
type whenForm struct{ Form url.Values }

// Field is that of one setting, by its flag.
func (s whenForm) Field(flag string) formField {
	return fieldIn(s.Form, campaign.LaunchSettings(flag)[0])
}

// Week are the pickers with what was filled in.
func (s whenForm) Week() (f weekForm) {
	week, err := weekOf(s.Form)
	fits := wayOf(week) // the text
	if err != nil {
		fits = asText
	}
	way := cmp.Or(s.Form.Get(pickWay), fits)
	for _, w := range []string{anyTime, sameDays, eachDay, asText} {
		f.Ways = append(f.Ways, option{w, texts.Of("way." + w), w == way})
	}
	raw := err != nil || len(unpicked(s.Form)) > 0 // the pickers have more than the text
	var same []hours.Window
	for _, day := range weekdays(s.clocks(&f)) {
		name, open := dayName(day), week[day]
		if fits != sameDays && fits != eachDay {
			open = nil
		}
		on := fits == sameDays && len(open) > 0
		if on {
			same = open
		}
		if raw {
			on = slices.Contains(s.Form[pickDay], name)
		}
		f.Days = append(f.Days, weekDay{name, int(day), dayLine(day), on, s.pickers(name, open, raw)})
	}
	f.Same = s.pickers(allDays, same, raw)
	return f
}

// pickers are those of a day: with the hours of the text, or as they were filled in.
func (s whenForm) pickers(day string, open []hours.Window, raw bool) (list []picker) {
	var ends [4]string
	for i, window := range open {
		from, to, _ := strings.Cut(window.String(), "-")
		ends[2*i], ends[2*i+1] = from, strings.Replace(to, "24:00", "00:00", 1)
	}
	if raw {
		ends = picks(s.Form, day)
	}
	for i, end := range spanEnds {
		list = append(list, picker{pickOf(day, end), ends[i], texts.Of("span." + end)})
	}
	return list
}

// clocks fills in the clocks to choose from, and the weeks that are usual there. It returns
// the day that calendars begin with by the clock that is chosen.
func (s whenForm) clocks(f *weekForm) (first time.Weekday) {
	zone, places := strings.TrimSpace(s.Form.Get("timezone")), hours.Places()
	here := slices.IndexFunc(places, func(p hours.Place) bool { return p.Zone == zone })
	if here >= 0 {
		first = places[here].First
	}
	add := func(value string, label texts.Line, first time.Weekday) {
		f.Clocks = append(f.Clocks, clockOption{option{value, label, value == zone}, int(first)})
	}
	add("", texts.Of("when.choose"), time.Sunday)
	for i, p := range places {
		place := texts.Of("place." + p.Name)
		if i == 0 || places[i-1].Zone != p.Zone {
			add(p.Zone, texts.Of("when.clock", "place", place, "zone", texts.Name(p.Zone)), p.First)
		}
		hidden := here >= 0 && p.Zone != zone || here < 0 && i >= often
		f.Proposals = append(f.Proposals, proposal{usual + p.Name, p.Zone, place, weekWords(p.Work), hidden, i < often})
	}
	add(hours.ByContact, texts.Of("when.contact"), time.Sunday)
	add(otherZone, texts.Of("when.other"), time.Sunday)
	f.Clocks[len(f.Clocks)-1].Chosen = here < 0 && zone != "" && zone != hours.ByContact
	return first
}

// OtherZone is the zone that is none of those to choose from.
func (s whenForm) OtherZone() formField {
	field := s.Field("timezone")
	if field.Value == hours.ByContact || slices.ContainsFunc(hours.Places(), func(p hours.Place) bool { return p.Zone == field.Value }) {
		field.Value = ""
	}
	return field
}

// weekWords are hours with their days as people say them.
func weekWords(week string) (list []texts.Line) {
	for part := range strings.SplitSeq(week, ";") {
		part = strings.TrimSpace(part)
		at := max(strings.IndexAny(part, "0123456789"), 0)
		times := texts.Name( // a span is not broken into lines
			strings.NewReplacer(",", ", ", "-", "\u2060–\u2060").Replace(part[at:]))
		days := strings.TrimSpace(part[:at])
		if days == "" {
			list = append(list, texts.Of("when.part", "days", texts.Of("when.every"), "hours", times))
			continue
		}
		var said []texts.Line
		for span := range strings.SplitSeq(days, ",") {
			from, to, several := strings.Cut(span, "-")
			if !several {
				said = append(said, texts.Of("weekday."+from))
				continue
			}
			said = append(said, texts.Of("when.span", "from", texts.Of("weekday."+from), "to", texts.Of("weekday."+to)))
		}
		list = append(list, texts.Of("when.part", "days", said, "hours", times))
	}
	return list
}
