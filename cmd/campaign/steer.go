package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
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
	cmd := a.on("pause", "Send nothing more until resumed; what is on its way gets its answer", func(ctx context.Context, s *store.Store, name string) error {
		before, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		why := campaign.Text(reason)
		if reason == byPerson.String() {
			why = byPerson
		}
		if err := jobs.NewQueue(s, nil).Pause(ctx, name, why); err != nil {
			return err
		}
		done := steered{Campaign: name, State: campaign.Paused, Already: before.Phase == campaign.Paused}
		if done.Already {
			return a.print(done, fmt.Sprintf("%s was paused already (%s); now: %s\n", name, cli.Printable(before.PhaseReason.String()), reason))
		}
		return a.print(done, fmt.Sprintf("%s is paused: %s\n", name, reason))
	})
	cmd.Flags().StringVar(&reason, "reason", reason, "why, for those who look at the campaign")
	return cmd
}

func (a *app) start() *cobra.Command {
	return a.setRunning("start", "Start a campaign that waits for that, or for its time", (*jobs.Queue).Start)
}

func (a *app) resume() *cobra.Command {
	return a.setRunning("resume", "Go on with a paused campaign", (*jobs.Queue).Resume)
}

func (a *app) setRunning(verb, short string, run func(*jobs.Queue, context.Context, string) (int, error)) *cobra.Command {
	return a.on(verb, short, func(ctx context.Context, s *store.Store, name string) error {
		before, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		released, left := run(jobs.NewQueue(s, nil), ctx, name)
		if left != nil && !partly(left) {
			return left
		}
		done := steered{Campaign: name, State: campaign.Running, Already: before.Phase == campaign.Running, Released: released}
		verb := "is"
		if done.Already {
			verb = "was already"
		}
		return cmp.Or(a.print(done, fmt.Sprintf("%s %s running; %s released\n", name, verb, cli.Count(released, "chunk", "chunks"))), left)
	})
}

func (a *app) cancel() *cobra.Command {
	return a.on("cancel", "Stop a campaign for good; 'enqueue rerun' can still send its canceled contacts", func(ctx context.Context, s *store.Store, name string) error {
		before, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		canceled, left := jobs.NewQueue(s, nil).Cancel(ctx, name)
		if left != nil && !partly(left) {
			return left
		}
		done := steered{Campaign: name, State: campaign.CanceledPhase, Already: before.Phase == campaign.CanceledPhase, Canceled: canceled}
		verb := "is"
		if done.Already {
			verb = "was already"
		}
		return cmp.Or(a.print(done, fmt.Sprintf("%s %s canceled; %s will not be sent\n", name, verb, cli.Count(canceled, "contact", "contacts"))), left)
	})
}

func (a *app) resolve() *cobra.Command {
	var accepted, notSent bool
	var chunk int
	var cmd *cobra.Command
	cmd = a.on("resolve", "List unconfirmed contacts, or say what became of them", func(ctx context.Context, s *store.Store, name string) error {
		var only *int
		if cmd.Flags().Changed("chunk") {
			only = &chunk
		}
		if !accepted && !notSent {
			return a.listUnconfirmed(ctx, s, name, only)
		}
		contacts, left := jobs.NewQueue(s, nil).Resolve(ctx, name, jobs.Resolution{Accepted: accepted, Chunk: only})
		if left != nil && !partly(left) {
			return left
		}
		as, text := "accepted", "are accepted now"
		if notSent {
			as, text = "not_sent", "will be sent"
		}
		return cmp.Or(a.print(struct {
			Campaign string `json:"campaign"`
			Resolved string `json:"resolved"`
			Contacts int    `json:"contacts"`
		}{name, as, contacts}, fmt.Sprintf("%s: %s %s\n", name, cli.Count(contacts, "unconfirmed contact", "unconfirmed contacts"), text)), left)
	})
	cmd.Long = `Say what became of contacts whose answer was lost: their request may have arrived.

Without a flag, list the chunks that have such contacts. Look for their batches in the
platform's own dashboard; the list shows how their names begin. Then say what you
found: --accepted if the platform has them, or --not-sent if it never saw them. Those
are sent again. If you say --not-sent and the platform has them, they are contacted twice.`
	cmd.Flags().BoolVar(&accepted, "accepted", false, "the platform has them")
	cmd.Flags().BoolVar(&notSent, "not-sent", false, "the platform never saw them: send them")
	cmd.Flags().IntVar(&chunk, "chunk", 0, "only this chunk's (default: all)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if accepted && notSent {
			return errors.New("--accepted or --not-sent: not both")
		}
		return nil
	}
	return cmd
}

func (a *app) listUnconfirmed(ctx context.Context, s *store.Store, name string, only *int) error {
	found, err := report.ListUnconfirmed(ctx, s, name)
	if err != nil {
		return err
	}
	contacts := 0
	rows := [][]string{{"CHUNK", "UNCONFIRMED", "FROM", "TO", "BATCHES NAMED"}}
	list := []report.Unconfirmed{}
	for _, u := range found {
		if only != nil && *only != u.Chunk {
			continue
		}
		contacts += u.Contacts
		list = append(list, u)
		batches := ""
		if u.Batches != "" {
			batches = u.Batches + "…"
		}
		rows = append(rows, []string{fmt.Sprint(u.Chunk), cli.Number(u.Contacts), local(u.First), local(u.Last), batches})
	}
	text := fmt.Sprintf("%s has no unconfirmed contacts\n", name)
	if contacts > 0 {
		text = table(rows, 0, 1) + fmt.Sprintf(`
Who they are: campaign results %s --state unconfirmed
Then: campaign resolve %[1]s --accepted or --not-sent, for one chunk with --chunk N
`, name)
	}
	return a.print(struct {
		Campaign    string               `json:"campaign"`
		Unconfirmed int                  `json:"unconfirmed"`
		Chunks      []report.Unconfirmed `json:"chunks"`
	}{name, contacts, list}, text)
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
