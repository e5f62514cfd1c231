package report_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

func places(page report.Page) []int {
	list := []int{}
	for _, c := range page.Contacts {
		list = append(list, c.Place)
	}
	return list
}

func TestContactsAreListedPageByPage(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(9), nil)
	for _, i := range []int{1, 2, 6, 7, 8} {
		f.move("sale", i, "busy", campaign.Send, campaign.Fail)
	}
	f.move("sale", 4, "bad number", campaign.Send, campaign.Reject)
	failed := report.Filter{States: []campaign.State{campaign.Failed}}
	for _, tt := range []struct {
		name          string
		filter        report.Filter
		place         int
		back          bool
		want          []int
		before, after int
	}{
		{"the first page", report.Filter{}, 0, false, []int{0, 1, 2, 3}, 0, 4},
		{"the next", report.Filter{}, 4, false, []int{4, 5, 6, 7}, 4, 8},
		{"the last", report.Filter{}, 8, false, []int{8}, 8, -1},
		{"behind the last", report.Filter{}, 400, false, []int{}, 400, -1},
		{"back from the last", report.Filter{}, 8, true, []int{4, 5, 6, 7}, 4, 8},
		{"back to the first", report.Filter{}, 3, true, []int{0, 1, 2}, 0, 3},
		{"back from the first", report.Filter{}, 0, true, []int{}, 0, 0},
		{"one state", failed, 0, false, []int{1, 2, 6, 7}, 0, 8},
		{"one state, from the middle of a chunk", failed, 2, false, []int{2, 6, 7, 8}, 2, -1},
		{"one state, back", failed, 8, true, []int{1, 2, 6, 7}, 0, 8},
		{"two states", report.Filter{States: []campaign.State{campaign.Rejected, campaign.Failed}}, 3, false, []int{4, 6, 7, 8}, 3, -1},
		{"a reason", report.Filter{Reason: 2}, 0, false, []int{4}, 0, -1},
		{"a text in a cell, in any case", report.Filter{Text: "NAME 3"}, 0, false, []int{3}, 0, -1},
		{"a text in digits of another keyboard", report.Filter{Text: "name ٣"}, 0, false, []int{3}, 0, -1},
		{"a text and a state", report.Filter{Text: "name", States: failed.States}, 0, false, []int{1, 2, 6, 7}, 0, 8},
		{"a number that no index knows", report.Filter{Phone: contact(5).Phone}, 0, false, []int{5}, 0, -1},
		{"a number that is not there", report.Filter{Phone: 966}, 0, false, []int{}, 0, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := tt.filter.List(t.Context(), f.Store, "sale", tt.place, tt.back, 4)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, places(page)); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
			if page.Before != tt.before || page.After != tt.after {
				t.Errorf("before %d, after %d; want %d, %d", page.Before, page.After, tt.before, tt.after)
			}
		})
	}
}

func TestAListingHasWhatBecameOfEach(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(3), nil)
	f.move("sale", 2, "busy", campaign.Send, campaign.Fail)
	page, err := report.Filter{}.List(t.Context(), f.Store, "sale", 2, false, 10)
	if err != nil || len(page.Contacts) != 1 {
		t.Fatal(page, err)
	}
	got, want := page.Contacts[0], contact(2)
	if got.Phone != want.Phone || got.Line != want.Line || !slices.Equal(got.Fields, want.Fields) ||
		got.Record.State != campaign.Failed || got.Reason.String() != "busy" || got.Ref.Chunk != 1 || got.Index != 0 {
		t.Errorf("%+v", got)
	}
}

func TestANumberIsFoundByTheIndex(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	s := settings
	s.WebhookURL = "https://events.example"
	load := f.begin("sale", s)
	if err := load.Add(ctx, 0, people(2)); err != nil {
		t.Fatal(err)
	}
	if err := load.AddIndex(ctx, maps.All(map[campaign.Phone]int{contact(0).Phone: 0, contact(1).Phone: 1})); err != nil {
		t.Fatal(err)
	}
	if err := load.Finish(ctx, campaign.Counts{Rows: 2, Contacts: 2}, 1, campaign.Running); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter report.Filter
		want   []int
	}{
		{"it is there", report.Filter{Phone: contact(1).Phone}, []int{1}},
		{"it is there, in another state", report.Filter{Phone: contact(1).Phone, States: []campaign.State{campaign.Ended}}, []int{}},
		{"it is not there", report.Filter{Phone: 966}, []int{}},
	} {
		page, err := tt.filter.List(ctx, f.Store, "sale", 0, false, 10)
		if err != nil || !slices.Equal(places(page), tt.want) || page.Searched != 0 || page.After != -1 {
			t.Errorf("%s: %+v, %v", tt.name, page, err)
		}
	}
}

func TestAListingLooksAtSoManyAtTheMost(t *testing.T) {
	f := newFixture(t)
	s := settings
	s.ChunkSize = campaign.MaxChunkSize
	const chunks, most = 21, 20 * campaign.MaxChunkSize
	f.load("sale", s, people(chunks*campaign.MaxChunkSize), nil)
	nobody := report.Filter{Text: "nobody has this"}
	page, err := nobody.List(t.Context(), f.Store, "sale", 0, false, 10)
	if err != nil || len(page.Contacts) != 0 || page.After != most || page.Searched != most {
		t.Errorf("%+v, %v", page, err)
	}
	page, err = nobody.List(t.Context(), f.Store, "sale", chunks*campaign.MaxChunkSize, true, 10)
	if err != nil || page.Before != campaign.MaxChunkSize || page.Searched != most {
		t.Errorf("back: %+v, %v", page, err)
	}
}

func TestAListingTellsWhatItCannotRead(t *testing.T) {
	list := func(f fixture) error {
		_, err := report.Filter{States: []campaign.State{campaign.Pending}}.List(t.Context(), f.Store, "sale", 0, false, 10)
		return err
	}
	if err := list(newFixture(t)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no campaign: %v", err)
	}
	for _, tt := range []struct {
		command string
		n       int
		filter  report.Filter
	}{
		{"hmget", 1, report.Filter{}},
		{"hmget", 2, report.Filter{States: []campaign.State{campaign.Pending}}}, // the cells
		{"hget", 1, report.Filter{Phone: 966}},
	} {
		f := newFixture(t)
		f.load("sale", settings, people(2), nil)
		want := f.fail(tt.command, tt.n)
		if _, err := tt.filter.List(t.Context(), f.Store, "sale", 0, false, 10); !errors.Is(err, want) {
			t.Errorf("%s %d: %v", tt.command, tt.n, err)
		}
	}
	f := newFixture(t)
	f.load("sale", settings, people(3), nil)
	c, err := f.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []int{3, 4000, -1} {
		if _, err := report.FindContact(t.Context(), f.Store, c, place); !errors.Is(err, store.ErrGone) {
			t.Errorf("place %d: %v", place, err)
		}
	}
}
