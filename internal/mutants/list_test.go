package main

import (
	"testing"
)

// When the code changes, the list has to follow.
func TestMutantsFitTheCode(t *testing.T) {
	list, err := parseList(listText)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, m := range list {
		if _, err := m.apply("../.."); err != nil {
			t.Error(err)
		}
		if key := m.file + " " + m.name; names[key] {
			t.Errorf("list: line %d: a second mutant of that file is called %s", m.line, m.name)
		} else {
			names[key] = true
		}
	}
	if len(list) < 100 {
		t.Errorf("%d mutants, want 100 or more", len(list))
	}
}
