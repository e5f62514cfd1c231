package velents

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newSupport(t *testing.T, baseURL string) *Support {
	t.Helper()
	s, err := NewSupport(Config{BaseURL: baseURL, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSupportFlow(t *testing.T) {
	mux := http.NewServeMux()
	reply := func(pattern, wantBody, answer string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != wantBody {
				t.Errorf("%s: body = %s, want %s", pattern, body, wantBody)
			}
			io.WriteString(w, answer)
		})
	}
	const ticketJSON = `{"id":5,"public_id":"T-5","conversation_id":88,"subject":"Late","status":"open","created_at":"2025-11-13 23:24:50"}`
	reply("GET /Company/TenantAuth/me", "", `{"data":{"id":1,"name":"Acme","abilities":["tickets:view"]}}`)
	reply("POST /Company/Support/Tickets", `{"priority":"high","subject":"Late"}`, `{"data":`+ticketJSON+`}`)
	reply("GET /Company/Support/Tickets/{id}", "", `{"data":`+ticketJSON+`}`)
	reply("POST /Company/Conversation/88/Send", `{"message":"Where is \"it\"?"}`, `{"data":{"id":"m-1"}}`)
	reply("GET /Company/Conversation/88/history", "", `{"data":[{"role":"customer","message":"Hello","created_at":"2025-11-13T23:24:50Z"},7]}`)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	s, ctx := newSupport(t, srv.URL), t.Context()

	at := time.Date(2025, 11, 13, 23, 24, 50, 0, time.UTC)
	want := Ticket{ID: "T-5", ConversationID: "88", Subject: "Late", Status: "open", CreatedAt: at, Raw: []byte(ticketJSON)}

	me, _, err := s.Me(ctx)
	if diff := cmp.Diff(Tenant{"1", "Acme", []string{"tickets:view"}, []byte(`{"id":1,"name":"Acme","abilities":["tickets:view"]}`)}, me); err != nil || diff != "" {
		t.Errorf("Me: %v (-want +got):\n%s", err, diff)
	}
	more := map[string]any{"priority": "high"}
	made, answer, err := s.CreateTicket(ctx, NewTicket{Subject: "Late", More: more})
	if diff := cmp.Diff(want, made); err != nil || diff != "" || answer.ID != "T-5" || len(more) != 1 {
		t.Errorf("CreateTicket: %v, %+v (-want +got):\n%s", err, answer, diff)
	}
	shown, _, err := s.Ticket(ctx, "T-5")
	if diff := cmp.Diff(want, shown); err != nil || diff != "" {
		t.Errorf("Ticket: %v (-want +got):\n%s", err, diff)
	}
	if answer, err := s.SendMessage(ctx, "88", `Where is "it"?`); err != nil || answer.ID != "m-1" {
		t.Errorf("SendMessage: %v, %+v", err, answer)
	}
	history, _, err := s.History(ctx, "88")
	if diff := cmp.Diff([]Turn{{"customer", "Hello", at}}, history); err != nil || diff != "" {
		t.Errorf("History: %v (-want +got):\n%s", err, diff)
	}
}

func TestSupportUnreadable(t *testing.T) {
	for _, body := range []string{`null`, `7`, `{"data":7}`, `{"data":[7]}`, `{"data":[null]}`, ``} {
		t.Run(body, func(t *testing.T) {
			url, _ := answerWith(t, 200, "application/json", body)
			s := newSupport(t, url)
			_, _, listing := s.ListTickets(t.Context(), nil)
			if !errors.Is(listing, ErrUnreadable) {
				t.Errorf("ListTickets: %v, want ErrUnreadable", listing)
			}
			if body == `{"data":7}` {
				return // an object, if not a very telling one
			}
			if _, _, err := s.Ticket(t.Context(), "t-1"); !errors.Is(err, ErrUnreadable) {
				t.Errorf("Ticket: %v, want ErrUnreadable", err)
			}
			if _, _, err := s.Me(t.Context()); !errors.Is(err, ErrUnreadable) {
				t.Errorf("Me: %v, want ErrUnreadable", err)
			}
		})
	}
}

func TestIDsStaySegments(t *testing.T) {
	url, asked := answerWith(t, 200, "application/json", `{}`)
	s := newSupport(t, url)
	for _, id := range []string{"", ".", ".."} {
		*asked = ""
		if _, _, err := s.Ticket(t.Context(), id); err == nil || *asked != "" {
			t.Errorf("Ticket(%q): %v, asked %q", id, err, *asked)
		}
	}
	if _, _, err := s.Ticket(t.Context(), "../a/b?c#d%2e"); err != nil || *asked != "GET /Company/Support/Tickets/..%2Fa%2Fb%3Fc%23d%252e" {
		t.Errorf("asked %s, %v", *asked, err)
	}
}

func TestCreateTicketRefusesWhatIsNoJSON(t *testing.T) {
	url, asked := answerWith(t, 200, "application/json", `{}`)
	if _, _, err := newSupport(t, url).CreateTicket(t.Context(), NewTicket{More: map[string]any{"a": func() {}}}); err == nil || *asked != "" {
		t.Errorf("error = %v, asked %q", err, *asked)
	}
}

func TestListTickets(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, tt := range []struct {
		name  string
		pages map[string]string // by query
		want  []string
	}{
		{"a single page", map[string]string{"": `{"data":[{"id":1},{"id":2}]}`}, []string{"1", "2"}},
		{"a bare list", map[string]string{"": `[{"id":1}]`}, []string{"1"}},
		{"links, even to another host, are asked of this one", map[string]string{
			"":       `{"data":[{"id":1}],"links":{"next":"` + other.URL + `/evil?page=2"}}`,
			"page=2": `{"data":[{"id":2}],"links":{"next":null}}`,
		}, []string{"1", "2"}},
		{"page numbers", map[string]string{
			"":       `{"data":[{"id":1}],"meta":{"current_page":1,"last_page":2}}`,
			"page=2": `{"data":[{"id":2}],"meta":{"current_page":2,"last_page":2}}`,
		}, []string{"1", "2"}},
		{"a page that is its own next is the last", map[string]string{
			"":       `{"data":[{"id":1}],"links":{"next":"/x?page=2"}}`,
			"page=2": `{"data":[{"id":2}],"links":{"next":"/x?page=2"}}`,
		}, []string{"1", "2"}},
		{"an empty page is the last", map[string]string{"": `{"data":[],"links":{"next":"/x?page=2"}}`}, nil},
		{"links and meta of other types are none", map[string]string{"": `{"data":[{"id":1}],"links":[],"meta":"x"}`}, []string{"1"}},
		{"a link that cannot be read is none", map[string]string{"": `{"data":[{"id":1}],"links":{"next":"http://%zz"}}`}, []string{"1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page, ok := tt.pages[r.URL.RawQuery]
				if !ok || r.URL.Path != "/Company/Support/Tickets" {
					t.Errorf("asked for %s", r.RequestURI)
				}
				io.WriteString(w, page)
			}))
			defer srv.Close()
			s := newSupport(t, srv.URL)
			var got []string
			for page := (Page{Next: &Cursor{}}); page.Next != nil; {
				var err error
				if page, _, err = s.ListTickets(t.Context(), page.Next); err != nil {
					t.Fatal(err)
				}
				for _, ticket := range page.Tickets {
					got = append(got, ticket.ID)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("tickets (-want +got):\n%s", diff)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went to another host", n)
	}
}

func TestListTicketsIsBounded(t *testing.T) {
	url, asked := answerWith(t, 200, "application/json", `{"data":[{"id":1}],"links":{"next":"/x?cursor=`+strings.Repeat("a", maxCursorBytes)+`"}}`)
	s := newSupport(t, url)
	if _, _, err := s.ListTickets(t.Context(), nil); err == nil || err.Error() != "velents: list tickets: next page: link too long" {
		t.Errorf("error = %v, want link too long", err)
	}
	*asked = ""
	_, _, err := s.ListTickets(t.Context(), &Cursor{page: maxPages})
	if want := fmt.Sprintf("velents: list tickets: more than %d pages", maxPages); err == nil || err.Error() != want || *asked != "" {
		t.Errorf("error = %v, asked %q, want %s", err, *asked, want)
	}
}
