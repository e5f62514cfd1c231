package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"campaign-runner/internal/child"
	"campaign-runner/internal/commands"
)

// promtool fails the test if Prometheus's own tool finds a fault.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%v: install it, for example with: apt-get install prometheus", err)
	}
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "", "check", "rules", "../../docs/monitoring/alerts.yml")
	promtool(t, "", "test", "rules", "testdata/alerts.yml")
	var cases struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "internal/deploy/testdata/alerts.yml")), &cases); err != nil {
		t.Fatal(err)
	}
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, c := range cases.Tests {
		for _, alert := range c.Alerts {
			fires[alert.Name] = fires[alert.Name] || len(alert.Want) > 0
			silent[alert.Name] = silent[alert.Name] || len(alert.Want) == 0
		}
	}
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] || !silent[rule.Alert] {
				t.Errorf("%s: no case in which it fires, or none in which it does not", rule.Alert)
			}
		}
	}
}

// scrape lets Prometheus, with the settings of docs/monitoring, read a worker and ask all
// that the alerts and the dashboard ask.
func scrape(t *testing.T, metrics, page string) {
	promtool(t, ours(page), "check", "metrics")
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	worker, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	settings := readFile(t, "docs/monitoring/prometheus.yml")
	discovery := settings[strings.Index(settings, "    dns_sd_configs:"):]
	settings = strings.NewReplacer("15s", "1s", "/run/secrets/admin_password", filepath.Join(dir, "password"),
		discovery, "    static_configs:\n      - targets: ["+worker.Host+"]\n").Replace(settings)
	write("prometheus.yml", settings)
	write("password", adminPassword)
	write("alerts.yml", readFile(t, "docs/monitoring/alerts.yml"))
	promtool(t, "", "check", "config", filepath.Join(dir, "prometheus.yml"))
	write("alerting.yml", regexp.MustCompile(`(?m)^# (alerting:|  )`).ReplaceAllString(settings, "$1"))
	promtool(t, "", "check", "config", filepath.Join(dir, "alerting.yml"))

	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	address := freeAddress(t)
	server := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	server.Stderr, server.SysProcAttr = log, child.EndWithParent()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	ask := func(path string, answer any) error {
		text, err := get("http://" + address + path)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), answer)
	}
	err = commands.Await(time.Minute, func() error {
		var ended struct {
			Data struct{ Result []struct{ Value []any } }
		}
		err := ask("/api/v1/query?query="+url.QueryEscape(`up{job="campaign-runner"} == 1 and on () campaign_runner_contacts{state="ended"} == 2`), &ended)
		if err == nil && len(ended.Data.Result) != 1 {
			err = errors.New("Prometheus has not read the worker")
		}
		return err
	})
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s", err, said)
	}
	for where, expr := range expressions(t) {
		var answer struct{ Status, Error string }
		if err := ask("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil || answer.Status != "success" {
			t.Errorf("%s: %v %s", where, err, answer.Error)
		}
	}
	err = commands.Await(time.Minute, func() error {
		var rules struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		if err := ask("/api/v1/rules", &rules); err != nil {
			return err
		}
		if len(rules.Data.Groups) == 0 {
			return errors.New("Prometheus has no rules")
		}
		for _, rule := range rules.Data.Groups[0].Rules {
			if rule.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// freeAddress is one that most likely stays free: Prometheus does not say which port it got.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ours is a page of metrics without those of libraries, whose names are not ours to mend.
func ours(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "campaign_runner_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// The script of the file is run here as it would be in its container, up to Prometheus.
func TestPrometheusReadsWorkersAsTheirUser(t *testing.T) {
	dir := t.TempDir()
	script := readCompose(t).Services["prometheus"].Entrypoint
	script = strings.TrimSuffix(strings.TrimPrefix(script, "sh -c '"), "'")
	script, _, _ = strings.Cut(script, "exec prometheus")
	monitoring, err := filepath.Abs("../../docs/monitoring")
	if err != nil {
		t.Fatal(err)
	}
	script = strings.NewReplacer("$$", "$", "/run/secrets/", dir+"/", "/etc/prometheus/", monitoring+"/").Replace(script)
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), "ADMIN_USER=ops", "ADMIN_PASSWORD="+adminPassword)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	settings, err := os.ReadFile(dir + "/prometheus.yml")
	if err != nil || !strings.Contains(string(settings), "\n      username: \"ops\"\n") {
		t.Errorf("%v\n%s", err, settings)
	}
	moved := strings.ReplaceAll(string(settings), "/run/secrets/", dir+"/")
	if err := os.WriteFile(dir+"/moved.yml", []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "config", dir+"/moved.yml")
}
