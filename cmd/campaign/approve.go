package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) approve() *cobra.Command {
	var yes bool
	var revision int
	cmd := a.onLoaded("approve", "Let a campaign go that waits for the word of a second person", func(ctx context.Context, s *store.Store, c campaign.Campaign) error {
		seen := cmp.Or(revision, c.Approval.Revision)
		made := fmt.Sprintf("%s: %s, made or changed by %s", c.Name, cli.Count(c.Counts.Contacts, "contact", "contacts"), strings.Join(c.Approval.Makers, ", "))
		if c.Approval.Wanted && !yes && cli.IsTerminal(a.stdin) {
			if err := a.agrees("Approve "+cli.Printable(made), "nothing was approved"); err != nil {
				return err
			}
		}
		chunks, left := a.queue(s).Approve(ctx, c.Name, seen)
		if left != nil && !partly(left) {
			return left
		}
		return cmp.Or(a.print(struct {
			Campaign string         `json:"campaign"`
			Approved bool           `json:"approved"`
			Contacts int            `json:"contacts"`
			Makers   []string       `json:"makers"`
			State    campaign.Phase `json:"state"`
			Released int            `json:"released"` // chunks
		}{c.Name, true, c.Counts.Contacts, c.Approval.Makers, c.Phase, chunks},
			fmt.Sprintf("%s is approved\n%s is %s; %s released\n", made, c.Name, c.Phase, cli.Count(chunks, "chunk", "chunks"))), left)
	})
	cmd.Long = `Let a campaign go that waits for approval, because it has more contacts than
'campaign policy' allows without. None of those who loaded it, or changed its list or its
settings since, can approve it: names are compared without case and without what follows
an @, and a name given with --as as that name. A paused campaign stays paused, and a
scheduled one starts at its time. Any later change of list or settings voids the approval.`
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().IntVar(&revision, "revision", 0, "approve only this `REVISION` of list and settings, as 'show --json' names it (default: the present one)")
	return cmd
}

func (a *app) policy() *cobra.Command {
	above := -1
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show or set above how many contacts a campaign waits for approval",
		Long: `Show or set above how many contacts a campaign waits for approval. It holds for all
campaigns, each from its next load, append, rerun or change of settings on: those that
were loaded before go on. One that waits goes on waiting when the number is raised or
taken away, until somebody approves it.`,
		Args: cobra.NoArgs,
		RunE: a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
			if above >= 0 {
				if err := s.SetPolicy(ctx, above, a.as.By()); err != nil {
					return err
				}
				slog.New(slog.NewTextHandler(a.stderr, nil)).InfoContext(ctx, "policy set", "approve_above", above, "by", store.Who(a.as.By()))
				if err := a.noteLarger(ctx, s, above); err != nil {
					return err
				}
			}
			p, err := s.Policy(ctx)
			if err != nil {
				return err
			}
			return a.print(struct {
				ApproveAbove int       `json:"approve_above"` // 0: no campaign waits
				By           string    `json:"by,omitempty"`
				At           time.Time `json:"at,omitzero"`
			}{p.ApproveAbove, p.By, p.At}, policyText(p))
		}),
	}
	cmd.Flags().Func("approve-above", "let campaigns with more `CONTACTS` wait for approval; none: no campaign waits", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil && text != "none" {
			return errors.New("want a number of contacts, or none")
		}
		above = int(n)
		return nil
	})
	return cmd
}

func policyText(p store.Policy) string {
	text := "campaigns of any size go without approval\n"
	if p.ApproveAbove > 0 {
		text = fmt.Sprintf("campaigns with more than %s wait for approval\n", cli.Count(p.ApproveAbove, "contact", "contacts"))
	}
	if p.By != "" {
		text += fmt.Sprintf("set by %s at %s\n", p.By, local(p.At))
	}
	return text
}

// noteUnapproved says so if nothing of a campaign is sent before somebody approves it.
func (a *app) noteUnapproved(ctx context.Context, s *store.Store, name string) {
	if c, err := s.Campaign(ctx, name); err == nil && c.Approval.Wanted {
		a.note(name + ": " + c.Approval.Waits(name).String())
	}
}

// noteLarger names the campaigns that a new policy leaves as they are.
func (a *app) noteLarger(ctx context.Context, s *store.Store, above int) error {
	list, err := report.List(ctx, s)
	var larger []string
	for _, c := range list {
		if above > 0 && c.Contacts > above && c.States.Open() > 0 && c.State != campaign.CanceledPhase && c.Approval == nil {
			larger = append(larger, c.Campaign)
		}
	}
	if len(larger) > 0 {
		a.note("larger and loaded before, so they do not wait: " + named(larger))
	}
	return err
}
