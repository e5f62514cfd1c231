package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs/person"
)

const personHelp = `List in which campaigns a person is, with states, times, outcomes and tickets, and on
which lists. NUMBER may be - to read it from the standard input, so that it stands in no
shell history and no list of processes. Campaigns without events are read as a whole,
which takes longer.

-o FILE writes all of it as JSON that only you may read: the number, the values of the
file and the conversations, too.

--erase takes the person out of everything: number and values, outcomes, conversations,
refused lines, events that were not applied, the contact record. States and counts stay,
so that 'verify' still adds up. Contacts that are pending are canceled; if a request is on
its way, the command waits for its answer. It may be interrupted and run again, and
workers may be running. The number goes on the do-not-contact list, since otherwise the
next list with it would contact them again; --may-be-contacted leaves it off, unless they
have asked not to be contacted.

It cannot reach Redis's append-only file and backups, exported files, contact files,
tickets in the Support Center, and the platform.`

func (a *app) person() *cobra.Command {
	var f struct {
		region, file               string
		erase, mayBeContacted, yes bool
	}
	cmd := &cobra.Command{
		Use:   "person NUMBER",
		Short: "List, export or erase what is kept of one person",
		Long:  personHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.mayBeContacted && !f.erase {
				return cli.Usagef("--may-be-contacted goes with --erase")
			}
			phone, err := a.onePhone(args[0], f.region)
			if err != nil {
				return err
			}
			if f.erase && !f.yes {
				if err := a.sure("person --erase", "erase", "go on", func() error { return nil }); err != nil {
					return err
				}
			}
			return a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
				desk := &person.Desk{Store: s, Queue: a.queue(s), Say: a.note}
				if f.file != "" {
					if err := a.writePerson(ctx, desk, phone, f.file, f.erase); err != nil {
						return err
					}
				}
				switch {
				case f.erase:
					return a.erasePerson(ctx, desk, phone, f.mayBeContacted)
				case f.file == "":
					return a.showPerson(ctx, desk, phone)
				}
				return nil
			})(cmd, args)
		},
	}
	regionFlag(cmd, &f.region)
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "`FILE` to write as JSON, conversations included; - is stdout")
	cmd.Flags().BoolVar(&f.erase, "erase", false, "erase the person everywhere, after -o if that is given; it cannot be undone")
	cmd.Flags().BoolVar(&f.mayBeContacted, "may-be-contacted", false, "with --erase: do not put the number on the do-not-contact list")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

// maxTypedBytes bounds what is read from the standard input in place of an argument.
const maxTypedBytes = 1 << 20

// typed is an argument, or the lines of the standard input where it is "-".
func (a *app) typed(arg string) ([]string, error) {
	if arg != "-" {
		return []string{arg}, nil
	}
	if cli.IsTerminal(a.stdin) {
		line, err := cli.Ask(a.stdin, a.stderr, "Number: ")
		return []string{line}, err
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxTypedBytes+1))
	if err == nil && len(text) > maxTypedBytes {
		err = cli.Usagef("standard input: more than %s bytes; campaign suppress import reads files", cli.Number(maxTypedBytes))
	}
	var lines []string
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if err == nil && len(lines) == 0 {
		err = cli.Usagef("standard input: no number in it")
	}
	return lines, err
}

// typedOne is typed for one number.
func (a *app) typedOne(arg string) (string, error) {
	lines, err := a.typed(arg)
	if err != nil {
		return "", err
	}
	if len(lines) > 1 {
		return "", cli.Usagef("standard input: want one number, have %s", cli.Count(len(lines), "line", "lines"))
	}
	return lines[0], nil
}

func (a *app) onePhone(arg, region string) (campaign.Phone, error) {
	parser, err := contacts.NewPhoneParser(region)
	if err != nil {
		return 0, cli.Usagef("--region: %w", err)
	}
	text, err := a.typedOne(arg)
	if err != nil {
		return 0, err
	}
	phone, why := parser.Parse(text)
	if why != "" {
		return 0, cli.Usagef("number: %s", why)
	}
	return phone, nil
}

// writePerson writes what is kept of a person. With quiet it prints no result of its own.
func (a *app) writePerson(ctx context.Context, desk *person.Desk, phone campaign.Phone, file string, quiet bool) error {
	p, err := desk.Find(ctx, phone, true)
	if err != nil {
		return err
	}
	write := func(w io.Writer) (int, error) {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if !toStdout(file) {
			e.SetIndent("", "  ")
		}
		return len(p.Contacts), e.Encode(p)
	}
	if toStdout(file) {
		if _, err := write(cli.Screen(a.stdout, true)); err != nil || quiet {
			return err
		}
		return notSearched(p.NotSearched, "not searched")
	}
	if _, err := writeFile(file, write); err != nil {
		return fmt.Errorf("%s: %w", file, placeless(err))
	}
	text := fmt.Sprintf("%s written to %s\n", cli.Count(len(p.Contacts), "contact", "contacts"), file)
	if quiet {
		a.note(strings.TrimSpace(text))
		return nil
	}
	if err := a.print(exported{Rows: len(p.Contacts), File: file}, text); err != nil {
		return err
	}
	return notSearched(p.NotSearched, "not searched")
}

func (a *app) showPerson(ctx context.Context, desk *person.Desk, phone campaign.Phone) error {
	p, err := desk.Find(ctx, phone, false)
	if err != nil {
		return err
	}
	if err := a.print(p, personText(p, cli.Width(a.stdout))); err != nil {
		return err
	}
	return notSearched(p.NotSearched, "not searched")
}

func notSearched(list []person.Unsearch, what string) error {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i, l := range list {
		texts[i] = fmt.Sprintf("%s (%s)", l.Campaign, l.Why)
	}
	return cli.Partialf("%s: %s; the same command goes on", what, strings.Join(texts, "; "))
}

// personText is what is kept of a person, for a terminal that is columns wide; 0: one line
// for each contact, however long.
func personText(p person.Person, columns int) string {
	text := p.Phone + " is in no campaign\n"
	if len(p.Contacts) > 0 {
		rows := [][]string{{"CAMPAIGN", "LINE", "STATE", "REASON", "ATTEMPTS", "CHANGED", "STARTED", "ENDED", "MESSAGES", "TICKET"}}
		for _, c := range p.Contacts {
			rows = append(rows, []string{
				c.Campaign, cli.Number(c.Line), c.StateName, c.Reason, cli.Number(c.Attempts), local(c.ChangedAt), local(c.StartedAt), local(c.EndedAt),
				cli.Number(c.Messages), strings.TrimSpace(c.TicketState + " " + c.TicketID),
			})
		}
		if text = table(rows, 1, 4, 8); columns > 0 && cli.Widest(text) > columns {
			text = upright(rows, columns)
		}
	}
	facts := [][]string{{"number", p.Phone}, {"do-not-contact list", "no"}, {"contacted on", strings.Join(p.Contacted, ", ")}, {"reserved by", p.ReservedBy}}
	if p.DoNotContact {
		facts[1][1] = "yes"
	}
	for _, r := range p.Rejects {
		facts = append(facts, []string{"refused lines", fmt.Sprintf("%s: %s", r.Campaign, cli.Number(r.Lines))})
	}
	for _, e := range p.Events {
		how := "matches no contact"
		if e.Waiting {
			how = "waits to be applied"
		}
		facts = append(facts, []string{"event", fmt.Sprintf("%s: %s of %s %s", e.Campaign, e.Type, local(e.At), how)})
	}
	for _, w := range p.Wishes {
		facts = append(facts, []string{"open wish", fmt.Sprintf("%s of %s: %s", w.ID, w.Campaign, w.Why)})
	}
	return text + "\n" + factsText(facts)
}

// upright is a table whose rows stand one below the other: each begins with its first cell,
// and of the others those that say something have a line, with the name of their column.
func upright(rows [][]string, columns int) string {
	var b strings.Builder
	for i, row := range rows[1:] {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(cli.Printable(row[0]) + "\n")
		for i, cell := range row[1:] {
			if cell != "" {
				b.WriteString(cli.Hanging(fmt.Sprintf("  %-9s ", strings.ToLower(rows[0][i+1])), cli.Printable(cell), columns))
			}
		}
	}
	return b.String()
}

func (a *app) erasePerson(ctx context.Context, desk *person.Desk, phone campaign.Phone, mayBeContacted bool) error {
	done, err := desk.Erase(ctx, phone, mayBeContacted)
	if err != nil {
		return fmt.Errorf("%w; the same command goes on", err)
	}
	text := fmt.Sprintf("erased: %s, %s, %s, %s, %s of the contact record\n",
		cli.Count(done.Contacts, "contact", "contacts"), cli.Count(done.Rejects, "refused line", "refused lines"),
		cli.Count(done.Events, "event", "events"), cli.Count(done.Wishes, "wish", "wishes"), cli.Count(done.Contacted, "day", "days"))
	switch {
	case done.Wished && mayBeContacted:
		text += "the number is on the do-not-contact list: they have asked not to be contacted\n"
	case done.Listed:
		text += "the number is on the do-not-contact list, so that no later list contacts them\n"
	default:
		text += "the number is not on the do-not-contact list: the next list with it contacts them again\n"
	}
	if len(done.Tickets) > 0 {
		text += "the Support Center still has its tickets: " + cli.Printable(strings.Join(done.Tickets, ", ")) + "\n"
	}
	if err := a.print(done, text); err != nil {
		return err
	}
	a.note("not erased, because it is out of reach: Redis's append-only file and backups, exported files and contact files, and what the platform has")
	return notSearched(done.Left, "not erased there")
}
