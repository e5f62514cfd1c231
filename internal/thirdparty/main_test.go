package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheListOfLinkedModulesIsCurrent(t *testing.T) {
	want, err := document("campaign-runner/cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../THIRD_PARTY.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("THIRD_PARTY.md is old: run make third-party (-want +have):\n%s", diff)
	}
}

func TestTheTextsAreWhole(t *testing.T) {
	all, err := texts("campaign-runner/cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := linked("campaign-runner/cmd/...")
	if err != nil || len(modules) < 20 {
		t.Fatal(len(modules), err)
	}
	notices := 0
	for _, m := range modules {
		for _, file := range append(m.files, m.notices...) {
			text, err := os.ReadFile(filepath.Join(m.Dir, file))
			if err != nil || !strings.Contains(all, strings.TrimSpace(string(text))) {
				t.Errorf("%s: %s is missing: %v", m.Path, file, err)
			}
		}
		notices += len(m.notices)
	}
	if notices == 0 || !strings.HasPrefix(all, "=== the Go standard library: LICENSE\n\nCopyright") {
		t.Errorf("%d notices, and it begins %.80q", notices, all)
	}
}

func TestLicencesOf(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"Copyright 2020 X\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software and …", []string{"MIT"}},
		{"Apache License\n      Version 2.0, January 2004", []string{"Apache-2.0"}},
		{"Redistributions of source code must retain the above copyright notice, …", []string{"BSD-2-Clause"}},
		{"Redistributions of source code must retain the above copyright notice, … may be used to\nendorse or promote products derived from this software", []string{"BSD-3-Clause"}},
		{"GNU AFFERO GENERAL PUBLIC LICENSE", nil}, // and the command fails
		{"All rights reserved.", nil},
	} {
		if got := licencesOf(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestFilesThatHoldLicences(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.TXT": true, "LICENCE.MD": true, "UNLICENSE": true, "COPYING": true, "LICENSE-APACHE": true, "2.CHUNK.JS.LICENSE.TXT": true,
		"NOTICE": false, "LICENSE.GO": false, "LICENSES": false, "README.MD": false,
	} {
		if got := licenceName.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
