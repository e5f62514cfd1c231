package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) list() *cobra.Command {
	return a.asCSV(&cobra.Command{
		Use:   "list",
		Short: "List all campaigns, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
			list, err := report.List(ctx, s)
			if list == nil {
				return err
			}
			return cmp.Or(printTable(a, list, rowOf, map[string][]report.Summary{"campaigns": list}, listText(list, cli.Width(a.stdout))), err)
		}),
	})
}

// A listRow is one campaign of the list as CSV.
type listRow struct {
	Campaign   string `csv:"campaign"`
	State      string `csv:"state"`
	Contacts   int    `csv:"contacts"`
	Open       int    `csv:"open"`
	Problems   int    `csv:"problems"`
	Created    string `csv:"created_at"`
	WaitingFor cell   `csv:"waiting_for"`
	Title      cell   `csv:"title"`
}

func rowOf(s report.Summary) listRow {
	return listRow{s.Campaign, string(s.State), s.Contacts, s.States.Open(), s.States.Problems(), moment(s.CreatedAt), cell(s.WaitingFor.String()), cell(s.Title)}
}

func (a *app) show() *cobra.Command {
	return a.on("show", "Show where a campaign stands and what it waits for", func(ctx context.Context, s *store.Store, name string) error {
		o, err := report.Find(ctx, s, name)
		if err != nil {
			return err
		}
		return a.print(o, overviewText(o))
	})
}

// listText is the list for a terminal that is columns wide; 0: one line for each campaign,
// however long.
func listText(list []report.Summary, columns int) string {
	if len(list) == 0 {
		return "no campaigns yet: enqueue starts one\n"
	}
	if columns > 0 {
		return narrowList(list, columns)
	}
	rows := [][]string{{"CAMPAIGN", "STATE", "CONTACTS", "DONE", "PROBLEMS", "CREATED", ""}}
	for _, s := range list {
		rows = append(rows, []string{
			s.Campaign, string(s.State), cli.Number(s.Contacts), report.Percent(s.States.Through(), s.Contacts),
			cli.Number(s.States.Problems()), local(s.CreatedAt), s.WaitingFor.String(),
		})
	}
	if slices.ContainsFunc(list, func(s report.Summary) bool { return s.Title != "" }) {
		rows[0] = slices.Insert(rows[0], 6, "TITLE")
		for i, s := range list {
			rows[i+1] = slices.Insert(rows[i+1], 6, s.Title)
		}
	}
	return table(rows, 2, 3, 4)
}

// narrowList cuts what campaigns wait for at the edge. A name is never cut, since people
// copy it: a long one stands on a line of its own.
func narrowList(list []report.Summary, columns int) string {
	const longName = 22 // with the other columns, that makes 80
	rows := [][]string{{"CAMPAIGN", "STATE", "CONTACTS", "DONE", "PROBLEMS", "CREATED"}}
	for _, s := range list {
		name := s.Campaign
		if len(name) > longName {
			name = ""
		}
		created := s.CreatedAt.Local().Format("2006-01-02 15:04")
		rows = append(rows, []string{
			name, string(s.State), cli.Number(s.Contacts), report.Percent(s.States.Through(), s.Contacts), cli.Number(s.States.Problems()), created,
		})
	}
	lines := strings.SplitAfter(table(rows, 2, 3, 4), "\n")
	var b strings.Builder
	b.WriteString(lines[0])
	for i, s := range list {
		if len(s.Campaign) > longName {
			b.WriteString(s.Campaign + "\n")
		}
		b.WriteString(lines[i+1])
		if why := cli.Printable(s.WaitingFor.String()); why != "" {
			b.WriteString(cli.Cut("  "+why, columns) + "\n")
		}
	}
	return b.String()
}

// shownReasons is the most reasons in the text; --json has them all.
const shownReasons = 15

func overviewText(o report.Overview) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s\n", o.Campaign, o.State)
	facts := [][]string{
		{"  title", o.Title},
		{"  waiting", o.WaitingFor.String()},
		{"  approved", approvalText(o)},
		{"  ends", etaText(o)},
		{"  again", againText(o)},
		{"  contacts", contactsText(o)},
		{"  agent", fmt.Sprintf("%s, %s, channel %d, %s", o.Agent, o.Mode, o.Channel, cli.Count(o.Workers, "live worker", "live workers"))},
		{"  events", eventsText(o)},
		{"  quota", quotaText(o)},
		{"  settings", settingsText(o)},
		{"  created", local(o.CreatedAt)},
		{"  ended", local(o.EndedAt)},
		{"  purged", local(o.PurgedAt)},
	}
	b.WriteString(factsText(facts))

	var states [][]string
	counts := make([]int, len(campaign.States()))
	for i, state := range campaign.States() {
		counts[i] = o.States.In(state)
	}
	for i, share := range report.Shares(counts) {
		if state := campaign.States()[i]; counts[i] > 0 {
			states = append(states, []string{"  " + state.String(), cli.Number(counts[i]), share, cmp.Or(doubtText(o, state), rungText(o, state))})
		}
	}
	section(&b, states, 1, 2)

	var reasons [][]string
	for _, r := range o.Reasons[:min(len(o.Reasons), shownReasons)] {
		reasons = append(reasons, []string{"  " + r.State, cli.Number(r.Contacts), r.Reason.String()})
	}
	section(&b, reasons, 1)
	if more := len(o.Reasons) - shownReasons; more > 0 {
		fmt.Fprintf(&b, "  and %s; all with --json\n", cli.Count(more, "more reason", "more reasons"))
	}

	var refused [][]string // most frequent first
	for _, r := range report.Refusals(o.Refused) {
		label := "  refused"
		if strings.HasPrefix(r.Reason.String(), string(contacts.NotChosen)) {
			label = "  left out"
		}
		refused = append(refused, []string{label, cli.Number(r.Contacts), r.Reason.String()})
	}
	section(&b, refused, 1)
	return b.String()
}

// approvalText is who has approved a campaign; empty if nobody has.
func approvalText(o report.Overview) string {
	if o.Approval == nil || o.Approval.By == "" {
		return ""
	}
	return fmt.Sprintf("by %s at %s; made or changed by %s", o.Approval.By, local(o.Approval.At), strings.Join(o.Approval.Makers, ", "))
}

// eventsText says whether the campaign learns what became of conversations.
func eventsText(o report.Overview) string {
	switch {
	case !o.Unheard.IsZero():
		return o.Unheard.String()
	case o.Listens:
		return "yes"
	}
	return "none"
}

// againText says who is expected to be contacted again, unless the waiting line does.
func againText(o report.Overview) string {
	if text := o.Rungs.Message(); o.State != campaign.Finished && !text.Equal(o.WaitingFor) {
		return text.String()
	}
	return ""
}

// rungText counts the contacts in a state that wait for a rung.
func rungText(o report.Overview, state campaign.State) string {
	if o.Rungs == nil || o.Rungs.Pending == 0 || state != campaign.Pending {
		return ""
	}
	return fmt.Sprintf("of which %s for another time, by --then", cli.Number(o.Rungs.Pending))
}

// doubtText counts the contacts in a state that the platform may have reached. It is
// empty for unconfirmed, which says so itself.
func doubtText(o report.Overview, state campaign.State) string {
	n := o.InDoubt.In(state)
	if n == 0 || state == campaign.Unconfirmed {
		return ""
	}
	return fmt.Sprintf("of which %s may have been contacted", cli.Number(n))
}

// settingsText lists the settings that were chosen.
func settingsText(o report.Overview) string {
	var list []string
	for _, s := range o.Settings {
		list = append(list, s.Setting+" "+s.Value)
	}
	return strings.Join(list, "; ")
}

// quotaText is the state of the agent's quota; empty when no worker knows it.
func quotaText(o report.Overview) string {
	q := o.Quota
	if q == nil {
		return ""
	}
	text := quotaLeft(*q)
	if !q.Reason.IsZero() && !o.Paced { // else the waiting line says so
		text += fmt.Sprintf("; next at %s: %s", campaign.Clock(q.Next, time.Now()), q.Reason)
	}
	return text
}

// quotaLeft says how much of a quota is left.
func quotaLeft(q store.Quota) string {
	text := "no limit is known"
	if q.Limit > 0 {
		text = fmt.Sprintf("%d of %d requests per %v left", q.Remaining, q.Limit, time.Duration(q.Window*float64(time.Second)))
	}
	if q.Others >= 1 {
		text += fmt.Sprintf("; others on the token use about %.0f", q.Others)
	}
	return text
}

// etaText is when a campaign will end; empty when that is unknown.
func etaText(o report.Overview) string {
	if o.ETA.IsZero() {
		return ""
	}
	text := cli.Moment(o.ETA)
	if o.Missed > 0 {
		text += fmt.Sprintf("; %s will not be sent in time", cli.Count(o.Missed, "contact", "contacts"))
	}
	return text
}

// contactsText counts the contacts and the lines that are none.
func contactsText(o report.Overview) string {
	text := fmt.Sprintf("%s in %s", cli.Number(o.Contacts), cli.Count(o.Chunks, "chunk", "chunks"))
	if refused := o.Rows - o.Contacts - o.NotChosen; refused > 0 {
		text += fmt.Sprintf("; %s of %s refused", cli.Number(refused), cli.Count(o.Rows, "row", "rows"))
	}
	if o.NotChosen > 0 {
		text += fmt.Sprintf("; %s not chosen", cli.Count(o.NotChosen, "row", "rows"))
	}
	if o.Erased > 0 {
		text += fmt.Sprintf("; %s erased", cli.Number(o.Erased))
	}
	return text
}

// local is a time in the reader's zone; empty for the zero time.
func local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// factsText is a table of names and values, without those that have no value.
func factsText(facts [][]string) string {
	return table(slices.DeleteFunc(facts, func(fact []string) bool { return fact[1] == "" }))
}

// section appends a table below an empty line, if it has rows.
func section(b *strings.Builder, rows [][]string, right ...int) {
	if len(rows) > 0 {
		b.WriteString("\n" + table(rows, right...))
	}
}

// table aligns cells in columns; right lists the columns that align right.
func table(rows [][]string, right ...int) string {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cli.Printable(cell)
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if slices.Contains(right, i) {
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
