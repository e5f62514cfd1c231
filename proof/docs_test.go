package proof

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/proof.md maps the steps of the models to functions: each must be there.
func TestNamesInTheDocumentExist(t *testing.T) {
	doc, err := os.ReadFile("../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## From model to code")
	quoted := regexp.MustCompile("`([^`]+)`")
	models := sources(t, "*.pml")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[2], "`") {
			continue
		}
		rows++
		source := sources(t, filepath.Join("..", strings.Trim(cells[2], " `"), "*.*"))
		for _, step := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(models, step[1]) {
				t.Errorf("no model has %s", step[1])
			}
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[3], -1) {
			if !regexp.MustCompile(`\b` + name[1] + `\b`).MatchString(source) {
				t.Errorf("%s has no %s", cells[2], name[1])
			}
		}
	}
	if rows < 15 {
		t.Errorf("the table has %d rows: it was not read", rows)
	}
	tests := sources(t, "../campaign/*_test.go") + sources(t, "../campaign/*/*_test.go") + sources(t, "../jobs/*_test.go") + sources(t, "../jobs/*/*_test.go")
	for _, test := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(doc), -1) {
		if !strings.Contains(tests, "func "+test[1]+"(") {
			t.Errorf("there is no %s", test[1])
		}
	}
}

// Each guard that run.sh takes out has a row in docs/proof.md, with a test of the real code.
func TestEachGuardHasATestOfTheCode(t *testing.T) {
	doc := sources(t, "../docs/proof.md")
	cases := regexp.MustCompile(`(?m)^(\w.*?) +\| \w+ +\|.*\| (.+)$`).FindAllStringSubmatch(sources(t, "run.sh"), -1)
	guards := 0
	for _, c := range cases {
		if name, breaks := c[1], c[2]; breaks != "whole" && breaks != "live" {
			guards++
			row := `(?m)^\| ` + regexp.QuoteMeta(name) + ` \| [\d,]+ \| ` + regexp.QuoteMeta(breaks) + " \\| `Test\\w+` \\|$"
			if !regexp.MustCompile(row).MatchString(doc) {
				t.Errorf("%s: no row with a test", name)
			}
		}
	}
	if guards < 20 {
		t.Errorf("%d guards: run.sh was not read", guards)
	}
}

// sources are the files of a pattern, one after the other.
func sources(t *testing.T, pattern string) string {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	var all strings.Builder
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(source)
	}
	return all.String()
}
