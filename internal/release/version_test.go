package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each version is later for dpkg than the one before.
func TestVersionsSort(t *testing.T) {
	script, err := filepath.Abs(root + "/scripts/version.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := func(when string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_COMMITTER_DATE="+when, "GIT_AUTHOR_DATE="+when)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	commit := func(when string) { t.Helper(); git(when, "commit", "--quiet", "--allow-empty", "-m", when) }
	git("", "init", "--quiet")
	var versions []string
	for _, step := range []func(){
		func() { commit("2026-11-30T23:30:00+0300") },
		func() { commit("2026-11-30T20:30:01+0000") }, // later, though the day before has more hours
		func() { commit("2026-12-01T00:10:00+0000") },
		func() { git("", "tag", "v1.0.0-rc1") },
		func() { git("", "tag", "-d", "v1.0.0-rc1"); git("", "tag", "v1.0.0") },
		func() { commit("2026-12-02T00:10:00+0000") },
		func() {
			for range 9 {
				commit("2026-12-02T00:10:00+0000")
			}
		},
		func() { git("", "tag", "v1.1.0") },
	} {
		step()
		versions = append(versions, strings.TrimSpace(output(t, dir, script)))
	}
	for i := 1; i < len(versions); i++ {
		if err := exec.Command("dpkg", "--compare-versions", versions[i-1], "lt", versions[i]).Run(); err != nil {
			t.Errorf("%s is not before %s: %v", versions[i-1], versions[i], err)
		}
	}
	if first := versions[0]; !strings.HasPrefix(first, "0.0.0+20261130203000.g") {
		t.Errorf("the first version is %s", first)
	}
	if got := versions[5]; !strings.HasPrefix(got, "1.0.0+1.g") {
		t.Errorf("behind a tag the version is %s", got)
	}
}
