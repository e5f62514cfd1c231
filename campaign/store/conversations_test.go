package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestConversations(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	c := launch(t, s, "sale", 2, 2, campaign.Running)
	if found, err := s.FindConversations(ctx, "sale", []string{"a"}); len(found) > 0 || err != nil {
		t.Errorf("before anything is told: %v, %v", found, err)
	}
	for range 2 {
		if err := s.AddConversations(ctx, c, map[string]int{"a": 0, "b": 3, "c": 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	c.Counts.Contacts = 1_000_000 // appended: the buckets stay
	if err := s.AddConversations(ctx, c, map[string]int{"b": 2, "d": 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddConversations(ctx, c, map[string]int{"b": 2}); err != nil {
		t.Fatal(err)
	}
	found, err := s.FindConversations(ctx, "sale", []string{"a", "b", "c", "d", "e"})
	if diff := cmp.Diff(map[string]int{"a": 0, "c": 1 << 20, "d": 1}, found); err != nil || diff != "" {
		t.Errorf("%v, found (-want +got):\n%s", err, diff)
	}
	if err := s.AddConversations(ctx, campaign.Campaign{Name: "gone"}, map[string]int{"a": 0}); err != nil {
		t.Fatal(err)
	}
	if n := s.rdb.Exists(ctx, keyConversations("gone")).Val(); n != 0 {
		t.Error("a campaign that is not there has conversations")
	}
}

// What the documentation says of their memory.
func TestConversationsTakeLittle(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	c := launch(t, s, "sale", 2, 2, campaign.Running)
	const contacts, at = 50_000, 250
	c.Counts.Contacts = contacts
	for from := 0; from < contacts; from += at {
		ordinals := make(map[string]int)
		for i := from; i < from+at; i++ {
			ordinals[fmt.Sprintf("conversation-%d", i*7919%contacts)] = i
		}
		if err := s.AddConversations(ctx, c, ordinals); err != nil {
			t.Fatal(err)
		}
	}
	bytes, err := s.rdb.MemoryUsage(ctx, keyConversations("sale"), 0).Result()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f bytes a conversation", float64(bytes)/contacts)
	if bytes > 20*contacts {
		t.Errorf("%d bytes for %d conversations", bytes, contacts)
	}
	asked := []string{"conversation-0", "conversation-7919", "conversation-x"}
	found, err := s.FindConversations(ctx, "sale", asked)
	if diff := cmp.Diff(map[string]int{"conversation-0": 0, "conversation-7919": 1}, found); err != nil || diff != "" {
		t.Errorf("%v, found (-want +got):\n%s", err, diff)
	}
}

func TestWishes(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	open := func(want int, wishes ...Wish) {
		t.Helper()
		if n, err := s.OpenWishes(ctx, wishes); n != want || err != nil {
			t.Errorf("%d opened, %v, want %d", n, err, want)
		}
	}
	open(2, Wish{ID: "a", At: noon, Campaign: "sale"}, Wish{ID: "b", At: noon.Add(-1), Campaign: "gone"})
	open(0, Wish{ID: "a", At: noon, Campaign: "sale", Told: "+966"})
	all, err := s.Wishes(ctx)
	if diff := cmp.Diff([]Wish{{ID: "b", At: noon.Add(-1), Campaign: "gone"}, {ID: "a", At: noon, Campaign: "sale", Told: "+966"}}, all); err != nil || diff != "" {
		t.Errorf("%v, open (-want +got):\n%s", err, diff)
	}
	if n, err := s.CountWishes(ctx); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for range 2 {
		if err := s.CloseWish(ctx, "a"); err != nil {
			t.Error(err)
		}
	}
	if err := s.CloseWish(ctx, "x"); !errors.Is(err, ErrNoWish) {
		t.Errorf("got %v", err)
	}
	open(0, Wish{ID: "a", Campaign: "sale"}) // a person has closed it
	if err := s.ResolveWishes(ctx, []string{"b", "x"}); err != nil {
		t.Error(err)
	}
	open(1, Wish{ID: "b", Campaign: "gone"}) // that it was resolved is no reason to keep it out
	if found, err := s.FindWishes(ctx, []string{"a", "b"}); len(found) != 1 || found["b"].Campaign != "gone" || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// Where too many are open, the events wait: none is dropped.
func TestTooManyWishes(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	for from := 0; from < maxWishes; from += 2000 {
		wishes := make([]Wish, 2000)
		for i := range wishes {
			wishes[i].ID = fmt.Sprint(from + i)
		}
		if _, err := s.OpenWishes(ctx, wishes); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.OpenWishes(ctx, []Wish{{ID: "one more"}}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	if n, err := s.OpenWishes(ctx, []Wish{{ID: "7"}}); n != 0 || err != nil {
		t.Errorf("one that is open: %d, %v", n, err)
	}
}

func TestWishesWithoutRedis(t *testing.T) {
	s := closedStore()
	ctx := t.Context()
	_, openErr := s.OpenWishes(ctx, []Wish{{ID: "a"}})
	_, findErr := s.FindWishes(ctx, []string{"a"})
	_, allErr := s.Wishes(ctx)
	_, countErr := s.CountWishes(ctx)
	_, conversationErr := s.FindConversations(ctx, "sale", []string{"a"})
	for name, err := range map[string]error{
		"open": openErr, "find": findErr, "all": allErr, "count": countErr, "close": s.CloseWish(ctx, "a"), "resolve": s.ResolveWishes(ctx, []string{"a"}),
		"conversations": conversationErr, "add": s.AddConversations(ctx, campaign.Campaign{}, map[string]int{"a": 1}),
	} {
		if !errors.Is(err, redis.ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	damaged := New(redistest.Shared(t))
	damaged.rdb.HSet(ctx, keyWishes, "a", "{")
	if all, err := damaged.Wishes(ctx); len(all) != 1 || all[0].ID != "a" || all[0].Why.IsZero() || err != nil {
		t.Errorf("a damaged wish: %+v, %v", all, err)
	}
}

// A conversation is found only where an entry begins, and those of one bucket that are added
// together are all there.
func TestConversationsOfOneBucket(t *testing.T) {
	s := New(redistest.Shared(t))
	c := launch(t, s, "sale", 2, 2, campaign.Running) // so few that there is one bucket
	if err := s.AddConversations(t.Context(), c, map[string]int{"first": 0}); err != nil {
		t.Fatal(err)
	}
	hash, _ := conversationHash("a")
	if err := s.rdb.HSet(t.Context(), keyConversations("sale"), "0", "1234"+hash).Err(); err != nil {
		t.Fatal(err)
	}
	for _, add := range []map[string]int{{"a": 1, "b": 0}, {"b": 1, "c": 1}} {
		if err := s.AddConversations(t.Context(), c, add); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.FindConversations(t.Context(), "sale", []string{"a", "b", "c"})
	if diff := cmp.Diff(map[string]int{"a": 1, "c": 1}, got); err != nil || diff != "" {
		t.Errorf("found (-want +got):\n%s%v", diff, err)
	}
	if n := s.rdb.HStrLen(t.Context(), keyConversations("sale"), "0").Val(); n != 4*entryBytes {
		t.Errorf("%d bytes, want four entries", n)
	}
}
