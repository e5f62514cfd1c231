package dashboard

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// talked is a campaign of forty contacts: ten have answered, ten ended without a word, ten
// were accepted, and ten are to be sent.
func talked(t *testing.T) (campaigntest.Fixture, *pages) {
	t.Helper()
	f := campaigntest.New(t, redistest.Shared(t))
	settings := campaigntest.Settings(10, campaign.Column{Name: "phone"})
	f.Load(campaigntest.List{Name: "sale", Settings: settings, Contacts: campaigntest.People(966501000000, 40, nil)})
	ordinals := func(from, to int) (list []int) {
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		return list
	}
	f.Move("sale", ordinals(0, 20), campaigntest.Step{}, campaign.Send, campaign.Accept, campaign.End)
	f.Move("sale", ordinals(20, 30), campaigntest.Step{}, campaign.Send, campaign.Accept)
	for chunk := range 2 {
		err := f.UpdateOutcomes(t.Context(), store.Ref{Campaign: "sale", Chunk: chunk}, ordinals(0, 10), func(i int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
			o.Started, o.Said, o.OptedOut = campaigntest.At, chunk == 0, chunk == 0 && i == 0
			if chunk == 0 {
				o.Extraction = json.RawMessage(`{"intent":"buy"}`)
			}
			return o, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return f, newPages(Config{Store: f.Store})
}

// shown is the part of a campaign's page that tells what it came to, once it is counted.
func (p *pages) shown(t *testing.T, who audience) string {
	t.Helper()
	for {
		c, err := p.fragments(t.Context(), subject{"sale", who})
		if err != nil {
			t.Fatal(err)
		}
		if part := c.parts["outcomes"]; !strings.Contains(part, "being counted") {
			return part
		}
		if _, _, err := p.accounts.get(t.Context(), "sale", time.Hour); err != nil { // waits for the count under way
			t.Fatal(err)
		}
	}
}

// The page of a campaign says what its report says, and that is what verify counts. A viewer
// sees the totals, and nothing that anybody said.
func TestAPageTellsWhatItsCampaignCameTo(t *testing.T) {
	f, p := talked(t)
	part := p.shown(t, audience{texts.English, users.Operator})
	for _, want := range []string{
		"10 of 30 contacts that the platform accepted have answered (33.3 %)", "<dt>Accepted by the platform</dt><dd>30</dd>", "<dt>Answered</dt><dd>10</dd>",
		"<dt>Ended without an answer</dt><dd>10</dd>", "<dt>Asked not to be contacted again</dt><dd>1</dd>", "<dt>Support tickets</dt><dd>0</dd>",
		`<bdi dir="auto">intent</bdi>`, `<bdi dir="auto">buy</bdi></th><td class="n">10</td>`, "Answer rate by hour of the day", "Answer rate by attempt", "Attempt 1</th>", "Counted at",
	} {
		if !strings.Contains(part, want) {
			t.Errorf("the page lacks %q:\n%s", want, part)
		}
	}
	account, err := report.ReadAccount(t.Context(), f.Store, "sale", time.Local)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := f.Verify(t.Context(), "sale")
	if err != nil || len(verified.Problems) > 0 || verified.Contacts != account.Contacts {
		t.Fatalf("%+v, %v", verified, err)
	}
	if account.Accepted != 30 || account.Contacts != 40 {
		t.Errorf("counted %+v", account)
	}
	seen := p.shown(t, audience{texts.Arabic, users.Viewer})
	if !strings.Contains(seen, "وصل منها رد") || strings.Contains(seen, "intent") || strings.Contains(seen, "buy") {
		t.Errorf("a viewer sees\n%s", seen)
	}
}

// However many look, and in however many languages, the contacts are read once, and again when
// their states have changed and the count has become old.
func TestTheContactsAreCountedOnceForAll(t *testing.T) {
	f, p := talked(t)
	var counts atomic.Int32
	count, goOn := p.accounts.read, make(chan struct{})
	p.accounts.read = func(ctx context.Context, name string) (report.Account, error) {
		if counts.Add(1) > 1 {
			<-goOn
		}
		return count(ctx, name)
	}
	all := func() {
		for range 3 {
			for _, who := range []audience{{texts.English, users.Operator}, {texts.Arabic, users.Operator}, {texts.English, users.Viewer}} {
				p.shown(t, who)
			}
		}
	}
	if all(); counts.Load() != 1 {
		t.Errorf("counted %d times", counts.Load())
	}
	p.accounts.mu.Lock()
	p.accounts.items["sale"].read = time.Now().Add(-2 * time.Minute)
	p.accounts.mu.Unlock()
	if all(); counts.Load() != 1 {
		t.Errorf("though nothing has changed, counted %d times", counts.Load())
	}
	f.Move("sale", []int{30}, campaigntest.Step{}, campaign.Send, campaign.Accept)
	s, err := p.readStanding(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	if a := p.cameTo(t.Context(), s, 0); a.Accepted != 30 { // what is known is shown meanwhile
		t.Errorf("at first %d are accepted", a.Accepted)
	}
	close(goOn)
	a, _, err := p.accounts.get(t.Context(), "sale", time.Minute)
	if err != nil || a.Accepted != 31 || counts.Load() != 2 {
		t.Errorf("then %d are accepted, counted %d times, %v", a.Accepted, counts.Load(), err)
	}
}
