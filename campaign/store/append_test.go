package store

import (
	"errors"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// A cancel while more contacts are read is the later word: none of them joins the campaign.
func TestAnAppendDoesNotUndoALaterCancel(t *testing.T) {
	for name, before := range map[string]bool{"it runs": false, "it was canceled": true} {
		t.Run(name, func(t *testing.T) {
			s := New(redistest.Shared(t))
			launch(t, s, "sale", 1, 1, campaign.Running)
			cancel := func() {
				if _, ok, err := s.SetPhase(t.Context(), "sale", campaign.CanceledPhase, campaign.Message{}, campaign.Running, campaign.CanceledPhase); err != nil || !ok {
					t.Fatal(ok, err)
				}
			}
			add := func(meanwhile func()) error {
				to, err := s.BeginAppend(t.Context(), "sale", "more")
				if err != nil {
					t.Fatal(err)
				}
				if err := to.Add(t.Context(), 0, people(7, 8)); err != nil {
					t.Fatal(err)
				}
				meanwhile()
				_, err = to.Finish(t.Context(), Appended{Counts: campaign.Counts{Rows: 1, Contacts: 1}, Chunks: 1})
				return err
			}
			if before {
				cancel()
			}
			if err := add(cancel); !errors.Is(err, ErrCanceled) {
				t.Errorf("%v, want ErrCanceled", err)
			}
			if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Phase != campaign.CanceledPhase || c.Counts.Contacts != 1 {
				t.Errorf("%s with %d contacts, %v", c.Phase, c.Counts.Contacts, err)
			}
			if err := add(func() {}); err != nil { // by a person who knows of the cancel
				t.Fatal(err)
			}
			if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Phase != campaign.Running || c.Counts.Contacts != 2 {
				t.Errorf("%s with %d contacts, %v", c.Phase, c.Counts.Contacts, err)
			}
		})
	}
}
