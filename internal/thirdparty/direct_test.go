package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachDirectDependencyIsSaidToBeForSomething(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&mod); err != nil {
		t.Fatal(err)
	}
	modules, err := linked("campaign-runner/cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	isLinked := make(map[string]bool)
	for _, m := range modules {
		isLinked[m.Path] = true
	}
	var commands, tests []string
	for _, m := range mod.Require {
		switch {
		case m.Indirect:
		case isLinked[m.Path]:
			commands = append(commands, m.Path)
		default:
			tests = append(tests, m.Path)
		}
	}
	text, err := os.ReadFile("../../docs/developers/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	forCommands, forTests, _ := strings.Cut(string(text), "## Only tests use them")
	for _, table := range []struct {
		name, text string
		want       []string
	}{{"linked", forCommands, commands}, {"only tests", forTests, tests}} {
		var have []string
		for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+) \| \S.* \|$`).FindAllStringSubmatch(table.text, -1) {
			have = append(have, row[1])
		}
		if diff := cmp.Diff(table.want, have); diff != "" {
			t.Errorf("docs/developers/dependencies.md, %s (-go.mod +document):\n%s", table.name, diff)
		}
	}
}
