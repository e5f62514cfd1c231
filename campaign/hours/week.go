package hours

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Week holds the windows that begin on each day in local time, Sunday first. Those of
// a day are sorted and do not touch. The zero Week is always open.
type Week [7][]Window

// A Window is open from one minute to another, in minutes since the midnight before it:
// From < Day, From < To <= 2*Day. One over midnight belongs to the day on which it begins.
type Window struct{ From, To int }

// Day is the length of a day of local time in minutes.
const Day = 24 * 60

// ErrNever means that a schedule is never open.
var ErrNever = errors.New("no time is left at which anybody may be contacted")

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Always reports whether the week is always open.
func (w Week) Always() bool {
	for day := range w {
		open := w.openOn(day)
		if len(open) != 1 || open[0] != (Window{0, Day}) {
			return w.sum() == 0
		}
	}
	return true
}

// openOn returns the windows in which a day of the week is open, those included that
// began the day before.
func (w Week) openOn(day int) []Window {
	return openOf(w[(day+6)%7], w[day%7])
}

// openOf returns the windows in which a day is open, of those that begin on the day
// before it and on itself.
func openOf(before, on []Window) []Window {
	var open []Window
	for _, window := range before {
		if window.To > Day {
			open = append(open, Window{0, window.To - Day})
		}
	}
	for _, window := range on {
		open = append(open, Window{window.From, min(window.To, Day)})
	}
	return tidy(open)
}

// OpenDays names the days that are open, as MakeWeek reads them: those that are open
// as a whole when the others are closed, or all when they are alike. ok is false when
// the week says more than that.
func (w Week) OpenDays() (days string, ok bool) {
	var open [7]bool
	alike, whole := true, true
	for day, windows := range w {
		alike = alike && slices.Equal(windows, w[0])
		open[day] = slices.Equal(windows, []Window{{0, Day}})
		whole = whole && (open[day] || len(windows) == 0)
	}
	if alike || !whole {
		return "", alike
	}
	return daysText(open), true
}

func (w Week) sum() (minutes int) {
	for _, windows := range w {
		for _, window := range windows {
			minutes += window.To - window.From
		}
	}
	return minutes
}

// MakeWeek reads windows such as "09:00-13:00" and days such as "sun-thu" or
// "mon,wed,sat-sun". No windows: all day; no days: every day.
func MakeWeek(windows []string, days string) (Week, error) {
	var w Week
	if len(windows) == 0 && days == "" {
		return w, nil
	}
	on, err := parseDays(days)
	if err != nil {
		return w, err
	}
	if len(windows) == 0 {
		windows = []string{"00:00-24:00"}
	}
	for _, text := range windows {
		window, err := parseWindow(text)
		if err != nil {
			return w, err
		}
		for day := range on {
			if on[day] {
				w[day] = append(w[day], window)
			}
		}
	}
	return w.tidy(), nil
}

// tidy sorts the windows of each day and joins those that touch. A window of a day or
// more is cut at midnight, so that it can be written.
func (w Week) tidy() Week {
	for range 2 { // what is cut may join a window of the next day, over the end of the week
		for day := range w {
			w[day] = tidy(w[day])
			last := len(w[day]) - 1
			if last < 0 || w[day][last].To <= Day || w[day][last].To-w[day][last].From < Day {
				continue
			}
			next := (day + 1) % 7
			w[next] = tidy(append(w[next], Window{0, w[day][last].To - Day}))
			w[day][last].To = Day
		}
	}
	return w
}

// tidy sorts windows and joins those that touch.
func tidy(windows []Window) []Window {
	slices.SortFunc(windows, func(a, b Window) int { return a.From - b.From })
	var joined []Window
	for _, window := range windows {
		if n := len(joined); n > 0 && window.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, window.To)
			continue
		}
		joined = append(joined, window)
	}
	return joined
}

func parseWindow(text string) (Window, error) {
	from, to, ok := strings.Cut(strings.TrimSpace(text), "-")
	w := Window{minuteOf(from), minuteOf(to)}
	switch {
	case !ok || w.From < 0 || w.To < 0 || w.From == Day:
		return w, &Mistake{WantHours, text, fmt.Sprintf("hours %q: want FROM-TO such as 09:00-21:00", text)}
	case w.From == w.To:
		return w, &Mistake{WantOpen, text, fmt.Sprintf("hours %q: the window is empty; the whole day is 00:00-24:00", text)}
	case w.To < w.From:
		w.To += Day
	}
	return w, nil
}

// minuteOf reads HH:MM up to 24:00, or returns -1.
func minuteOf(text string) int {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return Day
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return -1
	}
	return at.Hour()*60 + at.Minute()
}

func parseDays(text string) (on [7]bool, err error) {
	if strings.TrimSpace(text) == "" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, last := dayOf(from), dayOf(to)
		if first < 0 || last < 0 {
			return on, &Mistake{WantDays, text, fmt.Sprintf("days %q: want days such as sun-thu or mon,wed, of %s", text, strings.Join(dayNames[:], " "))}
		}
		for day := first; ; day = (day + 1) % 7 {
			on[day] = true
			if day == last {
				break
			}
		}
	}
	return on, nil
}

// dayOf returns the day of a name, in full or by its first three letters, or -1.
func dayOf(text string) int {
	text = strings.ToLower(strings.TrimSpace(text))
	for day, name := range dayNames {
		if text == name || text == strings.ToLower(time.Weekday(day).String()) {
			return day
		}
	}
	return -1
}

// ParseWeek reads what String writes: parts such as "sun-thu 09:00-13:00,16:00-21:00"
// separated by semicolons. A part without days is for every day.
func ParseWeek(text string) (Week, error) {
	var all Week
	if strings.TrimSpace(text) == "" {
		return all, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		begins := strings.IndexAny(part, "0123456789")
		if begins < 0 {
			return all, &Mistake{WantTimes, strings.TrimSpace(part), fmt.Sprintf("hours %q: want DAYS FROM-TO such as sun-thu 09:00-21:00", strings.TrimSpace(part))}
		}
		w, err := MakeWeek(strings.Split(part[begins:], ","), part[:begins])
		if err != nil {
			return all, err
		}
		for day := range all {
			all[day] = append(all[day], w[day]...)
		}
	}
	return all.tidy(), nil
}

// String is the week as ParseWeek reads it; empty if it is always open.
func (w Week) String() string {
	if w.Always() {
		return ""
	}
	return w.text()
}

// text is String, for a week that is always open too.
func (w Week) text() string {
	var parts []string
	var told [7]bool
	for day := range w {
		if told[day] || len(w[day]) == 0 {
			continue
		}
		var on [7]bool
		for other := range w {
			on[other] = slices.Equal(w[day], w[other])
			told[other] = told[other] || on[other]
		}
		windows := make([]string, len(w[day]))
		for i, window := range w[day] {
			windows[i] = window.String()
		}
		part := strings.Join(windows, ",")
		if days := daysText(on); days != "" {
			part = days + " " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func (w Window) String() string {
	to := w.To
	if to > Day {
		to -= Day
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", w.From/60, w.From%60, to/60, to%60)
}

// daysText names days, with ranges across the end of the week; empty: all days.
func daysText(on [7]bool) string {
	start := slices.Index(on[:], false)
	if start < 0 {
		return ""
	}
	var parts []string
	for i := 1; i <= 7; i++ {
		first := (start + i) % 7
		if !on[first] {
			continue
		}
		n := 0
		for on[(first+n+1)%7] {
			n++
		}
		switch last := dayNames[(first+n)%7]; n {
		case 0:
			parts = append(parts, dayNames[first])
		case 1:
			parts = append(parts, dayNames[first], last)
		default:
			parts = append(parts, dayNames[first]+"-"+last)
		}
		i += n
	}
	return strings.Join(parts, ",")
}

// MarshalText writes a week as String does.
func (w Week) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (w *Week) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWeek(string(text))
	return err
}

// Intersect returns the week that is open when both are, or ErrNever.
func (w Week) Intersect(other Week) (Week, error) {
	switch {
	case w.Always():
		return other, nil
	case other.Always():
		return w, nil
	}
	var both Week
	for day := range w {
		limits := other.openOn(day)
		for _, b := range other.openOn(day + 1) {
			limits = append(limits, Window{b.From + Day, b.To + Day})
		}
		for _, a := range w[day] {
			for _, b := range tidy(limits) {
				switch from, to := max(a.From, b.From), min(a.To, b.To); {
				case from >= to:
				case from >= Day: // all of it is on the next day
					both[(day+1)%7] = append(both[(day+1)%7], Window{from - Day, to - Day})
				default:
					both[day] = append(both[day], Window{from, to})
				}
			}
		}
	}
	both = both.tidy()
	if both.sum() == 0 {
		return both, ErrNever
	}
	return both, nil
}
