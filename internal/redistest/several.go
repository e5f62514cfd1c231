package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Replicated is a master with replicas, and sentinels that put a replica in its
// place when it is gone.
type Replicated struct {
	Master   *Server // at the start
	Replicas []*Server

	sentinels []string
}

const (
	masterName = "master"
	sentinels  = 3
	// downAfter is how long sentinels wait before they take a master for gone. With
	// less, they would also give up a master that only waits for a busy machine.
	downAfter = 3 * time.Second
)

// StartSentinels runs a master with replicas and three sentinels until the test
// ends. It returns once the sentinels know each other and the replicas are in
// step. Args are those of Start, for each of the servers.
func StartSentinels(t testing.TB, replicas int, args ...string) *Replicated {
	t.Helper()
	r := &Replicated{Master: Start(t, args...)}
	host, port, _ := net.SplitHostPort(r.Master.Addr)
	for range replicas {
		r.Replicas = append(r.Replicas, Start(t, append([]string{"--replicaof", host + " " + port}, args...)...))
	}
	for range sentinels {
		r.sentinels = append(r.sentinels, startSentinel(t, host, port))
	}
	for _, addr := range r.sentinels {
		sentinel := redis.NewSentinelClient(&redis.Options{Addr: addr})
		await(t, "the sentinels to know of each other", func(ctx context.Context) (string, bool) {
			m, err := sentinel.Master(ctx, masterName).Result()
			return fmt.Sprint(m["num-other-sentinels"], m["num-slaves"], err),
				m["num-other-sentinels"] == strconv.Itoa(sentinels-1) && m["num-slaves"] == strconv.Itoa(replicas)
		})
		sentinel.Close()
	}
	await(t, "the replicas to be in step", func(ctx context.Context) (string, bool) {
		n, err := r.Master.Client().Do(ctx, "WAIT", replicas, 1000).Int()
		return fmt.Sprint(n, err), n == replicas
	})
	return r
}

// startSentinel runs a sentinel, which writes what it learns into its settings.
func startSentinel(t testing.TB, host, port string) (addr string) {
	t.Helper()
	const tries = 8 // another server may hold the port
	var err error
	for range tries {
		addr = freeAddr()
		own, ownPort, _ := net.SplitHostPort(addr)
		dir := t.TempDir()
		settings := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor %[4]s %[5]s %[6]s 2\n"+
			"sentinel down-after-milliseconds %[4]s %[7]d\nsentinel failover-timeout %[4]s 10000\nsentinel parallel-syncs %[4]s 5\n",
			own, ownPort, dir, masterName, host, port, downAfter.Milliseconds())
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var proc *process
		if proc, err = run("+monitor master", settings, "--sentinel"); err == nil {
			s := &Server{Addr: addr, t: t, proc: proc}
			t.Cleanup(s.Kill)
			return addr
		}
	}
	t.Fatal(err)
	return ""
}

// URL is the address of all this as REDIS_URL wants it.
func (r *Replicated) URL() string {
	return "redis+sentinel://" + strings.Join(r.sentinels, ",") + "/" + masterName + "/0"
}

// A Cluster is a Redis Cluster: masters that share the slots, each with as many
// replicas.
type Cluster struct {
	Masters  []*Server
	Replicas []*Server // of the first master, then of the second, and so on
}

const slots = 16384

// StartCluster runs a cluster until the test ends. It returns once every node
// serves. Args are those of Start, for each node.
func StartCluster(t testing.TB, masters, replicas int, args ...string) *Cluster {
	t.Helper()
	args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", strconv.FormatInt(downAfter.Milliseconds(), 10)}, args...)
	c := &Cluster{}
	for range masters {
		c.Masters = append(c.Masters, Start(t, args...))
	}
	for range masters * replicas {
		c.Replicas = append(c.Replicas, Start(t, args...))
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("make the cluster: %v", err)
		}
	}
	all := append(c.Masters[:masters:masters], c.Replicas...)
	for n, node := range all {
		must(node.Client().Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", n+1).Err())
		if n < masters {
			must(node.Client().ClusterAddSlotsRange(ctx, slots*n/masters, slots*(n+1)/masters-1).Err())
		}
		for _, other := range all[:n] { // word of mouth would do, and take longer
			host, port, _ := net.SplitHostPort(other.Addr)
			must(node.Client().ClusterMeet(ctx, host, port).Err())
		}
	}
	c.await(t, "cluster_known_nodes", strconv.Itoa(len(all)))
	for n, replica := range c.Replicas {
		id, err := c.Masters[n/replicas].Client().ClusterMyID(ctx).Result()
		must(err)
		await(t, "a replica to know its master", func(ctx context.Context) (string, bool) {
			err := replica.Client().ClusterReplicate(ctx, id).Err()
			return fmt.Sprint(err), err == nil
		})
	}
	c.await(t, "cluster_state", "ok")
	for _, master := range c.Masters {
		await(t, "the replicas to be in step", func(ctx context.Context) (string, bool) {
			n, err := master.Client().Do(ctx, "WAIT", replicas, 1000).Int()
			return fmt.Sprint(n, err), n == replicas
		})
	}
	return c
}

// await waits until every node says so of the cluster.
func (c *Cluster) await(t testing.TB, field, value string) {
	t.Helper()
	for _, node := range append(c.Masters[:len(c.Masters):len(c.Masters)], c.Replicas...) {
		await(t, field+" to be "+value, func(ctx context.Context) (string, bool) {
			info, err := node.Client().ClusterInfo(ctx).Result()
			return fmt.Sprint(info, err), strings.Contains(info, field+":"+value+"\r\n")
		})
	}
}

// URL is the cluster's address as REDIS_URL wants it.
func (c *Cluster) URL() string {
	var addrs []string
	for _, node := range c.Masters {
		addrs = append(addrs, node.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// await asks again and again until it is so, for a minute.
func await(t testing.TB, what string, so func(context.Context) (found string, ok bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		found, ok := so(ctx)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %s", what, found)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Holders are the master of a key, as it was at the start, and its first replica.
func (c *Cluster) Holders(t testing.TB, key string) (master, replica *Server) {
	t.Helper()
	slot, err := c.Masters[0].Client().ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for int(slot) >= slots*(n+1)/len(c.Masters) {
		n++
	}
	return c.Masters[n], c.Replicas[n*len(c.Replicas)/len(c.Masters)]
}

// Leads reports whether the server is a master by now.
func (s *Server) Leads(ctx context.Context) bool {
	info, err := s.Client().Info(ctx, "replication").Result()
	return err == nil && strings.Contains(info, "role:master")
}
