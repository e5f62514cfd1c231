package velents

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestErrorFromAnswer(t *testing.T) {
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	io.WriteString(w, `{"message":"compressed"}`)
	w.Close()

	for _, tt := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		want   Error
	}{
		{"a validation error names its rows", 422, nil,
			`{"message":"The given data was invalid.","errors":{"rows.3.phone":["The rows.3.phone is invalid."],"rows.7.values.name":"required","rows.9":{"a":1},"rows.10":[1,null]}}`,
			Error{Message: "The given data was invalid.", JSON: true, Fields: map[string][]string{
				"rows.3.phone": {"The rows.3.phone is invalid."}, "rows.7.values.name": {"required"}, "rows.9": nil, "rows.10": {"1"}}}},
		{"errors as an empty list are none", 422, nil, `{"message":"No.","errors":[]}`, Error{Message: "No.", JSON: true}},
		{"a phone number and the token do not come back", 422, nil,
			`{"message":"` + testPhone + ` and 00966 50 123 4567 under Bearer ` + testToken + `","errors":{"` + testPhone + `":["no ` + testPhone[1:] + `"]}}`,
			Error{Message: "… and … under Bearer …", JSON: true, Fields: map[string][]string{"…": {"no …"}}}},
		{"nor does the token in another spelling", 400, map[string]string{"Content-Type": "text/plain"},
			"bad " + url.QueryEscape(testToken) + ", " + strings.ToUpper(testToken) + ", " + testToken[strings.Index(testToken, "|")+1:], Error{Message: "bad …, …, …"}},
		{"three texts of a field are enough", 422, nil, `{"errors":{"name":["a","b","c","d"]}}`,
			Error{Message: "Unprocessable Entity", JSON: true, Fields: map[string][]string{"name": {"a", "b", "c"}}}},
		{"a long name of a field voids them all", 422, nil, `{"errors":{"name":["a"],"` + strings.Repeat("a", 201) + `":["b"]}}`,
			Error{Message: "Unprocessable Entity", JSON: true}},
		{"a JSON error in other words", 500, nil, `{"error":"boom"}`, Error{Message: "boom", JSON: true}},
		{"a JSON list is not the platform's", 500, map[string]string{"Content-Type": "application/json"}, `["boom"]`, Error{Message: "Internal Server Error"}},
		{"a page is told by its title, without the status", 502, map[string]string{"Content-Type": "text/html; charset=UTF-8"},
			"<html><head><title>502 Bad\n Gateway</title></head><body>nginx &amp; co</body></html>", Error{Message: "Bad Gateway", Page: true}},
		{"a page without a title is told by its text", 502, map[string]string{"Content-Type": "text/html"},
			"<style>b{}</style><script>var a = '<b>'</script><!-- x --><h1>Down &amp; out</h1><p>back soon", Error{Message: "Down & out back soon", Page: true}},
		{"a page that does not say so is one", 502, map[string]string{"Content-Type": ""}, "<h1>Down</h1>", Error{Message: "Down", Page: true}},
		{"a page that calls itself JSON is one", 500, map[string]string{"Content-Type": "application/json"}, "\ufeff \n<h1>Down</h1>", Error{Message: "Down", Page: true}},
		{"JSON that calls itself a page is one, and is read", 500, map[string]string{"Content-Type": "text/html; charset=\xff"}, `{"message":"boom"}`,
			Error{Message: "boom", Page: true}},
		{"half an object is not the platform's", 500, map[string]string{"Content-Type": "application/json"}, `{"message":"bo`, Error{Message: "Internal Server Error"}},
		{"rate headers that make no sense are headers", 500, map[string]string{"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "nonsense"}, `{}`,
			Error{Message: "Internal Server Error", JSON: true, RateHeaders: true}},
		{"plain text is a message", 503, map[string]string{"Content-Type": "text/plain"}, "upstream\r\n\tis \x00away\u202e", Error{Message: "upstream is away"}},
		{"something binary is none", 503, map[string]string{"Content-Type": "image/png"}, "\x89PNG", Error{Message: "Service Unavailable"}},
		{"something compressed is none", 503, map[string]string{"Content-Encoding": "gzip", "Content-Type": "application/json"}, gz.String(), Error{Message: "Service Unavailable"}},
		{"no body is told by its status", 404, nil, "", Error{Message: "Not Found"}},
		{"an unknown status", 799, nil, "", Error{Message: "no message"}},
		{"a huge body is cut", 500, map[string]string{"Content-Type": "text/plain"}, strings.Repeat("é", maxAnswerBytes/2+1), Error{Message: strings.Repeat("é", 148) + "…"}},
		{"a huge JSON body counts as cut", 422, map[string]string{"Content-Type": "application/json"},
			`{"message":"` + strings.Repeat("a", maxAnswerBytes) + `"}`, Error{Message: "Unprocessable Entity"}},
		{"too many requests, with all headers", 429, map[string]string{"Retry-After": "17", "X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "0"},
			`{"message":"Too Many Attempts."}`, Error{Message: "Too Many Attempts.", JSON: true, RetryAfter: 17 * time.Second, HasRetryAfter: true, Rate: Rate{true, 30, 0}, RateHeaders: true}},
		{"too many requests, without headers", 429, nil, "", Error{Message: "Too Many Requests"}},
		{"not modified is no success", 304, nil, "", Error{Message: "Not Modified"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil // not guessed
				for k, v := range tt.header {
					if v != "" {
						w.Header().Set(k, v)
					}
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			answer, err := newClient(t, srv.URL).Dispatch(t.Context(), oneContact)
			got, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error = %v, want an *Error", err)
			}
			tt.want.Status = tt.status
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if answer.Status != tt.status || answer.Rate != got.Rate {
				t.Errorf("answer = %+v beside %+v", answer, got)
			}
			if want := fmt.Sprintf("velents: dispatch: status %d: %s", tt.status, got.Message); err.Error() != want {
				t.Errorf("error = %q, want %q", err, want)
			}
			checkText(t, err)
		})
	}
}

func TestErrorFieldsOfAFullBatch(t *testing.T) {
	named := func(n int, field, text string) []byte {
		var b bytes.Buffer
		for i := range n {
			fmt.Fprintf(&b, `,"`+field+`":["`+text+`"]`, i)
		}
		return append(append([]byte("{"), b.Bytes()[1:]...), '}')
	}
	a := newClient(t, "").api
	if got := len(a.fields(named(10_000, "rows.%d.phone", "The phone field format is invalid."))); got != 10_000 {
		t.Errorf("%d of 10000 fields", got)
	}
	if got := a.fields(named(maxFields+1, "%d", "")); got != nil {
		t.Errorf("%d fields of too many, want none", len(got))
	}
}

func TestRateOf(t *testing.T) {
	laravel := func(limit, remaining string) http.Header {
		return http.Header{"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}}
	}
	for _, tt := range []struct {
		name string
		h    http.Header
		want Rate
	}{
		{"both make sense", laravel("30", "29"), Rate{true, 30, 29}},
		{"used up", laravel("30", "0"), Rate{true, 30, 0}},
		{"no headers", http.Header{}, Rate{}},
		{"empty headers", laravel("", ""), Rate{}},
		{"the limit alone", http.Header{"X-Ratelimit-Limit": {"30"}}, Rate{}},
		{"the rest alone", http.Header{"X-Ratelimit-Remaining": {"29"}}, Rate{}},
		{"more left than allowed is all of it", laravel("30", "31"), Rate{true, 30, 30}},
		{"a limit of none", laravel("0", "0"), Rate{}},
		{"a negative limit", laravel("-30", "0"), Rate{}},
		{"a negative rest is a limit reached", laravel("30", "-2"), Rate{true, 30, 0}},
		{"a limit beyond reason", laravel("1000001", "1"), Rate{}},
		{"words", laravel("thirty", "29"), Rate{}},
		{"a rest that is no number", laravel("30", "NaN"), Rate{}},
		{"spaces", laravel(" 30 ", " 29"), Rate{true, 30, 29}},
		{"fractions are cut", laravel("30.0", "28.9"), Rate{true, 30, 28}},
		{"overflow", laravel("99999999999999999999", "1"), Rate{}},
		{"twice the same", http.Header{"X-Ratelimit-Limit": {"30", "30"}, "X-Ratelimit-Remaining": {"29", "29"}}, Rate{true, 30, 29}},
		{"two limits in two headers: that with less left", http.Header{"X-Ratelimit-Limit": {"600", "30"}, "X-Ratelimit-Remaining": {"599", "4"}}, Rate{true, 30, 4}},
		{"two limits in one header", laravel("600, 30", "599, 4"), Rate{true, 30, 4}},
		{"one limit and two rests", laravel("30", "29, 28"), Rate{true, 30, 28}},
		{"of two limits one beyond reason", laravel("0, 30", "0, 4"), Rate{true, 30, 4}},
		{"another spelling", http.Header{"X-Rate-Limit-Limit": {"30"}, "X-Rate-Limit-Remaining": {"29"}}, Rate{true, 30, 29}},
		{"the draft, in three headers", http.Header{"Ratelimit-Limit": {"100, 100;w=60"}, "Ratelimit-Remaining": {"50"}}, Rate{true, 100, 50}},
		{"the draft, in one header", http.Header{"Ratelimit": {"limit=100, remaining=50, reset=5"}}, Rate{true, 100, 50}},
		{"the draft, with a policy", http.Header{"Ratelimit": {`"default";r=50;t=30`}, "Ratelimit-Policy": {`"default";q=100;w=60`}}, Rate{true, 100, 50}},
		{"the draft without its policy", http.Header{"Ratelimit": {`"default";r=50;t=30`}}, Rate{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rateOf(tt.h); got != tt.want {
				t.Errorf("rateOf = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestResetAfter(t *testing.T) {
	now := time.Unix(1_763_076_290, 0)
	for _, tt := range []struct {
		name string
		h    http.Header
		want time.Duration
		ok   bool
	}{
		{"none", http.Header{}, 0, false},
		{"a unix time", http.Header{"X-Ratelimit-Reset": {"1763076320"}}, 30 * time.Second, true},
		{"a unix time by the server's clock", http.Header{"X-Ratelimit-Reset": {"1763076320"}, "Date": {now.Add(10 * time.Second).UTC().Format(http.TimeFormat)}}, 20 * time.Second, true},
		{"a unix time in milliseconds", http.Header{"X-Ratelimit-Reset": {"1763076320500"}}, 31 * time.Second, true},
		{"a time that has passed", http.Header{"X-Ratelimit-Reset": {"1763000000"}}, 0, true},
		{"seconds of the draft", http.Header{"Ratelimit-Reset": {"17"}}, 17 * time.Second, true},
		{"seconds in one header", http.Header{"Ratelimit": {"limit=100, remaining=0, reset=5"}}, 5 * time.Second, true},
		{"seconds with a policy", http.Header{"Ratelimit": {`"default";r=0;t=30`}}, 30 * time.Second, true},
		{"years away", http.Header{"X-Ratelimit-Reset": {"9999999999"}}, 24 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := resetAfter(tt.h, now); got != tt.want || ok != tt.ok {
				t.Errorf("resetAfter = %v, %t, want %v, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 11, 13, 23, 24, 50, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		name, value, date string
		want              time.Duration
		ok                bool
	}{
		{"missing", "", "", 0, false},
		{"seconds", "17", "", 17 * time.Second, true},
		{"zero", "0", "", 0, true},
		{"a day and no more", "86401", "", 24 * time.Hour, true},
		{"seconds beyond counting", strings.Repeat("9", 40), "", 24 * time.Hour, true},
		{"negative seconds", "-5", "", 0, true},
		{"a fraction", "1.5", "", 2 * time.Second, true},
		{"words", "later", "", 0, false},
		{"a time, by our clock", at(30 * time.Second), "", 30 * time.Second, true},
		{"a time, by the server's clock", at(time.Hour + 30*time.Second), at(time.Hour), 30 * time.Second, true},
		{"a time that has passed", at(-time.Hour), "", 0, true},
		{"a time years away", at(9000 * time.Hour), "", 24 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", tt.value)
			h.Set("Date", tt.date)
			if got, ok := retryAfter(h, now); got != tt.want || ok != tt.ok {
				t.Errorf("retryAfter = %v, %t, want %v, %t", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestCleanKeepsWhatIsNoPhone(t *testing.T) {
	a := newClient(t, "").api
	for _, s := range []string{
		"down until 23:24:50",
		"The rows.123.phone field is required.",
		"order 123456 is unknown",
		"رقم غير صالح",
	} {
		if got := a.clean(s); got != s {
			t.Errorf("clean(%q) = %q", s, got)
		}
	}
}

func TestCleanHidesNumbersInGroups(t *testing.T) {
	a := newClient(t, "").api
	for s, want := range map[string]string{
		"no 50-123-4567 here":                              "no … here",
		"no 966 50 123 4567 here":                          "no … here",
		"no 966‑50‑123‑4567 here":                          "no … here",
		"no +966.50.123.4567 here":                         "no … here",
		"no +966/50/1234567 here":                          "no … here",
		"no ٥٠ ١٢٣ ٤٥٦٧ here":                              "no … here",
		"at 2025-11-13 50 123 4567 here":                   "at … here",
		"dial tcp 192.168.100.20:8443: connection refused": "dial tcp …: connection refused",
		"closed on 2025-11-13 (Thursday) and 2025-11-14":   "closed on … (Thursday) and …",
		"no 966\u200f50\u200f1234567 here":                 "no … here",
	} {
		if got := a.clean(s); got != want {
			t.Errorf("clean(%q) = %q, want %q", s, got, want)
		}
	}
}

// Whatever the platform says, what is shown of it is bounded, printable and
// holds neither a phone number nor the token.
func TestCleanTexts(t *testing.T) {
	a := newClient(t, "").api
	digits := regexp.MustCompile(`\p{Nd}{7}`)
	piece := rapid.OneOf(rapid.String(), rapid.Just(testToken), rapid.Just(testPhone), rapid.Just("٠٥٠١٢٣٤٥٦٧"),
		rapid.StringMatching(`\+[1-9]( ?[0-9]){7,14}`), rapid.Just("\x1b[31m\xff\u202e"))
	rapid.Check(t, func(t *rapid.T) {
		got := a.clean(strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), ""))
		switch {
		case len(got) > maxTextBytes, !utf8.ValidString(got), strings.ContainsFunc(got, unicode.IsControl),
			strings.Contains(got, testToken), digits.MatchString(got):
			t.Errorf("clean = %q", got)
		}
	})
}

func TestARedirectShowsWhereTo(t *testing.T) {
	a := newClient(t, "").api
	for location, want := range map[string]string{
		"https://login.example.com/x?phone=%2B966501234567": "redirects to https://login.example.com",
		"http://192.168.100.20:8443/x":                      "redirects to http://192.168.100.20:8443",
		"http://192.168.100.20:966501234567/x":              "redirects to http://…",
		"https://n966501234567.example.com/x":               "redirects to https://n….example.com",
		"/login":                                            "Found",
	} {
		res := &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {location}}}
		if got := a.refused(res, reply{}, noBody, time.Now()).Message; got != want {
			t.Errorf("to %s: %q, want %q", location, got, want)
		}
	}
}
