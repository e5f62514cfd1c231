// Package velents speaks to the Velents platform: an agent's API, the Support
// Center, and the events the platform posts to a webhook.
//
// Each method makes exactly one request and says what is known about it: it was answered
// (a nil error or an *Error), or not (an *Unanswered, which says whether the request may
// have been carried out). The package never retries, never follows a redirect, and knows
// nothing of campaigns or quotas.
package velents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// operation is one kind of request of the platform's API.
type operation struct {
	name   string // as errors say it
	method string
	path   string // below the base URL; {id} stands for one escaped segment
}

// The paths of Batch, Dispatch and the Support Center are known. The three reads of an
// agent are published without their paths, so those are guesses.
var (
	opBatch    = operation{"create batch", http.MethodPost, "/Integration/Agent/Batch"}
	opDispatch = operation{"dispatch", http.MethodPost, "/Integration/Agent/Dispatch"}

	opAgent       = operation{"agent details", http.MethodGet, "/Integration/Agent"}
	opValueKeys   = operation{"value keys", http.MethodGet, "/Integration/Agent/Values"}
	opCSVTemplate = operation{"csv template", http.MethodGet, "/Integration/Agent/CsvFile"}

	opMe           = operation{"tenant identity", http.MethodGet, "/Company/TenantAuth/me"}
	opListTickets  = operation{"list tickets", http.MethodGet, "/Company/Support/Tickets"}
	opCreateTicket = operation{"create ticket", http.MethodPost, "/Company/Support/Tickets"}
	opTicket       = operation{"show ticket", http.MethodGet, "/Company/Support/Tickets/{id}"}
	opSendMessage  = operation{"send message", http.MethodPost, "/Company/Conversation/{id}/Send"}
	opHistory      = operation{"conversation history", http.MethodGet, "/Company/Conversation/{id}/history"}
)

// ErrUnreadable is a success whose body could not be read: it has an unknown shape, or the
// answer to a GET was cut off or too long. The platform does not publish its bodies, so
// callers should warn and go on.
var ErrUnreadable = errors.New("unreadable answer")

// Client uses the API of one agent; the token is the agent. It is safe for concurrent use.
type Client struct{ api *api }

// New makes a Client. It sends nothing.
func New(cfg Config) (*Client, error) {
	a, err := newAPI(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{a}, nil
}

// Batch starts a conversation with every contact of b. A nil error means that the platform
// accepted them: it answered 2xx with any JSON or without a body.
func (c *Client) Batch(ctx context.Context, b Batch) (Answer, error) {
	return c.start(ctx, opBatch, b.appendJSON(nil))
}

// Dispatch starts a conversation with one contact. A nil error means what it means for
// Batch.
func (c *Client) Dispatch(ctx context.Context, d Dispatch) (Answer, error) {
	return c.start(ctx, opDispatch, d.appendJSON(nil))
}

func (c *Client) start(ctx context.Context, op operation, body []byte) (Answer, error) {
	answer, r, err := c.api.do(ctx, op, target{}, body)
	if err != nil {
		return answer, err
	}
	answer.ID = findID(r.body)
	return answer, nil
}

// Agent describes the agent behind a token. Only Raw is sure to be set.
type Agent struct {
	ID   string
	Name string
	Raw  json.RawMessage // the platform's own object
}

// Agent reads the agent's details. A nil error or ErrUnreadable both mean that
// the platform took the token.
func (c *Client) Agent(ctx context.Context) (Agent, Answer, error) {
	var wire struct{ ID, Name text }
	raw, answer, err := c.api.read(ctx, opAgent, target{}, &wire)
	if err != nil {
		return Agent{}, answer, err
	}
	return Agent{ID: string(wire.ID), Name: string(wire.Name), Raw: raw}, answer, nil
}

// ValueKeys reads the names of the values the agent wants for each contact, in
// the platform's order, or sorted where it gives none.
func (c *Client) ValueKeys(ctx context.Context) ([]string, Answer, error) {
	answer, r, err := c.api.do(ctx, opValueKeys, target{}, nil)
	if err != nil {
		return nil, answer, err
	}
	keys, ok := findKeys(r.body)
	if !r.whole || !ok {
		return nil, answer, opValueKeys.failed(ErrUnreadable)
	}
	return keys, answer, nil
}

// CSVTemplate reads the agent's own template of a contact file.
func (c *Client) CSVTemplate(ctx context.Context) ([]byte, Answer, error) {
	answer, r, err := c.api.do(ctx, opCSVTemplate, target{}, nil)
	if err != nil {
		return nil, answer, err
	}
	if !r.whole || len(r.body) == 0 {
		return nil, answer, opCSVTemplate.failed(ErrUnreadable)
	}
	return r.body, answer, nil
}

// failed is err as an error of the operation.
func (op operation) failed(err error) error {
	return fmt.Errorf("velents: %s: %w", op.name, err)
}
