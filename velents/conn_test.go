package velents

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A tapped is a connection of the client's that a test watches and holds up.
type tapped struct {
	net.Conn
	onWrite func()        // before bytes go to the kernel
	blind   chan struct{} // until it is closed, no read tells that the server is gone; nil: they do
	gone    chan struct{} // closed once a read has seen it
	closed  chan struct{} // closed once net/http has closed the connection
	seen    sync.Once
	open    sync.Once
	end     sync.Once
	taken   atomic.Int64
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.seen.Do(func() { close(c.gone) })
		if c.blind != nil {
			<-c.blind
		}
	}
	return n, err
}

func (c *tapped) Write(p []byte) (int, error) {
	if c.onWrite == nil {
		return c.Conn.Write(p)
	}
	c.onWrite()
	n, err := c.Conn.Write(p)
	c.taken.Add(int64(n))
	if c.blind != nil {
		c.open.Do(func() { close(c.blind) })
	}
	return n, err
}

func (c *tapped) Close() error {
	err := c.Conn.Close()
	c.end.Do(func() { close(c.closed) })
	return err
}

// The server ends a connection that it has answered on, at the worst moments: when
// the next request has got the connection, or when its first byte is about to go
// to the kernel.
func TestNothingWasSentOnAConnectionThatHadEnded(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS() // for its certificate
	certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())

	closes := func(c net.Conn) { c.Close() }
	resets := func(c net.Conn) {
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn()
		}
		reset(c.(*net.TCPConn))
		c.Close()
	}
	halfCloses := func(c net.Conn) {
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn()
		}
		c.(*net.TCPConn).CloseWrite()
	}
	for _, tt := range []struct {
		name     string
		secure   bool
		end      func(net.Conn)
		atWrite  bool // not when the request gets the connection, but when it is written
		blind    bool // the client writes before it has read that the server is gone
		sent     bool
		farewell bool // the kernel takes bytes that are not the request's
	}{
		{name: "closed when the request gets the connection", end: closes},
		{name: "reset when the request gets the connection", end: resets},
		{name: "half closed when the request gets the connection", end: halfCloses},
		{name: "closed over TLS, with a farewell", secure: true, end: closes, farewell: true},
		{name: "reset over TLS when the request gets the connection", secure: true, end: resets},
		{name: "half closed over TLS, with a farewell", secure: true, end: halfCloses, farewell: true},
		{name: "closed when the first byte is about to go", end: closes, atWrite: true},
		{name: "reset when the first byte is about to go, so that the pipe is broken", end: resets, atWrite: true, blind: true},
		{name: "reset over TLS when the first byte is about to go", secure: true, end: resets, atWrite: true, blind: true},
		{name: "closed, but the kernel takes the request", end: closes, atWrite: true, blind: true, sent: true},
		{name: "half closed, but the kernel takes the request", end: halfCloses, atWrite: true, blind: true, sent: true},
		{name: "half closed, but the kernel takes the request over TLS", secure: true, end: halfCloses, atWrite: true, blind: true, sent: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var conns atomic.Int32
			server := make(chan net.Conn, 1)
			base := rawServer(t, func(_ int, raw *net.TCPConn) {
				conns.Add(1)
				var c net.Conn = raw
				if tt.secure {
					c = tls.Server(raw, certified.TLS)
				}
				r := bufio.NewReader(c)
				if readRequest(r) != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				server <- c
				_ = readRequest(r) // until the client is gone
			})
			if tt.secure {
				base = "https" + strings.TrimPrefix(base, "http")
			}
			var client *tapped
			c := newClient(t, base)
			c.api.posts = newTransport(func(ctx context.Context, network, address string) (net.Conn, error) {
				raw, err := new(net.Dialer).DialContext(ctx, network, address)
				client = &tapped{Conn: raw, gone: make(chan struct{}), closed: make(chan struct{})}
				if tt.blind {
					client.blind = make(chan struct{})
				}
				return client, err
			}, roots)
			if _, err := c.Dispatch(t.Context(), oneContact); err != nil {
				t.Fatal(err)
			}
			there, noticed := <-server, client.closed
			if tt.blind {
				noticed = client.gone
			}
			end := sync.OnceFunc(func() { tt.end(there); <-noticed })
			ctx := t.Context()
			client.onWrite = func() {}
			if tt.atWrite {
				client.onWrite = end
			} else {
				ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { end() }})
			}
			_, err := c.Dispatch(ctx, oneContact)
			none, ok := errors.AsType[*Unanswered](err)
			if !ok || none.Sent != tt.sent || (none.Obstacle == Closed) == tt.sent {
				t.Errorf("error = %v (%+v), want Unanswered with Sent %t", err, none, tt.sent)
			}
			if tt.farewell != (client.taken.Load() > 0 && !tt.sent) {
				t.Errorf("the kernel took %d bytes", client.taken.Load())
			}
			if conns.Load() != 1 {
				t.Errorf("%d connections: the request was repeated", conns.Load())
			}
			checkText(t, err)
		})
	}
}

func TestAnAnswerOverTLSAndThroughAProxy(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"id":7}`) }))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	proxy := httptest.NewServer(http.HandlerFunc(connectTo(srv.Listener.Addr().String())))
	defer proxy.Close()
	for name, through := range map[string]string{"straight": "", "through a proxy": proxy.URL} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, srv.URL)
			c.api.posts = throughProxy(t, through, roots)
			for range 2 { // the second over the first one's connection
				if answer, err := c.Dispatch(t.Context(), oneContact); err != nil || answer.ID != "7" {
					t.Errorf("answer = %+v, %v", answer, err)
				}
			}
		})
	}
}

func throughProxy(t *testing.T, proxy string, roots *x509.CertPool) *http.Transport {
	t.Helper()
	transport := newTransport(nil, roots)
	transport.Proxy = nil
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(u)
	}
	return transport
}

// connectTo is a proxy that connects everybody to one address.
func connectTo(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		io.WriteString(here, "HTTP/1.1 200 Connected\r\n\r\n")
		go func() { io.Copy(there, rest); there.Close() }()
		io.Copy(here, there)
	}
}

func TestWhyNothingWasSent(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusProxyAuthRequired)
	}))
	defer refusing.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	speechless := rawServer(t, func(_ int, conn *net.TCPConn) { io.WriteString(conn, "220 mail.example ESMTP\r\n") })

	for _, tt := range []struct {
		name      string
		base      string
		transport *http.Transport
		want      Obstacle
		text      string
	}{
		{"nothing listens there", closed.URL, throughProxy(t, "", nil), Refused, "refused"},
		{"the name is not known", "http://platform.invalid", newTransport(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "platform.invalid", IsNotFound: true}}
		}, nil), NoName, "no such host"},
		{"the resolver does not answer", "http://platform.invalid", newTransport(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "platform.invalid", IsTimeout: true}}
		}, nil), NoName, "timeout"},
		{"the certificate is of an unknown authority", srv.URL, throughProxy(t, "", nil), BadCertificate, "unknown authority"},
		{"the certificate is another name's", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), throughProxy(t, "", roots), BadCertificate, "localhost"},
		{"the server speaks no TLS", strings.Replace(speechless, "http", "https", 1), throughProxy(t, "", nil), NoTLS, "TLS"},
		{"the proxy is not there", srv.URL, throughProxy(t, closed.URL, roots), BadProxy, "refused"},
		{"the proxy is not there for plain HTTP either", "http://platform.invalid", throughProxy(t, closed.URL, nil), BadProxy, "refused"},
		{"the proxy refuses to connect", srv.URL, throughProxy(t, refusing.URL, roots), BadProxy, "the proxy answers 407"},
		{"the proxy wants a password", srv.URL, throughProxy(t, strings.Replace(refusing.URL, "//", "//ops:hunter2@", 1), roots), BadProxy, "407"},
		{"the network is not reached", "http://platform.invalid", newTransport(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route to host")
		}, nil), Unreachable, "no route"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, tt.base)
			c.api.posts = tt.transport
			_, err := c.Dispatch(t.Context(), oneContact)
			none, ok := errors.AsType[*Unanswered](err)
			if !ok || none.Sent || none.Obstacle != tt.want || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error = %v (%+v), want %s with %q in it", err, none, tt.want, tt.text)
			}
			checkText(t, err)
		})
	}
	t.Run("the handshake does not end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Config{BaseURL: "https://platform.example", Token: testToken, Dial: pipeDialer(func(conn net.Conn) {
				_, _ = io.Copy(io.Discard, conn) // until the client hangs up
			})})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.Dispatch(t.Context(), oneContact)
			none, ok := errors.AsType[*Unanswered](err)
			if took := time.Since(start); !ok || none.Sent || none.Obstacle != TooSlow || took != connectTimeout {
				t.Errorf("error = %v (%+v) after %v, want a timeout", err, none, took)
			}
		})
	})
}

// A request that has failed before it was written must stay unwritten: it counts as
// not sent from then on.
func TestNothingIsWrittenOverAConnectionThatWasGivenUp(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	c := &conn{Conn: here}
	way := passage{connected: true, conn: c}
	if connected, sent := way.end(); !connected || sent {
		t.Errorf("connected %t, sent %t, want true, false", connected, sent)
	}
	if n, err := c.Write([]byte("POST")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write = %d, %v", n, err)
	}
}
