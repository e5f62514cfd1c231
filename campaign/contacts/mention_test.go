package contacts

import (
	"testing"
	"unicode"

	"campaign-runner/campaign"
)

func TestFinderFindsEverySpelling(t *testing.T) {
	for _, tt := range []struct {
		name  string
		phone campaign.Phone
		text  string
		want  bool
	}{
		{"in E.164", 966501234567, "+966501234567", true},
		{"with zeros", 966501234567, "00966501234567", true},
		{"as dialled at home", 966501234567, "call 050 123 4567 now", true},
		{"without the trunk zero", 966501234567, "501234567", true},
		{"with a kept trunk zero", 966501234567, "+966 (0) 50-123-4567", true},
		{"Arabic digits", 966501234567, "٠٥٠١٢٣٤٥٦٧", true},
		{"mathematical digits", 966501234567, "𝟎𝟓𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕", true},
		{"invisible marks", 966501234567, "\u200e+966\u200b501\u00ad234567", true},
		{"in a longer run", 966501234567, "+966509999999, +966501234567", true},
		{"in JSON", 966501234567, `{"phone":966501234567}`, true},
		{"the other spelling of Brazil", 5511987654321, "+55 11 8765-4321", true},
		{"the other spelling of Mexico", 525512345678, "+521 55 1234 5678", true},
		{"the neighbour", 966501234567, "+966501234568", false},
		{"a date", 966501234567, "2026-11-30", false},
		{"broken by a letter", 966501234567, "50123x4567", false},
		{"nothing", 966501234567, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := NewFinder(tt.phone).In(tt.text); got != tt.want {
				t.Errorf("In(%q) = %v", tt.text, got)
			}
		})
	}
}

// The digits of every script have the values that Unicode gives them: they stand in
// blocks of ten that begin with zero.
func TestDigitOfEveryScript(t *testing.T) {
	for _, span := range unicode.Nd.R16 {
		for i := span.Lo; i <= span.Hi; i++ {
			if got, want := digitOf(rune(i)), int(i-span.Lo)%10; got != want {
				t.Errorf("%U is %d, want %d", i, got, want)
			}
		}
	}
	for _, span := range unicode.Nd.R32 {
		for i := span.Lo; i <= span.Hi; i++ {
			if got, want := digitOf(rune(i)), int(i-span.Lo)%10; got != want {
				t.Errorf("%U is %d, want %d", i, got, want)
			}
		}
	}
}
