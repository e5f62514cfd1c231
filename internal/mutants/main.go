// Command mutants checks that the tests notice mistakes.
//
// A mutant is a small mistake in code that decides something; list.txt holds all of
// them. Each mutant is compiled in place of the right file, and its tests are run. A
// test that fails or does not end kills it. A mutant that survives shows that a test is
// missing. No file of the tree is changed.
//
//	go run ./internal/mutants             all of them
//	go run ./internal/mutants -run lua    those whose name or file matches
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// wantKilled is the share of mutants, in per cent, that must be killed.
const wantKilled = 95

// longest is how long one suite may take.
const longest = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	pattern := flags.String("run", "", "try only mutants whose file and name match this")
	jobs := flags.Int("jobs", runtime.GOMAXPROCS(0), "mutants tried at the same time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*pattern)
	if err != nil {
		return err
	}
	list, err := parseList(listText)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(m *mutant) bool { return !chosen.MatchString(m.file + " " + m.name) })
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	t := &trial{root: root, temp: temp}
	if err := t.checkSuites(ctx, list, *jobs); err != nil {
		return err
	}
	results := make([]result, len(list))
	each(len(list), *jobs, func(i int) {
		results[i] = t.try(ctx, i, list[i])
		if list[i].equivalent != "" && results[i].fate == survived {
			results[i].fate = equivalent
		}
		fmt.Fprintf(out, "%-9s %5.1fs  %s: %s  %s\n", results[i].fate, results[i].took.Seconds(), list[i].file, list[i].name, results[i].by)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return judge(list, results, out)
}

// judge prints what the results add up to, and fails when they are not good enough.
func judge(list []*mutant, results []result, out io.Writer) error {
	count := make(map[fate]int)
	var wrong []error
	for i, m := range list {
		r := results[i]
		switch {
		case m.equivalent != "" && r.fate == killed:
			wrong = append(wrong, fmt.Errorf("line %d: %s is called equivalent, and is killed by %s", m.line, m.name, r.by))
		case r.fate == survived && m.survives == "":
			wrong = append(wrong, fmt.Errorf("line %d: %s survives", m.line, m.name))
		case r.fate == broken:
			wrong = append(wrong, fmt.Errorf("line %d: %s: %s", m.line, m.name, r.by))
		}
		count[r.fate]++
	}
	all := count[killed] + count[survived]
	if all == 0 {
		return errors.Join(append(wrong, errors.New("no mutant was tried"))...)
	}
	share := 100 * float64(count[killed]) / float64(all)
	fmt.Fprintf(out, "\n%d of %d mutants killed: %.1f %%; %d more are equivalent\n", count[killed], all, share, count[equivalent])
	if share < wantKilled {
		wrong = append(wrong, fmt.Errorf("want %d %% killed", wantKilled))
	}
	return errors.Join(wrong...)
}

// each calls do with 0 to n-1, some of them at the same time.
func each(n, jobs int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(jobs, 1) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

type fate string

const (
	killed     fate = "killed"
	survived   fate = "SURVIVED"
	equivalent fate = "the same"
	broken     fate = "BROKEN" // it was not tried
)

type result struct {
	fate fate
	by   string // the test that killed it, or what is broken
	took time.Duration
}

// A trial runs tests on changed code.
type trial struct{ root, temp string }

// checkSuites fails unless every suite passes on the code as it is: otherwise each
// mutant would be killed.
func (t *trial) checkSuites(ctx context.Context, list []*mutant, jobs int) error {
	var suites []suite
	for _, m := range list {
		for _, s := range m.tests {
			if !slices.Contains(suites, s) {
				suites = append(suites, s)
			}
		}
	}
	errs := make([]error, len(suites))
	each(len(suites), jobs, func(i int) {
		output, err := t.test(ctx, suites[i], fmt.Sprintf("suite%d", i), "")
		if err == nil && strings.Contains(output, "no tests to run") {
			err = errors.New("no tests to run")
		}
		if err != nil {
			errs[i] = fmt.Errorf("without a mutant: %s: %w\n%s", suites[i], err, output)
		}
	})
	return errors.Join(errs...)
}

// try runs a mutant's suites until one of them fails.
func (t *trial) try(ctx context.Context, number int, m *mutant) (r result) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	text, err := m.apply(t.root)
	if err != nil {
		return result{fate: broken, by: err.Error()}
	}
	name := fmt.Sprintf("mutant%d", number)
	changed := filepath.Join(t.temp, name+filepath.Ext(m.file))
	overlay := filepath.Join(t.temp, name+".json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(t.root, m.file): changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600))
	}
	if err != nil {
		return result{fate: broken, by: err.Error()}
	}
	for _, s := range m.tests {
		output, err := t.test(ctx, s, name, overlay)
		var failed *exec.ExitError
		switch {
		case errors.As(err, &failed):
			return result{fate: killed, by: culprit(output)}
		case err != nil:
			return result{fate: broken, by: err.Error()}
		}
	}
	return result{fate: survived}
}

var (
	failPattern      = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^panic: (.*)$`)
	schedulesPattern = regexp.MustCompile(`\d+ schedules from seed \d+`)
)

// culprit is the test that failed first, and how many schedules that took.
func culprit(output string) string {
	m := failPattern.FindStringSubmatch(output)
	if m == nil {
		return "?"
	}
	return strings.TrimSpace(m[1] + m[2] + " " + schedulesPattern.FindString(output))
}

// test compiles a suite and runs it. An *exec.ExitError says that a test has failed,
// or did not end; any other error, that the tests were not run.
func (t *trial) test(ctx context.Context, s suite, name, overlay string) (output string, err error) {
	binary := filepath.Join(t.temp, name+".test")
	defer os.Remove(binary)
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-tags=simulate", "-ldflags=-s -w", "-overlay="+overlay, "-o", binary, s.pkg)
	build.Dir = t.root
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not compile: %s", bytes.TrimSpace(said))
	}
	tests := exec.CommandContext(ctx, binary, "-test.failfast", "-test.timeout="+longest.String())
	if but, ok := strings.CutPrefix(s.pattern, "!"); ok {
		tests.Args = append(tests.Args, "-test.skip="+but)
	} else {
		tests.Args = append(tests.Args, "-test.run="+s.pattern)
	}
	tests.Args = append(tests.Args, strings.Fields(s.flags)...)
	tests.Env = append(os.Environ(), "RAPID_SHRINKTIME=0s", "RAPID_NOFAILFILE=1", "RAPID_SEED=1")
	tests.Dir = filepath.Join(t.root, s.pkg)
	said, err := tests.CombinedOutput()
	return string(said), err
}
