package sending

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// A request that is slow to give back must not free what a later request of the same
// pass holds: in dispatch mode another may have taken its contact up by then.
func TestARequestGivesBackItsOwnReservationsAlone(t *testing.T) {
	f := campaigntest.New(t, redistest.Shared(t))
	c := f.Load(campaigntest.List{
		Name: "c", Settings: campaigntest.Settings(2, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000001, 2, nil),
	})
	chunk, err := f.ReadChunk(t.Context(), store.Ref{Campaign: "c"})
	if err != nil {
		t.Fatal(err)
	}
	p := &pass{Sender: &Sender{Store: f.Store}, log: slog.New(slog.DiscardHandler)}
	p.campaign, p.chunk, p.token = c, chunk, "w/1"
	p.reserved.by = make(map[int]held)
	now, err := f.Clock(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	phones := []campaign.Phone{chunk.Contacts[0].Phone, chunk.Contacts[1].Phone}
	want := func(held ...bool) {
		t.Helper()
		owners, err := f.Owners(t.Context(), phones)
		if err != nil || !slices.Equal([]bool{owners[0] != "", owners[1] != ""}, held) {
			t.Fatalf("reserved: %q, %v, want %v", owners, err, held)
		}
	}
	first, second := now.Add(-time.Second), now.Add(time.Minute) // the first can no longer begin
	for _, fence := range []time.Time{first, second} {
		contacts := []int{0, 1}
		if fence == second {
			contacts = []int{1}
		}
		deferred := make(map[int]deferral)
		if got, err := p.reserve(t.Context(), contacts, fence, deferred); err != nil || !slices.Equal(got, contacts) {
			t.Fatal(got, deferred, err)
		}
	}
	want(true, true)
	p.giveBack(t.Context(), []int{0, 1}, first)
	want(false, true)
	begin := store.Change{Act: store.Begin, Token: p.token, ClaimTTL: time.Hour, Moves: []store.Move{{Index: 1, Move: campaign.Move{Cause: campaign.Send, At: now}}}}
	if _, err := f.Apply(t.Context(), chunk, begin); err != nil {
		t.Fatal(err)
	}
	p.giveBack(t.Context(), []int{1}, second)
	want(false, true) // the ledger has no answer yet
	answered := store.Change{Act: store.Commit, Token: p.token, Moves: []store.Move{{Index: 1, Move: campaign.Move{Cause: campaign.Accept, At: now}}}}
	if _, err := f.Apply(t.Context(), chunk, answered); err != nil {
		t.Fatal(err)
	}
	p.giveBack(t.Context(), []int{1}, second)
	want(false, false)
}
