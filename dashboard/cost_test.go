package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// ahead is a store whose clock is ahead of Redis's.
type ahead struct {
	*store.Store
	by time.Duration
}

func (a *ahead) Now(ctx context.Context) (time.Time, error) {
	now, err := a.Store.Now(ctx)
	return now.Add(a.by), err
}

// A counter counts the commands of a client, by name.
type counter struct {
	mu sync.Mutex
	by map[string]int
}

func (c *counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[name]++
}

// take returns the counts, and begins anew.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.by
	c.by = make(map[string]int)
	return by
}

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.add(cmd.Name()); return next(ctx, cmd) }
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.add(cmd.Name())
		}
		return next(ctx, cmds)
	}
}

func sum(counts map[string]int) (n int) {
	for _, some := range counts {
		n += some
	}
	return n
}

// aLook is how many commands one reading of the list takes. A slow machine reads it more
// often than the test asks.
func aLook(asked map[string]int) int { return sum(asked) / asked["time"] }

// crowd is the pages over 5,000 campaigns, some running and the others finished.
type crowd struct {
	*pages
	fixture campaigntest.Fixture
	clock   *ahead
	asked   *counter
	moving  []string
	viewer  audience
}

func newCrowd(t testing.TB, campaigns, running int) *crowd {
	t.Helper()
	rdb := redistest.Shared(t)
	f := campaigntest.New(t, rdb)
	settings := campaigntest.Settings(10, campaign.Column{Name: "phone"})
	f.Load(campaigntest.List{Name: "over", Settings: settings, Contacts: campaigntest.People(966501000000, 20, nil)})
	f.Move("over", f.All("over"), campaigntest.Step{}, campaign.Send, campaign.Accept)
	f.Load(campaigntest.List{Name: "moves", Settings: settings, Contacts: campaigntest.People(966501000000, 20, nil)})
	names := make([]string, campaigns)
	for i := range names {
		names[i] = fmt.Sprintf("offer-%05d", i)
	}
	f.Copy("over", names[running:]...)
	f.Copy("moves", names[:running]...)
	rdb.Del(t.Context(), "live") // all that was live is copied
	for _, name := range names[:running] {
		if err := f.Raise(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		// A million contacts, some of them sent.
		rdb.HSet(t.Context(), "c:{"+name+"}", "counts", `{"rows":1000000,"contacts":1000000}`, "chunks", 2)
	}
	beat := store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": {Limit: 3000, Remaining: 10, Window: 60}}}
	if err := f.Heartbeat(t.Context(), beat); err != nil {
		t.Fatal(err)
	}
	c := &crowd{viewer: audience{texts.English, users.Admin}, fixture: f, asked: &counter{by: make(map[string]int)}, moving: names[:running]}
	counted := redis.NewClient(rdb.Options())
	t.Cleanup(func() { counted.Close() })
	counted.AddHook(c.asked)
	st := store.New(counted)
	c.clock = &ahead{Store: st}
	c.pages = newPages(Config{Store: st, Logger: slog.New(slog.DiscardHandler)})
	c.store = c.clock
	c.board = report.NewBoard(c.clock)
	c.list.patience = time.Minute // what is counted here are commands
	return c
}

// tick lets two seconds pass in which every running campaign has sent 500 contacts more.
func (c *crowd) tick(t testing.TB, n int) {
	t.Helper()
	c.clock.by += liveEvery
	_, err := c.fixture.Redis().Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i, name := range c.moving {
			sent := n*500 + i*7919
			tally := map[string]any{}
			for state, contacts := range map[campaign.State]int{campaign.Pending: 1_000_000 - sent, campaign.Accepted: sent - sent/50, campaign.Failed: sent / 50} {
				tally[strconv.Itoa(int(state))] = contacts
			}
			p.Del(t.Context(), "c:{"+name+"}:tally")
			p.HSet(t.Context(), "c:{"+name+"}:tally", tally)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.fixture.TakeSample(t.Context(), c.moving[n%len(c.moving)], time.Now().Add(c.clock.by)); err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) look(t testing.TB) content {
	t.Helper()
	if _, _, err := c.list.get(t.Context(), "", 0); err != nil {
		t.Fatal(err)
	}
	now, err := c.fragments(t.Context(), subject{listTopic(nil), c.viewer})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// With 5,000 campaigns, of which all on the page send all the time, a viewer gets at most
// 50 KB in 20 seconds; what Redis is asked depends on how many are live.
func TestAListOfThousandsCostsWhatChanges(t *testing.T) {
	for _, l := range texts.Languages() {
		t.Run(string(l), func(t *testing.T) { costOfAList(t, l) })
	}
}

func costOfAList(t *testing.T, l texts.Language) {
	const campaigns, running = 5000, 60
	c := newCrowd(t, campaigns, running)
	c.viewer.language = l
	c.tick(t, 0)
	old := c.look(t)
	if len(old.rows) != pageRows {
		t.Fatalf("%d rows", len(old.rows))
	}
	whole := encode(old.news(content{}))
	t.Logf("all of the page: %d bytes, %d compressed; first look: %d commands", len(whole.plain), len(whole.deflated), sum(c.asked.take()))
	sent, plain := 0, 0
	const ticks = 10
	for n := range ticks {
		c.tick(t, n+1)
		now := c.look(t)
		m := encode(now.news(old))
		sent, plain, old = sent+len(m.deflated), plain+len(m.plain), now
	}
	asked := c.asked.take()
	t.Logf("in %v: %d bytes to each viewer, of %d; %d commands a look: %v", ticks*liveEvery, sent, plain, aLook(asked), asked)
	if sent > 50<<10 {
		t.Errorf("%d bytes in %v, want at most 50 KB", sent, ticks*liveEvery)
	}
	// Two for each that is live, its share of paces and forecasts, a dozen for what all
	// share, and one in six hundred of the others.
	if most := 3*running + 40; aLook(asked) > most {
		t.Errorf("%d commands a look, want at most %d", aLook(asked), most)
	}

	c.asked.take()
	c.moving = nil
	c.fixture.Redis().Del(t.Context(), "live")
	for range ticks {
		c.clock.by += liveEvery
		c.look(t)
	}
	asked = c.asked.take()
	t.Logf("with nothing live: %d commands a look: %v", aLook(asked), asked)
	if n := aLook(asked); n > 40 {
		t.Errorf("with nothing live: %d commands a look", n)
	}
}

// What the list costs Redis depends on how often it is read, not on who sees it.
func TestMoreViewersCostRedisNothing(t *testing.T) {
	c := newCrowd(t, 200, 5)
	c.tick(t, 0)
	c.look(t)
	look := func(viewers int) {
		for i := range viewers {
			topic := listTopic(map[string][]string{"page": {strconv.Itoa(1 + i%4)}, "q": {strings.Repeat("f", i%2)}})
			if _, err := c.fragments(t.Context(), subject{topic, c.viewer}); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(viewers int) int {
		look(viewers) // what they see is read again at the next look, if it comes soon
		c.asked.take()
		c.clock.by += liveEvery
		if _, _, err := c.list.get(t.Context(), "", 0); err != nil {
			t.Fatal(err)
		}
		look(viewers)
		return aLook(c.asked.take())
	}
	few, many := count(4), count(100) // of the same four pages
	t.Logf("a look for four viewers costs %d commands, for a hundred %d", few, many)
	if many > few+20 {
		t.Errorf("a look for four viewers costs %d commands, for a hundred %d", few, many)
	}
}
