package dashboard

import (
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/texts"
)

// A countryRule is what a campaign may keep, in words.
type countryRule struct {
	option
	Says   []texts.Line
	Caveat texts.Line
}

// Countries are the rules to choose from; the first is to have none.
func (s stepPage) Countries() []countryRule {
	chosen := s.Form.Get("rules")
	list := []countryRule{{option: option{"", texts.Of("rules.none"), chosen == ""}}}
	for _, rule := range hours.Rules() {
		says := append(hoursText(hours.Schedule{Week: rule.Week, Zone: rule.Zone}), limitsText(rule.Limits)...)
		list = append(list, countryRule{option{rule.Name, ruleName(rule.Name), rule.Name == chosen}, says, texts.Of("rules." + rule.Name + ".caveat")})
	}
	return list
}

func ruleName(name string) texts.Line { return texts.Of("rules." + name) }

// limitsText is how often a person may be contacted.
func limitsText(l hours.Limits) (parts []texts.Line) {
	if l.PerDay > 0 {
		parts = append(parts, texts.Of("rules.per_day"))
	}
	if l.PerWeek > 0 {
		parts = append(parts, texts.Of("rules.per_week", "n", l.PerWeek))
	}
	if l.RefusalIsFinal {
		parts = append(parts, texts.Of("rules.refusal"))
	}
	return parts
}

// ruleText is a rule by its name, as settings in force are told.
func ruleText(name string) any {
	rule, err := hours.FindRule(name)
	if err != nil {
		return texts.Name(name)
	}
	return append([]texts.Line{ruleName(rule.Name)}, limitsText(rule.Limits)...)
}
