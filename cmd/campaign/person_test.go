package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
)

// runWith types stdin into a run of the command.
func (f fixture) runWith(stdin string, args ...string) outcome {
	f.T.Helper()
	var stdout, stderr bytes.Buffer
	err := run(f.T.Context(), args, strings.NewReader(stdin), &stdout, &stderr, f.getenv)
	cli.Report(&stderr, "campaign", err)
	return outcome{stdout.String(), stderr.String(), cli.ExitCode(err)}
}

func TestPerson(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	f.load("spring", 2)
	f.move("sale", 0, "no such number", campaign.Send, campaign.Reject)
	file := filepath.Join(t.TempDir(), "person.json")
	const number = "+966501000000"
	for _, step := range []struct {
		name, args, stdin string
		code              int
		stdout, stderr    string // what must stand there
	}{
		{"lists campaigns", "person " + number, "", 0, "sale         2  rejected  no such number         1", ""},
		{"lists lists", "person " + number, "", 0, "do-not-contact list  no\n", ""},
		{"reads the number", "person -", "0501000000\n", 2, "", "campaign: number: no country code"},
		{"reads the number by its region", "person - --region SA", " 050 100 0000\r\n", 0, "spring       2  pending", ""},
		{"wants one number", "person -", number + "\n" + number + "\n", 2, "", "want one number, have 2 lines"},
		{"wants any number", "person -", "\n", 2, "", "campaign: standard input: no number in it\n"},
		{"does not repeat what is no number", "person 0501000", "", 2, "", "campaign: number: "},
		{"tells in JSON", "person --json " + number, "", 0, `{"phone":"+…0000","do_not_contact":false,"contacted":[],"contacts":[{"campaign":"sale","line":2,"state":"rejected","reason":"no such number","attempts":1,`, ""},
		{"says that there is nobody", "person +966501000009", "", 0, "+…0009 is in no campaign\n", ""},
		{"writes a file", "person " + number + " -o " + file, "", 0, "2 contacts written to " + file + "\n", ""},
		{"writes to stdout", "person " + number + " -o -", "", 0, `"cells":[{"column":"الاسم","value":"فاطمة 0"},{"column":"phone","value":"+966501000000"}]`, ""},
		{"asks where nobody can be asked", "person --erase " + number, "", 2, "", "campaign: person --erase: it cannot be undone; say --yes\n"},
		{"has no half erasure", "person --may-be-contacted " + number, "", 2, "", "campaign: --may-be-contacted goes with --erase\n"},
		{"erases", "person --erase --yes " + number, "", 0, "erased: 2 contacts, 0 refused lines, 0 events, 0 wishes, 0 days of the contact record\nthe number is on the do-not-contact list", "campaign: not erased, because it is out of reach: "},
		{"erases once", "person --erase --yes " + number, "", 0, "erased: 0 contacts, ", ""},
		{"leaves the list alone", "person --erase --yes --may-be-contacted +966501000001", "", 0, "the number is not on the do-not-contact list: the next list with it contacts them again\n", ""},
		{"adds up", "verify sale", "", 0, "ok: 2 contacts, states add up\n", ""},
		{"shows how many", "show sale", "", 0, "2 in 1 chunk; 3 of 5 rows refused; 2 erased\n", ""},
		{"has results without them", "results sale", "", 0, "\n,,,rejected,no such number,1,0,2026-01-02T03:04:05Z,,,,,,true\n", ""},
		{"logs it", "log sale", "", 0, "erase in chunk 0; 1 rejected\n", ""},
		{"does not send them again", "list --json", "", 0, `"state":"finished"`, ""},
		{"names what it leaves", "person --erase --yes " + number, "", 3, "erased: 0 contacts", "not erased there: sale (an append to it has not ended"},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.code == 3 {
				if _, err := f.BeginAppend(t.Context(), "sale", "more"); err != nil {
					t.Fatal(err)
				}
			}
			got := f.runWith(step.stdin, strings.Fields(step.args)...)
			if got.code != step.code || !strings.Contains(got.stdout, step.stdout) || !strings.Contains(got.stderr, step.stderr) {
				t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
			}
			if written := strings.Contains(step.args, " -o "); !written && strings.Contains(got.stdout+got.stderr, "501000000") {
				t.Errorf("the number stands in\n%s%s", got.stdout, got.stderr)
			}
		})
	}
	text, err := os.ReadFile(file)
	if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte(number)) {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Numbers need not stand on the command line, where a shell remembers them and ps shows them.
func TestNumbersAreReadFromTheStandardInput(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	f.move("sale", 1, "", campaign.Send, campaign.Accept)
	for _, step := range []struct {
		args, stdin    string
		code           int
		stdout, stderr string
	}{
		{"suppress add -", "\ufeff+966501000000\r\n\n+966501000001\n", 0, "2 numbers put on the list, 0 already\n", ""},
		{"suppress remove - +966501000001", "+966501000000", 0, "2 numbers taken off the list, 0 already\n", ""},
		{"suppress add -", "+966501000000\nnobody\n", 2, "", "campaign: number 2: not a phone number; nothing was changed\n"},
		{"suppress add -", "", 2, "", "campaign: standard input: no number in it\n"},
		{"suppress add -", strings.Repeat(" ", maxTypedBytes+1), 2, "", "campaign suppress import reads files\n"},
		{"log sale --contact -", "+966501000001\n", 0, "", ""},
		{"log sale --contact -", "+966501000009\n", 1, "", "campaign: campaign sale: no contact +…0009 in it\n"},
	} {
		got := f.runWith(step.stdin, strings.Fields(step.args)...)
		if got.code != step.code || !strings.Contains(got.stdout, step.stdout) || !strings.HasSuffix(got.stderr, step.stderr) {
			t.Errorf("%s: exit %d\n%s%s", step.args, got.code, got.stdout, got.stderr)
		}
	}
}

func TestConfirmErase(t *testing.T) {
	var stderr bytes.Buffer
	if err := (&app{stdin: strings.NewReader("erase\n"), stderr: &stderr}).sure("person --erase", "erase", "go on", nil); cli.ExitCode(err) != 2 {
		t.Errorf("where nobody can be asked: %v", err)
	}
}
