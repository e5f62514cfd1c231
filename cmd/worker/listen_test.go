package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

// serveWithin serves a handler within bounds and returns its address.
func serveWithin(t *testing.T, b bounds, handler http.Handler, edit ...func(*http.Server)) string {
	t.Helper()
	l, err := b.listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := b.server(handler, slog.New(slog.DiscardHandler))
	for _, e := range edit {
		e(server)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, "test", l, server) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// short are bounds that a test need not wait for.
func short(b bounds) bounds {
	b.header, b.request, b.stall, b.idle = 50*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	return b
}

func testPages(t *testing.T, edit ...func(*dashboard.Config)) http.Handler {
	t.Helper()
	cfg := dashboard.Config{Addr: "127.0.0.1:0", Password: "secret", Store: store.New(redistest.Shared(t)), Stall: 50 * time.Millisecond}
	for _, e := range edit {
		e(&cfg)
	}
	pages, err := dashboard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

const signedIn = "Authorization: Basic YWRtaW46c2VjcmV0\r\n"

// Each of these connections would stay for ever if nothing cut it.
func TestStrangersAreCut(t *testing.T) {
	inbox := &webhook.Inbox{Events: store.New(redistest.Shared(t)), Secret: "secret", Log: slog.New(slog.DiscardHandler)}
	pages := serveWithin(t, short(pageBounds), testPages(t))
	events := serveWithin(t, short(inboxBounds), inbox)
	link := strings.TrimPrefix(webhook.Link("http://in", "secret", webhook.Target{Campaign: "sale"}), "http://in")
	form := func(path, header string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n" + header
	}
	for _, tt := range []struct{ name, address, text, drip string }{
		{"pages: nothing comes", pages, "", ""},
		{"pages: half a line", pages, "GET / HT", ""},
		{"pages: headers without end", pages, "GET / HTTP/1.1\r\nHost: localhost\r\n", "X: y\r\n"},
		{"pages: no body, and no password", pages, form("/campaigns/sale/pause", "Content-Length: 1000\r\n\r\n"), ""},
		{"pages: no body, behind the password", pages, form("/campaigns/sale/pause", signedIn+"Content-Length: 1000\r\n\r\n"), ""},
		{"pages: a body that drips, and no password", pages, form("/campaigns/sale/pause", "Content-Length: 10000000\r\n\r\n"), "a"},
		{"pages: a body that drips, behind the password", pages, form("/new", signedIn+"Content-Length: 10000000\r\n\r\n"), "a"},
		{"pages: chunks without end", pages, form("/campaigns/sale/pause", "Transfer-Encoding: chunked\r\n\r\n"), "1\r\na\r\n"},
		{"pages: a body that nobody asks for", pages, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", ""},
		{"pages: nothing after an answer", pages, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", ""},
		{"inbox: nothing comes", events, "", ""},
		{"inbox: half a line", events, "POST /web", ""},
		{"inbox: no body, and no signature", events, form("/webhooks/velents", "Content-Length: 1000\r\n\r\n"), ""},
		{"inbox: no body, behind a signature", events, form(link, "Content-Length: 1000\r\n\r\n"), ""},
		{"inbox: a body that drips", events, form(link, "Content-Length: 1000000\r\n\r\n"), "a"},
		{"inbox: nothing after an answer", events, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", tt.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.text); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); _, _ = io.Copy(io.Discard, conn) }()
			for tick := time.NewTicker(5 * time.Millisecond); tt.drip != ""; <-tick.C {
				if _, err := io.WriteString(conn, tt.drip); err != nil {
					break
				}
			}
			<-ended // or this test would hang
		})
	}
}

func TestAReaderThatDoesNotReadIsCut(t *testing.T) {
	written := make(chan error, 1)
	address := serveWithin(t, short(pageBounds), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, zeros{})
		written <- err
	}))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := <-written; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestALongAnswerIsNotCutWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		conn := &patientConn{Conn: theirs, stall: 30 * time.Second}
		const pieces = 100
		go func() {
			piece := make([]byte, pieceBytes)
			for range pieces {
				time.Sleep(29 * time.Second) // the bubble's
				if _, err := io.ReadFull(mine, piece); err != nil {
					t.Error(err)
				}
			}
		}()
		if n, err := conn.Write(make([]byte, pieces*pieceBytes)); n != pieces*pieceBytes || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		begun := time.Now()
		if _, err := conn.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		// A handler may be less patient, as live pages are.
		if err := conn.SetWriteDeadline(time.Now().Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		if _, err := conn.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestListenersLeaveDescriptorsForSending(t *testing.T) {
	for _, tt := range []struct {
		limit               uint64
		agents, concurrency int
		enough              bool
	}{
		{1 << 62, 1, 4, true}, {20000, 10, 20, true}, {1024, 1, 4, true}, {20, 1, 4, false}, {1024, 100, 50, false},
	} {
		p, i := pageBounds, inboxBounds
		missing := fit(tt.limit, tt.agents, tt.concurrency, &p, &i)
		left := int(min(tt.limit, 1<<20)) - p.connections - i.connections
		if (missing == 0) != tt.enough || p.connections < leastConnections || i.connections < leastConnections || tt.enough && left < 2*tt.agents*tt.concurrency {
			t.Errorf("of %d: %d for pages, %d for the inbox, %d missing", tt.limit, p.connections, i.connections, missing)
		}
	}
}

// With 128 descriptors and no bound, 600 connections would take all of them.
func TestSendingGoesOnWhileStrangersHoldAllConnections(t *testing.T) {
	redis := redistest.Start(t)
	s := store.New(redis.Client())
	url, _, answer := slowPlatform(t)
	close(answer)
	p := startProcess(t, redis.URL(), url, descriptorsOfWorker+"=128", "WEBHOOK_SECRET=secret", "WEBHOOK_ADDR=127.0.0.1:0", "ADMIN_PASSWORD=secret")
	pages := p.awaitAddress("admin pages")
	inbox := p.awaitAddress("webhook inbox")
	p.await("worker started")
	ctx, stop := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	defer strangers.Wait()
	defer stop()
	for range 300 {
		strangers.Go(func() { comeAgain(ctx, pages, "GET / HTTP/1.1\r\nHost: localhost\r\n") })
		strangers.Go(func() {
			comeAgain(ctx, inbox, "POST /webhooks/velents HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
		})
	}
	load(t, s, 10)
	most := 0
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Skip("this system does not tell which files are open")
		}
		most = max(most, len(files))
		if tally, err := s.Tally(t.Context(), "sale"); err != nil {
			t.Fatal(err)
		} else if tally.States[campaign.Accepted] == 10 {
			break
		}
	}
	if most > 100 {
		t.Errorf("%d files were open", most)
	}
}

// comeAgain holds a connection, and takes another one when it is cut.
func comeAgain(ctx context.Context, address, text string) {
	var dialer net.Dialer
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			continue
		}
		end := context.AfterFunc(ctx, func() { conn.Close() })
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		end()
		conn.Close()
	}
}

// descriptorsOfWorker in its environment lowers what a worker may open.
const descriptorsOfWorker = "TEST_DESCRIPTORS"

func limitDescriptors() {
	var n uint64
	if _, err := fmt.Sscan(os.Getenv(descriptorsOfWorker), &n); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
}

// writePair writes a certificate of a name, and its key.
func writePair(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now, now); err != nil { // later than the last ones
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestPagesByTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "first.example.org")
	e := env{"VELENTS_TOKEN": "a", "REDIS_URL": redistest.Start(t).URL(), "ADMIN_PASSWORD": "long enough, surely", "ADMIN_TLS_CERT": certFile, "ADMIN_TLS_KEY": keyFile}
	out, _ := start(t, e)
	address := out.await(t, `admin pages" url=https://(\S+)`)[1]
	dial := func(cfg *tls.Config) (*tls.Conn, error) {
		cfg.InsecureSkipVerify = true // it is its own authority
		return tls.Dial("tcp", address, cfg)
	}
	name := func() string {
		conn, err := dial(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: first.example.org\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Fatal(res, err)
		}
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "first.example.org" {
		t.Errorf("the certificate is of %s", got)
	}
	if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if res, err := http.Get("http://" + address); err == nil && res.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", res.Status)
	}
	writePair(t, dir, "second.example.org")
	if got := name(); got != "second.example.org" {
		t.Errorf("after the renewal, the certificate is of %s", got)
	}
	if err := os.WriteFile(keyFile, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second.example.org" {
		t.Errorf("in the middle of a renewal, the certificate is of %s", got)
	}
	if !strings.Contains(out.String(), "cannot be read: the old one is used") || strings.Contains(out.String(), "half a k") {
		t.Errorf("the log:\n%s", out)
	}
}

func TestAServersFaultsAreLoggedAndStrangersMistakesAreNot(t *testing.T) {
	var log bytes.Buffer
	out := faults(slog.New(slog.NewTextHandler(&log, nil)))
	out.Print("http: TLS handshake error from 192.0.2.1:5000: EOF")
	out.Print("http: superfluous response.WriteHeader call")
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
	out.Print("http: panic serving 192.0.2.1:5000: nil map\ngoroutine 1 [running]")
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "nil map") {
		t.Errorf("logged: %s", &log)
	}
}
