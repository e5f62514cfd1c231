package campaign

import "testing"

func TestFoldMakesSpellingsEqual(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  []string
		want string
	}{
		{"case, dots and dashes", []string{"Contact No.", "contact-no", " CONTACT_NO "}, "contact no"},
		{"accents", []string{"Téléphone", "telephone", "TÉLÉPHONE"}, "telephone"},
		{"hamza on alif, and none", []string{"أرقام", "ارقام", "إرقام", "آرقام"}, "ارقام"},
		{"ta marbuta and ha", []string{"الدولة", "الدوله"}, "الدوله"},
		{"alif maqsura and ya", []string{"خليوى", "خليوي", "خلیوی"}, "خليوي"},
		{"stretched and vowelled", []string{"جـــوّال", "جَوَّال", "جوال"}, "جوال"},
		{"marks that cannot be seen", []string{"\u200fرقم\u00a0الجوال\u200e", "رقم الجوال"}, "رقم الجوال"},
		{"digits of both sets", []string{"قسط ٢٠٢٧", "قسط 2027", "قسط ۲۰۲۷"}, "قسط 2027"},
		{"Turkish dotless i", []string{"numarası", "NUMARASI", "Numarasi"}, "numarasi"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, text := range tt.all {
				if got := Fold(text); got != tt.want {
					t.Errorf("Fold(%q) = %q, want %q", text, got, tt.want)
				}
			}
		})
	}
}

// Signs of Arabic keyboards are folded without being taken apart, to the same.
func TestArabicIsFoldedAsEverythingIs(t *testing.T) {
	for r := rune(0); r <= '\u07ff'; r++ {
		const composed = "é" // takes the whole text apart
		text := "ب" + string(r) + "ب"
		if got, want := Fold(text)+"e", Fold(text+composed); got != want {
			t.Errorf("%U: Fold(%q) is %q, want %q", r, text, got, want)
		}
	}
}

func TestANeedleIsFoundHoweverItIsWritten(t *testing.T) {
	for _, tt := range []struct {
		needle, text string
		want         bool
	}{
		{"", "anything", true},
		{"احمد", "أحمد العتيبي", true},
		{"أحمد", "عروض احمد", true},
		{"ساره", "سارة", true},
		{"سارة", "سَارَه", true},
		{"ليلى", "ليلي", true},
		{"ete", "Été à Dubaï", true},
		{"C 3", "c-3", true},
		{"٤٢", "room 42", true},
		{"42", "غرفة ٤٢", true},
		{"..", "wait...", true},
		{"..", "wait", false},
		{"a@b.org", "A@B.ORG", true},
		{"احمد", "محمود", false},
	} {
		if got := NewNeedle(tt.needle).In(tt.text); got != tt.want {
			t.Errorf("%q in %q: %v", tt.needle, tt.text, got)
		}
	}
	if !(Needle{}).In("anything") {
		t.Error("the zero needle is not in a text")
	}
}
