package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Difference is a setting in which two campaigns differ, by the flag that sets
// it, as people read it.
type Difference struct {
	Flag  string `json:"setting"`
	Have  string `json:"from"`
	Other string `json:"to"`
}

// Differences are the settings in which s differs from another, but for those that
// come from the contact file.
func (s Settings) Differences(other Settings) (all []Difference) {
	o := other
	for _, d := range []struct {
		flag        string
		have, other any // nil and zero are "none"
	}{
		{"--agent", s.Agent, o.Agent},
		{"--channel", s.ChannelID, o.ChannelID},
		{"--mode", s.Mode, o.Mode},
		{"--chunk-size", s.ChunkSize, o.ChunkSize},
		{"rows per request", s.RowsPerRequest, o.RowsPerRequest},
		{"--priority", s.Lane, o.Lane},
		{"--max-attempts", s.MaxAttempts, o.MaxAttempts},
		{"--max-contact-attempts", s.MaxContactAttempts, o.MaxContactAttempts},
		{"--retry-5xx", s.Retry5xx.String(), o.Retry5xx.String()},
		{"--skip-contacted-within", fmt.Sprintf("%dd", s.SkipContactedDays), fmt.Sprintf("%dd", o.SkipContactedDays)},
		{"--keep-for", fmt.Sprintf("%dd", s.KeepDays), fmt.Sprintf("%dd", o.KeepDays)},
		{"--optout-when", rulesText(s.OptOutWhen), rulesText(o.OptOutWhen)},
		{"--no-stop-words", s.NoStopWords, o.NoStopWords},
		{"--no-record", s.Unrecorded, o.Unrecorded},
		{"--no-history", s.NoHistory, o.NoHistory},
		{"--canary", s.Canary, o.Canary},
		{"--canary-go-on", shareText(s.CanaryGoOn), shareText(o.CanaryGoOn)},
		{"--max-failure-share", s.MaxFailureShare, o.MaxFailureShare},
		{"--daily-cap", s.DailyCap, o.DailyCap},
		{"--ticket-when", rulesText(s.TicketRules), rulesText(o.TicketRules)},
		{"--ticket-set", fieldsText(s.TicketFields), fieldsText(o.TicketFields)},
		{"--max-tickets", s.MaxTickets, o.MaxTickets},
		{"--start-at", timeText(s.StartAt), timeText(o.StartAt)},
		{"--max-lateness", s.MaxLateness, o.MaxLateness},
		{"--finish-by", timeText(s.FinishBy), timeText(o.FinishBy)},
		{"--rules", s.Rules, o.Rules},
		{"--hours, --days or --timezone", s.Hours.String(), o.Hours.String()},
		{"--region", s.Region, o.Region},
		{"--country-column", s.Reading.CountryColumn, o.Reading.CountryColumn},
		{"--country-code-column", s.Reading.CountryCodeColumn, o.Reading.CountryCodeColumn},
		{"--strict-numbers", s.Reading.StrictNumbers, o.Reading.StrictNumbers},
		{"--two-numbers first", s.Reading.FirstOfTwo, o.Reading.FirstOfTwo},
	} {
		if d.have != d.other {
			all = append(all, Difference{d.flag, settingText(d.have), settingText(d.other)})
		}
	}
	return all
}

// InForce are the settings that somebody chose for the campaign, but for those that
// say where and how it is sent; "from" is what holds without them.
func (s Settings) InForce() []Difference {
	plain := Settings{
		Agent: s.Agent, Mode: s.Mode, ChannelID: s.ChannelID, ChunkSize: s.ChunkSize, Region: s.Region,
		MaxLateness: s.MaxLateness,
	}
	return plain.Differences(s)
}

// settingText is a setting as people read it.
func settingText(value any) string {
	switch value {
	case "", 0, Share(0), Lane(""):
		return "none"
	}
	return fmt.Sprint(value)
}

func rulesText(list []Rule) string {
	texts := make([]string, len(list))
	for i, value := range list {
		texts[i] = value.String()
	}
	return strings.Join(texts, ", ")
}

func fieldsText(fields map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		texts = append(texts, key+"="+fields[key])
	}
	return strings.Join(texts, ", ")
}

func shareText(s *Share) string {
	if s == nil {
		return ""
	}
	return s.String()
}

func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
