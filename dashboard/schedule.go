package dashboard

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
)

// noText is what ends a setting of the hours whose field was emptied.
var noText = map[string]string{"hours": "sun-sat 00:00-24:00", "no_zone_hours": "none", "except": "none"}

// scheduled are the fields of the hours with what is in force.
func scheduled(s campaign.Settings) url.Values {
	form := url.Values{"hours": {s.Hours.Week.String()}, "timezone": {s.Hours.Zone}}
	for _, setting := range campaign.RunningSettings("no-zone-hours", "except") {
		form[fieldName(setting)] = []string{strings.Join(setting.Texts(s), "; ")}
	}
	return form
}

// reschedule leaves in a form with pickers only what they change. It returns the pickers with
// what is in force, and over it what was filled in; and what lacks in them, empty: nothing.
func reschedule(s campaign.Settings, form url.Values) (whenForm, texts.Line) {
	have := scheduled(s)
	place, proposed := strings.CutPrefix(form.Get("to"), usual)
	picked := proposed || form.Has(pickWay) // else it was settled before, or says nothing of hours
	if picked {
		settle(form)
	}
	if proposed {
		takeUsual(form, place)
	}
	shown := maps.Clone(have)
	for field, values := range form {
		if stepOf(field) == "when" {
			shown[field] = values
		}
	}
	lacks := unpicked(form)
	for field, was := range have {
		switch text := strings.TrimSpace(form.Get(field)); {
		case !picked || len(lacks) > 0:
		case text == was[0]:
			form.Del(field)
		case text == "":
			form.Set(field, noText[field])
		}
	}
	return whenForm{shown}, lacks
}

// unscheduled are settings without those of the hours, which have pickers.
func unscheduled(settings []campaign.Setting) []campaign.Setting {
	return slices.DeleteFunc(slices.Clone(settings), func(s campaign.Setting) bool { return s.Section == campaign.WhenSection && s.Label != "" })
}
