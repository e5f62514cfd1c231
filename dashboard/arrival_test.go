package dashboard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener for connections within a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// talk runs client against a server whose requests have 15 seconds, as a worker's have.
func talk(t *testing.T, handler http.HandlerFunc, client func(conn net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: arriving(stallAfter, handler), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second}
		go func() { _ = server.Serve(l) }()
		mine, theirs := net.Pipe()
		l.conns <- theirs
		client(mine)
		mine.Close()
		server.Close()
		synctest.Wait()
	})
}

func TestABodyMayTakeItsTimeWhileItComes(t *testing.T) {
	const pieces, piece = 300, 64 << 10
	for _, tt := range []struct {
		name  string
		piece int // bytes
		pause time.Duration
		stop  int // pieces after which nothing more comes; 0: all come
		want  int
		after time.Duration // at most
	}{
		{"slowly, for more than an hour", piece, 14 * time.Second, 0, http.StatusOK, 2 * time.Hour},
		{"in a moment", piece, 0, 0, http.StatusOK, time.Second},
		{"it stops", piece, 0, 5, http.StatusRequestTimeout, 20 * time.Second},
		{"a byte at a time, to stay for ever", 1, 10 * time.Second, 0, http.StatusRequestTimeout, time.Minute},
		{"it never begins", piece, 0, -1, http.StatusRequestTimeout, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read := func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					w.WriteHeader(http.StatusRequestTimeout)
				}
			}
			talk(t, read, func(conn net.Conn) {
				begun := time.Now()
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", pieces*tt.piece)
				var sending sync.WaitGroup
				sending.Go(func() {
					for i := range pieces {
						if tt.stop != 0 && i >= tt.stop {
							return
						}
						time.Sleep(tt.pause) // the bubble's
						if _, err := io.WriteString(conn, strings.Repeat("x", tt.piece)); err != nil {
							return
						}
					}
				})
				defer sending.Wait()
				defer conn.Close()
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || res.StatusCode != tt.want {
					t.Errorf("%v, %v, want %d", res, err, tt.want)
				}
				if took := time.Since(begun); took > tt.after {
					t.Errorf("it took %v, want at most %v", took, tt.after)
				}
			})
		})
	}
}

// The server's deadline for a whole request would end its context, too.
func TestAPageThatStaysOpenIsNotCut(t *testing.T) {
	talk(t, func(w http.ResponseWriter, r *http.Request) {
		for range 60 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Minute): // the bubble's
			}
			fmt.Fprintln(w, "beat")
			_ = http.NewResponseController(w).Flush()
		}
	}, func(conn net.Conn) {
		fmt.Fprint(conn, "GET /events HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(res.Body); err != nil || strings.Count(string(text), "beat") != 60 {
			t.Errorf("%d beats, %v", strings.Count(string(text), "beat"), err)
		}
	})
}
