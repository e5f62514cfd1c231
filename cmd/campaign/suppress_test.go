package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

func TestDoNotContactList(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "stop.csv")
	if err := os.WriteFile(file, []byte("phone;reason\r\n0500000003;asked\r\n0500000003;again\r\n+966500000004;x\r\nnobody;x\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"suppress", "list"}, 0, "phone\n", "0 numbers\n"},
		{[]string{"suppress", "add", "+966500000001", "0500000001", "0500000002", "--region", "SA"}, 0, "2 numbers put on the list, 0 already\n", ""},
		{[]string{"suppress", "add", "+966500000001", "--json"}, 0, `{"numbers":1,"changed":0,"unreadable":0}` + "\n", ""},
		{[]string{"suppress", "import", file, "--region", "SA"}, 3, "2 numbers put on the list, 0 already\n", "campaign: 1 line of the file without a usable number: they are not on the list\n"},
		{[]string{"suppress", "remove", "+966500000001", "+966500000002", "+966500000003", "+966500000009"}, 0, "3 numbers taken off the list, 1 already\n", ""},
		{[]string{"suppress", "list"}, 0, "phone\n+966500000004\n", "1 number\n"},
		{[]string{"suppress", "add", "12"}, 2, "", "campaign: number 1: number too short; nothing was changed\n"},
		{[]string{"suppress", "add", "12", "--region", "XX"}, 2, "", `campaign: --region: region "XX": want an ISO 3166 code of two letters, such as SA` + "\n"},
		{[]string{"suppress", "import", file, "--region", "XX"}, 2, "", `campaign: --region: region "XX": want an ISO 3166 code of two letters, such as SA` + "\n"},
		{[]string{"suppress", "add"}, 2, "", "campaign: requires at least 1 arg(s), only received 0; campaign suppress add -h shows how\n"},
		{[]string{"suppress", "import", "nope.csv"}, 1, "", "campaign: nope.csv: no such file or directory\n"},
		{[]string{"suppress", "import", dir}, 1, "", "campaign: " + dir + ": not a regular file\n"},
		{[]string{"suppress", "list", "--json"}, 2, "", "campaign: --json tells of a file: give -o FILE; the numbers themselves are CSV; campaign suppress list -h shows how\n"},
	} {
		got := f.run(tt.args...)
		if got != (outcome{tt.stdout, tt.stderr, tt.code}) {
			t.Errorf("%s: %+v", strings.Join(tt.args, " "), got)
		}
	}
	codes := filepath.Join(dir, "codes.csv")
	if err := os.WriteFile(codes, []byte("Stop list\nname,مفتاح الدولة,Mobile\nA,+971,501234568\nB,20,1001234567 / 1001234568\nC,971,+966501234567\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := f.run("suppress", "import", codes, "--region", "SA")
	if got.code != 3 || got.stdout != "3 numbers put on the list, 0 already\n" || !strings.Contains(got.stderr, `column "مفتاح الدولة" gives the country of the numbers`) || !strings.Contains(got.stderr, "line 2 is taken for the header") {
		t.Errorf("%+v", got)
	}
	listed := f.run("suppress", "list").stdout
	for _, number := range []string{"+201001234567\n", "+201001234568\n", "+966500000004\n", "+971501234568\n"} {
		if !strings.Contains(listed, number) {
			t.Errorf("no %s in %s", number, listed)
		}
	}
	book := excelize.NewFile()
	defer book.Close()
	for sheet, column := range map[string][]string{"2025": {"phone", "0500000005"}, "2026": {"phone", "0500000006"}, "notes": {"who", "what"}, "old": {"phone", "0500000007"}} {
		if _, err := book.NewSheet(sheet); err != nil {
			t.Fatal(err)
		}
		if err := book.SetSheetCol(sheet, "A1", &column); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(book.SetCellValue("notes", "B1", "why"), book.SetSheetVisible("old", false), book.DeleteSheet("Sheet1"), book.SaveAs(filepath.Join(dir, "stop.xlsx")))
	if err != nil {
		t.Fatal(err)
	}
	got = f.run("suppress", "import", filepath.Join(dir, "stop.xlsx"), "--region", "SA")
	if got.code != 3 || got.stdout != "2 numbers put on the list, 0 already\n" || !strings.Contains(got.stderr, `hidden sheets are not read: "old"`) || !strings.Contains(got.stderr, `the sheet "notes" is not read: no phone column`) {
		t.Errorf("%+v", got)
	}
	got = f.run("suppress", "import", filepath.Join(dir, "stop.xlsx"), "--region", "SA", "--sheet", "old")
	if got.code != 0 || got.stdout != "1 number put on the list, 0 already\n" {
		t.Errorf("%+v", got)
	}
	out := filepath.Join(dir, "list.csv")
	if got := f.run("suppress", "list", "-o", out, "--json"); got.stdout != `{"rows":7,"file":"`+out+`"}`+"\n" || got.code != 0 {
		t.Errorf("%+v", got)
	}
}
