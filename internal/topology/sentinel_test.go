package topology

import (
	"testing"

	"campaign-runner/internal/redistest"
)

func TestACampaignOutlivesTheMasterOfItsRedis(t *testing.T) {
	t.Parallel()
	const people = 1500
	// Two replicas: one takes the master's place, the other has the marks from then on.
	redis := redistest.StartSentinels(t, 2, "--appendonly", "yes")
	w := newWorld(t, redis.URL(), "--latency", "200ms-400ms")
	w.work()
	w.work()
	w.call("enqueue", w.list(0, people), "--name", "sale", "--channel", "voice", "--chunk-size", "10")
	w.awaitContacts(people / 10)
	redis.Master.Kill()
	before := w.stats().Contacts
	if before >= people {
		t.Fatalf("all %d were contacted before the master was gone", before)
	}
	o := w.finish("sale")
	w.audit("sale", people)
	t.Logf("%d contacted when the master was killed; in the end: %+v", before, o.States)
}
