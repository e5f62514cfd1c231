package bench

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

var (
	finished = flag.Int("finished", 5_000, "finished campaigns beside an idle worker")
	waiting  = flag.Int("waiting", 20_000, "chunks that wait for the quota of three workers")
	window   = flag.Duration("window", time.Minute, "how long commands are counted")
)

// scrapeEvery is how often Prometheus looks at a worker's metrics.
const scrapeEvery = 15 * time.Second

// BenchmarkCommands counts the Redis commands of workers that have nothing to do but wait:
// beside campaigns that have finished, and with chunks that wait for a slow quota. What
// scripts call counts, asynq's own commands do, and so do the metrics.
func BenchmarkCommands(b *testing.B) {
	t := &bench{B: b, dir: b.TempDir(), server: redistest.Start(b)}
	t.rdb = t.server.Client()
	t.build("enqueue", "worker", "sandbox")
	versions := map[string]string{"now": t.dir}
	if *before != "" {
		t.buildFrom(*before, earlier, "enqueue", "campaign", "worker")
		versions["before"] = filepath.Join(t.dir, earlier)
	}
	platform := t.platform()
	told := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer told.Close()
	all := []string{"NOTIFY_URL=" + told.URL, "VELENTS_SUPPORT_TOKEN=support", "WEBHOOK_URL=https://example.org", "WEBHOOK_SECRET=secret"}
	measured := make(map[string][]float64)
	for version, dir := range versions {
		t.flush()
		bare := t.perSecond(dir, platform, 1, nil)
		t.finish(*finished, version == "before")
		idle := t.perSecond(dir, platform, 1, nil)
		busy := t.perSecond(dir, platform, 1, all)
		t.flush()
		t.enqueueSlow(dir)
		measured[version] = []float64{bare, idle, busy, t.perSecond(dir, platform, 3, nil)}
	}
	fmt.Printf("\nRedis commands in a second, what scripts call included, counted for %v\n", *window)
	for i, what := range []string{
		"an idle worker, no campaign",
		fmt.Sprintf("the same beside %d finished campaigns", *finished),
		"the same with events, tickets and notices",
		fmt.Sprintf("three workers, %d chunks wait, one request a second", *waiting),
	} {
		now := measured["now"][i]
		if then := measured["before"]; then != nil {
			t.line(what, "%.0f, before %.0f: %.1f times as many (want at most 100)", now, then[i], then[i]/now)
		} else {
			t.line(what, "%.0f (want at most 100)", now)
		}
		b.ReportMetric(now, fmt.Sprintf("commands/s-%d", i))
	}
}

// finish makes campaigns that have finished, some time ago. An earlier version keeps
// their names in a set.
func (t *bench) finish(campaigns int, asSet bool) {
	f := campaigntest.New(t, t.rdb)
	var names []any
	for n := range campaigns {
		name := fmt.Sprintf("finished-%05d", n)
		settings := campaigntest.Settings(2, campaign.Column{Name: "phone"})
		settings.TicketRules, settings.MaxTickets = ticketRules(t), 10
		f.Load(campaigntest.List{Name: name, Settings: settings, Contacts: campaigntest.People(966500000000, 2, nil)})
		f.Move(name, []int{0, 1}, campaigntest.Step{Reason: "fine"}, campaign.Send, campaign.Accept)
		names = append(names, name)
	}
	t.rdb.Del(t.Context(), "live")
	if asSet {
		t.rdb.Del(t.Context(), "campaigns")
		t.rdb.SAdd(t.Context(), "campaigns", names...)
	}
}

func ticketRules(t *bench) []campaign.Rule {
	rules, err := campaign.ParseRules([]string{"state=failed"}, campaign.ParseTicketRule)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// enqueueSlow launches a campaign with chunks of 50 contacts, one request for each.
func (t *bench) enqueueSlow(dir string) {
	const chunk = 50
	cmd := t.command("enqueue", nil, t.list("+9665", *waiting*chunk), "--name", "slow", "--channel", "voice", "--region", "SA",
		"--skip-preflight", "--mode", "dispatch", "--chunk-size", fmt.Sprint(chunk))
	cmd.Path = filepath.Join(dir, "enqueue")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("enqueue: %v\n%s", err, out)
	}
}

// perSecond counts what workers of a version ask of Redis, once they have started.
func (t *bench) perSecond(dir string, platform *process, workers int, env []string) float64 {
	var started []*process
	var pages []string
	for range workers {
		addr := t.freeAddr()
		args := []string{"--rate", "60/1m", "--admin-addr", addr, "--log-level", "error"}
		if env != nil {
			args = append(args, "--webhook-addr", "127.0.0.1:0")
		}
		p := &process{t: t, cmd: t.command("worker", append([]string{"VELENTS_URL=" + platform.url}, env...), args...)}
		p.cmd.Path, p.cmd.Stderr = filepath.Join(dir, "worker"), os.Stderr
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started, pages = append(started, p), append(pages, "http://"+addr+"/metrics")
	}
	defer func() {
		for _, p := range started {
			p.stop(1)
		}
	}()
	time.Sleep(settleFor)
	if err := t.rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < *window; time.Sleep(scrapeEvery) {
		for _, page := range pages {
			res, err := http.Get(page)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s, %v", page, res.Status, err)
			}
			res.Body.Close()
		}
	}
	return float64(commandsOf(t, t.rdb)) / window.Seconds()
}

// settleFor is how long workers start, and list what there is, before commands count.
const settleFor = 20 * time.Second

// commandsOf counts the commands that a Redis has carried out.
func commandsOf(t *bench, rdb *redis.Client) (calls int) {
	stats := rdb.Info(t.Context(), "commandstats").Val()
	for line := range strings.Lines(stats) {
		name, rest, _ := strings.Cut(line, ":")
		var n int
		if _, err := fmt.Sscanf(rest, "calls=%d,", &n); err == nil && name != "cmdstat_config|resetstat" {
			calls += n
		}
	}
	if calls == 0 {
		t.Fatalf("nothing was counted: %s", stats)
	}
	return calls
}

// freeAddr is an address on which nothing listens.
func (t *bench) freeAddr() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
