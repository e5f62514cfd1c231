package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// twice runs every command and pipeline twice while on: go-redis repeats what it has
// no answer to.
type twice struct{ on bool }

func (h *twice) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.on && strings.HasPrefix(cmd.Name(), "eval") {
			_ = next(ctx, cmd)
		}
		return next(ctx, cmd)
	}
}
func (h *twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if h.on && slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return strings.HasPrefix(c.Name(), "eval") }) {
			_ = next(ctx, cmds)
		}
		return next(ctx, cmds)
	}
}

const raceContacts = 3

// A race is two campaigns over the same people, both of which leave out who was
// contacted lately. Their senders die, freeze and come late at every point of a request.
type race struct {
	store *Store
	hook  *twice
	names [2]string

	owners  map[campaign.Phone]Owner // the model of the keys
	now     [2]*racer                // the living senders
	old     []Reservation            // whose calls may still be carried out once more
	reached [raceContacts]int        // by the platform
	n       int
}

// A racer is a sender of one of the campaigns.
type racer struct {
	campaign int
	token    string
	chunk    *Chunk
	held     map[int]Reservation
	begun    map[int]bool
}

func TestTwoCampaignsNeverReachAPersonBoth(t *testing.T) {
	rdb := redistest.Shared(t)
	hook := new(twice)
	rdb.AddHook(hook)
	races := 0
	rapid.Check(t, func(rt *rapid.T) {
		races++
		hook.on = false
		rdb.FlushDB(t.Context())
		r := &race{store: New(rdb), hook: hook, owners: make(map[campaign.Phone]Owner)}
		for i := range r.names {
			r.names[i] = fmt.Sprintf("c%d.%d", races, i)
			launch(t, r.store, r.names[i], raceContacts, raceContacts, campaign.Running)
			r.now[i] = r.sender(rt, i)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"a number is reserved":         r.reserves,
			"another is":                   r.reserves,
			"a request begins":             r.begins,
			"another does":                 r.begins,
			"an answer is written":         r.answers,
			"another is written":           r.answers,
			"a number is given back":       r.givesBack,
			"the fence is over":            r.timePasses,
			"a sender dies":                r.dies,
			"what was left is forgotten":   r.forgets,
			"an old call is carried out":   r.comesLate,
			"a sender's rest is recovered": r.recovers,
			"":                             r.check,
		})
	})
}

func (r *race) ref(i int) Ref { return Ref{Campaign: r.names[i], Chunk: 0} }

func (r *race) sender(t *rapid.T, i int) *racer {
	r.n++
	chunk, err := r.store.ReadChunk(t.Context(), r.ref(i))
	if err != nil {
		t.Fatal(err)
	}
	return &racer{campaign: i, token: NewClaim("w", fmt.Sprint(r.n)), chunk: chunk, held: make(map[int]Reservation), begun: make(map[int]bool)}
}

func (r *race) draw(t *rapid.T) (*racer, int) {
	r.hook.on = rapid.Bool().Draw(t, "answer lost")
	return r.now[rapid.IntRange(0, 1).Draw(t, "campaign")], rapid.IntRange(0, raceContacts-1).Draw(t, "contact")
}

// record is the truth of a contact.
func (r *race) record(t *rapid.T, i, contact int) campaign.Record {
	chunk, err := r.store.ReadLedger(t.Context(), r.ref(i))
	if err != nil {
		t.Fatal(err)
	}
	return chunk.Record(contact)
}

// standing is what must be true of an owner, by the rules and not by the script.
func (r *race) standing(t *rapid.T, o Owner) (free bool) {
	ref, index, until, ok := o.parse()
	if !ok {
		t.Fatalf("owner %q", o)
	}
	return until.Before(time.Now()) && r.record(t, slices.Index(r.names[:], ref.Campaign), index).State != campaign.Sending
}

// reserves asks for some numbers at once. Those that another has, or the record knows, are
// put off.
func (r *race) reserves(t *rapid.T) {
	s, first := r.draw(t)
	some := rapid.SliceOfNDistinct(rapid.IntRange(0, raceContacts-1), 0, raceContacts-1, rapid.ID).Draw(t, "others")
	var wanted []Reservation
	for _, i := range slices.Compact(slices.Sorted(slices.Values(append(some, first)))) {
		if _, has := s.held[i]; has || s.chunk.Record(i).State != campaign.Pending {
			continue
		}
		r.n++
		wanted = append(wanted, Reservation{Phone: s.chunk.Contacts[i].Phone, Ref: s.chunk.Ref, Index: i, Token: s.token, N: r.n, Until: time.Now().Add(time.Hour).Truncate(time.Millisecond)})
	}
	if len(wanted) == 0 {
		t.Skip("nothing to reserve")
	}
	r.old = append(r.old, wanted...)
	others, err := r.store.Reserve(t.Context(), wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	standings, err := r.store.Standings(t.Context(), others)
	if err != nil {
		t.Fatal(err)
	}
	var free, got []Reservation
	var over []Owner
	for n, want := range wanted {
		owner := others[n]
		switch {
		case owner != r.owners[want.Phone]:
			t.Fatalf("owner %q, want %q", owner, r.owners[want.Phone])
		case owner == "":
			got = append(got, want)
		case standings[n].Free() != r.standing(t, owner):
			t.Fatalf("%q: free %v, want %v", owner, standings[n].Free(), !standings[n].Free())
		case standings[n].Free():
			free, over = append(free, want), append(over, owner)
		}
	}
	others, err = r.store.Reserve(t.Context(), free, over)
	if err != nil || slices.ContainsFunc(others, func(o Owner) bool { return o != "" }) {
		t.Fatalf("taken over: %q, %v", others, err)
	}
	for _, want := range append(got, free...) {
		r.owners[want.Phone] = want.owner()
		// With the number in hand the record is asked.
		found, err := findContacted(t.Context(), r.store, time.Now(), 7, []campaign.Phone{want.Phone})
		if err != nil {
			t.Fatal(err)
		}
		s.held[want.Index] = want
		if found[0] && !s.chunk.Record(want.Index).Recorded {
			r.back(t, s, want.Index)
		}
	}
}

func (r *race) begins(t *rapid.T) {
	s, i := r.draw(t)
	held, has := s.held[i]
	if !has || s.begun[i] {
		t.Skip("nothing to begin")
	}
	late := held.Until.Before(time.Now())
	_, err := r.store.Apply(t.Context(), s.chunk, Change{
		Act: Begin, Token: s.token, ClaimTTL: time.Hour, Due: time.Hour, Latest: held.Until,
		Moves: []Move{{Index: i, Move: campaign.Move{Cause: campaign.Send, At: noon}}},
	})
	switch {
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUnrecovered), errors.Is(err, ErrMoved):
		r.back(t, s, i)
	case late != errors.Is(err, ErrLate), !late && err != nil:
		t.Fatalf("late %v: %v", late, err)
	case late:
		r.back(t, s, i)
	default:
		s.begun[i] = true
		if r.record(t, 1-s.campaign, i).State == campaign.Sending {
			t.Fatalf("contact %d is being sent by both", i)
		}
	}
}

func (r *race) answers(t *rapid.T) {
	s, i := r.draw(t)
	if !s.begun[i] {
		t.Skip("nothing begun")
	}
	move := campaign.Move{Cause: rapid.SampledFrom([]campaign.Cause{campaign.Accept, campaign.Unsent, campaign.Lose, campaign.Reject}).Draw(t, "answer"), At: noon}
	change := Change{Act: Commit, Token: s.token, ClaimTTL: time.Hour, Due: time.Hour, ContactedAt: time.Now()}
	if move.MayReach() {
		r.reached[i]++
		move.Recorded, change.Contacted = true, []campaign.Phone{s.chunk.Contacts[i].Phone}
	}
	change.Moves = []Move{{Index: i, Move: move}}
	done, err := r.store.Apply(t.Context(), s.chunk, change)
	if err != nil || done.Unrecorded != nil {
		t.Fatal(err, done.Unrecorded)
	}
	delete(s.begun, i)
	if rapid.Bool().Draw(t, "given back") {
		r.back(t, s, i)
	} else {
		delete(s.held, i) // left behind
	}
}

func (r *race) givesBack(t *rapid.T) {
	s, i := r.draw(t)
	if _, has := s.held[i]; !has || s.begun[i] {
		t.Skip("nothing held")
	}
	r.back(t, s, i)
}

func (r *race) back(t *rapid.T, s *racer, i int) {
	held := s.held[i]
	if err := r.store.GiveBack(t.Context(), []Reservation{held}); err != nil {
		t.Fatal(err)
	}
	if r.owners[held.Phone] == held.owner() {
		r.owners[held.Phone] = ""
	}
	delete(s.held, i)
}

// timePasses puts the fence of a reservation into the past, wherever it stands.
func (r *race) timePasses(t *rapid.T) {
	if len(r.old) == 0 {
		t.Skip("no reservation")
	}
	at := rapid.IntRange(0, len(r.old)-1).Draw(t, "reservation")
	before := r.old[at]
	if before.Until.Before(time.Now()) {
		t.Skip("it is over")
	}
	after := before
	after.Until = before.Until.Add(-3 * time.Hour)
	r.old[at] = after
	for _, s := range r.now {
		if s.held[before.Index] == before {
			s.held[before.Index] = after
		}
	}
	if r.owners[before.Phone] == before.owner() {
		r.owners[before.Phone] = after.owner()
		if err := r.store.rdb.HSet(t.Context(), keyReservations, fieldReservation(before.Phone), string(after.owner())).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// dies: what it had begun may have arrived, its keys stay.
func (r *race) dies(t *rapid.T) {
	s, _ := r.draw(t)
	for i := range s.begun {
		r.reached[i]++
	}
	r.now[s.campaign] = r.sender(t, s.campaign)
}

// comesLate: a server that was frozen, or a connection that was given up, carries out
// a call of long ago.
func (r *race) comesLate(t *rapid.T) {
	if len(r.old) == 0 {
		t.Skip("no call")
	}
	r.hook.on = false
	late := rapid.SampledFrom(r.old).Draw(t, "reservation")
	living := slices.ContainsFunc(r.now[:], func(s *racer) bool { return s.held[late.Index] == late })
	if rapid.Bool().Draw(t, "the reservation itself") {
		others, err := r.store.Reserve(t.Context(), []Reservation{late}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if others[0] == "" {
			r.owners[late.Phone] = late.owner()
		}
		return
	}
	mine := r.owners[late.Phone] == late.owner()
	if living || mine && r.record(t, slices.Index(r.names[:], late.Ref.Campaign), late.Index).State == campaign.Sending {
		t.Skip("nobody gives that back")
	}
	if err := r.store.GiveBack(t.Context(), []Reservation{late}); err != nil {
		t.Fatal(err)
	}
	if mine {
		r.owners[late.Phone] = ""
	}
}

// forgets deletes what was left behind.
func (r *race) forgets(t *rapid.T) {
	r.draw(t)
	if err := r.store.ForgetReservations(t.Context()); err != nil {
		t.Fatal(err)
	}
	for phone, owner := range r.owners {
		if _, _, until, ok := owner.parse(); ok && time.Since(until) > leftAfter && r.standing(t, owner) {
			r.owners[phone] = ""
		}
	}
}

// recovers makes a dead sender's contacts unconfirmed, after recording them.
func (r *race) recovers(t *rapid.T) {
	s, _ := r.draw(t)
	chunk, err := r.store.ReadChunk(t.Context(), s.chunk.Ref)
	if err != nil {
		t.Fatal(err)
	}
	if chunk.Claim == s.token || chunk.Claim == "" && len(chunk.In(campaign.Sending)) == 0 {
		t.Skip("nobody died")
	}
	change := Change{Act: Recover, Dead: chunk.Claim, Due: time.Minute, ContactedAt: time.Now()}
	for _, i := range chunk.In(campaign.Sending) {
		change.Moves = append(change.Moves, Move{Index: i, Move: campaign.Move{Cause: campaign.Lose, At: noon, Recorded: true}})
		change.Contacted = append(change.Contacted, chunk.Contacts[i].Phone)
	}
	if _, err := r.store.Apply(t.Context(), chunk, change); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Reload(t.Context(), s.chunk); err != nil {
		t.Fatal(err)
	}
}

func (r *race) check(t *rapid.T) {
	r.hook.on = false
	for i, n := range r.reached {
		if n > 1 {
			t.Fatalf("contact %d may have been reached %d times", i, n)
		}
	}
	for phone, want := range r.owners {
		owners, err := r.store.Owners(t.Context(), []campaign.Phone{phone})
		if err != nil || owners[0] != want {
			t.Fatalf("owner %q, want %q: %v", owners, want, err)
		}
	}
}

func TestAReservationIsOfAPerson(t *testing.T) {
	s := New(redistest.Shared(t))
	until := time.Now().Add(time.Hour)
	one := Reservation{Phone: 5215512345678, Ref: Ref{"a", 0}, Index: 1, Token: "w/1", Until: until}
	two := Reservation{Phone: 525512345678, Ref: Ref{"b", 2}, Index: 3, Token: "w/2", Until: until}
	if others, err := s.Reserve(t.Context(), []Reservation{one}, nil); err != nil || others[0] != "" {
		t.Fatal(others, err)
	}
	others, err := s.Reserve(t.Context(), []Reservation{two}, nil)
	if err != nil || others[0] != one.owner() {
		t.Fatalf("the other spelling of a number: %q, %v", others, err)
	}
	// Who is compared and taken over is that very owner.
	if others, err = s.Reserve(t.Context(), []Reservation{two}, []Owner{two.owner()}); err != nil || others[0] != one.owner() {
		t.Errorf("taken over from another owner: %q, %v", others, err)
	}
	// A campaign that is gone, and a value that cannot be read, hold nothing.
	standings, err := s.Standings(t.Context(), []Owner{one.owner(), "garbage", "x/y/z a 1 2"})
	if diff := cmp.Diff([]Standing{{}, {}, {}}, standings); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestACampaignThatIsBeingPurgedReservesNothing(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "c", 1, 1, campaign.Running)
	ref := Ref{Campaign: "c"}
	chunk, err := s.ReadChunk(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: []Move{{Move: campaign.Move{Cause: campaign.Send, At: time.Now()}}}})
	if err != nil {
		t.Fatal(err)
	}
	owner := Reservation{Phone: chunk.Contacts[0].Phone, Ref: ref, Token: "w/1", Until: time.Now().Add(-time.Minute)}.owner()
	for _, sending := range []bool{true, false} {
		standings, err := s.Standings(t.Context(), []Owner{owner})
		if err != nil || standings[0].Sending != sending {
			t.Errorf("standing %+v, %v, want sending: %t", standings, err, sending)
		}
		s.rdb.HSet(t.Context(), keyCampaign("c"), "purge_began", 1)
	}
}

// A Redis that was frozen carries out, when it goes on, what dead callers had told it.
func TestAFrozenRedisRefusesABeginThatComesLate(t *testing.T) {
	server := redistest.Start(t)
	s := New(server.Client())
	launch(t, s, "c", 2, 2, campaign.Running)
	ref := Ref{Campaign: "c"}
	chunk, err := s.ReadChunk(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	begin := Change{Act: Begin, Token: "dead/1", ClaimTTL: time.Minute, Due: time.Minute, Moves: []Move{
		{Index: 0, Move: campaign.Move{Cause: campaign.Send, At: noon}}, {Index: 1, Move: campaign.Move{Cause: campaign.Send, At: noon}}}}
	recover := Change{Act: Recover, Dead: "living/1", Due: time.Minute}
	for _, change := range []Change{begin, recover} {
		t.Run(string(change.Act), func(t *testing.T) {
			if change.Act == Recover { // of a sender that was taken for dead
				living := begin
				living.Token = "living/1"
				if _, err := s.Apply(t.Context(), chunk, living); err != nil {
					t.Fatal(err)
				}
			}
			now, err := s.Clock(t.Context(), "c")
			if err != nil {
				t.Fatal(err)
			}
			change.Latest = now.Add(200 * time.Millisecond)
			dying := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, ReadTimeout: -1, ContextTimeoutEnabled: true})
			its := New(dying)
			if err := errors.Join(changeScript.Load(t.Context(), dying).Err(), its.Raise(t.Context(), "c")); err != nil {
				t.Fatal(err)
			}
			ran := calls(t, s.rdb, "evalsha")
			server.Freeze()
			deadline, cancel := context.WithDeadline(t.Context(), time.Now().Add(300*time.Millisecond)) // past the fence
			defer cancel()
			if _, err := its.Apply(deadline, &Chunk{Ref: ref, ledger: slices.Clone(chunk.ledger)}, change); err == nil {
				t.Fatal("a frozen Redis answers")
			}
			dying.Close()
			server.Thaw()
			for tick := time.NewTicker(5 * time.Millisecond); calls(t, s.rdb, "evalsha") == ran; { // until it is carried out
				<-tick.C
			}
			now2, err := s.ReadLedger(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[Act]string{Begin: "", Recover: "living/1"}[change.Act]; now2.Claim != want {
				t.Errorf("the claim is %q, want %q", now2.Claim, want)
			}
			if n := len(now2.In(campaign.Sending)); change.Act == Begin && n > 0 {
				t.Errorf("%d contacts are sending whose sender had died", n)
			}
		})
	}
}

// calls is how often a server has carried out a command.
func calls(t *testing.T, rdb redis.UniversalClient, command string) (n int) {
	t.Helper()
	for line := range strings.Lines(rdb.Info(t.Context(), "commandstats").Val()) {
		if _, err := fmt.Sscanf(line, "cmdstat_"+command+":calls=%d,", &n); err == nil {
			return n
		}
	}
	return 0
}

func TestABeginThatIsRepeatedAfterItsFenceHasBegun(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "c", 1, 1, campaign.Running)
	chunk, err := s.ReadChunk(t.Context(), Ref{Campaign: "c"})
	if err != nil {
		t.Fatal(err)
	}
	read := slices.Clone(chunk.ledger)
	change := Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Due: time.Minute, Latest: time.Now().Add(time.Hour),
		Moves: []Move{{Index: 0, Move: campaign.Move{Cause: campaign.Send, At: noon}}}}
	if _, err := s.Apply(t.Context(), chunk, change); err != nil {
		t.Fatal(err)
	}
	change.Latest = time.Now().Add(-time.Hour)
	if _, err := s.Apply(t.Context(), &Chunk{Ref: chunk.Ref, ledger: read}, change); err != nil {
		t.Errorf("repeated: %v", err)
	}
	// The first to come late changes nothing, and is told the time.
	launch(t, s, "d", 1, 1, campaign.Running)
	if chunk, err = s.ReadChunk(t.Context(), Ref{Campaign: "d"}); err != nil {
		t.Fatal(err)
	}
	var late *LateError
	if _, err := s.Apply(t.Context(), chunk, change); !errors.As(err, &late) || late.Now.Before(change.Latest) {
		t.Errorf("late: %v", err)
	}
	if err := s.Reload(t.Context(), chunk); err != nil || chunk.Claim != "" || len(chunk.In(campaign.Pending)) != 1 {
		t.Errorf("it was changed: claim %q, %v", chunk.Claim, err)
	}
}

// counter counts commands and round trips.
type counter struct{ commands, trips int }

func (h *counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.commands, h.trips = h.commands+1, h.trips+1
		return next(ctx, cmd)
	}
}
func (h *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.commands, h.trips = h.commands+len(cmds), h.trips+1
		return next(ctx, cmds)
	}
}

func TestWhatAReservationAndTheRecordCost(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	launch(t, s, "c", 500, 500, campaign.Running)
	chunk, err := s.ReadChunk(t.Context(), Ref{Campaign: "c"})
	if err != nil {
		t.Fatal(err)
	}
	wanted, phones := reservationsOf(chunk), make([]campaign.Phone, 500)
	for i, r := range wanted {
		phones[i] = r.Phone
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lookUp := func() error { _, err := findContacted(t.Context(), s, time.Now(), 90, phones); return err }
	reserve := func() error { _, err := s.Reserve(t.Context(), wanted, nil); return err }
	back := func() error { return s.GiveBack(t.Context(), wanted) }
	_, err = s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: movesOf(500, campaign.Send)})
	must(err)
	answer := func() error {
		done, err := s.Apply(t.Context(), chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Minute, Moves: movesOf(500, campaign.Accept),
			Contacted: phones, ContactedAt: time.Now()})
		return errors.Join(err, done.Unrecorded)
	}
	must(errors.Join(reserve(), back(), s.RecordContacted(t.Context(), time.Now(), phones[:1]))) // scripts and the day are known
	for _, step := range []struct {
		name     string
		do       func() error
		commands int
	}{
		{"reserve 500 numbers", reserve, 1},
		{"look for them in 91 days of the contact record", lookUp, 91 * 500},
		{"write record and ledger", answer, 2},
		{"give the numbers back", back, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			var c counter
			rdb.AddHook(&c)
			must(step.do())
			if c.trips != 1 || c.commands > step.commands {
				t.Errorf("%d commands in %d round trips, want at most %d in one", c.commands, c.trips, step.commands)
			}
		})
	}
	if n := rdb.Exists(t.Context(), keyReservations).Val(); n != 0 {
		t.Error("numbers are still reserved")
	}
}

// Many numbers are reserved and given back in one run of a script. That must come to the
// same as one by one, also when one person is named twice and when each run is repeated.
func TestNumbersAreReservedTogetherAsOneByOne(t *testing.T) {
	rdb := redistest.Shared(t)
	hook := new(twice)
	rdb.AddHook(hook)
	s := New(rdb)
	people := []campaign.Phone{966500000000, 5491155551234, 541155551234, 966500000003} // the second and third are one person
	rapid.Check(t, func(t *rapid.T) {
		hook.on = false
		rdb.FlushDB(t.Context())
		owners := make(map[campaign.Phone]Owner)
		var made []Reservation
		for range rapid.IntRange(1, 12).Draw(t, "calls") {
			hook.on = rapid.Bool().Draw(t, "twice")
			if rapid.IntRange(0, 2).Draw(t, "give back") == 0 && len(made) > 0 {
				some := rapid.SliceOfN(rapid.SampledFrom(made), 1, 5).Draw(t, "held")
				if err := s.GiveBack(t.Context(), some); err != nil {
					t.Fatal(err)
				}
				for _, r := range some {
					if owners[r.Phone.Person()] == r.owner() {
						delete(owners, r.Phone.Person())
					}
				}
				continue
			}
			var wanted []Reservation
			var over, want []Owner
			for _, phone := range rapid.SliceOfN(rapid.SampledFrom(people), 1, 5).Draw(t, "people") {
				r := Reservation{Phone: phone, Ref: Ref{"c", 0}, Index: len(made), Token: "w/1", Until: time.UnixMilli(1)}
				made, wanted = append(made, r), append(wanted, r)
				over = append(over, rapid.SampledFrom([]Owner{"", owners[phone.Person()]}).Draw(t, "over"))
			}
			for i, r := range wanted {
				if owner := owners[r.Phone.Person()]; owner != "" && owner != over[i] {
					want = append(want, owner)
				} else {
					want, owners[r.Phone.Person()] = append(want, ""), r.owner()
				}
			}
			got, err := s.Reserve(t.Context(), wanted, over)
			if err != nil {
				t.Fatal(err)
			}
			if hook.on { // a repeated run may find one of the others in the way
				for i := range got {
					if got[i] != "" && want[i] != "" {
						got[i] = want[i]
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("owners in the way (-want +got):\n%s", diff)
			}
		}
	})
}

// Each number of a request is answered by itself, whichever run of the script it is in.
func TestReservationsOfSeveralPagesAreAnsweredOneByOne(t *testing.T) {
	s := New(redistest.Shared(t))
	const n = 2*reservationsPage + 10
	var ours, theirs []Reservation
	for i := range n {
		r := Reservation{Phone: campaign.Phone(966500000000 + i), Ref: Ref{"c", 0}, Index: i, Token: "w/1", Until: time.UnixMilli(1)}
		ours = append(ours, r)
		if r.Token = "w/2"; i%reservationsPage < 2 || i == n-1 {
			theirs = append(theirs, r)
		}
	}
	if _, err := s.Reserve(t.Context(), theirs, nil); err != nil {
		t.Fatal(err)
	}
	want := make([]Owner, n)
	for _, r := range theirs {
		want[r.Index] = r.owner()
	}
	if others, err := s.Reserve(t.Context(), ours, nil); err != nil || !slices.Equal(others, want) {
		t.Errorf("%d are in the way, %v, want %d in their places", len(others), err, len(theirs))
	}
	// All but the last may be taken over.
	over := slices.Clone(want)
	over[n-1] = "w/3"
	for i := range want[:n-1] {
		want[i] = ""
	}
	if others, err := s.Reserve(t.Context(), ours, over); err != nil || !slices.Equal(others, want) {
		t.Errorf("taken over: %v", err)
	}
	if err := s.GiveBack(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if left := s.rdb.HGetAll(t.Context(), keyReservations).Val(); len(left) != 1 || left[fieldReservation(ours[n-1].Phone)] != string(want[n-1]) {
		t.Errorf("%d are left, want the one of another", len(left))
	}
}

func TestReservationsLeftBehindAreForgotten(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	ctx := t.Context()
	launch(t, s, "c", 3, 3, campaign.Running)
	chunk, err := s.ReadChunk(ctx, Ref{Campaign: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: movesOf(1, campaign.Send)}); err != nil {
		t.Fatal(err)
	}
	long, lately := time.Now().Add(-2*leftAfter), time.Now().Add(-time.Minute)
	of := func(i int, ref Ref, until time.Time) (number, owner string) {
		r := Reservation{Phone: campaign.Phone(966510000000 + i), Ref: ref, Index: i, Token: "w/1", Until: until}
		return fieldReservation(r.Phone), string(r.owner())
	}
	stay := make(map[string]string)
	for _, r := range []struct {
		index int
		ref   Ref
		until time.Time
		stays bool
	}{
		{0, chunk.Ref, long, true},   // its request is on its way
		{1, chunk.Ref, lately, true}, // it is given back or taken over, most likely
		{2, chunk.Ref, long, false},  // its sender has died
		{3, Ref{"gone", 0}, long, false},
	} {
		number, owner := of(r.index, r.ref, r.until)
		rdb.HSet(ctx, keyReservations, number, owner)
		if r.stays {
			stay[number] = owner
		}
	}
	rdb.HSet(ctx, keyReservations, "966519999999", "garbage")
	many := make([]any, 0, 2*3*leftPage)
	for i := range 3 * leftPage { // of a campaign that is purged
		number, owner := of(1000+i, Ref{"gone", 1}, long)
		many = append(many, number, owner)
	}
	rdb.HSet(ctx, keyReservations, many...)
	// One is taken over as it is about to be deleted.
	number, _ := of(2, chunk.Ref, long)
	taken := false
	rdb.AddHook(piped(func([]redis.Cmder) {
		if !taken && rdb.HGet(ctx, keyReservations, number).Val() != "" {
			_, stay[number] = of(2, chunk.Ref, lately)
			rdb.HSet(ctx, keyReservations, number, stay[number])
			taken = true
		}
	}))
	for looks := 1; ; looks++ {
		if err := s.ForgetReservations(ctx); err != nil {
			t.Fatal(err)
		}
		if s.leftFrom.Load() == 0 {
			if looks < 3 {
				t.Errorf("%d looks at %d reservations, want a page each", looks, 3*leftPage)
			}
			break
		}
	}
	if diff := cmp.Diff(stay, rdb.HGetAll(ctx, keyReservations).Val()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func reservationsOf(chunk *Chunk) []Reservation {
	wanted := make([]Reservation, chunk.Len())
	for i, c := range chunk.Contacts {
		wanted[i] = Reservation{Phone: c.Phone, Ref: chunk.Ref, Index: i, Token: "w/1", N: 1, Until: time.Now().Add(time.Hour)}
	}
	return wanted
}

func movesOf(n int, cause campaign.Cause) []Move {
	moves := make([]Move, n)
	for i := range moves {
		moves[i] = Move{Index: i, Move: campaign.Move{Cause: cause, At: noon}}
	}
	return moves
}

// The record is told before the ledger, in one pipeline: whatever ends it in between,
// every accepted contact is known to other campaigns.
func TestTheRecordIsToldBeforeTheLedger(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	launch(t, s, "c", 2, 2, campaign.Running)
	chunk, err := s.ReadChunk(t.Context(), Ref{Campaign: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: movesOf(2, campaign.Send)}); err != nil {
		t.Fatal(err)
	}
	var order []string
	rdb.AddHook(piped(func(cmds []redis.Cmder) {
		for _, cmd := range cmds {
			order = append(order, cmd.Name())
		}
	}))
	_, err = s.Apply(t.Context(), chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Minute, Moves: movesOf(2, campaign.Accept),
		Contacted: []campaign.Phone{chunk.Contacts[0].Phone, chunk.Contacts[1].Phone}, ContactedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"eval", "evalsha"}, order); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Everybody who is recorded is found by number, and when all of a day are read.
func TestWhoIsRecordedIsFound(t *testing.T) {
	rdb := redistest.Shared(t)
	rapid.Check(t, func(t *rapid.T) {
		rdb.FlushDB(t.Context())
		rdb.ScriptFlush(t.Context())
		s, now := New(rdb), time.Now()
		var all []campaign.Phone
		for range rapid.IntRange(1, 4).Draw(t, "answers") {
			// Close together, since eight buckets share a byte of the marks.
			near := rapid.Custom(func(t *rapid.T) campaign.Phone {
				return campaign.Phone(966500000000 + rapid.IntRange(0, 40).Draw(t, "number") + 7*phoneBuckets*rapid.IntRange(0, 2).Draw(t, "round"))
			})
			phones := rapid.SliceOfN(near, 1, 30).Draw(t, "phones")
			if rapid.IntRange(0, 9).Draw(t, "many") == 0 {
				for i := range 2*recordPage + 1 {
					phones = append(phones, campaign.Phone(966520000000+i))
				}
			}
			cmds, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error { s.recordIn(t.Context(), p, now, phones); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if len(cmds) != (len(phones)+recordPage-1)/recordPage {
				t.Errorf("%d commands for %d people", len(cmds), len(phones))
			}
			all = append(all, phones...)
		}
		day, err := s.ReadContacted(t.Context(), now, 1)
		if err != nil {
			t.Fatal(err)
		}
		found, err := findContacted(t.Context(), s, now, 1, all)
		if err != nil {
			t.Fatal(err)
		}
		for i, phone := range all {
			if !found[i] || !day.Has(phone) {
				t.Fatalf("%d: found %t, read %t", phone, found[i], day.Has(phone))
			}
		}
	})
}

type piped func(cmds []redis.Cmder)

func (h piped) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h piped) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h piped) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h(cmds)
		return next(ctx, cmds)
	}
}

// BenchmarkReservation reserves the numbers of a request of 500 and gives them back.
func BenchmarkReservation(b *testing.B) {
	s := New(redistest.Start(b, "--appendonly", "yes", "--appendfsync", "always").Client())
	wanted := make([]Reservation, 500)
	for i := range wanted {
		wanted[i] = Reservation{Phone: campaign.Phone(966500000000 + i), Ref: Ref{"spring-offer", 3}, Index: i, Token: "ABCDEFGHIJKL/ABCDEFGHIJKLMNOPQRSTUVWXYZ", Until: time.Now()}
	}
	perContact(b, s, len(wanted), func() error {
		_, err := s.Reserve(b.Context(), wanted, nil)
		return errors.Join(err, s.GiveBack(b.Context(), wanted))
	})
}

// BenchmarkRecord writes the people of an answer of 500 into the contact record.
func BenchmarkRecord(b *testing.B) {
	s := New(redistest.Start(b, "--appendonly", "yes", "--appendfsync", "always").Client())
	phones, n := make([]campaign.Phone, 500), 0
	perContact(b, s, len(phones), func() error {
		for i := range phones {
			phones[i], n = campaign.Phone(966500000000+n*7919%100_000_000), n+1
		}
		_, err := s.rdb.Pipelined(b.Context(), func(p redis.Pipeliner) error { s.recordIn(b.Context(), p, noon, phones); return nil })
		return err
	})
}

// perContact measures what doing something takes of the processor for each contact: time at
// the wall says little on a machine with other work.
func perContact(b *testing.B, s *Store, contacts int, do func() error) {
	b.Helper()
	used := func() (ours, redis float64) {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(s.rdb.Info(b.Context(), "cpu").Val()) {
			for _, part := range []string{"used_cpu_sys:%g", "used_cpu_user:%g"} {
				var seconds float64
				if _, err := fmt.Sscanf(line, part, &seconds); err == nil {
					redis += seconds
				}
			}
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, redis
	}
	ours, redis := used()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	oursNow, redisNow := used()
	each := float64(b.N*contacts) / 1e6
	b.ReportMetric((oursNow-ours)/each, "µs/contact")
	b.ReportMetric((redisNow-redis)/each, "Redis-µs/contact")
}

// BenchmarkDaysContacted asks of a request of 500 whether they were contacted on one
// of 91 days.
func BenchmarkDaysContacted(b *testing.B) {
	s := New(redistest.Start(b).Client())
	phones := make([]campaign.Phone, 500)
	for i := range phones {
		phones[i] = campaign.Phone(966500000000 + i)
	}
	for b.Loop() {
		if _, err := findContacted(b.Context(), s, time.Now(), 90, phones); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/contact")
}
