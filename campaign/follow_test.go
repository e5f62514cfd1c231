package campaign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

var nine = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// waiting are the texts that are to be passed on, in order.
func waiting(f campaign.Follow) (texts []string) {
	for _, r := range f.Said {
		if r.State == campaign.TicketDue {
			texts = append(texts, r.Text)
		}
	}
	return texts
}

func said(texts ...string) (turns []campaign.Turn) {
	for i, text := range texts {
		role := "customer"
		if strings.HasPrefix(text, "agent ") {
			role = "agent"
		}
		turns = append(turns, campaign.Turn{Role: role, Text: text, At: nine.Add(time.Duration(i) * time.Minute)})
	}
	return turns
}

// Events of the same messages come twice and in any order: each is kept once, and those
// that wait stand in the order in which they were said.
func TestFollowKeepsEachMessageOnceInAnyOrder(t *testing.T) {
	talk := said("yes", "agent and you?", "no", "yes", "call me")
	var acts []func(*campaign.Follow)
	for i, turn := range talk {
		if turn.ByContact() {
			acts = append(acts, func(f *campaign.Follow) { f.Hear(turn.Text, turn.At) })
		}
		acts = append(acts, func(f *campaign.Follow) { f.HearAll(talk[:i+1]) })
	}
	acts = append(acts, acts...)
	for seed := range 300 {
		var f campaign.Follow
		order := slices.Clone(acts)
		for i := range order { // a different order each time
			j := (i*7 + seed*(i+3)) % len(order)
			order[i], order[j] = order[j], order[i]
		}
		for _, act := range order {
			act(&f)
		}
		if got := strings.Join(waiting(f), ","); got != "yes,no,yes,call me" {
			t.Fatalf("seed %d: %s", seed, got)
		}
	}
}

func TestFollowLeavesOutWhatTheTicketTells(t *testing.T) {
	history := said("hello", "agent yes?", "call me")
	var f campaign.Follow
	f.Hear("call me", nine.Add(2*time.Minute)) // before the ticket was made
	for range 2 {                              // its making is tried twice
		f.InTicket(history)
	}
	f.Hear("call me", nine.Add(2*time.Minute))
	f.Hear("hello", nine) // told again, and late
	f.HearAll(history)
	if got := waiting(f); len(got) != 0 {
		t.Errorf("%q would be passed on again", got)
	}
	f.Hear("call me", nine.Add(time.Hour)) // said once more
	f.InTicket(history)
	f.HearAll(append(history, said("", "agent hm", "call me")...))
	if got := waiting(f); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if n := f.Replies()[campaign.TicketMade]; n != 0 {
		t.Errorf("%d of the ticket itself are counted", n)
	}
}

func TestFollowIsBounded(t *testing.T) {
	var f campaign.Follow
	long := strings.Repeat("نعم ", 3000)
	f.Hear(long, nine)
	if r := f.Said[0]; len(r.Text) > 4000 || r.Sent == 0 || !strings.HasSuffix(r.Text, "…]") || !strings.HasPrefix(long, strings.TrimSuffix(r.Text, " […]")) {
		t.Errorf("%d bytes: %s", len(r.Text), r.Text[max(0, len(r.Text)-20):])
	}
	if f.Hear(long, nine) {
		t.Error("it is there twice")
	}
	for i := range 1000 {
		f.Hear(strings.Repeat("x", 1000), nine.Add(time.Duration(i+1)*time.Second))
	}
	bytes := 0
	for _, r := range f.Said {
		bytes += len(r.Text)
	}
	if len(f.Said) > 500 || bytes > 64_000 || f.Left != 1001-len(waiting(f)) {
		t.Errorf("%d messages of %d bytes, %d left out of which %d wait", len(f.Said), bytes, f.Left, len(waiting(f)))
	}
	var turns []campaign.Turn
	for i := range 120 {
		turns = append(turns, campaign.Turn{Role: "agent", Text: fmt.Sprint(i, long)})
	}
	if f.Read("open", turns, nine); len(f.History) != 50 || f.Earlier != 70 || len(f.History[0].Text) > 2000 {
		t.Errorf("%d turns, %d earlier", len(f.History), f.Earlier)
	}
}

func TestFollowSettlesWhatIsThere(t *testing.T) {
	now := nine.Add(time.Hour)
	var f campaign.Follow
	f.Hear("yes", nine)
	f.Hear("yes", nine.Add(time.Minute))
	f.Said[0].Pass(now)
	f.Said[1].State = campaign.TicketUnconfirmed
	if f.Read("open", said("yes", "agent thank you"), now); f.Said[1].State != campaign.TicketUnconfirmed {
		t.Error("the first message was taken for the second")
	}
	if !f.Read("open", said("yes", "agent thank you", " yes\n"), now) || f.Said[1].State != campaign.TicketMade || f.Said[1].Text != "" {
		t.Errorf("%+v", f.Said[1])
	}
	if f.Read("open", said("yes", "agent thank you", " yes\n"), now) {
		t.Error("nothing is new")
	}
	if got := f.LastReply(); got != "agent thank you" {
		t.Errorf("last reply %q", got)
	}
	f.Hear(strings.Repeat("long ", 2000), nine)
	f.Said[2].State = campaign.TicketUnconfirmed
	if f.Read("open", append(said("yes", "yes"), campaign.Turn{Role: "user", Text: f.Said[2].Text}), now); f.Said[2].State != campaign.TicketMade {
		t.Error("a text that was cut is not found")
	}
}
