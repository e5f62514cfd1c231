package release

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"campaign-runner/internal/child"
	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/timings"
)

const unitFile = root + "/packaging/campaign-worker.service"

// setting is the value of a setting of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if found == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return found[1]
}

// What stops a worker waits for the longest drain; see Run of jobs.Worker.
func TestAStopWaitsForTheDrain(t *testing.T) {
	const drain = timings.RequestTimeout + timings.CommitPatience + timings.StopGrace + 2*timings.LeaveWithin + timings.GoodbyeWithin
	var compose struct {
		Services struct {
			Worker struct {
				Stop string `yaml:"stop_grace_period"`
			} `yaml:"worker"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, root+"/docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	unit := setting(t, readFile(t, unitFile), "TimeoutStopSec") + "s"
	for where, text := range map[string]string{"docker-compose.yml": compose.Services.Worker.Stop, "the unit": unit} {
		if wait, err := time.ParseDuration(text); err != nil || wait < drain || wait > drain+30*time.Second {
			t.Errorf("%s waits %v (%v), a worker drains for at most %v", where, wait, err, drain)
		}
	}
}

// A package is installed in a folder, in place of the root of a machine.
func TestTheDebianPackage(t *testing.T) {
	t.Setenv("MAINTAINER", "Ops <ops@example.org>")
	clone, dist, machine := checkout(t), t.TempDir(), t.TempDir()
	output(t, clone, "scripts/release.sh", dist, "linux/"+runtime.GOARCH)
	output(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
	packages, _ := filepath.Glob(dist + "/*.deb")
	archives, _ := filepath.Glob(dist + "/*.tar.gz")
	if len(packages) != 1 || len(archives) != 1 {
		t.Fatalf("made %v and %v", packages, archives)
	}
	commit := strings.TrimSpace(output(t, clone, "git", "rev-parse", "--short=12", "HEAD"))
	listed := output(t, dist, "tar", "-tf", archives[0])
	for _, name := range []string{"campaign", "enqueue", "worker", "sandbox", "LICENSE", "CHANGELOG.md", "SECURITY.md", "THIRD_PARTY_LICENCES.txt", "docs/operations.md"} {
		if !strings.Contains(listed, "/"+name+"\n") {
			t.Errorf("the archive has no %s", name)
		}
	}

	if said := output(t, dist, "dpkg-deb", "--field", packages[0], "Maintainer"); said != "Ops <ops@example.org>\n" {
		t.Errorf("the maintainer is %q, not the one who was named", said)
	}

	dpkg := install(t, machine, packages[0])
	for _, name := range []string{"campaign", "enqueue", "campaign-worker", "campaign-sandbox"} {
		path := machine + "/usr/bin/" + name
		if said := output(t, machine, path, "--version"); !strings.HasPrefix(said, name+" version ") || !strings.Contains(said, commit) {
			t.Errorf("%s --version says %q, the commit is %s", name, said, commit)
		}
		output(t, machine, "bash", "-n", machine+"/usr/share/bash-completion/completions/"+name)
		for _, file := range []string{"man/man1/" + name + ".1.gz", "zsh/vendor-completions/_" + name, "fish/vendor_completions.d/" + name + ".fish"} {
			if info, err := os.Stat(machine + "/usr/share/" + file); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", file, err)
			}
		}
		if sections := output(t, machine, "gzip", "-dc", machine+"/usr/share/man/man1/"+name+".1.gz"); !strings.Contains(sections, ".SH OPTIONS") || !strings.Contains(sections, ".TH") {
			t.Errorf("the manual page of %s:\n%s", name, sections)
		}
	}
	settings := machine + "/etc/campaign-runner/worker.env"
	if info, err := os.Stat(settings); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the settings are %v, %v: they hold secrets", info, err)
	}
	unit := machine + "/usr/lib/systemd/system/campaign-worker.service"
	verify(t, machine, readFile(t, unit))
	verify(t, machine, readFile(t, unit)+"\n"+credentials(t))
	output(t, machine, "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
	t.Run("the unit's command", func(t *testing.T) { supervise(t, machine, readFile(t, unit), readFile(t, settings)) })
	t.Run("without a token", func(t *testing.T) {
		worker := withSettings(settings, machine+"/usr/bin/campaign-worker")
		said, err := worker.CombinedOutput()
		if code := worker.ProcessState.ExitCode(); strconv.Itoa(code) != setting(t, readFile(t, unit), "RestartPreventExitStatus") {
			t.Errorf("it would be started again for ever: %v, %s", err, said)
		}
	})
	t.Run("its documents", func(t *testing.T) { documents(t, machine) })

	dpkg("--remove", "campaign-runner")
	if _, err := os.Stat(machine + "/usr/bin/campaign"); !os.IsNotExist(err) {
		t.Errorf("after its removal: %v", err)
	}
	if _, err := os.Stat(settings); err != nil {
		t.Errorf("its removal takes the settings: %v", err)
	}
	dpkg("--purge", "campaign-runner")
	if _, err := os.Stat(settings); !os.IsNotExist(err) {
		t.Errorf("after its purge: %v", err)
	}
}

// credentials is what the page on proxies tells people to add to the unit.
func credentials(t *testing.T) string {
	t.Helper()
	_, text, _ := strings.Cut(readFile(t, root+"/docs/operations/proxy.md"), "### Under systemd\n")
	_, text, found := strings.Cut(text, "    [Service]\n")
	text, _, _ = strings.Cut(text, "\n\n")
	if !found || !strings.Contains(text, "LoadCredential=") {
		t.Fatal("the page on proxies does not say how a worker under systemd gets its key")
	}
	return "[Service]\n" + strings.ReplaceAll(text, "    ", "") + "\n"
}

// withSettings is a command that reads worker.env as people's shells do. What systemd
// makes of a value in single quotes is the same.
func withSettings(settings, command string, args ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", `set -a; . "$0"; exec "$@"`, settings, command}, args...)...)
}

// documents looks for what the package's documents and alerts lead to.
func documents(t *testing.T, machine string) {
	doc := machine + "/usr/share/doc/campaign-runner/"
	runbook := regexp.MustCompile(`runbook_url: "file://([^#"]+)#`).FindStringSubmatch(readFile(t, doc+"docs/monitoring/alerts.yml"))
	if runbook == nil || !strings.Contains(readFile(t, machine+runbook[1]), "\n### WorkerDown\n") {
		t.Errorf("the alerts lead to %v", runbook)
	}
	pages, err := filepath.Glob(doc + "*.md")
	if err != nil || len(pages) < 5 {
		t.Errorf("documents %v, %v", pages, err)
	}
	for _, dir := range []string{"docs/*.md", "docs/*/*.md"} {
		more, _ := filepath.Glob(doc + dir)
		pages = append(pages, more...)
	}
	for _, page := range pages {
		for _, link := range regexp.MustCompile(`\]\(([^)\s#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(readFile(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s leads to %v", strings.TrimPrefix(page, machine), err)
			}
		}
	}
	licences := readFile(t, doc+"THIRD_PARTY_LICENCES.txt")
	for _, line := range regexp.MustCompile(`(?m)^\| (\S+) \| (v\d\S*) \|`).FindAllStringSubmatch(readFile(t, doc+"THIRD_PARTY.md"), -1) {
		if !strings.Contains(licences, "=== "+line[1]+" "+line[2]+": ") {
			t.Errorf("the licence of %s is not shipped", line[1])
		}
	}
}

// verify lets systemd read the unit, beside the units of this machine.
func verify(t *testing.T, machine, unit string) {
	t.Helper()
	path := t.TempDir() + "/campaign-worker.service"
	unit = strings.Replace(unit, "\nExecStart=/", "\nExecStart="+machine+"/", 1)
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, machine, "sh", "-c", `said=$(systemd-analyze verify --man=no "$0" 2>&1) && test -z "$said" || { echo "$said"; exit 1; }`, path)
}

// install puts a package on a machine that is a folder; dpkg does more there.
func install(t *testing.T, machine, deb string) (dpkg func(args ...string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("only root may install packages, be it in a folder: run this test as root")
	}
	for _, dir := range []string{"info", "updates"} {
		if err := os.MkdirAll(machine+"/var/lib/dpkg/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(machine+"/var/lib/dpkg/status", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dpkg = func(args ...string) {
		t.Helper()
		all := append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "dpkg", "--root=" + machine, "--force-depends", "--force-script-chrootless"}, args...)
		output(t, machine, "env", all...)
	}
	dpkg("--install", deb)
	return dpkg
}

// told is what a process has told systemd.
type told struct {
	sync.Mutex
	lines []string
}

func (s *told) listen(conn *net.UnixConn) {
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		s.Lock()
		s.lines = append(s.lines, strings.Split(string(buffer[:n]), "\n")...)
		s.Unlock()
	}
}

// await waits until the line has been told after the first so many, and returns how many
// there are up to it.
func (s *told) await(t *testing.T, after int, line string) int {
	t.Helper()
	err := commands.Await(time.Minute, func() error {
		s.Lock()
		defer s.Unlock()
		for i := after; i < len(s.lines); i++ {
			if s.lines[i] == line {
				after = i + 1
				return nil
			}
		}
		return fmt.Errorf("systemd is not told %q, only %q", line, s.lines[min(after, len(s.lines)):])
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// supervise starts the command of the unit as systemd does, and stops it.
func supervise(t *testing.T, machine, unit, settings string) {
	dir := t.TempDir()
	redis := redistest.Start(t)
	platform := commands.Sandbox(t, dir+"/sandbox.log")
	socket := dir + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var systemd told
	go systemd.listen(conn)

	const token = "12|AbCd&Secret"
	settings = strings.NewReplacer("VELENTS_TOKEN=''\n", "VELENTS_TOKEN='"+token+"'\nADMIN_ADDR='127.0.0.1:0'\n", "redis://127.0.0.1:6379/0", redis.URL()).Replace(settings)
	if err := os.WriteFile(dir+"/worker.env", []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := withSettings(dir+"/worker.env", "printenv", "VELENTS_TOKEN").Output(); err != nil || string(got) != token+"\n" {
		t.Errorf("a shell reads the token as %q, %v", got, err)
	}
	command := strings.Fields(setting(t, unit, "ExecStart"))
	worker := withSettings(dir+"/worker.env", machine+command[0], command[1:]...)
	log, err := os.Create(dir + "/worker.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	worker.Env = []string{"NOTIFY_SOCKET=" + socket, "VELENTS_URL=" + platform, "HOME=" + dir}
	worker.Stdout, worker.Stderr, worker.SysProcAttr = log, log, child.EndWithParent()
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = worker.Process.Kill() })

	at := systemd.await(t, 0, "READY=1")
	at = systemd.await(t, at, "WATCHDOG=1")
	redis.Freeze()
	at = systemd.await(t, at, "STATUS=waits for Redis, which does not answer")
	at = systemd.await(t, at, "WATCHDOG=1") // it must not be ended for that
	redis.Thaw()
	at = systemd.await(t, at, "STATUS=sends what is due")
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	systemd.await(t, at, "STOPPING=1")
	if err := worker.Wait(); err != nil {
		t.Errorf("it ends with %v:\n%s", err, readFile(t, log.Name()))
	}
}
