package campaign

import (
	"strings"
	"testing"
)

func TestStopWords(t *testing.T) {
	for _, message := range []string{
		"STOP", " stop. ", "Stop!!!", "UNSUBSCRIBE", "un\u200bsubscribe", "Don’t call me", "DONT CALL ME", "Opt-out",
		"إلغاء", "الغاء", "الغاء الإشتراك", "إيقاف", "ايقاف", "تـوقـف", "تَوَقَّف", "لا تتصلوا بي!",
		"الغا", "ألغاء", "لا تتصل بى", "لا تتصل بی", "ٱلغاء", "ﺇﻟﻐﺎﺀ", "بند كریں", "بند کریں", "قف",
		"ARRÊT", "arret", "Désabonner", "BASTA", "Ｓｔｏｐ", "बंद करें", "बंद करें।", "СТОП",
		"Stop promotions", "إيقاف العروض الترويجية", "ايقاف العروض", "Parar promocoes", "Detener promociones",
	} {
		if !IsStopWord(message) {
			t.Errorf("%q is no stop word", message)
		}
	}
	for _, message := range []string{
		"", " ", "!", "don't stop", "stop by tomorrow", "nonstop", "st op", "yes", "لا", "cancel", "توقف عن الكلام قليلا", "I will stop",
		strings.Repeat(" ", maxStopWordBytes) + "stop",
	} {
		if IsStopWord(message) {
			t.Errorf("%q is a stop word", message)
		}
	}
	if isLong("Keine Nachrichten mehr" + strings.Repeat("ءـ’", 20)) {
		t.Error("letters that do not count make a message long")
	}
	for _, text := range []string{"I would like to know much more", "نعم أريد أن أعرف المزيد عن هذا"} {
		if !isLong(text) {
			t.Errorf("%q is folded", text)
		}
	}
	for language, words := range stopWords {
		for _, word := range words {
			if !IsStopWord(strings.ToUpper(word)) || Fold(word) == "" {
				t.Errorf("%s: %q is not found", language, word)
			}
		}
	}
}
