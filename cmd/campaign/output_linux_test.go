package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/terminal"
)

// hostile has what a terminal would obey: a title, a color, a line that is taken back,
// C1's way to begin a command, and marks that turn the writing around.
const hostile = "a\x1b]0;taken\x07\x1b[31mred\r\x08\x7f\u009b2J\u202egnp.exe\u202c\u2066x\u2069\u200f\u061c\u2028end"

// obeyed are the characters of a text that a terminal obeys.
func obeyed(text string) (found []string) {
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028') {
			found = append(found, fmt.Sprintf("%U", r))
		}
	}
	return found
}

func (f fixture) loadHostile() {
	f.T.Helper()
	settings := campaigntest.Settings(2, campaign.Column{Name: "phone"}, campaign.Column{Name: "name" + hostile, Key: "name"})
	f.Load(campaigntest.List{
		Name: "sale", Settings: settings,
		Contacts: campaigntest.People(966501000000, 4, func(_ int, number string) []string { return []string{number, hostile} }),
		Counts:   campaign.Counts{Rows: 1, Invalid: 1, Refused: map[string]int{hostile: 1}},
		Rejects:  "phone,reason\n12," + hostile + "\n",
	})
	f.move("sale", 0, hostile, campaign.Send, campaign.Fail)
	f.move("sale", 1, "", campaign.Send, campaign.Accept)
	if _, _, err := f.SetPhase(f.T.Context(), "sale", campaign.Paused, campaign.Text(hostile), campaign.Running); err != nil {
		f.T.Fatal(err)
	}
}

func TestATerminalIsNotToldWhatToDo(t *testing.T) {
	f := newFixture(t)
	f.loadHostile()
	for _, args := range [][]string{
		{"list"}, {"show", "sale"}, {"log", "sale"}, {"log", "sale", "--contact", "+966501000000"}, {"plan", "sale"}, {"verify", "sale"}, {"pause", "sale", "--reason", hostile},
		{"events", "sale"}, {"show", hostile}, {"show", "sale" + hostile}, {"results", "sale", "--state", hostile}, {"set", "sale", "--hours", hostile},
		{"rejects", "sale", "-o", "/nowhere/" + hostile}, {"suppress", "add", hostile}, {hostile},
		{"list", "--json"}, {"show", "sale", "--json"}, {"log", "sale", "--json"}, {"results", "sale", "--json"},
	} {
		out := f.run(args...)
		if found := obeyed(out.stdout + out.stderr); len(found) > 0 && args[0] != "results" {
			t.Errorf("%q: %v in %q", args, found, out.stdout+out.stderr)
		}
		screen := f.onTerminal(args...)
		if found := obeyed(strings.ReplaceAll(screen, "\r\n", "\n")); len(found) > 0 {
			t.Errorf("%q on a terminal: %v in %q", args, found, screen)
		}
	}
	for _, args := range [][]string{{"results", "sale"}, {"rejects", "sale"}} {
		if text := f.onTerminal(args...); !strings.Contains(text, "gnp.exe") {
			t.Errorf("%q shows nothing: %q", args, text)
		}
		if out := f.run(args...); !strings.Contains(out.stdout, "\u202egnp.exe\u202c") {
			t.Errorf("%q into a file or a pipe is not as it was: %q", args, out.stdout)
		}
	}
	var shown struct {
		Reason string `json:"state_reason"`
	}
	if out := f.run("show", "sale", "--json"); json.Unmarshal([]byte(out.stdout), &shown) != nil || !strings.Contains(shown.Reason, "\u202egnp.exe\u202c") {
		t.Errorf("JSON has lost something: %q", out.stdout)
	}
}

// onTerminal runs the command on a terminal and returns all that reaches it.
func (f fixture) onTerminal(args ...string) string {
	f.T.Helper()
	tty, shown := terminal.Open(f.T, "")
	_ = run(f.T.Context(), args, strings.NewReader(""), tty, tty, f.getenv)
	return shown()
}
