package topology

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/internal/redistest"
)

// Makers and others do what they can, and a worker dies; nobody is contacted before a third
// person says so.
func TestNobodyIsContactedBeforeApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, redistest.Start(t).URL())
	w.args = nil
	w.work()
	w.work()
	launch := func(first, people int, name string, more ...string) {
		t.Helper()
		w.call("enqueue", append([]string{w.list(first, people), "--name", name, "--channel", "voice", "--chunk-size", "10", "--skip-preflight",
			"--rejects", filepath.Join(w.dir, name+"-rejects.csv")}, more...)...)
	}
	refused := func(as string) {
		t.Helper()
		w.callWith([]string{"CAMPAIGN_AS=" + as}, 1, "campaign", "approve", "sale")
	}

	w.call("campaign", "policy", "--approve-above", "100", "--as", "nora")
	launch(0, 120, "sale", "--as", "Sara", "--canary", "20")
	refused("sara")
	w.call("campaign", "pause", "sale")
	w.call("campaign", "resume", "sale", "--as", "nora")
	w.call("campaign", "cancel", "sale", "--yes")
	w.call("enqueue", "rerun", "sale", "--state", "canceled", "--as", "lina")
	w.workers[0].Kill()
	w.work()
	w.call("enqueue", "append", "sale", w.list(500, 30), "--as", "omar")
	w.call("campaign", "policy", "--approve-above", "none")
	refused("omar")
	refused("LINA")

	// The workers are there, and send what does not wait.
	launch(1000, 50, "small")
	w.finish("small")
	if n := w.stats().Contacts; n != 50 {
		t.Fatalf("%d contacts were contacted, not the 50 that need no approval", n)
	}
	var o report.Overview
	if err := json.Unmarshal([]byte(w.call("campaign", "show", "sale", "--json")), &o); err != nil || !o.Unapproved() || o.States.Open() != 150 {
		t.Errorf("%v: %+v", err, o.Summary)
	}

	w.call("campaign", "approve", "sale", "--as", "nora")
	w.await(func() error { // until the canary of the launch is over
		if err := json.Unmarshal([]byte(w.call("campaign", "show", "sale", "--json")), &o); err != nil || o.State != campaign.Ready {
			return fmt.Errorf("it is %s: %w", o.State, err)
		}
		return nil
	})
	w.call("campaign", "start", "sale")
	w.finish("sale")
	w.audit("sale", 150)
	log := w.call("campaign", "log", "sale")
	for _, who := range []string{"nora (as claimed by ", "Sara (as claimed by ", "lina (as claimed by ", "omar (as claimed by ", "made or changed by Sara (as claimed by "} {
		if !strings.Contains(log, who) {
			t.Errorf("the log lacks %q:\n%s", who, log)
		}
	}
}
