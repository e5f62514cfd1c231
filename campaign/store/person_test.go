package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// erase erases contact n of lived, or of a campaign like it.
func erase(t *testing.T, s *Store, c campaign.Campaign, n int) {
	t.Helper()
	places, err := s.FindPerson(t.Context(), c, person(n).Phone, func(int) {})
	if err != nil || len(places) != 1 {
		t.Fatalf("contact %d is at %v, %v", n, places, err)
	}
	if err := s.EraseContact(t.Context(), c, places[0], person(n).Phone, "tester"); err != nil {
		t.Fatal(err)
	}
}

func TestEraseContactLeavesStatesAndNoPerson(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		c := lived(t, s)
		before, err := s.Tally(ctx, "sale")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 4} { // with an outcome and a ticket, rejected, and appended
			erase(t, s, c, n)
		}
		// What belongs to no contact is taken away by package person.
		if diff := cmp.Diff([]string{"c:{sale}:unmatched", "events"}, numbersIn(t, s, 0, 1, 4)); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
		if got := numbersIn(t, s, 2); !slices.Equal(got, []string{"c:{sale}:idx", "c:{sale}:k:1"}) {
			t.Errorf("another's number is left in %q", got)
		}
		if after, err := s.Tally(ctx, "sale"); err != nil || !cmp.Equal(before, after) {
			t.Errorf("tally %+v, %v, was %+v", after, err, before)
		}
		if v, err := s.Verify(ctx, "sale"); err != nil || len(v.Problems) > 0 || v.Contacts != 5 {
			t.Errorf("verified %+v, %v", v, err)
		}
		chunk := read(t, s, Ref{Campaign: "sale"})
		want := []campaign.Contact{{Line: 2, Fields: []string{"", ""}}, {Line: 3, Fields: []string{"", ""}}}
		if diff := cmp.Diff(want, chunk.Contacts); diff != "" {
			t.Errorf("contacts (-want +got):\n%s", diff)
		}
		if r := chunk.Record(0); r.State != campaign.Ended || !r.Erased || r.Attempts != 1 {
			t.Errorf("record %+v", r)
		}
		after, err := s.Campaign(ctx, "sale")
		if err != nil || after.Erased != 3 {
			t.Errorf("%d erased, %v", after.Erased, err)
		}
		tickets, err := s.TicketTally(ctx, "sale")
		if due, err2 := s.DueTickets(ctx, "sale", time.Now().Add(48*time.Hour), 10); err != nil || err2 != nil || tickets[campaign.TicketDue] != 0 || len(due) > 0 {
			t.Errorf("tickets %v, due %v, %v, %v", tickets, due, err, err2)
		}
		if phones, err := s.ReadPhones(ctx, after); err != nil || phones.len != 2 || phones.Has(0) {
			t.Errorf("%d numbers, %v", phones.len, err)
		}
		places, err := s.FindPerson(ctx, c, person(0).Phone, func(int) {})
		if err != nil || len(places) > 0 {
			t.Errorf("found again at %v, %v", places, err)
		}
	})
}

// A sender that read the rows before must not begin a request with them, whatever is asked
// of the contact meanwhile.
func TestSenderWithOldRowsCannotSendTheErased(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		c := launch(t, s, "sale", 4, 2, campaign.Running)
		ref := Ref{Campaign: "sale"}
		sender := read(t, s, ref)
		steer := read(t, s, ref)
		apply(t, s, steer, Change{Act: Steer, Moves: moves(campaign.Cancel, 0)})
		erase(t, s, c, 0)
		// A rerun of everybody who was canceled does not bring the contact back.
		rerun := read(t, s, ref)
		done := apply(t, s, rerun, Change{Act: Steer, Moves: moves(campaign.Rerun, 0)})
		if len(done.Refused) != 1 {
			t.Errorf("rerun: %+v", done)
		}
		_, err := s.Apply(t.Context(), sender, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Moves: moves(campaign.Send, 0, 1)})
		if !errors.Is(err, ErrMoved) {
			t.Errorf("begin: %v", err)
		}
		if r := sender.Record(0); r.State != campaign.Canceled || !r.Erased {
			t.Errorf("the sender sees %+v", r)
		}
		apply(t, s, sender, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Moves: moves(campaign.Send, 1)}) // the others go on
	})
}

func TestEraseContactRefusesWhatIsOpen(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	c := launch(t, s, "sale", 2, 2, campaign.Running)
	at := Place{Ref{"sale", 0}, 0}
	tryErase := func() error { return s.EraseContact(ctx, c, at, person(0).Phone, "tester") }
	if err := tryErase(); !errors.Is(err, ErrOpen) {
		t.Errorf("pending: %v", err)
	}
	chunk := begin(t, s, at.Ref, "w/1", 0)
	if err := tryErase(); !errors.Is(err, ErrOpen) {
		t.Errorf("sending: %v", err)
	}
	apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Accept, 0)})
	creating := &campaign.Ticket{State: campaign.TicketCreating, ID: "t1"}
	if _, err := s.SetTicket(ctx, at, nil, creating, time.Hour, 5); err != nil {
		t.Fatal(err)
	}
	if err := tryErase(); !errors.Is(err, ErrOpen) {
		t.Errorf("with a ticket under way: %v", err)
	}
	made := &campaign.Ticket{State: campaign.TicketMade, ID: "t1", Reason: campaign.Text("Sara")}
	if _, err := s.SetTicket(ctx, at, creating, made, 0, 5); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseContact(ctx, c, at, person(1).Phone, "tester"); !errors.Is(err, ErrGone) {
		t.Errorf("somebody else's place: %v", err)
	}
	if err := tryErase(); err != nil {
		t.Fatal(err)
	}
	left, err := s.Ticket(ctx, at)
	if tally, err2 := s.TicketTally(ctx, "sale"); err != nil || err2 != nil || left.State != campaign.TicketMade || left.ID != "" || !left.Reason.IsZero() || tally[campaign.TicketMade] != 1 {
		t.Errorf("ticket %+v, tally %v, %v, %v", left, tally, err, err2)
	}
	if err := tryErase(); !errors.Is(err, ErrGone) {
		t.Errorf("a second time: %v", err)
	}
}

// Whatever changes between the reading of a contact and its erasure, the erasure begins
// anew with what is there then.
func TestEraseContactIsConditional(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	c := lived(t, s)
	at, phone := Place{Ref{"sale", 0}, 0}, person(0).Phone
	other := New(rdb)
	for name, change := range map[string]func(){
		"the record": func() {
			records := read(t, other, at.Ref)
			records.ledger.Set(0, campaign.Record{State: campaign.Ended, Attempts: 9})
			rdb.Set(context.Background(), keyLedger(at.Ref), []byte(records.ledger), 0)
		},
		"the rows": func() {
			if err := other.EraseContact(context.Background(), c, Place{at.Ref, 1}, person(1).Phone, "another"); err != nil {
				t.Error(err)
			}
		},
		"the ticket": func() {
			if _, err := other.SetTicket(context.Background(), at, readTicket(t, other, at), nil, 0, 5); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			meanwhile := redis.NewClient(rdb.Options())
			t.Cleanup(func() { meanwhile.Close() })
			once := change
			meanwhile.AddHook(&scripts{before: func(context.Context, redis.Cmder, redis.ProcessHook) {
				if once != nil {
					once()
					once = nil
				}
			}})
			if err := New(meanwhile).EraseContact(t.Context(), c, at, phone, "tester"); !errors.Is(err, ErrMoved) {
				t.Errorf("got %v, want ErrMoved", err)
			}
			if got := read(t, s, at.Ref).Contacts[0].Phone; got != phone {
				t.Errorf("number %v is left", got)
			}
		})
	}
	if err := s.EraseContact(t.Context(), c, at, phone, "tester"); err != nil {
		t.Error(err)
	}
}

func readTicket(t *testing.T, s *Store, at Place) *campaign.Ticket {
	t.Helper()
	ticket, err := s.Ticket(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// An event that is just being applied tells nothing of a contact that is erased meanwhile.
func TestOutcomeOfTheErasedStaysEmpty(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		c := lived(t, s)
		ref := Ref{Campaign: "sale"}
		erased := false
		err := s.UpdateOutcomes(ctx, ref, []int{0, 1}, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
			if !erased {
				erase(t, s, c, 0)
				erased = true
			}
			o.Started, o.Conversation = noon, "conv-"+person(index).Phone.E164()
			return o, []campaign.Turn{{Role: "customer", Text: person(index).Phone.E164()}}
		})
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := s.Outcomes(ctx, ref)
		if err != nil || outcomes[0].Known() || !outcomes[1].Known() {
			t.Errorf("outcomes %+v, %v", outcomes, err)
		}
		if history, err := s.History(ctx, ref, 0); err != nil || history != nil {
			t.Errorf("history %v, %v", history, err)
		}
	})
}

func TestFindPerson(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	indexed := lived(t, s)
	plain := launch(t, s, "plain", 5, 2, campaign.Running)
	read := 0
	var reading sync.Mutex
	told := func(chunks int) {
		reading.Lock()
		defer reading.Unlock()
		read = max(read, chunks)
	}
	for _, c := range []campaign.Campaign{indexed, plain} {
		for n := range 5 {
			ordinal := n
			if c.Name == "sale" && n > 2 {
				ordinal++ // the last chunk before the append was not full
			}
			want := []Place{{Ref{c.Name, ordinal / 2}, ordinal % 2}}
			got, err := s.FindPerson(ctx, c, person(n).Phone, told)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, contact %d: %v\n%s", c.Name, n, err, diff)
			}
		}
		if got, err := s.FindPerson(ctx, c, person(7).Phone, func(int) {}); err != nil || len(got) > 0 {
			t.Errorf("%s: a stranger at %v, %v", c.Name, got, err)
		}
	}
	if read != plain.Chunks {
		t.Errorf("told of %d chunks, not %d", read, plain.Chunks)
	}
}

func TestRejectedErasesOneLineAndNoOther(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		load, err := s.BeginLoad(ctx, testCampaign("sale", 2))
		if err != nil {
			t.Fatal(err)
		}
		first := "\ufeff\"phone\",\"full\nname\",line,reason,original\r\n0501234567,\"Sara, \"\"Um Ali\"\"\",7,duplicate of line 2,\n0509999999,\"two\nlines\",8,number too short,\n"
		second := ",,9,too many cells,\"0501234567,Sara,x\"\n0508888888,Omar,10,duplicate,\n"
		for _, part := range []string{first, second} {
			if err := load.AddRejects(ctx, []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		is := func(cells []string) bool { return strings.Contains(fmt.Sprint(cells), "0501234567") }
		text := func() (all string) {
			if err := s.Rejects(ctx, "sale", func(part []byte) error { all += string(part); return nil }); err != nil {
				t.Fatal(err)
			}
			return all
		}
		if lines, err := s.Rejected(ctx, "sale", false, is); err != nil || lines != 2 || text() != first+second {
			t.Errorf("%d lines, %v, now %q", lines, err, text())
		}
		if lines, err := s.Rejected(ctx, "sale", true, is); err != nil || lines != 2 {
			t.Errorf("%d lines, %v", lines, err)
		}
		want := "\ufeff\"phone\",\"full\nname\",line,reason,original\r\n,,7,duplicate of line 2,\n0509999999,\"two\nlines\",8,number too short,\n" +
			",,9,too many cells,\n0508888888,Omar,10,duplicate,\n"
		if diff := cmp.Diff(want, text()); diff != "" {
			t.Errorf("rejects (-want +got):\n%s", diff)
		}
		if lines, err := s.Rejected(ctx, "sale", true, is); err != nil || lines != 0 {
			t.Errorf("again: %d lines, %v", lines, err)
		}
	})
}

func TestContactedDaysAndReservationAreForgotten(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	launch(t, s, "sale", 2, 2, campaign.Running)
	today, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	brazil := campaign.Phone(5511987654321)
	old, _ := brazil.OtherSpelling()
	for _, at := range []time.Time{today, today.AddDate(0, 0, -3)} {
		if err := s.RecordContacted(ctx, at, []campaign.Phone{brazil, person(1).Phone, 0}); err != nil {
			t.Fatal(err)
		}
	}
	day := func(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }
	want := []time.Time{day(today.AddDate(0, 0, -3)), day(today)}
	for _, forget := range []bool{false, true} {
		if days, err := s.ContactedDays(ctx, old, forget); err != nil || !cmp.Equal(days, want) {
			t.Errorf("contacted on %v, %v, want %v", days, err, want)
		}
	}
	if days, err := s.ContactedDays(ctx, brazil, false); err != nil || len(days) > 0 {
		t.Errorf("still contacted on %v, %v", days, err)
	}
	if days, err := s.ContactedDays(ctx, person(1).Phone, false); err != nil || len(days) != 2 {
		t.Errorf("another was contacted on %v, %v", days, err)
	}

	// A reservation goes only when nothing can begin under it.
	held := Reservation{Phone: brazil, Ref: Ref{Campaign: "sale"}, Token: "w/1", Until: today.Add(time.Hour)}
	if _, err := s.Reserve(ctx, []Reservation{held}, nil); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.DropReservation(ctx, old); err != nil || gone {
		t.Errorf("a live reservation is gone: %v", err)
	}
	if name, standing, ok, err := s.Reserved(ctx, old); err != nil || !ok || name != "sale" || standing.Free() {
		t.Errorf("%q, %+v, %v, %v", name, standing, ok, err)
	}
	s.rdb.Del(ctx, keyReservations)
	held.Until = today.Add(-time.Hour)
	if _, err := s.Reserve(ctx, []Reservation{held}, nil); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.DropReservation(ctx, old); err != nil || !gone || s.rdb.Exists(ctx, keyReservations).Val() > 0 {
		t.Errorf("a dead reservation stays: %v", err)
	}
}

func TestUnmatchedNames(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	for _, name := range []string{"sale", "no-campaign", "a.b"} {
		if _, err := s.KeepUnmatched(ctx, name, []Unmatched{{Event: Event{At: time.Now(), Body: []byte(name)}}}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := s.UnmatchedNames(ctx)
	if want := []string{"a.b", "no-campaign", "sale"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("names %q, %v, want %q", names, err, want)
	}
}
