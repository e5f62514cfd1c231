package launch

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"campaign-runner/internal/redistest"
)

// BenchmarkLaunch loads a million contacts with two values each. It reports what
// they take in Redis and, in megabytes, the most memory this process ever held.
func BenchmarkLaunch(b *testing.B) {
	const contacts = 1_000_000
	file := filepath.Join(b.TempDir(), "million.csv")
	writeMillion(b, file, contacts)
	rdb := redistest.Start(b).Client()
	l, _ := newLauncher(rdb)
	used := func() int64 {
		m, err := stored(l).Fullest(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		return m.Used
	}
	before, n := used(), 0
	for b.Loop() {
		req := request(b, file)
		req.Name, req.Settings.ChunkSize = fmt.Sprint("million-", n), 500
		if _, err := l.Launch(b.Context(), req); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(used()-before)/float64(n*contacts), "redis-B/contact")
	b.ReportMetric(float64(n*contacts)/b.Elapsed().Seconds(), "contacts/s")
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MB")
}

func writeMillion(b *testing.B, path string, contacts int) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "phone,name,city")
	for i := range contacts {
		fmt.Fprintf(w, "+96650%07d,Customer %d,%s\n", i, i*7919%contacts, [...]string{"Riyadh", "Jeddah", "الدمام"}[i%3])
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}
