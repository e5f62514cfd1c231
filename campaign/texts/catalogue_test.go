package texts

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
)

// tried are the numbers that try every plural form of Arabic: zero, one, two, few, many,
// and other twice.
var tried = []struct {
	n    int
	form string
}{{0, "zero"}, {1, "one"}, {2, "two"}, {3, "few"}, {11, "many"}, {100, "other"}, {103, "few"}}

var (
	hole      = regexp.MustCompile(`\{\{\.(\w+)\}\}`)
	parameter = regexp.MustCompile(`\{(\w+)(?::([^}]+))?\}`)
)

func holes(pattern *regexp.Regexp, text string) []string {
	names := make(map[string]bool)
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		names[found[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// wrong lists what is wrong with a message of a language beside the English one.
func wrong(l Language, key string, said, english map[string]string) (faults []string) {
	want := []string{"one", "other"}
	if l == Arabic {
		want = []string{"few", "many", "one", "other", "two", "zero"}
	}
	if len(english) == 1 {
		want = []string{"other"}
	}
	if got := slices.Sorted(maps.Keys(said)); !slices.Equal(got, want) {
		faults = append(faults, fmt.Sprintf("%s in %s has the forms %v, want %v", key, l, got, want))
	}
	places := holes(hole, english["other"])
	for form, text := range said {
		if got := holes(hole, text); !slices.Equal(got, places) {
			faults = append(faults, fmt.Sprintf("%s in %s, form %s, has the places %v, in English %v", key, l, form, got, places))
		}
		if strings.ContainsAny(text, "<>&") || strings.TrimSpace(text) == "" {
			faults = append(faults, fmt.Sprintf("%s in %s, form %s: %q", key, l, form, text))
		}
	}
	return faults
}

func TestBothLanguagesSayEverything(t *testing.T) {
	for _, l := range Languages() {
		var keys []string
		for key, m := range catalogue.messages[l] {
			if strings.HasPrefix(key, ofCode) {
				continue
			}
			keys = append(keys, key)
			if english := catalogue.messages[English][key]; english != nil {
				for _, fault := range wrong(l, key, forms(m), forms(english)) {
					t.Error(fault)
				}
			}
		}
		slices.Sort(keys)
		if diff := cmp.Diff(Keys(), keys); diff != "" {
			t.Errorf("keys of %s (-English +%[1]s):\n%s", l, diff)
		}
	}
}

// What the test above looks for is found.
func TestFaultsAreFound(t *testing.T) {
	six := map[string]string{"zero": "{{.n}}", "one": "{{.n}}", "two": "{{.n}}", "few": "{{.n}}", "many": "{{.n}}", "other": "{{.n}}"}
	english := map[string]string{"one": "{{.n}}", "other": "{{.n}}"}
	with := func(form, text string) map[string]string {
		m := maps.Clone(six)
		m[form] = text
		maps.DeleteFunc(m, func(_, text string) bool { return text == "" })
		return m
	}
	for _, tt := range []struct {
		name string
		said map[string]string
		want int
	}{
		{"as it should be", six, 0},
		{"a form lacks", with("two", ""), 1},
		{"a place lacks in one form", with("one", "واحد"), 1},
		{"another place", with("few", "{{.count}}"), 1},
		{"markup", with("many", "<b>{{.n}}</b>"), 1},
	} {
		if got := wrong(Arabic, "key", tt.said, english); len(got) != tt.want {
			t.Errorf("%s: found %q", tt.name, got)
		}
	}
}

func TestEveryPluralFormIsSaid(t *testing.T) {
	for key, m := range catalogue.messages[Arabic] {
		if !counts(m) {
			continue
		}
		for _, try := range tried {
			want := hole.ReplaceAllString(forms(m)[try.form], "\u2066"+campaign.Number(try.n)+"\u2069")
			if got := (Printer{Language: Arabic}).Say(key, "n", try.n); string(got) != want {
				t.Errorf("%s of %d is %q, want %q", key, try.n, got, want)
			}
			want = hole.ReplaceAllString(forms(catalogue.messages[English][key])["other"], campaign.Number(try.n))
			if try.n == 1 {
				want = hole.ReplaceAllString(forms(catalogue.messages[English][key])["one"], "1")
			}
			if got := (Printer{}).Say(key, "n", try.n); string(got) != want {
				t.Errorf("%s of %d is %q in English, want %q", key, try.n, got, want)
			}
		}
	}
}

// Every code says the same in Arabic, with the same parameters.
func TestCodesSpeakArabic(t *testing.T) {
	codes := campaign.Codes()
	for name, code := range codes {
		m := catalogue.messages[Arabic][ofCode+name]
		if m == nil {
			t.Errorf("%s%s has no Arabic text", ofCode, name)
			continue
		}
		english := campaign.EnglishOf(code)
		if got, want := holes(parameter, m.Other), holes(parameter, english); !slices.Equal(got, want) {
			t.Errorf("%s%s has the parameters %v, in English %v", ofCode, name, got, want)
		}
		for _, found := range parameter.FindAllStringSubmatch(m.Other, -1) {
			how := found[2]
			if plural := catalogue.messages[Arabic][how]; strings.Contains(how, ".") && (plural == nil || !counts(plural)) {
				t.Errorf("%s%s counts by %s, which has no plural forms", ofCode, name, how)
			}
		}
		if strings.ContainsAny(m.Other+english, "<>&") || strings.Count(m.Other, "\u2066") != strings.Count(m.Other, "\u2069") {
			t.Errorf("%s%s: %q", ofCode, name, m.Other)
		}
	}
	for key := range catalogue.messages[Arabic] {
		if name, is := strings.CutPrefix(key, ofCode); is && codes[name] == (campaign.Code{}) {
			t.Errorf("%s is no code", key)
		}
	}
}

var used = regexp.MustCompile(`(?:\.Say\(|\{\{-? ?t |\(t )"([^"]*[^".])"[ ,)}]`)

// What code and templates ask for is in the catalogue.
func TestUsedKeysAreThere(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, use := range used.FindAllStringSubmatch(string(text), -1) {
			found++
			if key := use[1]; catalogue.messages[English][key] == nil {
				t.Errorf("%s uses %s, which is not in the catalogue", path, key)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("found %d uses: %v", found, err)
	}
	if got := (Printer{}).Say("no.such.key"); got != "no.such.key" {
		t.Errorf("an unknown key says %q", got)
	}
}
