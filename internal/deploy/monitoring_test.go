package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(commands.Main(m)) }

// adminPassword opens the pages of the worker that is looked at.
const adminPassword = "0123456789abcdef"

// campaigned runs a worker until the test ends, and a campaign to its end. It returns the
// address of the worker's metrics, and what they are then.
func campaigned(t *testing.T) (metrics, page string) {
	t.Helper()
	dir := t.TempDir()
	redis := redistest.Start(t, "--maxmemory", "100mb")
	platform := commands.Sandbox(t, filepath.Join(dir, "sandbox.log"), "--webhooks")
	env := []string{"REDIS_URL=" + redis.URL(), "VELENTS_URL=" + platform, "VELENTS_TOKEN=token", "WEBHOOK_SECRET=secret", "ADMIN_PASSWORD=" + adminPassword}
	worker, err := commands.Start(filepath.Join(dir, "worker.log"), env, "worker", "--admin-addr", "127.0.0.1:0", "--webhook-addr", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Kill)
	address := func(what string) (url string) {
		err := commands.Await(time.Minute, func() error {
			found := regexp.MustCompile(what + `" url=(http://[^/\s]+)`).FindStringSubmatch(worker.Printed())
			if found == nil {
				return fmt.Errorf("no %s: %s", what, worker.Tail(5))
			}
			url = found[1]
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	metrics = address("admin pages") + "/metrics"
	env = append(env, "WEBHOOK_URL="+address("webhook inbox"))
	list := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(list, []byte("phone\n+966500000001\n+966500000002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := strings.ToLower(time.Now().UTC().AddDate(0, 0, 3).Format("Mon")) + " 09:00-10:00"
	for _, flags := range [][]string{{"--name", "sale"}, {"--name", "later", "--hours", closed, "--timezone", "UTC"}} {
		out, err := commands.Call(env, nil, "enqueue", append([]string{list, "--channel", "voice", "--rejects", ""}, flags...)...)
		if err != nil || out.Code != 0 {
			t.Fatal(err, out.Said())
		}
	}
	err = commands.Await(time.Minute, func() (err error) {
		page, err = get(metrics)
		if err == nil && !strings.Contains(page, `campaign_runner_contacts{campaign="sale",state="ended"} 2`) {
			err = fmt.Errorf("the campaign does not end:\n%s", page)
		}
		if err == nil && !regexp.MustCompile(`campaign_runner_campaign_rest_seconds\{campaign="later"\} [1-9]`).MatchString(page) {
			err = fmt.Errorf("the campaign outside its hours does not rest:\n%s", page)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return metrics, page
}

func get(url string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.SetBasicAuth("admin", adminPassword)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return string(text), err
}

// labelsOf are the labels of every metric of a page.
func labelsOf(page string) map[string][]string {
	found := make(map[string][]string)
	sample := regexp.MustCompile(`(?m)^([a-z]\w*)(\{.*\})? \S+$`)
	for _, line := range sample.FindAllStringSubmatch(page, -1) {
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[2], -1) {
			if !slices.Contains(found[line[1]], label[1]) {
				found[line[1]] = append(found[line[1]], label[1])
			}
		}
		found[line[1]] = append(found[line[1]], "job", "instance") // Prometheus's own
	}
	found["up"] = []string{"job", "instance"}
	return found
}

// rules are docs/monitoring/alerts.yml.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func readRules(t *testing.T) rules {
	t.Helper()
	var r rules
	if err := yaml.UnmarshalWithOptions([]byte(readFile(t, "docs/monitoring/alerts.yml")), &r, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return r
}

// expressions are those of the alerts and of the dashboard, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			all["alert "+rule.Alert] = rule.Expr
		}
	}
	var board struct {
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "docs/monitoring/grafana-dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %s shows nothing", panel.Title)
		}
		for n, target := range panel.Targets {
			all[fmt.Sprintf("panel %s, %d", panel.Title, n+1)] = target.Expr
		}
	}
	return all
}

var (
	quoted    = regexp.MustCompile(`"[^"]*"`)
	selector  = regexp.MustCompile(`([a-z_:][\w:]*)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`(\w+)\s*[=!]~?`)
	grouping  = regexp.MustCompile(`\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)`)
	duration  = regexp.MustCompile(`\[[^\]]*\]`)
	word      = regexp.MustCompile(`[a-zA-Z_:][\w:]*\s*\(?`)
	operators = []string{"and", "or", "unless", "bool", "offset"}
)

// metricsOf are the metrics of an expression, with the labels it selects by.
func metricsOf(expr string) map[string][]string {
	found := make(map[string][]string)
	expr = quoted.ReplaceAllString(expr, "")
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, label := range matcher.FindAllStringSubmatch(s[2], -1) {
			found[s[1]] = append(found[s[1]], label[1])
		}
	}
	expr = selector.ReplaceAllString(expr, "$1")
	expr = duration.ReplaceAllString(grouping.ReplaceAllString(expr, ""), "")
	for _, w := range word.FindAllString(expr, -1) {
		w = strings.TrimSpace(w)
		if !strings.HasSuffix(w, "(") && !slices.Contains(operators, w) {
			found[w] = slices.Clone(found[w]) // with no label, if it is new
		}
	}
	return found
}

func TestMetricsOf(t *testing.T) {
	got := fmt.Sprint(metricsOf(`sum by (agent) (rate(a_total{class=~"5xx|lost",x="{b}"}[10m])) / on (agent) b_ratio > 0.2 unless up == 0`))
	if want := "map[a_total:[class x] b_ratio:[] up:[]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAlertsAndDashboardAskForWhatIsThere(t *testing.T) {
	metrics, page := campaigned(t)
	t.Run("Prometheus takes them", func(t *testing.T) { scrape(t, metrics, page) })
	shown := labelsOf(page)
	if labels := shown["campaign_runner_build_info"]; !slices.Contains(labels, "version") || !slices.Contains(labels, "commit") {
		t.Errorf("the build has the labels %v", labels)
	}
	for where, expr := range expressions(t) {
		asked := metricsOf(expr)
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing: %s", where, expr)
		}
		for metric, labels := range asked {
			have, ok := shown[metric]
			if !ok {
				t.Errorf("%s: no worker shows %s", where, metric)
			}
			for _, label := range labels {
				if ok && !slices.Contains(have, label) {
					t.Errorf("%s: %s has no label %s", where, metric, label)
				}
			}
		}
	}
}

func TestEachAlertHasARunbook(t *testing.T) {
	runbooks := readFile(t, "docs/operations.md")
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if !strings.Contains(runbooks, "\n### "+rule.Alert+"\n") {
				t.Errorf("docs/operations.md has no runbook of %s", rule.Alert)
			}
			if rule.For == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
				t.Errorf("%s says not for how long, how severe or what it is", rule.Alert)
			}
			// A test of the package finds the file there.
			if want := "file:///usr/share/doc/campaign-runner/docs/operations.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
				t.Errorf("%s leads to the runbook %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
		}
	}
}

func TestMonitoringFitsTogether(t *testing.T) {
	c := readCompose(t)
	for name, config := range c.Configs {
		if _, err := os.Stat("../../" + config.File); err != nil {
			t.Errorf("config %s: %v", name, err)
		}
	}
	for name, s := range c.Services {
		for _, config := range s.Configs {
			if _, ok := c.Configs[config.Source]; !ok {
				t.Errorf("%s: there is no config %s", name, config.Source)
			}
		}
	}
	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName   string `yaml:"job_name"`
			BasicAuth struct {
				PasswordFile string `yaml:"password_file"`
			} `yaml:"basic_auth"`
			DNS []struct {
				Names []string `yaml:"names"`
				Port  int      `yaml:"port"`
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "docs/monitoring/prometheus.yml")), &prometheus); err != nil {
		t.Fatal(err)
	}
	job := prometheus.ScrapeConfigs[0]
	switch {
	case job.JobName != "campaign-runner":
		t.Errorf("the job is named %s; alerts ask for campaign-runner", job.JobName)
	case !strings.Contains(c.Services["prometheus"].Entrypoint, `"$$ADMIN_PASSWORD" >`+job.BasicAuth.PasswordFile+";"),
		!strings.HasPrefix(c.Services["prometheus"].Tmpfs[0], filepath.Dir(job.BasicAuth.PasswordFile)+":"):
		t.Errorf("the password is looked for in %s", job.BasicAuth.PasswordFile)
	case !strings.HasSuffix(c.Services["worker"].Command, fmt.Sprint(":", job.DNS[0].Port)) || c.Services[job.DNS[0].Names[0]].Command == "":
		t.Errorf("workers are looked for at %+v", job.DNS)
	}
	target := func(service, source string) string {
		for _, config := range c.Services[service].Configs {
			if config.Source == source {
				return config.Target
			}
		}
		return ""
	}
	if got := filepath.Join("/etc/prometheus", prometheus.RuleFiles[0]); got != target("prometheus", "alerts") {
		t.Errorf("rules are looked for in %s", got)
	}
	if !strings.Contains(readFile(t, "docs/monitoring/grafana-dashboards.yml"), filepath.Dir(target("grafana", "grafana_dashboard"))) {
		t.Error("the dashboard is not where Grafana looks for it")
	}
}
