package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/velents"
)

func followingUp(name string) func(*campaign.Settings) {
	return func(s *campaign.Settings) {
		s.SkipContactedDays, s.FollowsUp, s.FollowsUpFrom = 7, name, time.Now().Add(time.Hour) // after all that a test does
	}
}

// A follow-up ignores that its parent has contacted people, and nothing else: not a contact
// by another campaign, not the do-not-contact list, not a request that is on its way.
func TestAFollowUpSparesItsParentsContactsAlone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		indexed bool
		edit    func(*campaign.Settings)
		want    map[campaign.State]int // of six, two of whom another campaign has contacted
	}{
		{"the parent", true, followingUp("c"), map[campaign.State]int{campaign.Accepted: 4, campaign.Canceled: 2}},
		{"the parent, beside one without an index", false, followingUp("c"), map[campaign.State]int{campaign.Accepted: 4, campaign.Canceled: 2}},
		{"the other one", true, followingUp("e"), map[campaign.State]int{campaign.Canceled: 6}},
		{"none", true, skipping, map[campaign.State]int{campaign.Canceled: 6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuel(t, 6, nil, []func(*campaign.Settings){tt.edit})
			d.run("c")
			d.platform.forget()
			campaigntest.Fixture{Store: d.store, T: t}.Load(campaigntest.List{ // after the follow-up was loaded
				Name: "e", Settings: d.now().Settings, Contacts: campaigntest.People(phoneOf(0), 2, func(_ int, number string) []string { return []string{number, "name"} }), Indexed: tt.indexed,
			})
			d.run("e")
			d.platform.forget()
			d.run("d")
			d.wantStates("d", tt.want)
			if n := d.platform.contacted()[phoneOf(0).E164()]; n > 0 {
				t.Error("somebody was contacted by three campaigns")
			}
			for reason := range reasonsOf(d, "d", campaign.Canceled) {
				if reason != "contacted within the last 7 days" {
					t.Errorf("canceled: %s", reason)
				}
			}
		})
	}
}

func reasonsOf(d *duel, name string, state campaign.State) map[string]int {
	d.t.Helper()
	tally, err1 := d.store.Tally(d.t.Context(), name)
	texts, err2 := d.store.Reasons(d.t.Context(), name)
	if err1 != nil || err2 != nil {
		d.t.Fatal(err1, err2)
	}
	reasons := make(map[string]int)
	for at, n := range tally.Reasons {
		if at.State == state {
			reasons[texts[at.Reason].String()] = n
		}
	}
	return reasons
}

func TestAFollowUpKeepsTheOtherRules(t *testing.T) {
	d := newDuel(t, 4, nil, []func(*campaign.Settings){followingUp("c")})
	d.run("c")
	d.platform.forget()
	if _, err := d.store.Suppress(t.Context(), []campaign.Phone{phoneOf(1)}); err != nil {
		t.Fatal(err)
	}
	// A third campaign has a request with one of them on its way.
	d.load("e", 1)
	e, err := d.store.ReadChunk(t.Context(), store.Ref{Campaign: "e"})
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Minute)
	if _, err := d.store.Reserve(t.Context(), []store.Reservation{{Phone: phoneOf(0), Ref: e.Ref, Token: "x/1", N: 1, Until: until}}, nil); err != nil {
		t.Fatal(err)
	}
	d.run("d")
	d.wantStates("d", map[campaign.State]int{campaign.Accepted: 2, campaign.Canceled: 1, campaign.Pending: 1})
	want := map[string]int{campaign.Say(campaign.MsgDoNotContact).String(): 1}
	if diff := cmp.Diff(want, reasonsOf(d, "d", campaign.Canceled)); diff != "" {
		t.Errorf("canceled (-want +got):\n%s", diff)
	}
	if d.platform.contacted()[phoneOf(0).E164()]+d.platform.contacted()[phoneOf(1).E164()] > 0 {
		t.Errorf("contacted %v", d.platform.contacted())
	}
}

// A parent that goes on sending may be faster than its follow-up. What it sends after the
// contacts were taken from it counts as any other campaign's, what events tell of earlier
// conversations does not.
func TestAFollowUpLeavesOutWhomItsParentContactsLater(t *testing.T) {
	before := func(s *campaign.Settings) { s.FollowsUpFrom = time.Now().Add(-time.Hour) }
	for _, tt := range []struct {
		name  string
		taken []func(*campaign.Settings)
		began time.Duration // the conversations, after now
		want  campaign.State
	}{
		{"the list was taken later", nil, 0, campaign.Accepted},
		{"the list was taken before", []func(*campaign.Settings){before}, 0, campaign.Canceled},
		{"when it was taken is not known", []func(*campaign.Settings){func(s *campaign.Settings) { s.FollowsUpFrom = time.Time{} }}, 0, campaign.Canceled},
		{"an event tells of a conversation from before", []func(*campaign.Settings){before}, -2 * time.Hour, campaign.Accepted},
		{"an event tells of a conversation since then", []func(*campaign.Settings){before}, -30 * time.Minute, campaign.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuel(t, 3, nil, append([]func(*campaign.Settings){followingUp("c")}, tt.taken...))
			d.run("c")
			d.platform.forget()
			if tt.began != 0 {
				f := campaigntest.Fixture{Store: d.store, T: t}
				f.Move("c", []int{0, 1, 2}, campaigntest.Step{At: time.Now()}, campaign.Start)
				for i := range 3 {
					text, err := json.Marshal(campaign.Outcome{Conversation: fmt.Sprint(i), Started: time.Now().Add(tt.began)})
					if err := errors.Join(err, d.rdb.HSet(t.Context(), "c:{c}:out:0", i, text).Err()); err != nil {
						t.Fatal(err)
					}
				}
			}
			d.run("d")
			d.wantStates("d", map[campaign.State]int{tt.want: 3})
		})
	}
}

// Whom a purged campaign has contacted, nobody can tell.
func TestAFollowUpBesideAPurgedCampaign(t *testing.T) {
	d := newDuel(t, 2, nil, []func(*campaign.Settings){followingUp("c")})
	d.load("e", 1)
	d.run("e")
	d.platform.forget()
	if err := d.queue.Purge(t.Context(), "e", false); err != nil {
		t.Fatal(err)
	}
	d.run("c")
	d.platform.forget()
	d.run("d")
	d.wantStates("d", map[campaign.State]int{campaign.Canceled: 2})
}

// A request of one's own is repeated also beside a campaign that was purged, though nobody can
// tell whom that has contacted: else its contacts would be lost.
func TestARetryBesideAPurgedCampaign(t *testing.T) {
	d := newDuel(t, 3, []func(*campaign.Settings){skipping}, nil)
	d.platform.answer = func([]velents.Row) error { return &velents.Error{Status: 500, Message: "Server Error", JSON: true} }
	d.run("c")
	d.wantStates("c", map[campaign.State]int{campaign.Pending: 3})
	d.platform.answer = func([]velents.Row) error { return nil }
	d.load("e", 1)
	d.run("e")
	if err := d.queue.Purge(t.Context(), "e", false); err != nil {
		t.Fatal(err)
	}
	d.platform.forget()
	d.run("c")
	d.wantStates("c", map[campaign.State]int{campaign.Accepted: 3})
}
