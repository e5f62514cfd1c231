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
	Number  bool     // the form asks for digits
	Suffix  string   // of the number, which the form does not ask for
	Choices []string // the only texts that it takes; nil: any

	text  func(*Settings) string // as people read it, and as parse reads it; empty: nothing is set
	parse func(texts []string) (func(*Settings) error, error)
	valid func(Setting, *Settings) error // nil: every value makes sense
}

// value is the kind of a setting that one text sets; the last text counts.
func value[T any](at func(*Settings) *T, text func(T) string, parse func(string) (T, error)) kind {
	return kind{
		text: func(s *Settings) string { return text(*at(s)) },
		parse: func(texts []string) (func(*Settings) error, error) {
			v, err := parse(texts[len(texts)-1])
			return func(s *Settings) error { *at(s) = v; return nil }, err
		},
	}
}

// list is the kind of a setting that several texts set together.
func list[T ~string](at func(*Settings) *[]T, parse func(string) (T, error)) kind {
	return kind{
		text: func(s *Settings) string { return join(*at(s)) },
		parse: func(texts []string) (func(*Settings) error, error) {
			all := make([]T, len(texts))
			for i, text := range texts {
				var err error
				if all[i], err = parse(text); err != nil {
					return nil, err
				}
			}
			return func(s *Settings) error { *at(s) = all; return nil }, nil
		},
		valid: func(setting Setting, s *Settings) error {
			for _, text := range *at(s) {
				if _, err := parse(string(text)); err != nil {
					return fmt.Errorf("%s: %w", setting.subject(), err)
				}
			}
			return nil
		},
	}
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, value := range list {
		texts[i] = string(value)
	}
	return strings.Join(texts, ", ")
}

// number is the kind of a whole number from least to most; most 0: no bound.
func number(at func(*Settings) *int, least, most int) kind {
	k := value(at, func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		switch bad := err != nil || n < least; {
		case most > 0 && (bad || n > most):
			return 0, fmt.Errorf("want a number from %d to %d", least, most)
		case bad:
			return 0, fmt.Errorf("want a number from %d", least)
		}
		return n, nil
	})
	k.Number = true
	k.valid = func(setting Setting, s *Settings) error {
		switch n := *at(s); {
		case n < least && most == 0:
			return fmt.Errorf("%s %d: want 1 or more %s", setting.subject(), n, strings.ToLower(setting.Unit))
		case n < least || most > 0 && n > most:
			return fmt.Errorf("%s %d: want 1 to %d", setting.subject(), n, most)
		}
		return nil
	}
	return k
}

// optional is a number that may also be 0, which means that nothing is set; a flag
// takes 0 only where least is 0.
func optional(at func(*Settings) *int, least, most int) kind {
	k := number(at, least, most)
	k.valid = number(at, 0, most).valid
	return k
}

// onOff is the kind of a switch.
func onOff(at func(*Settings) *bool) kind {
	k := value(at, strconv.FormatBool, strconv.ParseBool)
	k.Switch = true
	return k
}

// choice is the kind of a setting that has one of a few values. A value whose text is
// empty is allowed, but nobody can choose it.
func choice[T comparable](at func(*Settings) *T, values ...T) kind {
	text := func(v T) string { return fmt.Sprint(v) }
	var names []string
	for _, v := range values {
		if name := text(v); name != "" {
			names = append(names, name)
		}
	}
	last := len(names) - 1
	want := fmt.Errorf("want %s or %s", strings.Join(names[:last], ", "), names[last])
	k := value(at, text, func(name string) (v T, err error) {
		i := slices.IndexFunc(values, func(v T) bool { return text(v) == name })
		if i < 0 || name == "" {
			return v, want
		}
		return values[i], nil
	})
	k.Choices = names
	k.valid = func(setting Setting, s *Settings) error {
		if !slices.Contains(values, *at(s)) {
			return fmt.Errorf("%s %q: %w", setting.subject(), text(*at(s)), want)
		}
		return nil
	}
	return k
}

// word is the kind of a text that is checked elsewhere.
func word(at func(*Settings) *string) kind {
	same := func(text string) string { return text }
	return value(at, same, func(text string) (string, error) { return text, nil })
}

// days is the kind of a number of days, up to most: "7d", or in hours, rounded up.
func days(at func(*Settings) *int, most int) kind {
	k := value(at, func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%dd", n)
	}, func(text string) (int, error) {
		unit := 24
		number, isDays := strings.CutSuffix(text, "d")
		if !isDays {
			number, unit = strings.TrimSuffix(text, "h"), 1
		}
		n, err := strconv.Atoi(number)
		if days := (n*unit + 23) / 24; err == nil && n > 0 && number != text && days <= most {
			return days, nil
		}
		return 0, fmt.Errorf("want a time from 1h to %dd", most)
	})
	k.Number, k.Suffix = true, "d"
	k.valid = func(setting Setting, s *Settings) error {
		if n := *at(s); n < 0 || n > most {
			return fmt.Errorf("%s %d days: want at most %d", setting.subject(), n, most)
		}
		return nil
	}
	return k
}

// share is the kind of a part of the contacts.
func share(at func(*Settings) *Share) kind {
	k := value(at, func(v Share) string {
		if v == 0 {
			return ""
		}
		return v.String()
	}, ParseShare)
	k.valid = func(setting Setting, s *Settings) error {
		if v := *at(s); v < 0 || v >= Whole {
			return fmt.Errorf("%s %v: want more than 0%% and less than 100%%", setting.subject(), v)
		}
		return nil
	}
	return k
}

// maybeShare is a share that can be unset, which is not 0%.
func maybeShare(at func(*Settings) **Share) kind {
	return value(at, func(v *Share) string {
		if v == nil {
			return ""
		}
		return v.String()
	}, func(text string) (*Share, error) {
		v, err := ParseShare(text)
		return &v, err
	})
}

// moment is the kind of a time; one without an offset is by the clock of the hours.
func moment(at func(*Settings) *time.Time) kind {
	return kind{
		text: func(s *Settings) string {
			if at(s).IsZero() {
				return ""
			}
			return at(s).UTC().Format(time.RFC3339)
		},
		parse: func(texts []string) (func(*Settings) error, error) {
			return func(s *Settings) (err error) {
				*at(s), err = hours.ParseTime(texts[len(texts)-1], s.Hours.Zone)
				return err
			}, nil
		},
	}
}

// duration is the kind of a span of time.
func duration(at func(*Settings) *time.Duration) kind {
	k := value(at, time.Duration.String, time.ParseDuration)
	k.valid = func(setting Setting, s *Settings) error {
		if d := *at(s); d < 0 {
			return fmt.Errorf("%s %v: want 0 or more", setting.subject(), d)
		}
		return nil
	}
	return k
}

// fields is the kind of values by key: KEY=VALUE, several with commas between them as
// in a line of CSV.
func fields(at func(*Settings) *map[string]string) kind {
	return kind{
		text: func(s *Settings) string {
			var texts []string
			for _, key := range slices.Sorted(maps.Keys(*at(s))) {
				texts = append(texts, key+"="+(*at(s))[key])
			}
			return strings.Join(texts, ", ")
		},
		parse: func(texts []string) (func(*Settings) error, error) {
			all := make(map[string]string)
			for _, text := range texts {
				pairs := []string{strings.Trim(text, `"`)}
				if strings.Count(text, "=") > 1 {
					var err error
					if pairs, err = csv.NewReader(strings.NewReader(text)).Read(); err != nil {
						return nil, err
					}
				}
				for _, pair := range pairs {
					key, value, ok := strings.Cut(pair, "=")
					if !ok {
						return nil, errors.New("want KEY=VALUE")
					}
					all[key] = value
				}
			}
			return func(s *Settings) error { *at(s) = all; return nil }, nil
		},
	}
}
