package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

const benchChunk = 500

func BenchmarkApply500(b *testing.B) {
	s := New(redistest.Shared(b))
	launch(b, s, "sale", benchChunk, benchChunk, campaign.Running)
	chunk := read(b, s, sale0)
	all := chunk.In(campaign.Pending)
	for b.Loop() {
		apply(b, s, chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, all...)})
		apply(b, s, chunk, Change{Act: Commit, Token: "w/1", Due: time.Hour, Moves: moves(campaign.Unsent, all...)})
	}
}

func BenchmarkReadChunk(b *testing.B) {
	s := New(redistest.Shared(b))
	launch(b, s, "sale", benchChunk, benchChunk, campaign.Running)
	for b.Loop() {
		read(b, s, sale0)
	}
}

func BenchmarkFind(b *testing.B) {
	s := New(redistest.Shared(b))
	c := testCampaign("sale", benchChunk)
	load, err := s.BeginLoad(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	if err := load.AddIndex(b.Context(), indexOf(100_000)); err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		if _, _, err := s.Find(b.Context(), c, person(n%100_000).Phone); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory loads 100,000 contacts of random mobile numbers with two short
// values and reports what they, and their index, take of Redis.
func BenchmarkMemory(b *testing.B) {
	const contacts = 100_000
	first := []string{"Noura", "Fahad", "محمد", "سارة", "Abdulrahman", "Reem", "خالد", "Layla"}
	cities := []string{"Riyadh", "Jeddah", "الدمام", "Mecca", "Tabuk", "أبها"}
	random := rand.New(rand.NewPCG(1, 2))
	used := func(s *Store) int {
		info, err := s.rdb.Info(b.Context(), "memory").Result()
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(info, "used_memory_dataset:")
		n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	for b.Loop() {
		s := New(redistest.Start(b).Client())
		before := used(s)
		c := testCampaign("sale", benchChunk)
		c.Settings.Columns = append(c.Settings.Columns, campaign.Column{Name: "City", Key: "city"})
		load, err := s.BeginLoad(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		ordinals := make(map[campaign.Phone]int) // a number drawn twice has its last place
		for n := range contacts / benchChunk {
			var chunk []campaign.Contact
			for i := range benchChunk {
				phone := campaign.Phone(966500000000 + random.Uint64N(100_000_000))
				name := fmt.Sprintf("%s %c.", first[random.IntN(len(first))], 'A'+rune(random.IntN(26)))
				chunk = append(chunk, campaign.Contact{Phone: phone, Line: n*benchChunk + i + 2,
					Fields: []string{phone.E164(), name, cities[random.IntN(len(cities))]}})
				ordinals[phone] = n*benchChunk + i
			}
			if err := load.Add(b.Context(), n, chunk); err != nil {
				b.Fatal(err)
			}
		}
		loaded := used(s)
		b.ReportMetric(float64(loaded-before)/contacts, "B/contact")
		if err := load.AddIndex(b.Context(), maps.All(ordinals)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(used(s)-loaded)/contacts, "index-B/contact")
		if err := load.Finish(b.Context(), campaign.Counts{Rows: contacts, Contacts: contacts}, contacts/benchChunk, campaign.Running); err != nil {
			b.Fatal(err)
		}
	}
}
