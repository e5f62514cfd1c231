package dashboard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"campaign-runner/dashboard"
)

// half begins an upload that does not come to its end.
func half(t *testing.T, f fixture) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /new HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\n\r\nphone\n", f.Listener.Addr())
	return conn
}

func TestUploadsThatDoNotComeTakeNoPlace(t *testing.T) {
	f := newFixture(t, withAgent(t))
	for range 50 {
		half(t, f)
	}
	if res, page := f.upload("list.csv", list, filled(nil), true); res.StatusCode != http.StatusOK {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
}

func TestUploadsThatDoNotComeAreCut(t *testing.T) {
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.Stall = 50 * time.Millisecond })
	conn := half(t, f)
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := io.Copy(io.Discard, io.MultiReader(res.Body, in)); err != nil {
		t.Errorf("the connection does not end: %v", err)
	}
}

// endless is a form that grows until nobody reads it any more.
type endless struct {
	text string
	left string
	sent atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.sent.Load() > 50<<20 {
		return 0, io.EOF
	}
	if e.left == "" {
		e.left = e.text
	}
	n := copy(p, e.left)
	e.left = e.left[n:]
	e.sent.Add(int64(n))
	return n, nil
}

func TestFormsAreBounded(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n"
	for _, tt := range []struct{ name, path, kind, text string }{
		{"empty fields", "/new", "multipart/form-data; boundary=b", fmt.Sprintf(part, "a", "")},
		{"fields without a name", "/new", "multipart/form-data; boundary=b", fmt.Sprintf(part, "", "")},
		{"long names", "/new", "multipart/form-data; boundary=b", fmt.Sprintf(part, strings.Repeat("n", 5000), "")},
		{"long texts", "/new", "multipart/form-data; boundary=b", fmt.Sprintf(part, "a", strings.Repeat("t", 5000))},
		{"empty files", "/new", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"other\"; filename=\"f\"\r\n\r\n\r\n"},
		{"a search", "/campaigns/spring/contacts", "application/x-www-form-urlencoded", "find=&"},
		{"an action", "/campaigns/spring/pause", "application/x-www-form-urlencoded", "&a="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, withAgent(t))
			f.load("spring", 2)
			body := &endless{text: tt.text}
			req, err := http.NewRequestWithContext(t.Context(), "POST", f.URL+tt.path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tt.kind)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err == nil { // else the connection has ended while the form was being sent
				res.Body.Close()
				if res.StatusCode != http.StatusRequestEntityTooLarge && res.StatusCode != http.StatusBadRequest {
					t.Errorf("answered %d", res.StatusCode)
				}
			}
			if sent := body.sent.Load(); sent > 10<<20 {
				t.Errorf("%d bytes of it were taken", sent)
			}
		})
	}
	f := newFixture(t, withAgent(t))
	if res, page := f.ask("POST", "/new", url.Values{"name": {"spring"}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a form without a file: %d %s", res.StatusCode, page)
	}
}
