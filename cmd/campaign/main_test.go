package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/golden"
)

func TestShown(t *testing.T) {
	f := newFixture(t)
	f.sale()
	f.load("done", 2)
	f.move("done", 0, "", campaign.Send, campaign.Accept)
	f.move("done", 1, "", campaign.Send, campaign.Accept)
	f.load("nobody", 0)
	f.load("many", 20)
	for i := range 20 {
		f.move("many", i, fmt.Sprintf("reason %02d", i), campaign.Send, campaign.Reject)
	}
	for _, tt := range []struct {
		golden string
		args   []string
	}{
		{"list.txt", []string{"list"}},
		{"list.json", []string{"list", "--json"}},
		{"show.txt", []string{"show", "sale"}},
		{"show.json", []string{"show", "--json", "sale"}},
		{"show-many.txt", []string{"show", "many"}},
		{"resolve.txt", []string{"resolve", "sale"}},
		{"resolve.json", []string{"resolve", "sale", "--json"}},
		{"resolve-chunk.json", []string{"--json", "resolve", "sale", "--chunk", "0"}},
		{"resolve-nobody.txt", []string{"resolve", "done"}},
		{"verify.txt", []string{"verify", "sale"}},
		{"verify.json", []string{"verify", "sale", "--json"}},
		{"results.csv", []string{"results", "sale"}},
		{"failed.jsonl", []string{"results", "--state", "failed", "sale", "--state=rejected,canceled", "--json"}},
		{"timeouts.csv", []string{"results", "sale", "--reason", "TIMEOUT"}},
		{"rejects.csv", []string{"rejects", "sale"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			got := f.run(tt.args...)
			if got.code != 0 {
				t.Errorf("exit %d: %s", got.code, got.stderr)
			}
			golden.Check(t, tt.golden, got.stdout)
		})
	}
}

func TestListWithoutCampaigns(t *testing.T) {
	f := newFixture(t)
	if got, want := f.run("list"), (outcome{"no campaigns yet: enqueue starts one\n", "", 0}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := f.run("list", "--json"), (outcome{`{"campaigns":[]}` + "\n", "", 0}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTextFromOutsideCannotReachTheTerminal(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	f.move("sale", 0, "\x1b[2Jtwo\nlines", campaign.Send, campaign.Reject)
	f.run("pause", "sale", "--reason", "\x1b]0;title\a")
	got := f.run("show", "sale")
	if strings.Contains(got.stdout, "\x1b") || !strings.Contains(got.stdout, " [2Jtwo lines\n") || !strings.Contains(got.stdout, "paused:  ]0;title ;") {
		t.Errorf("%q", got.stdout)
	}
}

func TestSteering(t *testing.T) {
	f := newFixture(t)
	f.sale()
	f.load("done", 0)
	for _, step := range []struct {
		args string
		want outcome
	}{
		{"pause sale", outcome{"sale is paused: by a person\n", "", 0}},
		{"pause sale --reason=budget", outcome{"sale was paused already (by a person); now: budget\n", "", 0}},
		{"pause --json sale", outcome{`{"campaign":"sale","state":"paused","already":true}` + "\n", "", 0}},
		{"start sale", outcome{"", "campaign: start sale: it is paused; go on with: campaign resume sale\n", 1}},
		{"resolve sale --not-sent --chunk 0", outcome{"sale: 0 unconfirmed contacts will be sent\n", "", 0}},
		{"resolve sale --accepted --chunk 1", outcome{"sale: 2 unconfirmed contacts are accepted now\n", "", 0}},
		{"resolve sale --accepted --json", outcome{`{"campaign":"sale","resolved":"accepted","contacts":0}` + "\n", "", 0}},
		{"resolve sale --not-sent --json", outcome{`{"campaign":"sale","resolved":"not_sent","contacts":0}` + "\n", "", 0}},
		{"resume sale", outcome{"sale is running; 2 chunks released\n", "", 0}},
		{"resume sale", outcome{"sale was already running; 0 chunks released\n", "", 0}},
		{"resume sale --json", outcome{`{"campaign":"sale","state":"running","already":true}` + "\n", "", 0}},
		{"start sale", outcome{"sale was already running; 0 chunks released\n", "", 0}},
		{"set sale --daily-cap 500 --priority urgent --chunk-size 1", outcome{"sale: rows per request is 1 now, was none\n" +
			"sale: --priority is urgent now, was none\nsale: --daily-cap is 500 now, was none\n", "", 0}},
		{"set sale --daily-cap 500", outcome{"sale: nothing has changed\n", "", 0}},
		{"set sale --daily-cap 0 --json", outcome{`{"campaign":"sale","changed":[{"setting":"--daily-cap","from":"500","to":"none"}]}` + "\n", "", 0}},
		{"set sale --chunk-size 3", outcome{"", "campaign: set sale: chunk size 3: want at most the 2 that it was loaded with\n", 2}},
		{"set sale --chunk-size 0", outcome{"", `campaign: --chunk-size "0": want a number from 1 to 10000; campaign set -h shows how` + "\n", 2}},
		{"set sale --hours 09:00-21:00 --days sun-thu --timezone Asia/Riyadh", outcome{"sale: --hours, --days or --timezone is sun-thu 09:00-21:00 in Asia/Riyadh now, was at any time\n", "", 0}},
		{"set sale --timezone Asia/Dubai", outcome{"sale: --hours, --days or --timezone is sun-thu 09:00-21:00 in Asia/Dubai now, was sun-thu 09:00-21:00 in Asia/Riyadh\n", "", 0}},
		{"set sale --hours 10:00-12:00", outcome{"", "campaign: set sale: --hours: they are sun-thu 09:00-21:00 in Asia/Dubai; say --days as well\n", 2}},
		{"set sale --days mon", outcome{"", "campaign: set sale: --days: they are sun-thu 09:00-21:00 in Asia/Dubai; say --hours as well\n", 2}},
		{"set sale", outcome{"", "campaign: set: say what, such as --daily-cap 500; campaign set -h shows how\n", 2}},
		{"set sale --rules ae", outcome{"", "campaign: set: --rules can only be said at the launch; campaign set -h shows how\n", 2}},
		{"set sale --daily-cap -1", outcome{"", `campaign: --daily-cap "-1": want a number from 0; campaign set -h shows how` + "\n", 2}},
		{"set sale --priority high", outcome{"", `campaign: --priority "high": want urgent, normal or bulk; campaign set -h shows how` + "\n", 2}},
		{"cancel sale", outcome{"sale is canceled; 3 contacts will not be sent\n", "", 0}},
		{"cancel sale", outcome{"sale was already canceled; 0 contacts will not be sent\n", "", 0}},
		{"cancel sale --json", outcome{`{"campaign":"sale","state":"canceled","already":true}` + "\n", "", 0}},
		{"pause sale", outcome{"", "campaign: pause sale: it is canceled\n", 1}},
		{"resume sale", outcome{"", "campaign: resume sale: it is canceled\n", 1}},
		{"resolve sale --accepted --chunk 99", outcome{"", "campaign: resolve sale: chunk 99: it has 5, counted from 0\n", 1}},
		{"verify sale", outcome{"ok: 9 contacts, states add up\n", "", 0}},
		{"cancel done", outcome{"", "campaign: cancel done: it is finished\n", 1}},
		{"set done --daily-cap 500", outcome{"done: --daily-cap is 500 now, was none\n",
			"campaign: done is finished: --daily-cap has no effect, unless 'enqueue append' or 'enqueue rerun' lets it run again\n", 0}},
		{"set done --title Done", outcome{"done: --title is Done now, was none\n", "", 0}},
		{"set sale --max-attempts 7 --title Sale", outcome{"sale: --title is Sale now, was none\nsale: --max-attempts is 7 now, was 5\n",
			"campaign: sale is canceled: --max-attempts has no effect, unless 'enqueue append' or 'enqueue rerun' lets it run again\n", 0}},
	} {
		if got := f.run(strings.Fields(step.args)...); got != step.want {
			t.Errorf("%s:\n got %+v\nwant %+v", step.args, got, step.want)
		}
	}
}

func TestVerifyNamesWhatDoesNotAddUp(t *testing.T) {
	f := newFixture(t)
	f.sale()
	f.Redis().HIncrBy(t.Context(), "c:{sale}:tally", "0", 1)
	want := outcome{
		"pending: the ledgers count 3, the tally says 4\n",
		"campaign: sale does not add up: 1 problem\n", 1,
	}
	if got := f.run("verify", "sale"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	want.stdout = `{"campaign":"sale","ok":false,"contacts":9,"problems":["pending: the ledgers count 3, the tally says 4"]}` + "\n"
	if got := f.run("verify", "sale", "--json"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	f := newFixture(t)
	const unknown = "campaign: read campaign nobody: no such campaign; 'campaign list' shows all\n"
	hint := func(command string) string { return "; " + command + " -h shows how\n" }
	for _, tt := range []struct {
		args   string
		stderr string
		code   int
	}{
		{"show nobody", unknown, 1},
		{"watch nobody", unknown, 1},
		{"results nobody", unknown, 1},
		{"rejects nobody", unknown, 1},
		{"pause nobody", unknown, 1},
		{"resume nobody", unknown, 1},
		{"cancel nobody", unknown, 1},
		{"verify nobody", unknown, 1},
		{"resolve nobody", unknown, 1},
		{"resolve nobody --accepted", unknown, 1},
		{"shwo nobody", `campaign: unknown command "shwo" for "campaign" (did you mean show?)` + hint("campaign"), 2},
		{"list all", `campaign: unknown command "all" for "campaign list"` + hint("campaign list"), 2},
		{"suppress ad +966501000000", `campaign: unknown command "ad" for "campaign suppress" (did you mean add?)` + hint("campaign suppress"), 2},
		{"user lst", `campaign: unknown command "lst" for "campaign user" (did you mean list?)` + hint("campaign user"), 2},
		{"completion bsh", `campaign: unknown command "bsh" for "campaign completion" (did you mean bash or fish or zsh?)` + hint("campaign completion"), 2},
		{"show", "campaign: show: want the name of one campaign, have 0" + hint("campaign show"), 2},
		{"show a b", "campaign: show: want the name of one campaign, have 2" + hint("campaign show"), 2},
		{"show a/b", "campaign: campaign name: want 1 to 64 of A-Z a-z 0-9 . _ -" + hint("campaign show"), 2},
		{"show a --what", "campaign: unknown flag: --what" + hint("campaign show"), 2},
		{"watch a --interval 0s", "campaign: interval 0s: want more than 0" + hint("campaign watch"), 2},
		{"results a --state gone", `campaign: state "gone": want pending, sending, accepted, rejected, failed, unconfirmed, started, ended or canceled` + hint("campaign results"), 2},
		{"results a -o r.pdf", "campaign: r.pdf: want a name that ends in .csv, .xlsx or .jsonl" + hint("campaign results"), 2},
		{"rejects a --json", "campaign: --json tells of a file: give -o FILE; the lines themselves are CSV" + hint("campaign rejects"), 2},
		{"resolve a --accepted --not-sent", "campaign: --accepted or --not-sent: not both" + hint("campaign resolve"), 2},
	} {
		t.Run(tt.args, func(t *testing.T) {
			if got, want := f.run(strings.Fields(tt.args)...), (outcome{"", tt.stderr, tt.code}); got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	f := fixture{Fixture: campaigntest.Fixture{T: t}, url: "redis://127.0.0.1:1/0"}
	for _, args := range [][]string{{"list"}, {"show", "sale"}, {"watch", "sale"}} {
		got := f.run(args...)
		if got.code != 1 || !strings.HasPrefix(got.stderr, "campaign: redis at 127.0.0.1:1: ") || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestRedisThatHoldsSomethingElse(t *testing.T) {
	f := newFixture(t)
	f.Redis().Set(t.Context(), "campaigns", "x", 0)
	got := f.run("list")
	if got.code != 1 || !strings.HasPrefix(got.stderr, `campaign: redis: the key "campaigns" is not this program's (it is no sorted set)`) {
		t.Errorf("%+v", got)
	}
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	f := newFixture(t)
	f.sale()
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "sale"}, {"pause", "sale"}, {"results", "sale"}, {"rejects", "sale"}, {"verify", "sale"}} {
		err := run(t.Context(), args, nil, full{}, &bytes.Buffer{}, f.getenv)
		if !errors.Is(err, errFull) || cli.ExitCode(err) != 1 {
			t.Errorf("%s: %v", args, err)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestFiles(t *testing.T) {
	f := newFixture(t)
	f.sale()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }

	t.Run("a CSV begins with the mark that Excel wants", func(t *testing.T) {
		got := f.run("results", "sale", "-o", path("r.csv"), "--state", "accepted")
		if want := (outcome{"2 contacts written to " + path("r.csv") + "\n", "", 0}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		golden.Check(t, "accepted.csv", read(t, path("r.csv")))
	})
	t.Run("JSON lines by the name", func(t *testing.T) {
		got := f.run("results", "sale", "-o", path("r.jsonl"), "--json")
		if want := (outcome{fmt.Sprintf(`{"campaign":"sale","rows":9,"file":%q}`+"\n", path("r.jsonl")), "", 0}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		for line := range strings.Lines(read(t, path("r.jsonl"))) {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
	})
	t.Run("an older file is replaced, a link to it stays", func(t *testing.T) {
		if err := os.WriteFile(path("old.csv"), []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("old.csv", path("link.csv")); err != nil {
			t.Fatal(err)
		}
		if got := f.run("rejects", "sale", "-o", path("link.csv")); got.code != 0 || got.stdout != "3 lines written to "+path("link.csv")+"\n" {
			t.Errorf("%+v", got)
		}
		if to, err := os.Readlink(path("link.csv")); err != nil || to != "old.csv" {
			t.Errorf("link: %s, %v", to, err)
		}
		golden.Check(t, "rejects.csv", read(t, path("old.csv")))
		if info, err := os.Stat(path("old.csv")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("others may read who was contacted: %v, %v", info.Mode(), err)
		}
	})
	t.Run("a device is written, not replaced", func(t *testing.T) {
		got := f.run("results", "sale", "-o", os.DevNull)
		if info, err := os.Stat(os.DevNull); got.code != 0 || err != nil || info.Mode().IsRegular() {
			t.Errorf("%+v; %v, %v", got, info, err)
		}
	})
	t.Run("a failure leaves the older file and nothing else", func(t *testing.T) {
		before, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.Redis().Del(t.Context(), "c:{sale}:l:3")
		got := f.run("results", "sale", "-o", path("old.csv"))
		if want := (outcome{"", "campaign: read chunk sale/3: no such chunk\n", 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		golden.Check(t, "rejects.csv", read(t, path("old.csv")))
		if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
			t.Errorf("%d files, %v, want %d", len(after), err, len(before))
		}
	})
	for name, want := range map[string]string{
		"no/such/place.csv": "no such file or directory",
		".":                 "is a directory",
		"old.csv/r":         "not a directory",
	} {
		t.Run(want, func(t *testing.T) {
			got := f.run("rejects", "sale", "-o", dir+"/"+name)
			if got.code != 1 || !strings.HasSuffix(got.stderr, want+"\n") {
				t.Errorf("%+v, want %s", got, want)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHelp(t *testing.T) {
	f := newFixture(t)
	for _, args := range [][]string{{}, {"-h"}, {"watch", "-h"}, {"help", "results"}} {
		got := f.run(args...)
		if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "REDIS_URL") || !strings.Contains(got.stdout, "--json") {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestInterrupted(t *testing.T) {
	f := newFixture(t)
	f.sale()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{"show", "sale"}, nil, &bytes.Buffer{}, &bytes.Buffer{}, f.getenv)
	if got := cli.ExitCode(err); got != 130 {
		t.Errorf("exit %d: %v", got, err)
	}
}

func TestShellsCompleteNames(t *testing.T) {
	f := newFixture(t)
	f.sale()
	for args, want := range map[string]string{
		"__complete show sa":       "sale\n:4\n",
		"__complete show x":        ":4\n",
		"__complete pause sale ''": ":0\n",
		"__complete list sa":       ":0\n",
	} {
		words := strings.Fields(args)
		for i, word := range words {
			words[i] = strings.Trim(word, "'")
		}
		if got := f.run(words...); got.code != 0 || got.stdout != want {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
	if got := f.run("completion", "bash"); got.code != 0 || !strings.Contains(got.stdout, "bash completion") {
		t.Errorf("%+v", got)
	}
}
