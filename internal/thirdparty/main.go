// Command thirdparty writes THIRD_PARTY.md: the modules that are linked into the
// commands, and their licences.
//
//	go run ./internal/thirdparty > THIRD_PARTY.md
//
// With -texts it writes the texts of these licences and their notices, which go with what
// is built: most of them ask for that.
//
// What is linked, and where its licence lies, is go list's word.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	write := document
	if slices.Contains(os.Args[1:], "-texts") {
		write = texts
	}
	text, err := write("./cmd/...")
	if err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

// A module is one that is linked, with the licences of its linked packages.
type module struct {
	Path, Version, Dir string
	Main               bool

	files   []string // of licences, from its folder
	notices []string // that go with them
}

// document is THIRD_PARTY.md for the commands that a pattern of go list names.
func document(pattern string) (string, error) {
	modules, err := linked(pattern)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Third-party software\n\n" +
		"The modules that are linked into the commands, and their licences. `make third-party` writes this\n" +
		"file; a test fails when it is old. `go mod download` puts each module with the texts of its\n" +
		"licences into the module cache; packages, archives and images have them in THIRD_PARTY_LICENCES.txt.\n" +
		"The Go standard library, which is linked too, is BSD-3-Clause.\n\n" +
		"| module | version | licences | in |\n|---|---|---|---|\n")
	for _, m := range modules {
		var licences, files []string
		for _, file := range m.files {
			text, err := os.ReadFile(filepath.Join(m.Dir, file))
			if err != nil {
				return "", err
			}
			found := licencesOf(string(text))
			if len(found) == 0 {
				return "", fmt.Errorf("%s: nobody knows the licence in %s", m.Path, file)
			}
			licences = append(licences, found...)
			files = append(files, file)
		}
		if len(licences) == 0 {
			return "", fmt.Errorf("%s: no licence was found", m.Path)
		}
		slices.Sort(licences)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Path, m.Version, strings.Join(slices.Compact(licences), ", "), strings.Join(files, ", "))
	}
	return b.String(), nil
}

// texts are the licences of what is linked, and their notices, with Go's own first.
func texts(pattern string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	modules, err := linked(pattern)
	if err != nil {
		return "", err
	}
	standard := &module{Path: "the Go standard library", Dir: strings.TrimSpace(string(root)), files: []string{"LICENSE"}}
	var b strings.Builder
	for _, m := range append([]*module{standard}, modules...) {
		for _, file := range slices.Concat(m.files, m.notices) {
			text, err := os.ReadFile(filepath.Join(m.Dir, file))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "=== %s: %s\n\n%s\n\n", strings.TrimSpace(m.Path+" "+m.Version), file, bytes.TrimSpace(text))
		}
	}
	return b.String(), nil
}

// linked lists the modules whose packages are linked on Linux, by path.
func linked(pattern string) ([]*module, error) {
	list := exec.Command("go", "list", "-deps", "-json=Dir,Module", pattern)
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := make(map[string]*module)
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir    string
			Module *module
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || p.Module.Main { // the standard library, and ours
			continue
		}
		m := found[p.Module.Path]
		if m == nil {
			m = p.Module
			found[m.Path] = m
		}
		for _, file := range filesAbout(licenceName, m.Dir, p.Dir) {
			if !slices.Contains(m.files, file) {
				m.files = append(m.files, file)
			}
		}
		for _, file := range filesAbout(noticeName, m.Dir, p.Dir) {
			if !slices.Contains(m.notices, file) {
				m.notices = append(m.notices, file)
			}
		}
	}
	var modules []*module
	for _, m := range found {
		slices.Sort(m.files)
		slices.Sort(m.notices)
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// filesAbout are those of a name that hold for a package: in its folder, in those above it,
// and beside what it embeds of a built page.
func filesAbout(named *regexp.Regexp, root, dir string) (files []string) {
	places := []string{filepath.Join(dir, "ui/build/static/js")} // asynqmon's
	for ; strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		places = append(places, dir)
	}
	for _, place := range places {
		entries, _ := os.ReadDir(place) // a folder that is not there has none
		for _, e := range entries {
			name := strings.ToUpper(e.Name())
			if named.MatchString(name) && !e.IsDir() {
				file, _ := filepath.Rel(root, filepath.Join(place, e.Name())) // it lies below
				files = append(files, filepath.ToSlash(file))
			}
		}
	}
	return files
}

// licenceName matches the names of files with licences, in upper case.
var licenceName = regexp.MustCompile(`^(UN)?(LICENSE|LICENCE|COPYING)(\.(TXT|MD))?$|^(LICENSE|COPYING)-[A-Z0-9-]+$|\.LICENSE\.TXT$`)

// noticeName matches the names of files that a licence wants passed on beside it.
var noticeName = regexp.MustCompile(`^(NOTICE|PATENTS)(\.(TXT|MD))?$`)

// phrases are how licences can be told, white space made even. A file may hold several.
var phrases = []struct{ licence, has, hasNot string }{
	{"Apache-2.0", "Apache License Version 2.0", ""},
	{"Apache-2.0", "apache.org/licenses/LICENSE-2.0", ""},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy of this software", ""},
	{"MIT", "@license MIT", ""},
	{"MIT", "MIT license", ""},
	{"BSD-3-Clause", "endorse or promote products derived from this software", ""},
	{"BSD-2-Clause", "Redistributions of source code must retain the above copyright notice", "endorse or promote products"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee", ""},
	{"MPL-2.0", "Mozilla Public License Version 2.0", ""},
	{"MPL-2.0", "Mozilla Public License, version 2.0", ""},
	{"BSL-1.0", "Boost Software License - Version 1.0", ""},
	{"Unlicense", "This is free and unencumbered software released into the public domain", ""},
	{"GPL", "GNU GENERAL PUBLIC LICENSE", ""},
}

func licencesOf(text string) (found []string) {
	text = strings.ReplaceAll(text, ">", " ") // some are quoted
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, p := range phrases {
		has := strings.Contains(text, strings.ToLower(p.has))
		if has && (p.hasNot == "" || !strings.Contains(text, p.hasNot)) && !slices.Contains(found, p.licence) {
			found = append(found, p.licence)
		}
	}
	return found
}
