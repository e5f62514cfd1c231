package velents

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testToken = "tok_5f0e8c1d-secret"
	testPhone = "+966501234567"
)

var oneContact = Dispatch{ChannelID: 3, Phone: testPhone, Values: map[string]string{"name": "Layla"}}

func newClient(t *testing.T, baseURL string) *Client {
	t.Helper()
	c, err := New(Config{BaseURL: baseURL, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rawServer hands each connection to handle, with its number counted from 1,
// and closes it afterwards.
func rawServer(t *testing.T, handle func(n int, conn *net.TCPConn)) (baseURL string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(n, conn.(*net.TCPConn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// readRequest reads one request whole.
func readRequest(r *bufio.Reader) error {
	req, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

// answering reads a request and writes answer as it stands.
func answering(answer string) func(int, *net.TCPConn) {
	return func(_ int, conn *net.TCPConn) {
		if readRequest(bufio.NewReader(conn)) == nil {
			io.WriteString(conn, answer)
		}
	}
}

func reset(conn *net.TCPConn) { conn.SetLinger(0) } // closing then sends RST

// checkText fails if err tells what no error may tell.
func checkText(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{testToken, testPhone, testPhone[1:]} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error tells %q: %v", secret, err)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	closedAddr := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return "http://" + l.Addr().String()
	}
	dialFails := func(err error) func(*testing.T) Config {
		return func(*testing.T) Config {
			return Config{BaseURL: "http://platform.example", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
		}
	}
	server := func(handle func(int, *net.TCPConn)) func(*testing.T) Config {
		return func(t *testing.T) Config { return Config{BaseURL: rawServer(t, handle)} }
	}
	for _, tt := range []struct {
		name string
		cfg  func(*testing.T) Config
		sent bool
		as   func(error) bool
		text string
	}{
		{"a refused connection was not sent", func(t *testing.T) Config { return Config{BaseURL: closedAddr(t)} }, false,
			func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }, "connection refused"},
		{"an unknown host was not sent", dialFails(&net.DNSError{Err: "no such host", Name: "platform.example", IsNotFound: true}), false,
			func(err error) bool { dns, ok := errors.AsType[*net.DNSError](err); return ok && dns.IsNotFound }, "no such host"},
		{"an untrusted certificate was not sent", func(t *testing.T) Config {
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return Config{BaseURL: srv.URL}
		}, false, func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok }, "certificate"},
		{"TLS to a server without it was not sent", func(t *testing.T) Config {
			return Config{BaseURL: "https" + strings.TrimPrefix(rawServer(t, func(_ int, conn *net.TCPConn) {
				io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			}), "http")}
		}, false, nil, "not sent: "},
		{"the address of a proxy does not tell its password", dialFails(errors.New("proxyconnect http://ops:hunter2@proxy:3128: refused")), false,
			nil, "not sent: proxyconnect http://…@proxy:3128: refused"},
		{"a reset while reading may have been sent", server(func(_ int, conn *net.TCPConn) {
			_, _ = conn.Read(make([]byte, 1)) // earlier, and the dial itself may fail
			reset(conn)
		}), true, nil, "no answer: "},
		{"a reset after reading may have been sent", server(func(_ int, conn *net.TCPConn) {
			_ = readRequest(bufio.NewReader(conn))
			reset(conn)
		}), true, nil, "no answer: "},
		{"a close after reading may have been sent", server(answering("")), true,
			func(err error) bool { return errors.Is(err, io.EOF) }, "no answer: EOF"},
		{"half a head may have been sent", server(answering("HTTP/1.1 200 OK\r\nX-RateLimit-Lim")), true, nil, "no answer: "},
		{"what is no HTTP may have been sent, and is not quoted whole", server(answering("Bearer " + testToken + " calls " + testPhone + "\r\n\r\n")), true,
			nil, "malformed HTTP"},
		{"an endless head may have been sent", server(answering("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxAnswerHeadBytes) + "\r\n\r\n")), true,
			nil, "exceeded"},
		{"an answer that switches protocols is none", server(answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")), true,
			nil, "protocol switched"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg(t)
			cfg.Token = testToken
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := c.Dispatch(t.Context(), oneContact)
			none, ok := errors.AsType[*Unanswered](err)
			if !ok || none.Sent != tt.sent {
				t.Fatalf("error = %#v (%v), want Unanswered with Sent %t", err, err, tt.sent)
			}
			if tt.as != nil && !tt.as(err) {
				t.Errorf("cause is lost: %v", err)
			}
			if !strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), "velents: dispatch: ") {
				t.Errorf("error = %q, want %q in it", err, tt.text)
			}
			checkText(t, err)
			if answer.Status != 0 || answer.Rate.Known {
				t.Errorf("answer = %+v, want none", answer)
			}
		})
	}
}

func TestContextOver(t *testing.T) {
	t.Run("before a connection nothing was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newClient(t, rawServer(t, answering(""))).Dispatch(ctx, oneContact)
		if none, ok := errors.AsType[*Unanswered](err); !ok || none.Sent || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want not sent, canceled", err)
		}
	})
	t.Run("while dialing nothing was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := New(Config{Token: testToken, Dial: func(context.Context, string, string) (net.Conn, error) {
			cancel()
			return nil, ctx.Err()
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Dispatch(ctx, oneContact)
		if none, ok := errors.AsType[*Unanswered](err); !ok || none.Sent || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want not sent, canceled", err)
		}
	})
	t.Run("while waiting for the answer it may have been sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := newClient(t, rawServer(t, func(_ int, conn *net.TCPConn) {
			_ = readRequest(bufio.NewReader(conn))
			cancel()
			_, _ = io.Copy(io.Discard, conn) // until the client hangs up
		})).Dispatch(ctx, oneContact)
		if none, ok := errors.AsType[*Unanswered](err); !ok || !none.Sent || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want maybe sent, canceled", err)
		}
	})
}

// pipeDialer connects to handle by net.Pipe, which synctest understands.
func pipeDialer(handle func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			handle(there)
		}()
		return here, nil
	}
}

func TestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		ok     bool
		status int
	}{
		{"a server that never answers leaves it open", "", false, 0},
		{"a server that stops in the head leaves it open", "HTTP/1.1 200 OK\r\n", false, 0},
		{"a server that stops in the body of a success leaves it open", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", false, 200},
		{"a server that stops in the body of a refusal has refused", "HTTP/1.1 422 No\r\nContent-Length: 9\r\n\r\n{", false, 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(Config{BaseURL: "http://platform.example", Token: testToken, Timeout: 20 * time.Second, Dial: pipeDialer(func(conn net.Conn) {
					r := bufio.NewReader(conn)
					if readRequest(r) == nil {
						io.WriteString(conn, tt.answer)
						_, _ = io.Copy(io.Discard, r) // until the client hangs up
					}
				})})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				answer, err := c.Dispatch(t.Context(), oneContact)
				if took := time.Since(start); took != 20*time.Second || answer.Latency != took {
					t.Errorf("took %v, latency %v, want 20s", took, answer.Latency)
				}
				if answer.Status != tt.status || (err == nil) != tt.ok {
					t.Errorf("answer = %+v, %v", answer, err)
				}
				if none, ok := errors.AsType[*Unanswered](err); tt.status == 0 && (!ok || !none.Sent || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("error = %v, want maybe sent, deadline exceeded", err)
				}
				if refused, ok := errors.AsType[*Error](err); tt.status == 422 && (!ok || refused.Message != "{" || refused.JSON) {
					t.Errorf("error = %v, want the status", err)
				}
			})
		})
	}
}

func TestIdleConnectionsEndBeforeServersCloseThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		pipe := pipeDialer(func(conn net.Conn) {
			r := bufio.NewReader(conn)
			for readRequest(r) == nil {
				io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		})
		c, err := New(Config{BaseURL: "http://platform.example", Token: testToken, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials++
			return pipe(ctx, network, address)
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, pause := range []time.Duration{0, time.Second, 3 * time.Second} {
			time.Sleep(pause) // fake time
			if _, err := c.Dispatch(t.Context(), oneContact); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if dials != 2 {
			t.Errorf("dialed %d times, want 2: reuse after one second, not after three", dials)
		}
		time.Sleep(idleConnTimeout) // lets the last connection end
	})
}

func TestWhatIsASuccess(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nX-RateLimit-Limit: 30\r\nX-RateLimit-Remaining: 29\r\n"
	rate := Rate{Known: true, Limit: 30, Remaining: 29}
	yes := Answer{Status: 200, Rate: rate, RateHeaders: true}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	io.WriteString(w, `{"id":7}`)
	w.Close()
	const html, octets = "Content-Type: text/html; charset=UTF-8\r\n", "Content-Type: application/json\r\n"
	for _, tt := range []struct {
		name   string
		answer string
		want   Answer
		err    string // empty: it is one
	}{
		{"no content is one", "HTTP/1.1 204 No Content\r\n\r\n", Answer{Status: 204}, ""},
		{"an empty body is one, of whatever type", head + html + "Content-Length: 0\r\n\r\n", yes, ""},
		{"an empty body is one, even one that calls itself compressed", head + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", yes, ""},
		{"JSON with an id is one", head + "Content-Length: 20\r\n\r\n" + `{"data":{"id":4711}}`, Answer{Status: 200, Rate: rate, RateHeaders: true, ID: "4711"}, ""},
		{"JSON that is a list is one", head + octets + "Content-Length: 2\r\n\r\n[]", yes, ""},
		{"JSON that is a word is one", head + "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\ntrue\n", yes, ""},
		{"JSON after a byte order mark is one", head + "Content-Length: 5\r\n\r\n\ufeff{}", yes, ""},
		{"a status that is not used is still an answer", "HTTP/1.1 299 Fine\r\nContent-Length: 2\r\n\r\n{}", Answer{Status: 299}, ""},
		{"after interim answers it is one", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head + "Content-Length: 0\r\n\r\n", yes, ""},
		{"no chunk but the last is one", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", yes, ""},

		{"a page is none", head + html + "\r\n<html>", yes, "page"},
		{"a page that calls itself JSON is none", head + octets + "\r\n \n\ufeff\n<!DOCTYPE html>", yes, "page"},
		{"a page that calls itself nothing is none", head + "\r\n<html>", yes, "page"},
		{"JSON that calls itself a page is none", head + html + "\r\n{}", yes, "page"},
		{"a page that is cut off is a page", head + html + "Content-Length: 50\r\n\r\n<ht", yes, "page"},
		{"a compressed page is a page", head + html + "Content-Encoding: gzip\r\n\r\n" + gz.String(), yes, "page"},
		{"plain text is none", head + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK", yes, "odd"},
		{"nothing but space is none", head + "Content-Length: 2\r\n\r\n\r\n", yes, "odd"},
		{"broken JSON is none", head + "Content-Length: 5\r\n\r\n{\"id\"", yes, "odd"},
		{"two values are none", head + "Content-Length: 4\r\n\r\n{}{}", yes, "odd"},
		{"a body cut short is none, even after whole JSON", head + "Content-Length: 500\r\n\r\n{\"id\":7}", yes, "odd"},
		{"a body cut off before its first byte is none", head + "Content-Length: 500\r\n\r\n", yes, "odd"},
		{"an empty body that ends with the connection is none", head + octets + "Connection: close\r\n\r\n", yes, "odd"},
		{"a chunk cut short is none", head + "Transfer-Encoding: chunked\r\n\r\nff\r\n{", yes, "odd"},
		{"chunks without an end are none", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", yes, "odd"},
		{"JSON compressed unasked is none", head + "Content-Encoding: gzip\r\n\r\n" + gz.String(), yes, "odd"},
		{"what is longer than the bound is none", head + "\r\n" + strings.Repeat(" ", maxAnswerBytes+10), yes, "odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, rawServer(t, answering(tt.answer)))
			got, err := c.Batch(t.Context(), batchOf(2))
			odd, _ := errors.AsType[*Error](err)
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err != "" && (odd == nil || odd.Status != 200 || odd.Page != (tt.err == "page") || !odd.RateHeaders):
				t.Errorf("error = %+v, want a %s", err, tt.err)
			}
			got.Latency = 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	type seen struct {
		Method, URI, Proto, Auth, Accept, Type, Agent, Encoding, Key string
		Length                                                       int64
		Chunked                                                      bool
	}
	var got seen
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		got = seen{r.Method, r.RequestURI, r.Proto, h.Get("Authorization"), h.Get("Accept"), h.Get("Content-Type"), h.Get("User-Agent"),
			h.Get("Accept-Encoding"), h.Get("Idempotency-Key"), r.ContentLength, r.TransferEncoding != nil}
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	c, err := New(Config{BaseURL: srv.URL + "/proxied/", Token: testToken, UserAgent: "tests/1"})
	if err != nil {
		t.Fatal(err)
	}
	batch := batchOf(3)
	if _, err := c.Batch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	want := seen{Method: "POST", URI: "/proxied/Integration/Agent/Batch", Proto: "HTTP/1.1", Auth: "Bearer " + testToken,
		Accept: "application/json", Type: "application/json", Agent: "tests/1", Length: int64(batch.Size())}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(batch.appendJSON(nil)), string(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if _, _, err := c.Agent(t.Context()); !errors.Is(err, ErrUnreadable) {
		t.Errorf("Agent: %v, want ErrUnreadable for no body", err)
	}
	want = seen{Method: "GET", URI: "/proxied/Integration/Agent", Proto: "HTTP/1.1", Auth: "Bearer " + testToken,
		Accept: "application/json", Agent: "tests/1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+"/login?next="+testPhone, status)
			}))
			defer srv.Close()
			c := newClient(t, srv.URL)
			_, err := c.Dispatch(t.Context(), oneContact)
			refused, ok := errors.AsType[*Error](err)
			if !ok || refused.Status != status || refused.Message != "redirects to "+other.URL {
				t.Errorf("error = %v, want the redirect itself", err)
			}
			if _, _, err := c.Agent(t.Context()); err == nil {
				t.Error("Agent followed a redirect")
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went where the redirects pointed, with the token", n)
	}
}

// A server that closes an idle connection just as a request comes in: net/http
// would repeat the request by itself, if it could.
func TestStaleConnectionIsNotReplayed(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*bufio.Reader, *net.TCPConn)
	}{
		{"closed as the first byte comes", func(r *bufio.Reader, _ *net.TCPConn) { _, _ = r.Peek(1) }},
		{"reset as the first byte comes", func(r *bufio.Reader, conn *net.TCPConn) { _, _ = r.Peek(1); reset(conn) }},
		{"closed after the whole request", func(r *bufio.Reader, _ *net.TCPConn) { _ = readRequest(r) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var whole, conns atomic.Int32
			c := newClient(t, rawServer(t, func(n int, conn *net.TCPConn) {
				conns.Store(int32(n))
				r := bufio.NewReader(conn)
				for readRequest(r) == nil {
					whole.Add(1)
					io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
					if n == 1 {
						tt.end(r, conn)
						return
					}
				}
			}))
			if _, err := c.Dispatch(t.Context(), oneContact); err != nil {
				t.Fatal(err)
			}
			_, err := c.Dispatch(t.Context(), oneContact)
			if none, ok := errors.AsType[*Unanswered](err); !ok || !none.Sent {
				t.Errorf("error = %v, want an Unanswered that may have been sent", err)
			}
			if whole.Load() != 1 || conns.Load() != 1 {
				t.Errorf("%d requests over %d connections answered, want only the first", whole.Load(), conns.Load())
			}
		})
	}
	t.Run("a read never meets one", func(t *testing.T) {
		var closing atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Close {
				closing.Add(1)
			}
			io.WriteString(w, `{"name":"Nora"}`)
		}))
		defer srv.Close()
		c := newClient(t, srv.URL)
		for range 2 {
			if _, _, err := c.Agent(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if closing.Load() != 2 {
			t.Errorf("%d of 2 reads asked for a connection of their own", closing.Load())
		}
	})
}

func TestGuard(t *testing.T) {
	past := errors.New("claim is over")
	whole := make(chan bool, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		whole <- err == nil && json.Valid(body)
	}))
	defer srv.Close()
	c := newClient(t, srv.URL)

	t.Run("consents and the request leaves", func(t *testing.T) {
		asked := 0
		_, err := c.Dispatch(WithGuard(t.Context(), func() error { asked++; return nil }), oneContact)
		if err != nil || asked != 1 || !<-whole {
			t.Errorf("error %v after %d questions", err, asked)
		}
	})
	t.Run("refuses and no body leaves", func(t *testing.T) {
		_, err := c.Dispatch(WithGuard(t.Context(), func() error { return past }), oneContact)
		if none, ok := errors.AsType[*Unanswered](err); !ok || none.Sent || !errors.Is(err, past) {
			t.Errorf("error = %v, want not sent, %v", err, past)
		}
		if <-whole {
			t.Error("the server saw a whole request")
		}
	})
	t.Run("refuses in mid-body and it stays a part", func(t *testing.T) {
		asked := 0
		_, err := c.Batch(WithGuard(t.Context(), func() error {
			if asked++; asked > 1 {
				return past
			}
			return nil
		}), batchOf(5000))
		if none, ok := errors.AsType[*Unanswered](err); !ok || !none.Sent || !errors.Is(err, past) {
			t.Errorf("error = %v, want maybe sent, %v", err, past)
		}
		if <-whole {
			t.Error("the server saw a whole request")
		}
	})
	t.Run("refuses a read before it is made", func(t *testing.T) {
		_, _, err := c.Agent(WithGuard(t.Context(), func() error { return past }))
		if none, ok := errors.AsType[*Unanswered](err); !ok || none.Sent || !errors.Is(err, past) {
			t.Errorf("error = %v, want not sent, %v", err, past)
		}
		select {
		case <-whole:
			t.Error("the server saw a request")
		default:
		}
	})
}

func TestBody(t *testing.T) {
	asked := 0
	consent := func() error { asked++; return nil }
	p := make([]byte, 2)

	t.Run("asks before each piece and not when all has left", func(t *testing.T) {
		b := &body{unread: []byte("abc"), guard: consent}
		for _, want := range []struct {
			n   int
			err error
		}{{2, nil}, {1, nil}, {0, io.EOF}, {0, io.EOF}} {
			if n, err := b.Read(p); n != want.n || err != want.err {
				t.Errorf("Read = %d, %v, want %d, %v", n, err, want.n, want.err)
			}
		}
		if asked != 2 {
			t.Errorf("guard was asked %d times, want 2", asked)
		}
	})
	t.Run("stays refused", func(t *testing.T) {
		past := errors.New("past")
		answers := []error{past, nil}
		b := &body{unread: []byte("abc"), guard: func() error { err := answers[0]; answers = answers[1:]; return err }}
		for range 2 {
			if n, err := b.Read(p); n != 0 || err != past {
				t.Errorf("Read = %d, %v, want the refusal", n, err)
			}
		}
	})
	t.Run("holds the rest back when an early answer ended the call", func(t *testing.T) {
		asked = 0
		b := &body{unread: []byte("abc"), guard: consent}
		b.stop()
		if n, err := b.Read(p); n != 0 || err != errOver || asked != 0 {
			t.Errorf("Read = %d, %v after %d questions, want %v", n, err, asked, errOver)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		text string
	}{
		{"no token", Config{}, "velents: token: missing"},
		{"a token with a line end", Config{Token: "secret\n"}, "velents: token: want visible ASCII without spaces"},
		{"a token with its scheme", Config{Token: "Bearer secret"}, "velents: token: want visible ASCII without spaces"},
		{"an address that is none", Config{Token: "secret", BaseURL: "http://a:b@c:port/secret"}, "velents: base URL: malformed"},
		{"no scheme", Config{Token: "secret", BaseURL: "platform.example"}, "velents: base URL: want http:// or https://"},
		{"another scheme", Config{Token: "secret", BaseURL: "ftp://platform.example"}, "velents: base URL: want http:// or https://"},
		{"no host", Config{Token: "secret", BaseURL: "https:///path"}, "velents: base URL: no host"},
		{"a port alone", Config{Token: "secret", BaseURL: "https://:8090"}, "velents: base URL: no host"},
		{"a user", Config{Token: "secret", BaseURL: "https://me:secret@platform.example"}, "velents: base URL: want no user, query or fragment"},
		{"a query", Config{Token: "secret", BaseURL: "https://platform.example?key=secret"}, "velents: base URL: want no user, query or fragment"},
		{"a fragment", Config{Token: "secret", BaseURL: "https://platform.example#secret"}, "velents: base URL: want no user, query or fragment"},
		{"a negative timeout", Config{Token: "secret", Timeout: -time.Second}, "velents: timeout: want more than 0, have -1s"},
		{"a user agent of two lines", Config{Token: "secret", UserAgent: "a\r\nX-B: c"}, "velents: user agent: control character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg); err == nil || err.Error() != tt.text {
				t.Errorf("New: %v, want %s", err, tt.text)
			}
			if _, err := NewSupport(tt.cfg); err == nil || err.Error() != tt.text {
				t.Errorf("NewSupport: %v, want %s", err, tt.text)
			}
		})
	}
}

func TestNewDefaultsToThePlatform(t *testing.T) {
	c := newClient(t, "")
	if got := c.api.base.String(); got != "https://velents-agents.velents.ai/" || c.api.timeout != time.Minute {
		t.Errorf("base URL = %s, timeout = %v", got, c.api.timeout)
	}
}
