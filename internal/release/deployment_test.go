package release

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/store"
	"campaign-runner/internal/child"
	"campaign-runner/internal/commands"
)

// What the first deployment of the package does to Debian's Redis makes it fit, also after
// its next start.
func TestTheFirstDeploymentMakesRedisKeepWhatItIsGiven(t *testing.T) {
	_, text, _ := strings.Cut(readFile(t, root+"/docs/operations.md"), "\n**As a Debian package**")
	text, _, _ = strings.Cut(text, "\n### ")
	calls := regexp.MustCompile(`(?m)^    redis-cli (CONFIG .*?)(?:\s+#.*)?$`).FindAllStringSubmatch(text, -1)
	if len(calls) < 5 {
		t.Fatalf("the first deployment sets %q", calls)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/redis.conf", []byte("save 3600 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rdb, end := serve(t, dir, dir+"/redis.conf")
	if len(store.DurabilityWarnings(t.Context(), rdb)) == 0 {
		t.Error("without the first deployment it would do as well")
	}
	for _, call := range calls {
		output(t, dir, "redis-cli", append([]string{"-e", "-s", dir + "/socket"}, strings.Fields(call[1])...)...)
	}
	fit := func(when string) {
		if warnings := store.DurabilityWarnings(t.Context(), rdb); len(warnings) > 0 {
			t.Errorf("%s: %q", when, warnings)
		}
		if most := rdb.ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"]; most == "0" {
			t.Errorf("%s it has no maxmemory", when)
		}
	}
	fit("at once")
	end()
	rdb, _ = serve(t, dir, dir+"/redis.conf")
	fit("after its next start")
}

// serve runs a Redis in a folder, at the socket there, until the test or it is ended as by
// the end of its machine.
func serve(t *testing.T, dir string, args ...string) (rdb *redis.Client, end func()) {
	t.Helper()
	server := exec.Command("redis-server", append(args, "--port", "0", "--unixsocket", dir+"/socket", "--dir", dir)...)
	server.SysProcAttr = child.EndWithParent()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	rdb = redis.NewClient(&redis.Options{Network: "unix", Addr: dir + "/socket"})
	end = sync.OnceFunc(func() { rdb.Close(); _ = server.Process.Kill(); _ = server.Wait() })
	t.Cleanup(end)
	if err := commands.Await(time.Minute, func() error { return rdb.Ping(t.Context()).Err() }); err != nil {
		t.Fatal(err)
	}
	return rdb, end
}

// What the runbook of a restore says is done to the folder of a Redis that was lost.
func TestARestoreBringsTheBackup(t *testing.T) {
	_, text, _ := strings.Cut(readFile(t, root+"/docs/operations.md"), "       mkdir before")
	text, _, found := strings.Cut(text, " SHUTDOWN\n")
	if !found {
		t.Fatal("the runbook has no such commands")
	}
	dir, backup, socket := t.TempDir(), t.TempDir()+"/backup.rdb", t.TempDir()+"/restore.sock"
	rdb, end := serve(t, dir, "--appendonly", "yes", "--save", "")
	set := func(key string) {
		t.Helper()
		if err := rdb.Set(t.Context(), key, "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("before")
	output(t, dir, "redis-cli", "-s", dir+"/socket", "--rdb", backup)
	set("after")
	if err := commands.Await(time.Minute, func() error { return rdb.Save(t.Context()).Err() }); err != nil { // after that of the backup
		t.Fatal(err)
	}
	end()

	text = strings.NewReplacer("BACKUP.rdb", backup, "/tmp/restore.sock", socket).Replace("mkdir before" + text + " SHUTDOWN")
	begin, wait, _ := strings.Cut(text, "CONFIG SET appendonly yes\n")
	output(t, dir, "bash", "-ec", begin+"--version") // the first call of redis-cli comes once the server has begun
	wait, last, _ := strings.Cut(wait, "\n")
	if err := commands.Await(time.Minute, func() error {
		return exec.Command("redis-cli", "-e", "-s", socket, "CONFIG", "SET", "appendonly", "yes").Run()
	}); err != nil {
		t.Fatal(err)
	}
	err := commands.Await(time.Minute, func() error {
		if said := output(t, dir, "bash", "-ec", strings.TrimSpace(wait)); strings.Contains(said, "in_progress:1") || strings.Contains(said, "scheduled:1") || !strings.Contains(said, "in_progress:0") {
			return errors.New(said)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	output(t, dir, "bash", "-ec", strings.TrimSpace(last))

	rdb, _ = serve(t, dir, "--appendonly", "yes")
	if keys := rdb.Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != "before" {
		t.Errorf("after the restore Redis has %q, the backup has before", keys)
	}
}
