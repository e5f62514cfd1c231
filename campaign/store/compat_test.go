package store

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// A stored campaign as it lies in Redis: strings, hashes and sorted sets by key.
type stored struct {
	Strings map[string][]byte
	Hashes  map[string]map[string][]byte
	Scores  map[string]map[string]float64
}

// TestACampaignOfAnEarlierVersionIsRead reads a campaign of two chunks, one of
// whose contacts was accepted. Its file is never written anew: what lies in Redis
// outlives the program that wrote it.
func TestACampaignOfAnEarlierVersionIsRead(t *testing.T) {
	s := New(redistest.Shared(t))
	text, err := os.ReadFile("testdata/campaign-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var was stored
	if err := json.Unmarshal(text, &was); err != nil {
		t.Fatal(err)
	}
	restore(t, s.rdb, was)

	c, err := s.Campaign(t.Context(), "first")
	if err != nil || c.Phase != campaign.Running || c.Chunks != 2 || c.Settings.ChunkSize != 2 || c.Settings.Agent != "default" {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := c.Settings.Check(); err != nil {
		t.Error(err)
	}
	chunk, err := s.ReadChunk(t.Context(), Ref{"first", 0})
	if err != nil || len(chunk.Contacts) != 2 || chunk.Record(0).State != campaign.Accepted || chunk.Record(1).State != campaign.Pending || chunk.Seq != 1 {
		t.Fatalf("%+v, %v", chunk, err)
	}
	if v, err := s.Verify(t.Context(), "first"); err != nil || len(v.Problems) > 0 || v.Contacts != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	// And the rest of it can be sent.
	if err := beginFirst(t, s, Ref{"first", 1}); err != nil {
		t.Error(err)
	}
}

func TestWhatALaterVersionHasAddedIsPassedOver(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 4, 2, campaign.Running)
	var settings map[string]any
	if err := json.Unmarshal([]byte(s.rdb.HGet(t.Context(), keyCampaign("sale"), "settings").Val()), &settings); err != nil {
		t.Fatal(err)
	}
	settings["something_new"] = map[string]any{"a": 1}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	s.rdb.HSet(t.Context(), keyCampaign("sale"), "settings", text, "new_field", "x")
	if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Settings.ChunkSize != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := beginFirst(t, s, Ref{"sale", 0}); err != nil {
		t.Error(err)
	}
}

func restore(t *testing.T, rdb redis.UniversalClient, was stored) {
	t.Helper()
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.ZAdd(t.Context(), keyCampaigns, redis.Z{Score: 1, Member: "first"})
		for key, value := range was.Strings {
			p.Set(t.Context(), key, value, 0)
		}
		for key, fields := range was.Hashes {
			for field, value := range fields {
				p.HSet(t.Context(), key, field, value)
			}
		}
		for key, scores := range was.Scores {
			for member, score := range scores {
				p.ZAdd(t.Context(), key, redis.Z{Score: score, Member: member})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
