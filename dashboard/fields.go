package dashboard

import (
	"net/url"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
)

// A formField is a setting as it stands on the form.
type formField struct {
	campaign.Setting
	Name  string
	Value string
}

// Label, Hint and Example are what stands beside and in the field.
func (f formField) Label() texts.Setting   { return texts.Setting{Setting: f.Setting} }
func (f formField) Hint() *texts.Setting   { return f.part(f.Setting.Hint, "hint") }
func (f formField) Example() texts.Setting { return texts.Setting{Setting: f.Setting, Part: "example"} }

// part is a text beside the field; nil: it has none.
func (f formField) part(english, part string) *texts.Setting {
	if english == "" {
		return nil
	}
	return &texts.Setting{Setting: f.Setting, Part: part}
}

// Others are the further texts of a setting that takes several, where the form asks for one.
func (s stepPage) Others(f formField) []string {
	if all := filledIn(s.Form[f.Name]); f.List && !f.Rules() && len(all) > 1 {
		return all[1:]
	}
	return nil
}

// Day is the day that was picked; zero: none.
func (f formField) Day() time.Time {
	at, _ := time.Parse("2006-01-02T15:04", f.Value)
	return at
}

// Beside reports whether the step takes files.
func (s stepPage) Beside() bool { _, takes := besides[s.Step]; return takes }

// Rules reports whether the field takes lines.
func (f formField) Rules() bool { return f.List && f.Section == campaign.FollowSection }

// AtClock reports whether a day and a time of day are asked for. What is another text stays one.
func (f formField) AtClock() bool {
	_, err := time.Parse("2006-01-02T15:04", f.Value)
	return f.Moment && (f.Value == "" || err == nil)
}

// Options are what can be chosen.
func (f formField) Options() (list []option) {
	for _, choice := range f.Choices {
		list = append(list, option{choice, choiceText(f.Flag, choice), choice == f.Value})
	}
	return list
}

// fieldName is the name that a setting has on the form.
func fieldName(s campaign.Setting) string { return strings.ReplaceAll(s.Flag, "-", "_") }

func (s stepPage) fields(section campaign.Section, switches bool) (fields []formField) {
	for _, setting := range campaign.LaunchSettings() {
		if setting.Label == "" || setting.Section != section || setting.Switch != switches || s.Listing != nil && isColumn(setting) {
			continue
		}
		fields = append(fields, fieldIn(s.Form, setting))
	}
	return fields
}

// fieldIn is the field of a setting with what a form has in it.
func fieldIn(form url.Values, setting campaign.Setting) formField {
	field := formField{setting, fieldName(setting), setting.Default}
	if form.Has(field.Name) {
		field.Value = form.Get(field.Name)
	}
	return field
}

// When are the fields of the hours.
func (s stepPage) When() whenForm { return whenForm{s.Form} }

// isColumn reports whether a setting is a column of the list.
func isColumn(s campaign.Setting) bool { return s.Unit == "COLUMN" }

// The fields of sections; what can only be on or off comes apart.
func (s stepPage) Called() []formField         { return s.fields(campaign.NameSection, false) }
func (s stepPage) List() []formField           { return s.fields(campaign.ListSection, false) }
func (s stepPage) ListSwitches() []formField   { return s.fields(campaign.ListSection, true) }
func (s stepPage) Safety() []formField         { return s.fields(campaign.SafetySection, false) }
func (s stepPage) More() []formField           { return s.fields(campaign.MoreSection, false) }
func (s stepPage) Switches() []formField       { return s.fields(campaign.MoreSection, true) }
func (s stepPage) Follow() []formField         { return s.fields(campaign.FollowSection, false) }
func (s stepPage) FollowSwitches() []formField { return s.fields(campaign.FollowSection, true) }
