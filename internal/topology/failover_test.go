package topology

import (
	"errors"
	"testing"

	"campaign-runner/internal/redistest"
)

// people of a campaign in whose midst a master is killed.
const people = 1500

func TestACampaignOutlivesTheMasterOfItsRedis(t *testing.T) {
	t.Parallel()
	// Two replicas: one takes the master's place, the other has the marks from then on.
	redis := redistest.StartSentinels(t, 2, "--appendonly", "yes")
	outlives(t, redis.URL(), func(*world) { redis.Master.Kill() })
}

func TestACampaignOutlivesItsMasterInACluster(t *testing.T) {
	t.Parallel()
	redis := redistest.StartCluster(t, 3, 1, "--appendonly", "yes")
	master, replica := redis.Holders(t, "c:{sale}")
	outlives(t, redis.URL(), func(w *world) {
		master.Kill()
		w.await(func() error {
			if !replica.Leads(t.Context()) {
				return errors.New("the replica does not take the master's place")
			}
			return nil
		})
		master.Restart(t) // as the other's replica, without which nothing may be sent
	})
}

// outlives kills a master while two workers send.
func outlives(t *testing.T, redisURL string, kill func(*world)) {
	w := newWorld(t, redisURL, "--latency", "200ms-400ms")
	w.work()
	w.work()
	w.call("enqueue", w.list(0, people), "--name", "sale", "--channel", "voice", "--chunk-size", "10")
	w.awaitContacts(people / 10)
	before := w.stats().Contacts
	kill(w)
	o := w.finish("sale")
	if before >= people {
		t.Fatalf("all %d were contacted before the master was gone", before)
	}
	w.audit("sale", people)
	t.Logf("%d contacted when the master was killed; in the end: %+v", before, o.States)
}
