package main

import (
	_ "embed"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

//go:embed list.txt
var listText string

// A mutant is one small change that makes the program wrong, so that a test must fail.
type mutant struct {
	line  int // in the list
	name  string
	file  string // below the root of the module
	old   string // stands in the file exactly once
	new   string
	tests []suite

	equivalent string // why no test can see the change; empty: one must
	survives   string // why no test sees it yet
}

// A suite is a package of tests, and a pattern of those that are run, or behind a ! of
// those that are not; empty: all.
type suite struct {
	pkg, pattern string
	flags        string // of the tests
}

func (s suite) String() string {
	return strings.Join(strings.Fields(s.pkg+" "+s.pattern+" "+s.flags), " ")
}

// parseList reads a list of mutants. Its form is described where list.txt begins.
func parseList(text string) (list []*mutant, err error) {
	var file string
	var tests []suite // of the file's mutants that name none
	m := new(mutant)  // the one being read; before the first of a file, none of the list
	finish := func() {
		if m.old, m.new = strings.TrimSuffix(m.old, "\n"), strings.TrimSuffix(m.new, "\n"); m.tests == nil {
			m.tests = tests
		}
	}
	for i, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "file":
			finish()
			file, tests, m = rest, nil, new(mutant)
		case "mutant":
			finish()
			if m.name == "" {
				tests = m.tests
			}
			m = &mutant{line: i + 1, name: rest, file: file}
			list = append(list, m)
		case "test":
			pkg, rest, _ := strings.Cut(rest, " ")
			pattern, flags, _ := strings.Cut(rest, " ")
			m.tests = append(m.tests, suite{pkg, pattern, flags})
		case "-":
			m.old += rest + "\n"
		case "+":
			m.new += rest + "\n"
		case "equivalent":
			m.equivalent = rest
		case "survives":
			m.survives = rest
		default:
			return nil, fmt.Errorf("list: line %d: unknown word %q", i+1, word)
		}
	}
	finish()
	return list, nil
}

// apply is the text of the mutant's file below root with the change made, if that
// still is a change that can be tried.
func (m *mutant) apply(root string) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("list: line %d: %s: %s", m.line, m.name, fmt.Sprintf(format, args...))
	}
	if m.name == "" || m.file == "" || m.old == "" || m.old == m.new || len(m.tests) == 0 {
		return fail("want a name, a file, a text, another text in its place, and tests")
	}
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return fail("%v", err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return fail("its text stands %d times in %s, want once", n, m.file)
	}
	changed := strings.Replace(string(text), m.old, m.new, 1)
	if strings.HasSuffix(m.file, ".go") {
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, changed, parser.SkipObjectResolution); err != nil {
			return fail("%v", err)
		}
	}
	for _, s := range m.tests {
		if _, err := os.Stat(filepath.Join(root, s.pkg)); err != nil {
			return fail("%v", err)
		}
	}
	return changed, nil
}
