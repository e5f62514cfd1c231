//go:build quota

// Package fleet shows in real time that worker processes use a quota together,
// the whole of it and no more.
//
// Several workers on one Redis send to the sandbox, each a process, and the
// sandbox is the judge: by what it has counted for each token in whole windows,
// the gaps between them included, and by how often it had to refuse.
//
// It is behind the build tag quota: run it with make quota. What hours of other
// servers, other clients and accidents come to is simulated in internal/quotasim.
package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
	"campaign-runner/sandbox"
)

const (
	limit   = 30
	window  = 5 * time.Second
	workers = 4

	spanWindows = 12 // windows that are judged together
	mostSpans   = 3
	leastUsed   = 0.97
	mostRefused = 2.0 // of 1000 requests

	fewContacts = 10 // an idle token may send these at once
)

func TestMain(m *testing.M) { os.Exit(commands.Main(m)) }

// TestQuota gives two agents more to send than their quota allows, all the time. While
// one waits, the other must lose nothing, nor must a third agent, which gets a few
// contacts in between.
//
// On a busy machine a window sometimes opens late, and what is lost by that cannot be
// used. So one span of three with the quota used to the full is enough, and the test
// ends with it. Nothing excuses a refusal: all are counted, from the first request on.
func TestQuota(t *testing.T) {
	f := newFleet(t)
	saturated := []string{"default", "second"}
	for _, agent := range saturated {
		f.launch(agent, limit*spanWindows*(mostSpans+2))
	}
	for n := range workers {
		f.startWorker(n)
	}
	best := make(map[string]float64)
	from := f.reach(saturated, 2) // the limit is found out before that
	f.launch("third", fewContacts)
	for range mostSpans {
		to := f.reach(saturated, from[saturated[0]].Windows+spanWindows)
		for _, agent := range saturated {
			used := usedOf(from[agent], to[agent])
			t.Logf("agent %s: %.2f %% used in %d windows (want %.0f %%)", agent, 100*used, spanWindows, 100*leastUsed)
			best[agent] = max(best[agent], used)
		}
		if from = to; best[saturated[0]] >= leastUsed && best[saturated[1]] >= leastUsed {
			break
		}
	}
	for _, agent := range saturated {
		refused := from[agent].Statuses[http.StatusTooManyRequests]
		share := 1000 * float64(refused) / float64(from[agent].Counted+refused)
		t.Logf("agent %s: %d of %d requests refused, %.1f of 1000 (want at most %g)", agent, refused, from[agent].Counted+refused, share, mostRefused)
		if best[agent] < leastUsed || share > mostRefused {
			t.Errorf("agent %s misses what is wanted", agent)
		}
	}
	third := from["third"]
	took := third.Last.Sub(third.First)
	t.Logf("agent third: %d requests (want %d) in %v (want at most %v)", third.Counted, fewContacts, took.Round(time.Millisecond), window/2)
	if third.Counted != fewContacts || took > window/2 {
		t.Error("an agent was held up by others")
	}
	if t.Failed() {
		f.tell()
	}
}

// usedOf is which part of its quota a token has used from the opening of one
// window to that of a later one.
func usedOf(from, to sandbox.TokenStats) float64 {
	allowed := limit * to.Opened.Sub(from.Opened).Seconds() / window.Seconds()
	return float64(to.Before-from.Before) / allowed
}

// A fleet is a Redis, the platform, and workers that serve three agents.
type fleet struct {
	t       *testing.T
	dir     string
	env     []string
	sandbox string // URL
	workers []*commands.Process
}

var fleetTokens = map[string]string{"default": "first-token", "second": "second-token", "third": "third-token"}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.ArtifactDir()}
	f.sandbox = commands.Sandbox(t, filepath.Join(f.dir, "sandbox.log"), "--latency", "2ms-40ms",
		"--limit", fmt.Sprint(limit), "--window", window.String())
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	f.env = []string{"REDIS_URL=" + redis.URL(), "VELENTS_URL=" + f.sandbox, "VELENTS_RATE=" + fmt.Sprintf("%d/%v", limit, window),
		"VELENTS_TOKEN=" + fleetTokens["default"], "VELENTS_TOKEN_SECOND=" + fleetTokens["second"], "VELENTS_TOKEN_THIRD=" + fleetTokens["third"]}
	return f
}

func (f *fleet) startWorker(n int) {
	f.t.Helper()
	p, err := commands.Start(filepath.Join(f.dir, fmt.Sprintf("worker-%d.log", n)), f.env, "worker", "--admin-addr", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.Kill)
	f.workers = append(f.workers, p)
}

// launch gives an agent contacts, each a request of its own.
func (f *fleet) launch(agent string, contacts int) {
	f.t.Helper()
	var text strings.Builder
	text.WriteString("phone\n")
	for n := range contacts {
		fmt.Fprintf(&text, "+9665%08d\n", n)
	}
	file := filepath.Join(f.dir, agent+".csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	out, err := commands.Call(f.env, nil, "enqueue", file, "--name", agent, "--agent", agent, "--channel", "voice", "--mode", "dispatch",
		"--skip-preflight", "--rejects", "")
	if err != nil || out.Code != 0 {
		f.t.Fatal(err, out.Said())
	}
}

// reach waits until each of the agents has opened that many windows.
func (f *fleet) reach(agents []string, windows int) map[string]sandbox.TokenStats {
	f.t.Helper()
	var stats map[string]sandbox.TokenStats
	patience := 2*spanWindows*window + time.Minute
	if err := commands.Await(patience, func() error {
		stats = f.stats()
		for _, agent := range agents {
			if stats[agent].Windows < windows {
				return fmt.Errorf("agent %s has opened %d windows, not %d", agent, stats[agent].Windows, windows)
			}
		}
		return nil
	}); err != nil {
		f.tell()
		f.t.Fatal(err)
	}
	return stats
}

// stats are what the sandbox has seen of each agent.
func (f *fleet) stats() map[string]sandbox.TokenStats {
	f.t.Helper()
	res, err := http.Get(f.sandbox + "/sandbox/stats")
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	var all sandbox.Stats
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		f.t.Fatal(err)
	}
	stats := make(map[string]sandbox.TokenStats)
	for agent, token := range fleetTokens {
		stats[agent] = all.Tokens[sandbox.TokenID(token)]
	}
	return stats
}

// tell shows what the workers said.
func (f *fleet) tell() {
	for _, p := range f.workers {
		f.t.Log(p.Tail(20))
	}
}
