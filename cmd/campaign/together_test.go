package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaign-runner/campaign"
)

func TestPauseAndResumeAll(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"a", "b", "by-hand", "later"} {
		f.load(name, 2)
	}
	f.Pass("by-hand", campaign.Paused, "lunch")
	f.Pass("later", campaign.Scheduled, "")
	const later = "campaign: later is scheduled and was not paused: it may start by itself; campaign cancel later ends it\n"
	const byHand = "campaign: by-hand stays paused: lunch; go on with: campaign resume by-hand\n"
	for _, step := range []struct {
		args string
		want outcome
	}{
		{"pause --all", outcome{"2 campaigns are paused: a, b\n", "campaign: Pause 2 campaigns: a, b\n" + later, 0}},
		{"pause --all --json", outcome{`{"campaigns":[],"left":[{"campaign":"later","state":"scheduled","reason":""}]}` + "\n", later, 0}},
		{"resume --all --agent sales", outcome{"no campaign was paused with --all\n", "", 0}},
		{"resume --all --agent Default --yes", outcome{"2 campaigns are running: a, b\n", byHand, 0}},
		{"pause --all --reason stock", outcome{"2 campaigns are paused: a, b\n", "campaign: Pause 2 campaigns: a, b\n" + later, 0}},
		{"resume --all --json --yes", outcome{`{"campaigns":["a","b"],"left":[{"campaign":"by-hand","state":"paused","reason":"lunch"}]}` + "\n", byHand, 0}},
		{"pause a --all", outcome{"", "campaign: pause: want the name of one campaign or --all, not both; campaign pause -h shows how\n", 2}},
		{"pause a --agent default", outcome{"", "campaign: pause: --agent goes with --all; campaign pause -h shows how\n", 2}},
		{"pause", outcome{"", "campaign: pause: want the name of one campaign, have 0; campaign pause -h shows how\n", 2}},
	} {
		if got := f.run(strings.Fields(step.args)...); got != step.want {
			t.Errorf("%s:\n got %+v\nwant %+v", step.args, got, step.want)
		}
	}
}

func TestTitleAndReport(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 3)
	f.move("sale", 0, "", campaign.Send, campaign.Accept)
	if got, want := f.run("set", "sale", "--title", "حملة \u202eالعيد ٢٠٢٧ رقم +966501234567"), (outcome{"sale: --title is حملة العيد ٢٠٢٧ رقم … now, was none\n", "", 0}); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for _, args := range []string{"list", "show sale", "list --json", "show sale --json"} {
		if got := f.run(strings.Fields(args)...); !strings.Contains(got.stdout, "حملة العيد ٢٠٢٧ رقم …") {
			t.Errorf("%s does not tell the title: %+v", args, got)
		}
	}
	if got := f.run("set", "sale", "--title", "two\nlines"); got.code != 2 {
		t.Errorf("got %+v", got)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if got, want := f.run("report", "sale", "-o", file, "--language", "ar"), (outcome{"report of sale written to " + file + "\n", "", 0}); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	page, err := os.ReadFile(file)
	for _, want := range []string{`<html lang="ar" dir="rtl">`, `<bdi dir="auto">حملة العيد ٢٠٢٧ رقم …</bdi>`, `<dt>جهات الاتصال</dt><dd><bdi dir="ltr">3</bdi></dd>`} {
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("the report lacks %s, %v", want, err)
		}
	}
	for args, want := range map[string]string{
		"report sale": `<html lang="en" dir="ltr">`, "report sale --json": `"contacts":3,"states":{"accepted":1,`,
	} {
		if got := f.run(strings.Fields(args)...); got.code != 0 || !strings.Contains(got.stdout, want) || strings.Contains(got.stdout, "96650") {
			t.Errorf("%s: %+v", args, got)
		}
	}
	for args, code := range map[string]int{"report sale --language fr": 2, "report sale -o report.pdf": 2, "report nobody": 1} {
		if got := f.run(strings.Fields(args)...); got.code != code {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
