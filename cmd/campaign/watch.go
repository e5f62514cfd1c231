package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) watch() *cobra.Command {
	interval := time.Second
	cmd := a.on("watch", "Watch a campaign to its end", func(ctx context.Context, s *store.Store, name string) error {
		var to screen = &lines{w: a.stderr}
		terminal := cli.IsTerminal(a.stderr)
		if terminal {
			to = newBar(a.stderr)
		}
		forecaster := report.NewForecaster(s)
		o, err := watch(ctx, to, interval, func(ctx context.Context) (report.Overview, error) { return forecaster.Find(ctx, name) })
		if ctx.Err() != nil && terminal {
			fmt.Fprint(a.stderr, "\r") // the terminal has echoed ^C before the bar
		}
		to.close()
		switch {
		case ctx.Err() != nil:
			return cli.Interruptedf("no longer watching %s, which goes on", name)
		case err != nil:
			return err
		}
		if err := a.print(o, overviewText(o)); err != nil {
			return err
		}
		return ending(o)
	})
	cmd.Long = `Watch a campaign to its end, and say what it waits for. At the end, print its overview.

Exit code 0: finished, 3: finished, but contacts were rejected, failed, are unconfirmed
or were not sent by --finish-by, 1: canceled, 130: interrupted; the campaign goes on.`
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if interval <= 0 {
			return fmt.Errorf("interval %v: want more than 0", interval)
		}
		return nil
	}
	cmd.Flags().DurationVar(&interval, "interval", interval, "time between looks at the campaign")
	return cmd
}

// ending is the error with which the watch of a campaign ends; nil if all went well.
func ending(o report.Overview) error {
	var left []string
	for _, state := range []campaign.State{campaign.Rejected, campaign.Failed, campaign.Unconfirmed} {
		if n := o.States.In(state); n > 0 {
			text := cli.Number(n) + " " + state.String()
			if doubt := doubtText(o, state); doubt != "" {
				text += " (" + doubt + ")"
			}
			left = append(left, text)
		}
	}
	late := 0
	for _, r := range o.Reasons {
		if r.State == campaign.Canceled.String() && r.Reason.Is(campaign.MsgLate) {
			late += r.Contacts
		}
	}
	if late > 0 {
		left = append(left, cli.Number(late)+" not in time")
	}
	switch {
	case o.State == campaign.CanceledPhase:
		return fmt.Errorf("%s was canceled", o.Campaign)
	case len(left) > 0:
		return cli.Partialf("%s has finished, but not all contacts were accepted: %s", o.Campaign, strings.Join(left, ", "))
	}
	return nil
}

// A screen shows the progress of a watch.
type screen interface {
	say(at time.Time, line string)                 // a line that stays
	show(at time.Time, o report.Overview, p *pace) // the progress
	close()
}

// watch reads a campaign until it is over, and returns its last overview. Once it has
// seen the campaign, it goes on when Redis is gone for a while.
func watch(ctx context.Context, to screen, interval time.Duration, find func(context.Context) (report.Overview, error)) (report.Overview, error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var said string
	var moving bool
	var p pace
	for seen := false; ; {
		o, err := find(ctx)
		now := time.Now()
		line := standing(o)
		switch {
		case ctx.Err() != nil:
			return o, ctx.Err()
		case err != nil && (!seen || errors.Is(err, store.ErrNotFound)):
			return o, err
		case err != nil:
			line = fmt.Sprintf("%v; trying again", err)
		default:
			seen = true
		}
		if line != said {
			to.say(now, line)
			said = line
		}
		if err == nil {
			if now := o.State == campaign.Running && (o.WaitingFor.IsZero() || o.Paced); now != moving {
				moving, p = now, pace{} // the pace before says nothing about what comes
			}
			p.add(now, o.States.Open())
			to.show(now, o, &p)
			if o.Over() {
				return o, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return o, ctx.Err()
		}
	}
}

// standing is a line: what a campaign waits for, or its state.
func standing(o report.Overview) string {
	if !o.WaitingFor.IsZero() {
		return cli.Printable(fmt.Sprintf("%s: %v", o.Campaign, o.WaitingFor))
	}
	return fmt.Sprintf("%s is %s", o.Campaign, o.State)
}

// A pace is the recent pace of a campaign.
type pace struct{ seen []sighting }

type sighting struct {
	at   time.Time
	open int
}

// A pace is measured over paceWindow, and shown only after paceLeast: a batch of hundreds
// every few seconds would make it jump.
const (
	paceWindow = time.Minute
	paceLeast  = 5 * time.Second
)

func (p *pace) add(at time.Time, open int) {
	if n := len(p.seen); n > 0 && open > p.seen[n-1].open {
		p.seen = nil // a rerun
	}
	p.seen = append(p.seen, sighting{at, open})
	for len(p.seen) > 2 && at.Sub(p.seen[1].at) >= paceWindow {
		p.seen = p.seen[1:]
	}
}

// text is the pace and the time left: foretold if that is not 0, else at this pace. It is
// empty while neither is known.
func (p *pace) text(foretold time.Duration) string {
	var speed string
	if len(p.seen) > 0 {
		first, last := p.seen[0], p.seen[len(p.seen)-1]
		took, done := last.at.Sub(first.at), first.open-last.open
		if took >= paceLeast && done > 0 && last.open > 0 {
			speed = cli.Number(int(float64(done)/took.Minutes())) + "/min"
			if foretold <= 0 {
				foretold = max(time.Duration(float64(last.open)/float64(done)*float64(took)), time.Second)
			}
		}
	}
	if foretold <= 0 {
		return speed
	}
	return join(speed, cli.About(max(foretold, time.Second))+" left")
}

// untilETA is the time until the ETA; 0: there is none.
func untilETA(o report.Overview, at time.Time) time.Duration {
	if o.ETA.IsZero() {
		return 0
	}
	return max(o.ETA.Sub(at), time.Second)
}

// lines is the screen where there is no terminal: it prints occasional lines.
type lines struct {
	w    io.Writer
	next time.Time // earliest time of the next progress line
}

const linesEvery = 10 * time.Second

func (l *lines) say(at time.Time, line string) {
	fmt.Fprintf(l.w, "%s %s\n", at.Format(time.TimeOnly), line)
}

func (l *lines) show(at time.Time, o report.Overview, p *pace) {
	if o.Contacts == 0 || at.Before(l.next) {
		return
	}
	l.next = at.Add(linesEvery)
	l.say(at, fmt.Sprintf("%s (%s)", join(progress(o), p.text(untilETA(o, at))), statesText(o)))
}

func (l *lines) close() {}

// progress counts the contacts that are through.
func progress(o report.Overview) string {
	done := o.States.Through()
	return fmt.Sprintf("%s  %s of %s", report.Percent(done, o.Contacts), cli.Number(done), cli.Number(o.Contacts))
}

// statesText counts the contacts by state.
func statesText(o report.Overview) string {
	var text []string
	for _, state := range campaign.States() {
		if n := o.States.In(state); n > 0 {
			text = append(text, state.String()+" "+cli.Number(n))
			if r := o.Rungs; r != nil && r.Pending > 0 && state == campaign.Pending {
				text[len(text)-1] += fmt.Sprintf(" (%s again)", cli.Number(r.Pending))
			}
		}
	}
	return strings.Join(text, ", ")
}

// join joins the parts that are not empty.
func join(parts ...string) string {
	var text []string
	for _, part := range parts {
		if part != "" {
			text = append(text, part)
		}
	}
	return strings.Join(text, ", ")
}

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
	b.done.SetCurrent(int64(o.States.Through()))
}

func (b *bar) close() {
	b.done.Abort(false)
	b.states.Abort(false)
	b.container.Wait()
}
