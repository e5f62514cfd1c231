package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

type desk struct {
	mu      sync.Mutex
	tickets []*ticket // in order of creation
}

type ticket struct {
	tenant   string
	messages []message

	PublicID       string    `json:"public_id"`
	ConversationID string    `json:"conversation_id"`
	Subject        string    `json:"subject"`
	Status         string    `json:"status"`
	CreatedAt      time.Time `json:"created_at"`
}

type message struct {
	Role      string    `json:"role"`
	Message   string    `json:"message"`
	Timestamp time.Time `json:"timestamp"`
}

func tenantIn(r *http.Request) string { return r.Context().Value(tenantKey{}).(string) }

func (s *Server) me(out *reply, r *http.Request) {
	abilities, _ := s.supports(bearer(r))
	tenant := tenantIn(r)
	out.json(http.StatusOK, map[string]any{"data": map[string]any{
		"id":        tenant,
		"name":      "Sandbox tenant " + tenant,
		"abilities": abilities,
	}})
}

const (
	defaultPerPage = 15
	maxPerPage     = 100
)

func (s *Server) listTickets(out *reply, r *http.Request) {
	page, perPage := atLeastOne(r.FormValue("page"), 1), min(atLeastOne(r.FormValue("per_page"), defaultPerPage), maxPerPage)
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	mine := []*ticket{}
	for _, t := range slices.Backward(s.desk.tickets) { // the newest first
		if t.tenant == tenantIn(r) {
			mine = append(mine, t)
		}
	}
	last := max(1, (len(mine)+perPage-1)/perPage)
	link := func(n int) any {
		if n < 1 || n > last {
			return nil
		}
		return fmt.Sprintf("http://%s%s?page=%d&per_page=%d", r.Host, r.URL.Path, n, perPage)
	}
	from := len(mine)
	if page <= last {
		from = (page - 1) * perPage
	}
	out.json(http.StatusOK, map[string]any{
		"data":  mine[from:min(from+perPage, len(mine))],
		"meta":  map[string]any{"current_page": page, "last_page": last, "per_page": perPage, "total": len(mine)},
		"links": map[string]any{"first": link(1), "last": link(last), "prev": link(page - 1), "next": link(page + 1)},
	})
}

// atLeastOne reads a number of a query, or returns otherwise.
func atLeastOne(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 1 {
		return n
	}
	return otherwise
}

func (s *Server) createTicket(out *reply, r *http.Request) {
	v := violations{laravel: s.cfg.Laravel}
	subject := v.text(input(r), "subject", 255)
	if v.refuse(out, r, false) {
		return
	}
	t := &ticket{
		tenant:         tenantIn(r),
		messages:       []message{},
		PublicID:       randomID(),
		ConversationID: randomID(),
		Subject:        subject,
		Status:         "open",
		CreatedAt:      time.Now().UTC(),
	}
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	s.desk.tickets = append(s.desk.tickets, t)
	out.json(http.StatusCreated, map[string]any{"data": t})
}

// withTicket locks the desk and calls use with the tenant's ticket whose id is in the path,
// or answers 404.
func (s *Server) withTicket(out *reply, r *http.Request, id func(*ticket) string, use func(*ticket)) {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	for _, t := range s.desk.tickets {
		if t.tenant == tenantIn(r) && id(t) == r.PathValue("id") {
			use(t)
			return
		}
	}
	out.fail(http.StatusNotFound, "Not found.")
}

func publicID(t *ticket) string       { return t.PublicID }
func conversationID(t *ticket) string { return t.ConversationID }

func (s *Server) showTicket(out *reply, r *http.Request) {
	s.withTicket(out, r, publicID, func(t *ticket) { out.json(http.StatusOK, map[string]any{"data": t}) })
}

func (s *Server) sendMessage(out *reply, r *http.Request) {
	s.withTicket(out, r, conversationID, func(t *ticket) {
		v := violations{laravel: s.cfg.Laravel}
		said := v.text(input(r), "message", 10_000)
		if v.refuse(out, r, false) {
			return
		}
		now := time.Now().UTC()
		answer := message{"agent", "Thank you, we have received your message.", now}
		t.messages = append(t.messages, message{"customer", said, now}, answer)
		out.json(http.StatusOK, map[string]any{"data": answer})
	})
}

func (s *Server) history(out *reply, r *http.Request) {
	s.withTicket(out, r, conversationID, func(t *ticket) { out.json(http.StatusOK, map[string]any{"data": t.messages}) })
}
