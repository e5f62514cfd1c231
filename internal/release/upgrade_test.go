package release

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

// latest is the git ref of the latest release, whose workers must be able to run beside those
// of this tree, on one Redis: the commit that named it in CHANGELOG.md. Until 1.0.0 it is the
// commit that is checked out, because what is stored may change with any commit.
func latest(t *testing.T, tree string) (ref string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	released := regexp.MustCompile(`(?m)^## \[\d+\.\d+\.\d+\]`).FindString(string(text))
	if released == "" {
		return "HEAD"
	}
	first, _, _ := strings.Cut(output(t, tree, "git", "log", "--reverse", "--format=%H", "-S"+released, "--", "CHANGELOG.md"), "\n")
	return cmp.Or(first, "HEAD") // it is not committed yet
}

// before builds the commands of an earlier version, and returns their folder. The version is
// that of $EARLIER, as in make upgrade EARLIER=v1.0.0, or the latest release.
func before(t *testing.T) (bin, ref string) {
	t.Helper()
	dir := t.TempDir()
	tree, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	ref = cmp.Or(os.Getenv("EARLIER"), latest(t, tree))
	commit := strings.TrimSpace(output(t, tree, "git", "rev-parse", "--verify", ref+"^{commit}"))
	output(t, tree, "git", "archive", "--output="+dir+"/tree.tar", commit)
	output(t, dir, "tar", "-xf", "tree.tar")
	// With the flags of a release Go need not compile again what both versions have.
	output(t, dir, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=false", "-o", "bin/", "./cmd/worker", "./cmd/enqueue", "./cmd/campaign")
	return filepath.Join(dir, "bin"), fmt.Sprintf("%s (%.12s)", ref, commit)
}

// upgradeList is a list of made-up numbers.
func upgradeList(t *testing.T, first, contacts int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("phone\n")
	for i := range contacts {
		fmt.Fprintf(&b, "+9665%08d\n", first+i)
	}
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each version starts a campaign, both send both, and the old one is stopped in the middle.
func TestAnEarlierVersionRunsBesideThisOne(t *testing.T) {
	const contacts = 300
	old, ref := before(t)
	t.Logf("workers of this tree run beside those of %s", ref)
	dir, redis := t.TempDir(), redistest.Start(t)
	platform := commands.Sandbox(t, dir+"/sandbox.log", "--limit", "5", "--window", "1s", "--latency", "100ms-300ms")
	env := []string{"REDIS_URL=" + redis.URL(), "VELENTS_URL=" + platform, "VELENTS_TOKEN=token", "VELENTS_RATE=5/1s"}
	call := func(name string, args ...string) commands.Outcome {
		t.Helper()
		out, err := commands.Call(env, nil, name, args...)
		if err != nil || out.Code != 0 {
			t.Fatalf("%s %s: %v, exit %d: %s", name, strings.Join(args, " "), err, out.Code, out.Said())
		}
		return out
	}
	worker := func(log, name string) *commands.Process {
		t.Helper()
		p, err := commands.Start(dir+"/"+log, env, name, "--admin-addr", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	load := func(command, campaign string, first int) {
		t.Helper()
		call(command, upgradeList(t, first, contacts), "--name", campaign, "--channel", "voice", "--chunk-size", "10", "--rejects", "")
	}

	load(old+"/enqueue", "made-before", 10_000_000)
	oldWorker := worker("old.log", old+"/worker")
	await(t, env, oldWorker, "made-before", func(s summary) bool { return s.States["accepted"] > 0 })
	newWorker := worker("new.log", "worker")
	load("enqueue", "made-now", 20_000_000)
	await(t, env, newWorker, "made-now", func(s summary) bool { return s.Workers == 2 && s.States["accepted"] > 50 })
	if said := call("campaign", "agents", "--json").Stdout; !strings.Contains(said, `"versions":["`) {
		t.Errorf("agents name no version: %s", said)
	}
	call(old+"/campaign", "show", "made-now") // it reads what the new one has written
	call(old+"/campaign", "pause", "made-now")
	call("campaign", "resume", "made-now")
	oldWorker.Signal(syscall.SIGTERM)
	if !oldWorker.Ended(time.Minute) || oldWorker.Code() != 0 {
		t.Fatalf("the old worker does not end: %s", oldWorker.Tail(10))
	}
	for _, name := range []string{"made-before", "made-now"} {
		await(t, env, newWorker, name, func(s summary) bool { return s.State == "finished" })
		call("campaign", "verify", name)
		if s := show(t, env, name); s.States["accepted"] != contacts {
			t.Errorf("%s: %v", name, s.States)
		}
	}
	if strings.Contains(oldWorker.Printed(), "level=ERROR") || strings.Contains(newWorker.Printed(), "level=ERROR") {
		t.Errorf("errors:\n%s\n%s", oldWorker.Printed(), newWorker.Printed())
	}
	res, err := http.Get(platform + "/sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	var seen struct{ Contacts, Numbers, Repeated int }
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil || seen.Repeated != 0 || seen.Numbers != 2*contacts {
		t.Errorf("the platform saw %s (%v), want each of %d once", text, err, 2*contacts)
	}
}

// A summary is as much of campaign show --json as the test looks at.
type summary struct {
	State   string
	Workers int
	States  map[string]int
}

func show(t *testing.T, env []string, name string) (s summary) {
	t.Helper()
	out, err := commands.Call(env, nil, "campaign", "show", name, "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out.Stdout), &s)
	}
	if err != nil {
		t.Fatal(err, out.Said())
	}
	return s
}

// await waits until a campaign is so.
func await(t *testing.T, env []string, worker *commands.Process, name string, is func(summary) bool) {
	t.Helper()
	err := commands.Await(2*time.Minute, func() error {
		if s := show(t, env, name); !is(s) {
			return fmt.Errorf("%s is %+v; %s", name, s, worker.Tail(10))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The latest release is the commit that named it, not one that changed its text since, nor one
// that named another.
func TestTheLatestReleaseIsWhereTheChangelogNamesIt(t *testing.T) {
	tree := t.TempDir()
	git := func(args ...string) string {
		return strings.TrimSpace(output(t, tree, "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...))
	}
	commit := func(changelog string) string {
		if err := os.WriteFile(filepath.Join(tree, "CHANGELOG.md"), []byte(changelog), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "CHANGELOG.md")
		git("commit", "--quiet", "-m", "a change")
		return git("rev-parse", "HEAD")
	}
	git("init", "--quiet")
	commit("## [Unreleased]\n\n- a\n")
	if got := latest(t, tree); got != "HEAD" {
		t.Errorf("before a release: %s", got)
	}
	first := commit("## [Unreleased]\n\n## [1.0.0] - 2026-11-30\n\n- a\n")
	commit("## [Unreleased]\n\n- b\n\n## [1.0.0] - 2026-11-30\n\n- a, mended\n")
	if got := latest(t, tree); got != first {
		t.Errorf("after 1.0.0: %s, want %s", got, first)
	}
	second := commit("## [Unreleased]\n\n## [1.1.0] - 2026-12-24\n\n- b\n\n## [1.0.0] - 2026-11-30\n\n- a, mended\n")
	if got := latest(t, tree); got != second {
		t.Errorf("after 1.1.0: %s, want %s", got, second)
	}
}
