// Package texts is what people are told, in their language: one catalogue of texts in
// English and Arabic, and one way to write numbers, times and names in them.
//
// Digits are Latin and dates Gregorian in both languages. What runs from left to right
// among Arabic words (a number, a time, a technical name) stands in an isolate of its own,
// and so does what other people wrote: whatever direction that has, it turns nothing
// around it.
//
// The English of a campaign.Code stands in package campaign, its Arabic here.
package texts

import (
	"cmp"
	"embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"campaign-runner/campaign"
)

//go:embed en.json ar.json
var files embed.FS

// catalogue is what both files say.
var catalogue = load()

type texts struct {
	messages map[Language]map[string]*i18n.Message // by key
	words    map[voiced]map[campaign.Code]string
}

// voiced is where codes have words of their own: in Arabic, and on pages.
type voiced struct {
	Language
	page bool
}

// ofCode begins the key of what a campaign.Code says, onPage that of what it says on a
// page: without commands, as pages have buttons.
const (
	ofCode = "code."
	onPage = "page.code."
)

func load() texts {
	t := texts{make(map[Language]map[string]*i18n.Message), make(map[voiced]map[campaign.Code]string)}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	for _, l := range Languages() {
		file, err := bundle.LoadMessageFileFS(files, string(l)+".json")
		if err != nil {
			panic(err) // it is embedded
		}
		t.messages[l] = make(map[string]*i18n.Message)
		for _, m := range file.Messages {
			t.messages[l][m.ID] = m
		}
		t.words[voiced{l, false}] = t.coded(l, ofCode)
		t.words[voiced{l, true}] = t.coded(l, ofCode, onPage)
	}
	return t
}

// coded is what the codes say whose keys begin so; the last beginning counts.
func (t texts) coded(l Language, beginnings ...string) map[campaign.Code]string {
	codes, words := campaign.Codes(), make(map[campaign.Code]string)
	for _, begins := range beginnings {
		for key, m := range t.messages[l] {
			if name, is := strings.CutPrefix(key, begins); is {
				words[codes[name]] = m.Other
			}
		}
	}
	return words
}

// form is the text of a message for a number.
func (t texts) form(l Language, m *i18n.Message, n int) string {
	text := m.Other
	switch plural.Cardinal.MatchPlural(l.tag(), max(n, -n), 0, 0, 0, 0) {
	case plural.Zero:
		text = m.Zero
	case plural.One:
		text = m.One
	case plural.Two:
		text = m.Two
	case plural.Few:
		text = m.Few
	case plural.Many:
		text = m.Many
	}
	return cmp.Or(text, m.Other) // it may count nothing
}

// forms are the texts of a message by plural form; one that counts nothing has other alone.
func forms(m *i18n.Message) map[string]string {
	all := map[string]string{"zero": m.Zero, "one": m.One, "two": m.Two, "few": m.Few, "many": m.Many, "other": m.Other}
	maps.DeleteFunc(all, func(_, text string) bool { return text == "" })
	return all
}

// counts reports whether a message has plural forms.
func counts(m *i18n.Message) bool { return len(forms(m)) > 1 }

// Keys are the names of all texts, sorted.
func Keys() []string { return slices.Sorted(maps.Keys(catalogue.messages[English])) }

// Forms are the texts of a key by plural form, for the script of a page.
func (p Printer) Forms(key string) map[string]string {
	return forms(catalogue.messages[cmp.Or(p.Language, English)][key])
}
