package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a reader has to keep in mind at once.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// larger are the files and functions that may be larger, and why. A table is read line
// by line, however long it is.
var larger = map[string]string{}

// oversized lists the files and functions of a Go file that are too large, by name:
// "jobs/queue.go" or "jobs/queue.go Queue.Release".
func oversized(name string, text []byte) (list []string, err error) {
	if lines := bytes.Count(text, []byte("\n")); lines > maxFileLines {
		list = append(list, fmt.Sprintf("%s: %d lines", name, lines))
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; lines > maxFunctionLines {
			list = append(list, fmt.Sprintf("%s %s: %d lines", name, functionName(f), lines))
		}
	}
	return list, nil
}

// functionName is Function or Type.Method.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	return fmt.Sprintf("%s.%s", receiver, f.Name.Name)
}

func TestNothingIsTooLarge(t *testing.T) {
	const root = "../.."
	used := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		list, err := oversized(filepath.ToSlash(name), text)
		for _, line := range list {
			what, _, _ := strings.Cut(line, ": ")
			if used[what] = true; larger[what] == "" {
				t.Errorf("%s, want at most %d for a file and %d for a function", line, maxFileLines, maxFunctionLines)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for what := range larger {
		if !used[what] {
			t.Errorf("%s is not too large any more: take it off the list", what)
		}
	}
}

func TestOversized(t *testing.T) {
	short := "package p\n\nfunc short() {\n" + strings.Repeat("\t_ = 1\n", maxFunctionLines-2) + "}\n"
	long := strings.Repeat("\t_ = 1\n", maxFunctionLines-1) + "}\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"as large as may be", short + strings.Repeat("\n", maxFileLines-strings.Count(short, "\n")), nil},
		{"a file", short + strings.Repeat("\n", maxFileLines), []string{"f.go: 462 lines"}},
		{"a function", "package p\n\nfunc f() {\n" + long, []string{"f.go f: 61 lines"}},
		{"a method", "package p\n\nfunc (t *T[K]) m() {\n" + long, []string{"f.go T.m: 61 lines"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := oversized("f.go", []byte(tt.text))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A slice that is printed by fmt stands in brackets, without commas: that is Go, and no text
// for people.
func TestChoicesAreWrittenForPeople(t *testing.T) {
	choice := regexp.MustCompile(`(?:one|some|any) of (?:%v|\[)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if found := choice.Find(source); found != nil {
			t.Errorf("%s: %q: say it with campaign.OneOf", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
