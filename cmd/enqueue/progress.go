package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"campaign-runner/cmd/internal/cli"
)

// lineEvery is the time between two lines of progress where no bar can be drawn.
const lineEvery = 5 * time.Second

// progress shows how far a file has been read: a bar on a terminal, elsewhere a
// line now and then.
type progress struct {
	w     io.Writer // nil: nothing is shown
	began time.Time
	told  time.Time
	rows  atomic.Int64 // the bar is drawn when it likes

	container *mpb.Progress // nil: not on a terminal, or not begun
	bar       *mpb.Bar
}

func newProgress(w io.Writer, json bool) *progress {
	if json && !cli.IsTerminal(w) {
		w = nil
	}
	return &progress{w: w}
}

func (p *progress) show(read, size int64, rows int) {
	if p.w == nil {
		return
	}
	now := time.Now()
	p.rows.Store(int64(rows))
	if p.began.IsZero() {
		p.began, p.told = now, now
		if cli.IsTerminal(p.w) {
			p.draw(size)
		}
	}
	switch {
	case p.bar != nil:
		p.bar.SetCurrent(read)
	case now.Sub(p.told) >= lineEvery:
		p.told = now
		fmt.Fprintf(p.w, "%d%% read, %s\n", 100*read/max(size, 1), p.pace())
	}
}

func (p *progress) draw(size int64) {
	p.container = mpb.New(mpb.WithOutput(p.w), mpb.WithAutoRefresh())
	p.bar = p.container.New(size, mpb.BarStyle().Lbound("[").Rbound("]"), mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.Percentage(), decor.Any(func(decor.Statistics) string { return " " + p.pace() })))
}

func (p *progress) pace() string {
	rows := int(p.rows.Load())
	perSecond := float64(rows) / max(time.Since(p.began).Seconds(), 0.001)
	return fmt.Sprintf("%s, %s a second", cli.Count(rows, "row", "rows"), cli.Number(int(perSecond)))
}

// close ends the bar.
func (p *progress) close() {
	if p.container != nil {
		p.bar.Abort(true)
		p.container.Wait()
	}
}
