package topology

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

func TestTwoCampaignsOverOneListOutliveTheirMaster(t *testing.T) {
	t.Parallel()
	redis := redistest.StartSentinels(t, 2, "--appendonly", "yes")
	duel(t, redis.URL(), func() { redis.Master.Kill() })
}

func TestTwoCampaignsOverOneListOnACluster(t *testing.T) {
	t.Parallel()
	redis := redistest.StartCluster(t, 3, 1, "--appendonly", "yes")
	duel(t, redis.URL(), func() {})
}

// backwards writes a contact file the other way round.
func backwards(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	people := lines[1 : len(lines)-1]
	slices.Reverse(people)
	file += ".backwards.csv"
	if err := os.WriteFile(file, []byte(lines[0]+strings.Join(people, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// duel sends one list by two campaigns at once. Both skip contacts that were contacted
// lately: each contact is contacted by one of them.
func duel(t *testing.T, redisURL string, meanwhile func()) {
	const people = 600
	w := newWorld(t, redisURL, "--latency", "500ms-1s")
	w.env = append(w.env, "VELENTS_TOKEN_SECOND=second") // neither waits behind the other's chunks
	w.work()
	w.work()
	list := w.list(0, people)
	names := []string{"sale", "again"}
	lists := []string{list, backwards(t, list)} // they meet in the middle
	for i, mode := range []string{"batch", "dispatch"} {
		out, err := commands.Call(w.env, nil, "enqueue", lists[i], "--name", names[i], "--channel", "voice", "--mode", mode, "--agent", []string{"default", "second"}[i],
			"--chunk-size", "10", "--skip-contacted-within", "7d", "--skip-preflight", "--rejects", filepath.Join(w.dir, names[i]+".csv"))
		if err != nil || out.Code != 0 && out.Code != 3 { // 3: the other has contacted some already
			t.Fatalf("%v: exit code %d: %s", err, out.Code, out.Said())
		}
	}
	w.awaitContacts(people / 10)
	meanwhile()
	for _, name := range names {
		w.finish(name)
		w.call("campaign", "verify", name)
	}
	var ledger struct{ Counts map[string]int }
	w.look(w.sandbox+"/sandbox/ledger?all=1", &ledger)
	told, lost := make(map[string]int), make(map[string]bool)
	for _, name := range names {
		accepted := 0
		for line := range strings.Lines(w.call("campaign", "results", name, "--json")) {
			var c struct {
				Phone string `json:"phone_e164"`
				State string
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			switch {
			case slices.Contains([]string{"accepted", "started", "ended"}, c.State):
				accepted++
				told[c.Phone]++
			case c.State == "unconfirmed":
				lost[c.Phone] = true
			case c.State != "canceled":
				t.Errorf("%s: a contact is %s", name, c.State)
			}
		}
		t.Logf("%s contacted %d", name, accepted)
		if accepted == 0 {
			t.Errorf("%s contacted none: the two did not meet", name)
		}
	}
	for n := range people {
		number := phone(n)
		switch times := ledger.Counts[number]; {
		case times > 1:
			t.Errorf("contact %d was reached %d times", n, times)
		case times != told[number] && !lost[number]:
			t.Errorf("contact %d was reached %d times, %d are told", n, times, told[number])
		}
	}
	if n := len(ledger.Counts) + len(lost); n < people {
		t.Errorf("%d of %d were reached or are unconfirmed", n, people)
	}
}
