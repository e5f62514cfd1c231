package report_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

func TestLogOfOneFromTheIndex(t *testing.T) {
	f := newFixture(t)
	s := settings
	s.WebhookURL = "https://events.example.org"
	l := f.begin("sale", s)
	for _, err := range []error{
		l.Add(t.Context(), 0, people(2)),
		l.AddIndex(t.Context(), maps.All(map[campaign.Phone]int{contact(0).Phone: 0, contact(1).Phone: 1})),
		l.Finish(t.Context(), campaign.Counts{Rows: 2, Contacts: 2}, 1, campaign.Running),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	chunk, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "sale"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Log: store.Decision{By: "ops", Action: store.ActionCancel},
		Moves: []store.Move{{Index: 1, Move: campaign.Move{Cause: campaign.Cancel, At: at}}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true} {
		log, err := report.ReadLog(t.Context(), f.Store, "sale", contact(i).Phone)
		if err != nil {
			t.Fatal(err)
		}
		d, ok, err := log.Next(t.Context())
		if err != nil || ok != want || (ok && (d.By != "ops" || d.Batch != "" || d.Fates[0].Places != "1")) {
			t.Errorf("contact %d: %+v, %v, %v", i, d, ok, err)
		}
	}
	_, err = report.ReadLog(t.Context(), f.Store, "sale", contact(2).Phone)
	if err == nil || err.Error() != "campaign sale: no contact +…0002 in it" {
		t.Errorf("got %v", err)
	}
}

func TestLogWithoutRedis(t *testing.T) {
	for _, tt := range []struct {
		name, command string
		n             int
		phone         campaign.Phone
	}{
		{"the campaign is not read", "hgetall", 1, 0},
		{"its list is not read", "hmget", 1, contact(1).Phone},
		{"its entries are not read", "xrange", 1, 0},
		{"its reasons are not read", "hgetall", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", settings, people(2), nil)
			code, err := f.ReasonCode(t.Context(), "sale", campaign.Text("why not"))
			if err != nil {
				t.Fatal(err)
			}
			chunk, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "sale"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Log: store.Decision{Action: store.ActionCancel},
				Moves: []store.Move{{Move: campaign.Move{Cause: campaign.Cancel, Reason: code, At: at}}}})
			if err != nil {
				t.Fatal(err)
			}
			gone := f.fail(tt.command, tt.n)
			log, err := report.ReadLog(t.Context(), f.Store, "sale", tt.phone)
			if err == nil {
				_, _, err = log.Next(t.Context())
			}
			if !errors.Is(err, gone) || strings.Contains(err.Error(), contact(1).Phone.E164()) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLogOfOneByItsPlace(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(4), nil)
	ref := store.Ref{Campaign: "sale", Chunk: 1}
	chunk, err := f.ReadLedger(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Log: store.Decision{Action: store.ActionCancel},
		Moves: []store.Move{{Index: 1, Move: campaign.Move{Cause: campaign.Cancel, At: at}}}})
	if err != nil {
		t.Fatal(err)
	}
	for index, want := range []bool{false, true} {
		log, err := report.ReadContactLog(t.Context(), f.Store, "sale", ref, index)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := log.Next(t.Context()); ok != want || err != nil {
			t.Errorf("contact %d of the chunk: an entry: %v, %v", index, ok, err)
		}
	}
	if _, err := report.ReadContactLog(t.Context(), f.Store, "none", ref, 0); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}
