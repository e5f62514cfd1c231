package campaign

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxNameDigits is the most digits that a name may hold without a letter among them, dates
// not counted. With more it may hold a phone number, which would stand in logs, notices and
// addresses, and outlive a purge.
const maxNameDigits = 6

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	figures     = regexp.MustCompile(`[0-9][0-9._-]*`)
	digitGroup  = regexp.MustCompile(`[0-9]+`)
)

// CheckName is an error unless name can name a campaign. The error does not repeat it.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || strings.Trim(name, ".") == "" {
		return Faulty(MsgWantName)
	}
	if name[0] == '-' { // every later command would take it for a flag
		return Faulty(MsgNameBegins)
	}
	if !uuidPattern.MatchString(name) && slices.ContainsFunc(figures.FindAllString(name, -1), mayBePhone) {
		return Faulty(MsgNameNumber)
	}
	return nil
}

// mayBePhone reports whether figures without a letter among them may be a number.
func mayBePhone(figures string) bool {
	groups := digitGroup.FindAllString(figures, -1)
	digits := 0
	for len(groups) > 0 {
		if n := dateIn(groups); n > 0 {
			groups, digits = groups[n:], 0
			continue
		}
		if digits += len(groups[0]); digits > maxNameDigits {
			return true
		}
		groups = groups[1:]
	}
	return false
}

// dateIn is how many of the first groups are a date: 2026-11-30, 30.11.2026, 20261130,
// or one with its time, 202611301530.
func dateIn(groups []string) int {
	first := groups[0]
	switch {
	case len(first) == 8 && isTime(first, "20060102", "02012006", "01022006"),
		len(first) == 12 && isTime(first, "200601021504"), len(first) == 14 && isTime(first, "20060102150405"):
		return 1
	case len(groups) >= 3 && isTime(strings.Join(groups[:3], "-"), "2006-1-2", "2-1-2006", "1-2-2006"):
		return 3
	}
	return 0
}

// isTime reports whether text is a time in one of the layouts, in the years in which
// campaigns are run.
func isTime(text string, layouts ...string) bool {
	return slices.ContainsFunc(layouts, func(layout string) bool {
		at, err := time.Parse(layout, text)
		return err == nil && at.Year() >= 2020 && at.Year() < 2050
	})
}
