package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
)

// A process that runs a command as main does prints nothing that others log.
func TestMainSilencesTheStandardLog(t *testing.T) {
	if os.Getenv("CLI_TEST_MAIN") != "" {
		cli.Main("x", func(context.Context, []string, io.Reader, io.Writer, io.Writer, func(string) string) error {
			log.Print("Unsolicited response: +966501234567")
			return nil
		})
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMainSilencesTheStandardLog$")
	cmd.Env = append(os.Environ(), "CLI_TEST_MAIN=1")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("it prints %q, %v", out, err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code int
		line string
	}{
		{"done says nothing", nil, 0, ""},
		{"any error is a failure", errors.New("no"), 1, "x: no\n"},
		{"a usage error, however deep", fmt.Errorf("a: %w", cli.Usagef("b")), 2, "x: a: b\n"},
		{"no error is no usage error", cli.Usage(nil), 0, ""},
		{"done, but not for everybody", cli.Partialf("3 left"), 3, "x: 3 left\n"},
		{"Ctrl-C", fmt.Errorf("read: %w", context.Canceled), 130, "x: interrupted\n"},
		{"Ctrl-C with a word about it", cli.Interruptedf("stopped half-way: %w", context.Canceled), 130, "x: stopped half-way: context canceled\n"},
		{"several errors are still one line", errors.Join(errors.New("a"), errors.New("b")), 1, "x: a; b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var line strings.Builder
			cli.Report(&line, "x", tt.err)
			if got := cli.ExitCode(tt.err); got != tt.code || line.String() != tt.line {
				t.Errorf("code %d, line %q, want %d, %q", got, line.String(), tt.code, tt.line)
			}
		})
	}
}

// execute runs a small command tree and returns what it printed.
func execute(env map[string]string, args ...string) (string, error) {
	var rate ratelimit.Rate
	root := &cobra.Command{
		Use:  "x FILE",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), args[0], rate)
			if args[0] == "broken" {
				return errors.New("cannot")
			}
			return nil
		},
	}
	root.Flags().Var(&rate, "rate", "the quota")
	cli.Bind(root.Flags(), "rate", "VELENTS_RATE")
	root.Flags().String("kind", "", "a `one|two|ID`")
	root.Flags().String("state", "", "only contacts in this `STATE`")
	root.Flags().String("from", "", "the contacts of this `CAMPAIGN`, of which this says so much that the line would be long, longer than a terminal is wide")
	root.Flags().String("name", "", "`NAME` of it")
	cli.Document(root, cli.RedisURL, cli.AgentToken)
	root.AddCommand(&cobra.Command{Use: "sub", RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintln(cmd.OutOrStdout(), "sub")
		return nil
	}})
	var out bytes.Buffer
	err := cli.Execute(context.Background(), root, args, nil, &out, io.Discard, func(key string) string { return env[key] })
	return out.String(), err
}

func TestExecute(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		out  string
		code int
		err  string
	}{
		{"default", nil, []string{"f"}, "f 30/60s\n", 0, ""},
		{"environment beats default", map[string]string{"VELENTS_RATE": "5/1m30s"}, []string{"f"}, "f 5/90s\n", 0, ""},
		{"flag beats environment, after the argument too", map[string]string{"VELENTS_RATE": "5/1m"}, []string{"f", "--rate", "none"}, "f none\n", 0, ""},
		{"a subcommand", nil, []string{"sub"}, "sub\n", 0, ""},
		{"a failure", nil, []string{"broken"}, "broken 30/60s\n", 1, "cannot"},
		{"missing argument", nil, nil, "", 2, "accepts 1 arg(s), received 0; x -h shows how"},
		{"unknown flag", nil, []string{"f", "--no"}, "", 2, "unknown flag: --no; x -h shows how"},
		{"nearly a flag", nil, []string{"f", "--rat", "1/1s"}, "", 2, "unknown flag: --rat (did you mean --rate?); x -h shows how"},
		{"nearly a command", nil, []string{"sbu", "f"}, "", 2, "accepts 1 arg(s), received 2 (did you mean sub?); x -h shows how"},
		{"bad flag", nil, []string{"f", "--rate", "0/60s"}, "", 2, `--rate: rate "0/60s": want requests per window such as "30/60s", or "none"; x -h shows how`},
		{"bad environment", map[string]string{"VELENTS_RATE": "30"}, []string{"f"}, "", 2, `VELENTS_RATE: rate "30": want requests per window such as "30/60s", or "none"; x -h shows how`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := execute(tt.env, tt.args...)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if out != tt.out || cli.ExitCode(err) != tt.code || text != tt.err {
				t.Errorf("%q, exit %d, error %q", out, cli.ExitCode(err), text)
			}
		})
	}
}

func TestHelpShowsEverySetting(t *testing.T) {
	out, err := execute(map[string]string{"REDIS_URL": "redis://:hunter2@r", "VELENTS_TOKEN": "hunter3"}, "-h")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the quota [$VELENTS_RATE] (default 30/60s)", "REDIS_URL", "(default redis://127.0.0.1:6379/0)", "VELENTS_TOKEN"} {
		if !strings.Contains(out, want) {
			t.Errorf("help lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter") {
		t.Errorf("help shows a secret:\n%s", out)
	}
}

func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	if out, err := execute(nil, "man", dir); err != nil || out != "" {
		t.Fatal(out, err)
	}
	page, err := os.ReadFile(dir + "/x.1")
	for _, want := range []string{"REDIS_URL", "the quota [$VELENTS_RATE]", "x FILE"} {
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("%v: the page lacks %q:\n%s", err, want, page)
		}
	}
	if _, err := os.Stat(dir + "/x-sub.1"); err != nil {
		t.Error(err)
	}
	if out, err := execute(nil, "--version"); err != nil || !strings.HasPrefix(out, "x version devel (") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestTokens(t *testing.T) {
	env := map[string]string{"VELENTS_TOKEN": " one\n", "VELENTS_TOKEN_SALES_KSA": "two"}
	getenv := func(key string) string { return env[key] }
	for _, tt := range []struct{ agent, want, err string }{
		{"default", "one", ""},
		{"sales-ksa", "two", ""},
		{"other", "", "VELENTS_TOKEN_OTHER is not set: the API token of the agent 'other'; make one in the platform's dashboard"},
	} {
		got, err := cli.Token(getenv, tt.agent)
		if text := fmt.Sprint(err); got != tt.want || (err != nil && text != tt.err) || (err == nil) != (tt.err == "") {
			t.Errorf("Token(%q) = %q, %v", tt.agent, got, err)
		}
	}
	agents := cli.TokenAgents([]string{
		"VELENTS_TOKEN_SALES_KSA=t", "VELENTS_TOKEN=t", "VELENTS_TOKEN_EMPTY= ", "VELENTS_TOKEN_DEFAULT=t", "VELENTS_TOKENS=t", "VELENTS_TOKEN_=t", "VELENTS_TOKEN_sales=t", "VELENTS_TOKEN_SALES_BULK=t", "HOME=/",
	})
	if diff := cmp.Diff([]string{"default", "sales-ksa"}, agents); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
}

func TestOpenRedis(t *testing.T) {
	server := redistest.Start(t)
	env := func(string) string { return server.URL() }
	rdb, err := cli.OpenRedis(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	rdb.Close()
	server.Kill()
	if _, err := cli.OpenRedis(t.Context(), env); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("Redis gone: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := cli.Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
	if a, b := cli.Count(1, "line", "lines"), cli.Count(2000, "line", "lines"); a != "1 line" || b != "2,000 lines" {
		t.Errorf("Count: %q, %q", a, b)
	}
}

func TestAbout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "at once",
		time.Second:                    "about 1 second",
		61 * time.Second:               "about 61 seconds",
		33*time.Minute + 2*time.Second: "about 34 minutes",
		2*time.Hour + time.Nanosecond:  "about 3 hours",
		47 * time.Hour:                 "about 47 hours",
		23 * 24 * time.Hour:            "about 23 days",
	} {
		if got := cli.About(d); got != want {
			t.Errorf("About(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestPrintJSON(t *testing.T) {
	var out strings.Builder
	if err := cli.PrintJSON(&out, map[string]string{"a": "<b>"}); err != nil || out.String() != "{\"a\":\"<b>\"}\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := cli.PrintJSON(&out, func() {}); err == nil {
		t.Error("printed a function")
	}
}

func TestIsTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if cli.IsTerminal(f) || cli.IsTerminal(io.Discard) {
		t.Error("takes something else for a terminal")
	}
}

// A shell asks for what may stand in a place.
func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // its lines begin so
	}{
		{[]string{"list"}, ":0"}, // a file
		{[]string{"s"}, "sub\n:0"},
		{[]string{"f", "--kind", ""}, "one\ntwo\n:4"},
		{[]string{"f", "--state", ""}, "pending\nsending\naccepted\nrejected\nfailed\nunconfirmed\nstarted\nended\ncanceled\n:4"},
		{[]string{"f", "--from", ""}, ":4"}, // no Redis, no names, and no files either
		{[]string{"f", "--na"}, "--name\tNAME of it\n:4"},
	} {
		got, err := execute(map[string]string{"REDIS_URL": "redis://127.0.0.1:1/0"}, append([]string{cobra.ShellCompRequestCmd}, tt.args...)...)
		if err != nil || strings.TrimSpace(got) != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.args, got, err, tt.want)
		}
	}
}

// Help fits a terminal of 80 columns, but for words that do not break.
func TestHelpIsNarrow(t *testing.T) {
	out, err := execute(nil, "-h")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 82 && strings.Count(strings.TrimSpace(line), " ") > 0 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A launch from a worker's pages knows what the environment says, as one of enqueue does.
func TestDefaultsOfTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want campaign.Given
	}{
		{nil, campaign.Given{}},
		{map[string]string{"VELENTS_AGENT": "sales", "VELENTS_CHANNEL": "voice", "VELENTS_MODE": " "}, campaign.Given{}},
		{map[string]string{"VELENTS_RETRY_5XX": "all\r", "KEEP_FOR": "30d", "VELENTS_REGION": "SA"}, campaign.Given{"retry-5xx": {"all"}, "keep-for": {"30d"}, "region": {"SA"}}},
		{map[string]string{"VELENTS_STRICT_5XX": "true"}, campaign.Given{"retry-5xx": {"none"}}},
		{map[string]string{"VELENTS_STRICT_5XX": "true", "VELENTS_RETRY_5XX": "own"}, campaign.Given{"retry-5xx": {"own"}}},
		{map[string]string{"VELENTS_STRICT_5XX": "false"}, campaign.Given{}},
	} {
		getenv := func(name string) string { return tt.env[name] }
		if diff := cmp.Diff(tt.want, cli.Defaults(getenv)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.env, diff)
		}
	}
}
