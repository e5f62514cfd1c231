package topology

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign/report"
	"campaign-runner/internal/redistest"
)

// guarded starts a campaign of contacts who answer as the sandbox's flags say, by the
// guards given, and waits until it is paused.
func guarded(t *testing.T, people int, guard []string, sandbox ...string) (*world, report.Overview) {
	w := newWorld(t, redistest.Start(t).URL(), sandbox...)
	w.args = nil
	w.env = append(w.env, "VELENTS_RATE=4/1s") // events come in between
	w.work()
	w.env = append(w.env, "WEBHOOK_URL="+w.printed(0, `webhook inbox","url":"(http://[^"/]+)/webhooks/velents`))
	w.call("enqueue", append([]string{w.list(0, people), "--name", "sale", "--channel", "voice", "--chunk-size", "50",
		"--skip-preflight", "--rejects", filepath.Join(w.dir, "rejects.csv")}, guard...)...)
	return w, w.awaitPause()
}

func (w *world) awaitPause() (o report.Overview) {
	w.Helper()
	w.await(func() error {
		if err := json.Unmarshal([]byte(w.call("campaign", "show", "sale", "--json")), &o); err != nil {
			return err
		}
		if o.State != "paused" {
			return fmt.Errorf("it is %s", o.State)
		}
		return nil
	})
	return o
}

func TestOptOutsPauseACampaign(t *testing.T) {
	t.Parallel()
	w, o := guarded(t, 2000, []string{"--max-optout-share", "2%"}, "--webhooks", "--webhook-opt-out", "0.1")
	var out, of int
	if _, err := fmt.Sscanf(o.StateReason.String(), "%d of the latest %d contacts opted out,", &out, &of); err != nil {
		t.Fatalf("%v: %s", err, o.StateReason)
	}
	if of < 100 || of > 1000 || out*100 <= 2*of || !strings.HasSuffix(o.StateReason.String(), "allowed 2%; they are among its first, so there is nothing to compare them with") {
		t.Error(o.StateReason)
	}
	if listed := strings.Count(w.call("campaign", "suppress", "list"), "+9665"); listed < out {
		t.Errorf("%d are on the do-not-contact list, %d opted out", listed, out)
	}
	if log := w.call("campaign", "log", "sale"); !strings.Contains(log, "contacts opted out") {
		t.Errorf("log:\n%s", log)
	}
	// A person may decide that this is how it is.
	w.call("campaign", "set", "sale", "--max-optout-share", "0%")
	w.call("campaign", "resume", "sale")
	w.finish("sale")
	w.audit("sale", 2000)
}

func TestMissingAnswersPauseACampaign(t *testing.T) {
	t.Parallel()
	w, o := guarded(t, 2000, []string{"--min-answer-share", "10%"}, "--webhooks", "--webhook-no-answer", "0.97")
	var answered, of int
	if _, err := fmt.Sscanf(o.StateReason.String(), "%d of the latest %d contacts answered,", &answered, &of); err != nil {
		t.Fatalf("%v: %s", err, o.StateReason)
	}
	if of < 100 || answered*10 >= of || !strings.Contains(o.StateReason.String(), "wanted 10%; "+strconv.Itoa(of)+" of their conversations have ended;") {
		t.Error(o.StateReason)
	}
	w.call("campaign", "set", "sale", "--min-answer-share", "0%")
	w.call("campaign", "resume", "sale")
	w.finish("sale")
	w.audit("sale", 2000)
}

// The platform accepts, and tells nothing.
func TestSilencePausesACampaign(t *testing.T) {
	t.Parallel()
	began := time.Now()
	w, o := guarded(t, 2000, []string{"--max-silence", "3s"})
	if !strings.Contains(o.StateReason.String(), "contacts were accepted since the last event of a conversation, and none has come for ") || time.Since(began) < 3*time.Second {
		t.Error(o.StateReason)
	}
	accepted := o.States.Open()
	w.call("campaign", "resume", "sale") // it gets its three seconds again
	if o := w.awaitPause(); o.States.Open() >= accepted {
		t.Errorf("%d are open, as before", accepted)
	}
	w.call("campaign", "set", "sale", "--max-silence", "0")
	w.call("campaign", "resume", "sale")
	w.finish("sale")
	w.audit("sale", 2000)
}
