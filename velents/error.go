package velents

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"campaign-runner/velents/mask"
)

// Error is an answer that is not 2xx, or a 2xx with a body that is neither JSON nor empty
// and so may not come from the platform. Its texts come from the platform and are made fit
// to be shown: one bounded line without control characters, the token and anything that
// could be a phone number.
type Error struct {
	Status  int
	Message string // never empty

	// Fields are the platform's validation errors by field, such as "rows.3.phone". Nil when
	// there are none, or when they are not complete: half of them would mislead.
	Fields map[string][]string

	RetryAfter    time.Duration // 0 to 24 h
	HasRetryAfter bool
	JSON          bool // the body was a JSON object, as in the platform's own errors
	Page          bool // the body was a web page: something in front of the platform answered
	Rate          Rate
	RateHeaders   bool // the answer had the headers of the platform's limit, readable or not
}

func (e *Error) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// Unanswered is a request without an answer.
type Unanswered struct {
	// Sent means that the request may have been carried out. It is false only when there was
	// no connection (DNS, dial, TLS, or the context was over), when the connection took no
	// byte of the request, or when the guard refused before a byte of the body had left.
	Sent     bool
	Obstacle Obstacle // why it was not sent; empty when it was, or the guard refused
	Err      error
}

func (e *Unanswered) Error() string {
	if e.Sent {
		return fmt.Sprintf("no answer: %v", e.Err)
	}
	return fmt.Sprintf("not sent: %v", e.Err)
}

func (e *Unanswered) Unwrap() error { return e.Err }

// scrubbed replaces the text of an error that may quote what the server sent, or the
// address of a proxy.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.err }

func (a *api) unanswered(sent bool, err error) *Unanswered {
	return &Unanswered{Sent: sent, Err: &scrubbed{a.clean(err.Error()), err}}
}

const (
	maxFields        = 50_000 // several for each row of a batch of 10,000
	maxFieldTexts    = 3      // of one field
	maxFieldKeyBytes = 200
	maxTextBytes     = 300
	maxPageBytes     = 64 << 10 // looked at, of a page or a text
)

// refused reads an answer that is not a success.
func (a *api) refused(res *http.Response, r reply, kind bodyKind, now time.Time) *Error {
	e := &Error{
		Status: res.StatusCode, JSON: kind == jsonObject, Page: kind == webPage,
		Rate: rateOf(res.Header), RateHeaders: hasRateHeaders(res.Header),
	}
	e.RetryAfter, e.HasRetryAfter = retryAfter(res.Header, now)
	if !e.HasRetryAfter && e.Status == http.StatusTooManyRequests {
		e.RetryAfter, e.HasRetryAfter = resetAfter(res.Header, now)
	}

	var said string
	var wire map[string]json.RawMessage
	switch {
	case r.whole && json.Unmarshal(textOf(r.body), &wire) == nil && wire != nil:
		e.Fields = a.fields(wire["errors"])
		said = cmp.Or(stringOf(wire["message"]), stringOf(wire["error"]))
	case e.Page:
		said = pageText(textOf(r.body))
	case r.contentType == "" || strings.HasPrefix(r.contentType, "text/"):
		said = string(textOf(r.body))
	}
	if res.StatusCode/100 == 2 {
		said = oddSuccess(e.Page, strings.TrimSpace(said))
	}
	// The heading of a proxy's page repeats the status.
	said = strings.TrimPrefix(a.clean(said), strconv.Itoa(res.StatusCode)+" ")
	if to, err := url.Parse(res.Header.Get("Location")); err == nil && to.Host != "" && res.StatusCode/100 == 3 {
		said = "redirects to " + a.origin(to)
	}
	e.Message = cmp.Or(said, http.StatusText(res.StatusCode), "no message")
	return e
}

// origin is all of an address that is shown: the rest may be secret. An IPv4 address is
// shown although it has as many digits as a phone number.
func (a *api) origin(to *url.URL) string {
	if ip, err := netip.ParseAddr(to.Hostname()); err == nil && ip.Is4() && len(to.Port()) <= 5 {
		return a.clean(to.Scheme) + "://" + to.Host
	}
	return a.clean(to.Scheme + "://" + to.Host)
}

// oddSuccess says what is wrong with a success that does not come from the platform. Only a
// page is quoted: half of an answer may be personal data.
func oddSuccess(page bool, said string) string {
	switch {
	case page && said != "":
		return fmt.Sprintf("a web page where the platform's answer is due (%s)", said)
	case page:
		return "a web page where the platform's answer is due"
	}
	return "an answer that cannot be read, or was cut off"
}

// fields reads Laravel's errors: for each field a list of texts, or a single text. A field
// whose texts cannot be read is still named.
func (a *api) fields(raw json.RawMessage) map[string][]string {
	var wire map[string]json.RawMessage
	if json.Unmarshal(raw, &wire) != nil || len(wire) == 0 || len(wire) > maxFields {
		return nil
	}
	fields := make(map[string][]string, len(wire))
	for field, raw := range wire {
		if len(field) > maxFieldKeyBytes {
			return nil
		}
		list := []text{text(stringOf(raw))}
		if list[0] == "" {
			_ = json.Unmarshal(raw, &list) // stays empty if that fails
		}
		field = a.clean(field)
		texts := fields[field] // two fields may look the same when clean
		for _, t := range list {
			if t := a.clean(string(t)); t != "" && len(texts) < maxFieldTexts {
				texts = append(texts, t)
			}
		}
		fields[field] = texts
	}
	return fields
}

var (
	userinfo = regexp.MustCompile(`//[^/@\s]*@`)

	pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	pageNoise = regexp.MustCompile(`(?is)<script.*?</script>|<style.*?</style>|<!--.*?-->|<[^>]*>`)
)

// maxSpelling is how many bytes one of a token takes: %7C.
const maxSpelling = 3

// spellings finds a token however a text tells it back: in any case, escaped, or without
// the number that Laravel's tokens begin with (12|…).
func spellings(token string) *regexp.Regexp {
	alone := token
	if _, after, ok := strings.Cut(token, "|"); ok && len(after) >= minSecretBytes {
		alone = after
	}
	return regexp.MustCompile("(?i)" + regexp.QuoteMeta(token) + "|" + regexp.QuoteMeta(url.QueryEscape(token)) + "|" + regexp.QuoteMeta(alone))
}

// minSecretBytes is the shortest part of a token that is hidden by itself.
const minSecretBytes = 8

// clean makes a text of the platform or the transport fit to be shown.
func (a *api) clean(s string) string {
	s = a.secret.ReplaceAllString(s[:min(len(s), maxPageBytes+maxSpelling*len(a.token))], "…") // none is cut in two
	s = strings.ToValidUTF8(s[:min(len(s), maxPageBytes)], "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	s = userinfo.ReplaceAllString(s, "//…@")
	s = mask.Numbers(s)
	if len(s) <= maxTextBytes {
		return s
	}
	cut := maxTextBytes - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// pageText is the title of an HTML page, or else its text.
func pageText(page []byte) string {
	page = page[:min(len(page), maxPageBytes)]
	if title := pageTitle.FindSubmatch(page); title != nil && len(bytes.TrimSpace(title[1])) > 0 {
		return html.UnescapeString(string(title[1]))
	}
	return html.UnescapeString(string(pageNoise.ReplaceAll(page, []byte(" "))))
}
