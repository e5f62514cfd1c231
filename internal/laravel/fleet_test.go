//go:build laravel

package laravel

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/internal/commands"
	"campaign-runner/internal/redistest"
)

const (
	workers     = 2
	concurrency = 4 // requests that a worker has under way at once
)

func TestMain(m *testing.M) { os.Exit(commands.Main(m)) }

// A fleet is workers on a Redis of their own that send to a platform.
type fleet struct {
	t       *testing.T
	dir     string
	env     []string
	p       *platform
	workers []*commands.Process
	known   map[string]bool // the numbers of all lists
	redis   *redistest.Server
}

// newFleet starts workers; with more of an environment they take events, too.
func newFleet(t *testing.T, rate string, more ...string) *fleet {
	t.Helper()
	p := newPlatform(t)
	f := &fleet{t: t, dir: t.ArtifactDir(), p: p, known: make(map[string]bool)}
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	f.env = []string{"REDIS_URL=" + redis.URL(), "VELENTS_URL=" + p.url, "VELENTS_RATE=" + rate, "VELENTS_TOKEN=" + token}
	f.env, f.redis = append(f.env, more...), redis
	args := []string{"--admin-addr", "127.0.0.1:0", "--concurrency", fmt.Sprint(concurrency), "--request-timeout", "10s"}
	if len(more) > 0 {
		args = append(args, "--webhook-addr", "127.0.0.1:0")
	}
	for n := range workers {
		w, err := commands.Start(filepath.Join(f.dir, fmt.Sprintf("worker-%d.log", n)), f.env, "worker", args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Kill)
		f.workers = append(f.workers, w)
	}
	return f
}

// A person is a line of a contact file.
type person struct{ phone, value string }

// number is the phone of the n-th person.
func number(n int) string { return fmt.Sprintf("+9665%08d", n) }

// people are count persons with the same value.
func people(count int, value string) []person {
	list := make([]person, count)
	for n := range list {
		list[n] = person{number(n), value}
	}
	return list
}

// launch begins a campaign over a list.
func (f *fleet) launch(name string, list []person, args ...string) {
	f.t.Helper()
	var text strings.Builder
	text.WriteString("phone,first_name\n")
	for _, p := range list {
		fmt.Fprintf(&text, "%s,%s\n", p.phone, p.value)
		f.known[p.phone] = true
	}
	file := filepath.Join(f.dir, name+".csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.must("enqueue", append([]string{file, "--name", name, "--channel", "3", "--rejects", ""}, args...)...)
}

func (f *fleet) must(name string, args ...string) string {
	f.t.Helper()
	out, err := commands.Call(f.env, nil, name, args...)
	if err != nil || out.Code != 0 {
		f.t.Fatalf("%s %s: exit code %d, %v: %s", name, strings.Join(args, " "), out.Code, err, out.Said())
	}
	return out.Stdout
}

// An overview is what campaign show tells.
type overview struct {
	State       string         `json:"state"`
	StateReason string         `json:"state_reason"`
	Contacts    int            `json:"contacts"`
	States      map[string]int `json:"states"`
	Reasons     []struct {
		State    string `json:"state"`
		Reason   string `json:"reason"`
		Contacts int    `json:"contacts"`
	} `json:"reasons"`
}

func (f *fleet) show(name string) (o overview) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.must("campaign", "show", name, "--json")), &o); err != nil {
		f.t.Fatal(err)
	}
	return o
}

// await waits until a campaign is in a state and none of its requests is under way.
func (f *fleet) await(name, state string, limit time.Duration) overview {
	f.t.Helper()
	var o overview
	f.until(limit, func() error {
		if o = f.show(name); o.State != state || o.States["sending"] > 0 {
			return fmt.Errorf("the campaign is %s (%s): %v", o.State, o.StateReason, o.States)
		}
		return nil
	})
	return o
}

// until waits until there is nothing wrong any more.
func (f *fleet) until(limit time.Duration, wrong func() error) {
	f.t.Helper()
	if err := commands.Await(limit, wrong); err != nil {
		f.t.Error(err)
		f.tell()
		f.t.FailNow()
	}
}

// reached waits until the platform has contacted at least that many.
func (f *fleet) reached(atLeast int) {
	f.t.Helper()
	f.until(time.Minute, func() error {
		if n := len(f.p.ledger()); n < atLeast {
			return fmt.Errorf("the platform has contacted %d, not %d", n, atLeast)
		}
		return nil
	})
}

// answered waits until the platform has given an answer more than before times.
func (f *fleet) answered(status, before int) {
	f.t.Helper()
	f.until(time.Minute, func() error {
		if f.p.answered(status) <= before {
			return fmt.Errorf("no answer %d came", status)
		}
		return nil
	})
}

// A fate is what results tell of a contact.
type fate struct {
	Phone    string `json:"phone_e164"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Attempts int    `json:"attempts"`
}

// audit compares every contact of the last campaign with Laravel's ledger. None was
// contacted twice and none is lost. Only contacts that were reached are accepted, and
// all of them are accepted or unconfirmed, so that none is sent again unasked.
func (f *fleet) audit(name string, list []person) map[string]fate {
	f.t.Helper()
	ledger := f.p.ledger()
	for phone, times := range ledger {
		if times > 1 {
			f.t.Errorf("contact …%s was contacted %d times", phone[len(phone)-4:], times)
		}
	}
	file := filepath.Join(f.dir, name+"-results.jsonl")
	f.must("campaign", "results", name, "-o", file)
	in, err := os.Open(file)
	if err != nil {
		f.t.Fatal(err)
	}
	defer in.Close()
	fates := make(map[string]fate)
	states := make(map[string]int)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var c fate
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			f.t.Fatal(err)
		}
		if _, twice := fates[c.Phone]; twice {
			f.t.Errorf("contact …%s is in the results twice", c.Phone[len(c.Phone)-4:])
		}
		fates[c.Phone] = c
		states[c.State]++
		switch was := ledger[c.Phone] > 0; {
		case c.State == "accepted" && !was, c.State != "accepted" && c.State != "unconfirmed" && was:
			f.t.Errorf("contact …%s is %s (%s) after %d attempts, reached: %v", c.Phone[len(c.Phone)-4:], c.State, c.Reason, c.Attempts, was)
		}
	}
	for _, p := range list {
		if _, ok := fates[p.phone]; !ok {
			f.t.Errorf("contact …%s is lost", p.phone[len(p.phone)-4:])
		}
	}
	if strangers := slices.DeleteFunc(slices.Collect(maps.Keys(ledger)), func(phone string) bool { return f.known[phone] }); len(strangers) > 0 {
		f.t.Errorf("%d strangers were contacted", len(strangers))
	}
	f.must("campaign", "verify", name)
	f.t.Logf("%d contacts: %v; %d reached; answers %v", len(list), states, len(ledger), f.statuses())
	if f.t.Failed() {
		f.tell()
	}
	return fates
}

// states counts contacts by state.
func states(fates map[string]fate) map[string]int {
	counts := make(map[string]int)
	for _, c := range fates {
		counts[c.State]++
	}
	return counts
}

// only fails when a contact is in a state that is not among those.
func (f *fleet) only(fates map[string]fate, allowed ...string) {
	f.t.Helper()
	for _, state := range slices.Sorted(maps.Keys(states(fates))) {
		if !slices.Contains(allowed, state) {
			f.t.Errorf("%d contacts are %s", states(fates)[state], state)
		}
	}
}

func (f *fleet) statuses() map[int]int {
	counts := make(map[int]int)
	for _, c := range f.p.calls() {
		counts[c.status]++
	}
	return counts
}

// tell shows the logs of workers and platform.
func (f *fleet) tell() {
	f.t.Helper()
	for _, w := range f.workers {
		f.t.Log(w.Tail(15))
	}
	f.t.Log(f.p.logs())
}
