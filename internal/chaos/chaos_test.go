//go:build chaos

// Package chaos proves what the campaign runner promises while everything around it
// goes wrong: no contact is reached twice, and none is lost.
//
// It builds the commands and runs them as processes: a redis-server with an
// append-only file, the sandbox platform, and several workers, each with links
// of its own to both. While campaigns run, a schedule that follows from a seed
// kills, freezes, cuts and refuses, and people load, pause, rerun, resolve and
// cancel. Then the faults end, the campaigns have to finish, and every contact is
// compared with the platform's own ledger. See audit for what must be true.
//
// It is behind the build tag chaos: run it with make chaos.
package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"campaign-runner/internal/commands"
)

var (
	length = flag.Duration("chaos.length", 45*time.Second, "how long things go wrong")
	seed   = flag.Uint64("chaos.seed", 0, "repeats a schedule; 0 draws one")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(commands.Main(m))
}

// workers is how many run at a time.
const workers = 4

func TestChaos(t *testing.T) {
	drawn := *seed
	if drawn == 0 {
		drawn = uint64(rand.Uint32())
	}
	again := fmt.Sprintf("make chaos CHAOS=%v CHAOS_SEED=%d", *length, drawn)
	t.Log("to repeat this schedule:", again)

	w := newWorld(t, drawn)
	w.startWorkers(workers)
	w.launch(batchList, whole)
	w.launch(dispatchList, whole)
	w.suffer(drawn, *length)
	w.recover()
	w.finish(3 * time.Minute)
	w.stopWorkers()
	found := w.audit()
	t.Logf("after %v of faults; to repeat the schedule: %s\n\n%s", *length, again, w.table(found))
}
