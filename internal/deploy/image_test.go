package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Compose itself reads the file, with .env.example filled in as its comments ask.
func TestComposeLoadsTheFileWithEachProfile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"docker-compose.yml", "docs/monitoring/prometheus.yml", "docs/monitoring/alerts.yml",
		"docs/monitoring/grafana-datasource.yml", "docs/monitoring/grafana-dashboards.yml", "docs/monitoring/grafana-dashboard.json"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(readFile(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	example := readFile(t, ".env.example")
	filled := regexp.MustCompile(`(?m)^([A-Z_]+)=[ ]*$`).ReplaceAllString(example, "${1}=filled4in")
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(profiles ...string) (services []string, err error) {
		options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")},
			cli.WithWorkingDirectory(dir), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithProfiles(profiles))
		if err != nil {
			return nil, err
		}
		project, err := options.LoadProject(t.Context())
		if err != nil {
			return nil, err
		}
		services = project.ServiceNames()
		slices.Sort(services)
		if url := project.Services["worker"].Environment["REDIS_URL"]; url == nil || *url != "redis://:filled4in@redis:6379/0" {
			t.Errorf("workers have REDIS_URL %v", url)
		}
		if token := project.Services["worker"].Environment["VELENTS_TOKEN"]; token == nil || *token != "filled4in" {
			t.Errorf("workers have the token %v", token)
		}
		return services, nil
	}
	for profile, want := range map[string][]string{
		"":           {"redis", "worker"},
		"sandbox":    {"redis", "sandbox", "worker"},
		"monitoring": {"grafana", "prometheus", "redis", "worker"},
		"*":          {"grafana", "prometheus", "redis", "sandbox", "worker"},
	} {
		services, err := load(profile)
		if diff := cmp.Diff(want, services); err != nil || diff != "" {
			t.Errorf("profile %q: %v (-want +got):\n%s", profile, err, diff)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "set it in .env") {
		t.Errorf("with nothing filled in: %v", err)
	}
	noToken := strings.Replace(filled, "\nVELENTS_TOKEN=filled4in", "\nVELENTS_TOKEN=", 1)
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(noToken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "VELENTS_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
}

// lint is what BuildKit's linter says of a Dockerfile: a rule and a message each.
func lint(t *testing.T, dockerfile string) (found []string, stages []instructions.Stage) {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		found = append(found, warning.Short)
	}
	rules := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) { found = append(found, rule+": "+message) }})
	stages, _, err = instructions.Parse(parsed.AST, rules)
	if err != nil {
		found = append(found, err.Error())
	}
	return found, stages
}

func TestDockerfile(t *testing.T) {
	found, stages := lint(t, readFile(t, "Dockerfile"))
	if len(found) > 0 {
		t.Errorf("the linter says:\n%s", strings.Join(found, "\n"))
	}
	if stages[0].Platform != "$BUILDPLATFORM" {
		t.Errorf("the commands are built on %q: that would need emulation", stages[0].Platform)
	}
	labels, runs := make(map[string]string), 0
	for _, command := range stages[len(stages)-1].Commands {
		switch command := command.(type) {
		case *instructions.LabelCommand:
			for _, label := range command.Labels {
				labels[label.Key] = label.Value
			}
		case *instructions.RunCommand:
			runs++
		}
	}
	for _, name := range []string{"title", "description", "licenses", "version", "revision"} {
		if labels["org.opencontainers.image."+name] == "" {
			t.Errorf("the image has no label %s", name)
		}
	}
	if runs > 0 {
		t.Error("something runs on the platform that is built for: that needs emulation")
	}
	if found, _ := lint(t, "FROM golang:1.26 as Build\nMAINTAINER me\n"); len(found) < 3 {
		t.Errorf("of a bad file the linter says only %q", found)
	}
}
