package texts

import (
	"cmp"

	"campaign-runner/campaign"
)

// A Setting is what stands on the form for a setting: its label, hint or example. Their
// English stands in package campaign, their Arabic here, by the flag. An example that the
// catalogue does not have is the same in every language.
type Setting struct {
	campaign.Setting
	Part string // hint or example; empty: the label
}

func (p Printer) setting(s Setting) Said {
	english, key := map[string]string{"": s.Label, "hint": s.Hint, "example": s.Example}[s.Part], "setting."+s.Flag
	if s.Part != "" {
		key += "." + s.Part
	}
	if catalogue.messages[cmp.Or(p.Language, English)][key] != nil {
		return p.Say(key)
	}
	if s.Part == "example" {
		return p.Foreign(english) // in whichever direction it runs
	}
	return p.fromLeft(english)
}
