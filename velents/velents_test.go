package velents

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answerWith serves body to every request, with the path it was asked for.
func answerWith(t *testing.T, status int, contentType, body string) (baseURL string, asked *string) {
	t.Helper()
	asked = new(string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = r.Method + " " + r.RequestURI
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestValueKeys(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       []string
		unreadable bool
	}{
		{"a list", `["name","order"]`, []string{"name", "order"}, false},
		{"a list under data", `{"data":["order","name","order"]}`, []string{"order", "name"}, false},
		{"a list under values under data", `{"data":{"values":["name"]}}`, []string{"name"}, false},
		{"objects with a key", `{"values":[{"key":"name","name":"Their name"},{"key":"order"}]}`, []string{"name", "order"}, false},
		{"objects with a name", `{"data":[{"id":1,"name":"order"}]}`, []string{"order"}, false},
		{"a map", `{"order":"1212","name":"Layla"}`, []string{"name", "order"}, false},
		{"a map under data", `{"data":{"order":null,"name":{}},"message":"ok"}`, []string{"name", "order"}, false},
		{"none", `{"data":[]}`, []string{}, false},
		{"an envelope around nothing", `{"status":true,"message":"ok"}`, nil, true},
		{"an envelope around null", `{"data":null,"message":"ok"}`, nil, true},
		{"null", `null`, nil, true},
		{"a number", `7`, nil, true},
		{"a list of numbers", `[1,2]`, nil, true},
		{"a list with a gap", `["name",""]`, nil, true},
		{"a list without end", `["a"` + strings.Repeat(`,"a"`, maxKeys) + `]`, nil, true},
		{"data in data in data", `{"data":{"data":{"data":{"data":["name"]}}}}`, nil, true},
		{"half of it", `["name"`, nil, true},
		{"nothing", ``, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, asked := answerWith(t, 200, "application/json", tt.body)
			got, answer, err := newClient(t, url).ValueKeys(t.Context())
			if errors.Is(err, ErrUnreadable) != tt.unreadable || (err != nil) != tt.unreadable {
				t.Errorf("error = %v, unreadable: %t", err, tt.unreadable)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if answer.Status != 200 || *asked != "GET /Integration/Agent/Values" {
				t.Errorf("answer = %+v to %s", answer, *asked)
			}
		})
	}
}

func TestAgent(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       Agent
		unreadable bool
	}{
		{"bare", `{"id":12,"name":"Nora"}`, Agent{"12", "Nora", []byte(`{"id":12,"name":"Nora"}`)}, false},
		{"under data", `{"data":{"id":"a-1","name":"Nora"}}`, Agent{"a-1", "Nora", []byte(`{"id":"a-1","name":"Nora"}`)}, false},
		{"with names of another type", `{"id":[],"name":{"en":"Nora"}}`, Agent{"", "", []byte(`{"id":[],"name":{"en":"Nora"}}`)}, false},
		{"a list", `[]`, Agent{}, true},
		{"null", `null`, Agent{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, asked := answerWith(t, 200, "application/json", tt.body)
			got, answer, err := newClient(t, url).Agent(t.Context())
			if errors.Is(err, ErrUnreadable) != tt.unreadable || (err != nil) != tt.unreadable {
				t.Errorf("error = %v, unreadable: %t", err, tt.unreadable)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("agent (-want +got):\n%s", diff)
			}
			if answer.Status != 200 || *asked != "GET /Integration/Agent" {
				t.Errorf("answer = %+v to %s", answer, *asked)
			}
		})
	}
}

func TestCSVTemplate(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, body string
		unreadable              bool
	}{
		{"a file", "text/csv", "phone,name\r\n", false},
		{"a file of another type", "application/octet-stream", "phone,name\r\n", false},
		{"nothing", "text/csv", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, asked := answerWith(t, 200, tt.contentType, tt.body)
			got, _, err := newClient(t, url).CSVTemplate(t.Context())
			if errors.Is(err, ErrUnreadable) != tt.unreadable || (err != nil) != tt.unreadable {
				t.Errorf("error = %v, unreadable: %t", err, tt.unreadable)
			}
			if !tt.unreadable && string(got) != tt.body {
				t.Errorf("template = %q", got)
			}
			if *asked != "GET /Integration/Agent/CsvFile" {
				t.Errorf("asked %s", *asked)
			}
		})
	}
}

// everyCall makes each request there is.
func everyCall(t *testing.T, url string) map[string]func() (Answer, error) {
	t.Helper()
	c := newClient(t, url)
	s, err := NewSupport(Config{BaseURL: url, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func() (Answer, error){
		"agent details":        func() (Answer, error) { _, a, err := c.Agent(t.Context()); return a, err },
		"value keys":           func() (Answer, error) { _, a, err := c.ValueKeys(t.Context()); return a, err },
		"csv template":         func() (Answer, error) { _, a, err := c.CSVTemplate(t.Context()); return a, err },
		"create batch":         func() (Answer, error) { return c.Batch(t.Context(), Batch{}) },
		"dispatch":             func() (Answer, error) { return c.Dispatch(t.Context(), Dispatch{}) },
		"tenant identity":      func() (Answer, error) { _, a, err := s.Me(t.Context()); return a, err },
		"list tickets":         func() (Answer, error) { _, a, err := s.ListTickets(t.Context(), nil); return a, err },
		"create ticket":        func() (Answer, error) { _, a, err := s.CreateTicket(t.Context(), NewTicket{}); return a, err },
		"show ticket":          func() (Answer, error) { _, a, err := s.Ticket(t.Context(), "t-1"); return a, err },
		"send message":         func() (Answer, error) { return s.SendMessage(t.Context(), "c-1", "Hello") },
		"conversation history": func() (Answer, error) { _, a, err := s.History(t.Context(), "c-1"); return a, err },
	}
}

func TestEveryCallReportsRefusals(t *testing.T) {
	url, _ := answerWith(t, 401, "application/json", `{"message":"Unauthenticated."}`)
	for name, call := range everyCall(t, url) {
		t.Run(name, func(t *testing.T) {
			answer, err := call()
			if err == nil || err.Error() != "velents: "+name+": status 401: Unauthenticated." || answer.Status != 401 {
				t.Errorf("answer %+v, error %v", answer, err)
			}
		})
	}
}

func TestNoCallTakesAPageForAnAnswer(t *testing.T) {
	url, _ := answerWith(t, 200, "text/html; charset=UTF-8", "<!doctype html><title>Sign in</title>")
	for name, call := range everyCall(t, url) {
		t.Run(name, func(t *testing.T) {
			answer, err := call()
			var odd *Error
			if !errors.As(err, &odd) || !odd.Page || odd.Message != "a web page where the platform's answer is due (Sign in)" || answer.Status != 200 {
				t.Errorf("answer %+v, error %v", answer, err)
			}
		})
	}
}

func TestFindID(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"a number", `{"id":7}`, "7"},
		{"the public one first", `{"data":{"id":7,"public_id":"b-7","message":{"a":1}}}`, "b-7"},
		{"of a conversation", `{"conversation_id":"c-1"}`, "c-1"},
		{"none", `{"message":"ok"}`, ""},
		{"one that is no id", `{"id":{"a":1},"uuid":"` + strings.Repeat("a", maxIDBytes+1) + `"}`, ""},
		{"a list", `[7]`, ""},
		{"no JSON", `ok`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := findID([]byte(tt.body)); got != tt.want {
				t.Errorf("findID = %q, want %q", got, tt.want)
			}
		})
	}
}
