package dashboard

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// keptField begins a field of a copy whose setting stands on no page; its flag follows.
const keptField = "kept:"

// notCopied are settings that are of one campaign alone, or that are told in another way.
var notCopied = []string{"agent", "channel", "start-at", "finish-by", "max-lateness", "hours", "days", "timezone", "calendar"}

// copyOf is a form with the settings of a campaign, for a new one. When it starts and ends
// is not copied.
func (p *pages) copyOf(c campaign.Campaign) url.Values {
	s := c.Settings
	form := url.Values{"copy": {c.Name}, "agent": {s.Agent}, "channel": {strconv.Itoa(s.ChannelID)}}
	if i := slices.IndexFunc(p.Channels, func(other Channel) bool { return other.ID == s.ChannelID }); i >= 0 {
		form.Set("channel", p.Channels[i].Name)
	}
	if form.Set("timezone", s.Hours.Zone); !s.Hours.Week.Always() {
		form.Set("hours", s.Hours.Week.String())
	}
	for _, setting := range campaign.LaunchSettings() {
		texts := setting.Texts(s)
		if len(texts) == 0 || slices.Contains(notCopied, setting.Flag) || setting.Switch && texts[0] != "true" {
			continue
		}
		switch {
		case setting.Label == "":
			form[keptField+setting.Flag] = texts
		case setting.List && setting.Section == campaign.FollowSection:
			form.Set(fieldName(setting), strings.Join(texts, "\n"))
		case setting.List:
			form[fieldName(setting)] = texts
		default:
			form.Set(fieldName(setting), strings.TrimSuffix(texts[0], setting.Suffix))
		}
	}
	for _, column := range s.Columns {
		if column.Key != "" && !contacts.SameName(column.Name, column.Key) {
			form.Set(valueField+column.Key, column.Name)
		}
	}
	for key, text := range s.Constants {
		form.Set(fixedField+key, text)
	}
	return form
}

// kept are the settings of a copy that stand on no page, except those that say nothing
// without another one.
func kept(form url.Values, given campaign.Given) campaign.Given {
	all := make(campaign.Given)
	for _, s := range campaign.LaunchSettings() {
		if texts := form[keptField+s.Flag]; len(texts) > 0 && (s.With == "" || len(given[s.With]) > 0) {
			all[s.Flag] = texts
		}
	}
	return all
}
