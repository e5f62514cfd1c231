package events

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/velents"
)

// trips is a hook that counts round trips.
type trips struct{ n atomic.Int64 }

func (h *trips) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.n.Add(1); return next(ctx, cmd) }
}
func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.n.Add(1); return next(ctx, cmds) }
}

// commands is how many commands Redis has carried out, those of scripts included.
func commands(t testing.TB, rdb *redis.Client) (n int) {
	t.Helper()
	for line := range strings.Lines(rdb.Info(t.Context(), "stats").Val()) {
		_, _ = fmt.Sscanf(line, "total_commands_processed:%d", &n)
	}
	return n
}

// What an event costs Redis. Where the events of many chunks come together, their
// commands share round trips: one at a time takes more trips than there are chunks.
func TestWhatAnEventCosts(t *testing.T) {
	const chunks, contacts, each = 40, 40 * chunkSize, 10 // events of each chunk
	rdb := redistest.Start(t).Client()
	s := stageOn(t, rdb)
	s.campaign = s.load("c", contacts)
	s.move(chunkSize, campaign.Send)
	for n := range chunks { // as a sender does
		chunk, err := s.store.ReadLedger(t.Context(), store.Ref{Campaign: "c", Chunk: n})
		if err != nil {
			t.Fatal(err)
		}
		var moves []store.Move
		for i := range chunkSize {
			moves = append(moves, store.Move{Index: i, Move: campaign.Move{Cause: campaign.Accept, At: noon, Recorded: true}})
		}
		if _, err := s.store.Apply(t.Context(), chunk, store.Change{Act: store.Commit, Moves: moves}); err != nil {
			t.Fatal(err)
		}
	}
	s.post("c", eventOf("onStarted", 0, "first", `{}`))
	s.applyAll() // makes the group, and lets the server know the scripts
	s.Applier.batch.Store(batchEvents)

	spent := func(do func()) int {
		before := commands(t, rdb)
		do()
		return commands(t, rdb) - before
	}
	const events = chunks * each
	posting := spent(func() {
		for i := range events {
			s.post("c", eventOf("onStarted", i%chunks*chunkSize+i/chunks+1, fmt.Sprint("conversation ", i), `{}`))
		}
	})
	if posting > 5*events+10 {
		t.Errorf("%d commands to store %d events, want 5 each", posting, events)
	}
	hook := new(trips)
	rdb.AddHook(hook)
	applying := spent(func() {
		if err := s.fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("stored with %.1f commands an event, applied with %.1f in %d round trips", float64(posting)/events, float64(applying)/events, hook.n.Load())
	if s.counts[Applied] != events+1 || s.state(1) != campaign.Started {
		t.Fatalf("counted %v", s.counts)
	}
	if applying > 3*events {
		t.Errorf("%d commands to apply %d events, want at most 3 each", applying, events)
	}
	if n := hook.n.Load(); n > chunks {
		t.Errorf("%d round trips for %d chunks", n, chunks)
	}
	s.verify()
}

// An event that came in through the inbox of this process is not parsed a second time.
func TestAnEventIsParsedOnce(t *testing.T) {
	reader := new(velents.EventReader)
	body := []byte(eventOf("onEnded", 0, "a", `{"history":[{"role":"customer","message":"what does it cost?"},{"role":"agent","message":"nothing"}]}`))
	come := func() {
		if _, err := reader.Read(body); err != nil {
			t.Fatal(err)
		}
	}
	a := New(Config{Reader: reader})
	once := testing.AllocsPerRun(50, come)
	both := testing.AllocsPerRun(50, func() {
		come()
		if r := a.reportsOf(campaign.Settings{}, []store.Event{{Body: body}})[0]; len(r.says.History) != 2 {
			t.Errorf("it says %+v", r.says)
		}
	})
	if both > 1.5*once {
		t.Errorf("%.0f allocations when it comes and is applied, %.0f when it comes", both, once)
	}
}

// However many appliers there are, and wherever one of them dies, each event is counted
// once, and the bytes are those of what is kept.
func TestEventsAreCountedOnce(t *testing.T) {
	const contacts, strangers = 60, 40
	s := newStage(t, contacts)
	s.move(chunkSize, campaign.Send, campaign.Accept)
	for i := range contacts + strangers {
		s.post("c", eventOf("onStarted", i, fmt.Sprint("conversation ", i), `{}`))
	}
	if err := s.fresh(t.Context()); err != nil { // makes the group
		t.Fatal(err)
	}
	ctx := t.Context()
	taken, err := s.store.NextEvents(ctx, contacts+strangers, time.Millisecond)
	if err != nil || len(taken) != contacts+strangers {
		t.Fatalf("%d events, %v", len(taken), err)
	}
	// One dies after it has applied all and kept what it could not, another half-way through
	// deleting them.
	done, err := heedAndApply(ctx, s.Applier, "c", taken)
	if err == nil {
		err = s.keep(ctx, "c", done.unmatched)
	}
	if err == nil {
		err = s.store.EndEvents(ctx, "c", done.applied[:contacts/2], withoutReasons(done.unmatched[:strangers/2]))
	}
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			if err := New(Config{Store: s.store}).apply(ctx, taken); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	counts, err := s.store.EventCounts(ctx, "c")
	kept, _ := s.store.Unmatched(ctx, "c", 0, 2*strangers)
	bytes := 0
	for _, e := range kept {
		bytes += len(e.ID) + 100
	}
	want := store.EventCounts{Applied: contacts, Unmatched: strangers, Kept: strangers, KeptBytes: bytes}
	if err != nil || counts != want {
		t.Errorf("%+v, %v, want %+v", counts, err, want)
	}
	if n, err := s.store.WaitingEvents(ctx); n != 0 || err != nil || s.rdb.Exists(ctx, "{events}:bytes").Val() != 0 {
		t.Errorf("%d wait, %v, and the stream is empty", n, err)
	}
	s.verify()
}

// An event too long to be kept is kept for what it is.
func TestALongUnmatchedEventIsAppliedLater(t *testing.T) {
	s := newStage(t, 1)
	long := `{"role":"customer","message":"` + strings.Repeat("what does it cost? ", 20_000) + `"},{"role":"customer","message":"I will"}`
	s.post("c", eventOf("onEnded", 0, "a", `{"extraction":{"intent":"buy"},"history":[`+long+`]}`))
	s.applyAll()
	s.Applier.batch.Store(1)
	s.post("c", eventOf("onEnded", 0, "a", `{"extraction":{"intent":"buy"},"history":[`+long+`]}`), eventOf("onEnded", 0, "b", `{}`))
	if err := s.fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.rdb.Get(t.Context(), "{events}:bytes").Val(); got != fmt.Sprint(len(eventOf("onEnded", 0, "b", `{}`))+len("c")+64) {
		t.Errorf("%s bytes wait, beside the stream's one event", got)
	}
	if err := s.fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := s.store.Unmatched(t.Context(), "c", 0, 10)
	if err != nil || len(kept) != 2 || len(kept[0].Body) > store.MaxUnmatchedBytes {
		t.Fatalf("%d events, %v", len(kept), err)
	}
	s.move(1, campaign.Send, campaign.Accept)
	if err := s.retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := s.outcome(0); s.state(0) != campaign.Ended || string(o.Extraction) != `{"intent":"buy"}` || !o.Said || o.Conversation != "a" {
		t.Errorf("contact is %s, %+v", s.state(0), o)
	}
}

func TestBatchesAreBoundedByBytes(t *testing.T) {
	events := func(n, bytes int) (all []store.Event) {
		for range n {
			all = append(all, store.Event{Body: make([]byte, bytes)})
		}
		return all
	}
	for _, tt := range []struct {
		n, bytes, want int
	}{
		{1, 500, batchEvents}, {16, 1 << 20, fewEvents}, {100, 100 << 10, 81}, {1000, 1000, batchEvents},
	} {
		if got := batchAfter(events(tt.n, tt.bytes)); got != tt.want {
			t.Errorf("after %d events of %d bytes: %d, want %d", tt.n, tt.bytes, got, tt.want)
		}
	}
}

// Events gather in a storm only: a single wish not to be contacted never waits.
func TestOnlyAStormGathers(t *testing.T) {
	s := newStage(t, 2*manyEvents)
	s.move(chunkSize, campaign.Send, campaign.Accept)
	s.applyAll() // makes the group
	for _, tt := range []struct {
		events int
		want   time.Duration
	}{{1, 0}, {manyEvents, gatherFor}, {fewEvents, 0}} {
		s.Applier.batch.Store(fewEvents)
		for i := range tt.events {
			s.post("c", eventOf("onStarted", i%2, fmt.Sprint(i), `{}`))
		}
		if err := s.fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.gather(); got != tt.want {
			t.Errorf("after %d events: %v, want %v", tt.events, got, tt.want)
		}
	}
}

// Several workers retry, and one of them does the work.
func TestOneWorkerRetries(t *testing.T) {
	s := newStage(t, 1)
	s.post("c", eventOf("onStarted", 0, "a", `{}`))
	s.applyAll()
	for _, want := range []campaign.State{campaign.Accepted, campaign.Started} {
		if err := s.retryInTurn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.state(0) == campaign.Pending { // the first try found nobody
			s.move(1, campaign.Send, campaign.Accept)
			if err := New(Config{Store: s.store}).retryInTurn(t.Context()); err != nil { // of another worker
				t.Fatal(err)
			}
		}
		if got := s.state(0); got != want {
			t.Errorf("contact is %s, want %s", got, want)
		}
		s.rdb.Del(t.Context(), "lease:unmatched") // its time is over
	}
}
