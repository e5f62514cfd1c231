package bench

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
)

var (
	yearDays  = flag.Int("days", 20, "daily campaigns that BenchmarkYear sends")
	yearDaily = flag.Int("daily", 10_000, "contacts of each; what is printed is for a hundred times as many")
)

// yearTimes is how much larger the campaigns are that the figures are for.
const yearTimes = 100

// BenchmarkYear sends campaigns as the runner does, one a day, each to other people, and
// measures what stays in Redis, by kind. Each contact is accepted in a batch and put on the
// contact record; every third has a conversation with an outcome; one of a hundred has a
// ticket, and one is put on the do-not-contact list.
func BenchmarkYear(b *testing.B) {
	t := &bench{B: b, server: redistest.Start(b)}
	t.rdb = t.server.Client()
	y := &year{bench: t, f: campaigntest.New(t, t.rdb)}
	began := time.Now().AddDate(0, 0, -*yearDays)
	for day := range *yearDays {
		y.send(fmt.Sprintf("day-%03d", day), campaign.Phone(966500000000+uint64(day**yearDaily)), began.AddDate(0, 0, day))
	}
	y.runTask()
	y.takePermit()
	y.print()
	name := "day-000"
	before := y.kinds()
	if err := y.f.Purge(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	after := y.kinds()
	defer func() {
		fmt.Printf("a day of %d contacts takes %.1f MB of the contact record\n", *yearDaily*yearTimes, float64(y.record())/1e6)
	}()
	fmt.Printf("\na purge of one of them frees %d of %d bytes of what belongs to campaigns alone\n", sum(before)-sum(after), (sum(before)-shared(before))/int64(*yearDays))
}

// record is what a day of the contact record takes with yearTimes as many contacts: its
// buckets hold several then, so it is not measured in proportion.
func (y *year) record() int64 {
	y.flush()
	var phones []campaign.Phone
	for i := range *yearDaily * yearTimes {
		if phones = append(phones, campaign.Phone(966500000000+uint64(i))); len(phones) == 10_000 {
			if err := y.f.RecordContacted(y.Context(), time.Now(), phones); err != nil {
				y.Fatal(err)
			}
			phones = phones[:0]
		}
	}
	return y.kinds()["contacted:…"]
}

type year struct {
	*bench
	f campaigntest.Fixture
}

// send is one campaign, from its load to its last event.
func (y *year) send(name string, first campaign.Phone, at time.Time) {
	ctx := y.Context()
	settings := campaigntest.Settings(batchRows, campaign.Column{Name: "phone"}, campaign.Column{Name: "name", Key: "name"})
	c := y.f.Load(campaigntest.List{Name: name, Settings: settings, Indexed: true, Contacts: campaigntest.People(first, *yearDaily, func(i int, number string) []string {
		return []string{number, fmt.Sprintf("محمد العتيبي %d", i%1000)}
	})})
	if err := y.f.Log(ctx, name, store.Decision{By: "somebody", Action: store.ActionLoad}); err != nil {
		y.Fatal(err)
	}
	for n := range c.Chunks {
		chunk, err := y.f.ReadChunk(ctx, store.Ref{Campaign: name, Chunk: n})
		if err != nil {
			y.Fatal(err)
		}
		y.request(chunk, at)
		y.events(c, chunk, at)
		if _, err := y.f.TakeLastSample(ctx, name, at.Add(time.Duration(n)*time.Second)); err != nil {
			y.Fatal(err)
		}
	}
}

// request sends a chunk.
func (y *year) request(chunk *store.Chunk, at time.Time) {
	ctx := y.Context()
	var phones []campaign.Phone
	moves := func(cause campaign.Cause) (all []store.Move) {
		for i := range chunk.Len() {
			all = append(all, store.Move{Index: i, Move: campaign.Move{Cause: cause, At: at}})
		}
		return all
	}
	for _, contact := range chunk.Contacts {
		phones = append(phones, contact.Phone)
	}
	log := store.Decision{By: "worker ABCDEFGHIJKL", Action: store.ActionRequest, Request: "1-1"}
	for _, change := range []store.Change{
		{Act: store.Begin, Token: "w/1", ClaimTTL: time.Minute, Due: time.Minute, Moves: moves(campaign.Send)},
		{Act: store.Commit, Token: "w/1", Moves: moves(campaign.Accept), Contacted: phones, ContactedAt: at, Log: log},
	} {
		if _, err := y.f.Apply(ctx, chunk, change); err != nil {
			y.Fatal(err)
		}
	}
}

// events are what comes of the conversations.
func (y *year) events(c campaign.Campaign, chunk *store.Chunk, at time.Time) {
	ctx := y.Context()
	conversations := make(map[string]int)
	var talked, wish []int
	for i := range chunk.Len() {
		if i%3 == 0 {
			conversations[fmt.Sprintf("9f0c1c0e-5a7e-4d2b-%d-%d", chunk.Ref.Chunk, i)] = chunk.Ref.Chunk*batchRows + i
			talked = append(talked, i)
		}
		if i%100 == 0 {
			wish = append(wish, i)
		}
	}
	turns := []campaign.Turn{{Role: "agent", Text: "السلام عليكم، معك مساعد شركة النور"}, {Role: "user", Text: "وعليكم السلام، اتصلوا بي غدا"}}
	err := y.f.AddConversations(ctx, c, conversations)
	if err == nil {
		err = y.f.UpdateOutcomes(ctx, chunk.Ref, talked, func(i int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
			o.Conversation, o.Started, o.Ended = fmt.Sprintf("9f0c1c0e-5a7e-4d2b-%d-%d", chunk.Ref.Chunk, i), at, at.Add(time.Minute)
			o.Extraction, o.Turns, o.Said = []byte(`{"intent":"callback","interested":true}`), len(turns), true
			return o, turns
		})
	}
	var phones []campaign.Phone
	for _, i := range wish {
		if err == nil {
			ticket := campaign.Ticket{State: campaign.TicketMade, ID: "12345", At: at}
			_, err = y.f.SetTicket(ctx, store.Place{Ref: chunk.Ref, Index: i}, nil, &ticket, 0, 1_000_000)
		}
		phones = append(phones, chunk.Contacts[i].Phone)
	}
	if err == nil {
		_, err = y.f.Suppress(ctx, phones)
	}
	if err != nil {
		y.Fatal(err)
	}
}

// runTask leaves what asynq keeps of a day.
func (y *year) runTask() {
	ran := make(chan struct{})
	server := asynq.NewServerFromRedisClient(y.rdb, asynq.Config{Queues: map[string]int{"default": 1}, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { close(ran); return nil })); err != nil {
		y.Fatal(err)
	}
	if _, err := asynq.NewClientFromRedisClient(y.rdb).Enqueue(asynq.NewTask("send", nil), asynq.Queue("default")); err != nil {
		y.Fatal(err)
	}
	<-ran
	server.Shutdown()
}

// takePermit leaves what a quota keeps.
func (y *year) takePermit() {
	quota, err := ratelimit.NewShared(y.rdb, "token", ratelimit.Config{})
	if err != nil {
		y.Fatal(err)
	}
	if _, err := quota.Acquire(y.Context()); err != nil {
		y.Fatal(err)
	}
}

// kinds is the memory of all keys by kind: the name of a campaign, the number of a chunk
// and the like are left out.
func (y *year) kinds() map[string]int64 {
	ctx := y.Context()
	bytes := make(map[string]int64)
	keys := y.rdb.Scan(ctx, 0, "", 1000).Iterator()
	var page []string
	measure := func() {
		sizes := make([]*redis.IntCmd, len(page))
		if _, err := y.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range page {
				sizes[i] = p.MemoryUsage(ctx, key, 0)
			}
			return nil
		}); err != nil {
			y.Fatal(err)
		}
		for i, key := range page {
			bytes[kindOf(key)] += sizes[i].Val()
		}
		page = page[:0]
	}
	for keys.Next(ctx) {
		if page = append(page, keys.Val()); len(page) == 1000 {
			measure()
		}
	}
	if err := keys.Err(); err != nil {
		y.Fatal(err)
	}
	measure()
	return bytes
}

func kindOf(key string) string {
	if _, rest, is := strings.Cut(key, "}"); is && strings.HasPrefix(key, "c:{") {
		parts := strings.Split(rest, ":")
		if len(parts) > 2 && strings.Trim(parts[2], "0123456789") == "" {
			parts = parts[:2]
		}
		return "c:{NAME}" + strings.Join(parts, ":")
	}
	for _, many := range []string{"contacted:", "suppressed:", "quota:", "asynq:", "worker:"} {
		if strings.HasPrefix(key, many) {
			return many + "…"
		}
	}
	return key
}

func sum(bytes map[string]int64) (all int64) {
	for _, n := range bytes {
		all += n
	}
	return all
}

// shared is what no campaign has to itself.
func shared(bytes map[string]int64) (all int64) {
	for kind, n := range bytes {
		if !strings.HasPrefix(kind, "c:{NAME}") {
			all += n
		}
	}
	return all
}

func (y *year) print() {
	bytes := y.kinds()
	fmt.Printf("\n%d daily campaigns of %d contacts: bytes in Redis a day; and MB a day with %d times as many contacts, in proportion\n", *yearDays, *yearDaily, yearTimes)
	for _, kind := range slices.Sorted(maps.Keys(bytes)) {
		perDay := float64(bytes[kind]) / float64(*yearDays)
		fmt.Printf("  %-28s %10.0f  %8.2f\n", kind, perDay, perDay*yearTimes/1e6)
	}
}
