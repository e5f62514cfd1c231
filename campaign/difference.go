package campaign

import "cmp"

// A Difference is a setting in which two campaigns differ, by the flag that sets
// it, as people read it.
type Difference struct {
	Flag  string `json:"setting"`
	Have  string `json:"from"`
	Other string `json:"to"`
}

// Differences are the settings in which s differs from another. What comes from the
// contact file is not compared.
func (s Settings) Differences(other Settings) []Difference { return s.differences(other, true) }

// InForce are the settings that were chosen for the campaign, except those that are
// shown elsewhere; "from" is what holds without them.
func (s Settings) InForce() []Difference { return Settings{}.differences(s, false) }

func (s Settings) differences(other Settings, quiet bool) (all []Difference) {
	for _, setting := range table {
		if setting.text == nil || setting.Quiet && !quiet {
			continue
		}
		if have, want := setting.text(&s), setting.text(&other); have != want {
			all = append(all, Difference{cmp.Or(setting.Name, "--"+setting.Flag), cmp.Or(have, "none"), cmp.Or(want, "none")})
		}
	}
	return all
}
