package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

// resolving are the flags of a resolve.
type resolving struct {
	accepted, notSent, yes bool
	chunk, contacts        int
	until                  string
}

func (a *app) resolve() *cobra.Command {
	var r resolving
	var cmd *cobra.Command
	cmd = a.on("resolve", "List unconfirmed contacts, or say what became of them", func(ctx context.Context, s *store.Store, name string) error {
		var only *int
		if cmd.Flags().Changed("chunk") {
			only = &r.chunk
		}
		if !r.accepted && !r.notSent {
			return a.listUnconfirmed(ctx, s, name, only)
		}
		res, err := a.lookedUp(ctx, s, name, jobs.Resolution{Accepted: r.accepted, Chunk: only}, r)
		if err != nil {
			return err
		}
		contacts, left := a.queue(s).Resolve(ctx, name, res)
		if left != nil && !partly(left) {
			return left
		}
		as, text := "accepted", "are accepted now"
		if r.notSent {
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
are sent again. If you say --not-sent and the platform has them, they are contacted twice.

Say --until and --contacts as the list prints them: then contacts that became unconfirmed
after it are left as they are. Without these, it is about those that are unconfirmed when
the command starts.`
	r.flags(cmd)
	return cmd
}

func (r *resolving) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&r.accepted, "accepted", false, "the platform has them")
	flags.BoolVar(&r.notSent, "not-sent", false, "the platform never saw them: send them")
	flags.IntVar(&r.chunk, "chunk", 0, "only this chunk's (default: all)")
	flags.StringVar(&r.until, "until", "", "only those that were unconfirmed at this `TIME`, as the list prints it (default: now)")
	flags.IntVar(&r.contacts, "contacts", 0, "nobody, if there are more `CONTACTS` (default: those there are now)")
	flags.BoolVar(&r.yes, "yes", false, "do not ask")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if r.accepted && r.notSent {
			return errors.New("--accepted or --not-sent: not both")
		}
		if r.contacts < 0 {
			return errors.New("--contacts: want a number from 1")
		}
		return nil
	}
}

// lookedUp binds a resolution to the contacts that a person says to have looked up: those of
// an earlier list, as flags say, or else those there are now. On a terminal it asks.
func (a *app) lookedUp(ctx context.Context, s *store.Store, name string, res jobs.Resolution, r resolving) (jobs.Resolution, error) {
	if r.until != "" {
		until, err := hours.ParseTime(r.until, "")
		if err != nil {
			return res, cli.Usagef("--until: %w", err)
		}
		res.Seen = &jobs.Seen{Until: until}
	}
	found, err := a.queue(s).Unconfirmed(ctx, name, res)
	if err != nil && !partly(err) { // the resolve names chunks that cannot be read
		return res, err
	}
	nobody := found.Contacts == 0
	if r.contacts > 0 {
		found.Contacts = r.contacts
	}
	res.Seen = &found
	if nobody || r.yes || !cli.IsTerminal(a.stdin) {
		return res, nil
	}
	fmt.Fprintf(a.stderr, "%s: %s, the last since %s.\n", name, cli.Count(found.Contacts, "unconfirmed contact", "unconfirmed contacts"), local(found.Until))
	if err := cli.Confirm(a.stdin, a.stderr, name, "resolve its contacts"); err != nil {
		return res, fmt.Errorf("resolve: %w", err)
	}
	return res, nil
}

func (a *app) listUnconfirmed(ctx context.Context, s *store.Store, name string, only *int) error {
	found, err := report.ListUnconfirmed(ctx, s, name)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(found, func(u report.Unconfirmed) bool { return only != nil && *only != u.Chunk })
	contacts, until := 0, time.Time{}
	rows := [][]string{{"CHUNK", "UNCONFIRMED", "FROM", "TO", "BATCHES NAMED"}}
	for _, u := range list {
		contacts += u.Contacts
		if u.Last.After(until) {
			until = u.Last
		}
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
Then, about these and no later ones, with --accepted or --not-sent, for one chunk with --chunk N:
  campaign resolve %[1]s --until %s --contacts %d
`, name, until.Format(time.RFC3339), contacts)
	}
	return a.print(struct {
		Campaign    string               `json:"campaign"`
		Unconfirmed int                  `json:"unconfirmed"`
		Until       time.Time            `json:"until,omitzero"` // for --until
		Chunks      []report.Unconfirmed `json:"chunks"`
	}{name, contacts, until, list}, text)
}
