package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs/events"
)

// unmatchedEvent is an event that belongs to no contact, without its content.
type unmatchedEvent struct {
	At           time.Time `json:"at"`
	Event        string    `json:"event"`
	Phone        string    `json:"phone"` // masked
	Conversation string    `json:"conversation"`
	Why          string    `json:"why"`
}

func (a *app) events() *cobra.Command {
	var f struct {
		unmatched, open, suppress bool
		close                     string
	}
	cmd := &cobra.Command{
		Use:   "events [NAME]",
		Short: "Count events of a campaign; list open wishes not to be contacted",
		Long: `Count the events of a campaign: those that belong to a contact, and those that do
not. Unmatched events are kept for a week and tried again every few minutes, because
their contact may be sent later. Of each at most 64 KB are kept, of a campaign 64 MB:
then the oldest go, and are counted as dropped.

--open lists the open wishes not to be contacted again, of one campaign or of all: the
event told no number, or a number that is not in the list. A wish stays open until an
event of the same conversation tells the number, or a person closes it. Find out who it
was (the platform's dashboard knows the conversation), then

    campaign suppress add NUMBER
    campaign events --close ID

If the event told another number than the contact's, --close ID --suppress puts that
number on the do-not-contact list, too.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.suppress && f.close == "":
				return errors.New("--suppress goes with --close ID")
			case f.close != "" && (len(args) > 0 || f.open || f.unmatched):
				return errors.New("--close ID stands alone, or with --suppress")
			case f.open && f.unmatched:
				return errors.New("--open or --unmatched, not both")
			case len(args) == 0 && (f.open || f.close != ""):
				return nil
			}
			return oneName("events", "campaign", campaign.CheckName)(cmd, args)
		},
		RunE: a.withStore(func(ctx context.Context, s *store.Store, args []string) error {
			switch {
			case f.close != "":
				return a.closeWish(ctx, s, f.close, f.suppress)
			case f.open:
				return a.openWishes(ctx, s, strings.Join(args, "")) // one name, or none for all campaigns
			}
			return a.countEvents(ctx, s, args[0], f.unmatched)
		}),
	}
	cmd.Flags().BoolVar(&f.unmatched, "unmatched", false, "list those that belong to no contact, numbers masked")
	cmd.Flags().BoolVar(&f.open, "open", false, "list the open wishes not to be contacted; without a NAME those of all campaigns")
	cmd.Flags().StringVar(&f.close, "close", "", "close the open wish with this `ID`: its person is on the do-not-contact list")
	cmd.Flags().BoolVar(&f.suppress, "suppress", false, "with --close: put the number that the event told on the do-not-contact list first")
	return cmd
}

func (a *app) countEvents(ctx context.Context, s *store.Store, name string, unmatched bool) error {
	counts, err := s.EventCounts(ctx, name)
	if err == nil && counts == (store.EventCounts{}) {
		_, err = s.Campaign(ctx, name) // events may come before or after their campaign
	}
	if err != nil {
		return err
	}
	wishes, err := listWishes(ctx, s, name)
	if err != nil {
		return err
	}
	page := struct {
		Campaign string `json:"campaign"`
		store.EventCounts
		Open      int              `json:"open,omitempty"`
		Unmatched []unmatchedEvent `json:"unmatched_events,omitempty"`
	}{name, counts, len(wishes), nil}
	text := fmt.Sprintf("%s: %s applied, %s unmatched", name, cli.Count(counts.Applied, "event", "events"), cli.Number(counts.Unmatched))
	if counts.Kept > 0 {
		text += fmt.Sprintf(", %s of them kept (%s)", cli.Number(counts.Kept), kilobytes(counts.KeptBytes))
	}
	text += "\n"
	if unmatched {
		if page.Unmatched, err = listUnmatched(ctx, s, name); err != nil {
			return err
		}
		rows := [][]string{{"AT", "EVENT", "PHONE", "CONVERSATION", "WHY"}}
		for _, e := range page.Unmatched {
			rows = append(rows, []string{local(e.At), e.Event, e.Phone, cli.Printable(e.Conversation), e.Why})
		}
		text = table(rows)
	}
	if counts.Dropped > 0 {
		a.note(fmt.Sprintf("%s (%s) dropped: newer ones needed their room", cli.Count(counts.Dropped, "unmatched event", "unmatched events"), kilobytes(counts.DroppedBytes)))
	}
	if len(wishes) > 0 {
		a.note(cli.Count(len(wishes), "wish", "wishes") + " not to be contacted, and it is not known whose: campaign events " + name + " --open")
	}
	return a.print(page, text)
}

func kilobytes(bytes int) string { return cli.Number((bytes+1023)/1024) + " KB" }

// openWish is a wish with its number masked.
type openWish struct {
	ID           string    `json:"id"`
	At           time.Time `json:"at"`
	Campaign     string    `json:"campaign"`
	Contact      int       `json:"contact,omitempty"` // its place in the list from 1, if the link named it
	Conversation string    `json:"conversation"`
	Phone        string    `json:"phone"`
	Rule         string    `json:"rule"`
	Why          string    `json:"why"`
}

// listWishes lists the open wishes of a campaign, or of all.
func listWishes(ctx context.Context, s *store.Store, name string) ([]openWish, error) {
	wishes, err := s.Wishes(ctx)
	if err != nil {
		return nil, err
	}
	shown := []openWish{}
	for _, w := range wishes {
		if name == "" || name == w.Campaign {
			shown = append(shown, openWish{w.ID, w.At, w.Campaign, w.Contact, w.Conversation, events.Mask(w.Told), w.Rule, w.Why.String()})
		}
	}
	return shown, nil
}

func (a *app) openWishes(ctx context.Context, s *store.Store, name string) error {
	wishes, err := listWishes(ctx, s, name)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "AT", "CAMPAIGN", "CONTACT", "CONVERSATION", "PHONE", "RULE", "WHY"}}
	for _, w := range wishes {
		contact := ""
		if w.Contact > 0 {
			contact = cli.Number(w.Contact)
		}
		rows = append(rows, []string{w.ID, local(w.At), w.Campaign, contact, cli.Printable(w.Conversation), cli.Printable(w.Phone), w.Rule, w.Why})
	}
	text := "no wish is open\n"
	if len(wishes) > 0 {
		text = table(rows)
		a.note("find out who each is (the platform's dashboard knows the conversation), then: campaign suppress add NUMBER, and campaign events --close ID")
	}
	return a.print(struct {
		Campaign string     `json:"campaign,omitempty"`
		Open     []openWish `json:"open"`
	}{name, wishes}, text)
}

// closeWish closes a wish. With suppress it first puts the number on the do-not-contact
// list.
func (a *app) closeWish(ctx context.Context, s *store.Store, id string, suppress bool) error {
	page := struct {
		Closed     string `json:"closed"`
		Suppressed int    `json:"suppressed"` // numbers that were not on the list before
	}{Closed: id}
	text := "closed " + id + "\n"
	if suppress {
		open, err := s.FindWishes(ctx, []string{id})
		if err != nil {
			return err
		}
		w, is := open[id]
		if !is {
			return fmt.Errorf("close wish: %w", store.ErrNoWish)
		}
		c, err := s.Campaign(ctx, w.Campaign)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		numbers := events.NumbersTold(c.Settings, w.Told)
		if len(numbers) == 0 {
			return cli.Usagef("--suppress: the event told no number: campaign suppress add NUMBER, then --close alone")
		}
		if page.Suppressed, err = s.Suppress(ctx, numbers[:1]); err != nil {
			return err
		}
		text = fmt.Sprintf("closed %s, %s put on the do-not-contact list\n", id, cli.Count(page.Suppressed, "number", "numbers"))
	}
	if err := s.CloseWish(ctx, id); err != nil {
		return err
	}
	return a.print(page, text)
}

func listUnmatched(ctx context.Context, s *store.Store, name string) ([]unmatchedEvent, error) {
	const page = 500
	var all []unmatchedEvent
	for {
		kept, err := s.Unmatched(ctx, name, len(all), page)
		if err != nil {
			return nil, err
		}
		for _, e := range kept {
			event, phone, conversation := events.Describe(e.Body)
			all = append(all, unmatchedEvent{e.At, event, phone, conversation, e.Why.String()})
		}
		if len(kept) < page {
			return all, nil
		}
	}
}
