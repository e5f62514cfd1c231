package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/golden"
	"campaign-runner/internal/redistest"
)

// awkward is a list whose columns and cells are as bad as a file allows.
func awkward(f fixture) {
	s := settings
	s.Columns = []campaign.Column{{Name: "الاسم", Key: "name"}, {Name: "Phone"}, {Name: "State"}, {Name: "note"}, {Name: "note"}, {Name: ""}}
	row := func(i int, cells ...string) campaign.Contact {
		return campaign.Contact{Phone: campaign.Phone(966501000000 + i), Line: i + 2, Fields: cells}
	}
	f.load("awkward", s, []campaign.Contact{
		row(0, "فاطمة, بنت \"علي\"", "0501000000", "Texas", "=1+1", "two\nlines", ""),
		row(1, "Omar", "+966501000001", "", "-5", "<b>&", " x "),
		row(2, "Zoë", "'0501000002", "", "@cmd", "", ""),
		row(3, "", "٠٥٠١٠٠٠٠٠٣", "", "", "", ""),
		row(4, "Amal", "966501000004", "", "", "", ""),
	}, nil)
	f.move("awkward", 0, "", campaign.Send, campaign.Accept)
	f.move("awkward", 1, "+966 is =not= for us", campaign.Send, campaign.Reject)
	f.move("awkward", 2, "timeout after 30s", campaign.Send, campaign.Retry, campaign.Send, campaign.Lose)
	f.move("awkward", 3, "Timeout", campaign.Send, campaign.Lose)
}

func TestResults(t *testing.T) {
	f := newFixture(t)
	awkward(f)
	for _, tt := range []struct {
		name, golden string
		query        report.Results
		want         int
	}{
		{"everybody as CSV", "results.csv", report.Results{}, 5},
		{"everybody as JSON lines", "results.jsonl", report.Results{Format: report.JSONLines}, 5},
		{"by state, for Excel", "accepted.csv",
			report.Results{States: []campaign.State{campaign.Accepted, campaign.Pending}, BOM: true}, 2},
		{"by part of a reason in any case", "timeouts.jsonl",
			report.Results{Reason: "TIMEOUT", Format: report.JSONLines}, 2},
		{"nobody is a header alone", "nobody.csv",
			report.Results{States: []campaign.State{campaign.Accepted}, Reason: "timeout"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			n, err := tt.query.Write(t.Context(), f.Store, "awkward", &out)
			if err != nil || n != tt.want {
				t.Errorf("%d contacts, %v, want %d", n, err, tt.want)
			}
			golden.Check(t, tt.golden, out.String())
		})
	}
}

// told is a campaign whose contacts have events.
func told(f fixture) {
	s := settings
	s.Columns = []campaign.Column{{Name: "Extraction.intent"}, {Name: "phone"}, {Name: "messages"}}
	var list []campaign.Contact
	for i := range 4 {
		list = append(list, campaign.Contact{Phone: contact(i).Phone, Line: i + 2, Fields: []string{"x", contact(i).Phone.E164(), "7"}})
	}
	f.load("told", s, list, nil)
	for i, o := range []campaign.Outcome{
		{Conversation: "conv-1", Started: at, Ended: at.Add(time.Minute), Exchanges: []uint32{1, 2},
			Extraction: json.RawMessage(`{"intent":"buy","=1+1":true,"when":{"day": "=monday"}}`)},
		{Conversation: "conv-2", Started: at, Extraction: json.RawMessage(`{"intent":null,"budget":100}`)},
		{Conversation: "conv-3", Started: at, Turns: 3},
	} {
		f.move("told", i, "", campaign.Send, campaign.Start)
		err := f.UpdateOutcomes(f.T.Context(), store.Ref{Campaign: "told", Chunk: i / 2}, []int{i % 2},
			func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) { return o, nil })
		if err != nil {
			f.T.Fatal(err)
		}
	}
}

func TestResultsTellWhatTheAgentLearned(t *testing.T) {
	f := newFixture(t)
	told(f)
	where := func(text string) campaign.Rules {
		learned, err := campaign.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		return campaign.Rules{learned}
	}
	for _, tt := range []struct {
		name, golden string
		query        report.Results
		want         int
	}{
		{"everybody as CSV", "told.csv", report.Results{}, 4},
		{"everybody as JSON lines", "told.jsonl", report.Results{Format: report.JSONLines}, 4},
		{"by what was learned", "buyers.csv", report.Results{Where: where("extraction.intent=buy")}, 1},
		{"by what is no text", "budget.csv", report.Results{Where: where("extraction.budget=100")}, 1},
		{"by what nobody said", "nobody-told.csv", report.Results{Where: where("extraction.intent=")}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			n, err := tt.query.Write(t.Context(), f.Store, "told", &out)
			if err != nil || n != tt.want {
				t.Errorf("%d contacts, %v, want %d", n, err, tt.want)
			}
			golden.Check(t, tt.golden, out.String())
		})
	}
	for command, nth := range map[string]int{"smembers": 1, "hgetall": 2} { // hgetall reads the campaign first
		f := newFixture(t)
		told(f)
		gone := f.fail(command, nth)
		if _, err := (report.Results{}).Write(t.Context(), f.Store, "told", io.Discard); !errors.Is(err, gone) {
			t.Errorf("without %s: %v", command, err)
		}
	}
}

// TestResultsGiveBackTheFile reads results back: whatever the cells, those of
// the file return, in its order.
func TestResultsGiveBackTheFile(t *testing.T) {
	rdb := redistest.Shared(t)
	rapid.Check(t, func(r *rapid.T) {
		rdb.FlushDB(t.Context())
		f := fixture{campaigntest.New(t, rdb)}
		cell := rapid.OneOf(rapid.String(), rapid.StringMatching(`['=+@-]{0,3}[0-9]{0,14}`))
		var list []campaign.Contact
		var want [][]string
		for i := range rapid.IntRange(0, 9).Draw(r, "contacts") {
			c := contact(i)
			// A CSV file cannot tell "\r\n" within a cell from "\n".
			c.Fields = []string{strings.ReplaceAll(cell.Draw(r, "name"), "\r", ""), strings.ReplaceAll(cell.Draw(r, "phone"), "\r", "")}
			list = append(list, c)
			want = append(want, c.Fields)
		}
		f.load("sale", settings, list, nil)

		var out bytes.Buffer
		if _, err := (report.Results{}).Write(t.Context(), f.Store, "sale", &out); err != nil {
			r.Fatal(err)
		}
		records, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			r.Fatal(err)
		}
		var fromCSV [][]string
		for _, record := range records[1:] {
			fromCSV = append(fromCSV, []string{contacts.UnescapeCell(record[0]), contacts.UnescapeCell(record[1])})
		}
		if diff := cmp.Diff(want, fromCSV); diff != "" {
			r.Errorf("from CSV (-want +got):\n%s", diff)
		}

		out.Reset()
		if _, err := (report.Results{Format: report.JSONLines}).Write(t.Context(), f.Store, "sale", &out); err != nil {
			r.Fatal(err)
		}
		var fromJSON [][]string
		for lines := json.NewDecoder(&out); ; {
			var line struct{ Name, Phone string }
			if err := lines.Decode(&line); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				r.Fatal(err)
			}
			fromJSON = append(fromJSON, []string{line.Name, line.Phone})
		}
		if diff := cmp.Diff(want, fromJSON); diff != "" {
			r.Errorf("from JSON lines (-want +got):\n%s", diff)
		}
	})
}

func TestResultsStopAtTheFirstFailure(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(200), nil)
	write := func(ctx context.Context, w io.Writer) error {
		_, err := report.Results{}.Write(ctx, f.Store, "sale", w)
		return err
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T) error
		want error
	}{
		{"no room for the header", func(t *testing.T) error { return write(t.Context(), full{}) }, errFull},
		{"no room after 30 chunks", func(t *testing.T) error { room := 31; return write(t.Context(), full{&room}) }, errFull},
		{"interrupted", func(t *testing.T) error {
			ctx, cancel := context.WithCancel(t.Context())
			return write(ctx, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }))
		}, context.Canceled},
		{"a chunk is gone", func(t *testing.T) error {
			f.Redis().Del(t.Context(), "c:{sale}:l:57")
			return write(t.Context(), io.Discard)
		}, store.ErrGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(t); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestReasonWhoseTextIsLostHasItsNumber(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(2), nil)
	f.move("sale", 0, "bad number", campaign.Send, campaign.Reject)
	f.Redis().Del(t.Context(), "c:{sale}:reasons")
	o, err := report.Find(t.Context(), f.Store, "sale")
	if err != nil || len(o.Reasons) != 1 || o.Reasons[0].Reason.String() != "reason 1" {
		t.Errorf("%v, %v", o.Reasons, err)
	}
}

// TestResultsMakeLittleGarbage counts what is allocated, on all goroutines and for Redis too.
func TestResultsMakeLittleGarbage(t *testing.T) {
	const size = 5000
	f := newFixture(t)
	s := settings
	s.ChunkSize = campaign.DefaultBatchChunk
	f.load("sale", s, people(size), nil)
	for format, most := range map[report.Format]float64{report.CSV: 6, report.JSONLines: 4, report.XLSX: 4} {
		got := testing.AllocsPerRun(3, func() {
			if _, err := (report.Results{Format: format}).Write(t.Context(), f.Store, "sale", io.Discard); err != nil {
				t.Error(err)
			}
		})
		if got > most*size {
			t.Errorf("%s: %.1f allocations a contact, want at most %.0f", format, got/size, most)
		}
	}
}

func BenchmarkResults(b *testing.B) {
	const size = 100_000
	f := newFixture(b)
	s := settings
	s.ChunkSize = campaign.DefaultBatchChunk
	f.load("sale", s, people(size), nil)
	for _, format := range []report.Format{report.CSV, report.JSONLines, report.XLSX} {
		b.Run(fmt.Sprint(format), func(b *testing.B) {
			for b.Loop() {
				if _, err := (report.Results{Format: format}).Write(b.Context(), f.Store, "sale", io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "contacts/s")
		})
	}
}
