// Package topology proves that the commands work on Redis of several machines:
// behind Sentinel, and on a Cluster.
//
// Real workers send real campaigns to the sandbox, a master of Redis is killed in
// the midst, and every contact is held against the platform's own ledger.
package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/internal/commands"
	"campaign-runner/sandbox"
)

func TestMain(m *testing.M) { os.Exit(commands.Main(m)) }

// limit bounds every wait: a machine that is busy with other things must not fail
// these tests.
const limit = 4 * time.Minute

// A world is a platform, a Redis of several servers, and workers.
type world struct {
	*testing.T
	dir     string
	sandbox string // URL
	env     []string
	args    []string // of the workers
	workers []*commands.Process
	drafted string // address of a draft on the pages
}

func newWorld(t *testing.T, redisURL string, sandbox ...string) *world {
	t.Helper()
	w := &world{T: t, dir: t.ArtifactDir(), args: []string{"--wait-replicas", "1"}}
	w.sandbox = commands.Sandbox(t, filepath.Join(w.dir, "sandbox.log"), append(sandbox, "--limit", "0")...)
	w.env = []string{
		"REDIS_URL=" + redisURL, "VELENTS_URL=" + w.sandbox, "VELENTS_TOKEN=token", "VELENTS_RATE=none",
		"WEBHOOK_SECRET=secret",
	}
	return w
}

// work starts a worker. Unless args say otherwise, it lets no request leave before a
// replica has its mark.
func (w *world) work() {
	w.Helper()
	log := filepath.Join(w.dir, fmt.Sprintf("worker-%d.log", len(w.workers)))
	args := append([]string{"--admin-addr", "127.0.0.1:0", "--webhook-addr", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"}, w.args...)
	p, err := commands.Start(log, w.env, "worker", args...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		p.Kill()
		if w.Failed() {
			w.Log(p.Tail(5))
		}
	})
	w.workers = append(w.workers, p)
	w.await(func() error {
		if !strings.Contains(p.Printed(), "worker started") {
			return errors.New(p.Tail(5))
		}
		return nil
	})
}

// printed is the submatch of what a worker has printed.
func (w *world) printed(worker int, pattern string) string {
	w.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(w.workers[worker].Printed())
	if found == nil {
		w.Fatalf("no %s in what the worker printed", pattern)
	}
	return found[1]
}

func (w *world) await(wrong func() error) {
	w.Helper()
	if err := commands.Await(limit, wrong); err != nil {
		w.Fatal(err)
	}
}

// call runs a command that must end with 0.
func (w *world) call(name string, args ...string) string {
	w.Helper()
	return w.callWith(nil, 0, name, args...)
}

// callWith runs a command with more in its environment that must end with code.
func (w *world) callWith(env []string, code int, name string, args ...string) string {
	w.Helper()
	out, err := commands.Call(append(w.env, env...), nil, name, args...)
	if err != nil {
		w.Fatal(err)
	}
	if out.Code != code {
		w.Fatalf("%s %s: exit code %d, not %d: %s", name, strings.Join(args, " "), out.Code, code, out.Said())
	}
	return out.Stdout
}

// list writes a contact file of people from the first on.
func (w *world) list(first, people int) (file string) {
	w.Helper()
	var text strings.Builder
	text.WriteString("phone,name\n")
	for n := range people {
		fmt.Fprintf(&text, "%s,Person %d\n", phone(first+n), n)
	}
	file = filepath.Join(w.dir, fmt.Sprintf("list-%d.csv", first))
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		w.Fatal(err)
	}
	return file
}

func phone(n int) string { return fmt.Sprintf("+9665%08d", n) }

// finish waits until a campaign is over. One that was paused because Redis had
// lost writes goes on, as the runbook says: a replica that has every mark shows no
// contact as pending that was contacted.
func (w *world) finish(name string) report.Overview {
	w.Helper()
	var o report.Overview
	w.await(func() error {
		// Without a master it says so at once.
		out, err := commands.Call(w.env, nil, "campaign", "show", name, "--json")
		if err == nil && out.Code == 0 {
			err = json.Unmarshal([]byte(out.Stdout), &o)
		}
		if err != nil || out.Code != 0 {
			return fmt.Errorf("%v %s", err, out.Said())
		}
		if strings.Contains(o.StateReason.String(), "lost writes") {
			w.call("campaign", "resume", name)
		}
		if !o.Over() {
			return fmt.Errorf("%s is %s (%s) with %d open", name, o.State, o.StateReason, o.States.Open())
		}
		return nil
	})
	return o
}

// look reads a page as JSON.
func (w *world) look(url string, into any) {
	w.Helper()
	res, err := http.Get(url)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s", url, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		w.Fatalf("%s: %v", url, err)
	}
}

func (w *world) stats() (s sandbox.Stats) {
	w.Helper()
	w.look(w.sandbox+"/sandbox/stats", &s)
	return s
}

// awaitContacts waits until the platform has contacted n contacts.
func (w *world) awaitContacts(n int) {
	w.Helper()
	w.await(func() error {
		if s := w.stats(); s.Contacts < n {
			return fmt.Errorf("%d contacted, not %d", s.Contacts, n)
		}
		return nil
	})
}

// audit compares the results of a campaign with the platform's ledger: no contact is
// missing, none was contacted twice, and the accepted ones are those contacted.
func (w *world) audit(name string, people int) {
	w.Helper()
	w.call("campaign", "verify", name)
	var ledger struct{ Counts map[string]int }
	w.look(w.sandbox+"/sandbox/ledger?all=1", &ledger)
	seen := make(map[string]bool)
	reached := []string{"accepted", "started", "ended"}
	for line := range strings.Lines(w.call("campaign", "results", name, "--json")) {
		var c struct {
			Phone string `json:"phone_e164"`
			State string
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			w.Fatal(err)
		}
		times := ledger.Counts[c.Phone]
		switch {
		case seen[c.Phone]:
			w.Errorf("%s: a contact is in the results twice", name)
		case times > 1:
			w.Errorf("%s: a contact was reached %d times", name, times)
		case slices.Contains(reached, c.State) != (times == 1) && c.State != "unconfirmed":
			w.Errorf("%s: a contact is %s, and was reached %d times", name, c.State, times)
		}
		seen[c.Phone] = true
	}
	if len(seen) != people {
		w.Errorf("%s: %d contacts in the results, not %d", name, len(seen), people)
	}
}

// fault changes what goes wrong in the platform.
func (w *world) fault(faults string) {
	w.Helper()
	req, err := http.NewRequest(http.MethodPut, w.sandbox+"/sandbox/faults", strings.NewReader(faults))
	if err != nil {
		w.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.Fatalf("faults %s: %s", faults, res.Status)
	}
}

// told fails unless events have told of the end of that many conversations.
func (w *world) told(name string, ended int) error {
	w.Helper()
	if o := w.finish(name); o.States.In(campaign.Ended) != ended {
		return fmt.Errorf("%s: %d have ended, not %d", name, o.States.In(campaign.Ended), ended)
	}
	return nil
}

// readLogs checks what the workers have printed: each line is an object, a line about a
// request says which one, and no line holds a phone number.
func (w *world) readLogs() {
	w.Helper()
	number := regexp.MustCompile(`9665\d{8}`)
	for _, p := range w.workers {
		for line := range strings.Lines(p.Printed()) {
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				w.Errorf("not an object: %s", line)
				continue
			}
			if number.MatchString(line) || strings.Contains(line, "CROSSSLOT") || entry["level"] == "ERROR" {
				w.Errorf("the log has: %s", line)
			}
			if entry["msg"] != "request answered" {
				continue
			}
			for _, key := range []string{"worker", "agent", "campaign", "run", "chunk", "request", "attempt"} {
				if entry[key] == nil {
					w.Errorf("a request's line lacks %s: %s", key, line)
				}
			}
			if attempt, _ := entry["attempt"].(float64); attempt < 1 {
				w.Errorf("an attempt is counted from 1: %s", line)
			}
		}
	}
}
