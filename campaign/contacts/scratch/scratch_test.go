package scratch

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// waits is set for a process that a test starts to make a folder and wait.
const waits = "SCRATCH_TEST_WAITS"

func TestMain(m *testing.M) {
	if os.Getenv(waits) == "" {
		os.Exit(m.Run())
	}
	dir, _, err := Dir()
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "list"), []byte("0501234567"), 0o600); err != nil {
		panic(err)
	}
	fmt.Println(dir)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it ends, or this process does
}

func folders(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAFolderLivesAsLongAsItIsUsed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	first, releaseFirst, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	second, releaseSecond, err := Dir()
	if err != nil || second != first {
		t.Errorf("another folder: %s, %v", second, err)
	}
	releaseFirst()
	releaseFirst() // counts once
	Sweep()
	if _, err := os.Stat(second); err != nil {
		t.Error("it is gone while it is used")
	}
	releaseSecond()
	if left := folders(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAFileHasNoNameAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("0501234567"); err != nil {
		t.Error(err)
	}
	if left := folders(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	if _, err := File(); err == nil {
		t.Error("a file in no folder")
	}
}

func TestOnlyFoldersOfDeadProcessesAreSwept(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	start := func() (cmd *exec.Cmd, dir string) {
		cmd = exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), waits+"=1")
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscanln(out, &dir); err != nil {
			t.Fatal(err)
		}
		return cmd, dir
	}
	dead, left := start()
	living, used := start()
	defer func() { _ = living.Process.Kill(); _ = living.Wait() }()
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait() // it was killed
	if _, err := os.Stat(filepath.Join(left, "list")); err != nil {
		t.Fatalf("nothing is left to be swept: %v", err)
	}
	other := filepath.Join(temp, prefix+"link")
	if err := os.Symlink(t.TempDir(), other); err != nil {
		t.Fatal(err)
	}
	_, release, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := os.Stat(left); err == nil {
		t.Error("a dead process's folder stays")
	}
	if _, err := os.Stat(filepath.Join(used, "list")); err != nil {
		t.Error("a living process's folder is gone")
	}
	if _, err := os.Lstat(other); err != nil || !strings.HasPrefix(other, temp) {
		t.Error("what is no folder was deleted")
	}
}
