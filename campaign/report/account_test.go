package report_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
)

// told is what the platform's events have told of a contact.
func (f fixture) told(name string, ordinal int, o campaign.Outcome) {
	f.T.Helper()
	ref := store.Ref{Campaign: name, Chunk: ordinal / settings.ChunkSize}
	err := f.UpdateOutcomes(f.T.Context(), ref, []int{ordinal % settings.ChunkSize}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) { return o, nil })
	if err != nil {
		f.T.Fatal(err)
	}
}

func extraction(pairs string) json.RawMessage { return json.RawMessage("{" + pairs + "}") }

// settled is a campaign of 14 contacts in every state. Five have answered, one of them in a
// run before its present one.
func (f fixture) settled(name string, s campaign.Settings) {
	f.T.Helper()
	f.load(name, s, people(14), map[string]int{"number too short": 1})
	morning := time.Date(2026, 1, 2, 5, 30, 0, 0, time.UTC)
	for i := range 5 { // ended; 0 to 3 have answered
		f.move(name, i, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End)
		f.told(name, i, campaign.Outcome{Started: morning.Add(time.Duration(i) * time.Hour), Ended: morning.Add(6 * time.Hour), Said: i < 4, OptedOut: i == 3,
			Extraction: extraction(fmt.Sprintf(`"intent": %q, "name": "Person %d", "vip": %v, "phone": "+96650100000%d"`, []string{"yes", "yes", "yes", "no", "no"}[i], i, i < 3, i))})
	}
	f.move(name, 5, "", campaign.Send, campaign.Accept, campaign.Start)
	f.told(name, 5, campaign.Outcome{Started: morning, Said: true})
	f.move(name, 6, "", campaign.Send, campaign.Accept)
	f.move(name, 7, "", campaign.Send, campaign.Accept, campaign.Start, campaign.End, campaign.Rerun, campaign.Send, campaign.Accept)
	f.told(name, 7, campaign.Outcome{Run: 0, Started: morning, Said: true}) // its answer belongs to the run before
	f.move(name, 8, "busy", campaign.Send, campaign.Reject)
	f.move(name, 9, "", campaign.Send, campaign.Fail)
	f.move(name, 10, "", campaign.Send, campaign.Lose)
	f.move(name, 11, "", campaign.Cancel)
	f.move(name, 12, "", campaign.Send)
}

func TestAnAccount(t *testing.T) {
	f := newFixture(t)
	s := settings
	s.Title, s.Hours.Zone = "حملة العيد ٢٠٢٧", "Asia/Riyadh"
	f.settled("sale", s)
	got, err := report.ReadAccount(t.Context(), f.Store, "sale", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	riyadh := got.Location()
	rate := func(accepted, answered, unanswered int) report.Rate {
		return report.Rate{Accepted: accepted, Answered: answered, Unanswered: unanswered}
	}
	from := func(hour int, r report.Rate) report.Stretch {
		return report.Stretch{From: time.Date(2026, 1, 2, hour, 0, 0, 0, riyadh), Rate: r}
	}
	want := report.Account{Totals: report.Totals{
		Campaign: "sale", Title: "حملة العيد ٢٠٢٧", Agent: "default", State: campaign.Running, Zone: "Asia/Riyadh",
		Contacts: 14, Accepted: 8, Answered: 5, Unanswered: 1, Known: 6, OptOuts: 1,
		States:   report.States{"pending": 1, "sending": 1, "accepted": 2, "rejected": 1, "failed": 1, "unconfirmed": 1, "started": 1, "ended": 5, "canceled": 1},
		Over:     []report.Stretch{from(6, rate(2, 0, 0)), from(7, rate(0, 0, 0)), from(8, rate(2, 2, 0)), from(9, rate(1, 1, 0)), from(10, rate(1, 1, 0)), from(11, rate(1, 1, 0)), from(12, rate(1, 0, 1))},
		ByHour:   []report.HourRate{{Hour: 6, Rate: rate(2, 0, 0)}, {Hour: 8, Rate: rate(2, 2, 0)}, {Hour: 9, Rate: rate(1, 1, 0)}, {Hour: 10, Rate: rate(1, 1, 0)}, {Hour: 11, Rate: rate(1, 1, 0)}, {Hour: 12, Rate: rate(1, 0, 1)}},
		Attempts: []report.AttemptRate{{Attempt: 1, Rate: rate(7, 5, 1)}, {Attempt: 2, Rate: rate(1, 0, 0)}},
		Tickets:  map[campaign.TicketState]int{},
	},
		Learned: []report.Learned{
			{Key: "intent", Contacts: 5, Values: []report.Value{{Value: "yes", Contacts: 3}}, Rare: 2},
			{Key: "name", Contacts: 5, Values: []report.Value{}, Rare: 5},
			{Key: "phone", Contacts: 5, Values: []report.Value{}, Rare: 5},
			{Key: "vip", Contacts: 5, Values: []report.Value{{Value: "true", Contacts: 3}}, Rare: 2},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(report.Totals{}), cmpopts.IgnoreFields(report.Totals{}, "At")); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// What an account says adds up, and is what a recount of every ledger finds.
func TestAnAccountIsWhatVerifyFinds(t *testing.T) {
	f := newFixture(t)
	f.settled("sale", settings)
	verified, err := f.Verify(t.Context(), "sale")
	if err != nil || len(verified.Problems) > 0 {
		t.Fatal(err, verified.Problems)
	}
	tally, err := f.Tally(t.Context(), "sale") // which Verify has compared with the ledgers
	if err != nil {
		t.Fatal(err)
	}
	a, err := report.ReadAccount(t.Context(), f.Store, "sale", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if a.Contacts != verified.Contacts {
		t.Errorf("%d contacts, verify finds %d", a.Contacts, verified.Contacts)
	}
	for _, state := range campaign.States() {
		if got := a.States.In(state); got != tally.States[state] {
			t.Errorf("%d contacts are %s, verify finds %d", got, state, tally.States[state])
		}
	}
	sums := make(map[string]report.Rate)
	add := func(what string, r report.Rate) {
		sum := sums[what]
		sums[what] = report.Rate{Accepted: sum.Accepted + r.Accepted, Answered: sum.Answered + r.Answered, Unanswered: sum.Unanswered + r.Unanswered}
	}
	for _, s := range a.Over {
		add("over time", s.Rate)
	}
	for _, h := range a.ByHour {
		add("by hour", h.Rate)
	}
	for _, at := range a.Attempts {
		add("by attempt", at.Rate)
	}
	want := report.Rate{Accepted: a.Accepted, Answered: a.Answered, Unanswered: a.Unanswered}
	if len(sums) != 3 || a.Accepted != a.States.In(campaign.Accepted, campaign.Started, campaign.Ended) {
		t.Errorf("sums %v, account %+v", sums, a)
	}
	for what, sum := range sums {
		if sum != want {
			t.Errorf("%s: %+v, want %+v", what, sum, want)
		}
	}
	rule, err := campaign.ParseRule("ended.no_answer")
	if err != nil {
		t.Fatal(err)
	}
	silent := 0
	for i := range 14 {
		ref := store.Ref{Campaign: "sale", Chunk: i / settings.ChunkSize}
		chunk, err := f.ReadLedger(t.Context(), ref)
		outcomes, err2 := f.Outcomes(t.Context(), ref)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if rule.Of(campaign.Facts{Record: chunk.Record(i % settings.ChunkSize), Outcome: outcomes[i%settings.ChunkSize]}) {
			silent++
		}
	}
	if silent != a.Unanswered {
		t.Errorf("%d ended without an answer, the rule finds %d", a.Unanswered, silent)
	}
}

func TestAnAccountOfAPurgedCampaignHasItsTotals(t *testing.T) {
	f := newFixture(t)
	f.load("old", settings, people(2), nil)
	f.move("old", 0, "", campaign.Send, campaign.Accept)
	f.move("old", 1, "", campaign.Cancel)
	if err := f.Purge(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	a, err := report.ReadAccount(t.Context(), f.Store, "old", time.UTC)
	if err != nil || a.PurgedAt.IsZero() || a.Contacts != 2 || a.Accepted != 1 || a.Known != 0 || len(a.Over) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestALongCampaignIsToldByDays(t *testing.T) {
	f := newFixture(t)
	f.load("long", settings, people(3), nil)
	for i, days := range []int{0, 1, 130} {
		f.Move("long", []int{i}, campaigntest.Step{At: campaigntest.At.AddDate(0, 0, days)}, campaign.Send, campaign.Accept)
	}
	a, err := report.ReadAccount(t.Context(), f.Store, "long", time.UTC)
	if err != nil || len(a.Over) > 61 || a.Over[0].Accepted != 2 || a.Over[len(a.Over)-1].Accepted != 1 {
		t.Errorf("%d stretches: %+v, %v", len(a.Over), a.Over, err)
	}
}

func TestAnAccountNeedsItsCampaign(t *testing.T) {
	f := newFixture(t)
	if _, err := report.ReadAccount(t.Context(), f.Store, "nobody", time.UTC); err == nil {
		t.Error("no error")
	}
	f.load("sale", settings, people(2), nil)
	gone := f.fail("hgetall", 2)
	if _, err := report.ReadAccount(t.Context(), f.Store, "sale", time.UTC); err == nil {
		t.Errorf("no error, want %v", gone)
	}
}

// Hours and days are told by the clock of the campaign's hours, or else of its country.
func TestByWhoseClockACampaignIsTold(t *testing.T) {
	f := newFixture(t)
	for name, tt := range map[string]struct{ zone, region, want string }{
		"hours": {"Asia/Dubai", "SA", "Asia/Dubai"}, "country": {"", "SA", "Asia/Riyadh"}, "each": {"contact", "EG", "Africa/Cairo"}, "elsewhere": {"", "DE", "UTC"}, "none": {"", "", "UTC"},
	} {
		s := settings
		s.Hours.Zone, s.Region = tt.zone, tt.region
		f.load(name, s, people(1), nil)
		if a, err := report.ReadAccount(t.Context(), f.Store, name, time.UTC); err != nil || a.Zone != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, a.Zone, err, tt.want)
		}
	}
}
