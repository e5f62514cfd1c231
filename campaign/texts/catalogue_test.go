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

// elsewhere reports whether the English of a key stands in the package that it is of.
func elsewhere(key string) bool {
	return slices.ContainsFunc([]string{ofCode, "setting.", "choice.", "refusal.", "file_kind.", "file_todo.", "file_book."}, func(family string) bool { return strings.HasPrefix(key, family) })
}

func TestBothLanguagesSayEverything(t *testing.T) {
	for _, l := range Languages() {
		var keys []string
		for key, m := range catalogue.messages[l] {
			if l == Arabic && elsewhere(key) {
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
			places := []any{"n", try.n}
			for _, name := range holes(hole, m.Other) {
				places = append(places, name, try.n) // the first chooses the form
			}
			want := hole.ReplaceAllString(forms(m)[try.form], "\u2066"+campaign.Number(try.n)+"\u2069")
			if got := (Printer{Language: Arabic}).Say(key, places...); string(got) != want {
				t.Errorf("%s of %d is %q, want %q", key, try.n, got, want)
			}
			want = hole.ReplaceAllString(forms(catalogue.messages[English][key])["other"], campaign.Number(try.n))
			if try.n == 1 {
				want = hole.ReplaceAllString(forms(catalogue.messages[English][key])["one"], "1")
			}
			if got := (Printer{}).Say(key, places...); string(got) != want {
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
	for key, m := range catalogue.messages[Arabic] {
		name, is := strings.CutPrefix(key, ofCode)
		if page, on := strings.CutPrefix(key, onPage); on {
			name, is = page, on
			for _, l := range Languages() {
				said := catalogue.messages[l][key].Other
				for _, place := range holes(parameter, said) {
					if !slices.Contains(holes(parameter, campaign.EnglishOf(codes[name])), place) {
						t.Errorf("%s in %s has the parameter %s, which the code has not", key, l, place)
					}
				}
			}
		}
		if is && (codes[name] == (campaign.Code{}) || strings.ContainsAny(m.Other, "<>&")) {
			t.Errorf("%s is no code, or markup", key)
		}
	}
}

// Every setting of the form speaks Arabic, and every reason to refuse a line.
func TestTheFormSpeaksArabic(t *testing.T) {
	want := make(map[string]bool)
	need := func(key, english string) {
		if want[key] = true; english != "" && catalogue.messages[Arabic][key] == nil {
			t.Errorf("%s has no Arabic text: %s", key, english)
		}
	}
	for _, s := range campaign.LaunchSettings() {
		if s.Label == "" {
			continue
		}
		need("setting."+s.Flag, s.Label)
		need("setting."+s.Flag+".hint", s.Hint)
		want["setting."+s.Flag+".example"] = true
		if words := regexp.MustCompile(`[a-z]{4,}`); s.Flag != "days" && s.Flag != "except" && words.MatchString(s.Example) {
			need("setting."+s.Flag+".example", s.Example)
		}
	}
	for _, s := range slices.Concat(campaign.LaunchSettings(), campaign.RunningSettings()) {
		for _, choice := range s.Choices {
			if choice != "" && (s.Label != "" || s.At != campaign.AtLaunch) { // chosen for a new campaign, or for one that runs
				need("choice."+s.Flag+"."+choice, choice)
			}
		}
	}
	rejects, err := os.ReadFile("../contacts/rejects.go")
	reasons := regexp.MustCompile(`Reason = "(.*)"`).FindAllStringSubmatch(string(rejects), -1)
	if err != nil || len(reasons) < 20 {
		t.Fatalf("%d reasons, %v", len(reasons), err)
	}
	for _, reason := range reasons {
		need("refusal."+reason[1], reason[1])
	}
	foreign, err := os.ReadFile("../contacts/foreign.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range regexp.MustCompile(`(?:, |foreign\()"((?:an?|the) [^"]+|JSON)", `).FindAllStringSubmatch(string(foreign), -1) {
		need("file_kind."+kind[1], kind[1])
	}
	for key := range catalogue.messages[Arabic] {
		if elsewhere(key) && !strings.HasPrefix(key, ofCode) && !strings.HasPrefix(key, "file_") && !want[key] {
			t.Errorf("nothing says %s", key)
		}
	}
}

// sources are the texts of the program's Go files and templates, without tests.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil || len(found) < 50 {
		t.Fatalf("%d sources, %v", len(found), err)
	}
	return found
}

var used = regexp.MustCompile(`(?:\.Say\(|texts\.Of\(|wishf\([\w.]+, |\{\{-? ?(?:t|forms) |\((?:t|s\.text) )"([^"]*[^".])"[ ,)}]`)

// What code and templates ask for is in the catalogue.
func TestUsedKeysAreThere(t *testing.T) {
	found := 0
	for path, text := range sources(t) {
		for _, use := range used.FindAllStringSubmatch(text, -1) {
			found++
			if key := use[1]; catalogue.messages[English][key] == nil {
				t.Errorf("%s uses %s, which is not in the catalogue", path, key)
			}
		}
	}
	if found < 200 {
		t.Errorf("found %d uses", found)
	}
	if got := (Printer{}).Say("no.such.key"); got != "no.such.key" {
		t.Errorf("an unknown key says %q", got)
	}
}

// families are keys of which the program joins the end to a beginning.
var families = regexp.MustCompile(`^(notice|month|hijri|state|phase|report|mode|role|action|ticket|delimiter|about|sort|chart|act|did|count|weekday|place|way|span|rules|who|page\.code)\.`)

// What is in the catalogue is asked for.
func TestEveryKeyIsUsed(t *testing.T) {
	asked := make(map[string]bool)
	quoted := regexp.MustCompile(`"([a-z][a-z0-9_.-]*)"`)
	for _, text := range sources(t) {
		for _, use := range quoted.FindAllStringSubmatch(text, -1) {
			asked[use[1]] = true
		}
	}
	for _, key := range Keys() {
		if family := families.FindString(key); !asked[key] && !asked[family] && !asked[strings.TrimSuffix(family, ".")] {
			t.Errorf("nothing says %s", key)
		}
	}
}
