package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/golden"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
	"campaign-runner/sandbox"
)

func TestMain(m *testing.M) {
	if os.Getenv("ENQUEUE_IS_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

const token = "secret-token"

// A world is what a command finds: a platform, a Redis, files.
type world struct {
	t        *testing.T
	dir      string
	env      map[string]string
	rdb      *redis.Client
	store    *store.Store
	platform *sandbox.Server
	stdin    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	platform, err := sandbox.New(sandbox.Config{ValueKeys: []string{"name", "city"}, Limit: 60, BadNumbers: []string{"+966500000013"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	t.Cleanup(func() { platform.Close() })
	rdb := redistest.Shared(t)
	w := &world{t: t, dir: t.TempDir(), rdb: rdb, store: store.New(rdb), platform: platform}
	w.env = map[string]string{
		"REDIS_URL":     fmt.Sprintf("redis://%s/%d", rdb.Options().Addr, rdb.Options().DB),
		"VELENTS_URL":   server.URL,
		"VELENTS_TOKEN": token,
	}
	t.Chdir(w.dir)
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command line and returns its exit code and what it printed.
func (w *world) run(line string) (code int, stdout, stderr string) {
	w.t.Helper()
	return w.runArgs(strings.Fields(line)...)
}

func (w *world) runArgs(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	err := run(w.t.Context(), args, strings.NewReader(w.stdin), &out, &errs, func(key string) string { return w.env[key] })
	cli.Report(&errs, "enqueue", err)
	for _, text := range []string{out.String(), errs.String()} {
		if strings.Contains(text, token) || strings.Contains(text, "9665000000") || strings.Contains(text, "goroutine") {
			w.t.Errorf("%v prints a token, a number or a stack:\n%s", args, text)
		}
	}
	return cli.ExitCode(err), out.String(), errs.String()
}

const list = `phone,name,city,notes
+966500000001,Ali,Riyadh,a
+966 50 000 0001,Ali,Riyadh,again
00966500000002,سارة,"Jeddah, KSA",b
0500000003,Omar,Dammam,c
123,Nobody,Nowhere,d

+966500000004,Half
+966500000005,Stop,Riyadh,e
`

func TestSummary(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const flags = " --channel voice --region SA --suppress stop.csv "
	for _, tt := range []struct{ golden, line string }{
		{"summary.txt", "list.csv --name spring" + flags},
		{"summary.json", flags + "--json --name spring list.csv"},
		{"canary.txt", "list.csv --name spring --canary 2" + flags},
		{"dry-run.txt", "--dry-run list.csv --name spring --mode dispatch" + flags},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			w := newWorld(t)
			w.write("list.csv", list)
			w.write("stop.csv", "+966500000005\n")
			code, first, errs := w.run(tt.line)
			if code != 3 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			again, second, _ := w.run(tt.line)
			if again != 3 || second != first {
				t.Errorf("again: exit %d, (-first +second):\n%s", again, cmp.Diff(first, second))
			}
			rejects, err := os.ReadFile("spring-rejects.csv")
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(here)
			golden.Check(t, tt.golden, first+"--- stderr\n"+errs)
			if lines := strings.Count(string(rejects), "\n"); lines != 1+5 {
				t.Errorf("%d lines of rejects, want a header and 5:\n%s", lines, rejects)
			}
		})
	}
}

func TestASummarySaysThatNobodyIsContactedBeforeApproval(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if err := w.store.SetPolicy(t.Context(), 1, "ops"); err != nil {
		t.Fatal(err)
	}
	_, out, _ := w.run("list.csv --name spring --channel voice --region SA")
	if !strings.HasPrefix(out, "Campaign spring waits for approval\n") || !strings.Contains(out, "at once, once it is approved\n") {
		t.Errorf("%s", out)
	}
}

func TestKeepForHasADefault(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	w.env["KEEP_FOR"] = "30d"
	for name, want := range map[string]int{"spring": 30, "autumn --keep-for 7d": 7} {
		if code, _, errs := w.run("list.csv --channel voice --region SA --name " + name); code != 3 {
			t.Fatalf("exit %d: %s", code, errs)
		}
		c, err := w.store.Campaign(t.Context(), strings.Fields(name)[0])
		if err != nil || c.Settings.KeepDays != want {
			t.Errorf("%s is kept for %d days, %v", name, c.Settings.KeepDays, err)
		}
	}
}

func TestWhatIsEnqueued(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	w.env["VELENTS_CHANNEL_WHATSAPP"] = "7"
	w.env["WEBHOOK_URL"] = "https://example.org"
	w.env["VELENTS_TOKEN_SALES_KSA"] = token
	delete(w.env, "VELENTS_TOKEN")
	code, _, errs := w.run("list.csv --name spring --channel whatsapp --agent Sales_KSA --region sa --chunk-size 2 --max-attempts 7 --strict-5xx --skip-contacted-within 36h --no-record --keep-for 30d --optout-when extraction.opt_out=true --no-stop-words")
	if code != 3 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	c, err := w.store.Campaign(t.Context(), "spring")
	if err != nil {
		t.Fatal(err)
	}
	optOut, err := campaign.ParseOptOutRule("extraction.opt_out=true")
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Settings{
		Agent: "sales-ksa", Mode: campaign.Batch, ChannelID: 7, ChunkSize: 2, MaxAttempts: 7, Retry5xx: campaign.RetryNone, Region: "SA",
		Columns:    []campaign.Column{{Name: "phone"}, {Name: "name", Key: "name", Required: true}, {Name: "city", Key: "city", Required: true}, {Name: "notes"}},
		WebhookURL: "https://example.org", SkipContactedDays: 2, Unrecorded: true, KeepDays: 30, OptOutWhen: []campaign.Rule{optOut}, NoStopWords: true,
	}
	if diff := cmp.Diff(want, c.Settings, cmpopts.EquateComparable(campaign.Rule{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	tasks, err := w.rdb.LLen(t.Context(), "asynq:{sales-ksa}:pending").Result()
	if err != nil || tasks != 2 {
		t.Errorf("%d tasks, %v, want 2", tasks, err)
	}
	if ref, i, err := w.store.Find(t.Context(), c, 966500000003); err != nil || ref.Chunk != 1 || i != 0 {
		t.Errorf("index: %v, %d, %v", ref, i, err)
	}
	if !strings.Contains(errs, "no worker serves the agent 'sales-ksa' now") {
		t.Errorf("stderr %s", errs)
	}
	const again = "list.csv --name spring --channel whatsapp --agent Sales_KSA --region sa --chunk-size 2 --max-attempts 7 --strict-5xx --skip-contacted-within 2d --no-record --keep-for 30d --optout-when extraction.opt_out=true --no-stop-words"
	for _, listens := range []bool{false, true} {
		if err := w.store.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"sales-ksa"}, Listens: listens}); err != nil {
			t.Fatal(err)
		}
		if _, _, errs := w.run(again); strings.Contains(errs, "no worker") || strings.Contains(errs, "warning: its events: not all") == listens {
			t.Errorf("beside a worker that listens, %t: stderr %s", listens, errs)
		}
	}
	if stats := w.platform.Stats(); stats.Contacts != 0 {
		t.Errorf("%d people were contacted", stats.Contacts)
	}
}

func TestFilesAsTheyAre(t *testing.T) {
	w := newWorld(t)
	const rest = " --channel voice --region SA --json"
	w.write("arabic.csv", "phone;\xc7\xe1\xc7\xd3\xe3;CITY\r\n0500000001;\xd3\xc7\xd1\xc9;x\r\n")
	code, out, errs := w.run("arabic.csv --name a --map الاسم=name" + rest)
	if code != 0 || !strings.Contains(out, `"file":{"format":"csv","encoding":"windows-1256","delimiter":"semicolon","line_ends":"crlf"}`) || !strings.Contains(out, `"columns_sent":["الاسم","CITY"]`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	code, out, errs = w.run("arabic.csv --name b --set name=x --encoding cp1252 --delimiter ; --send-extra" + rest)
	if code != 0 || !strings.Contains(out, `"encoding":"windows-1252"`) || !strings.Contains(out, `"columns_sent":["ÇáÇÓã","CITY"]`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	w.stdin = "phone\tname\tcity\r0500000001\tx\ty\r"
	code, out, errs = w.run("- --name c" + rest)
	if code != 0 || !strings.Contains(out, `"file":{"format":"csv","encoding":"utf-8","delimiter":"tab","line_ends":"cr"}`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	book := excelize.NewFile()
	defer book.Close()
	for cell, value := range map[string]any{"A1": "phone", "B1": "name", "C1": "city", "A2": 966500000001, "B2": "Ali", "C2": "Riyadh"} {
		if err := book.SetCellValue("Sheet1", cell, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.SaveAs("list.xlsx"); err != nil {
		t.Fatal(err)
	}
	code, out, errs = w.run("list.xlsx --name d --sheet sheet1 --channel voice")
	if code != 0 || !strings.Contains(out, `file read as      xlsx, sheet "Sheet1"`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

func TestWhoseNumbersTheyAreIsTold(t *testing.T) {
	w := newWorld(t)
	w.write("codes.csv", "Customers of March\n\nname,Country Code,Mobile,Home\nA,+966,501234567,\nB,971,,501234568\nC,+20,1001234567 / 1001234568,\nD,+965,+966501234569,\nE,+966,521234567\nF,+966,501234560,,\n")
	args := func(name string, more ...string) []string {
		return append([]string{"codes.csv", "--name", name, "--channel", "voice", "--region", "SA", "--skip-preflight", "--phone-column", "Mobile", "--phone-column", "home"}, more...)
	}
	code, out, errs := w.runArgs(args("a")...)
	for _, want := range []string{
		"rows read                   6\n", "contacts                    4\n", "countries         SA 3, AE 1\n", "country by        column Country Code\n",
		"3  column Mobile\n", "1  column Home\n", "doubtful numbers            1\n", "1  in no known range of its country\n", "1  holds two numbers\n", "1  number of another country than its row says\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 3 || !strings.Contains(errs, "line 3 is taken for the header; what stands above it is not read") || !strings.Contains(errs, "--two-numbers first") {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, out, errs = w.runArgs(args("b", "--strict-numbers", "--two-numbers", "first", "--json")...)
	for _, want := range []string{
		`"countries":{"AE":1,"EG":1,"SA":2}`, `"phone_columns":{"Home":1,"Mobile":3}`, `"country_code_column":"Country Code"`, `"header_line":3`,
		`"refused":{"in no known range of its country":1,"number of another country than its row says":1}`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("exit %d, no %s in %s%s", code, want, out, errs)
		}
	}
	if strings.Contains(out, "doubtful") {
		t.Errorf("strict, and doubtful: %s", out)
	}
}

func TestNamesOfColumnsSteerNoTerminal(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", "phone,na\x1b[31mme,\u009b2Jcity\n0501234567,Sara,Riyadh\n")
	code, out, errs := w.run("list.csv --name spring --channel voice --region SA --skip-preflight")
	if code != 0 || !strings.Contains(out, "columns sent      na [31mme,  2Jcity\n") || strings.ContainsAny(out+errs, "\x1b\u009b") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestSheetsAndHiddenRowsOfAWorkbook(t *testing.T) {
	w := newWorld(t)
	book := excelize.NewFile()
	defer book.Close()
	for i, sheet := range []string{"Sheet1", "Jeddah", "lists"} {
		if _, err := book.NewSheet(sheet); err != nil {
			t.Fatal(err)
		}
		first := 966500000001 + 10*i
		for k, row := range [][]any{{"phone", "name", "city"}, {first, "a", "x"}, {first + 1, "b", "x"}} {
			if err := book.SetSheetRow(sheet, fmt.Sprint("A", k+1), &row); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(book.SetRowVisible("Sheet1", 3, false), book.SetSheetVisible("lists", false), book.SaveAs("list.xlsx")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flags string
		code  int
		want  []string
	}{
		{"--name a", 0, []string{`"rows":2,"contacts":2`, `"sheets_not_read":["Jeddah","lists"],"hidden_rows":1`, `only the sheet \"Sheet1\" is read`, `read all the same: 1`}},
		{"--name b --skip-hidden-rows", 3, []string{`"rows":2,"contacts":1,"invalid":1`, `"hidden row":1`}},
		{"--name c --all-sheets", 0, []string{`"rows":4,"contacts":4`, `"all_sheets":true`, `"sheets_not_read":["lists"]`}},
		{"--name d --sheet lists", 0, []string{`"rows":2,"contacts":2`, `"sheet":"lists"`}},
		{"--name e --sheet 2", 0, []string{`"sheet":"Jeddah"`}},
		{"--name f --sheet 2 --all-sheets", 1, nil},
		{"--name a --skip-hidden-rows", 1, nil}, // loaded otherwise
	} {
		code, out, errs := w.run("list.xlsx --channel voice --json " + tt.flags)
		if code != tt.code {
			t.Errorf("%s: exit %d, %s%s", tt.flags, code, out, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %s in %s", tt.flags, want, out)
			}
		}
	}
	rejects, err := os.ReadFile("b-rejects.csv")
	if err != nil || !strings.Contains(string(rejects), "966500000002,b,x,3,hidden row,") {
		t.Errorf("%s, %v", rejects, err)
	}
	if code, out, errs := w.run("append b list.xlsx --sheet Jeddah --json"); code != 0 || !strings.Contains(out, `"contacts":2`) {
		t.Errorf("append: exit %d, %s%s", code, out, errs)
	}
	w.write("list.csv", list)
	if code, _, errs := w.run("list.csv --name g --channel voice --skip-hidden-rows"); code != 1 || !strings.Contains(errs, "which this is not") {
		t.Errorf("a CSV: exit %d, %s", code, errs)
	}
}

func TestContactsThatNoRequestCanCarryAreRefused(t *testing.T) {
	w := newWorld(t)
	var text strings.Builder
	text.WriteString("phone,name,city\n")
	for i := range 20 {
		fmt.Fprintf(&text, "9665%08d,%s,x\n", i, strings.Repeat("long ", 190_000))
	}
	w.write("list.csv", text.String())
	code, _, errs := w.run("list.csv --name a --channel voice")
	if code != 1 || !strings.Contains(errs, "contact file list.csv: line 19: 18 contacts hold more than 16 MB") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, out, errs := w.run("list.csv --name a --channel voice --chunk-size 10 --json"); code != 0 || !strings.Contains(out, `"contacts":20`) {
		t.Errorf("smaller chunks: exit %d, %s%s", code, out, errs)
	}
}

func TestAppend(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if code, _, errs := w.run("list.csv --name spring --channel voice --region SA"); code != 3 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	rejects, err := os.ReadFile("spring-rejects.csv")
	if err != nil {
		t.Fatal(err)
	}
	w.write("fixed.csv", strings.Replace(string(rejects), "123,Nobody", "0500000006,Hind", 1))
	for range 2 {
		code, out, errs := w.run("append spring fixed.csv --json")
		if code != 3 || !strings.Contains(out, `"rows":4,"contacts":1,"invalid":2,"duplicates":1`) || !strings.Contains(errs, "3 lines were not used") {
			t.Errorf("exit %d, %s%s", code, out, errs)
		}
	}
	if _, err := os.Stat("fixed-rejects.csv"); err != nil {
		t.Error(err)
	}
	w.stdin = "phone,name,city,notes\n+966500000007,x,y,z\n"
	code, out, errs := w.run("append spring -")
	if code != 0 || !strings.Contains(out, "contacts                    1\n") || !strings.Contains(errs, "no worker serves the agent 'default' now") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	found, err := w.store.Verify(t.Context(), "spring")
	if err != nil || found.Contacts != 6 || len(found.Problems) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
	w.write("countries.csv", "phone,name,city,notes,Country\n501234568,x,y,z,AE\n")
	for _, tt := range []struct {
		line string
		code int
		want string
	}{
		{"append spring countries.csv", 1, `column "Country" may say whose country the numbers are of, and the campaign reads them as of SA`},
		{"append spring", 2, "accepts 2 arg(s), received 1"},
		{"append a/b list.csv", 2, "campaign name: want"},
		{"append summer list.csv", 1, "no such campaign"},
	} {
		if code, _, errs := w.run(tt.line); code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit %d, %s", tt.line, code, errs)
		}
	}
}

func TestWithoutPreflightTheTokenIsNotNeeded(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", "phone,anything\n+966500000001,x\n")
	delete(w.env, "VELENTS_TOKEN")
	w.env["VELENTS_URL"] = "http://127.0.0.1:1"
	code, out, errs := w.run("list.csv --name spring --channel 3 --skip-preflight --json")
	if code != 0 || !strings.Contains(out, `"columns_sent":["anything"]`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

func TestBadCallsGetOneLine(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	w.write("other.csv", list)
	w.write("empty.csv", "")
	w.write("binary.csv", "PK\x03\x04\x00\x00")
	w.write("nophone.csv", "name,city\nAli,Riyadh\n")
	w.write("nokey.csv", "phone,name\n+966500000001,Ali\n")
	w.write("numbers.csv", "+966500000001\n")
	w.write("nationality.csv", "name,Country,phone\nA,India,0551234567\nB,Jordan,0551234568\n")
	const rest = " --name spring --channel voice"
	for _, tt := range []struct {
		name string
		line string
		env  map[string]string
		code int
		want string
	}{
		{"no file", rest, nil, 2, "want one contact file, have 0 arguments"},
		{"two files", "a b" + rest, nil, 2, "want one contact file, have 2 arguments"},
		{"no name", "list.csv --channel voice", nil, 2, `required flag(s) "name" not set`},
		{"no channel", "list.csv --name spring", nil, 2, `required flag(s) "channel" not set`},
		{"an unknown flag", "list.csv --begin-at noon" + rest, nil, 2, "unknown flag: --begin-at"},
		{"a bad name", "list.csv --name a/b --channel voice", nil, 2, "campaign name: want"},
		{"a bad channel", "list.csv --name spring --channel fax", nil, 2, `--channel: want voice, whatsapp or a positive id`},
		{"WhatsApp without its id", "list.csv --name spring --channel whatsapp", nil, 2, "set VELENTS_CHANNEL_WHATSAPP"},
		{"a bad id of WhatsApp", "list.csv --name spring --channel whatsapp", map[string]string{"VELENTS_CHANNEL_WHATSAPP": "x"}, 2, `"x"`},
		{"a bad mode", "list.csv --mode fast" + rest, nil, 2, `--mode "fast": want batch or dispatch`},
		{"a bad chunk size", "list.csv --chunk-size -1" + rest, nil, 2, `--chunk-size "-1": want a number from 1 to 10000`},
		{"a bad number of attempts", "list.csv --max-attempts 0" + rest, nil, 2, `--max-attempts "0": want a number from 1 to 200`},
		{"a bad region", "list.csv --region Riyadh" + rest, nil, 2, `region "RIYADH"`},
		{"a bad encoding", "list.csv --encoding latin" + rest, nil, 2, `encoding "latin": want utf-8, `},
		{"a bad delimiter", "list.csv --delimiter ,," + rest, nil, 2, `delimiter ",,": want comma`},
		{"a bad choice of two numbers", "list.csv --two-numbers both" + rest, nil, 2, "want refuse or first"},
		{"a bad line of the header", "list.csv --header-line -1" + rest, nil, 2, "--header-line -1: want 1 or more"},
		{"a column of countries that may be nationalities", "nationality.csv --region SA --skip-preflight" + rest, nil, 1, `column 2 "Country" may give the country of the numbers, but 2 of 2 numbers beside it are not of the country it names: give --country-column Country or --country-code-column Country if it does, --country-column none if it does not`},
		{"a bad mapping", "list.csv --map name" + rest, nil, 2, "name must be formatted as key=value"},
		{"a bad number of days", "list.csv --skip-contacted-within 91d" + rest, nil, 2, "want a time from 1h to 90d"},
		{"an opt-out that is no rule", "list.csv --optout-when opt_out" + rest, map[string]string{"WEBHOOK_URL": "https://example.org"}, 2, `--optout-when: "opt_out": want extraction.KEY=VALUE`},
		{"an opt-out without events", "list.csv --optout-when extraction.a=b" + rest, nil, 2, "--optout-when: set WEBHOOK_URL"},
		{"a time that is too long", "list.csv --keep-for 4000d" + rest, nil, 2, "want a time from 1h to 3650d"},
		{"a default that is too long", "list.csv" + rest, map[string]string{"KEEP_FOR": "4000d"}, 2, `KEEP_FOR "4000d": want a time from 1h to 3650d`},
		{"a name that is a phone number", "list.csv --name 050-123-4567 --channel voice", nil, 2, "campaign name: it may hold a phone number"},
		{"a number of days without its unit", "list.csv --skip-contacted-within 7" + rest, nil, 2, "want a time from 1h to 90d"},
		{"a bad rate", "list.csv" + rest, map[string]string{"VELENTS_RATE": "30"}, 2, `VELENTS_RATE: rate "30"`},
		{"a bad agent", "list.csv --agent a.b" + rest, nil, 2, "agent: want"},
		{"a bad address of the platform", "list.csv" + rest, map[string]string{"VELENTS_URL": "platform"}, 2, "VELENTS_URL: want http:// or https://"},
		{"a bad webhook address", "list.csv" + rest, map[string]string{"WEBHOOK_URL": "inbox"}, 2, "WEBHOOK_URL: want"},
		{"no token", "list.csv" + rest, map[string]string{"VELENTS_TOKEN": ""}, 2, "VELENTS_TOKEN is not set: the API token of the agent 'default'"},
		{"no token of another agent", "list.csv --agent sales" + rest, nil, 2, "VELENTS_TOKEN_SALES is not set"},
		{"a missing file", "nope.csv" + rest, nil, 1, "contact file nope.csv: no such file or directory"},
		{"a directory", "." + rest, nil, 1, "it is a directory"},
		{"an empty file", "empty.csv" + rest, nil, 1, "the file is empty"},
		{"a binary file", "binary.csv" + rest, nil, 1, "an Excel workbook"},
		{"no phone column", "nophone.csv" + rest, nil, 1, `no phone column: the columns are "name", "city"`},
		{"no header", "numbers.csv" + rest, nil, 1, "no phone column"},
		{"a missing value", "nokey.csv" + rest, nil, 1, `missing "city"; the columns are "phone", "name"`},
		{"Redis down", "list.csv" + rest, map[string]string{"REDIS_URL": "redis://127.0.0.1:1"}, 1, "worker --embedded-redis"},
		{"a bad address of Redis", "list.csv" + rest, map[string]string{"REDIS_URL": "localhost"}, 2, "REDIS_URL: want"},
		{"rejects into the list itself", "list.csv --rejects ./list.csv" + rest, nil, 1, "rejects file ./list.csv: that is the contact file"},
		{"rejects over another file", "list.csv --rejects other.csv" + rest, nil, 1, "rejects file other.csv: there is another file of that name"},
		{"rejects into no directory", "list.csv --rejects gone/r.csv" + rest, nil, 2, "--rejects gone/r.csv: no such directory"},
		{"chunks of nobody", "list.csv --chunk-size 0" + rest, nil, 2, `--chunk-size "0": want a number from 1 to 10000`},
		{"a test without number", "test --channel voice", nil, 2, `required flag(s) "to" not set`},
		{"a test of a bad number", "test --channel voice --to 0500000001", nil, 2, "--to: no country code"},
		{"a test in a bad region", "test --channel voice --to 1 --region XX", nil, 2, "--region"},
		{"a test on a bad channel", "test --channel fax --to 1", nil, 2, "--channel"},
		{"a test without token", "test --channel voice --to +966500000001", map[string]string{"VELENTS_TOKEN": ""}, 2, "VELENTS_TOKEN is not set"},
		{"a template without token", "template", map[string]string{"VELENTS_TOKEN": ""}, 2, "VELENTS_TOKEN is not set"},
		{"a rerun of nothing", "rerun", nil, 2, "name the campaign, or say --since"},
		{"a rerun since never", "rerun --since x", nil, 2, "--since: want a time such as 7d or 36h"},
		{"a rerun of an agent's", "rerun spring --agent a", nil, 2, "--agent: it needs --since"},
		{"a rerun in the past", "rerun spring --start-at 2020-01-01T00:00:00Z", nil, 2, "--start-at: 2020-01-01T00:00:00Z is over"},
		{"a rerun at a time of no clock", "rerun spring --start-at '2030-01-01'", nil, 2, "--start-at: time"},
		{"a rerun of a bad name", "rerun a/b", nil, 2, "campaign name"},
		{"a rerun of a bad state", "rerun spring --state accepted", nil, 2, `--state "accepted": want rejected, failed, unconfirmed or canceled`},
		{"a rerun of an unknown campaign", "rerun nope", nil, 1, "no such campaign"},
		{"a rerun with Redis down", "rerun spring", map[string]string{"REDIS_URL": "redis://127.0.0.1:1"}, 1, "redis at 127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			was := w.env
			w.env = map[string]string{}
			for key, value := range was {
				w.env[key] = value
			}
			for key, value := range tt.env {
				w.env[key] = value
			}
			code, out, errs := w.run(tt.line)
			if code != tt.code || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d and %s", code, out, errs, tt.code, tt.want)
			}
			for _, key := range w.rdb.Keys(t.Context(), "*").Val() {
				if !strings.HasPrefix(key, "quota:") { // of the requests that were made
					t.Errorf("%s is left in Redis", key)
				}
			}
		})
	}
}

func TestPlatformThatRefusesTheToken(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if err := w.platform.SetFaults(sandbox.Faults{Unauthorized: true}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"list.csv --name spring --channel voice",
		"list.csv --name spring --channel voice --dry-run",
		"test --to +966500000001 --channel voice",
		"template",
	} {
		code, out, errs := w.run(line)
		if code != 1 || out != "" || errs != "enqueue: VELENTS_TOKEN: the platform refuses the token (401)\n" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", line, code, out, errs)
		}
	}
}

// Something answers there, and it is not the platform: the address is said.
func TestAnAddressWhereThePlatformIsNot(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	address := w.env["VELENTS_URL"] + "/elsewhere"
	w.env["VELENTS_URL"] = address
	for _, line := range []string{"list.csv --name spring --channel voice", "template", "test --to +966500000001 --channel voice"} {
		if code, _, errs := w.run(line); code != 1 || !strings.Contains(errs, "status 404") || !strings.HasSuffix(errs, "; VELENTS_URL is "+address+"\n") {
			t.Errorf("%s: exit %d, %s", line, code, errs)
		}
	}
}

func TestTestContactsOneNumberOnce(t *testing.T) {
	w := newWorld(t)
	values := []string{"--value", "name=Ali", "--value", "city=Riyadh, KSA"}
	args := append([]string{"test", "--to", "0500000001", "--region", "SA", "--channel", "voice"}, values...)
	code, out, errs := w.runArgs(args...)
	if code != 0 || !strings.HasPrefix(out, "the platform accepted +…0001, conversation ") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if stats := w.platform.Stats(); stats.Contacts != 1 {
		t.Errorf("%d contacts", stats.Contacts)
	}
	code, out, _ = w.runArgs(append(args, "--json")...)
	var result struct {
		To       string
		Accepted bool
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil || code != 0 || !result.Accepted || result.To != "+…0001" {
		t.Errorf("exit %d, %s", code, out)
	}

	code, _, errs = w.run("test --to +966500000001 --channel voice")
	if code != 1 || !strings.HasPrefix(errs, "enqueue: the platform refused +…0001: status 422: The values.name field is required.") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if err := w.platform.SetFaults(sandbox.Faults{ResetAfter: 1}); err != nil {
		t.Fatal(err)
	}
	code, _, errs = w.runArgs(args...)
	if code != 1 || !strings.HasPrefix(errs, "enqueue: +…0001 may have been contacted, or not: no answer") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestTestLeavesOutWhoAsksNotToBeContacted(t *testing.T) {
	w := newWorld(t)
	if _, err := w.store.Suppress(t.Context(), []campaign.Phone{525512345678}); err != nil {
		t.Fatal(err)
	}
	code, _, errs := w.run("test --to +5215512345678 --channel voice --value name=Ali --value city=Riyadh") // the same person
	if code != 1 || !strings.HasPrefix(errs, "enqueue: +…5678 is on the do-not-contact list") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if stats := w.platform.Stats(); stats.Contacts != 0 {
		t.Errorf("%d contacts", stats.Contacts)
	}
}

func TestAfterWhichFailuresContactsAreSentAgain(t *testing.T) {
	for _, tt := range []struct {
		name, flags string
		env         map[string]string
		want        campaign.Retry5xx
		code        int
	}{
		{"after the platform's own, by default", "", nil, campaign.RetryOwn, 3},
		{"as it is said", "--retry-5xx all", nil, campaign.RetryAll, 3},
		{"strictly after none", "--strict-5xx", nil, campaign.RetryNone, 3},
		{"not strictly", "--strict-5xx=false", nil, campaign.RetryOwn, 3},
		{"as the environment says", "", map[string]string{"VELENTS_RETRY_5XX": "none"}, campaign.RetryNone, 3},
		{"strictly, as the environment says", "", map[string]string{"VELENTS_STRICT_5XX": "true"}, campaign.RetryNone, 3},
		{"a flag beats the environment", "--retry-5xx own", map[string]string{"VELENTS_RETRY_5XX": "all", "VELENTS_STRICT_5XX": "1"}, campaign.RetryOwn, 3},
		{"the strict flag beats the environment", "--strict-5xx", map[string]string{"VELENTS_RETRY_5XX": "all"}, campaign.RetryNone, 3},
		{"not as nobody understands", "--retry-5xx some", nil, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.write("list.csv", list)
			for variable, value := range tt.env {
				w.env[variable] = value
			}
			code, _, errs := w.run("list.csv --name spring --channel 3 --region sa " + tt.flags)
			if code != tt.code {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if tt.code == 2 {
				if !strings.Contains(errs, "want own, all or none") {
					t.Error(errs)
				}
				return
			}
			c, err := w.store.Campaign(t.Context(), "spring")
			if err != nil || c.Settings.Retry5xx != tt.want {
				t.Errorf("%q, %v, want %q", c.Settings.Retry5xx, err, tt.want)
			}
		})
	}
}

func TestHelpShowsEveryFlag(t *testing.T) {
	w := newWorld(t)
	_, out, _ := w.run("-h")
	out = strings.Join(strings.Fields(out), " ") // lines break anywhere
	for _, want := range []string{
		"--name NAME", "--channel voice|whatsapp|ID", "--agent NAME", "--mode", "--chunk-size", "--region", "--phone-column", "--suppress",
		"--encoding", "--delimiter", "--sheet", "--map", "--set", "--send-extra",
		"--dry-run", "--skip-preflight", "--max-attempts", "--retry-5xx own|all|none", "[$VELENTS_RETRY_5XX] (default own)", "--strict-5xx", "--rate", "--json", "--rejects",
		"[$VELENTS_RATE] (default 30/60s)", "REDIS_URL", "VELENTS_URL", "VELENTS_TOKEN", "VELENTS_CHANNEL_WHATSAPP", "WEBHOOK_URL",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("help lacks %s:\n%s", want, out)
		}
	}
}

func TestTemplate(t *testing.T) {
	w := newWorld(t)
	if code, out, errs := w.run("template"); code != 0 || out != "phone,name,city\n" {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
	if code, out, errs := w.run("template --json"); code != 0 || out != `{"csv":"phone,name,city\n"}`+"\n" {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestRerun(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if code, _, errs := w.run("list.csv --name spring --channel voice"); code != 3 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	ctx := t.Context()
	chunk, err := w.store.ReadLedger(ctx, store.Ref{Campaign: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	begin := store.Change{Act: store.Begin, Token: "w/1", ClaimTTL: time.Minute}
	begin.Moves = []store.Move{{Index: 0, Move: campaign.Move{Cause: campaign.Send}}, {Index: 1, Move: campaign.Move{Cause: campaign.Send}}}
	if _, err := w.store.Apply(ctx, chunk, begin); err != nil {
		t.Fatal(err)
	}
	commit := store.Change{Act: store.Commit, Token: "w/1"}
	commit.Moves = []store.Move{{Index: 0, Move: campaign.Move{Cause: campaign.Fail, InDoubt: true}}, {Index: 1, Move: campaign.Move{Cause: campaign.Lose}}}
	if _, err := w.store.Apply(ctx, chunk, commit); err != nil {
		t.Fatal(err)
	}

	code, out, errs := w.run("rerun spring --reason nothing")
	if code != 0 || out != "0 contacts of spring to be sent again; the campaign is running\n" || errs != "" {
		t.Errorf("no such reason: exit %d, %s%s", code, out, errs)
	}
	code, out, errs = w.run("rerun spring --dry-run")
	if code != 0 || out != "1 contact of spring would be sent again; the campaign is running\n" || !strings.Contains(errs, "warning: 1 contact may have been contacted already") {
		t.Errorf("a dry run: exit %d, %s%s", code, out, errs)
	}
	for args, want := range map[string]string{
		"--state ended":         "--state ended: say with --where what the conversations came to",
		"--state started":       `--state "started": want rejected, failed, unconfirmed or canceled, or ended with --where`,
		"--where state=ended":   "--state ended: say with --where what the conversations came to",
		"--where state=sending": `--state "sending": want rejected, failed, unconfirmed or canceled, or ended with --where`,
		"--where column.Town=x": "rule column.Town=x: there is no such column",
		"--where intent=buy":    `--where "intent=buy": want state=STATE, reason=TEXT, ended.answered, ended.no_answer, extraction.KEY=VALUE or column.NAME=VALUE`,
	} {
		if code, out, errs := w.run("rerun spring " + args); code != 2 && !strings.Contains(args, "Town") || code == 0 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s%s", args, code, out, errs)
		}
	}
	for args, want := range map[string]string{
		"--where state=unconfirmed":                      "1 contact",
		"--where state!=failed":                          "0 contacts", // of the failed: nobody is sent again because it was not named
		"--where reason!=x --where column.phone!=nobody": "1 contact",
	} {
		if code, out, errs := w.run("rerun spring --dry-run " + args); code != 0 || out != want+" of spring would be sent again; the campaign is running\n" {
			t.Errorf("%s: exit %d, %s%s", args, code, out, errs)
		}
	}
	if code, out, errs := w.run("rerun spring --where ended.no_answer"); code != 0 || out != "0 contacts of spring to be sent again; the campaign is running\n" {
		t.Errorf("nobody has ended: exit %d, %s%s", code, out, errs)
	}
	code, out, errs = w.run("rerun spring --json")
	if code != 0 || out != `{"campaign":"spring","contacts":1,"left_out":0,"may_have_been_reached":1,"state":"running"}`+"\n" || !strings.Contains(errs, "no worker") {
		t.Errorf("the failed: exit %d, %s%s", code, out, errs)
	}
	if _, _, err := w.store.SetPhase(ctx, "spring", campaign.Paused, campaign.Message{}, campaign.Running); err != nil {
		t.Fatal(err)
	}
	code, out, errs = w.run("rerun --state failed,unconfirmed spring")
	if code != 0 || out != "1 contact of spring to be sent again; the campaign is paused\n" ||
		!strings.Contains(errs, "warning: 1 contact may have been contacted already; those who were are contacted twice") || !strings.Contains(errs, "'campaign resume spring'") {
		t.Errorf("the unconfirmed of a paused campaign: exit %d, %s%s", code, out, errs)
	}
}

func TestRerunOfSeveralCampaigns(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	for _, name := range []string{"spring", "summer", "other"} {
		if code, _, errs := w.run("list.csv --name " + name + " --channel voice"); code != 3 {
			t.Fatalf("exit %d: %s", code, errs)
		}
		if name == "other" {
			continue
		}
		queue := jobs.NewQueue(w.store, nil)
		if _, err := queue.Cancel(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := w.run("rerun --since 7d --state canceled --limit 4 --dry-run --json")
	var got struct {
		Campaigns []struct {
			Campaign string
			Contacts int
		}
		Contacts int
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	if len(got.Campaigns) != 2 || got.Campaigns[0].Campaign != "spring" || got.Campaigns[0].Contacts != 3 || got.Campaigns[1].Contacts != 1 || got.Contacts != 4 {
		t.Errorf("%s", out)
	}
	if code, out, _ = w.run("rerun --since 7d --agent sales --state canceled"); code != 0 || out != "0 contacts of 0 campaigns\n" {
		t.Errorf("of another agent: exit %d, %s", code, out)
	}
	code, out, errs = w.run("rerun spring nosuch summer --state canceled")
	want := "3 contacts of spring to be sent again; the campaign is running\n3 contacts of summer to be sent again; the campaign is running\n6 contacts of 2 campaigns\n"
	if code != 1 || out != want || !strings.Contains(errs, "nosuch is left out: ") || strings.Count(errs, "no worker serves") != 1 {
		t.Errorf("one of them is unknown: exit %d, %s%s", code, out, errs)
	}
}

// A stalling proxy stands before Redis and stalls after that many bytes.
type stalling struct {
	addr  string
	stall chan struct{} // closed once it does
}

func newStalling(t *testing.T, target string, bytes int) *stalling {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stalling{addr: listener.Addr().String(), stall: make(chan struct{})}
	var mu sync.Mutex
	closed := make(chan struct{})
	pass := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		if bytes -= n; bytes > 0 {
			return true
		}
		select {
		case <-s.stall:
		default:
			close(s.stall)
		}
		return false
	}
	t.Cleanup(func() {
		close(closed)
		listener.Close()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			go func() {
				defer client.Close()
				defer server.Close()
				buf := make([]byte, 4096)
				for {
					n, err := client.Read(buf)
					if err != nil {
						return
					}
					if !pass(n) {
						<-closed
						return
					}
					if _, err := server.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
			go func() {
				buf := make([]byte, 4096)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s
}

// midLoad prepares a list of 20,000 and a Redis that stalls while it is loaded.
func midLoad(t *testing.T) (*world, *stalling, string) {
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("phone,name,city\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "+96650%07d,Person %d,City %d\n", 100+i, i, i%7)
	}
	w.write("list.csv", b.String())
	proxy := newStalling(t, w.rdb.Options().Addr, 320_000)
	return w, proxy, fmt.Sprintf("redis://%s/%d", proxy.addr, w.rdb.Options().DB)
}

func (w *world) mustBeLoading() {
	w.t.Helper()
	c, err := w.store.Campaign(w.t.Context(), "spring")
	if err != nil || c.Phase != campaign.Loading {
		w.t.Fatalf("not killed in mid-load: %+v, %v", c, err)
	}
	open, err := w.store.Open(w.t.Context(), "spring", time.Time{}, 0)
	if err != nil || len(open) == 0 {
		w.t.Fatalf("not killed in mid-load: %d chunks stored, %v", len(open), err)
	}
	if n := w.rdb.Exists(w.t.Context(), "asynq:queues").Val(); n != 0 {
		w.t.Fatal("somebody may be contacted")
	}
}

func (w *world) mustLoadAnew() {
	w.t.Helper()
	code, _, errs := w.run("list.csv --name spring --channel voice")
	if code != 0 {
		w.t.Fatalf("exit %d: %s", code, errs)
	}
	found, err := w.store.Verify(w.t.Context(), "spring")
	if err != nil || found.Contacts != 20_000 || len(found.Problems) > 0 {
		w.t.Errorf("verify: %+v, %v", found, err)
	}
	if n := w.rdb.LLen(w.t.Context(), "asynq:{default}:pending").Val(); n != 40 {
		w.t.Errorf("%d tasks, want 40", n)
	}
}

func TestKilledInMidLoadStartsAnew(t *testing.T) {
	w, proxy, url := midLoad(t)
	cmd := exec.Command(os.Args[0], "list.csv", "--name", "spring", "--channel", "voice")
	cmd.Env = []string{"ENQUEUE_IS_MAIN=1", "REDIS_URL=" + url, "VELENTS_URL=" + w.env["VELENTS_URL"], "VELENTS_TOKEN=" + token}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-proxy.stall
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	w.mustBeLoading()
	w.mustLoadAnew()
}

func TestInterruptedInMidLoadSaysWhatIsLeft(t *testing.T) {
	w, proxy, url := midLoad(t)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-proxy.stall
		interrupt()
	}()
	w.env["REDIS_URL"] = url
	err := run(ctx, strings.Fields("list.csv --name spring --channel voice"), nil, &bytes.Buffer{}, &bytes.Buffer{},
		func(key string) string { return w.env[key] })
	const want = "interrupted: spring is not loaded and nobody of it is contacted; the same command starts it anew"
	if cli.ExitCode(err) != 130 || err.Error() != want {
		t.Fatalf("exit %d: %v", cli.ExitCode(err), err)
	}
	w.mustBeLoading()
	w.env["REDIS_URL"] = fmt.Sprintf("redis://%s/%d", w.rdb.Options().Addr, w.rdb.Options().DB)
	w.mustLoadAnew()
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false)
	p.show(0, 200, 0)
	p.show(50, 200, 1000)
	if out.Len() > 0 {
		t.Errorf("too often: %s", out.String())
	}
	p.told = p.told.Add(-lineEvery)
	p.show(100, 200, 12_000)
	p.close()
	if !strings.HasPrefix(out.String(), "50% read, 12,000 rows, ") {
		t.Errorf("line %q", out.String())
	}
	out.Reset()
	quiet := newProgress(&out, true)
	quiet.show(0, 200, 0)
	quiet.close()
	if out.Len() > 0 {
		t.Errorf("with --json: %q", out.String())
	}
}
