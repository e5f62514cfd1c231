package campaign

import (
	"testing"

	"pgregory.net/rapid"
)

func TestOtherSpelling(t *testing.T) {
	for _, tt := range []struct {
		name       string
		one, other Phone // other: 0 for none
	}{
		{"Mexico with and without the 1", 5215512345678, 525512345678},
		{"Argentina with and without the 9", 5491123456789, 541123456789},
		{"Brazil with and without the ninth digit", 5511987654321, 551187654321},
		{"a Brazilian landline has one", 551132345678, 0},
		{"a Brazilian number whose ninth digit came with it", 5511932345678, 0},
		{"Saudi Arabia has one", 966501234567, 0},
		{"no number", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := tt.one.OtherSpelling(); uint64(got) != uint64(tt.other) || ok != (tt.other != 0) {
				t.Errorf("got %s, %v", got.E164(), ok)
			}
			if tt.other == 0 {
				return
			}
			if got, ok := tt.other.OtherSpelling(); got != tt.one || !ok {
				t.Errorf("and back: got %s, %v", got.E164(), ok)
			}
		})
	}
}

func TestTwoSpellingsAreOnePerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]uint64{521, 52, 549, 54, 55, 966, 1, 5}).Draw(t, "code")
		p := Phone(code)
		for range rapid.IntRange(4, 15-3).Draw(t, "digits") {
			p = p*10 + Phone(rapid.IntRange(0, 9).Draw(t, "digit"))
		}
		other, ok := p.OtherSpelling()
		if !ok {
			if p.Person() != p {
				t.Fatalf("%s is %s, and has no other spelling", p.E164(), p.Person().E164())
			}
			return
		}
		if other == p || other.Person() != p.Person() || p.Person() != p && p.Person() != other {
			t.Fatalf("%s and %s are %s and %s", p.E164(), other.E164(), p.Person().E164(), other.Person().E164())
		}
	})
}
