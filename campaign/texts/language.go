package texts

import (
	"fmt"
	"slices"

	"golang.org/x/text/language"
)

// A Language is one that the catalogue has. The zero Language is English.
type Language string

const (
	English Language = "en"
	Arabic  Language = "ar"
)

// Languages are those of the catalogue, the one that others fall back to first.
func Languages() []Language { return []Language{English, Arabic} }

// ParseLanguage reads a language's name: en or ar.
func ParseLanguage(name string) (Language, error) {
	if l := Language(name); slices.Contains(Languages(), l) {
		return l, nil
	}
	return English, fmt.Errorf("language %q: want en or ar", name)
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Arabic})

// Choose is the language of the first wish that names one of ours. A wish is a list as
// browsers send it in Accept-Language. English when there is none.
func Choose(wishes ...string) Language {
	for _, wish := range wishes {
		tags, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, at, sure := matcher.Match(tags...); sure != language.No {
			return Languages()[at]
		}
	}
	return English
}

// tag is the language as other libraries name it.
func (l Language) tag() language.Tag {
	if l == Arabic {
		return language.Arabic
	}
	return language.English
}

// Dir is the direction of its writing, as HTML names it.
func (l Language) Dir() string {
	if l == Arabic {
		return "rtl"
	}
	return "ltr"
}

// Own is the language's name in itself.
func (l Language) Own() string { return string(Printer{Language: l}.Say("language")) }
