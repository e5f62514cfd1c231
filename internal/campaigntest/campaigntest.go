// Package campaigntest puts campaigns into a test's Redis and moves their contacts.
//
// The tests of campaign/store have helpers of their own: they test what is used here.
package campaigntest

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Fixture is a store with what tests do in it. An error ends the test.
type Fixture struct {
	*store.Store
	T testing.TB
}

// New is a fixture on a Redis.
func New(t testing.TB, rdb redis.UniversalClient) Fixture { return Fixture{store.New(rdb), t} }

// A List is a campaign to be loaded.
type List struct {
	Name     string
	Settings campaign.Settings // see Settings
	Contacts []campaign.Contact
	Counts   campaign.Counts // of lines that are no contacts; Load adds the contacts
	Rejects  string          // the file of those lines
	Indexed  bool            // contacts can be found by number
	By       string          // who loads it; empty: the user of this process
}

// Settings are for batches of the agent "default", with chunks of that many contacts.
func Settings(chunkSize int, columns ...campaign.Column) campaign.Settings {
	return campaign.Settings{
		Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: chunkSize, MaxAttempts: 5, Columns: columns,
	}
}

// People are n contacts with numbers from first on. Fields makes the cells of contact i;
// nil: its number alone.
func People(first campaign.Phone, n int, fields func(i int, number string) []string) []campaign.Contact {
	list := make([]campaign.Contact, n)
	for i := range list {
		phone := first + campaign.Phone(i)
		list[i] = campaign.Contact{Phone: phone, Line: i + 2, Fields: []string{phone.E164()}}
		if fields != nil {
			list[i].Fields = fields(i, phone.E164())
		}
	}
	return list
}

// Load makes a running campaign of a list.
func (f Fixture) Load(l List) campaign.Campaign {
	f.T.Helper()
	ctx := f.T.Context()
	load, err := f.BeginLoad(ctx, campaign.Campaign{Name: l.Name, Settings: l.Settings})
	f.must(err)
	load.By = l.By
	index := make(map[campaign.Phone]int)
	chunks := 0
	for from := 0; from < len(l.Contacts); from += l.Settings.ChunkSize {
		f.must(load.Add(ctx, chunks, l.Contacts[from:min(from+l.Settings.ChunkSize, len(l.Contacts))]))
		chunks++
	}
	for i, c := range l.Contacts {
		index[c.Phone] = i
	}
	if l.Indexed {
		f.must(load.AddIndex(ctx, maps.All(index)))
	}
	if l.Rejects != "" {
		f.must(load.AddRejects(ctx, []byte(l.Rejects)))
	}
	l.Counts.Rows += len(l.Contacts)
	l.Counts.Contacts = len(l.Contacts)
	f.must(load.Finish(ctx, l.Counts, chunks, campaign.Running))
	c, err := f.Campaign(ctx, l.Name)
	f.must(err)
	return c
}

// ApproveAbove lets campaigns of more contacts, from their next load or change on, wait for
// approval.
func (f Fixture) ApproveAbove(contacts int) {
	f.T.Helper()
	f.must(f.SetPolicy(f.T.Context(), contacts, ""))
}

// At is when a Step happens that does not say when.
var At = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A Step is what happens to contacts beside the causes.
type Step struct {
	Reason string
	At     time.Time
	Log    store.Decision // what the log tells of it
}

// Move makes things happen to the contacts at some places of a campaign's list, one
// after the other. Those that fail may have been reached.
func (f Fixture) Move(name string, places []int, step Step, causes ...campaign.Cause) {
	f.T.Helper()
	ctx := f.T.Context()
	c, err := f.Campaign(ctx, name)
	f.must(err)
	code, err := f.ReasonCode(ctx, name, campaign.Text(step.Reason))
	f.must(err)
	if step.At.IsZero() {
		step.At = At
	}
	for n := range c.Chunks {
		var moves []store.Move
		for _, place := range places {
			if place/c.Settings.ChunkSize == n {
				moves = append(moves, store.Move{Index: place % c.Settings.ChunkSize, Move: campaign.Move{Reason: code, Run: 1, At: step.At}})
			}
		}
		if len(moves) == 0 {
			continue
		}
		chunk, err := f.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: n})
		f.must(err)
		for _, cause := range causes {
			for i := range moves {
				moves[i].Cause, moves[i].InDoubt = cause, cause == campaign.Fail
			}
			done, err := f.Apply(ctx, chunk, store.Change{Act: store.Steer, Moves: moves, Log: step.Log})
			f.must(err)
			if len(done.Moved) != len(moves) {
				f.T.Fatalf("move contacts %v of %s by cause %d: %+v", places, name, cause, done)
			}
		}
	}
}

// All are the places of all contacts of a campaign.
func (f Fixture) All(name string) []int {
	f.T.Helper()
	c, err := f.Campaign(f.T.Context(), name)
	f.must(err)
	places := make([]int, c.Counts.Contacts)
	for i := range places {
		places[i] = i
	}
	return places
}

// EndedAt makes a campaign that has ended have ended at a time.
func (f Fixture) EndedAt(name string, at time.Time) {
	f.T.Helper()
	if key := "c:{" + name + "}"; f.Redis().HExists(f.T.Context(), key, "ended_at").Val() {
		f.must(f.Redis().HSet(f.T.Context(), key, "ended_at", at.UnixMilli()).Err())
	}
}

// Pass sets the phase of a campaign that runs, is paused or is canceled.
func (f Fixture) Pass(name string, to campaign.Phase, reason string) {
	f.T.Helper()
	if _, ok, err := f.SetPhase(f.T.Context(), name, to, campaign.Text(reason), campaign.Running, campaign.Paused, campaign.CanceledPhase); !ok {
		f.T.Fatalf("set phase of %s: %v", name, err)
	}
}

// State is the state of the contact at a place of a campaign's list.
func (f Fixture) State(name string, place int) campaign.State {
	f.T.Helper()
	c, err := f.Campaign(f.T.Context(), name)
	f.must(err)
	chunk, err := f.ReadLedger(f.T.Context(), store.Ref{Campaign: name, Chunk: place / c.Settings.ChunkSize})
	f.must(err)
	return chunk.Record(place % c.Settings.ChunkSize).State
}

func (f Fixture) must(err error) {
	f.T.Helper()
	if err != nil {
		f.T.Fatal(err)
	}
}

// Copy makes campaigns like another one, on a single server, quickly: with its chunks, and
// with nothing to be looked at. Each was created a second after the one before.
func (f Fixture) Copy(of string, names ...string) {
	f.T.Helper()
	ctx := f.T.Context()
	c, err := f.Campaign(ctx, of)
	f.must(err)
	keys := []string{"", ":tally", ":series", ":open"}
	for n := range c.Chunks {
		keys = append(keys, fmt.Sprint(":k:", n), fmt.Sprint(":l:", n))
	}
	_, err = f.Redis().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			created := c.CreatedAt.Add(time.Duration(i+1) * time.Second).UnixMilli()
			for _, key := range keys {
				p.Copy(ctx, "c:{"+of+"}"+key, "c:{"+name+"}"+key, f.Redis().(*redis.Client).Options().DB, true)
			}
			p.HSet(ctx, "c:{"+name+"}", "created_at", created)
			p.ZAdd(ctx, "campaigns", redis.Z{Score: float64(created), Member: name})
		}
		return nil
	})
	f.must(err)
}
