package dashboard_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// wire asks for a path as a browser does. It returns the answer, its bytes on the wire, and
// what they hold.
func (f fixture) wire(path string, headers ...string) (res *http.Response, bytes int, text string) {
	f.T.Helper()
	res, body := ask(f.T, "GET", f.URL+path, nil, func(r *http.Request) {
		r.Header.Set("Accept-Encoding", "gzip")
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
	})
	if res.Header.Get("Content-Encoding") != "gzip" {
		return res, len(body), body
	}
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		f.T.Fatal(err)
	}
	all, err := io.ReadAll(unpacked)
	if err != nil {
		f.T.Fatal(err)
	}
	return res, len(body), string(all)
}

var loaded = regexp.MustCompile(`(?:src|href)="(/(?:queues/)?static/[^"#]+)`)

// What a page loads comes compressed, and once: a browser keeps it by its address, which
// changes with its content.
func TestFilesOfPagesComeCompressedAndOnce(t *testing.T) {
	f := newFixture(t)
	for page, most := range map[string]int{"/": 16 << 10, "/queues/": 500 << 10} {
		all, whole := 0, 0
		found := loaded.FindAllStringSubmatch(f.get(page), -1)
		for _, at := range found {
			res, bytes, text := f.wire(at[1])
			if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "private, max-age=31536000, immutable" || len(text) == 0 {
				t.Errorf("%s: %s, kept as %q", at[1], res.Status, res.Header.Get("Cache-Control"))
			}
			if len(text) > 2000 && !strings.Contains(res.Header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s varies by %q", at[1], res.Header.Get("Vary"))
			}
			if _, plain := f.ask("GET", at[1], nil); plain != text {
				t.Errorf("%s is another file when it is compressed", at[1])
			}
			all, whole = all+bytes, whole+len(text)
		}
		t.Logf("%s loads %d files, %d bytes of %d", page, len(found), all, whole)
		if len(found) < 2 || all > most || all*2 > whole {
			t.Errorf("%s loads %d files, %d bytes of %d, at most %d are to be", page, len(found), all, whole, most)
		}
	}
}

func TestFilesOfOtherVersionsAreAskedFor(t *testing.T) {
	f := newFixture(t)
	for name, kind := range map[string]string{"style.css": "text/css", "pages.js": "javascript", "icon.svg": "image/svg+xml"} {
		for _, version := range []string{"", "?v=0123456789abcdef"} {
			path := "/static/" + name + version
			res, _, text := f.wire(path)
			if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Content-Type"), kind) || text == "" || res.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("%s: %s, %s, kept as %q", path, res.Status, res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"))
			}
			if again, bytes, _ := f.wire(path, "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || bytes != 0 {
				t.Errorf("%s, known already: %s, %d bytes", path, again.Status, bytes)
			}
		}
	}
	for _, name := range []string{"none.css", "..%2fdashboard.go"} {
		if res, _ := f.ask("GET", "/static/"+name, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	// The asynq UI answers with its page in place of a file that it does not have.
	if res, _, page := f.wire("/queues/static/js/main.0123abcd.chunk.js"); !strings.Contains(page, "<html") || res.Header.Get("Cache-Control") != "" {
		t.Errorf("a page in place of a file is kept as %q", res.Header.Get("Cache-Control"))
	}
}
