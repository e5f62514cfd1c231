package dashboard

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/texts"
)

// The pickers of dates that have hours of their own. They add one to the text of the setting,
// which alone counts.
const (
	pickExcept = pickField + "except:" // begins their fields

	addDates      = "add-dates"
	dropDates     = "dates:" // begins the wish to take dates away; their place follows
	exceptSection = "#except-dates"
)

func exceptPick(form url.Values, end string) string {
	return campaign.LatinDigits(strings.TrimSpace(form.Get(pickExcept + end)))
}

// pickedDates is what the pickers add; half: they say something that is no dates.
func pickedDates(form url.Values) (text string, half bool) {
	from, to, open, shut := exceptPick(form, "from"), exceptPick(form, "to"), exceptPick(form, "open"), exceptPick(form, "shut")
	if from == "" {
		return "", to != "" || open != "" || shut != ""
	}
	if to != "" {
		from += ".." + to
	}
	if exceptPick(form, "as") != "hours" {
		return from + "=closed", false
	}
	return from + "=" + spansText([4]string{open, shut}), open == "" || shut == ""
}

// takeDates adds the dates that were picked to the text.
func takeDates(form url.Values) {
	text, half := pickedDates(form)
	if half {
		return // it is asked for again
	}
	for _, end := range []string{"from", "to", "as", "open", "shut"} {
		form.Del(pickExcept + end)
	}
	if text != "" {
		form.Set("except", strings.Trim(strings.TrimSpace(form.Get("except"))+"; "+text, "; "))
	}
}

// exceptOf are the dates of a form; nil: there are none, or the text is none.
func exceptOf(form url.Values) []hours.Dates {
	said := given(form, []campaign.Section{campaign.WhenSection})
	s, err := campaign.NewSettings(campaign.Given{"except": said["except"], "timezone": {"UTC"}})
	if err != nil {
		return nil
	}
	return s.Hours.Except
}

// withoutDates takes dates out of the text, by their place.
func withoutDates(form url.Values, place string) {
	all := exceptOf(form)
	at, err := strconv.Atoi(place)
	if err != nil || at < 0 || at >= len(all) {
		return
	}
	var left []string
	for _, d := range slices.Delete(all, at, at+1) {
		left = append(left, d.String())
	}
	form.Set("except", strings.Join(left, "; "))
}

// datesText are dates as people say them, and what holds on them.
func datesText(d hours.Dates) (dates texts.Name, what any) {
	on, times, _ := strings.Cut(d.String(), "=")
	part, closed := strings.CutPrefix(times, "closed")
	switch {
	case closed && part == "":
		what = texts.Of("when.closed")
	case closed:
		what = texts.Of("when.closed_at", "hours", texts.Name(strings.TrimSpace(part)))
	default:
		what = weekWords(times)
	}
	return texts.Name( // a date is not broken into lines
		strings.NewReplacer("..", " – ", "-", "\u2060-\u2060").Replace(on)), what
}

// An exception are dates with hours of their own as the step shows them.
type exception struct {
	Dates    texts.Name
	What     any
	From, To time.Time // To is zero where it is the same day
	Drop     string
}

// daysOf are the first and the last of dates; the last is zero where it is the first.
func daysOf(d hours.Dates) (from, to time.Time) {
	from, _ = time.Parse(time.DateOnly, d.From.String())
	if d.To != d.From {
		to, _ = time.Parse(time.DateOnly, d.To.String())
	}
	return from, to
}

// Exceptions are those that were filled in.
func (s stepPage) Exceptions() (list []exception) {
	for i, d := range exceptOf(s.Form) {
		dates, what := datesText(d)
		from, to := daysOf(d)
		list = append(list, exception{dates, what, from, to, dropDates + strconv.Itoa(i)})
	}
	return list
}

// Picked is what stands in a picker of dates.
func (s stepPage) Picked(end string) string { return exceptPick(s.Form, end) }
