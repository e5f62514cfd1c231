package store

import (
	"errors"
	"net"
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
	if err := s.WaitForReplicas(1); err != nil {
		t.Fatal(err)
	}
	begin := func(n int) error {
		chunk, err := s.ReadLedger(t.Context(), Ref{"sale", n})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", Hold: time.Minute,
			Moves: []Move{{0, campaign.Move{Cause: campaign.Send, At: time.Now()}}}})
		return err
	}
	for n := 0; n < 1 && t.Context().Err() == nil; { // until the replica has its first copy
		if n, err = s.rdb.(*redis.Client).Do(t.Context(), "WAIT", 1, 1000).Int(); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(0); err != nil {
		t.Fatal(err)
	}
	if got := replica.Client().Get(t.Context(), keyLedger(Ref{"sale", 0})).Val(); got == "" || got[0] != byte(campaign.Sending) {
		t.Errorf("the replica has %q", got)
	}
	replica.Kill()
	if err := begin(1); !errors.Is(err, ErrNotReplicated) {
		t.Errorf("without a replica: %v", err)
	}
}

func TestReplicasOfAClusterAreNotWaitedFor(t *testing.T) {
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	if err := New(cluster).WaitForReplicas(1); err == nil {
		t.Error("WaitForReplicas took a cluster")
	}
	if err := New(cluster).WaitForReplicas(0); err != nil {
		t.Error(err)
	}
}
