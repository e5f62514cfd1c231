// Package release holds the tests of what a stranger gets: the Debian package, the commands
// of the README, and a new version beside an old one.
package release

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"campaign-runner/internal/commands"
)

const root = "../.."

func TestMain(m *testing.M) { os.Exit(commands.Main(m)) }

// output runs a command in a folder, and fails the test with all it says if it fails.
func output(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	// Git trusts a checkout of somebody else, which one on a build machine often is.
	cmd.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "GIT_CONFIG_GLOBAL="+trusting(t))
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// trusting is a file of settings for the git that a clone starts.
func trusting(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "gitconfig")
	if err := os.WriteFile(path, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkout is a clone of the project, with its files as they are now.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	from, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	output(t, from, "git", "clone", "--quiet", from, dir)
	for _, name := range strings.Split(output(t, from, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		if name != "" {
			copyFile(t, filepath.Join(from, name), filepath.Join(dir, name))
		}
	}
	return dir
}

// copyFile makes to what from is, also if that is gone.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if os.IsNotExist(err) {
		_ = os.Remove(to)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	info, err := source.Stat()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
}
