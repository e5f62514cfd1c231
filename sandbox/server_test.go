package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	batchPath    = "/Integration/Agent/Batch"
	dispatchPath = "/Integration/Agent/Dispatch"
)

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// call makes a request as an agent, without a network.
func call(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	return callAs(h, "agent", method, path, body)
}

func callAs(h http.Handler, token, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func batchOf(phones ...string) string {
	var rows []map[string]any
	for _, phone := range phones {
		rows = append(rows, map[string]any{"phone": phone})
	}
	body, _ := json.Marshal(map[string]any{"channel_id": 3, "name": "offer", "rows": rows})
	return string(body)
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"a limit that is not a number of requests", Config{Limit: -2}, "limit -2: want a number of requests, or Unlimited"},
		{"a negative window", Config{Window: -1}, "window -1ns: want more than 0"},
		{"a negative number of rows", Config{MaxRows: -1}, "rows -1: want more than 0"},
		{"a negative size", Config{MaxBody: -1}, "body of -1 bytes: want more than 0"},
		{"a negative size for PHP", Config{MaxPost: -1}, "body of -1 bytes: want more than 0"},
		{"a negative overrun", Config{Overrun: -1}, "overrun -1: want 0 or more requests"},
		{"a version from before our time", Config{Laravel: 7}, "laravel 7: want version 8 or later"},
		{"an unknown shape", Config{ValuesShape: "xml"}, `values shape "xml": want list, objects, map or data`},
		{"a bad number that is no number, without repeating it", Config{BadNumbers: []string{"+966501234567", "0501234567"}}, "bad number 2: want a plus and 7 to 15 digits"},
		{"too many faults", Config{Faults: Faults{Hang: 1, ResetAfter: 1}}, "faults: shares add up to 2: want 1 at most"},
		{"negative concurrency", Config{Webhooks: Webhooks{Concurrency: -1}}, "webhooks: concurrency -1: want more than 0"},
		{"a negative delay", Config{Webhooks: Webhooks{Delay: -1}}, "webhooks: delay -1ns: want 0 or more"},
		{"a share above 1", Config{Webhooks: Webhooks{Disorder: 2}}, "webhooks: duplicates, disorder, no answer, opt-out and late answer: want shares from 0 to 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg); err == nil || err.Error() != tt.want {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestValidation(t *testing.T) {
	s := newServer(t, Config{
		Limit: Unlimited, ValueKeys: []string{"name", "order_id"}, MaxRows: 3, BadNumbers: []string{"+966500000000"},
	})
	const good = `{"phone":"+966501234567","values":{"name":"سارة","order_id":12}}`
	batch := func(rows string) string { return `{"channel_id":3,"name":"offer","rows":[` + rows + `]}` }
	type errs map[string][]string
	nothing := errs{"channel_id": {"The channel id field is required."}, "name": {"The name field is required."}, "rows": {"The rows field is required."}}
	required := func(field string) errs { return errs{field: {"The " + field + " field is required."}} }

	for _, tt := range []struct {
		name   string
		path   string
		body   string
		status int
		errors errs
	}{
		{"a batch in order", batchPath, batch(good + "," + good), 200, nil},
		{"a number twice in a batch is the caller's own doing", batchPath, batch(good + "," + good), 200, nil},
		{"one with a webhook", batchPath, `{"channel_id":7,"name":"offer","rows":[` + good + `],"webhook":{"link":"https://example.com/in","body":[],"headers":{}}}`, 200, nil},
		{"a webhook of null is none", batchPath, `{"channel_id":7,"name":"offer","rows":[` + good + `],"webhook":null}`, 200, nil},
		{"an empty batch", batchPath, `{}`, 422, nothing},
		{"an unknown channel", batchPath, `{"channel_id":4,"name":"offer","rows":[` + good + `]}`, 422, errs{"channel_id": {"The selected channel id is invalid."}}},
		{"a channel that is no integer", batchPath, `{"channel_id":3.5,"name":"offer","rows":[` + good + `]}`, 422, errs{"channel_id": {"The channel id field must be an integer.", "The selected channel id is invalid."}}},
		{"a channel in quotes", batchPath, `{"channel_id":"3","name":"offer","rows":[` + good + `]}`, 200, nil},
		{"rows given as an object", batchPath, `{"channel_id":3,"name":"offer","rows":{"a":` + good + `}}`, 200, nil},
		{"a blank name", batchPath, `{"channel_id":3,"name":" ","rows":[` + good + `]}`, 422, required("name")},
		{"a name that is not text", batchPath, `{"channel_id":3,"name":5,"rows":[` + good + `]}`, 422, errs{"name": {"The name field must be a string."}}},
		{"a name too long", batchPath, `{"channel_id":3,"name":"` + strings.Repeat("x", 256) + `","rows":[` + good + `]}`, 422, errs{"name": {"The name field must not be greater than 255 characters."}}},
		{"no rows", batchPath, batch(""), 422, required("rows")},
		{"rows that are not a list", batchPath, `{"channel_id":3,"name":"offer","rows":"all"}`, 422, errs{"rows": {"The rows field must be an array."}}},
		{"more rows than allowed", batchPath, batch(good + "," + good + "," + good + "," + good), 422, errs{"rows": {"The rows field must not have more than 3 items."}}},
		{"a row that is no object lacks every field", batchPath, batch(good + `,"x"`), 422, errs{
			"rows.1.phone":       {"The rows.1.phone field is required."},
			"rows.1.values.name": {"The rows.1.values.name field is required."}, "rows.1.values.order_id": {"The rows.1.values.order_id field is required."}}},
		{"rows without phones", batchPath, batch(`{"values":{"name":"a","order_id":1}},{"phone":"","values":{"name":"a","order_id":1}}`), 422, errs{
			"rows.0.phone": {"The rows.0.phone field is required."}, "rows.1.phone": {"The rows.1.phone field is required."}}},
		{"a national number among good ones", batchPath, batch(good + `,{"phone":"0501234567","values":{"name":"a","order_id":1}},` + good), 422, errs{
			"rows.1.phone": {"The rows.1.phone field must be a valid phone number."}}},
		{"a phone that is a number", batchPath, batch(`{"phone":966501234567,"values":{"name":"a","order_id":1}}`), 422, errs{
			"rows.0.phone": {"The rows.0.phone field must be a string.", "The rows.0.phone field must be a valid phone number."}}},
		{"a number the platform does not like", batchPath, batch(`{"phone":"+966500000000","values":{"name":"a","order_id":1}}`), 422, errs{"rows.0.phone": {"The selected rows.0.phone is invalid."}}},
		{"a missing and a blank value", batchPath, batch(`{"phone":"+966501234567","values":{"name":"  "}}`), 422, errs{
			"rows.0.values.name": {"The rows.0.values.name field is required."}, "rows.0.values.order_id": {"The rows.0.values.order_id field is required."}}},
		{"values that are no object", batchPath, batch(`{"phone":"+966501234567","values":"a"}`), 422, errs{
			"rows.0.values":      {"The rows.0.values field must be an array."},
			"rows.0.values.name": {"The rows.0.values.name field is required."}, "rows.0.values.order_id": {"The rows.0.values.order_id field is required."}}},
		{"a webhook that is no object", batchPath, `{"channel_id":3,"name":"offer","rows":[` + good + `],"webhook":"https://example.com"}`, 422, errs{"webhook": {"The webhook field must be an array."}}},
		{"a webhook link that is no URL", batchPath, `{"channel_id":3,"name":"offer","rows":[` + good + `],"webhook":{"link":"example","headers":1}}`, 422, errs{
			"webhook.link": {"The webhook.link field must be a valid URL."}, "webhook.headers": {"The webhook.headers field must be an array."}}},
		{"a webhook link of another scheme", batchPath, `{"channel_id":3,"name":"offer","rows":[` + good + `],"webhook":{"link":"ftp://example.com"}}`, 422, errs{"webhook.link": {"The webhook.link field must be a valid URL."}}},
		{"a batch that is cut off", batchPath, `{"channel_id":3,`, 422, nothing},
		{"a batch with something behind it", batchPath, batch(good) + "{}", 422, nothing},
		{"a list", batchPath, `[]`, 422, nothing},
		{"null", batchPath, `null`, 422, nothing},

		{"a dispatch in order", dispatchPath, `{"channel_id":3,` + good[1:], 200, nil},
		{"a dispatch without a contact", dispatchPath, `{"channel_id":3}`, 422, errs{
			"phone": {"The phone field is required."}, "values.name": {"The values.name field is required."}, "values.order_id": {"The values.order id field is required."}}},
		{"a dispatch to a national number", dispatchPath, `{"channel_id":3,"phone":"0501234567","values":{"name":"a","order_id":1}}`, 422, errs{"phone": {"The phone field must be a valid phone number."}}},
		{"a dispatch by an unknown channel", dispatchPath, `{"channel_id":99,` + good[1:], 422, errs{"channel_id": {"The selected channel id is invalid."}}},
		{"a dispatch that is no JSON", dispatchPath, `phone=5`, 422, errs{
			"channel_id": {"The channel id field is required."}, "phone": {"The phone field is required."},
			"values.name": {"The values.name field is required."}, "values.order_id": {"The values.order id field is required."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Stats().Contacts
			w := call(s, "POST", tt.path, tt.body)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			var answer struct {
				Message string
				Errors  errs
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Message == "" {
				t.Fatalf("answer %q: %v", w.Body, err)
			}
			if diff := cmp.Diff(tt.errors, answer.Errors); diff != "" {
				t.Error(diff)
			}
			if reached := s.Stats().Contacts - before; (reached > 0) != (tt.status == 200) {
				t.Errorf("%d contacts reached", reached)
			}
		})
	}
}

func TestTextsOfEachVersion(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version int
		method  string
		path    string
		body    string
		want    string
	}{
		{"8 tells nothing of the errors in its message", 8, "POST", batchPath, batchOf("1"), "The given data was invalid."},
		{"9 tells the first", 9, "POST", batchPath, batchOf("1"), "The rows.0.phone must be a valid phone number."},
		{"and that there is one more", 9, "POST", batchPath, batchOf("1", "2"), "The rows.0.phone must be a valid phone number. (and 1 more error)"},
		{"10 says field", 10, "POST", batchPath, batchOf("1"), "The rows.0.phone field must be a valid phone number."},
		{"and counts the others", 10, "POST", batchPath, batchOf("1", "2", "3"), "The rows.0.phone field must be a valid phone number. (and 2 more errors)"},
		{"each message of a field counts", 10, "POST", dispatchPath, `{"channel_id":3,"phone":1}`, "The phone field must be a string. (and 1 more error)"},
		{"10 names a route it does not know", 10, "GET", "/nowhere", "", "The route nowhere could not be found."},
		{"8 does not", 8, "GET", "/nowhere", "", ""},
		{"10 names the route of a wrong method", 10, "GET", batchPath, "", "The GET method is not supported for route Integration/Agent/Batch. Supported methods: POST."},
		{"8 does not", 8, "GET", batchPath, "", "The GET method is not supported for this route. Supported methods: POST."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, Config{Laravel: tt.version})
			var answer struct{ Message string }
			if err := json.Unmarshal(call(s, tt.method, tt.path, tt.body).Body.Bytes(), &answer); err != nil || answer.Message != tt.want {
				t.Errorf("message %q, %v, want %q", answer.Message, err, tt.want)
			}
		})
	}
}

func TestUnnamed422(t *testing.T) {
	s := newServer(t, Config{Unnamed422: true})
	for _, tt := range []struct {
		name  string
		path  string
		body  string
		named bool
	}{
		{"a bad row is not named", batchPath, batchOf("+966501234567", "05"), false},
		{"nor is a bad dispatch", dispatchPath, `{"channel_id":3,"phone":"05"}`, false},
		{"the channel still is", batchPath, strings.Replace(batchOf("+966501234567"), ":3", ":4", 1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := call(s, "POST", tt.path, tt.body)
			if w.Code != 422 || strings.Contains(w.Body.String(), "errors") != tt.named {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// Whatever the mix of good and bad rows, a batch is accepted as a whole or not at all,
// and exactly the bad rows are named.
func TestBatchIsAllOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := New(Config{Limit: Unlimited})
		if err != nil {
			t.Fatal(err)
		}
		good := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "good")
		var phones []string
		want := make(map[string]bool)
		for i, ok := range good {
			phone := fmt.Sprintf("+96650%07d", i)
			if !ok {
				phone = rapid.SampledFrom([]string{"0501234567", "+0501234567", "+96650x234567", "+123", "+9665012345678901"}).Draw(t, "bad")
				want[fmt.Sprintf("rows.%d.phone", i)] = true
			}
			phones = append(phones, phone)
		}
		w := call(s, "POST", batchPath, batchOf(phones...))
		var answer struct{ Errors map[string]any }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]bool)
		for field := range answer.Errors {
			got[field] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		reached := 0
		if len(want) == 0 {
			reached = len(good)
		}
		if st := s.Stats(); st.Contacts != reached || st.Numbers != reached {
			t.Fatalf("%d contacts, %d numbers, want %d", st.Contacts, st.Numbers, reached)
		}
	})
}

func TestRoutesAndTokens(t *testing.T) {
	const support = "Shop_12_5_secret"
	open := newServer(t, Config{Limit: Unlimited})
	closed := newServer(t, Config{
		Limit: Unlimited, Tokens: []string{"agent"},
		SupportTokens: map[string][]string{support: {"tickets:view"}, "plain": {"*"}},
	})
	for _, tt := range []struct {
		name         string
		server       *Server
		token        string
		method, path string
		status       int
	}{
		{"any token is an agent", open, "whoever", "GET", "/Integration/Agent", 200},
		{"no token is not an agent", open, "", "GET", "/Integration/Agent", 401},
		{"an agent of the list", closed, "agent", "GET", "/Integration/Agent", 200},
		{"an agent not on the list", closed, "whoever", "GET", "/Integration/Agent", 401},
		{"a support token is no agent where both are listed", closed, support, "GET", "/Integration/Agent", 401},
		{"any token of four parts is support", open, support, "GET", "/Company/TenantAuth/me", 200},
		{"a token with an empty part is not", open, "Shop__5_secret", "GET", "/Company/TenantAuth/me", 401},
		{"an agent's token is not", open, "agent", "GET", "/Company/TenantAuth/me", 401},
		{"a support token not on the list", closed, "Shop_12_5_other", "GET", "/Company/TenantAuth/me", 401},
		{"an ability it has", closed, support, "GET", "/Company/Support/Tickets", 200},
		{"an ability it lacks", closed, support, "POST", "/Company/Support/Tickets", 403},
		{"a listed token of another form", closed, "plain", "GET", "/Company/Support/Tickets", 200},
		{"an unknown path", open, "agent", "GET", "/Integration/Nothing", 404},
		{"a path in another case", open, "agent", "GET", "/integration/agent", 404},
		{"a wrong method", open, "agent", "GET", batchPath, 405},
		{"an unknown page about the sandbox", open, "", "GET", "/sandbox/nothing", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := callAs(tt.server, tt.token, tt.method, tt.path, "{}")
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if allow := w.Header().Get("Allow"); (allow == "POST") != (tt.status == 405) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
	t.Run("another scheme than Bearer is no token", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/Integration/Agent", nil)
		r.SetBasicAuth("agent", "")
		w := httptest.NewRecorder()
		open.ServeHTTP(w, r)
		if w.Code != 302 || w.Header().Get("Location") != "http://example.com/login" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestWhatIsNotDeclaredAsJSONHasNoFields(t *testing.T) {
	s := newServer(t, Config{})
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", ";"} {
		r := httptest.NewRequest("POST", batchPath, strings.NewReader(batchOf("+966501234567")))
		r.Header.Set("Authorization", "Bearer agent")
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 422 || !strings.Contains(w.Body.String(), `"channel_id":`) {
			t.Errorf("%q: %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestClientsThatDoNotAskForJSON(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cfg      Config
		token    string
		path     string
		status   int
		location string
	}{
		{"are sent to sign in without a token", Config{}, "", batchPath, 302, "http://example.com/login"},
		{"are sent back with input that is refused", Config{}, "agent", batchPath, 302, "http://example.com"},
		{"get a page about a route that is not there", Config{}, "agent", "/nowhere", 404, ""},
		{"get a page about an error", Config{Faults: Faults{ServerError: 1}}, "agent", batchPath, 500, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", tt.path, strings.NewReader("{}"))
			r.Header.Set("Accept", "text/html,application/json")
			r.Header.Set("Content-Type", "application/json")
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			w := httptest.NewRecorder()
			newServer(t, tt.cfg).ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Location") != tt.location || !strings.HasPrefix(w.Body.String(), "<!DOCTYPE html>") {
				t.Errorf("%d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
			}
		})
	}
}

func TestBodyTooLarge(t *testing.T) {
	s := newServer(t, Config{MaxBody: 100})
	for _, tt := range []struct {
		name string
		body io.Reader
	}{
		{"by its announced length", strings.NewReader(strings.Repeat("x", 101))},
		{"by what comes", io.MultiReader(strings.NewReader(strings.Repeat("x", 101)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("POST", batchPath, tt.body))
			if w.Code != 413 || !strings.Contains(w.Body.String(), "<h1>413 Request Entity Too Large</h1>") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("for PHP, which says it in JSON without a text", func(t *testing.T) {
		s := newServer(t, Config{MaxBody: 1000, MaxPost: 100})
		w := call(s, "POST", batchPath, strings.Repeat("x", 101))
		if w.Code != 413 || w.Body.String() != `{"message":""}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestLimit(t *testing.T) {
	type seen struct {
		Status                              int
		Limit, Remaining, RetryAfter, Reset string
	}
	look := func(w *httptest.ResponseRecorder) seen {
		h := w.Header()
		return seen{w.Code, h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Remaining"), h.Get("Retry-After"), h.Get("X-RateLimit-Reset")}
	}
	details := func(s *Server, token string) seen { return look(callAs(s, token, "GET", "/Integration/Agent", "")) }
	want := func(t *testing.T, got, want seen) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}

	t.Run("a window of each token, with the headers of Laravel", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{Limit: 2, Window: 5 * time.Second})
			time.Sleep(700 * time.Millisecond)
			end := fmt.Sprint(time.Now().Add(5 * time.Second).Unix())
			want(t, details(s, "a"), seen{200, "2", "1", "", ""})
			want(t, look(callAs(s, "a", "POST", batchPath, "{}")), seen{422, "2", "0", "", ""})
			want(t, details(s, "a"), seen{429, "2", "0", "5", end})
			want(t, details(s, "b"), seen{200, "2", "1", "", ""})
			time.Sleep(4400 * time.Millisecond) // 0.6 s are left, which whole seconds do not show
			want(t, details(s, "a"), seen{429, "2", "0", "0", end})
			time.Sleep(600 * time.Millisecond)
			want(t, details(s, "a"), seen{200, "2", "1", "", ""})

			st := s.Stats().Tokens[TokenID("a")]
			if st.Counted != 3 || st.Windows != 2 || st.MostInWindow != 2 || st.Statuses[429] != 2 || st.Last.Sub(st.First) != 5*time.Second ||
				st.Before != 2 || st.Opened != st.Last {
				t.Errorf("stats %+v", st)
			}
		})
	})
	t.Run("remaining is read when the work is done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{Limit: 10, Window: 5 * time.Second, Faults: Faults{Latency: Span{2 * time.Second, 2 * time.Second}}})
			first := make(chan seen)
			go func() { first <- details(s, "a") }()
			time.Sleep(time.Second)
			later := make(chan seen)
			go func() { later <- details(s, "a") }()
			want(t, <-first, seen{200, "10", "8", "", ""}) // includes the later one
			want(t, <-later, seen{200, "10", "8", "", ""})
			time.Sleep(1500 * time.Millisecond)
			want(t, details(s, "a"), seen{200, "10", "10", "", ""}) // its window is over
		})
	})
	t.Run("server errors are counted, what a proxy answers is not", func(t *testing.T) {
		s := newServer(t, Config{Limit: 3, Faults: Faults{ServerError: 1}})
		want(t, details(s, "a"), seen{500, "3", "2", "", ""})
		_ = s.SetFaults(Faults{TooMany: 1})
		want(t, details(s, "a"), seen{429, "", "", "1", ""})
		_ = s.SetFaults(Faults{Outage: true})
		want(t, details(s, "a"), seen{503, "", "", "", ""})
		_ = s.SetFaults(Faults{ServerError: 1, HTMLErrors: true})
		want(t, details(s, "a"), seen{502, "", "", "", ""}) // counted nevertheless
		_ = s.SetFaults(Faults{})
		want(t, details(s, "a"), seen{200, "3", "0", "", ""})
	})
	t.Run("what is refused before the limit has no headers and does not count", func(t *testing.T) {
		s := newServer(t, Config{Limit: 2, Tokens: []string{"a"}, MaxBody: 1000, MaxPost: 100})
		want(t, details(s, "b"), seen{401, "", "", "", ""})
		want(t, look(callAs(s, "a", "GET", "/nowhere", "")), seen{404, "", "", "", ""})
		want(t, look(callAs(s, "a", "GET", batchPath, "")), seen{405, "", "", "", ""})
		want(t, look(callAs(s, "a", "POST", batchPath, strings.Repeat("x", 101))), seen{413, "", "", "", ""})
		want(t, look(callAs(s, "a", "POST", batchPath, strings.Repeat("x", 1001))), seen{413, "", "", "", ""})
		for form, status := range map[MaintenanceForm]int{FormJSON: 503, FormPage: 503, FormRedirect: 302} {
			_ = s.SetFaults(Faults{Maintenance: true, MaintenanceForm: form})
			want(t, details(s, "a"), seen{status, "", "", "", ""})
		}
		_ = s.SetFaults(Faults{SignIn: true})
		want(t, details(s, "a"), seen{200, "", "", "", ""})
		_ = s.SetFaults(Faults{Unauthorized: true})
		want(t, details(s, "a"), seen{401, "", "", "", ""})
		_ = s.SetFaults(Faults{})
		want(t, details(s, "a"), seen{200, "2", "1", "", ""})
		if st := s.Stats().Tokens[TokenID("a")]; st.Counted != 1 {
			t.Errorf("%d requests are counted", st.Counted)
		}
	})
	t.Run("what loses its answer counts, and has no headers", func(t *testing.T) {
		s := newServer(t, Config{Limit: 9})
		left := 9
		for status, f := range map[int]Faults{500: {Fatal: 1}, 502: {BadGateway: 1}, 504: {GatewayTimeout: 1}, 520: {UnknownError: 1}, 200: {WebPage: 1}} {
			_ = s.SetFaults(f)
			want(t, details(s, "a"), seen{status, "", "", "", ""})
			left--
		}
		_ = s.SetFaults(Faults{})
		want(t, details(s, "a"), seen{200, "9", fmt.Sprint(left - 1), "", ""})
	})
	t.Run("those under way together overrun the limit, and see less than nothing left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{Limit: 1, Overrun: 1, Faults: Faults{Latency: Span{time.Second, time.Second}}})
			both := make(chan seen)
			for range 2 {
				go func() { both <- details(s, "a") }()
			}
			synctest.Wait()
			want(t, details(s, "a"), seen{429, "1", "0", "60", fmt.Sprint(time.Now().Add(time.Minute).Unix())})
			for range 2 {
				want(t, <-both, seen{200, "1", "-1", "", ""})
			}
		})
	})
	t.Run("one that comes alone overruns nothing", func(t *testing.T) {
		s := newServer(t, Config{Limit: 1, Overrun: 5})
		want(t, details(s, "a"), seen{200, "1", "0", "", ""})
		if got := details(s, "a"); got.Status != 429 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("without headers the limit holds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{Limit: 1, NoHeaders: true})
			want(t, details(s, "a"), seen{200, "", "", "", ""})
			want(t, details(s, "a"), seen{429, "", "", "60", ""})
		})
	})
	t.Run("without a limit there is nothing to tell", func(t *testing.T) {
		s := newServer(t, Config{Limit: Unlimited})
		for range 100 {
			want(t, details(s, "a"), seen{200, "", "", "", ""})
		}
	})
	t.Run("a changed limit holds in the open window", func(t *testing.T) {
		s := newServer(t, Config{})
		want(t, details(s, "a"), seen{200, "30", "29", "", ""})
		s.SetLimit(2)
		want(t, details(s, "a"), seen{200, "2", "0", "", ""})
		if got := details(s, "a"); got.Status != 429 {
			t.Errorf("%+v", got)
		}
		s.SetLimit(0)
		want(t, details(s, "a"), seen{200, "", "", "", ""})
	})
}

func TestFaultsOnTheWire(t *testing.T) {
	const number = "+966501234567"
	for _, tt := range []struct {
		name     string
		faults   Faults
		status   int    // 0 for a connection that breaks
		body     string // part of it
		reached  int
		expected Stats
	}{
		{"a server error is not carried out", Faults{ServerError: 1}, 500, `{"message":"Server Error"}`, 0, Stats{}},
		{"nor is one that a proxy reports", Faults{ServerError: 1, HTMLErrors: true}, 502, "<h1>502 Bad Gateway</h1>", 0, Stats{}},
		{"nor is what a proxy refuses", Faults{TooMany: 1}, 429, "<h1>429 Too Many Requests</h1>", 0, Stats{TooMany: 1}},
		{"nor is anything in an outage", Faults{Outage: true}, 503, "<h1>503 Service Unavailable</h1>", 0, Stats{}},
		{"nor with a token that is not valid any more", Faults{Unauthorized: true}, 401, "Unauthenticated.", 0, Stats{}},
		{"a reset before the work", Faults{ResetBefore: 1}, 0, "", 0, Stats{CutBefore: 1}},
		{"a reset after the work", Faults{ResetAfter: 1}, 0, "", 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
		{"nor is anything in maintenance", Faults{Maintenance: true}, 503, `{"message":"Service Unavailable"}`, 0, Stats{}},
		{"a page instead of JSON", Faults{Maintenance: true, MaintenanceForm: FormPage}, 503, "<!DOCTYPE html>", 0, Stats{}},
		{"nor when a sign-in page stands in the platform's place", Faults{SignIn: true}, 200, "<title>Sign in</title>", 0, Stats{}},
		{"an answer that a sign-in page takes the place of", Faults{WebPage: 1}, 200, "<title>Sign in</title>", 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
		{"an answer of a PHP that is gone", Faults{BadGateway: 1}, 502, "<h1>502 Bad Gateway</h1>", 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
		{"an answer of a PHP that is slow", Faults{GatewayTimeout: 1}, 504, "<h1>504 Gateway Timeout</h1>", 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
		{"an answer that Cloudflare does not understand", Faults{UnknownError: 1}, 520, "<title>520: ", 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
		{"a fatal error after the work", Faults{Fatal: 1}, 500, `{"message":"Server Error"}`, 1, Stats{CutAfter: 1, CutAfterContacts: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, Config{Faults: tt.faults})
			web := httptest.NewServer(s)
			defer web.Close()
			status, body := post(t.Context(), web, batchOf(number))
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.body)
			}
			if got := s.Contacted(number); got != tt.reached {
				t.Errorf("contacted %d times, want %d", got, tt.reached)
			}
			st := s.Stats()
			tt.expected.Requests, tt.expected.Contacts, tt.expected.Numbers = 1, tt.reached, tt.reached
			tt.expected.MostInWindow, st.Tokens = st.MostInWindow, nil
			if diff := cmp.Diff(tt.expected, st); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// post sends a batch over the network; status is 0 if no answer came.
func post(ctx context.Context, web *httptest.Server, body string) (status int, answer string) {
	r, err := http.NewRequestWithContext(ctx, "POST", web.URL+batchPath, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.GetBody = nil // otherwise net/http may try twice
	r.Header.Set("Authorization", "Bearer agent")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := web.Client().Do(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestHanging(t *testing.T) {
	const number = "+966501234567"
	for _, tt := range []struct {
		name    string
		faults  Faults
		reached int
	}{
		{"before the work", Faults{HangBefore: 1}, 0},
		{"after the work", Faults{Hang: 1}, 1},
	} {
		t.Run(tt.name+", until the client leaves", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, Config{Faults: tt.faults})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start := time.Now()
				hang(ctx, t, s, batchOf(number))
				if waited := time.Since(start); waited != time.Hour {
					t.Errorf("hung for %v, want until the client left", waited)
				}
				if got := s.Contacted(number); got != tt.reached {
					t.Errorf("contacted %d times, want %d", got, tt.reached)
				}
			})
		})
		t.Run(tt.name+", until the platform is closed", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, Config{Faults: tt.faults})
				time.AfterFunc(time.Minute, func() { _ = s.Close() })
				start := time.Now()
				hang(t.Context(), t, s, batchOf(number))
				if waited := time.Since(start); waited != time.Minute {
					t.Errorf("hung for %v", waited)
				}
			})
		})
	}
}

// hang makes a request that must end without an answer.
func hang(ctx context.Context, t *testing.T, s *Server, body string) {
	t.Helper()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("ended with %v, want %v", got, http.ErrAbortHandler)
		}
	}()
	r := httptest.NewRequestWithContext(ctx, "POST", batchPath, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer agent")
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(httptest.NewRecorder(), r)
}

func TestTimedFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Faults: Faults{
			Outages:           []Span{{10 * time.Second, 20 * time.Second}},
			UnauthorizedAfter: After{Elapsed: time.Minute},
			Latency:           Span{time.Second, time.Second},
		}})
		at := time.Now()
		for _, tt := range []struct {
			after  time.Duration
			status int
		}{
			{0, 200}, {9 * time.Second, 200}, {10 * time.Second, 503}, {19 * time.Second, 503}, {20 * time.Second, 200}, {59 * time.Second, 200}, {60 * time.Second, 401},
		} {
			time.Sleep(time.Until(at.Add(tt.after)))
			if w := call(s, "GET", "/Integration/Agent", ""); w.Code != tt.status {
				t.Errorf("after %v: %d, want %d", tt.after, w.Code, tt.status)
			}
		}
	})
	t.Run("tokens are refused from a number of requests on", func(t *testing.T) {
		s := newServer(t, Config{Faults: Faults{UnauthorizedAfter: After{Requests: 2}}})
		for i, want := range []int{200, 200, 401, 401} {
			if w := call(s, "GET", "/Integration/Agent", ""); w.Code != want {
				t.Errorf("request %d: %d, want %d", i+1, w.Code, want)
			}
		}
	})
}

func TestCloseEndsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Faults: Faults{Latency: Span{time.Hour, time.Hour}}})
		time.AfterFunc(time.Second, func() { _ = s.Close() })
		start := time.Now()
		if w := call(s, "POST", batchPath, batchOf("+966501234567")); w.Code != 200 {
			t.Errorf("status %d", w.Code)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestClientsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Faults: Faults{Latency: Span{time.Second, time.Second}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "POST", batchPath, strings.NewReader(batchOf("+966501234567")))
		r.Header.Set("Authorization", "Bearer agent")
		r.Header.Set("Content-Type", "application/json")
		s.ServeHTTP(httptest.NewRecorder(), r)
		if st := s.Stats(); st.Contacts != 1 || st.Abandoned != 1 {
			t.Errorf("%d contacts, %d abandoned: a request goes on without its client", st.Contacts, st.Abandoned)
		}
	})
	t.Run("while they send, they are not served", func(t *testing.T) {
		s := newServer(t, Config{})
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("answered")
			}
			if st := s.Stats(); st.CutBefore != 1 {
				t.Errorf("stats %+v", st)
			}
		}()
		r := httptest.NewRequest("POST", batchPath, io.MultiReader(strings.NewReader("{"), brokenReader{}))
		s.ServeHTTP(httptest.NewRecorder(), r)
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestValueKeys(t *testing.T) {
	for _, tt := range []struct {
		shape ValuesShape
		keys  []string
		want  string
	}{
		{"", []string{"name", "order_id"}, `{"data":["name","order_id"]}`},
		{ShapeData, nil, `{"data":[]}`},
		{ShapeList, []string{"name"}, `["name"]`},
		{ShapeList, nil, `[]`},
		{ShapeObjects, []string{"name"}, `[{"key":"name","required":true}]`},
		{ShapeObjects, nil, `[]`},
		{ShapeMap, []string{"order_id"}, `{"order_id":"order id"}`},
		{ShapeMap, nil, `{}`},
	} {
		t.Run(fmt.Sprintf("%s of %d keys", tt.shape, len(tt.keys)), func(t *testing.T) {
			s := newServer(t, Config{ValuesShape: tt.shape, ValueKeys: tt.keys})
			if got := call(s, "GET", "/Integration/Agent/Values", "").Body.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAgentDetails(t *testing.T) {
	s := newServer(t, Config{})
	var answer struct {
		Data struct {
			ID       int
			PublicID string `json:"public_id"`
			Channels []struct{ ID int }
		}
	}
	ids := make(map[int]bool)
	for _, token := range []string{"a", "b"} {
		if err := json.Unmarshal(callAs(s, token, "GET", "/Integration/Agent", "").Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		ids[answer.Data.ID] = true
	}
	if len(ids) != 2 || len(answer.Data.Channels) != 2 || answer.Data.PublicID != "agent-"+TokenID("b") {
		t.Errorf("ids %v, %+v", ids, answer)
	}
}

func TestCSVTemplate(t *testing.T) {
	s := newServer(t, Config{ValueKeys: []string{"name", "order_id"}})
	w := call(s, "GET", "/Integration/Agent/CsvFile", "")
	if got, want := w.Body.String(), "phone,name,order_id\n+966501234567,name,order id\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "text/csv; charset=UTF-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestLogsShowNoNumbersAndNoTokens(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	callAs(s, "secret-token", "POST", batchPath, batchOf("+966501234567"))
	callAs(s, "secret-token", "POST", batchPath, batchOf("+966501234567", "966501234567"))
	if got := log.String(); !strings.Contains(got, "status=200") || strings.Contains(got, "501234567") || strings.Contains(got, "secret") {
		t.Error(got)
	}
}

// One core takes at least 300 batches of 500 contacts a second, so that a rehearsal
// never waits for the sandbox.
func BenchmarkBatch(b *testing.B) {
	var rows []map[string]any
	for i := range 500 {
		rows = append(rows, map[string]any{
			"phone":  fmt.Sprintf("+96650%07d", i),
			"values": map[string]string{"name": "سارة العتيبي", "company": "Acme Trading"},
		})
	}
	body, err := json.Marshal(map[string]any{"channel_id": 3, "name": "offer", "rows": rows})
	if err != nil {
		b.Fatal(err)
	}
	s := newServer(b, Config{Limit: Unlimited, ValueKeys: []string{"name", "company"}})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if w := call(s, "POST", batchPath, string(body)); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
