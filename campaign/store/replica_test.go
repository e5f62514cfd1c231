package store

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestBeginWaitsForReplicas(t *testing.T) {
	primary := redistest.Start(t)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	s := New(primary.Client())
	launch(t, s, "sale", 4, 2, campaign.Running)
	s.WaitForReplicas(1)
	for n := 0; n < 1 && t.Context().Err() == nil; { // until the replica has its first copy
		if n, err = s.rdb.(*redis.Client).Do(t.Context(), "WAIT", 1, 1000).Int(); err != nil {
			t.Fatal(err)
		}
	}
	if err := beginFirst(t, s, Ref{"sale", 0}); err != nil {
		t.Fatal(err)
	}
	if got := replica.Client().Get(t.Context(), keyLedger(Ref{"sale", 0})).Val(); got == "" || got[0] != byte(campaign.Sending) {
		t.Errorf("the replica has %q", got)
	}
	replica.Kill()
	if err := beginFirst(t, s, Ref{"sale", 1}); !errors.Is(err, errNotReplicated) {
		t.Errorf("without a replica: %v", err)
	}
}

func TestBeginWaitsForReplicasOfTheServerOfACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 1)
	rdb, err := Connect(t.Context(), cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	s := New(rdb)
	s.WaitForReplicas(1)
	for n := range 6 { // they lie on several servers
		name := fmt.Sprint("sale-", n)
		launch(t, s, name, 2, 2, campaign.Running)
		if err := beginFirst(t, s, Ref{name, 0}); err != nil {
			t.Fatal(err)
		}
	}
	for _, replica := range cluster.Replicas {
		replica.Kill()
	}
	launch(t, s, "late", 2, 2, campaign.Running)
	if err := beginFirst(t, s, Ref{"late", 0}); !errors.Is(err, errNotReplicated) {
		t.Errorf("without replicas: %v", err)
	}
}

// beginFirst begins to send the first contact of a chunk.
func beginFirst(t *testing.T, s *Store, ref Ref) error {
	t.Helper()
	chunk, err := s.ReadLedger(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute,
		Moves: []Move{{0, campaign.Move{Cause: campaign.Send, At: time.Now()}}}})
	return err
}

func TestEveryServerOfAClusterIsAskedForItsSettings(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0, "--appendonly", "yes", "--appendfsync", "always")
	rdb, err := Connect(t.Context(), cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	if got := DurabilityWarnings(t.Context(), rdb); len(got) > 0 {
		t.Errorf("warnings of a safe cluster: %q", got)
	}
	if err := cluster.Masters[2].Client().ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	if got := DurabilityWarnings(t.Context(), rdb); len(got) != 1 || !strings.Contains(got[0], "appendfsync everysec") {
		t.Errorf("warnings: %q", got)
	}
	for _, name := range []string{"a", "b", "c", "d"} { // on several servers
		if m, err := New(rdb).Memory(t.Context(), name); err != nil || m.Max != 0 || m.Used == 0 {
			t.Errorf("memory for %s: %+v, %v", name, m, err)
		}
	}
	if err := cluster.Masters[1].Client().ConfigSet(t.Context(), "maxmemory", "100mb").Err(); err != nil {
		t.Fatal(err)
	}
	if m, err := New(rdb).Fullest(t.Context()); err != nil || m.Max != 100<<20 || m.Full() <= 0 || m.Full() > 1 {
		t.Errorf("the fullest server: %+v, %v", m, err)
	}
	cluster.Masters[0].Kill()
	if got := DurabilityWarnings(t.Context(), rdb); !strings.Contains(strings.Join(got, ";"), "does not tell its settings") {
		t.Errorf("warnings of a cluster without a server: %q", got)
	}
}
