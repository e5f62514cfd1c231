package campaign

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// stopWords are the messages by which people ask not to be contacted again, by
// language. Each is a whole message: "stop" is one, "don't stop" is not. Words that
// people also say to an agent about the matter itself ("cancel" of an appointment,
// "end", "no") are not among them, but for the Arabic ones that are usual as an
// answer to "to unsubscribe, write".
var stopWords = map[string][]string{
	"ar": {
		"ستوب", "قف", "إلغاء", "إلغاء الاشتراك", "الغاء اشتراكي", "إيقاف", "إيقاف الرسائل", "أوقف", "أوقف الرسائل", "أوقفوا الرسائل", "توقف", "توقفوا",
		"لا تراسلني", "لا تراسلوني", "لا تتصل بي", "لا تتصلوا بي", "لا ترسل لي", "لا ترسلوا لي", "احذف رقمي", "احذفوا رقمي",
	},
	"de": {"stopp", "abmelden", "abbestellen", "austragen", "keine Nachrichten mehr"},
	"en": {
		"stop", "stop all", "stopall", "unsubscribe", "unsubscribe me", "opt out", "optout", "opt me out", "remove me", "remove my number",
		"stop calling", "stop calling me", "stop messaging me", "stop texting me", "do not contact me", "don't contact me",
		"do not call me", "don't call me", "do not message me", "don't message me",
	},
	"es": {"basta", "baja", "parar", "darme de baja", "dar de baja", "cancelar suscripción", "no me contacten", "no me llamen"},
	"fa": {"لغو", "لغو اشتراک", "توقف"},
	"fr": {"arrêt", "arrêter", "arrêtez", "stop pub", "désabonner", "se désabonner", "désinscription", "désinscrire", "ne me contactez plus"},
	"hi": {"रोकें", "बंद करें", "बंद करो"},
	"id": {"berhenti", "berhenti berlangganan", "jangan hubungi saya"},
	"it": {"basta", "cancellami", "disiscrivimi", "annulla iscrizione", "non contattatemi"},
	"pt": {"pare", "parar", "sair", "cancelar inscrição", "descadastrar", "não me contate"},
	"tr": {"dur", "durdur", "abonelikten çık", "beni aramayın"},
	"ur": {"بند کریں", "روک دیں"},
}

var stopWordSet = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for _, words := range stopWords {
		for _, word := range words {
			set[bare(word)] = true
		}
	}
	return set
})

// maxStopWordBytes bounds the messages that are looked at: a longer one is none.
const maxStopWordBytes = 200

// IsStopWord reports whether a message, as a whole, asks not to be contacted again, in
// any language of the table. Case, accents, the forms of Arabic letters and whatever is
// no letter do not matter.
func IsStopWord(message string) bool {
	return len(message) <= maxStopWordBytes && stopWordSet()[bare(message)]
}

// bare is a text in lower case without marks, its words parted by one space.
func bare(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(strings.ToLower(text)) {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r), r == 'ـ', r == 'ء', r == '\'', r == '’': // accents, marks of direction, a drawn-out letter, a hamza that many leave out, don't
		case unicode.IsLetter(r) || unicode.Is(unicode.Mc, r) || unicode.IsDigit(r):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(letter(r))
		default:
			gap = true
		}
	}
	return b.String()
}

// letter is a letter in the form that all keyboards share: Persian and Urdu ones have
// forms of their own, and in Arabic a final ى stands for ي and ه for ة in what people
// write.
func letter(r rune) rune {
	switch r {
	case 'ı':
		return 'i' // its capital is that of i
	case 'ی', 'ى', 'ے':
		return 'ي'
	case 'ک':
		return 'ك'
	case 'ة', 'ہ', 'ھ', 'ە':
		return 'ه'
	case 'ٱ':
		return 'ا'
	}
	return r
}
