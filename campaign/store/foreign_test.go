package store

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestARedisOfAnotherProgramIsRefused(t *testing.T) {
	set := func(key string, members ...any) func(*redis.Client) {
		return func(r *redis.Client) { r.SAdd(t.Context(), key, members...) }
	}
	sorted := func(key string, members ...string) func(*redis.Client) {
		return func(r *redis.Client) {
			for _, m := range members {
				r.ZAdd(t.Context(), key, redis.Z{Member: m})
			}
		}
	}
	text := func(key string) func(*redis.Client) {
		return func(r *redis.Client) { r.Set(t.Context(), key, "x", 0) }
	}
	for name, tt := range map[string]struct {
		fill func(*redis.Client)
		key  string // that is refused; empty: none
	}{
		"an empty one":                          {func(*redis.Client) {}, ""},
		"one with other keys":                   {text("somebody:else"), ""},
		"a text of campaigns":                   {text("campaigns"), "campaigns"},
		"a list of workers":                     {func(r *redis.Client) { r.LPush(t.Context(), "workers", "a") }, "workers"},
		"a list of events":                      {func(r *redis.Client) { r.LPush(t.Context(), "events", "a") }, "events"},
		"a text of wishes":                      {text("{wishes}"), "{wishes}"},
		"a set of days":                         {set("contacted:days", "1"), "contacted:days"},
		"a set of suppressed":                   {set("suppressed:used", "1"), "suppressed:used"},
		"campaigns of another program":          {sorted("campaigns", "17", "18"), "campaigns"},
		"campaigns that cannot be named so":     {sorted("campaigns", "Spring sale!"), "campaigns"},
		"a set of campaigns":                    {set("campaigns", "sale"), "campaigns"},
		"another live":                          {text("live"), "live"},
		"campaigns that are kept in other ways": {func(r *redis.Client) { sorted("campaigns", "sale")(r); text("c:{sale}")(r) }, "campaigns"},
		"a stream of other events": {func(r *redis.Client) {
			r.XAdd(t.Context(), &redis.XAddArgs{Stream: "events", Values: []string{"type", "click"}})
		}, "events"},
		"another queue": {text("asynq:queues"), "asynq:queues"},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redistest.Shared(t)
			tt.fill(rdb)
			err := CheckForeign(t.Context(), rdb)
			var foreign *ForeignError
			if errors.As(err, &foreign); (tt.key == "") != (err == nil) || err != nil && (foreign == nil || foreign.Key != tt.key) {
				t.Errorf("%v, want %q refused", err, tt.key)
			}
		})
	}
}

func TestOurOwnRedisIsNotRefused(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	launch(t, s, "sale", 3, 2, campaign.Running)
	if err := s.AddEvent(t.Context(), Event{Campaign: "sale", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Suppress(t.Context(), []campaign.Phone{966500000001}); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordContacted(t.Context(), time.Now(), []campaign.Phone{966500000001}); err != nil {
		t.Fatal(err)
	}
	if err := CheckForeign(t.Context(), rdb); err != nil {
		t.Error(err)
	}
	// A user who may not look is let through.
	ctx := t.Context()
	if err := rdb.Do(ctx, "ACL", "SETUSER", "blind", "on", ">x", "~*", "+@all", "-scard").Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Do(ctx, "ACL", "DELUSER", "blind") })
	options := *rdb.Options()
	options.Username, options.Password = "blind", "x"
	blind := redis.NewClient(&options)
	defer blind.Close()
	if err := CheckForeign(ctx, blind); err != nil {
		t.Error(err)
	}
}
