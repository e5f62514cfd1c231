package hours

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Rule is a set of limits that a country is known for. It is a configuration to start
// from, not legal advice.
type Rule struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Week  Week   `json:"hours"`
	Zone  string `json:"timezone"`
	Limits
	Source string `json:"source"` // of the rule
	Caveat string `json:"caveat"` // what it does not cover
}

// Limits are how often a person may be contacted. The zero Limits set none.
type Limits struct {
	PerDay  int `json:"per_day,omitempty"`  // 1; 0: no limit
	PerWeek int `json:"per_week,omitempty"` // days with a contact in any seven; 0: no limit
	// RefusalIsFinal: a refused contact is never sent again.
	RefusalIsFinal bool `json:"refusal_is_final,omitempty"`
}

// Check refuses limits that make no sense.
func (l Limits) Check() error {
	switch {
	case l.PerDay < 0 || l.PerDay > 1:
		return fmt.Errorf("contacts per day %d: want 1, or 0 for no limit", l.PerDay)
	case l.PerWeek < 0 || l.PerWeek > 7:
		return fmt.Errorf("contacts per week %d: want 1 to 7, or 0 for no limit", l.PerWeek)
	}
	return nil
}

// DaysCounted is how many days Limits look back, today included.
const DaysCounted = 7

// Wait is for how many days, today included, a person must not be contacted. contacted
// says on which days there was a contact, by days ago: today first.
func (l Limits) Wait(contacted []bool) (days int) {
	if l.PerDay > 0 && len(contacted) > 0 && contacted[0] {
		days = 1
	}
	if l.PerWeek == 0 {
		return days
	}
	for n := 0; ; n++ { // in n days the oldest no longer count
		count := 0
		for _, yes := range contacted[:max(min(len(contacted), DaysCounted-n), 0)] {
			if yes {
				count++
			}
		}
		if count < l.PerWeek {
			return max(days, n)
		}
	}
}

//go:embed rules.json
var rulesJSON []byte

// Rules are the rules that exist.
func Rules() []Rule {
	var rules []Rule
	if err := json.Unmarshal(rulesJSON, &rules); err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return rules
}

// FindRule returns the rule of a name.
func FindRule(name string) (Rule, error) {
	rules := Rules()
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	if i := slices.Index(names, strings.ToLower(name)); i >= 0 {
		return rules[i], nil
	}
	if strings.EqualFold(name, "eg") {
		return Rule{}, errors.New("country \"eg\": " + WhyNoEgypt + "; say --hours")
	}
	return Rule{}, fmt.Errorf("country %q: want one of %s", name, strings.Join(names, ", "))
}

// WhyNoEgypt is why no rule is named eg. Source: the measures against nuisance calls that
// the NTRA published in May 2025, read in November 2026.
const WhyNoEgypt = "Egypt's regulator says who may call and how a caller must be named, but no hours"
