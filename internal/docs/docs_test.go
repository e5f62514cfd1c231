// Package docs holds the tests that what the documents name exists.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// files reads every file of the project with one of the suffixes, by its path from the root.
func files(t *testing.T, suffixes ...string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "bin" || name == "tmp" || name == "testdata" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(path, s) }) {
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no files with %v", suffixes)
	}
	return found
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, path))
	return err == nil
}

var (
	code    = regexp.MustCompile("(?m)^(```|    ).*$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	mute    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names by which links reach the headings of a document.
func anchors(text string) (names []string) {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		name := mute.ReplaceAllString(strings.ToLower(h[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	docs := files(t, ".md")
	for name, text := range docs {
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if !exists(target) {
				t.Errorf("%s: there is no %s", name, l[1])
			}
			if anchor != "" && !slices.Contains(anchors(docs[target]), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, target, anchor)
			}
		}
	}
}

// A path in backticks, or to a document in a comment of the code, must exist.
func TestPathsExist(t *testing.T) {
	top, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile("`(\\.?[\\w-]+(?:/[\\w.-]+)+)`")
	for name, text := range files(t, ".md") {
		for _, p := range path.FindAllStringSubmatch(text, -1) {
			first, _, _ := strings.Cut(p[1], "/")
			if slices.ContainsFunc(top, func(e fs.DirEntry) bool { return e.Name() == first }) && !exists(p[1]) {
				t.Errorf("%s: there is no %s", name, p[1])
			}
		}
	}
	document := regexp.MustCompile(`\bdocs/[\w./-]+\w`)
	for name, text := range files(t, ".go", ".sh", ".yml", "Makefile", ".example") {
		for _, p := range document.FindAllString(text, -1) {
			if !exists(p) {
				t.Errorf("%s: there is no %s", name, p)
			}
		}
	}
}

// Whatever the documents say to run with go test or make must be there to run.
func TestCommandsExist(t *testing.T) {
	tests := regexp.MustCompile(`go test [^|)\n]*?\./(\S+)([^|)\n]*)`)
	pattern := regexp.MustCompile(`-(run|bench)[= ]'?([\w=]+)`)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	makefile := files(t, "Makefile")["Makefile"]
	target := regexp.MustCompile(`(?m)(?:^    |&& |\x60)make ([a-z-]+)`)
	proofs := 0
	for name, text := range files(t, ".md") {
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no target %s", name, m[1])
			}
		}
		for _, line := range tests.FindAllString(text, -1) {
			dir := strings.Trim(tests.FindStringSubmatch(line)[1], "`.,")
			for _, p := range pattern.FindAllStringSubmatch(line, -1) {
				proofs++
				kind := map[string]string{"run": "Test", "bench": "Benchmark"}[p[1]]
				var have []string
				sources, _ := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
				for _, source := range sources {
					text, _ := os.ReadFile(source)
					for _, f := range function.FindAllStringSubmatch(string(text), -1) {
						have = append(have, f[1])
					}
				}
				if !slices.ContainsFunc(have, func(f string) bool { return strings.HasPrefix(f, kind) && strings.Contains(f, p[2]) }) {
					t.Errorf("%s: %s has nothing that -%s %s runs", name, dir, p[1], p[2])
				}
			}
		}
	}
	if proofs < 12 {
		t.Errorf("only %d commands of go test were found", proofs)
	}
}

// The table of settings names every variable that a command reads.
func TestTheTableOfSettingsIsWhole(t *testing.T) {
	variable := regexp.MustCompile(`(?:Variable: |Setting\{|Bind\([\w.()]+, [\w."-]+, )"([A-Z0-9_]+)"`)
	_, table, _ := strings.Cut(files(t, ".md")["docs/operations.md"], "\n| variable |")
	table, _, _ = strings.Cut(table, "\n\n")
	found := 0
	for name, text := range files(t, ".go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, v := range variable.FindAllStringSubmatch(text, -1) {
			found++
			if !strings.Contains(table, "`"+v[1]+"`") {
				t.Errorf("%s reads %s, which the table of docs/operations.md lacks", name, v[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d variables were found", found)
	}
}

func TestPlainWords(t *testing.T) {
	stiff := regexp.MustCompile(`(?i)\b(whoever|whom|but for)\b|of which there|is told to`)
	for name, text := range files(t, ".md") {
		for _, word := range stiff.FindAllString(code.ReplaceAllString(text, ""), -1) {
			t.Errorf("%s says %q: say it in plain words", name, word)
		}
	}
}

// The headings of Keep a Changelog.
func TestTheChangelogKeepsItsForm(t *testing.T) {
	version := regexp.MustCompile(`^## \[(Unreleased|\d+\.\d+\.\d+)\](.*)$`)
	date := regexp.MustCompile(`^ - \d{4}-\d{2}-\d{2}$`)
	kinds := []string{"### Added", "### Changed", "### Deprecated", "### Removed", "### Fixed", "### Security"}
	var versions []string
	for line := range strings.Lines(files(t, "CHANGELOG.md")["CHANGELOG.md"]) {
		line = strings.TrimRight(line, "\n")
		found := version.FindStringSubmatch(line)
		switch {
		case found != nil && (found[1] == "Unreleased") == (found[2] == "") && (found[2] == "" || date.MatchString(found[2])):
			versions = append(versions, found[1])
		case strings.HasPrefix(line, "## "), strings.HasPrefix(line, "### ") && !slices.Contains(kinds, line):
			t.Errorf("CHANGELOG.md: %q is no heading of Keep a Changelog", line)
		}
	}
	if len(versions) == 0 || versions[0] != "Unreleased" {
		t.Errorf("CHANGELOG.md lists %v, want what is not released first", versions)
	}
}
