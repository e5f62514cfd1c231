package velents

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"
	"syscall"
)

// An Obstacle is why nothing of a request was sent.
type Obstacle string

const (
	BadCertificate Obstacle = "certificate" // the server's certificate is not trusted, or is for another name
	NoName         Obstacle = "dns"         // the server's name was not resolved
	Refused        Obstacle = "refused"     // nothing listens there
	BadProxy       Obstacle = "proxy"       // the proxy was not reached, or let nothing through
	TooSlow        Obstacle = "timeout"     // connecting took too long
	NoTLS          Obstacle = "tls"         // the server does not speak TLS, or not a version of ours
	Closed         Obstacle = "closed"      // the connection had ended before a byte of the request
	Unreachable    Obstacle = "unreachable" // anything else
)

// obstacleOf says why a request was not sent.
func obstacleOf(err error, connected bool) Obstacle {
	var proxy *proxyError
	var op *net.OpError
	var dns *net.DNSError
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.As(err, &proxy), errors.As(err, &op) && (op.Op == "proxyconnect" || op.Op == "socks connect"):
		return BadProxy
	case errors.As(err, &unverified), errors.As(err, &unknown), errors.As(err, &wrongName), errors.As(err, &invalid):
		return BadCertificate
	case connected:
		return Closed
	case errors.As(err, &dns):
		return NoName
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return TooSlow
	case errors.As(err, &noTLS), errors.As(err, &alert), op != nil && (op.Op == "remote error" || op.Op == "local error"):
		return NoTLS
	}
	return Unreachable
}

// proxyError is a proxy's refusal to connect us. Its text is the proxy's own.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy answers %d: %s", e.status, http.StatusText(e.status))
}

// proxyMustConnect fails unless a proxy answers CONNECT with 200.
func proxyMustConnect(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &proxyError{answer.StatusCode}
	}
	return nil
}

// A conn counts the bytes that are handed to the kernel.
type conn struct {
	net.Conn

	mu     sync.Mutex
	handed int64 // bytes, those being written included
	sealed bool
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.handed += int64(len(p))
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	if n < len(p) {
		c.mu.Lock()
		c.handed -= int64(len(p) - n)
		c.mu.Unlock()
	}
	return n, err
}

func (c *conn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handed
}

// seal stops all further writing, and returns the count.
func (c *conn) seal() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.handed
}

// A passage follows one request over its connection.
type passage struct {
	mu        sync.Mutex
	connected bool
	conn      *conn // nil for one that is not counted
	before    int64 // its count before this request
}

// trace returns a context whose request is followed.
func (p *passage) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.connected = true
		c := got.Conn
		if secure, ok := c.(*tls.Conn); ok { // through a proxy
			c = secure.NetConn()
		}
		if p.conn, _ = c.(*conn); p.conn != nil {
			p.before = p.conn.count()
		}
	}})
}

// end stops a request that has failed. It reports whether the request had a connection, and
// whether a byte of it was handed to the kernel.
func (p *passage) end() (connected, sent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return p.connected, p.connected
	}
	return true, p.conn.seal() > p.before
}

// dialer opens connections that are counted.
type dialer struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool // the system's when nil
}

func (d dialer) plain(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// secure counts above TLS, because TLS's own records (the handshake, the alert when a
// connection is closed) are not part of a request. A record that the kernel took only in
// part is not counted: the server cannot read it.
func (d dialer) secure(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c := tls.Client(raw, &tls.Config{ServerName: host, RootCAs: d.roots})
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return &conn{Conn: c}, nil
}
