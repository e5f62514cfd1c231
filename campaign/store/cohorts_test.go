package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// cohortsScript calls the functions of cohorts.lua by themselves, at any time.
var cohortsScript = redis.NewScript(luaCohorts + `
local now = tonumber(ARGV[2])
if ARGV[1] == 'tell' then
  tellCohorts(KEYS[1], {{tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])}}, ARGV[4] == '2' and now / 1000 or nil)
elseif ARGV[1] == 'miss' then
  missCohorts(KEYS[1], tonumber(ARGV[3]), now)
elseif ARGV[1] == 'start' then
  startCohorts(KEYS[1])
else
  return judgeCohorts(KEYS[1], ARGV[3], now) or ''
end
return ''`)

// A reachedContact is what the model knows of one contact, and nothing in sums.
type reachedContact struct {
	at                     int64 // when it was reached, in Unix seconds
	answered, ended, opted bool
	counts                 bool // it was reached since the last start
	first                  bool // it is one of the first thousand
}

// cohortModel judges by the contacts themselves, all there ever were.
type cohortModel struct {
	now       int64 // seconds
	contacts  []*reachedContact
	since     int64 // 0: nobody was reached since the start
	firstFrom int64
	last      int64 // when the last of all was reached
	full      int64 // minute; 0: the first thousand are not full
	quiet     int
	quietAt   int64 // 0: too few
}

func (m *cohortModel) reach(at int64, n int) {
	if m.since == 0 {
		m.since = max(at, m.last+1)
		if m.firstFrom == 0 {
			m.firstFrom = m.since
		}
	}
	m.last = max(m.last, at)
	first := at >= m.firstFrom && (m.full == 0 || at/60 <= m.full)
	latest := at / 60
	for _, c := range m.contacts {
		if c.counts {
			latest = max(latest, c.at/60)
		}
	}
	for range n {
		m.contacts = append(m.contacts, &reachedContact{at: at, counts: at >= m.since, first: first})
	}
	if m.full == 0 && m.sum(func(c *reachedContact) bool { return c.first }).Contacts >= 1000 {
		m.full = latest
	}
	if m.quiet += n; m.quiet >= 10 && m.quietAt == 0 {
		m.quietAt = m.now
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (m *cohortModel) sum(in func(*reachedContact) bool) (sum Cohort) {
	for _, c := range m.contacts {
		if !in(c) {
			continue
		}
		sum.Contacts++
		sum.Answered += one(c.answered)
		sum.Ended += one(c.ended)
		sum.OptedOut += one(c.opted)
	}
	return sum
}

// judge is what the guards say, with the contacts that they go by.
func (m *cohortModel) judge(optout, answer campaign.Share, silence time.Duration) (Guard, Cohort) {
	if m.since == 0 {
		return "", Cohort{}
	}
	if silence > 0 && m.quietAt > 0 && m.now-m.quietAt >= int64(silence/time.Second) {
		return SilenceGuard, Cohort{Contacts: m.quiet}
	}
	// Contacts before the first minute in which somebody is still to answer.
	open := int64(1 << 40)
	for _, c := range m.contacts {
		if c.counts && !c.ended && m.now-(c.at/60+1)*60 < 3600 {
			open = min(open, c.at/60)
		}
	}
	before := func(c *reachedContact) bool { return c.counts && c.at/60 < open }
	// Of those the latest thousand, in whole minutes.
	in := make(map[int64]int) // contacts by minute
	for _, c := range m.contacts {
		if before(c) {
			in[c.at/60]++
		}
	}
	from, n := int64(1<<40), 0
	for _, minute := range slices.Backward(slices.Sorted(maps.Keys(in))) {
		if n < 1000 {
			from = minute
		}
		n += in[minute]
	}
	latest := m.sum(func(c *reachedContact) bool { return before(c) && c.at/60 >= from })
	tooMany := func(c Cohort) bool { return optout > 0 && c.Contacts >= 100 && optout.Exceeded(c.OptedOut, c.Contacts) }
	all := m.sum(func(c *reachedContact) bool { return c.counts && (c.at/60 >= from || c.at/60 >= open) })
	switch {
	case tooMany(latest):
		return OptOutGuard, latest
	case answer > 0 && latest.Contacts >= 100 && latest.Answered*10000 < int(answer)*latest.Contacts:
		return AnswerGuard, latest
	case tooMany(all):
		return OptOutGuard, all
	}
	return "", Cohort{}
}

func TestGuardsGoByWhatWasToldOfWhom(t *testing.T) {
	rdb := redistest.Shared(t)
	campaigns := 0
	tripped := make(map[Guard]int)
	property := func(rt *rapid.T) {
		campaigns++
		key := keyCohorts(fmt.Sprint("p", campaigns))
		m := &cohortModel{now: noon.Unix()}
		call := func(what string, args ...any) string {
			answer, err := cohortsScript.Run(t.Context(), rdb, []string{key}, append([]any{what, m.now * 1000}, args...)...).Text()
			if err != nil {
				rt.Fatal(err)
			}
			return answer
		}
		optout := campaign.Share(rapid.SampledFrom([]int{0, 100, 200, 1000}).Draw(rt, "optout"))
		answer := campaign.Share(rapid.SampledFrom([]int{0, 1000, 3000}).Draw(rt, "answer"))
		silence := time.Duration(rapid.SampledFrom([]int{0, 5, 30}).Draw(rt, "silence")) * time.Minute
		told := func(what int, pick func(*reachedContact) *bool) func(*rapid.T) {
			return func(rt *rapid.T) {
				if len(m.contacts) == 0 {
					rt.Skip("nobody")
				}
				from := rapid.IntRange(0, len(m.contacts)-1).Draw(rt, "from")
				step := rapid.IntRange(1, 40).Draw(rt, "step")
				at := make(map[int64]int)
				for i := from; i < len(m.contacts) && m.since > 0; i += step { // before that nothing is counted
					if c := m.contacts[i]; !*pick(c) {
						*pick(c) = true
						at[c.at]++
					}
				}
				for seconds, n := range at {
					call("tell", seconds, what, n)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(rt *rapid.T) { m.now += int64(rapid.IntRange(1, 1800).Draw(rt, "seconds")) },
			"contacts are accepted": func(rt *rapid.T) {
				n, at := rapid.IntRange(1, 500).Draw(rt, "contacts"), m.now-int64(rapid.IntRange(0, 90).Draw(rt, "skew"))
				m.reach(at, n)
				call("tell", at, 2, n)
				call("miss", n)
			},
			"some answer":  told(3, func(c *reachedContact) *bool { return &c.answered }),
			"some end":     told(4, func(c *reachedContact) *bool { return &c.ended }),
			"all end":      told(4, func(c *reachedContact) *bool { return &c.ended }),
			"some opt out": told(5, func(c *reachedContact) *bool { return &c.opted }),
			"an event comes": func(rt *rapid.T) {
				m.quiet, m.quietAt = 0, 0
				rdb.HDel(t.Context(), key, "quiet", "quiet_at")
			},
			"a person resumes": func(rt *rapid.T) {
				if rapid.IntRange(0, 4).Draw(rt, "really") > 0 {
					rt.Skip("seldom")
				}
				m.since, m.quiet, m.quietAt = 0, 0, 0
				for _, c := range m.contacts {
					c.counts = false
				}
				call("start")
			},
			"": func(rt *rapid.T) {
				detail := call("judge", fmt.Sprintf("%d %d %d", optout, answer, millis(silence)))
				want, latest := m.judge(optout, answer, silence)
				if detail == "" {
					if want != "" {
						rt.Fatalf("nothing, want %s by %+v", want, latest)
					}
					return
				}
				tripped[want]++
				var trip *TripError
				if err := tripOf(detail, time.Unix(m.now, 0)); !errors.As(err, &trip) {
					rt.Fatal(err)
				}
				if trip.Trip.Guard != want || trip.Trip.Latest != latest {
					rt.Fatalf("%s by %+v, want %s by %+v", trip.Trip.Guard, trip.Trip.Latest, want, latest)
				}
				first := m.sum(func(c *reachedContact) bool { return c.first })
				if got := trip.Trip.First; got.Contacts != first.Contacts || (m.full > 0) == trip.Trip.Until.IsZero() {
					rt.Fatalf("first %+v until %v, want %+v, full in %d", got, trip.Trip.Until, first, m.full)
				}
			},
		})
	}
	for round := 0; min(tripped[OptOutGuard], tripped[AnswerGuard], tripped[SilenceGuard]) == 0; round++ {
		if round == 50 {
			t.Fatalf("a guard has never tripped: %v", tripped)
		}
		rapid.Check(t, property)
	}
	t.Logf("tripped %v", tripped)
}

// Bounds of the guards, which the random ones above seldom meet.
func TestBoundsOfTheGuards(t *testing.T) {
	rdb := redistest.Shared(t)
	const reached, answered, opted = 2, 3, 5
	minute := func(n int) int64 { return noon.Unix() + int64(n)*60 }
	type told struct{ minute, what, contacts int }
	for _, tt := range []struct {
		name   string
		told   []told
		silent int    // contacts that are missed at noon
		judge  int    // the minute when it is judged
		guards string // opting out, answers, silence
		want   string // the guard, and the contacts that it goes by
		kept   map[string]string
	}{
		{"few are over since", []told{{0, reached, 600}, {0, opted, 100}, {1, reached, 300}, {2, reached, 300}, {120, reached, 1}}, 0, 120, "200 0 0", "optout 1200", nil},
		{"a thousand are not over yet", []told{{0, reached, 600}, {0, opted, 100}, {119, reached, 1000}, {120, reached, 1}}, 0, 120, "200 0 0", "optout 600", nil},
		{"more than a thousand are over", []told{{0, reached, 600}, {1, reached, 600}, {2, reached, 600}, {2, opted, 100}}, 0, 120, "200 0 0", "optout 1200", nil},
		{"as many answer as must", []told{{0, reached, 100}, {0, answered, 10}}, 0, 120, "0 1000 0", "", nil},
		{"one too few answers", []told{{0, reached, 100}, {0, answered, 9}}, 0, 120, "0 1000 0", "answer 100", nil},
		{"silence for as long as it may last", nil, 10, 5, "0 0 300000", "silence 10", nil},
		{"too few for a silence", nil, 9, 5, "0 0 300000", "", map[string]string{"quiet_at": ""}},
		{"the first thousand", []told{{3, reached, 10}, {5, reached, 500}, {3, reached, 500}, {4, reached, 7}, {6, reached, 1}}, 0, 6, "0 0 0", "", map[string]string{"first_reached": "1017"}},
		{"of a minute in which nobody was reached", []told{{3, reached, 1}, {4, opted, 1}}, 0, 6, "0 0 0", "", map[string]string{"minutes": fmt.Sprint(minute(3)/60, " 1 0 0 0;")}},
	} {
		key := keyCohorts("bounds, " + tt.name)
		call := func(what string, at int, args ...any) string {
			text, err := cohortsScript.Run(t.Context(), rdb, []string{key}, append([]any{what, minute(at) * 1000}, args...)...).Text()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		for _, told := range tt.told {
			call("tell", told.minute, minute(told.minute), told.what, told.contacts)
		}
		if tt.silent > 0 {
			call("tell", 0, minute(0), reached, tt.silent)
			call("miss", 0, tt.silent)
		}
		got := ""
		if detail := call("judge", tt.judge, tt.guards); detail != "" {
			var trip *TripError
			if err := tripOf(detail, time.Unix(minute(tt.judge), 0)); !errors.As(err, &trip) {
				t.Fatal(err)
			}
			got = fmt.Sprint(string(trip.Trip.Guard), " ", trip.Trip.Latest.Contacts)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		kept := rdb.HGetAll(t.Context(), key).Val()
		for field, want := range tt.kept {
			if kept[field] != want {
				t.Errorf("%s: %s is %q, want %q", tt.name, field, kept[field], want)
			}
		}
	}
}

// listening makes the campaign sale one with guards of the answers.
func listening(t *testing.T, s *Store, edit func(*campaign.Settings)) {
	t.Helper()
	c, err := s.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	to := c.Settings
	to.WebhookURL = "https://example.org"
	edit(&to)
	if err := s.ChangeSettings(t.Context(), c, to, ""); err != nil {
		t.Fatal(err)
	}
}

// tell writes outcomes of contacts, as events do.
func tell(t *testing.T, s *Store, ref Ref, change func(o campaign.Outcome) campaign.Outcome, contacts ...int) {
	t.Helper()
	err := s.UpdateOutcomes(t.Context(), ref, contacts, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		return change(o), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// A begin is refused by what was told; a person who resumes has decided.
func TestABeginIsRefusedByAGuardOfTheAnswers(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 300, 300, campaign.Running)
		listening(t, s, func(to *campaign.Settings) { to.MaxOptOutShare = 200 })
		at := time.Now().Truncate(time.Second)
		timely := func(cause campaign.Cause, contacts ...int) (all []Move) {
			for _, i := range contacts {
				all = append(all, Move{Index: i, Move: campaign.Move{Cause: cause, At: at}})
			}
			return all
		}
		send := func(contacts ...int) error {
			chunk := read(t, s, sale0)
			_, err := s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Moves: timely(campaign.Send, contacts...)})
			if err == nil {
				apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: timely(campaign.Accept, contacts...)})
			}
			return err
		}
		if err := send(upTo(150)...); err != nil {
			t.Fatal(err)
		}
		out := func(o campaign.Outcome) campaign.Outcome {
			o.Started, o.Asked, o.OptedOut = at, at.Unix(), true
			return o
		}
		tell(t, s, sale0, out, 0, 1, 2)
		if err := send(150); err != nil { // 3 of 150 are no more than 2%
			t.Fatal(err)
		}
		tell(t, s, sale0, out, 2, 3) // 2 is known
		var trip *TripError
		if err := send(151); !errors.As(err, &trip) {
			t.Fatalf("4 of 151 opted out: %v", err)
		}
		want := Trip{Guard: OptOutGuard, Latest: Cohort{Contacts: 151, OptedOut: 4}, First: Cohort{Contacts: 151, OptedOut: 4}, Since: at.Truncate(time.Minute).UTC()}
		if diff := cmp.Diff(want, trip.Trip, cmpopts.IgnoreUnexported(Trip{})); diff != "" || !trip.Trip.Early() {
			t.Errorf("trip (-want +got):\n%s", diff)
		}
		paused, err := s.PauseTripped(t.Context(), "sale", trip.Trip, campaign.Text("too many"))
		if c, _ := s.Campaign(t.Context(), "sale"); !paused || err != nil || c.Phase != campaign.Paused || c.PhaseReason.String() != "too many" {
			t.Errorf("paused %v, %v: %s: %s", paused, err, c.Phase, c.PhaseReason)
		}
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, campaign.Paused); err != nil {
			t.Fatal(err)
		}
		// A worker that slept meanwhile goes by what is over.
		if paused, err := s.PauseTripped(t.Context(), "sale", trip.Trip, campaign.Text("too many")); paused || err != nil {
			t.Errorf("paused again: %v, %v", paused, err)
		}
		tell(t, s, sale0, out, upTo(100)...) // of contacts from before
		if err := send(151); err != nil {
			t.Errorf("judged by what was before the person resumed: %v", err)
		}
		if err := send(upTo(300)[152:]...); err != nil {
			t.Error(err)
		}
		kept := s.rdb.HGetAll(t.Context(), keyCohorts("sale")).Val()
		if kept["since"] != "" || kept["minutes"] != "" || kept["first_reached"] != "300" {
			t.Errorf("with no contact left they start anew, but for the first: %v", kept)
		}
		mustAddUp(t, s, "sale")
	})
}

// A begin that was carried out and repeated is no new one.
func TestABeginThatIsRepeatedIsNotJudgedAgain(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 300, 300, campaign.Running)
		listening(t, s, func(to *campaign.Settings) { to.MaxSilence = time.Minute })
		chunk := begin(t, s, sale0, "w/1", upTo(100)...)
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Hour, Moves: moves(campaign.Accept, upTo(100)...)})
		stale := read(t, s, sale0)
		begin(t, s, sale0, "w/1", 100)
		s.rdb.HSet(t.Context(), keyCohorts("sale"), "quiet_at", 1)
		again := Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Moves: moves(campaign.Send, 100)}
		if _, err := s.Apply(t.Context(), stale, again); err != nil {
			t.Errorf("repeated: %v", err)
		}
		again.Moves = moves(campaign.Send, 101)
		if _, err := s.Apply(t.Context(), read(t, s, sale0), again); !errors.Is(err, ErrTripped) {
			t.Errorf("a new one: %v", err)
		}
		if err := s.Hear(t.Context(), "sale"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), read(t, s, sale0), again); err != nil {
			t.Errorf("after an event: %v", err)
		}
	})
}

// Guards that are set later begin with what comes from then on.
func TestGuardsOfTheAnswersThatAreSetLater(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 300, 300, campaign.Running)
		listening(t, s, func(to *campaign.Settings) { to.MaxSilence = time.Minute })
		chunk := begin(t, s, sale0, "w/1", upTo(50)...)
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Accept, upTo(50)...)})
		guards := func() string { return s.rdb.HGet(t.Context(), keyCampaign("sale"), "guards").Val() }
		if got := guards(); got != "0 0 60000" {
			t.Errorf("guards %q", got)
		}
		listening(t, s, func(to *campaign.Settings) { to.MaxSilence, to.MinAnswerShare = time.Hour, 1000 })
		if got := guards(); got != "0 1000 3600000" || s.rdb.HGet(t.Context(), keyCohorts("sale"), "quiet").Val() != "50" {
			t.Errorf("another guard forgets what is known: %q", got)
		}
		listening(t, s, func(to *campaign.Settings) { to.MaxSilence, to.MinAnswerShare = 0, 0 })
		chunk = begin(t, s, sale0, "w/1", 50)
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Accept, 50)})
		if got := guards(); got != "" || s.rdb.HGet(t.Context(), keyCohorts("sale"), "quiet").Val() != "50" {
			t.Errorf("without a guard something is counted: %q", got)
		}
		listening(t, s, func(to *campaign.Settings) { to.MaxOptOutShare = 200 })
		if s.rdb.Exists(t.Context(), keyCohorts("sale")).Val() != 0 {
			t.Error("contacts are missing that were reached without a guard")
		}
		mustAddUp(t, s, "sale")
	})
}

// An event of a campaign may wait behind others.
func TestEventsWait(t *testing.T) {
	s := New(redistest.Start(t).Client())
	add := func(name string) {
		if err := s.AddEvent(context.Background(), Event{Campaign: name, Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(long time.Duration, want bool) {
		t.Helper()
		if got, err := s.EventsWait(t.Context(), "sale", long); got != want || err != nil {
			t.Errorf("events wait: %v, %v, want %v", got, err, want)
		}
	}
	add("other")
	wait(0, false)
	add("sale")
	wait(0, true)
	wait(time.Minute, false)
	for range eventsSeen {
		add("other")
	}
	if _, err := s.DropEvents(t.Context(), func(e Event) bool { return e.Campaign == "sale" }); err != nil {
		t.Fatal(err)
	}
	wait(0, true) // one may be the campaign's
}
