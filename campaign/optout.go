package campaign

import (
	"sync"
	"unicode/utf8"
)

// stopWords are the messages, by language, in which people ask not to be contacted again.
// Each is a whole message: "stop" is one, "don't stop" is not. Words that people also say to
// an agent about the matter itself ("cancel" an appointment, "end", "no") are left out,
// except Arabic ones that are usual answers to "to unsubscribe, write". Among them are the
// texts of the button to opt out that Meta proposes for marketing templates of WhatsApp: a tap
// on it sends "Stop promotions", in the template's language.
var stopWords = map[string][]string{
	"ar": {
		"ستوب", "قف", "إلغاء", "إلغاء الاشتراك", "الغاء اشتراكي", "إيقاف", "إيقاف الرسائل", "أوقف", "أوقف الرسائل", "أوقفوا الرسائل", "توقف", "توقفوا",
		"إيقاف العروض", "إيقاف العروض الترويجية", "لا تراسلني", "لا تراسلوني", "لا تتصل بي", "لا تتصلوا بي", "لا ترسل لي", "لا ترسلوا لي", "احذف رقمي", "احذفوا رقمي",
	},
	"de": {"stopp", "abmelden", "abbestellen", "austragen", "keine Nachrichten mehr"},
	"en": {
		"stop", "stop all", "stopall", "unsubscribe", "unsubscribe me", "opt out", "optout", "opt me out", "remove me", "remove my number",
		"stop promotions", "stop calling", "stop calling me", "stop messaging me", "stop texting me", "do not contact me", "don't contact me",
		"do not call me", "don't call me", "do not message me", "don't message me",
	},
	"es": {"basta", "baja", "parar", "parar promociones", "detener promociones", "darme de baja", "dar de baja", "cancelar suscripción", "no me contacten", "no me llamen"},
	"fa": {"لغو", "لغو اشتراک", "توقف"},
	"fr": {"arrêt", "arrêter", "arrêtez", "arrêter les promotions", "stop pub", "désabonner", "se désabonner", "désinscription", "désinscrire", "ne me contactez plus"},
	"hi": {"रोकें", "बंद करें", "बंद करो"},
	"id": {"berhenti", "berhenti berlangganan", "jangan hubungi saya"},
	"it": {"basta", "cancellami", "disiscrivimi", "annulla iscrizione", "non contattatemi"},
	"pt": {"pare", "parar", "parar promoções", "sair", "cancelar inscrição", "descadastrar", "não me contate"},
	"ru": {"стоп", "отписаться", "отпишите меня", "не пишите мне", "не звоните мне"},
	"tr": {"dur", "durdur", "abonelikten çık", "beni aramayın"},
	"ur": {"بند کریں", "روک دیں"},
}

var stopWordSet = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for _, words := range stopWords {
		for _, word := range words {
			set[Fold(word)] = true
		}
	}
	return set
})

// maxStopWordBytes is the longest message that can be a stop word.
const maxStopWordBytes = 200

// longestStopWord is how many letters and spaces the longest has.
var longestStopWord = sync.OnceValue(func() (longest int) {
	for word := range stopWordSet() {
		longest = max(longest, utf8.RuneCountInString(word))
	}
	return longest
})

// IsStopWord reports whether a message as a whole is a stop word of any language. It is
// compared by Fold.
func IsStopWord(message string) bool {
	return len(message) <= maxStopWordBytes && !isLong(message) && stopWordSet()[Fold(message)]
}

// isLong reports whether a message surely has more letters than any stop word. It counts
// those that Fold always keeps, which takes less time than to fold.
func isLong(message string) bool {
	letters := 0
	for _, r := range message {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || 'آ' <= r && r <= 'غ' || 'ف' <= r && r <= 'ي' {
			letters++
		}
	}
	return letters > longestStopWord()
}
