// Package arch holds the test that keeps imports pointing one way.
package arch

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "campaign-runner/"

// everything is all of ours but commands and test helpers.
var everything = []string{"campaign/...", "dashboard", "jobs/...", "ratelimit", "sandbox", "velents/..."}

// layer is a package, or a tree of them, and what of ours it may import.
type layer struct {
	pkg       string
	mayImport []string
}

// layers says for every package which of ours it may import, lowest first. A
// package matches the first rule that names it. Tests may import what they
// need; what only tests need lives in internal.
var layers = []layer{
	{"campaign/hours", nil},
	{"campaign/plan", []string{"campaign/hours"}},
	{"campaign/contacts/scratch", nil},
	{"campaign/contacts/xlsx", nil},
	{"velents/mask", nil},
	{"velents", []string{"velents/mask"}},
	{"ratelimit", nil},
	{"sandbox", nil}, // somebody else's server: written from the wire alone
	{"campaign", []string{"campaign/hours", "velents/mask"}},
	{"campaign/texts", []string{"campaign"}},
	{"campaign/users", nil},
	{"campaign/store", []string{"campaign", "campaign/hours", "campaign/users"}},
	{"campaign/contacts", []string{"campaign", "campaign/contacts/scratch", "campaign/contacts/xlsx", "velents/mask"}},
	{"campaign/verdict", []string{"campaign", "ratelimit", "velents"}},
	{"campaign/report", []string{"campaign", "campaign/contacts/...", "campaign/hours", "campaign/plan", "campaign/store", "ratelimit", "velents/mask"}},
	{"campaign/handout", []string{"campaign", "campaign/report", "campaign/texts"}},
	{"campaign/launch", []string{
		"campaign", "campaign/contacts/...", "campaign/hours", "campaign/plan", "campaign/store", "campaign/verdict", "ratelimit", "velents/...",
	}},
	{"jobs/timings", []string{"campaign/store"}},
	{"jobs/sending", []string{"campaign", "campaign/hours", "campaign/store", "campaign/verdict", "jobs/timings", "ratelimit", "velents"}},
	{"jobs", []string{"campaign", "campaign/store", "jobs/sending", "jobs/timings", "ratelimit", "velents/..."}},
	{"jobs/webhook", []string{"campaign", "campaign/store", "velents"}},
	{"jobs/events", []string{"campaign", "campaign/contacts", "campaign/store", "velents"}},
	{"jobs/person", []string{"campaign", "campaign/contacts", "campaign/store", "jobs", "jobs/events"}},
	{"jobs/metrics", []string{"campaign", "campaign/store", "jobs/timings"}},
	{"jobs/notify", []string{"campaign", "campaign/store", "campaign/texts", "jobs/timings"}},
	{"jobs/tickets", []string{"campaign", "campaign/store", "campaign/verdict", "jobs/timings", "ratelimit", "velents"}},
	{"dashboard", everything},
	{"cmd/internal/...", everything},
	{"cmd/...", append([]string{"cmd/internal/..."}, everything...)},
	{"proof", nil}, // models, and tests that hold them to the code
	{"internal/...", append([]string{"internal/..."}, everything...)},
}

// libraries names the packages that may use a library. No others may.
var libraries = []struct {
	name, path string
	only       []string
}{
	{"asynq", "github.com/hibiken/...", []string{"jobs", "jobs/metrics", "dashboard", "cmd/worker"}},
	{"Redis", "github.com/redis/...", []string{
		"campaign/store", "dashboard", "jobs", "ratelimit", "cmd/...", "internal/...",
	}},
}

type pkg struct {
	name    string   // its folder
	imports []string // those of its tests not counted
}

// matches reads patterns as the go command does: p itself, or p/... for p and
// all below it.
func matches(name string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		tree, ok := strings.CutSuffix(pattern, "/...")
		return name == tree || ok && strings.HasPrefix(name, tree+"/")
	})
}

// violations lists every import that the tables do not allow, a line each.
func violations(pkgs []pkg) (lines []string) {
	for _, p := range pkgs {
		rule := slices.IndexFunc(layers, func(l layer) bool { return matches(p.name, l.pkg) })
		if rule < 0 {
			lines = append(lines, p.name+" stands in no layer: say where it belongs")
			continue
		}
		for _, imported := range p.imports {
			ours, ok := strings.CutPrefix(imported, module)
			if ok && !matches(ours, layers[rule].mayImport...) {
				lines = append(lines, fmt.Sprintf("%s must not import %s", p.name, ours))
			}
			for _, lib := range libraries {
				if matches(imported, lib.path) && !matches(p.name, lib.only...) {
					lines = append(lines, fmt.Sprintf("%s must not speak to %s: it imports %s", p.name, lib.name, imported))
				}
			}
		}
	}
	return lines
}

func TestImportsPointOneWay(t *testing.T) {
	pkgs, err := packages("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range violations(pkgs) {
		t.Error(line)
	}
}

// packages reads every package below root. It reads the files itself, instead
// of asking go list, so that a cached test result goes stale with them.
func packages(root string) (pkgs []pkg, err error) {
	err = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return err
		case dir != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		}
		p, err := build.ImportDir(dir, 0)
		if nogo := (*build.NoGoError)(nil); errors.As(err, &nogo) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read imports: %w", err)
		}
		name, err := filepath.Rel(root, dir)
		pkgs = append(pkgs, pkg{filepath.ToSlash(name), p.Imports})
		return err
	})
	if err == nil && len(pkgs) == 0 {
		err = fmt.Errorf("read imports: no package below %s", root)
	}
	return pkgs, err
}

func TestViolations(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pkg     string
		imports []string
		want    []string
	}{
		{"downwards is fine", "jobs", []string{"fmt", module + "campaign/store", "github.com/hibiken/asynq"}, nil},
		{"upwards is not", "campaign/store", []string{module + "jobs"}, []string{"campaign/store must not import jobs"}},
		{"the domain knows no Redis", "campaign", []string{"github.com/redis/go-redis/v9"},
			[]string{"campaign must not speak to Redis: it imports github.com/redis/go-redis/v9"}},
		{"only jobs speaks asynq", "campaign/launch", []string{"github.com/hibiken/asynqmon"},
			[]string{"campaign/launch must not speak to asynq: it imports github.com/hibiken/asynqmon"}},
		{"a pass over a chunk does not", "jobs/sending", []string{"github.com/hibiken/asynq"},
			[]string{"jobs/sending must not speak to asynq: it imports github.com/hibiken/asynq"}},
		{"nor does it know of jobs", "jobs/sending", []string{module + "jobs"}, []string{"jobs/sending must not import jobs"}},
		{"the worker mounts its pages", "cmd/worker", []string{"github.com/hibiken/asynqmon"}, nil},
		{"commands import no command", "cmd/worker", []string{module + "cmd/enqueue"}, []string{"cmd/worker must not import cmd/enqueue"}},
		{"but what they share", "cmd/worker", []string{module + "cmd/internal/cli"}, nil},
		{"test helpers are for tests", "cmd/worker", []string{module + "internal/redistest"},
			[]string{"cmd/worker must not import internal/redistest"}},
		{"test helpers import what they need", "internal/chaos", []string{module + "jobs", module + "internal/redistest"}, nil},
		{"a name that only begins alike is another package", "campaign/report", []string{module + "campaigns"},
			[]string{"campaign/report must not import campaigns"}},
		{"a new package must be placed", "util", []string{module + "jobs"}, []string{"util stands in no layer: say where it belongs"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := violations([]pkg{{tt.pkg, tt.imports}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
