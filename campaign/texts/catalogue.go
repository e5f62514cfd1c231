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
	"embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"campaign-runner/campaign"
)

//go:embed en.json ar.json
var files embed.FS

// catalogue is what both files say.
var catalogue = load()

type texts struct {
	speakers map[Language]*i18n.Localizer
	messages map[Language]map[string]*i18n.Message // by key
	codes    map[campaign.Code]string              // what codes say in Arabic
}

// ofCode begins the key of what a campaign.Code says.
const ofCode = "code."

func load() texts {
	t := texts{make(map[Language]*i18n.Localizer), make(map[Language]map[string]*i18n.Message), make(map[campaign.Code]string)}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	for _, l := range Languages() {
		file, err := bundle.LoadMessageFileFS(files, string(l)+".json")
		if err != nil {
			panic(err) // it is embedded
		}
		t.speakers[l] = i18n.NewLocalizer(bundle, string(l))
		t.messages[l] = make(map[string]*i18n.Message)
		for _, m := range file.Messages {
			t.messages[l][m.ID] = m
		}
	}
	codes := campaign.Codes()
	for key, m := range t.messages[Arabic] {
		if name, is := strings.CutPrefix(key, ofCode); is {
			t.codes[codes[name]] = m.Other
		}
	}
	return t
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
