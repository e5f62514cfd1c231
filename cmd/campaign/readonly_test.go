package main

import (
	"fmt"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// readers are the commands that only look, with the exit code of each.
var readers = map[string]int{
	"list": 0, "list --json": 0, "show sale": 0, "show sale --json": 0, "show over": 0, "show lost": 1,
	"results sale": 0, "results sale --state unconfirmed": 0, "results sale --json -o FILE": 0, "results sale -o FILE.xlsx": 0,
	"rejects sale": 0, "verify sale": 0, "verify over": 0, "log sale": 0, "log sale --json": 0,
	"events sale": 0, "events sale --json": 0, "events over": 0, "plan sale": 0, "tickets sale": 0, "resolve sale": 0, "watch over": 0,
	"suppress list": 0,
}

// A replica, and a Redis that takes no writes for want of memory or disk, can still
// be looked into.
func TestWhatOnlyLooksNeedsNoWrites(t *testing.T) {
	for what, refuseWrites := range map[string]func(*testing.T, fixture) error{
		"a replica": func(t *testing.T, f fixture) error {
			return f.Redis().Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err()
		},
		"a user that may only read": func(t *testing.T, f fixture) error {
			return f.Redis().Do(t.Context(), "ACL", "SETUSER", "default", "-@all", "+@read", "+@connection", "+@transaction", "+time", "+info", "+config|get").Err()
		},
		"a Redis without memory": func(t *testing.T, f fixture) error {
			return f.Redis().ConfigSet(t.Context(), "maxmemory", "1").Err()
		},
	} {
		t.Run(what, func(t *testing.T) {
			server := redistest.Start(t)
			f := fixture{Fixture: campaigntest.New(t, server.Client()), url: server.URL()}
			f.sale()
			f.load("over", 1)
			f.move("over", 0, "", campaign.Send, campaign.Accept)
			if err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}}); err != nil {
				t.Fatal(err)
			}
			f.Redis().SAdd(t.Context(), "workers", "dead") // nobody has tidied up
			if err := refuseWrites(t, f); err != nil {
				t.Fatal(err)
			}
			if err := f.Redis().Set(t.Context(), "x", "y", 0).Err(); err == nil {
				t.Fatal("it takes writes")
			}
			n := 0
			for line, code := range readers {
				n++
				out := f.run(strings.Fields(strings.ReplaceAll(line, "FILE", fmt.Sprintf("%s/%d", t.TempDir(), n)))...)
				if out.code != code || strings.Contains(out.stderr, "READONLY") || strings.Contains(out.stderr, "OOM") || strings.Contains(out.stderr, "NOPERM") {
					t.Errorf("campaign %s: exit %d: %s", line, out.code, out.stderr)
				}
			}
		})
	}
}
