package release

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
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
	if err := os.WriteFile(dir+"/redis.conf", []byte("port 0\nsave 3600 1\nunixsocket "+dir+"/socket\ndir "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		server := exec.Command("redis-server", dir+"/redis.conf")
		server.SysProcAttr = child.EndWithParent()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: dir + "/socket"})
		if err := commands.Await(time.Minute, func() error { return rdb.Ping(t.Context()).Err() }); err != nil {
			t.Fatal(err)
		}
		if first {
			if len(store.DurabilityWarnings(t.Context(), rdb)) == 0 {
				t.Error("without the first deployment it would do as well")
			}
			for _, call := range calls {
				output(t, dir, "redis-cli", append([]string{"-e", "-s", dir + "/socket"}, strings.Fields(call[1])...)...)
			}
		}
		if warnings := store.DurabilityWarnings(t.Context(), rdb); len(warnings) > 0 {
			t.Errorf("first start %v: %q", first, warnings)
		}
		if most := rdb.ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"]; most == "0" {
			t.Error("it has no maxmemory")
		}
		rdb.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	}
}
