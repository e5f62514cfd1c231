package velents

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// A bodyKind says what the body of an answer is.
type bodyKind int

const (
	noBody     bodyKind = iota
	jsonObject          // complete
	jsonValue           // any other JSON, complete
	webPage             // by its type or its first character
	oddBody             // text, cut off, compressed or too long
)

// kindOf says what the body of an answer is. A body of type HTML is a page even with JSON
// inside, because the platform does not answer so. It costs less to have an operator look
// than to count contacts as accepted who were not.
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

// textOf is a body without a byte order mark and surrounding space.
func textOf(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("\ufeff")))
}

func isHTML(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil { // mostly in its parameters
		mediaType, _, _ = strings.Cut(contentType, ";")
	}
	return strings.Contains(strings.ToLower(mediaType), "html")
}

// hasRateHeaders reports whether an answer has the headers of the platform's rate limit,
// readable or not. An answer of a proxy has none.
func hasRateHeaders(h http.Header) bool {
	for _, name := range []string{"X-RateLimit-Limit", "RateLimit-Limit", "RateLimit"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}
