package campaign

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign/hours"
)

// A kind is how a setting is told, read and checked.
type kind struct {
	Switch  bool     // on or off
	File    bool     // the flag takes a file that holds the text
	List    bool     // may be given several times
	Moment  bool     // the form asks for a day and a time of day
	Number  bool     // the form asks for digits
	Suffix  string   // of the number, which the form does not ask for
	Choices []string // the only texts that it takes; nil: any

	items func(*Settings) []string                // of a list: each as set reads it
	text  func(*Settings) string                  // as set reads it; empty: nothing is set
	set   func(s *Settings, texts []string) error // of a setting that is not a list, the last text counts
	valid func(*Settings) error                   // nil: every value makes sense; the error begins with the value
}

func value[T any](at func(*Settings) *T, text func(T) string, parse func(string) (T, error)) kind {
	return kind{
		text: func(s *Settings) string { return text(*at(s)) },
		set: func(s *Settings, texts []string) (err error) {
			*at(s), err = parse(texts[len(texts)-1])
			return err
		},
	}
}

// unlessZero is text, and nothing for a zero value.
func unlessZero[T comparable](text func(T) string) func(T) string {
	return func(v T) string {
		if v == *new(T) {
			return ""
		}
		return text(v)
	}
}

// toldBeside is a kind whose text another setting tells, so that it makes no difference of
// its own.
func toldBeside(k kind) kind {
	text := k.text
	k.items = func(s *Settings) []string {
		return slices.DeleteFunc([]string{text(s)}, func(text string) bool { return text == "" })
	}
	k.text = nil
	return k
}

func same(text string) string           { return text }
func plain(text string) (string, error) { return text, nil }

// word is a text that is checked elsewhere.
func word(at func(*Settings) *string) kind {
	return value(at, same, plain)
}

// anyDigits is a kind that takes digits of Arabic keyboards, too.
func anyDigits(k kind) kind {
	set := k.set
	k.set = func(s *Settings, texts []string) error {
		latin := make([]string, len(texts))
		for i, text := range texts {
			latin[i] = LatinDigits(text)
		}
		return set(s, latin)
	}
	return k
}

// title is the kind of the words that people call a campaign by.
func title(at func(*Settings) *string) kind {
	k := value(at, same, ParseTitle)
	k.valid = func(s *Settings) error {
		_, err := ParseTitle(*at(s))
		return err
	}
	return k
}

func onOff(at func(*Settings) *bool) kind {
	k := value(at, strconv.FormatBool, ParseSwitch)
	k.Switch = true
	return k
}

// ParseSwitch reads whether something is on.
func ParseSwitch(text string) (on bool, err error) {
	if on, err = strconv.ParseBool(text); err != nil {
		return false, errors.New("want true or false")
	}
	return on, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, Faulty(MsgWantDuration)
	}
	return d, nil
}

// list is the kind of a setting that may be given several times.
func list[T any](at func(*Settings) *[]T, parse func(string) (T, error)) kind {
	texts := func(s *Settings) (texts []string) {
		for _, v := range *at(s) {
			texts = append(texts, fmt.Sprint(v))
		}
		return texts
	}
	set := func(s *Settings, texts []string) error {
		all := make([]T, len(texts))
		for i, text := range texts {
			var err error
			if all[i], err = parse(text); err != nil {
				return err
			}
		}
		*at(s) = all
		return nil
	}
	return kind{
		List:  true,
		items: texts,
		text:  func(s *Settings) string { return strings.Join(texts(s), ", ") },
		set:   set,
		valid: func(s *Settings) error { return set(new(Settings), texts(s)) },
	}
}

// number is a whole number from least to most; most 0: no bound.
func number(at func(*Settings) *int, least, most int) kind {
	parse := func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		switch bad := err != nil || n < least; {
		case most > 0 && (bad || n > most):
			return 0, Faulty(MsgWantBetween, "least", least, "most", most)
		case bad:
			return 0, Faulty(MsgWantNumber, "least", least)
		}
		return n, nil
	}
	k := anyDigits(value(at, unlessZero(strconv.Itoa), parse))
	k.Number = true
	k.valid = func(s *Settings) error {
		switch n := *at(s); {
		case n < least && most == 0:
			return fmt.Errorf("%d: want 1 or more", n)
		case n < least || most > 0 && n > most:
			return fmt.Errorf("%d: want 1 to %d", n, most)
		}
		return nil
	}
	return k
}

// optional is a number that may also be 0, which means that nothing is set; people can
// give 0 only where least is 0.
func optional(at func(*Settings) *int, least, most int) kind {
	k := number(at, least, most)
	k.valid = number(at, 0, most).valid
	return k
}

// choice is the kind of a setting that has one of a few values. A value whose text is
// empty is valid, but people cannot choose it.
func choice[T comparable](at func(*Settings) *T, values ...T) kind {
	text := func(v T) string { return fmt.Sprint(v) }
	var names []string
	for _, v := range values {
		if name := text(v); name != "" {
			names = append(names, name)
		}
	}
	last := len(names) - 1
	want := Faulty(MsgWantChoice, "others", saidAs(names[:last]), "last", names[last])
	k := value(at, text, func(name string) (v T, err error) {
		if i := slices.IndexFunc(values, func(v T) bool { return text(v) == name }); i >= 0 && name != "" {
			return values[i], nil
		}
		return v, want
	})
	k.Choices = names
	k.valid = func(s *Settings) error {
		if !slices.Contains(values, *at(s)) {
			return fmt.Errorf("%q: %w", text(*at(s)), want)
		}
		return nil
	}
	return k
}

// guard is a share that pauses a campaign; 0%: never.
func guard(at func(*Settings) *Share) kind {
	k := anyDigits(value(at, unlessZero(Share.String), ParseShare))
	k.valid = func(s *Settings) error {
		if share := *at(s); share < 0 || share >= Whole {
			return fmt.Errorf("%v: want more than 0%% and less than 100%%", share)
		}
		return nil
	}
	return k
}

// silence is a time after which a campaign pauses; 0: never.
func silence(at func(*Settings) *time.Duration) kind {
	k := anyDigits(value(at, unlessZero(time.Duration.String), parseDuration))
	k.valid = func(s *Settings) error {
		if d := *at(s); d != 0 && d < time.Second {
			return fmt.Errorf("%v: want 1s or more", d)
		}
		return nil
	}
	return k
}

// days is a number of days, up to most: "7d", or "36h", which is rounded up.
func days(at func(*Settings) *int, most int) kind {
	k := value(at, unlessZero(func(n int) string { return fmt.Sprintf("%dd", n) }), func(text string) (int, error) {
		unit := 24
		number, isDays := strings.CutSuffix(text, "d")
		if !isDays {
			number, unit = strings.TrimSuffix(text, "h"), 1
		}
		n, err := strconv.Atoi(number)
		if days := (n*unit + 23) / 24; err == nil && n > 0 && number != text && days <= most {
			return days, nil
		}
		return 0, Faulty(MsgWantTime, "days", most)
	})
	k = anyDigits(k)
	k.Number, k.Suffix = true, "d"
	k.valid = func(s *Settings) error {
		if n := *at(s); n < 0 || n > most {
			return fmt.Errorf("%d days: want at most %d", n, most)
		}
		return nil
	}
	return k
}

// moment is a time; one without an offset is by the clock of the hours.
func moment(at func(*Settings) *time.Time) kind {
	return anyDigits(kind{
		Moment: true,
		text: func(s *Settings) string {
			return unlessZero(func(t time.Time) string { return t.UTC().Format(time.RFC3339) })(*at(s))
		},
		set: func(s *Settings, texts []string) (err error) {
			*at(s), err = hours.ParseTime(texts[len(texts)-1], s.Hours.Zone)
			return err
		},
	})
}

// fields are values by key: KEY=VALUE, several with commas between them as in CSV.
func fields(at func(*Settings) *map[string]string) kind {
	return kind{
		text: func(s *Settings) string {
			var texts []string
			for _, key := range slices.Sorted(maps.Keys(*at(s))) {
				texts = append(texts, key+"="+(*at(s))[key])
			}
			return strings.Join(texts, ", ")
		},
		set: func(s *Settings, texts []string) (err error) {
			all := make(map[string]string)
			for _, text := range texts {
				pairs := []string{strings.Trim(text, `"`)}
				if strings.Count(text, "=") > 1 {
					if pairs, err = csv.NewReader(strings.NewReader(text)).Read(); err != nil {
						return err
					}
				}
				for _, pair := range pairs {
					key, value, ok := strings.Cut(pair, "=")
					if !ok {
						return errors.New("want KEY=VALUE")
					}
					all[strings.TrimSpace(key)] = value
				}
			}
			*at(s) = all
			return nil
		},
	}
}
