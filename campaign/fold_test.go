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
