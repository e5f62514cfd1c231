package jobs

import (
	"errors"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
)

// unconfirmedAt makes contacts of campaign "c" unconfirmed at a time.
func (s *stage) unconfirmedAt(at time.Time, places ...int) campaigntest.Fixture {
	f := campaigntest.Fixture{Store: s.store, T: s.t}
	f.Move("c", places, campaigntest.Step{At: at}, campaign.Send, campaign.Lose)
	return f
}

// What a person found holds for the contacts that they have looked up, and for no later
// ones: those would be contacted twice.
func TestResolveLeavesWhatBecameUnconfirmedLater(t *testing.T) {
	s := newStage(t, 3)
	seen := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s.unconfirmedAt(seen, 0, 1)
	f := s.unconfirmedAt(seen.Add(time.Second), 2)
	for i, want := range []int{2, 0} {
		if n, err := s.queue.Resolve(t.Context(), "c", Resolution{Seen: &Seen{Contacts: 2, Until: seen}}); n != want || err != nil {
			t.Errorf("resolve %d: %d contacts, %v; want %d", i+1, n, err, want)
		}
	}
	if is := f.State("c", 2); is != campaign.Unconfirmed {
		t.Errorf("who was not looked up is %v", is)
	}
	s.want(map[campaign.State]int{campaign.Pending: 2, campaign.Unconfirmed: 1})
}

// If there are more than a person has looked up, none is resolved: those who are lost
// meanwhile may be among them.
func TestResolveTellsOfMoreThanWereLookedUp(t *testing.T) {
	s := newStage(t, 3)
	f := s.unconfirmedAt(time.Now(), 0, 1)
	for _, chunk := range []*int{nil, new(int)} {
		if n, err := s.queue.Resolve(t.Context(), "c", Resolution{Seen: &Seen{Contacts: 1}, Chunk: chunk}); n != 0 || !errors.Is(err, ErrMoreChosen) {
			t.Errorf("%d contacts, %v", n, err)
		}
	}
	f.Move("c", []int{0}, campaigntest.Step{}, campaign.Start)
	if n, err := s.queue.Resolve(t.Context(), "c", Resolution{Seen: &Seen{Contacts: 2}}); n != 1 || err != nil {
		t.Errorf("with one that an event has told of: %d contacts, %v", n, err)
	}
}

// A person says that the platform never saw contacts, and an event of one of them comes
// first: that one is not sent again.
func TestResolveNeverMovesEvidenceBack(t *testing.T) {
	s := newStage(t, 3)
	f := s.unconfirmedAt(time.Now(), 0, 1, 2)
	f.Move("c", []int{0}, campaigntest.Step{}, campaign.Start)
	f.Move("c", []int{1}, campaigntest.Step{}, campaign.Accept)
	for _, accepted := range []bool{false, true} {
		if _, err := s.queue.Resolve(t.Context(), "c", Resolution{Accepted: accepted}); err != nil {
			t.Fatal(err)
		}
		for place, want := range []campaign.State{campaign.Started, campaign.Accepted, campaign.Pending} {
			if is := f.State("c", place); is != want {
				t.Errorf("resolved as accepted: %v: contact %d is %v, want %v", accepted, place, is, want)
			}
		}
	}
}

// While all campaigns are paused nobody is contacted, by tasks that wait or by new ones.
func TestNobodyIsContactedWhileAllArePaused(t *testing.T) {
	s := newStage(t, 20, batchOf(10))
	s.send("w1", 0)
	done, err := s.queue.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson))
	if err != nil || len(done.Campaigns) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	s.send("w1", 1)
	s.send("w1", 0)
	if n := len(s.platform.contacted()); n != 10 {
		t.Errorf("%d people were contacted, want the 10 before the pause", n)
	}
	if done, err = s.queue.ResumeAll(t.Context(), ""); err != nil || len(done.Campaigns) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	s.send("w1", 1)
	if n := len(s.platform.contacted()); n != 20 {
		t.Errorf("%d people were contacted after it goes on, want 20", n)
	}
}
