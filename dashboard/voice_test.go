package dashboard

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

// command matches what only a terminal takes: a command of ours, or a flag.
var command = regexp.MustCompile(`(^|[^a-z])(campaign|worker|enqueue) (start|resume|cancel|pause|agents|set|resolve|rerun|append|--)|(^|\s)--[a-z]`)

func TestPagesAdviseNoCommands(t *testing.T) {
	n := 0
	for name, code := range campaign.Codes() {
		m := campaign.Say(code, "campaign", "spring", "agent", "sales", "reason", campaign.Text("lunch"), "start", time.Now(), "next", time.Now(), "contacts", 3)
		if command.MatchString(m.String()) {
			n++
		}
		if text := pageVoice.Say(m); command.MatchString(text) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if n < 5 {
		t.Errorf("only %d codes advise commands to a terminal: what is one is not recognised", n)
	}
}

func TestTimesInTextsAreMarked(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	m := campaign.Say(campaign.MsgQuota, "reason", campaign.Text("<b>busy</b> until 2020-01-02T03:04:05+03:00"), "next", soon)
	got := string(say(m))
	for _, want := range []string{
		`waiting for the quota: &lt;b&gt;busy&lt;/b&gt; until <time datetime="2020-01-02T00:04:05Z" data-show="full">2020-01-02 00:04 UTC</time>; `,
		`leaves at <time datetime="` + soon.Format(time.RFC3339) + `" data-show="clock">`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if got := written("2026-13-45T99:99:99Z"); string(got) != "2026-13-45T99:99:99Z" {
		t.Errorf("no time: %s", got)
	}
}
