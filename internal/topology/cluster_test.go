package topology

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// TestEverythingWorksOnACluster does what people do, all of it, on a cluster whose
// servers refuse calls that touch keys of several slots.
func TestEverythingWorksOnACluster(t *testing.T) {
	t.Parallel()
	const people = 300 // of a list
	redis := redistest.StartCluster(t, 3, 1, "--appendonly", "yes")
	w := newWorld(t, redis.URL(), "--latency", "10ms-50ms", "--webhooks", "--bad-numbers", phone(7))
	w.work()
	w.work()
	admin := w.printed(0, `admin pages","url":"(http://[^"]+)`)
	events := []string{"WEBHOOK_URL=" + w.printed(1, `webhook inbox","url":"(http://[^"]+)/webhooks/velents`)}

	// The do-not-contact list, before and during a campaign.
	w.call("campaign", "suppress", "add", phone(0))
	w.call("campaign", "suppress", "import", w.list(900, 50))
	w.call("campaign", "suppress", "remove", phone(900))
	if n := strings.Count(w.call("campaign", "suppress", "list"), "+9665"); n != 50 {
		t.Errorf("%d numbers are on the do-not-contact list, not 50", n)
	}
	list := w.list(0, people)
	w.callWith(events, 3, "enqueue", list, "--name", "sale", "--channel", "voice", "--chunk-size", "10", "--rejects", filepath.Join(w.dir, "rejects.csv"))
	w.callWith(events, 0, "enqueue", w.list(1000, 40), "--name", "calls", "--channel", "voice", "--mode", "dispatch", "--chunk-size", "8")

	// Steering, while it runs.
	w.call("campaign", "list")
	w.call("campaign", "show", "sale")
	w.fault(`{"latency":"1s-2s"}`)
	w.call("campaign", "policy", "--approve-above", "299")
	w.callWith(events, 0, "enqueue", w.list(2000, people), "--name", "later", "--channel", "voice", "--chunk-size", "5", "--as", "sara")
	w.call("campaign", "policy", "--approve-above", "none")
	w.call("campaign", "approve", "later", "--as", "omar")
	w.call("campaign", "pause", "later")
	w.call("campaign", "verify", "later")
	w.call("campaign", "resume", "later")
	w.fault(`{"latency":"10ms-50ms"}`)

	// A rejected one is corrected, sent again, and rejected again.
	o := w.finish("sale")
	if got := o.States.In(campaign.Rejected); got != 1 || o.Suppressed != 1 {
		t.Errorf("%d rejected and %d suppressed, not 1 and 1", got, o.Suppressed)
	}
	w.call("enqueue", "rerun", "sale", "--state", "rejected")
	w.finish("sale")
	w.call("campaign", "rejects", "sale")
	w.call("enqueue", "append", "sale", w.list(3000, 25))
	w.finish("sale")

	// Lost answers, and what a person says of them. They are few: after the first, one
	// contact at a time finds out whether answers come again, less and less often.
	const lost = 3
	w.finish("later")
	w.fault(`{"reset_after":1}`)
	w.call("enqueue", w.list(4000, lost), "--name", "lost", "--channel", "voice", "--chunk-size", "1", "--skip-preflight")
	if got := w.finish("lost").States.In(campaign.Unconfirmed); got != lost {
		t.Errorf("%d unconfirmed, not %d", got, lost)
	}
	w.fault(`{"reset_after":0}`)
	w.call("campaign", "resolve", "lost")
	w.call("campaign", "resolve", "lost", "--accepted", "--chunk", "0")
	w.call("campaign", "resolve", "lost", "--accepted")

	// Whom another campaign has contacted, and one that is canceled.
	w.callWith(nil, 3, "enqueue", list, "--name", "again", "--channel", "voice", "--skip-contacted-within", "7d", "--rejects", "")
	w.finish("again")
	w.fault(`{"latency":"1s-2s"}`)
	w.call("enqueue", w.list(5000, people), "--name", "stopped", "--channel", "voice", "--chunk-size", "5")
	w.call("campaign", "cancel", "stopped")
	w.fault(`{"latency":"10ms-50ms"}`)

	// One that waits for its time, and is not waited for.
	w.call("enqueue", w.list(6000, 30), "--name", "early", "--channel", "voice", "--start-at", time.Now().Add(time.Hour).Format(time.RFC3339))
	w.call("campaign", "plan", "early")
	w.call("campaign", "start", "early")

	for name, people := range map[string]int{"early": 30, "sale": people + 24, "calls": 40, "later": people, "lost": lost, "stopped": people} {
		w.finish(name)
		w.audit(name, people)
	}
	// Two events for each contact that was reached: start and end.
	w.call("campaign", "events", "sale")
	w.await(func() error { return w.told("calls", 40) })
	w.call("campaign", "results", "sale", "-o", filepath.Join(w.dir, "results.csv"))
	w.callWith(nil, 3, "campaign", "watch", "sale") // one is rejected

	w.call("campaign", "tickets", "sale")
	w.call("campaign", "log", "sale", "--contact", phone(1))
	w.call("campaign", "purge", "early", "--yes")
	w.call("campaign", "verify", "early")
	w.call("campaign", "log", "early")

	for _, page := range []string{"/readyz", "/metrics", "/", "/campaigns/sale", "/campaigns/sale/contacts", "/campaigns/sale/rejects.csv", "/queues/api/queues", "/queues/api/queues/default", "/queues/api/redis_info",
		"/queues/api/servers", "/queues/api/queues/default/pending_tasks", "/queues/api/queue_stats"} {
		res, err := http.Get(admin + page)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %v %s", page, res.Status, err, text)
		}
	}
	w.readLogs()
}
