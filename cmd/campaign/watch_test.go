package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/golden"
)

// glimpse is the campaign "sale" of 1,000 contacts, some of them pending.
func glimpse(state campaign.Phase, pending int, waitingFor string) report.Overview {
	return report.Overview{Summary: report.Summary{
		Campaign: "sale", State: state, Contacts: 1000, WaitingFor: campaign.Text(waitingFor),
		States: report.States{"pending": pending, "accepted": 1000 - pending},
	}}
}

// TestWatchTellsWhatHappens runs through the life of a campaign in virtual time.
func TestWatchTellsWhatHappens(t *testing.T) {
	const nobody = "no live worker serves agent default"
	outage := errors.New("redis: gone")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var out bytes.Buffer
		o, err := watch(t.Context(), &lines{w: &out}, time.Second, func(context.Context) (report.Overview, error) {
			switch s := int(time.Since(begin).Seconds()); {
			case s < 2:
				return report.Overview{Summary: report.Summary{Campaign: "sale", State: campaign.Loading, WaitingFor: campaign.Text("its contact file is still being loaded")}}, nil
			case s < 5:
				return glimpse(campaign.Running, 1000, nobody), nil
			case s < 30:
				return glimpse(campaign.Running, 1000-10*(s-5), ""), nil
			case s < 33:
				return report.Overview{}, outage
			case s < 40:
				return glimpse(campaign.Paused, 740, "paused: budget; go on with: campaign resume sale"), nil
			case s < 77:
				return glimpse(campaign.Running, 740-20*(s-40), ""), nil
			}
			return glimpse(campaign.Finished, 0, ""), nil
		})
		if err != nil || o.State != campaign.Finished {
			t.Errorf("%v, %v", o.State, err)
		}
		// The bubble's clock is in UTC and starts at midnight.
		golden.Check(t, "watch.txt", out.String())
	})
}

func TestWatchEnds(t *testing.T) {
	gone := fmt.Errorf("read campaign sale: %w", store.ErrNotFound)
	outage := errors.New("redis: gone")
	for _, tt := range []struct {
		name string
		find func(look int, stop func()) (report.Overview, error)
		want error
	}{
		{"at once when the campaign cannot be seen", func(int, func()) (report.Overview, error) {
			return report.Overview{}, outage
		}, outage},
		{"when the campaign is purged", func(look int, _ func()) (report.Overview, error) {
			if look == 3 {
				return report.Overview{}, gone
			}
			return glimpse(campaign.Running, 1, ""), nil
		}, store.ErrNotFound},
		{"when interrupted between looks", func(look int, stop func()) (report.Overview, error) {
			if look == 3 {
				stop()
			}
			return glimpse(campaign.Running, 1, ""), nil
		}, context.Canceled},
		{"when interrupted while it looks", func(look int, stop func()) (report.Overview, error) {
			if look == 3 {
				stop()
				return report.Overview{}, outage
			}
			return glimpse(campaign.Running, 1, ""), nil
		}, context.Canceled},
		{"when canceled", func(int, func()) (report.Overview, error) {
			return glimpse(campaign.CanceledPhase, 0, ""), nil
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				look := 0
				_, err := watch(ctx, &lines{w: &bytes.Buffer{}}, time.Second, func(context.Context) (report.Overview, error) {
					look++
					return tt.find(look, stop)
				})
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestContactsThatWereNotSentInTimeWereNotReached(t *testing.T) {
	o := report.Overview{
		Summary: report.Summary{Campaign: "sale", State: campaign.Finished, States: report.States{"accepted": 5, "canceled": 7}},
		Reasons: []report.Reason{
			{State: "canceled", Reason: campaign.Text("not sent by 2026-11-27T18:00:00Z, when the campaign was to finish"), Contacts: 4},
			{State: "canceled", Reason: campaign.Text("on the do-not-contact list"), Contacts: 3},
		},
	}
	if err := ending(o); cli.ExitCode(err) != 3 || err.Error() != "sale has finished, but not all contacts were accepted: 4 not in time" {
		t.Errorf("ends with %v", err)
	}
}

func TestEnding(t *testing.T) {
	for _, tt := range []struct {
		name   string
		state  campaign.Phase
		states report.States
		code   int
		line   string
	}{
		{"everybody accepted", campaign.Finished, report.States{"accepted": 5}, 0, ""},
		{"nobody to send", campaign.Finished, report.States{}, 0, ""},
		{"some not", campaign.Finished, report.States{"accepted": 5, "rejected": 1000, "unconfirmed": 2}, 3,
			"sale has finished, but not all contacts were accepted: 1,000 rejected, 2 unconfirmed"},
		{"canceled", campaign.CanceledPhase, report.States{"canceled": 5, "failed": 1}, 1, "sale was canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ending(report.Overview{Summary: report.Summary{Campaign: "sale", State: tt.state, States: tt.states}})
			line := ""
			if err != nil {
				line = err.Error()
			}
			if cli.ExitCode(err) != tt.code || line != tt.line {
				t.Errorf("exit %d, %q, want %d, %q", cli.ExitCode(err), line, tt.code, tt.line)
			}
		})
	}
}

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		name string
		open []int // one look every two seconds
		want string
	}{
		{"nothing seen", nil, ""},
		{"too early to tell", []int{100, 90, 80}, ""},
		{"a minute's rate and what is left of it", []int{100, 90, 80, 70}, "300/min, about 14 seconds left"},
		{"nothing moves", []int{100, 100, 100, 100}, ""},
		{"nobody is left", []int{30, 20, 10, 0}, ""},
		{"a rerun begins anew", []int{30, 20, 10, 0, 500, 490, 480, 470}, "300/min, about 2 minutes left"},
		{"only the last minute counts", append(falling(10_000, 1000, 6), falling(4000, 1, 31)...), "30/min, about 3 hours left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			for i, open := range tt.open {
				p.add(at.Add(time.Duration(i)*2*time.Second), open)
			}
			if got := p.text(0); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// falling counts down from a number, several times.
func falling(from, by, times int) []int {
	var list []int
	for i := range times {
		list = append(list, from-i*by)
	}
	return list
}

func TestBarShowsStatesAndKeepsWhatWasSaid(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out)
	b.say(at, "sale is running")
	b.show(at, glimpse(campaign.Running, 250, ""), &pace{})
	b.close()
	for _, want := range []string{"03:04:05 sale is running\n", "75.0 %  750 of 1,000", "pending 250, accepted 750"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

var endedAt = regexp.MustCompile(`"ended_at":"[^"]*",`)

// TestWatchOfARealCampaign finishes a campaign while it is being watched.
func TestWatchOfARealCampaign(t *testing.T) {
	f := newFixture(t)
	f.sale()
	seen := make(chan struct{})
	var stdout bytes.Buffer
	stderr := &announcer{seen: seen}
	ended := make(chan error)
	go func() {
		ended <- run(t.Context(), []string{"watch", "sale", "--interval", "1ms", "--json"}, nil, &stdout, stderr, f.getenv)
	}()
	<-seen
	for i := 6; i < 9; i++ {
		f.move("sale", i, "", campaign.Send, campaign.Accept)
	}
	err := <-ended
	if got, want := fmt.Sprint(err), "sale has finished, but not all contacts were accepted: 1 rejected, 1 failed (of which 1 may have been contacted), 2 unconfirmed"; got != want || cli.ExitCode(err) != 3 {
		t.Errorf("exit %d, %s, want 3, %s", cli.ExitCode(err), got, want)
	}
	// When it ended is Redis's word, and not there yet if the campaign was read just before.
	golden.Check(t, "watch.json", endedAt.ReplaceAllString(stdout.String(), ""))
	var said []string
	for line := range strings.Lines(stderr.String()) {
		said = append(said, strings.TrimSpace(line[len(time.TimeOnly):]))
	}
	want := []string{
		"sale: no live worker serves agent default (start one with: worker --agents default)",
		"66.6 %  6 of 9 (pending 3, accepted 2, rejected 1, failed 1, unconfirmed 2)",
		"sale is finished",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

// announcer tells of the first line it gets.
type announcer struct {
	bytes.Buffer
	seen chan struct{}
}

func (a *announcer) Write(b []byte) (int, error) {
	if a.Len() == 0 {
		close(a.seen)
	}
	return a.Buffer.Write(b)
}

func TestInterruptedWatchSaysThatTheCampaignGoesOn(t *testing.T) {
	f := newFixture(t)
	f.sale()
	ctx, stop := context.WithCancel(t.Context())
	stderr := &announcer{seen: make(chan struct{})}
	go func() {
		<-stderr.seen
		stop()
	}()
	err := run(ctx, []string{"watch", "sale"}, nil, &bytes.Buffer{}, stderr, f.getenv)
	if got, want := fmt.Sprint(err), "no longer watching sale, which goes on"; got != want || cli.ExitCode(err) != 130 {
		t.Errorf("exit %d, %s, want 130, %s", cli.ExitCode(err), got, want)
	}
}
