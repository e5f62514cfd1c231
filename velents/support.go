package velents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"time"
)

// Support uses the Support Center with a support token. The platform answers 403 to what
// the abilities of the token do not allow. It is safe for concurrent use.
type Support struct{ api *api }

// NewSupport makes a Support. It sends nothing.
func NewSupport(cfg Config) (*Support, error) {
	a, err := newAPI(cfg)
	if err != nil {
		return nil, err
	}
	return &Support{a}, nil
}

// Tenant is the owner of a support token. Only Raw is sure to be set.
type Tenant struct {
	ID        string
	Name      string
	Abilities []string        // of the token, where the answer lists them: a guess
	Raw       json.RawMessage // the platform's own object
}

// Ticket is a ticket of the Support Center. Only Raw is sure to be set.
type Ticket struct {
	ID             string // the public id
	ConversationID string // for SendMessage and History
	Subject        string
	Status         string
	CreatedAt      time.Time
	Raw            json.RawMessage // the platform's own object
}

// NewTicket is a ticket to be made. The platform publishes only the subject; More has the
// other fields that the tenant's set-up asks for.
type NewTicket struct {
	Subject string
	More    map[string]any
}

// Me reads the owner of the token.
func (s *Support) Me(ctx context.Context) (Tenant, Answer, error) {
	var wire struct {
		PublicID  text `json:"public_id"`
		ID, Name  text
		Abilities lenient[[]string]
	}
	raw, answer, err := s.api.read(ctx, opMe, target{}, &wire)
	if err != nil {
		return Tenant{}, answer, err
	}
	return Tenant{ID: first(wire.PublicID, wire.ID), Name: string(wire.Name), Abilities: wire.Abilities.v, Raw: raw}, answer, nil
}

// CreateTicket makes a ticket. With ErrUnreadable the ticket was made, but its
// ids are not known.
func (s *Support) CreateTicket(ctx context.Context, t NewTicket) (Ticket, Answer, error) {
	fields := maps.Clone(t.More)
	if fields == nil {
		fields = map[string]any{}
	}
	fields["subject"] = t.Subject
	payload, err := json.Marshal(fields)
	if err != nil {
		return Ticket{}, Answer{}, opCreateTicket.failed(err)
	}
	return s.ticket(ctx, opCreateTicket, target{}, payload)
}

// Ticket reads one ticket by its public id.
func (s *Support) Ticket(ctx context.Context, id string) (Ticket, Answer, error) {
	return s.ticket(ctx, opTicket, target{id: id}, nil)
}

func (s *Support) ticket(ctx context.Context, op operation, to target, payload []byte) (Ticket, Answer, error) {
	answer, r, err := s.api.do(ctx, op, to, payload)
	if err != nil {
		return Ticket{}, answer, err
	}
	ticket, ok := ticketOf(unwrap(r.body))
	if !r.whole || !ok {
		return Ticket{}, answer, op.failed(ErrUnreadable)
	}
	answer.ID = ticket.ID
	return ticket, answer, nil
}

func ticketOf(raw json.RawMessage) (t Ticket, ok bool) {
	var wire *struct {
		PublicID        text `json:"public_id"`
		ID              text
		ConversationID  text `json:"conversation_id"`
		Subject, Status text
		CreatedAt       text `json:"created_at"`
	}
	if json.Unmarshal(raw, &wire) != nil || wire == nil {
		return Ticket{}, false
	}
	return Ticket{
		ID:             first(wire.PublicID, wire.ID),
		ConversationID: string(wire.ConversationID),
		Subject:        string(wire.Subject),
		Status:         string(wire.Status),
		CreatedAt:      parseTime(wire.CreatedAt),
		Raw:            raw,
	}, true
}

// SendMessage adds a customer's message to a conversation. That the text goes
// by the name of message is a guess.
func (s *Support) SendMessage(ctx context.Context, conversationID, message string) (Answer, error) {
	payload := append(appendString([]byte(`{"message":`), message), '}')
	answer, r, err := s.api.do(ctx, opSendMessage, target{id: conversationID}, payload)
	if err != nil {
		return answer, err
	}
	answer.ID = findID(r.body)
	return answer, nil
}

// History reads what was said in a conversation, in the platform's order.
func (s *Support) History(ctx context.Context, conversationID string) ([]Turn, Answer, error) {
	var wire []lenient[turn]
	_, answer, err := s.api.read(ctx, opHistory, target{id: conversationID}, &wire)
	if err != nil {
		return nil, answer, err
	}
	said := make([]turn, len(wire))
	for i, t := range wire {
		said[i] = t.v // empty where it is no turn
	}
	return turns(said), answer, nil
}

// Page is a part of a list.
type Page struct {
	Tickets []Ticket
	Next    *Cursor // nil after the last page
}

// Cursor is a place in a list. It keeps only the query of the platform's link to a page, so
// that the token never goes to another host or path.
type Cursor struct {
	query string
	page  int // pages before it
}

const (
	maxPages       = 10_000 // an endless list is a fault of the server
	maxCursorBytes = 2_000
)

// ListTickets reads one page of the tenant's tickets, the first one for a nil cursor. Each
// page is one request and counts against the quota.
func (s *Support) ListTickets(ctx context.Context, at *Cursor) (Page, Answer, error) {
	if at == nil {
		at = &Cursor{}
	}
	if at.page >= maxPages {
		return Page{}, Answer{}, opListTickets.failed(fmt.Errorf("more than %d pages", maxPages))
	}
	answer, r, err := s.api.do(ctx, opListTickets, target{query: at.query}, nil)
	if err != nil {
		return Page{}, answer, err
	}
	page, err := pageOf(r, at)
	if err != nil {
		return Page{}, answer, opListTickets.failed(err)
	}
	return page, answer, nil
}

func pageOf(r reply, at *Cursor) (Page, error) {
	var list []json.RawMessage
	if !r.whole || json.Unmarshal(unwrap(r.body), &list) != nil || list == nil {
		return Page{}, ErrUnreadable
	}
	var page Page
	for _, raw := range list {
		ticket, ok := ticketOf(raw)
		if !ok {
			return Page{}, ErrUnreadable
		}
		page.Tickets = append(page.Tickets, ticket)
	}
	query := nextQuery(r.body)
	if len(query) > maxCursorBytes {
		return Page{}, errors.New("next page: link too long")
	}
	// A page that names itself as the next one, or that is empty, is the last.
	if query != "" && query != at.query && len(list) > 0 {
		page.Next = &Cursor{query: query, page: at.page + 1}
	}
	return page, nil
}

// nextQuery is the query of the next page, from links.next or from the page numbers in
// meta.
func nextQuery(raw []byte) string {
	var wire struct {
		Links lenient[struct{ Next lenient[string] }]
		Meta  lenient[struct {
			Current lenient[int] `json:"current_page"`
			Last    lenient[int] `json:"last_page"`
		}]
	}
	_ = json.Unmarshal(raw, &wire) // a bare list has no links
	if next := wire.Links.v.Next.v; next != "" {
		if link, err := url.Parse(next); err == nil {
			return link.RawQuery
		}
	}
	if meta := wire.Meta.v; meta.Current.ok && meta.Current.v < meta.Last.v {
		return "page=" + strconv.Itoa(meta.Current.v+1)
	}
	return ""
}

// read makes a request and decodes what the answer has under data. It also returns that
// part undecoded.
func (a *api) read(ctx context.Context, op operation, to target, into any) (json.RawMessage, Answer, error) {
	answer, r, err := a.do(ctx, op, to, nil)
	if err != nil {
		return nil, answer, err
	}
	raw := json.RawMessage(unwrap(r.body))
	if !r.whole || json.Unmarshal(raw, into) != nil || string(raw) == "null" {
		return nil, answer, op.failed(ErrUnreadable)
	}
	return raw, answer, nil
}

func first(texts ...text) string {
	for _, t := range texts {
		if t != "" {
			return string(t)
		}
	}
	return ""
}
