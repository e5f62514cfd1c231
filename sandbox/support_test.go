package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// ask makes a request as a tenant and reads the answer into it.
func ask(t *testing.T, h http.Handler, token, method, path, body string, status int, into any) {
	t.Helper()
	w := callAs(h, token, method, path, body)
	if w.Code != status {
		t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

func TestTickets(t *testing.T) {
	const ours, others = "Shop_12_5_secret", "Shop_13_5_secret"
	s := newServer(t, Config{Limit: Unlimited})

	var me struct {
		Data struct {
			ID        string
			Abilities []string
		}
	}
	ask(t, s, ours, "GET", "/Company/TenantAuth/me", "", 200, &me)
	if me.Data.ID != "12" || len(me.Data.Abilities) != 1 {
		t.Errorf("me: %+v", me)
	}

	var created struct {
		Data struct {
			PublicID       string `json:"public_id"`
			ConversationID string `json:"conversation_id"`
			Subject        string
		}
	}
	ask(t, s, ours, "POST", "/Company/Support/Tickets", `{"subject":"كشف حساب","priority":"high"}`, 201, &created)
	ticket := "/Company/Support/Tickets/" + created.Data.PublicID
	conversation := "/Company/Conversation/" + created.Data.ConversationID
	ask(t, s, ours, "GET", ticket, "", 200, &created)
	if created.Data.Subject != "كشف حساب" {
		t.Errorf("ticket %+v", created)
	}

	var history struct {
		Data []struct{ Role, Message, Timestamp string }
	}
	ask(t, s, ours, "GET", conversation+"/history", "", 200, &history)
	if history.Data == nil || len(history.Data) != 0 {
		t.Errorf("history of a new ticket: %v", history.Data)
	}
	var answer struct{ Data struct{ Role string } }
	ask(t, s, ours, "POST", conversation+"/Send", `{"message":"hello?"}`, 200, &answer)
	ask(t, s, ours, "GET", conversation+"/history", "", 200, &history)
	if len(history.Data) != 2 || history.Data[0].Message != "hello?" || answer.Data.Role != "agent" {
		t.Errorf("history %v, answer %v", history.Data, answer)
	}

	for _, tt := range []struct {
		name                string
		token, method, path string
		body                string
		status              int
		answer              string
	}{
		{"a ticket needs a subject", ours, "POST", "/Company/Support/Tickets", `{}`, 422,
			`{"errors":{"subject":["The subject field is required."]},"message":"The subject field is required."}`},
		{"what is no JSON has no subject", ours, "POST", "/Company/Support/Tickets", `x`, 422,
			`{"errors":{"subject":["The subject field is required."]},"message":"The subject field is required."}`},
		{"nor a message", ours, "POST", conversation + "/Send", `x`, 422,
			`{"errors":{"message":["The message field is required."]},"message":"The message field is required."}`},
		{"a message is not blank", ours, "POST", conversation + "/Send", `{"message":""}`, 422,
			`{"errors":{"message":["The message field is required."]},"message":"The message field is required."}`},
		{"another tenant's ticket", others, "GET", ticket, "", 404, `{"message":"Not found."}`},
		{"a message to another tenant's conversation", others, "POST", conversation + "/Send", `{"message":"x"}`, 404, `{"message":"Not found."}`},
		{"another tenant's history", others, "GET", conversation + "/history", "", 404, `{"message":"Not found."}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := callAs(s, tt.token, tt.method, tt.path, tt.body)
			if w.Code != tt.status || w.Body.String() != tt.answer {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.answer)
			}
		})
	}
}

func TestTicketPages(t *testing.T) {
	const token = "Shop_12_5_secret"
	s := newServer(t, Config{Limit: Unlimited})
	for i := range 5 {
		callAs(s, token, "POST", "/Company/Support/Tickets", fmt.Sprintf(`{"subject":"%d"}`, i+1))
	}
	callAs(s, "Shop_13_5_secret", "POST", "/Company/Support/Tickets", `{"subject":"not ours"}`)
	for _, tt := range []struct {
		name       string
		query      string
		subjects   string
		page, last int
		prev, next string
	}{
		{"all on one page, the newest first", "", "54321", 1, 1, "", ""},
		{"the first page", "?per_page=2", "54", 1, 3, "", "/Company/Support/Tickets?page=2&per_page=2"},
		{"a page in the middle", "?per_page=2&page=2", "32", 2, 3, "/Company/Support/Tickets?page=1&per_page=2", "/Company/Support/Tickets?page=3&per_page=2"},
		{"the last page", "?per_page=2&page=3", "1", 3, 3, "/Company/Support/Tickets?page=2&per_page=2", ""},
		{"beyond the last", "?per_page=2&page=9", "", 9, 3, "", ""},
		{"a page that is not a number", "?page=x&per_page=-1", "54321", 1, 1, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var list struct {
				Data []struct{ Subject string }
				Meta struct {
					CurrentPage int `json:"current_page"`
					LastPage    int `json:"last_page"`
					Total       int
				}
				Links struct{ Prev, Next string }
			}
			ask(t, s, token, "GET", "/Company/Support/Tickets"+tt.query, "", 200, &list)
			subjects := ""
			for _, ticket := range list.Data {
				subjects += ticket.Subject
			}
			if subjects != tt.subjects || list.Meta.CurrentPage != tt.page || list.Meta.LastPage != tt.last || list.Meta.Total != 5 {
				t.Errorf("got %q, %+v", subjects, list.Meta)
			}
			for _, link := range [][2]string{{list.Links.Prev, tt.prev}, {list.Links.Next, tt.next}} {
				if got := strings.TrimPrefix(link[0], "http://example.com"); got != link[1] {
					t.Errorf("link %q, want %q", got, link[1])
				}
			}
		})
	}
}
