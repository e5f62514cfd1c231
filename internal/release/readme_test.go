package release

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// blocks are what the README tells people to paste: its indented lines that belong together.
func blocks(t *testing.T, readme string) (found []string) {
	t.Helper()
	for _, block := range regexp.MustCompile(`(?m)(?:^    .*\n)+`).FindAllString(readme, -1) {
		found = append(found, regexp.MustCompile(`(?m)^    `).ReplaceAllString(block, ""))
	}
	return found
}

// freePort is one that most likely stays free.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Every block is run by bash in a fresh clone, as it stands but for ports that others may
// use. make test would run this test again. The proofs, which are go test commands, are run
// with all others; internal/docs sees to it that they exist.
func TestTheCommandsOfTheReadmeWork(t *testing.T) {
	readme, clone := readFile(t, root+"/README.md"), checkout(t)
	ran := 0
	for _, block := range blocks(t, readme) {
		block = regexp.MustCompile(`(?m)^make test\b.*$`).ReplaceAllString(block, "")
		if strings.Contains(block, "make demo") {
			for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
				if !strings.Contains(line, "KEEP=1") { // waits for a person
					ran++
					demo(t, clone, line)
				}
			}
			continue
		}
		ran++
		play(t, clone, block)
	}
	if ran < 2 {
		t.Errorf("only %d blocks were found in the README", ran)
	}
}

func bash(clone, script string, env ...string) (string, error) {
	cmd := exec.Command("bash", "-c", script)
	// With the flags of a release Go need not compile again what the other tests have built.
	cmd.Dir, cmd.Env = clone, append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath"), env...)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func demo(t *testing.T, clone, line string) {
	said, err := bash(clone, line)
	if err != nil {
		t.Errorf("%s: %v\n%s", line, err, said)
	}
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindStringIndex(said)
	built := strings.Index(said, "=== Building")
	if address == nil || built < 0 || address[0] > built {
		t.Errorf("%s does not open with the address of its pages:\n%s", line, said)
	}
	if !strings.Contains(said, "nobody was contacted twice") || !strings.Contains(said, "repeated=0 ") {
		t.Errorf("%s ends like this:\n%s", line, said)
	}
}

// play runs what a newcomer pastes. enqueue and watch end with 3 there: not everybody was
// contacted, as the README says.
func play(t *testing.T, clone, block string) {
	platform, redis := freePort(t), freePort(t)
	for from, to := range map[string]string{
		"127.0.0.1:8090":              "127.0.0.1:" + platform,
		"redis://127.0.0.1:6390":      "redis://127.0.0.1:" + redis, // no Redis with workers that call people
		"bin/sandbox &":               "bin/sandbox --addr 127.0.0.1:" + platform + " &",
		"bin/worker --embedded-redis": "bin/worker --embedded-redis --admin-addr 127.0.0.1:0",
		"sleep 2\n":                   fmt.Sprintf("for port in %s %s; do until (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.1; done; done\n", platform, redis),
	} {
		if !strings.Contains(block, from) {
			t.Errorf("the README has no %q:\n%s", from, block)
		}
		block = strings.ReplaceAll(block, from, to)
	}
	script := "set -E; failed=0\ntrap 'code=$?; ((code == 3)) || { echo \"exit $code: $BASH_COMMAND\"; failed=1; }' ERR\n" + block + "wait\nexit $failed\n"
	said, err := bash(clone, script, "VELENTS_RATE=30/1s")
	if err != nil {
		t.Errorf("%v of:\n%s\n%s", err, block, said)
	}
	if rows := strings.Count(readFile(t, clone+"/results.csv"), "accepted"); rows < 1900 {
		t.Errorf("%d of 2,000 contacts were accepted:\n%s", rows, said)
	}
}
