package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

// bounds are what strangers may take of a worker. They hold before a password or a
// signature is looked at, so that connections on which nothing comes leave the worker
// its memory and its file descriptors, without which it could not send.
type bounds struct {
	connections int           // open at once; others wait to be taken
	header      time.Duration // for the headers of a request, and for a handshake of TLS
	request     time.Duration // for a whole request; the pages let uploads take longer
	stall       time.Duration // for a peer to take the next piece of an answer
	idle        time.Duration // between two requests
	headerBytes int
}

var (
	pageBounds  = bounds{connections: 1024, header: 5 * time.Second, request: 15 * time.Second, stall: 30 * time.Second, idle: time.Minute, headerBytes: 64 << 10}
	inboxBounds = bounds{connections: 512, header: 5 * time.Second, request: 15 * time.Second, stall: 20 * time.Second, idle: time.Minute, headerBytes: 16 << 10}
)

// leastConnections is what a listener has, however few descriptors there are.
const leastConnections = 8

// fit lowers the connections of each listener to the descriptors that sending leaves.
// It returns how many are missing: 0 when all is well.
func fit(limit uint64, agents, concurrency int, all ...*bounds) (missing int) {
	sending := 64 + // log, database of time zones, uploads, the listeners themselves
		2*agents*concurrency + // requests, each with a connection that is being opened
		12*runtime.GOMAXPROCS(0) // go-redis keeps ten for each
	each := (int(min(limit, 1<<20)) - sending) / len(all)
	for _, b := range all {
		b.connections = min(b.connections, max(each, leastConnections))
	}
	return max(0, (leastConnections-each)*len(all))
}

// descriptors is how many files and connections this process may have open. Go has
// raised it to what is allowed.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return uint64(limit.Cur)
}

// listen opens a port within bounds.
func (b bounds) listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &patientListener{netutil.LimitListener(l, b.connections), b.stall}, nil
}

// server serves a handler within bounds. HTTP/2 is left out: one of its connections
// may carry any number of requests.
func (b bounds) server(handler http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: b.header, ReadTimeout: b.request, IdleTimeout: b.idle,
		MaxHeaderBytes: b.headerBytes, ErrorLog: faults(log), Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	return s
}

// faults passes on what a server says of its own faults, and leaves out what it says of
// strangers' mistakes.
func faults(to *slog.Logger) *stdlog.Logger { return stdlog.New(faultWriter{to}, "", 0) }

type faultWriter struct{ log *slog.Logger }

func (f faultWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: panic") || strings.HasPrefix(text, "http: Accept error") {
		f.log.Error("a server's fault", "error", text)
	}
	return len(line), nil
}

// A patientListener's connections end when their peer does not take what is written.
type patientListener struct {
	net.Listener
	stall time.Duration
}

func (l *patientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: conn, stall: l.stall}, nil
}

// A patientConn writes for as long as each piece is taken in time. A deadline for a
// whole answer would cut long downloads and pages that stay open.
type patientConn struct {
	net.Conn
	stall time.Duration

	mu  sync.Mutex
	end time.Time // as the handler has set it; zero: none
}

const pieceBytes = 16 << 10

func (c *patientConn) Write(p []byte) (written int, err error) {
	for {
		c.mu.Lock()
		end := time.Now().Add(c.stall)
		if !c.end.IsZero() && c.end.Before(end) {
			end = c.end
		}
		c.mu.Unlock()
		if err := c.Conn.SetWriteDeadline(end); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), pieceBytes)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

func (c *patientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *patientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetWriteDeadline(t), c.SetReadDeadline(t))
}

// serve answers requests until ctx is over; with settings of TLS, by TLS.
func serve(ctx context.Context, what string, listener net.Listener, server *http.Server) error {
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(last)
	})
	defer stop()
	answer := server.Serve
	if server.TLSConfig != nil {
		answer = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	if err := answer(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
