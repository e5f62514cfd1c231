package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/handout"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A speaker says things on pages in one language. Pages advise no commands, since they have
// buttons. Plain texts are for where no markup can stand.
type speaker struct{ html, plain texts.Printer }

func newSpeaker(l texts.Language) speaker {
	s := speaker{texts.Printer{Language: l, HTML: true, Page: true}, texts.Printer{Language: l, Page: true}}
	s.html.Times = func(at time.Time) texts.Said { return texts.Said(s.soon(at)) }
	return s
}

// words are what templates say.
func (s speaker) words() template.FuncMap {
	return template.FuncMap{
		"lang":    func() texts.Language { return s.html.Language },
		"dir":     func() string { return s.html.Language.Dir() },
		"t":       s.text,
		"say":     s.say,
		"plain":   func(value any) string { return string(s.plain.Value(value)) },
		"number":  func(n int) template.HTML { return template.HTML(s.html.Number(n)) },
		"figures": func(text any) template.HTML { return template.HTML(s.html.Figures(fmt.Sprint(text))) },
		"known": func(family string, text any) template.HTML {
			return template.HTML(s.html.Known(family, fmt.Sprint(text)))
		},
		"forms":  s.forms,
		"time":   func(t time.Time) template.HTML { return s.time(t, "full") },
		"second": func(t time.Time) template.HTML { return s.time(t, "second") },
		"hijri":  s.hijri,
		"hijriday": func(day time.Time) template.HTML {
			if day.IsZero() {
				return ""
			}
			return template.HTML(s.html.Hijri(day))
		},
		"months":  s.hijriMonths,
		"soon":    s.soon,
		"who":     func(by string) texts.Who { return texts.Who(by) },
		"quota":   quotaText,
		"hours":   hoursText,
		"format":  formatText,
		"listing": listingText,
		"outcomes": func(of any) (template.HTML, error) {
			a, is := of.(report.Account)
			if !is {
				a.Totals, _ = of.(report.Totals)
			}
			return handout.Outcomes(a, s.html.Language)
		},
		"axis": func(t tick) template.HTML { return s.time(t.At, t.Show) },
	}
}

// say is a Line, a Message or another value as a page shows it.
func (s speaker) say(value any) template.HTML { return template.HTML(s.html.Value(value)) }

// text is the text of a key.
func (s speaker) text(key string, parameters ...any) template.HTML {
	for i, value := range parameters {
		if html, is := value.(template.HTML); is {
			parameters[i] = texts.Said(html)
		}
	}
	return template.HTML(s.html.Say(key, parameters...))
}

// forms are the plural forms of a text, for the page's script.
func (s speaker) forms(key string) (string, error) {
	text, err := json.Marshal(s.plain.Forms(key))
	return string(text), err
}

// timeLayouts are the ways to show a time, by precision. The page's script writes them in
// the same way, by the clock of the reader's zone; the line at the end of the page names
// the zone.
var timeLayouts = map[string]string{
	"full": "2006-01-02 15:04", "second": "2006-01-02 15:04:05", "day": "01-02 15:04", "minute": "15:04", "clock": "15:04:05",
}

func (s speaker) time(t time.Time, show string) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t, dir := t.UTC(), ""
	if s.html.Language.Dir() == "rtl" {
		dir = ` dir="ltr"` // and it is an isolate
	}
	return template.HTML(fmt.Sprintf(`<time%s datetime="%s" data-show="%s">%s</time>`, dir, t.Format(time.RFC3339), show, t.Format(timeLayouts[show])))
}

// hijri is the day of a time in the Hijri calendar, for readers of Arabic. The page's script
// writes it by the day of the reader's zone.
func (s speaker) hijri(t time.Time) template.HTML {
	text := s.html.Hijri(t)
	if s.html.Language != texts.Arabic || text == "" {
		return ""
	}
	return template.HTML(fmt.Sprintf(` <span class="sub" data-hijri="%s">%s</span>`, t.UTC().Format(time.RFC3339), text))
}

// hijriMonths are the months of the Hijri calendar, for the page's script.
func (s speaker) hijriMonths() string {
	var names []string
	for month := range 12 {
		names = append(names, string(s.plain.Say(fmt.Sprintf("hijri.%d", month+1))))
	}
	return strings.Join(names, ",")
}

// soon leaves out the date of times in the next hours.
func (s speaker) soon(t time.Time) template.HTML {
	if time.Until(t).Abs() < 12*time.Hour {
		return s.time(t, "clock")
	}
	return s.time(t, "full")
}

// about is a time span in words.
func about(d time.Duration) texts.Line {
	unit, n := report.Rough(d)
	return texts.Of("about."+unit, "n", n)
}

// spanText is a setting's time span, in the largest unit that tells it exactly.
func spanText(d time.Duration) texts.Line {
	units := []struct {
		name string
		long time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}}
	for _, unit := range units {
		if d > 0 && d%unit.long == 0 {
			return texts.Of("count."+unit.name, "n", int(d/unit.long))
		}
	}
	return texts.Of("choice", "what", texts.Name(d.String()))
}

// quotaText says how much of a quota is left.
func quotaText(q store.Quota) texts.Line {
	if q.Limit == 0 {
		return texts.Of("quota.unknown")
	}
	left := texts.Of("quota.left", "left", q.Remaining, "limit", q.Limit, "window", spanText(time.Duration(q.Window*float64(time.Second))))
	if q.Others >= 1 {
		return texts.Of("quota.shared", "left", left, "others", int(q.Others+0.5))
	}
	return left
}

// A wishError blames the request, not the server.
type wishError struct {
	status int
	line   texts.Line // what it says; empty: what err does
	err    error
}

func (e *wishError) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return string(texts.Printer{}.Value(e.line))
}

func (e *wishError) Unwrap() error { return e.err }

// wishf blames the request in the words of a key.
func wishf(status int, key string, parameters ...any) error {
	return &wishError{status, texts.Of(key, parameters...), nil}
}

// lineOf is what people are told of an error. Errors that have no words of ours are in
// English: they are of a contact file, of the platform or of Redis.
func lineOf(err error) texts.Line {
	var wish *wishError
	var setting *campaign.SettingError
	switch {
	case errors.As(err, &wish) && wish.line != nil:
		return wish.line
	case isDown(err):
		return texts.Of("page.no_redis")
	case errors.Is(err, store.ErrNotFound):
		return texts.Of("error.no_campaign")
	case errors.Is(err, store.ErrGone):
		return texts.Of("error.no_contact")
	case errors.As(err, &setting):
		return texts.Of("error.setting", "setting", label(setting.Flag), "why", reason(setting.Err))
	}
	why := reason(err)
	if english, is := why.(texts.Technical); is && english != "" {
		why = texts.Technical(strings.ToUpper(string(english[:1]))) + english[1:]
	}
	return texts.Of("error.said", "what", why)
}

// reason is what an error says: a Message where it is a Fault, or else English.
func reason(err error) any {
	var wish *wishError
	if errors.As(err, &wish) && wish.err != nil {
		err = wish.err
	}
	if errors.Is(err, hours.ErrNeedZone) {
		return texts.Of("error.need_zone")
	}
	if said := campaign.Told(err); said.Coded() {
		return said
	}
	return texts.Technical(err.Error())
}
