// Package person finds what is kept of one person, in all campaigns, and erases it.
//
// A person is known by number, in either spelling where a country has two. Campaigns
// without an index of numbers are read as a whole, a few chunks at a time. Nothing is
// promised of campaigns that are just being loaded or appended to: they are named as not
// searched. What lies outside Redis (its backups, exported files, the platform) is out of
// reach.
package person

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs"
)

// A Person is what is kept of somebody.
type Person struct {
	Phone        string     `json:"phone"` // in full only with Whole
	DoNotContact bool       `json:"do_not_contact"`
	Contacted    []string   `json:"contacted"`             // days, UTC
	ReservedBy   string     `json:"reserved_by,omitempty"` // the campaign that may contact them now
	Contacts     []Contact  `json:"contacts"`
	Rejects      []Rejects  `json:"rejects"`
	Events       []Event    `json:"events"` // that were not applied
	Wishes       []Wish     `json:"wishes"` // open ones not to be contacted
	NotSearched  []Unsearch `json:"not_searched"`
}

// A Contact is a person in a campaign.
type Contact struct {
	Campaign     string         `json:"campaign"`
	Line         int            `json:"line"` // of the contact file
	State        campaign.State `json:"-"`
	StateName    string         `json:"state"`
	Reason       string         `json:"reason,omitempty"`
	Attempts     int            `json:"attempts"`
	Run          int            `json:"run"`
	ChangedAt    time.Time      `json:"changed_at,omitzero"`
	Conversation string         `json:"conversation_id,omitempty"`
	StartedAt    time.Time      `json:"started_at,omitzero"`
	EndedAt      time.Time      `json:"ended_at,omitzero"`
	Messages     int            `json:"messages,omitempty"`
	TicketState  string         `json:"ticket_state,omitempty"`
	TicketID     string         `json:"ticket_id,omitempty"`

	// Only with Whole.
	Ticket     *campaign.Follow `json:"ticket,omitempty"` // what was said about it, and waits to be passed on
	Cells      []Cell           `json:"cells,omitempty"`
	Extraction json.RawMessage  `json:"extraction,omitempty"`
	History    []campaign.Turn  `json:"history,omitempty"`

	Place int `json:"-"` // in the campaign's list, as report.Contact has it
	at    store.Place
}

// A Cell is one of the contact file: several columns may have one name.
type Cell struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Rejects are refused lines of a campaign's file.
type Rejects struct {
	Campaign string     `json:"campaign"`
	Lines    int        `json:"lines"`
	Cells    [][]string `json:"cells,omitempty"` // only with Whole
}

// An Event is one that waits to be applied, or matches no contact.
type Event struct {
	Campaign     string    `json:"campaign"`
	At           time.Time `json:"at"`
	Type         string    `json:"event"`
	Conversation string    `json:"conversation_id,omitempty"`
	Waiting      bool      `json:"waiting,omitempty"` // to be applied
	Body         string    `json:"body,omitempty"`    // only with Whole
}

// A Wish is an open one not to be contacted.
type Wish struct {
	ID       string    `json:"id"`
	Campaign string    `json:"campaign"`
	At       time.Time `json:"at"`
	Why      string    `json:"why"`
}

// An Unsearch is a campaign that could not be searched, with the reason.
type Unsearch struct {
	Campaign string `json:"campaign"`
	Why      string `json:"why"`
}

// A Desk finds people and erases them.
type Desk struct {
	Store *store.Store
	Queue *jobs.Queue
	Say   func(text string) // progress; may be nil. Texts hold no number
}

// A search is what is known of a person so far.
type search struct {
	*Desk
	phone         campaign.Phone
	number        contacts.Finder
	whole         bool
	campaigns     map[string]campaign.Campaign
	places        map[string][]store.Place
	conversations map[string][]string
	found         Person
	failed        error // of a look-up amid a list of events
}

// Find lists what is kept of a person. With whole it holds the number, values and
// conversations, too.
func (d *Desk) Find(ctx context.Context, phone campaign.Phone, whole bool) (Person, error) {
	s, err := d.search(ctx, phone, whole)
	if err != nil {
		return Person{}, err
	}
	for _, name := range s.searched() {
		if err := s.rejects(ctx, name, false); err != nil {
			return Person{}, err
		}
	}
	if err := s.lists(ctx); err != nil {
		return Person{}, err
	}
	if _, err := d.Store.DropEvents(ctx, func(e store.Event) bool {
		s.addEvent(ctx, e, true)
		return false
	}); err != nil {
		return Person{}, err
	}
	if err := s.eachUnmatched(ctx, func(e store.Event) bool {
		s.addEvent(ctx, e, false)
		return false
	}); err != nil {
		return Person{}, err
	}
	wishes, err := s.wishes(ctx)
	for _, w := range wishes {
		s.found.Wishes = append(s.found.Wishes, Wish{w.ID, w.Campaign, w.At, w.Why.String()})
	}
	return s.found, errors.Join(err, s.failed)
}

// search finds a person's contacts in all campaigns.
func (d *Desk) search(ctx context.Context, phone campaign.Phone, whole bool) (*search, error) {
	s := &search{
		Desk: d, phone: phone, number: contacts.NewFinder(phone), whole: whole, campaigns: make(map[string]campaign.Campaign),
		places: make(map[string][]store.Place), conversations: make(map[string][]string),
		found: Person{Phone: phone.String(), Contacted: []string{}, Contacts: []Contact{}, Rejects: []Rejects{}, Events: []Event{}, Wishes: []Wish{}, NotSearched: []Unsearch{}},
	}
	if whole {
		s.found.Phone = phone.E164()
	}
	names, err := d.Store.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := s.searchCampaign(ctx, name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *search) searchCampaign(ctx context.Context, name string) error {
	c, err := s.Store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.campaigns[name] = c
	growing, err := s.Store.Growing(ctx, name)
	switch {
	case err != nil:
		return err
	case c.Phase == campaign.Loading:
		s.leave(name, "its contact file is being loaded")
		return nil
	case c.Kept() != nil:
		if c.PurgedAt.IsZero() {
			s.leave(name, "its purge was not ended: campaign purge "+name)
		}
		return nil
	case growing:
		s.leave(name, "an append to it has not ended; only its other contacts were searched")
	}
	if s.places[name], err = s.Store.FindPerson(ctx, c, s.phone, s.progress(c)); err != nil {
		return err
	}
	for _, at := range s.places[name] {
		if err := s.addContact(ctx, c, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) leave(name, why string) {
	if left := (Unsearch{name, why}); !slices.Contains(s.found.NotSearched, left) {
		s.found.NotSearched = append(s.found.NotSearched, left)
	}
}

// searched are the campaigns that were searched.
func (s *search) searched() (names []string) {
	for name := range s.places {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// progressEvery is how many chunks of a campaign without an index are read between two
// words about it.
const progressEvery = 500

func (s *search) progress(c campaign.Campaign) func(chunks int) {
	var mu sync.Mutex
	return func(chunks int) {
		if chunks%progressEvery == 0 {
			mu.Lock()
			defer mu.Unlock()
			s.say(fmt.Sprintf("%s: %d of %d chunks read", c.Name, chunks, c.Chunks))
		}
	}
}

func (d *Desk) say(text string) {
	if d.Say != nil {
		d.Say(text)
	}
}

// addContact reads what is known of one contact.
func (s *search) addContact(ctx context.Context, c campaign.Campaign, at store.Place) error {
	chunk, err := s.Store.ReadChunk(ctx, at.Ref)
	if err != nil {
		return err
	}
	outcomes, err := s.Store.Outcomes(ctx, at.Ref)
	if err != nil {
		return err
	}
	ticket, err := s.Store.Ticket(ctx, at)
	if err != nil {
		return err
	}
	reasons, err := s.Store.Reasons(ctx, c.Name)
	if err != nil {
		return err
	}
	row, r, o := chunk.Contacts[at.Index], chunk.Record(at.Index), outcomes[at.Index]
	contact := Contact{
		Campaign: c.Name, Line: row.Line, State: r.State, StateName: r.State.String(), Reason: reasons[r.Reason].String(),
		Attempts: int(r.Attempts), Run: int(r.Run), ChangedAt: r.ChangedAt(),
		Conversation: o.Conversation, StartedAt: o.Started, EndedAt: o.Ended, Messages: o.Messages(), Place: at.Ref.Chunk*c.Settings.ChunkSize + at.Index, at: at,
	}
	if ticket != nil {
		contact.TicketState, contact.TicketID = string(ticket.State), ticket.ID
	}
	for _, conversation := range append([]string{o.Conversation}, o.Earlier...) {
		if conversation != "" {
			s.conversations[c.Name] = append(s.conversations[c.Name], conversation)
		}
	}
	if s.whole {
		for i, name := range c.Settings.ColumnNames() {
			contact.Cells = append(contact.Cells, Cell{name, row.Fields[i]})
		}
		if contact.Ticket, err = s.Store.Follow(ctx, at); err != nil {
			return err
		}
		contact.Extraction = o.Extraction
		if contact.History, err = s.Store.History(ctx, at.Ref, at.Index); err != nil {
			return err
		}
	}
	s.found.Contacts = append(s.found.Contacts, contact)
	return nil
}

// rejects looks for refused lines that hold the number; with erase they are emptied.
func (s *search) rejects(ctx context.Context, name string, erase bool) error {
	r := Rejects{Campaign: name}
	lines, err := s.Store.Rejected(ctx, name, erase, func(cells []string) bool {
		is := slices.ContainsFunc(cells, s.number.In)
		if is && s.whole {
			r.Cells = append(r.Cells, slices.Clone(cells))
		}
		return is
	})
	if r.Lines = lines; lines > 0 {
		s.found.Rejects = append(s.found.Rejects, r)
	}
	return err
}

// lists looks the number up in what belongs to no campaign.
func (s *search) lists(ctx context.Context) error {
	listed, err := s.Store.FindSuppressed(ctx, []campaign.Phone{s.phone})
	if err != nil {
		return err
	}
	s.found.DoNotContact = listed[0]
	days, err := s.Store.ContactedDays(ctx, s.phone, false)
	if err != nil {
		return err
	}
	for _, day := range days {
		s.found.Contacted = append(s.found.Contacted, day.Format(time.DateOnly))
	}
	name, standing, ok, err := s.Store.Reserved(ctx, s.phone)
	if ok && !standing.Free() {
		s.found.ReservedBy = name
	}
	return err
}
