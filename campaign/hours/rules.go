package hours

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Rule is a set of limits that a country is known for: a configuration to begin
// with, and no legal advice.
type Rule struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Week  Week   `json:"hours"`
	Zone  string `json:"timezone"`
	Limits
	Source string `json:"source"` // where it is written
	Caveat string `json:"caveat"` // what it does not cover
}

// Limits are how often somebody may be contacted. The zero Limits: no matter.
type Limits struct {
	PerDay  int `json:"per_day,omitempty"`  // 1 or, for no limit, 0
	PerWeek int `json:"per_week,omitempty"` // days in any seven on which somebody is contacted; 0: all
	// RefusalIsFinal: whoever was refused is never sent again.
	RefusalIsFinal bool `json:"refusal_is_final,omitempty"`
}

// Check finds limits that make no sense.
func (l Limits) Check() error {
	switch {
	case l.PerDay < 0 || l.PerDay > 1:
		return fmt.Errorf("contacts per day %d: want 1, or 0 for no limit", l.PerDay)
	case l.PerWeek < 0 || l.PerWeek > 7:
		return fmt.Errorf("contacts per week %d: want 1 to 7, or 0 for no limit", l.PerWeek)
	}
	return nil
}

// DaysCounted is how many days Limits look back on, today included.
const DaysCounted = 7

// Wait is how many days, from today on, somebody must be left alone who was
// contacted on the days told: today first, then so many days ago. 0: not at all.
func (l Limits) Wait(contacted []bool) (days int) {
	if l.PerDay > 0 && len(contacted) > 0 && contacted[0] {
		days = 1
	}
	if l.PerWeek == 0 {
		return days
	}
	for n := 0; ; n++ { // n days from now, the oldest of them no longer count
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

// Rules are the rules there are, by name.
func Rules() []Rule {
	var rules []Rule
	if err := json.Unmarshal(rulesJSON, &rules); err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return rules
}

// FindRule is the rule of that name.
func FindRule(name string) (Rule, error) {
	rules := Rules()
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	if i := slices.Index(names, strings.ToLower(name)); i >= 0 {
		return rules[i], nil
	}
	return Rule{}, fmt.Errorf("country %q: want one of %s", name, strings.Join(names, ", "))
}
