package texts

import (
	"cmp"
	"fmt"
	"html"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/hablullah/go-hijri"
	"golang.org/x/text/unicode/bidi"

	"campaign-runner/campaign"
)

// A Printer says things in one language, as plain text or as HTML. Everything that it
// returns is ready for that: escaped, and isolated where it has to be.
type Printer struct {
	Language Language
	Zone     *time.Location // by whose clock times are told; nil: UTC
	HTML     bool
	Page     bool                    // on a page that has buttons: no command is advised
	Times    func(at time.Time) Said // how times among words are told; nil: Moment
}

// Said is what a Printer has written. As an argument of another text it stands as it is.
type Said string

// A Name is a technical one, or a number with its signs: +966…, 12.5 %, c-20261130-1. It
// runs from left to right.
type Name string

// Technical is what a program says in English, for people who know it.
type Technical string

// A Word is one of a family that the catalogue may know; see Known.
type Word struct{ Family, Text string }

// A Line is a text with its parameters, to be said once it is known who reads it: its key,
// then the name and the value of each parameter. An empty Line says nothing.
type Line []any

// Of is the Line of a key.
func Of(key string, parameters ...any) Line { return append(Line{key}, parameters...) }

// Say is the text of that key. After the key come the name and the value of each
// parameter, by turns. A value is an int, a time, a Name, a Message, a State, a Phase, a
// Line or several, what is Technical or was Said, Who acts, or the words of somebody else. The first
// int chooses the plural form.
func (p Printer) Say(key string, parameters ...any) Said {
	l := cmp.Or(p.Language, English)
	m := catalogue.messages[l][key]
	if m == nil {
		return Said(key) // tests look for such keys
	}
	if len(parameters) == 0 {
		return Said(m.Other)
	}
	data := make(map[string]string, len(parameters)/2)
	text, counted := m.Other, false
	for i := 0; i+1 < len(parameters); i += 2 {
		name, _ := parameters[i].(string)
		data[name] = string(p.Value(parameters[i+1]))
		if n, number := parameters[i+1].(int); number && !counted {
			text, counted = catalogue.form(l, m, n), true
		}
	}
	return Said(fill(text, data))
}

// fill puts values into the places {{.name}} of a text.
func fill(text string, values map[string]string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "{{.")
		b.WriteString(before)
		name, rest, closed := strings.Cut(after, "}}")
		if !found || !closed {
			return b.String()
		}
		b.WriteString(values[name])
		text = rest
	}
}

// Value is a parameter as it stands in a text.
func (p Printer) Value(value any) Said {
	switch v := value.(type) {
	case Line:
		if len(v) == 0 {
			return ""
		}
		key, _ := v[0].(string)
		return p.Say(key, v[1:]...)
	case []Line:
		all := make([]string, len(v))
		for i, line := range v {
			all[i] = string(p.Value(line))
		}
		return Said(strings.Join(all, string(p.Say("comma"))))
	case Setting:
		return p.setting(v)
	case *Setting:
		return p.setting(*v)
	case Word:
		return p.Known(v.Family, v.Text)
	case Technical:
		return p.technical(string(v))
	case Who:
		return p.who(v)
	case Said:
		return v
	case int:
		return p.Number(v)
	case Name:
		return p.fromLeft(string(v))
	case time.Time:
		return p.time(v)
	case campaign.Message:
		return p.Message(v)
	case campaign.State:
		return p.Say("state." + v.String())
	case campaign.Phase:
		return p.Say("phase." + string(v))
	}
	return p.Foreign(fmt.Sprint(value))
}

// Number is n with its thousands separated.
func (p Printer) Number(n int) Said { return p.fromLeft(campaign.Number(n)) }

// Figures is a technical name or a number with its signs.
func (p Printer) Figures(text string) Said { return p.fromLeft(text) }

// time is a time among words.
func (p Printer) time(t time.Time) Said {
	if p.Times != nil {
		return p.Times(t)
	}
	return p.Moment(t)
}

// Moment is a time to the minute, with its zone.
func (p Printer) Moment(t time.Time) Said {
	t = t.In(p.zone())
	return p.fromLeft(t.Format("2006-01-02 15:04 ") + p.zoneName(t))
}

// Clock is a time of day to the minute, with its zone.
func (p Printer) Clock(t time.Time) Said {
	t = t.In(p.zone())
	return p.fromLeft(t.Format("15:04 ") + p.zoneName(t))
}

// zoneName is the name of the printer's zone, at a time.
func (p Printer) zoneName(at time.Time) string {
	if zone := p.zone(); zone != time.Local {
		return zone.String()
	}
	return at.In(time.Local).Format("MST")
}

func (p Printer) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// Date is a day: 1 December 2026.
func (p Printer) Date(t time.Time) Said {
	t = t.In(p.zone())
	return p.Say("date", "day", p.day(t.Day()), "month", p.Say(fmt.Sprintf("month.%d", t.Month())), "year", p.day(t.Year()))
}

// Hijri is the same day in the calendar of Umm al-Qura; empty where its tables end.
func (p Printer) Hijri(t time.Time) Said {
	t = t.In(p.zone())
	date, err := hijri.CreateUmmAlQuraDate(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC))
	if err != nil {
		return ""
	}
	return p.Say("hijri", "day", p.day(int(date.Day)), "month", p.Say(fmt.Sprintf("hijri.%d", date.Month)), "year", p.day(int(date.Year)))
}

// day is a number of a date: it is not grouped, and the words around it say where it stands.
func (p Printer) day(n int) Said { return Said(fmt.Sprint(n)) }

// Message is what a campaign.Message says.
func (p Printer) Message(m campaign.Message) Said { return Said(p.voice().Say(m)) }

func (p Printer) voice() campaign.Voice {
	v := campaign.Voice{
		Comma: string(p.Say("comma")),
		Time:  func(at, _ time.Time) string { return string(p.time(at)) },
		Text:  func(parameter, text string) string { return string(p.parameter(parameter, text)) },
		Words: catalogue.words[voiced{cmp.Or(p.Language, English), p.Page}],
	}
	if p.Language == Arabic {
		v.Number = func(n int, how string) string {
			if how == "" {
				return string(p.Number(n))
			}
			return string(p.Say(how, "n", n))
		}
	}
	return v
}

// Known is a text of a family that the catalogue may know, as state.pending. What it does
// not know is somebody else's.
func (p Printer) Known(family, text string) Said {
	key := family + "." + text
	if m := catalogue.messages[cmp.Or(p.Language, English)][key]; m != nil && !strings.Contains(m.Other, "{{") {
		return p.Say(key)
	}
	return p.Foreign(text)
}

// technical is English of a program in a text of any language.
func (p Printer) technical(text string) Said {
	if p.HTML && p.Language == Arabic {
		return Said(`<bdi dir="ltr" lang="en">` + html.EscapeString(text) + `</bdi>`)
	}
	return p.fromLeft(text)
}

// instant matches a time in a text of somebody else.
var instant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)

// timed is a text in HTML, with the times in it as they are told.
func (p Printer) timed(text string) string {
	if p.Times == nil {
		return html.EscapeString(text)
	}
	var b strings.Builder
	for {
		place := instant.FindStringIndex(text)
		if place == nil {
			break
		}
		b.WriteString(html.EscapeString(text[:place[0]]))
		at, err := time.Parse(time.RFC3339, text[place[0]:place[1]])
		if err != nil {
			b.WriteString(text[place[0]:place[1]]) // digits and signs
		} else {
			b.WriteString(string(p.Times(at)))
		}
		text = text[place[1]:]
	}
	b.WriteString(html.EscapeString(text))
	return b.String()
}

// Foreign is what other people wrote: the platform, or who named a campaign.
func (p Printer) Foreign(text string) Said {
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
	switch {
	case text == "":
		return ""
	case p.HTML:
		return Said(`<bdi dir="auto">` + p.timed(text) + `</bdi>`)
	case p.Language == Arabic || fromRight(text):
		return Said(firstStrong + text + endIsolate)
	}
	return Said(text)
}

// fromLeft is a text that runs from left to right whatever is around it.
func (p Printer) fromLeft(text string) Said {
	switch {
	case p.HTML && p.Language == Arabic:
		return Said(`<bdi dir="ltr">` + html.EscapeString(text) + `</bdi>`)
	case p.HTML:
		return Said(html.EscapeString(text))
	case p.Language == Arabic:
		return Said(leftToRight + text + endIsolate)
	}
	return Said(text)
}

// Marks that isolate a part of a plain text, as Unicode names them.
const (
	leftToRight = "\u2066"
	firstStrong = "\u2068"
	endIsolate  = "\u2069"
)

// fromRight reports whether some of a text runs from right to left.
func fromRight(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		properties, _ := bidi.LookupRune(r)
		return properties.Class() == bidi.R || properties.Class() == bidi.AL
	})
}
