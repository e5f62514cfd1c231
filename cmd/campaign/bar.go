package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"campaign-runner/campaign/report"
)

// bar is the screen of a terminal: a progress bar, the states below it, and above it the
// lines that stay.
type bar struct {
	container    *mpb.Progress
	done, states *mpb.Bar

	mu           sync.Mutex // the container draws at any time
	right, below string
}

func newBar(w io.Writer) *bar {
	b := &bar{container: mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh())}
	text := func(s *string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return *s
		})
	}
	b.done = b.container.New(0, mpb.BarStyle().Rbound("] "), mpb.BarFillerTrim(), mpb.AppendDecorators(text(&b.right)))
	b.states = b.container.New(0, mpb.NopStyle(), mpb.PrependDecorators(text(&b.below)))
	return b
}

func (b *bar) say(at time.Time, line string) {
	fmt.Fprintf(b.container, "%s %s\n", at.Format(time.TimeOnly), line)
}

func (b *bar) show(at time.Time, o report.Overview, p *pace) {
	b.mu.Lock()
	b.right, b.below = join(progress(o), p.text(untilETA(o, at))), statesText(o)
	b.mu.Unlock()
	b.done.SetTotal(int64(o.Contacts), false)
	b.done.SetCurrent(int64(o.Contacts - o.States.Open()))
}

func (b *bar) close() {
	b.done.Abort(false)
	b.states.Abort(false)
	b.container.Wait()
}
