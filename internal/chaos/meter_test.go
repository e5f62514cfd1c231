//go:build chaos

package chaos

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"campaign-runner/internal/commands"
)

// A book is an independent record of what became of every request that left a
// worker: whether its answer came back.
type book struct {
	mu       sync.Mutex
	requests int
	cutShort int                  // requests without an answer
	torn     int                  // requests that did not arrive whole: their contacts are not known
	cut      map[string]int       // by number: requests with it that had no answer
	answered map[string]answer    // by number: the last answer to a request with it
	latest   map[string]time.Time // by number: when the last request with it came
}

type answer struct {
	worker int
	at     time.Time
}

func newBook() *book {
	return &book{cut: make(map[string]int), answered: make(map[string]answer), latest: make(map[string]time.Time)}
}

func (b *book) came(numbers []string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range numbers {
		b.latest[n] = at
	}
}

func (b *book) lost(numbers []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	b.cutShort++
	for _, n := range numbers {
		b.cut[n]++
	}
}

func (b *book) delivered(numbers []string, worker int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	for _, n := range numbers {
		b.answered[n] = answer{worker, time.Now()}
	}
}

func (b *book) tornUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	b.cutShort++
	b.torn++
}

// A meter is the door of a worker's link to the platform. It hands every
// request on as it came, the answer back, and writes the book. A request whose
// answer is lost behind it is reset, as it would be without the meter.
type meter struct {
	addr   string
	worker int
	book   *book
	link   *link // behind it
	out    *http.Transport

	mu     sync.Mutex
	server *http.Server // nil: closed
}

func newMeter(t *testing.T, worker int, b *book, behind *link) *meter {
	t.Helper()
	m := &meter{worker: worker, book: b, link: behind, out: &http.Transport{DisableKeepAlives: true}}
	for range 8 { // somebody else may have the port
		m.addr = freeAddr()
		if m.open() == nil {
			t.Cleanup(m.close)
			return m
		}
	}
	t.Fatal("no free port for a meter")
	return nil
}

func (m *meter) open() error {
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go m.server.Serve(l)
	return nil
}

// close refuses connections and ends those there are.
func (m *meter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.server.Close()
}

// cut and mend close the door and the way behind it.
func (m *meter) cut() {
	m.close()
	m.link.cut()
}

func (m *meter) mend() error {
	if err := m.link.mend(); err != nil {
		return err
	}
	return commands.Await(5*time.Second, m.open)
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.book.tornUp()
		reset(w)
		return
	}
	numbers := numbersIn(body)
	m.book.came(numbers, came)
	status, answer, err := m.pass(r, body)
	if err != nil {
		m.book.lost(numbers)
		reset(w)
		return
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(status)
	_, err = w.Write(answer.body)
	// What is nearly too late may be too late for the worker's clock.
	late := time.Since(came) > requestTimeout-time.Second
	if err != nil || late || r.Context().Err() != nil || speaksInstead(status, answer.header) {
		m.book.lost(numbers)
		return
	}
	m.book.delivered(numbers, m.worker)
}

// speaksInstead reports whether something else answered in the platform's place, so
// that it is not known what became of the request: a web page does, unless it is a
// refusal or says by Retry-After that the platform is closed.
func speaksInstead(status int, h http.Header) bool {
	page := strings.HasPrefix(h.Get("Content-Type"), "text/html")
	return page && (status/100 == 2 || status/100 == 5 && h.Get("Retry-After") == "")
}

type passed struct {
	header http.Header
	body   []byte
}

// pass hands a request on, once.
func (m *meter) pass(r *http.Request, body []byte) (status int, p passed, err error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+m.link.addr+r.URL.RequestURI(), io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return 0, p, err
	}
	out.Header, out.ContentLength = r.Header.Clone(), int64(len(body))
	res, err := m.out.RoundTrip(out)
	if err != nil {
		return 0, p, err
	}
	defer res.Body.Close()
	p.header = res.Header
	p.header.Del("Connection") // of the other connection
	p.body, err = io.ReadAll(res.Body)
	return res.StatusCode, p, err
}

func numbersIn(body []byte) []string {
	var wire struct {
		Phone string
		Rows  []struct{ Phone string }
	}
	_ = json.Unmarshal(body, &wire) // the platform judges the form
	var numbers []string
	if wire.Phone != "" {
		numbers = append(numbers, wire.Phone)
	}
	for _, row := range wire.Rows {
		numbers = append(numbers, row.Phone)
	}
	return numbers
}

// reset ends the worker's connection by RST.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http closes it
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
