package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePhone(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Phone
	}{
		{"a Saudi mobile", "+966501234567", 966501234567},
		{"the shortest", "+1234567", 1234567},
		{"the longest", "+123456789012345", 123456789012345},
		{"zeros after the first digit", "+1000000", 1000000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePhone(tt.text)
			if err != nil || got != tt.want {
				t.Errorf("got %d, %v, want %d", uint64(got), err, uint64(tt.want))
			}
			if got.E164() != tt.text {
				t.Errorf("E164 is %q, want %q", got.E164(), tt.text)
			}
		})
	}
}

func TestParsePhoneRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"a plus alone", "+"},
		{"no plus", "966501234567"},
		{"too short", "+123456"},
		{"too long", "+1234567890123456"},
		{"a leading zero", "+0966501234567"},
		{"an international prefix", "00966501234567"},
		{"spaces", "+966 50 123 4567"},
		{"a space after it", "+966501234567 "},
		{"letters", "+96650123456O"},
		{"a second plus", "++96650123456"},
		{"Arabic digits", "+٩٦٦٥٠١٢٣٤٥٦٧"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePhone(tt.text)
			if err == nil || got != 0 {
				t.Fatalf("got %d, %v", uint64(got), err)
			}
			if err.Error() != "phone: want + and 7 to 15 digits" {
				t.Errorf("error %q may hold the number", err)
			}
		})
	}
}

func TestPhonesSurviveTheirText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Phone(rapid.Uint64Range(1_000_000, 999_999_999_999_999).Draw(t, "phone"))
		if got, err := ParsePhone(want.E164()); err != nil || got != want {
			t.Fatalf("got %d, %v, want %d", uint64(got), err, uint64(want))
		}
	})
}

const (
	secretPhone  = Phone(966501234567)
	maskedSecret = "+…4567"
)

// hidden is whatever of the number must not be seen, in decimal and in hex.
var hidden = []string{"96650", "501234", "0123456", "e107f6", "E107F6"}

func mustHide(t *testing.T, text string) {
	t.Helper()
	for _, part := range hidden {
		if strings.Contains(text, part) {
			t.Errorf("%q shows the number", text)
		}
	}
}

func TestPrintingMasksPhones(t *testing.T) {
	if hex := fmt.Sprintf("%x", uint64(secretPhone)); !strings.Contains(hex, "e107f6") {
		t.Fatalf("the number in hex is %s: hidden looks for the wrong text", hex)
	}
	pointer := secretPhone
	contact := Contact{Phone: secretPhone, Line: 2}
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%#x", "%q", "%s", "%o", "%b", "%c", "%U", "%e", "%020d", "%t", "%z"} {
		got := fmt.Sprintf(verb, secretPhone)
		if got != maskedSecret {
			t.Errorf("%s prints %q, want %q", verb, got, maskedSecret)
		}
		for _, value := range []any{contact, &contact, []Contact{contact}, []Phone{secretPhone}, map[Phone]Phone{secretPhone: secretPhone}, [1]any{secretPhone}} {
			mustHide(t, fmt.Sprintf(verb, value))
		}
		if verb != "%v" {
			continue
		}
		if got := fmt.Sprintf("%s", &pointer); got != maskedSecret {
			t.Errorf("a pointer prints %q", got)
		}
	}
	mustHide(t, fmt.Sprint(secretPhone))
	mustHide(t, fmt.Errorf("send: %w", fmt.Errorf("%v", secretPhone)).Error())
	mustHide(t, errors.Join(fmt.Errorf("%d", secretPhone)).Error())
	if got := Phone(966500000007).String(); got != "+…0007" {
		t.Errorf("zeros among the last digits: got %q", got)
	}
}

func TestLogsMaskPhones(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(*bytes.Buffer) slog.Handler
	}{
		{"as text", func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }},
		{"as JSON", func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			contact := Contact{Phone: secretPhone}
			slog.New(tt.handler(&out)).With("bound", secretPhone).Info("seen",
				"phone", secretPhone, "contact", contact, "pointer", &contact,
				"list", []Phone{secretPhone}, "by_phone", map[Phone]bool{secretPhone: true},
				slog.Group("g", "phone", secretPhone))
			mustHide(t, out.String())
			if n := strings.Count(out.String(), maskedSecret); n < 6 {
				t.Errorf("%d masked numbers in %s", n, out.String())
			}
		})
	}
}

func TestJSONMasksPhones(t *testing.T) {
	got, err := json.Marshal(map[Phone]Contact{secretPhone: {Phone: secretPhone}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"+…4567":{"Phone":"+…4567","Line":0,"Fields":null}}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPerson(t *testing.T) {
	for _, tt := range []struct {
		name        string
		phone, want Phone
	}{
		{"Mexico with the old 1", 5215512345678, 525512345678},
		{"Mexico without it", 525512345678, 525512345678},
		{"Argentina with the 9 of mobiles", 5491123456789, 541123456789},
		{"Argentina without it", 541123456789, 541123456789},
		{"Brazil without the ninth digit", 551187654321, 5511987654321},
		{"Brazil with it", 5511987654321, 5511987654321},
		{"a Brazilian landline", 551132345678, 551132345678},
		{"Benin without the 01", 22997123456, 2290197123456},
		{"Benin with it", 2290197123456, 2290197123456},
		{"Saudi Arabia", 966501234567, 966501234567},
		{"a number of Lesotho that is not Mexican", 26652123456, 26652123456},
		{"an American number that has 521 in it", 15215512345, 15215512345},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.phone.Person(); got != tt.want {
				t.Errorf("got %s, want %s", got.E164(), tt.want.E164())
			}
		})
	}
}

func TestOtherSpelling(t *testing.T) {
	for _, tt := range []struct {
		name       string
		one, other Phone // other: 0 for none
	}{
		{"Mexico with and without the 1", 5215512345678, 525512345678},
		{"Argentina with and without the 9", 5491123456789, 541123456789},
		{"Brazil with and without the ninth digit", 5511987654321, 551187654321},
		{"Benin with and without the 01", 2290197123456, 22997123456},
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
		code := rapid.SampledFrom([]uint64{521, 52, 549, 54, 55, 229, 22901, 966, 1, 5}).Draw(t, "code")
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
