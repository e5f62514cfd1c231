package report_test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
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
