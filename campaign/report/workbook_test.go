package report_test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

func TestWorkbook(t *testing.T) {
	f := newFixture(t)
	told(f)
	var out bytes.Buffer
	n, err := report.Results{Format: report.XLSX, States: []campaign.State{campaign.Started}}.Write(t.Context(), f.Store, "told", &out)
	if err != nil || n != 3 {
		t.Fatalf("%d contacts, %v", n, err)
	}
	book, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("Results")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"Extraction.intent (file)", "phone", "messages (file)", "phone_e164", "state", "reason", "attempts", "run", "changed_at", "conversation_id", "started_at", "ended_at", "messages",
			"may_have_been_reached", "extraction.=1+1", "extraction.budget", "extraction.intent", "extraction.when"},
		{"x", "+966501000000", "7", "+966501000000", "started", "", "1", "0", "2026-01-02T03:04:05Z", "conv-1", "2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z", "2", "", "true", "", "buy", `{"day":"=monday"}`},
		{"x", "+966501000001", "7", "+966501000001", "started", "", "1", "0", "2026-01-02T03:04:05Z", "conv-2", "2026-01-02T03:04:05Z", "", "0", "", "", "100"},
		{"x", "+966501000002", "7", "+966501000002", "started", "", "1", "0", "2026-01-02T03:04:05Z", "conv-3", "2026-01-02T03:04:05Z", "", "2"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for cell, want := range map[string]excelize.CellType{"C2": excelize.CellTypeInlineString, "G2": excelize.CellTypeNumber, "M2": excelize.CellTypeNumber} {
		if got, err := book.GetCellType("Results", cell); err != nil || (got != want && !(want == excelize.CellTypeNumber && got == excelize.CellTypeUnset)) {
			t.Errorf("%s is of type %v, want %v: %v", cell, got, want, err)
		}
	}
}

func TestWorkbooksOfArabicListsReadFromTheRight(t *testing.T) {
	for _, tt := range []struct {
		name    string
		columns []string
		want    bool
	}{
		{"Arabic", []string{"الاسم", "رقم الجوال"}, true},
		{"English", []string{"Name", "Phone"}, false},
		{"mostly Arabic", []string{"الاسم", "رقم الجوال", "City"}, true},
		{"half and half", []string{"الاسم", "Phone"}, false},
		{"without letters", []string{"", "2026"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			s := settings
			s.Columns = nil
			for _, name := range tt.columns {
				s.Columns = append(s.Columns, campaign.Column{Name: name})
			}
			list := people(1)
			list[0].Fields = make([]string, len(tt.columns))
			f.load("sale", s, list, nil)
			var out bytes.Buffer
			if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "sale", &out); err != nil {
				t.Fatal(err)
			}
			book, err := excelize.OpenReader(&out)
			if err != nil {
				t.Fatal(err)
			}
			defer book.Close()
			view, err := book.GetSheetView("Results", 0)
			if err != nil || *view.RightToLeft != tt.want {
				t.Errorf("from the right: %v, %v", *view.RightToLeft, err)
			}
		})
	}
}

// rowsOf are the rows of a workbook as another program reads them.
func rowsOf(t testing.TB, book []byte) [][]string {
	t.Helper()
	file, err := excelize.OpenReader(bytes.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := file.GetRows("Results")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestWorkbookGivesBackTheFile reads results back: whatever the cells, those of the file
// return.
func TestWorkbookGivesBackTheFile(t *testing.T) {
	rdb := redistest.Shared(t)
	rapid.Check(t, func(r *rapid.T) {
		rdb.FlushDB(t.Context())
		f := fixture{campaigntest.New(t, rdb)}
		cell := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t\n\r_x\x00-\x1f<>&"'=+@-]{0,9}`),
			rapid.StringMatching(`(_?x?[0-9A-Fa-f]{4}_|_x005F_|_x000D_|[ _x]){0,3}`), rapid.SampledFrom([]string{"\uffff", "\ufffe", "\ufffd", "😀", "_x00e9_", "__x0041_"}))
		var list []campaign.Contact
		var want [][]string
		for i := range rapid.IntRange(1, 9).Draw(r, "contacts") {
			c := contact(i)
			c.Fields = []string{cell.Draw(r, "name"), cell.Draw(r, "phone")}
			list = append(list, c)
			want = append(want, []string{inXML(c.Fields[0]), inXML(c.Fields[1]), c.Phone.E164(), "pending"})
		}
		f.load("sale", settings, list, nil)
		var out bytes.Buffer
		if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "sale", &out); err != nil {
			r.Fatal(err)
		}
		var got [][]string
		for _, row := range rowsOf(t, out.Bytes())[1:] {
			got = append(got, row[:4])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// inXML is a text without the characters for which XML, and so a workbook, has no place.
func inXML(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\ufffe' || r == '\uffff' {
			return '\ufffd'
		}
		return r
	}, text)
}

func TestLongCellsOfAWorkbookAreCut(t *testing.T) {
	f := newFixture(t)
	list := people(2)
	list[0].Fields[0] = strings.Repeat("م", 40_000)
	list[1].Fields[0] = strings.Repeat("😀", 20_000)
	f.load("sale", settings, list, nil)
	var out bytes.Buffer
	if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "sale", &out); err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(t, out.Bytes())
	for i, want := range []string{strings.Repeat("م", 32_767), strings.Repeat("😀", 16_383)} {
		if rows[i+1][0] != want {
			t.Errorf("%d characters, want %d", utf8.RuneCountInString(rows[i+1][0]), utf8.RuneCountInString(want))
		}
	}
}

// TestWorkbookKeepsTheOrder has many chunks, of which some add one row and some none.
func TestWorkbookKeepsTheOrder(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(200), nil)
	var want []string
	for i := 0; i < 200; i += 3 {
		if i%10 < 7 {
			f.move("sale", i, "busy", campaign.Send, campaign.Fail)
			want = append(want, contact(i).Phone.E164())
		}
	}
	var out bytes.Buffer
	if n, err := (report.Results{Format: report.XLSX, States: []campaign.State{campaign.Failed}}).Write(t.Context(), f.Store, "sale", &out); err != nil || n != len(want) {
		t.Fatalf("%d contacts, %v", n, err)
	}
	var got []string
	for _, row := range rowsOf(t, out.Bytes())[1:] {
		got = append(got, row[2])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnUnfinishedWorkbookOpensNowhere takes a chunk away. What was written until then
// must be no workbook.
func TestAnUnfinishedWorkbookOpensNowhere(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(200), nil)
	f.Redis().Del(t.Context(), "c:{sale}:l:57")
	var out bytes.Buffer
	if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "sale", &out); !errors.Is(err, store.ErrGone) {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		t.Error("nothing was written before")
	}
	if _, err := excelize.OpenReader(&out); err == nil {
		t.Error("it opens")
	}
}

func TestWorkbookFailures(t *testing.T) {
	f := newFixture(t)
	told(f)
	room := 0
	if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "told", full{&room}); !errors.Is(err, errFull) {
		t.Errorf("no room: %v", err)
	}
	wide := settings
	c := campaign.Contact{Phone: contact(0).Phone, Line: 2}
	wide.Columns = nil
	for n := range excelize.MaxColumns {
		wide.Columns = append(wide.Columns, campaign.Column{Name: strconv.Itoa(n)})
		c.Fields = append(c.Fields, "")
	}
	f.load("wide", wide, []campaign.Contact{c}, nil)
	if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "wide", io.Discard); err == nil {
		t.Error("too many columns: no error")
	}
	f.Redis().Del(t.Context(), "c:{told}:l:1")
	if _, err := (report.Results{Format: report.XLSX}).Write(t.Context(), f.Store, "told", io.Discard); !errors.Is(err, store.ErrGone) {
		t.Errorf("a chunk is gone: %v", err)
	}
}
