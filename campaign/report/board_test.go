package report_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

func (f fixture) look(b *report.Board) map[string]report.Row {
	f.T.Helper()
	snap, unread, err := b.Look(f.T.Context(), nil)
	if err != nil || unread != nil {
		f.T.Fatal(err, unread)
	}
	rows := make(map[string]report.Row)
	for _, r := range snap.Rows {
		rows[r.Campaign] = r
	}
	return rows
}

// The list, the page, a plan and a preview tell the same end, which counts what comes
// before on the token: also that of another agent with the same token.
func TestThereIsOneForecast(t *testing.T) {
	f := newFixture(t)
	far := settings
	far.Agent = "far"
	f.load("first", settings, people(200), nil)
	f.load("second", settings, people(200), nil)
	quota := store.Quota{Limit: 60, Window: 60}
	beat := store.Worker{ID: "w", Agents: []string{"default", "far"}, Quotas: map[string]store.Quota{"default": quota, "far": quota}, QuotaKeys: map[string]string{"default": "k", "far": "k"}}
	if err := f.Heartbeat(t.Context(), beat); err != nil {
		t.Fatal(err)
	}
	left := func(name string, eta time.Time) time.Duration {
		now, err := f.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if eta.IsZero() {
			t.Fatalf("no end of %s is foretold", name)
		}
		return eta.Sub(now)
	}
	same := func(name string, want, give time.Duration) {
		t.Helper()
		rows := f.look(report.NewBoard(f.Store))
		o, err := report.Find(t.Context(), f.Store, name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := report.Foretell(t.Context(), f.Store, name, ratelimit.Rate{})
		if err != nil {
			t.Fatal(err)
		}
		for where, eta := range map[string]time.Time{"list": rows[name].ETA, "page": o.ETA, "plan": p.Ends} {
			if got := left(name, eta); got < want-give || got > want+give {
				t.Errorf("%s: by the %s it takes %v, want %v", name, where, got, want)
			}
		}
	}
	// A hundred requests each, one a second, of which the first 24 leave at once.
	same("first", 76*time.Second, 3*time.Second)
	same("second", 176*time.Second, 3*time.Second)

	own, others, err := report.Beside(f.Store)(t.Context(), "third", "default")
	if err != nil || own.Rate != 1 || len(others) != 2 {
		t.Errorf("a third one has %+v before it at %v, %v", others, own.Rate, err)
	}
	f.load("far", far, people(200), nil)
	same("far", 176*time.Second, 5*time.Second) // agents take turns
	if _, _, err := f.SetPhase(t.Context(), "second", campaign.Paused, campaign.Text("lunch"), campaign.Running); err != nil {
		t.Fatal(err)
	}
	same("first", 176*time.Second, 5*time.Second)
}

// A Redis that is too slow for thousands of campaigns in one look shows them after some.
func TestABoardGoesOnWhereItWasCutOff(t *testing.T) {
	f := newFixture(t)
	f.load("over", settings, people(1), nil)
	names := make([]string, 1200)
	for i := range names {
		names[i] = fmt.Sprintf("c%04d", i)
	}
	f.Copy("over", names...)
	slow := &cutShort{Store: f.Store}
	b := report.NewBoard(slow)
	for looks := 1; ; looks++ {
		slow.left = 700
		snap, _, err := b.Look(t.Context(), nil)
		if err == nil {
			if len(snap.Rows) != 1201 || looks > 3 {
				t.Errorf("%d rows after %d looks", len(snap.Rows), looks)
			}
			for _, r := range snap.Rows {
				if r.Contacts != 1 {
					t.Fatalf("row %+v", r)
				}
			}
			return
		}
		if looks == 10 {
			t.Fatal(err)
		}
	}
}

// cutShort reads some campaigns, and then its time is over.
type cutShort struct {
	*store.Store
	left int // campaigns
}

func (c *cutShort) ReadAll(ctx context.Context, names []string) ([]store.Reading, error) {
	if c.left -= len(names); c.left < 0 {
		return nil, context.DeadlineExceeded
	}
	return c.Store.ReadAll(ctx, names)
}

func TestABoardTellsWhatIsNewAndWhatIsGone(t *testing.T) {
	f := newFixture(t)
	f.load("first", settings, people(2), nil)
	b := report.NewBoard(f.Store)
	if rows := f.look(b); len(rows) != 1 || rows["first"].State != campaign.Running {
		t.Errorf("at first %v", rows)
	}
	f.load("second", settings, people(2), nil)
	f.Pass("first", campaign.Paused, "lunch")
	if rows := f.look(b); len(rows) != 2 || rows["first"].StateReason.String() != "lunch" {
		t.Errorf("then %v", rows)
	}
	f.move("second", 0, "", campaign.Send, campaign.Accept)
	if rows := f.look(b); rows["second"].States.In(campaign.Accepted) != 1 {
		t.Errorf("in the end %v", rows)
	}
}
