// Package untranslated finds words in templates of pages that do not come from the catalogue
// of texts. Tests of the pages use it.
package untranslated

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/html"
)

// spoken are attributes that people read or hear.
var spoken = map[string]bool{"alt": true, "aria-label": true, "aria-description": true, "placeholder": true, "title": true, "data-busy": true, "label": true}

// action matches what a template fills in: its words come from elsewhere.
var action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// joins matches an action that puts texts of its own together, and quoted such a text.
var (
	joins  = regexp.MustCompile(`\b(?:count|print|printf|println)\b`)
	quoted = regexp.MustCompile("\"[^\"]*\"|`[^`]*`")
)

// Words lists the words that stand in a template itself, in their order: texts between tags,
// texts of attributes that people read or hear, and texts that its actions join.
func Words(template string) (found []string) {
	for _, does := range action.FindAllString(template, -1) {
		if !joins.MatchString(quoted.ReplaceAllString(does, "")) {
			continue
		}
		for _, text := range quoted.FindAllString(does, -1) {
			found = add(found, text[1:len(text)-1])
		}
	}
	tokens := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(template, "\x00")))
	var within string // of an element whose text nobody reads
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return found
		case html.TextToken:
			if within == "" {
				found = add(found, tokens.Token().Data)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			if within = ""; token.Data == "style" || token.Data == "script" {
				within = token.Data
			}
			for _, attribute := range token.Attr {
				if spoken[attribute.Key] {
					found = add(found, attribute.Val)
				}
			}
		case html.EndTagToken:
			within = ""
		}
	}
}

func add(found []string, text string) []string {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\x00", " "))
	if strings.ContainsFunc(text, unicode.IsLetter) {
		found = append(found, text)
	}
	return found
}
