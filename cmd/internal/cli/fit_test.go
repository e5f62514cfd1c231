package cli_test

import (
	"testing"

	"campaign-runner/cmd/internal/cli"
)

func TestFitBreaksWideLinesInTheirLastColumn(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"what fits stays", "a  b   c\n\n", "a  b   c\n\n"},
		{"a fact", "  refused  2  number in scientific notation: digits were lost\n", "  refused  2  number in scientific\n              notation: digits were lost\n"},
		{"a last column that begins too far to the right", "name  2026-12-01 09:00 to 21:00  Riyadh and more\n", "name  2026-12-01 09:00 to 21:00 Riyadh\n      and more\n"},
		{"no columns", "  one two three four five six seven eight nine\n", "  one two three four five six seven\n  eight nine\n"},
		{"spaces at the end", "a  one two three four five six seven eight nine   \n", "a  one two three four five six seven\n   eight nine\n"},
		{"other writing", "سبب  واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية\n", "سبب  واحد اثنان ثلاثة أربعة خمسة ستة\n     سبعة ثمانية\n"},
		{"a word that is wider than all", "a  " + "https://example.org/a-long-path/without-an-end" + "\n", "a  https://example.org/a-long-path/without-an-end\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cli.Fit(tt.text, 40); got != tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}
