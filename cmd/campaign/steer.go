package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

// steered is the result of a pause, start, resume or cancel.
type steered struct {
	Campaign string         `json:"campaign"`
	State    campaign.Phase `json:"state"`
	Already  bool           `json:"already"`            // it was in that state before
	Released int            `json:"released,omitempty"` // chunks
	Canceled int            `json:"canceled,omitempty"` // contacts
}

// partly reports whether an error only names chunks that were left out. The rest was
// done, so the result is printed, too.
func partly(err error) bool {
	var left *jobs.UndoneError
	return errors.As(err, &left)
}

func (a *app) pause() *cobra.Command {
	byPerson := campaign.Say(campaign.MsgByPerson)
	reason := byPerson.String()
	why := func() campaign.Message {
		if reason == byPerson.String() {
			return byPerson
		}
		return campaign.Text(reason)
	}
	cmd := a.onLoaded("pause", "Send nothing more until resumed; requests on their way end", func(ctx context.Context, s *store.Store, before campaign.Campaign) error {
		if err := a.queue(s).Pause(ctx, before.Name, why()); err != nil {
			return err
		}
		done := steered{Campaign: before.Name, State: campaign.Paused, Already: before.Phase == campaign.Paused}
		text := fmt.Sprintf("%s is paused: %s\n", before.Name, reason)
		switch was := cli.Printable(before.PhaseReason.String()); {
		case done.Already && before.PhaseReason.Is(campaign.MsgLostWrites):
			text = fmt.Sprintf("%s stays paused: %s\n", before.Name, was)
		case done.Already:
			text = fmt.Sprintf("%s was paused already (%s); now: %s\n", before.Name, was, reason)
		}
		return a.print(done, text)
	})
	cmd.Flags().StringVar(&reason, "reason", reason, "why, for those who look at the campaign")
	return a.orAll(cmd, together{
		verb: "Pause", did: "paused", none: "no campaign is running",
		find: (*jobs.Queue).ToPause,
		do: func(q *jobs.Queue, ctx context.Context, agent string) (jobs.Together, error) {
			return q.PauseAll(ctx, agent, why())
		},
		left: func(l jobs.Left) string {
			return fmt.Sprintf("%s is %s and was not paused: it may start by itself; campaign cancel %[1]s ends it", l.Campaign, l.State)
		},
	})
}

func (a *app) start() *cobra.Command {
	return a.steer(steering{
		verb: "start", short: "Start a campaign that waits for that, or for its time",
		to: campaign.Running, do: (*jobs.Queue).Start, tell: released,
	})
}

func (a *app) resume() *cobra.Command {
	var yes bool
	resume := func(q *jobs.Queue, ctx context.Context, c campaign.Campaign) (int, error) {
		if c.Phase == campaign.Paused && c.PhaseReason.Is(campaign.MsgLostWrites) && !yes && cli.IsTerminal(a.stdin) {
			a.note(c.PhaseReason.String())
			if err := cli.Confirm(a.stdin, a.stderr, c.Name, "resume it"); err != nil {
				return 0, fmt.Errorf("resume: %w", err)
			}
		}
		return q.Resume(ctx, c)
	}
	cmd := a.steer(steering{
		verb: "resume", short: "Go on with a paused campaign",
		to: campaign.Running, do: resume, tell: released,
	})
	cmd.Long = `Go on with a paused campaign, or with --all, with those that 'pause --all' has paused.
Campaigns that were paused by name or by a rule stay paused: each has a reason of its own.

One that is paused because Redis has lost writes may contact people twice when it goes on:
on a terminal you are asked first.`
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.orAll(cmd, together{
		verb: "Resume", did: "running", none: "no campaign was paused with --all", yes: &yes,
		find: (*jobs.Queue).ToResume, do: (*jobs.Queue).ResumeAll,
		left: func(l jobs.Left) string {
			return fmt.Sprintf("%s stays paused: %s; go on with: campaign resume %[1]s", l.Campaign, l.Reason)
		},
	})
}

func released(done *steered, chunks int) string {
	done.Released = chunks
	return cli.Count(chunks, "chunk", "chunks") + " released"
}

func (a *app) cancel() *cobra.Command {
	var yes bool
	cancel := func(q *jobs.Queue, ctx context.Context, c campaign.Campaign) (int, error) {
		if !yes {
			if err := q.CheckCancel(ctx, c); err != nil {
				return 0, err // before anybody is asked
			}
			if err := cli.Confirm(a.stdin, a.stderr, c.Name, "cancel it"); err != nil {
				return 0, fmt.Errorf("cancel: %w", err)
			}
		}
		return q.Cancel(ctx, c.Name)
	}
	cmd := a.steer(steering{
		verb: "cancel", short: "Stop a campaign for good; 'enqueue rerun' can still send the rest",
		to: campaign.CanceledPhase, do: cancel,
		tell: func(done *steered, contacts int) string {
			done.Canceled = contacts
			return cli.Count(contacts, "contact", "contacts") + " will not be sent"
		},
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// A steering takes a campaign to a phase.
type steering struct {
	verb, short string // of its command
	to          campaign.Phase
	do          move
	tell        func(done *steered, moved int) string // notes and says how many chunks or contacts moved
}

// A move changes a campaign, and returns how many of its chunks or contacts moved.
type move func(*jobs.Queue, context.Context, campaign.Campaign) (moved int, err error)

// steer is the command of a steering.
func (a *app) steer(w steering) *cobra.Command {
	return a.onLoaded(w.verb, w.short, func(ctx context.Context, s *store.Store, before campaign.Campaign) error {
		moved, left := w.do(a.queue(s), ctx, before)
		if left != nil && !partly(left) {
			return left
		}
		if w.to == campaign.Running {
			a.noteUnapproved(ctx, s, before.Name)
		}
		done := steered{Campaign: before.Name, State: w.to, Already: before.Phase == w.to}
		was := "is"
		if done.Already {
			was = "was already"
		}
		text := fmt.Sprintf("%s %s %s; %s\n", before.Name, was, done.State, w.tell(&done, moved))
		return cmp.Or(a.print(done, text), left)
	})
}

func (a *app) verify() *cobra.Command {
	return a.on("verify", "Recount every contact of a campaign, running or not", func(ctx context.Context, s *store.Store, name string) error {
		v, err := s.Verify(ctx, name)
		if err != nil {
			return err
		}
		ok := len(v.Problems) == 0
		text := fmt.Sprintf("ok: %s, states add up\n", cli.Count(v.Contacts, "contact", "contacts"))
		if v.Purged {
			text = fmt.Sprintf("ok: totals of %s add up; each of them was purged, there is nothing to recount\n", cli.Count(v.Contacts, "contact", "contacts"))
		}
		if !ok {
			text = strings.Join(v.Problems, "\n") + "\n"
		}
		err = a.print(struct {
			Campaign string   `json:"campaign"`
			OK       bool     `json:"ok"`
			Contacts int      `json:"contacts"`
			Purged   bool     `json:"purged,omitempty"`
			Problems []string `json:"problems"`
		}{name, ok, v.Contacts, v.Purged, append([]string{}, v.Problems...)}, text)
		if err == nil && !ok {
			err = fmt.Errorf("%s does not add up: %s", name, cli.Count(len(v.Problems), "problem", "problems"))
		}
		return err
	})
}

// sure asks for a word before what cannot be undone, unless refused says why it would not be
// done. Without a terminal it wants --yes.
func (a *app) sure(what, word, doing string, refused func() error) error {
	if !cli.IsTerminal(a.stdin) {
		return cli.Usagef("%s: it cannot be undone; say --yes", what)
	}
	if err := refused(); err != nil {
		return err
	}
	if err := cli.Confirm(a.stdin, a.stderr, word, doing); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (a *app) purge() *cobra.Command {
	var force, yes bool
	cmd := a.onLoaded("purge", "Delete personal data of a campaign that is over; totals stay", func(ctx context.Context, s *store.Store, before campaign.Campaign) error {
		name, already := before.Name, !before.PurgedAt.IsZero()
		if !yes && !already {
			refused := func() error { return a.queue(s).CheckPurge(ctx, before, force) }
			if err := a.sure("purge "+name, name, "purge it", refused); err != nil {
				return err
			}
		}
		if err := a.queue(s).Purge(ctx, name, force); err != nil {
			return err
		}
		text := fmt.Sprintf("%s is purged: %s gone, totals kept\n", name, cli.Count(before.Counts.Contacts, "contact is", "contacts are"))
		if already {
			text = fmt.Sprintf("%s was purged already\n", name)
		}
		return a.print(struct {
			Campaign string `json:"campaign"`
			Purged   bool   `json:"purged"`
			Already  bool   `json:"already"`
			Contacts int    `json:"contacts"`
		}{name, true, already, before.Counts.Contacts}, text)
	})
	cmd.Long = `Delete the personal data of a campaign that is over: the rows and numbers of its list,
the results of its contacts, conversations, refused lines and events. It cannot be
undone, so export the results first. After it, no contact can be sent again or added,
and new events of the platform are thrown away.

It keeps the totals by state and reason, the output of 'show' and 'list', the log of
the campaign as a whole, and the name, so that the same list under the same name
contacts no one. The do-not-contact list and the contact record of the last 90 days
belong to no campaign and stay.

If a purge is interrupted, run it again, or a worker ends it within a minute.`
	cmd.Flags().BoolVar(&force, "force", false, "cancel it first if it is not over")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
