//go:build laravel

package laravel

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/internal/commands"
)

// A look is what a client can tell two platforms apart by: not by what they say of
// their own, such as ids, times and the names of servers.
type look struct {
	Status  int
	Type    string              // of the body
	Headers map[string]string   // those of told
	Keys    []string            // of a JSON object
	Message string              // of a JSON object that is no success
	Errors  map[string][]string // of a 422
}

// told are the headers that a client goes by.
var told = []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "Allow", "Location"}

func lookOf(url string, a answer) look {
	l := look{Status: a.status, Headers: map[string]string{}}
	l.Type, _, _ = mime.ParseMediaType(a.header.Get("Content-Type")) // none when it is empty
	for _, name := range told {
		values := a.header.Values(name)
		switch {
		case len(values) == 0:
		case a.status == http.StatusTooManyRequests && (name == "Retry-After" || name == "X-RateLimit-Reset"):
			l.Headers[name] = "there" // each has opened its window when it was asked first
		default:
			l.Headers[name] = strings.ReplaceAll(strings.Join(values, "; "), url, "")
		}
	}
	var body map[string]json.RawMessage
	if json.Unmarshal([]byte(a.body), &body) != nil {
		return l
	}
	l.Keys = slices.Sorted(maps.Keys(body))
	if a.status/100 != 2 {
		_ = json.Unmarshal(body["message"], &l.Message) // what is missing stays empty
		_ = json.Unmarshal(body["errors"], &l.Errors)
	}
	return l
}

// TestTheSandboxAnswersAsLaravelDoes sends the same requests, in the same order, to
// the stand-in and to the real thing.
func TestTheSandboxAnswersAsLaravelDoes(t *testing.T) {
	const bad, window = "+966500000000", 60
	p := newPlatform(t)
	p.now.Limit, p.now.Window, p.now.MaxRows, p.now.Keys, p.now.Bad = 40, window, 3, []string{"first_name"}, []string{bad}
	p.set(p.now)
	stand := commands.Sandbox(t, filepath.Join(t.ArtifactDir(), "sandbox.log"), "--laravel", "8", "--tokens", token, "--channels", "3",
		"--limit", fmt.Sprint(p.now.Limit), "--max-rows", fmt.Sprint(p.now.MaxRows), "--value-keys", "first_name", "--bad-numbers", bad,
		"--max-post", fmt.Sprint(phpBytes), "--max-body", fmt.Sprint(nginxBytes))
	const good = `{"phone":"+966501234567","values":{"first_name":"Sara"}}`
	rows := func(list ...string) string {
		return `{"channel_id":3,"name":"offer","rows":[` + strings.Join(list, ",") + `]}`
	}
	const batch, dispatch = "/Integration/Agent/Batch", "/Integration/Agent/Dispatch"

	for _, tt := range []struct {
		name   string
		method string
		path   string
		body   string
		edit   func(*http.Request)
		real   func() // what is set on the real thing
		faults string // on the stand-in
	}{
		{name: "an agent", method: "GET", path: "/Integration/Agent"},
		{name: "its values", method: "GET", path: "/Integration/Agent/Values"},
		{name: "a batch", path: batch, body: rows(good, good)},
		{name: "a dispatch", path: dispatch, body: `{"channel_id":3,` + good[1:]},
		{name: "a channel in quotes", path: batch, body: `{"channel_id":"3","name":"offer","rows":[` + good + `]}`},
		{name: "rows as an object", path: batch, body: `{"channel_id":3,"name":"offer","rows":{"a":` + good + `,"b":{}}}`},
		{name: "blanks around a number", path: batch, body: rows(`{"phone":" +966501234567 ","values":{"first_name":"a"}}`)},
		{name: "no fields", path: batch, body: `{}`},
		{name: "no body", path: batch, body: ``},
		{name: "half a body", path: batch, body: `{"channel_id":3,`},
		{name: "a list", path: dispatch, body: `[]`},
		{name: "a channel that does not exist", path: batch, body: strings.Replace(rows(good), ":3", ":4", 1)},
		{name: "a channel that is no integer", path: batch, body: strings.Replace(rows(good), ":3", ":3.5", 1)},
		{name: "rows that are no list", path: batch, body: `{"channel_id":3,"name":"offer","rows":"all"}`},
		{name: "too many rows, one of them bad", path: batch, body: rows(good, good, good, `{"phone":"05","values":{"first_name":"a"}}`)},
		{name: "bad rows", path: batch, body: rows(`"x"`, `{"phone":966501234567,"values":"s"}`, `{"phone":"`+bad+`","values":{"first_name":" "}}`)},
		{name: "a name that is no text", path: batch, body: strings.Replace(rows(good), `"offer"`, "5", 1)},
		{name: "a name that is too long", path: batch, body: strings.Replace(rows(good), "offer", strings.Repeat("س", 256), 1)},
		{name: "a webhook that is none", path: batch, body: strings.Replace(rows(good), `"name"`, `"webhook":"x","name"`, 1)},
		{name: "a link that is none", path: batch, body: strings.Replace(rows(good), `"name"`, `"webhook":{"link":"x","headers":1},"name"`, 1)},
		{name: "a bad dispatch", path: dispatch, body: `{"channel_id":4,"phone":"05"}`},

		{name: "an unknown token", method: "GET", path: "/Integration/Agent", edit: with("Authorization", "Bearer other")},
		{name: "no token", path: batch, body: rows(good), edit: with("Authorization", "")},
		{name: "an unknown route", method: "GET", path: "/nowhere"},
		{name: "a wrong method", method: "GET", path: batch},
		{name: "a wrong method where GET is right", path: "/Integration/Agent"},
		{name: "another content type", path: batch, body: rows(good), edit: with("Content-Type", "text/plain")},
		{name: "an unknown token of a browser", path: batch, body: rows(good), edit: with("Authorization", "", "Accept", "text/html")},
		{name: "bad input of a browser", path: batch, body: `{}`, edit: with("Accept", "text/html")},
		{name: "an unknown route in a browser", method: "GET", path: "/nowhere", edit: with("Accept", "text/html")},
		{name: "too large a body for PHP", path: batch, body: strings.Repeat("x", phpBytes+1)},
		{name: "too large a body for nginx", path: batch, body: strings.Repeat("x", nginxBytes+1)},

		{name: "maintenance", path: batch, body: rows(good), real: func() { p.down(`{"status":503}`) }, faults: `{"maintenance":true}`},
		{name: "maintenance for a while", path: batch, body: rows(good),
			real: func() { p.down(`{"retry":60}`) }, faults: `{"maintenance":true,"maintenance_retry":60}`},
		{name: "maintenance as a page", path: batch, body: rows(good),
			real: func() { p.down(`{"template":"<!DOCTYPE html>"}`) }, faults: `{"maintenance":true,"maintenance_form":"page"}`},
		{name: "maintenance elsewhere", path: batch, body: rows(good),
			real: func() { p.down(`{"redirect":"/maintenance"}`) }, faults: `{"maintenance":true,"maintenance_form":"redirect"}`},

		{name: "a PHP that is killed", path: batch, body: rows(good), real: func() { p.then("die") }, faults: `{"bad_gateway":1}`},
		{name: "a fatal error", path: batch, body: rows(good), real: func() { p.then("fatal") }, faults: `{"fatal":1}`},
		{name: "an exception", path: batch, body: rows(good), real: func() { p.then("throw") }, faults: `{"server_error":1}`},
		{name: "a sign-in page", path: batch, body: rows(good), real: func() { p.then("page") }, faults: `{"web_page":1}`},
		{name: "a PHP that is slow", path: batch, body: rows(good), real: func() { p.now.Work = 2500; p.set(p.now) }, faults: `{"gateway_timeout":1}`},

		{name: "what all this has left of the limit", method: "GET", path: "/Integration/Agent"},
		{name: "a limit that is reached", method: "GET", path: "/Integration/Agent", real: func() { p.now.Limit = 1; p.set(p.now) }, faults: "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = http.MethodPost
			}
			if tt.real != nil {
				tt.real()
				defer p.healthy()
			}
			switch {
			case tt.faults == "limit":
				put(t, stand+"/sandbox/limit", `{"limit":1}`)
			case tt.faults != "":
				put(t, stand+"/sandbox/faults", tt.faults)
				defer del(t, stand+"/sandbox/faults")
			}
			want, err := ask(p.url, tt.method, tt.path, token, tt.body, tt.edit)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(stand, tt.method, tt.path, token, tt.body, tt.edit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lookOf(p.url, want), lookOf(stand, got)); diff != "" {
				t.Errorf("Laravel (-) and the sandbox (+):\n%s\n%s\n%s", diff, want.body[:min(500, len(want.body))], got.body[:min(500, len(got.body))])
			}
		})
	}
}

// with sets headers, and removes those that are empty.
func with(headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			if headers[i+1] == "" {
				r.Header.Del(headers[i])
			} else {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
}

func put(t *testing.T, url, body string) { t.Helper(); steer(t, http.MethodPut, url, body) }
func del(t *testing.T, url string)       { t.Helper(); steer(t, http.MethodDelete, url, "") }

// steer sets something on the stand-in.
func steer(t *testing.T, method, url, body string) {
	t.Helper()
	a, err := ask(url, method, "", "", body, nil)
	if err != nil || a.status/100 != 2 {
		t.Fatal(a.status, a.body, err)
	}
}
