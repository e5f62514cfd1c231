package velents

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// A bodyKind is what the body of an answer turned out to be.
type bodyKind int

const (
	noBody     bodyKind = iota
	jsonObject          // whole, as all else of JSON
	jsonValue           // any other JSON
	webPage             // by its type or its first character
	oddBody             // text, cut off, compressed, too long: nothing to go by
)

// kindOf tells what the body of an answer is. A page is one by its type, even
// with JSON inside: whatever sends it is not how the platform answers, and a
// person who looks costs less than somebody who is taken for reached and was not.
func kindOf(r reply) bodyKind {
	if r.whole && len(r.body) == 0 {
		return noBody
	}
	text := textOf(r.body)
	if isHTML(r.contentType) || bytes.HasPrefix(text, []byte("<")) {
		return webPage
	}
	if !r.whole || !json.Valid(text) {
		return oddBody
	}
	if text[0] == '{' {
		return jsonObject
	}
	return jsonValue
}

// textOf is a body without a byte order mark and the space around it.
func textOf(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("\ufeff")))
}

func isHTML(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil { // of its parameters, as a rule
		mediaType, _, _ = strings.Cut(contentType, ";")
	}
	return strings.Contains(strings.ToLower(mediaType), "html")
}

// hasRateHeaders reports whether an answer has the headers of the platform's rate
// limit, whatever they say. What a proxy answers in its place has none.
func hasRateHeaders(h http.Header) bool {
	for _, name := range []string{"X-RateLimit-Limit", "RateLimit-Limit", "RateLimit"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}
