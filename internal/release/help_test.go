package release

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"campaign-runner/internal/commands"
)

// Help is read on a terminal of 80 columns, and says of each command where Redis is.
func TestHelpOfEachCommandFitsATerminal(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`)
	read := 0
	var look func(call ...string)
	look = func(call ...string) {
		said, err := commands.Call(nil, nil, call[0], append(call[1:], "-h")...)
		text := said.Stdout
		if err != nil {
			t.Errorf("%q: %v", call, err)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("%q: %d columns: %s", call, n, line)
			}
		}
		if call[0] != "sandbox" && strings.Count(text, "\n  REDIS_URL ") != 1 {
			t.Errorf("%q does not name REDIS_URL once:\n%s", call, text)
		}
		read++
		_, subs, _ := strings.Cut(text, "Available Commands:\n")
		subs, _, _ = strings.Cut(subs, "\n\n")
		for _, sub := range listed.FindAllStringSubmatch(subs, -1) {
			if sub[1] != "help" && call[len(call)-1] != "completion" {
				look(append(call[:len(call):len(call)], sub[1])...)
			}
		}
	}
	for _, name := range []string{"enqueue", "worker", "campaign", "sandbox"} {
		look(name)
	}
	if read < 40 {
		t.Errorf("only %d commands were found", read)
	}
}
