// Package deploy holds the test of what docker-compose.yml promises.
package deploy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/child"
	"campaign-runner/internal/commands"
)

// compose is as much of the format as the file uses: reading it is strict, so
// that a misspelled key fails, and so does a fixed container_name or network
// mode that would be in the way of scaling.
type compose struct {
	Confined any                `yaml:"x-confined"`
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Configs  map[string]struct {
		File string `yaml:"file"`
	} `yaml:"configs"`
}

type service struct {
	Image string `yaml:"image"`
	Build *struct {
		Context string            `yaml:"context"`
		Target  string            `yaml:"target"`
		Args    map[string]string `yaml:"args"`
	} `yaml:"build"`
	Logging struct {
		Driver  string            `yaml:"driver"`
		Options map[string]string `yaml:"options"`
	} `yaml:"logging"`
	User        string            `yaml:"user"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	Tmpfs       []string          `yaml:"tmpfs"`
	Entrypoint  string            `yaml:"entrypoint"`
	Command     string            `yaml:"command"`
	Profiles    []string          `yaml:"profiles"`
	EnvFile     string            `yaml:"env_file"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Configs     []struct {
		Source string `yaml:"source"`
		Target string `yaml:"target"`
	} `yaml:"configs"`
	Ports     []string `yaml:"ports"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test        string `yaml:"test"`
		Interval    string `yaml:"interval"`
		Timeout     string `yaml:"timeout"`
		StartPeriod string `yaml:"start_period"`
		Retries     int    `yaml:"retries"`
	} `yaml:"healthcheck"`
	StopGracePeriod string `yaml:"stop_grace_period"`
	Restart         string `yaml:"restart"`
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.UnmarshalWithOptions([]byte(readFile(t, "docker-compose.yml")), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return c
}

// What docker-compose.yml does not set itself can be set in .env.
func TestEnvExampleNamesEverySetting(t *testing.T) {
	settings := regexp.MustCompile("(?m)^\\| (`[A-Z0-9_]+`.*?) \\|").FindAllStringSubmatch(readFile(t, "docs/operations.md"), -1)
	example := readFile(t, ".env.example")
	names := regexp.MustCompile("`([A-Z0-9_]+)`")
	// Compose sets these itself, or a container has no such files.
	not := []string{"REDIS_URL", "ADMIN_ADDR", "ADMIN_TLS_CERT", "ADMIN_TLS_KEY"}
	found := 0
	for _, row := range settings {
		for _, name := range names.FindAllStringSubmatch(row[1], -1) {
			found++
			if has := regexp.MustCompile(`(?m)^(# )?` + name[1] + "=").MatchString(example); has == slices.Contains(not, name[1]) {
				t.Errorf(".env.example has %s: %v", name[1], has)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d settings were found in docs/operations.md", found)
	}
}

func TestServices(t *testing.T) {
	c := readCompose(t)
	if diff := cmp.Diff([]string{"grafana", "prometheus", "redis", "sandbox", "worker"}, slices.Sorted(maps.Keys(c.Services))); diff != "" {
		t.Fatalf("services (-want +got):\n%s", diff)
	}
	for name, profiles := range map[string][]string{
		"redis": nil, "worker": nil, "sandbox": {"sandbox"}, "prometheus": {"monitoring"}, "grafana": {"monitoring"},
	} {
		if diff := cmp.Diff(profiles, c.Services[name].Profiles); diff != "" {
			t.Errorf("profiles of %s (-want +got):\n%s", name, diff)
		}
	}
	for name, s := range c.Services {
		if s.Healthcheck.Test == "" {
			t.Errorf("%s: no health check", name)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not confined: %+v", name, s)
		}
		if s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("the log of %s grows for ever: %+v", name, s.Logging)
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s does not come back", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is published beyond this machine", name, port)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, ok := c.Volumes[source]; !ok {
				t.Errorf("%s: volume %s is not a named one", name, volume)
			}
		}
	}
}

func TestRedisLosesNothing(t *testing.T) {
	redis := readCompose(t).Services["redis"]
	if !strings.HasPrefix(redis.Image, "redis:7") {
		t.Errorf("image is %s, want Redis 7", redis.Image)
	}
	for _, setting := range []string{"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--maxmemory ${REDIS_MAXMEMORY:-"} {
		if !strings.Contains(redis.Command, setting) {
			t.Errorf("command %q lacks %s", redis.Command, setting)
		}
	}
	if !slices.Contains(redis.Volumes, "redis:/data") {
		t.Errorf("volumes are %q: the data would not outlive the container", redis.Volumes)
	}
	if len(redis.Ports) > 0 {
		t.Errorf("Redis is published at %v", redis.Ports)
	}
}

// The command of the file is run here as it would be in its container.
func TestRedisWantsAPassword(t *testing.T) {
	dir := t.TempDir()
	const password = "0123456789abcdef"
	c := readCompose(t)
	script, begins := strings.CutPrefix(c.Services["redis"].Command, "sh -c '")
	script, ends := strings.CutSuffix(script, "'")
	if !begins || !ends {
		t.Fatalf("command %s", c.Services["redis"].Command)
	}
	script = strings.NewReplacer("$$", "$", "/tmp/", dir+"/", "--dir /data", "--port 0 --unixsocket "+dir+"/socket --dir "+dir).Replace(script)
	server := exec.Command("sh", "-c", script)
	server.Env = append(os.Environ(), "REDIS_PASSWORD="+password)
	server.SysProcAttr = child.EndWithParent()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	ping := func(password string) error {
		rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: dir + "/socket", Password: password})
		defer rdb.Close()
		return rdb.Ping(t.Context()).Err()
	}
	if err := commands.Await(10*time.Second, func() error { return ping(password) }); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "another"} {
		if err := ping(wrong); err == nil {
			t.Errorf("Redis opens with %q", wrong)
		}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", server.Process.Pid))
	if err != nil || !bytes.Contains(line, []byte("redis-server")) || bytes.Contains(line, []byte(password)) {
		t.Errorf("its command line is %q, %v", line, err)
	}
	if url := c.Services["worker"].Environment["REDIS_URL"]; !strings.Contains(url, "redis://:${REDIS_PASSWORD:?") || !strings.HasSuffix(url, "@redis:6379/0") {
		t.Errorf("workers use %s", url)
	}
}

func TestWorker(t *testing.T) {
	worker := readCompose(t).Services["worker"]
	if got := worker.Environment["ADMIN_PASSWORD"]; !strings.HasPrefix(got, "${ADMIN_PASSWORD:?") {
		t.Errorf("ADMIN_PASSWORD is %q: it must be required", got)
	}
	if got := worker.Environment["VELENTS_TOKEN"]; !strings.HasPrefix(got, "${VELENTS_TOKEN:?") {
		t.Errorf("VELENTS_TOKEN is %q: without one a worker is started again for ever", got)
	}
	if got := worker.DependsOn["redis"].Condition; got != "service_healthy" {
		t.Errorf("waits for Redis to be %q, want service_healthy", got)
	}
	for _, port := range worker.Ports {
		if !regexp.MustCompile(`^127\.0\.0\.1:\d+-\d+:\d+$`).MatchString(port) {
			t.Errorf("port %s: a second worker needs another", port)
		}
	}
}

func TestImage(t *testing.T) {
	dockerfile := readFile(t, "Dockerfile")
	for name, s := range readCompose(t).Services {
		if s.Build == nil {
			continue
		}
		if diff := cmp.Diff(map[string]string{"VERSION": "${VERSION:-devel}", "REVISION": "${REVISION:-unknown}"}, s.Build.Args); diff != "" || !strings.HasPrefix(s.Image, "campaign-runner:") {
			t.Errorf("%s is built as %q, unlike the others, or unlabelled (-want +got):\n%s", name, s.Image, diff)
		}
		_, stage, ok := strings.Cut(dockerfile, " AS "+s.Build.Target+"\n")
		if !ok {
			t.Fatalf("%s: the Dockerfile has no stage %q", name, s.Build.Target)
		}
		stage, _, _ = strings.Cut(stage, "\nFROM ")
		if !regexp.MustCompile(`(?m)^USER [1-9]\d*:`).MatchString(stage) {
			t.Errorf("%s: stage %s runs as root", name, s.Build.Target)
		}
		command := strings.Fields(s.Command)[0]
		if _, err := os.Stat("../../cmd/" + command); err != nil {
			t.Errorf("%s: runs a command that is not built: %v", name, err)
		}
	}
}
