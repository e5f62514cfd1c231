package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

func TestTablesAsCSV(t *testing.T) {
	f := newFixture(t)
	f.ticketed()
	for _, tt := range []struct{ args, want string }{
		{"list --csv", "campaign,state,contacts,open,problems,created_at,waiting_for,title\nsale,running,9,3,4,2026-01-02T03:04:05Z,no live worker serves agent default (start one with: worker --agents default),\n"},
		{"agents --csv", "agent,workers,campaigns,pending,limit,remaining,window_seconds,blocked_until,reason,versions\ndefault,0,1,3,0,0,0,,,\n"},
		{"tickets sale --csv", "line,phone,state,ticket_id,status,rule,changed_at,reason\n"},
	} {
		got := f.run(strings.Fields(tt.args)...)
		if got.code != 0 || !strings.HasPrefix(got.stdout, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
	}
	if got := f.run("list", "--csv", "--json"); got.code != 2 || !strings.Contains(got.stderr, "--csv or --json, not both") {
		t.Errorf("both: %+v", got)
	}
}

// What gocsv writes is read again by gocsv, over our own reader, to the same numbers.
func TestListsGoThroughGocsvAndBack(t *testing.T) {
	const numbers = 2*rowsAtOnce + 7
	var out bytes.Buffer
	written, err := writeRows(&out, func(yield func(contacts.Listed, error) bool) {
		for i := range numbers {
			if !yield(contacts.Listed{Phone: campaign.Phone(966500000000 + i).E164()}, nil) {
				return
			}
		}
	})
	if err != nil || written != numbers {
		t.Fatalf("%d, %v", written, err)
	}
	read, err := contacts.ReadNumbers(&out, contacts.Options{})
	if err != nil || read.Len() != numbers || !read.Has(966500000000) || !read.Has(966500000000+numbers-1) || len(read.Unreadable()) > 0 {
		t.Errorf("%d, %v, %v", read.Len(), read.Unreadable(), err)
	}
	failure := errors.New("redis is gone")
	if n, err := writeRows(&out, func(yield func(contacts.Listed, error) bool) { yield(contacts.Listed{}, failure) }); n != 0 || !errors.Is(err, failure) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestCellsOfTablesAreNoFormulas(t *testing.T) {
	var out bytes.Buffer
	_, err := writeRows(&out, func(yield func(listRow, error) bool) {
		yield(listRow{Campaign: "a", WaitingFor: "=1+1;@x", Created: moment(time.Time{})}, nil)
	})
	if want := "a,,0,0,0,,'=1+1;'@x,\n"; err != nil || !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, %v, want %q", out.String(), err, want)
	}
}
