//go:build simulate

package simulate

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A host is what stands at one end of links: a worker, Redis, the platform, a person. While
// it is frozen nothing of it moves. Its clock goes on, as that of a stopped process does.
type host struct {
	mu      sync.Mutex
	thawed  chan struct{} // nil: it is not frozen
	refuses bool          // it takes no connections: it is down
}

func (h *host) freeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.thawed == nil {
		h.thawed = make(chan struct{})
	}
}

func (h *host) thaw() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.thawed != nil {
		close(h.thawed)
		h.thawed = nil
	}
}

// wait lasts for as long as the host is frozen.
func (h *host) wait() {
	for {
		h.mu.Lock()
		thawed := h.thawed
		h.mu.Unlock()
		if thawed == nil {
			return
		}
		<-thawed
	}
}

func (h *host) refuse(is bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuses = is
}

func (h *host) isDown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refuses
}

// A link is a way from one host to another. Bytes arrive in their order and whole, a
// moment later, or never: then their connection is reset.
type link struct {
	client, server *host
	connect        func() (net.Conn, error) // to the server itself
	quick          time.Duration            // the longest way of a message

	mu    sync.Mutex
	rng   *rand.Rand
	conns map[*conn]struct{}
	down  bool          // resets and refuses
	held  chan struct{} // nothing arrives until it is closed; nil: it does
	slow  time.Duration // added to quick
	lossy float64       // share of answers that are lost, each with its connection
}

func newLink(client, server *host, rng *rand.Rand, quick time.Duration, connect func() (net.Conn, error)) *link {
	return &link{client: client, server: server, connect: connect, quick: quick, rng: rng, conns: make(map[*conn]struct{})}
}

// set changes how the link is.
func (l *link) set(change func(*link)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// hold keeps everything on its way until release.
func (l *link) hold() {
	l.set(func(l *link) {
		if l.held == nil {
			l.held = make(chan struct{})
		}
	})
}

func (l *link) release() {
	l.set(func(l *link) {
		if l.held != nil {
			close(l.held)
			l.held = nil
		}
	})
}

func (l *link) holding() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// pass waits until the link no longer holds.
func (l *link) pass() {
	for held := l.holding(); held != nil; held = l.holding() {
		<-held
	}
}

// arrival is when a message arrives that leaves now.
func (l *link) arrival() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Add(time.Duration(l.rng.Int64N(int64(l.quick+l.slow) + 1)))
}

func (l *link) draw(share float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return share > 0 && l.rng.Float64() < share
}

func (l *link) loses() bool {
	l.mu.Lock()
	share := l.lossy
	l.mu.Unlock()
	return l.draw(share)
}

// cut resets every connection. What was on its way to the server still arrives, or does
// not.
func (l *link) cut() { l.reset(0.5) }

// die resets every connection because the server is gone: nothing arrives there any more.
func (l *link) die() { l.reset(1) }

func (l *link) reset(dropped float64) {
	l.mu.Lock()
	var open []*conn
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.reset(l.draw(dropped))
	}
}

func (l *link) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.client.wait()
	refused := &net.OpError{Op: "dial", Net: "sim", Err: syscall.ECONNREFUSED}
	timer := time.NewTimer(time.Until(l.arrival()))
	defer timer.Stop()
	for held := l.holding(); held != nil; held = l.holding() {
		select {
		case <-held:
		case <-ctx.Done():
			l.client.wait()
			return nil, &net.OpError{Op: "dial", Net: "sim", Err: ctx.Err()}
		}
	}
	<-timer.C
	l.client.wait()
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down || l.server.isDown() {
		return nil, refused
	}
	server, err := l.connect()
	if err != nil {
		return nil, refused
	}
	c := &conn{link: l, server: server, gone: make(chan struct{})}
	c.up.moved, c.down.moved = make(chan struct{}), make(chan struct{})
	l.set(func(l *link) { l.conns[c] = struct{}{} })
	go c.carryUp()
	go c.carryDown()
	if l.server.isDown() { // it went down meanwhile, before it knew this connection
		c.reset(true)
		return nil, refused
	}
	return c, nil
}

// A wire is one direction of a connection.
type wire struct {
	mu    sync.Mutex
	queue []parcel
	end   error         // what comes after the queue
	moved chan struct{} // closed at each change
}

type parcel struct {
	at   time.Time
	data []byte
}

func (w *wire) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *wire) put(data []byte, at time.Time) {
	w.change(func() {
		if n := len(w.queue); n > 0 && at.Before(w.queue[n-1].at) {
			at = w.queue[n-1].at
		}
		w.queue = append(w.queue, parcel{at, data})
	})
}

func (w *wire) finish(err error, drop bool) {
	w.change(func() {
		if drop {
			w.queue = nil
		}
		if w.end == nil {
			w.end = err
		}
	})
}

// head is the first parcel, or what ends the wire, or what to wait for.
func (w *wire) head() (p *parcel, end error, moved <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		return &w.queue[0], nil, w.moved
	}
	return nil, w.end, w.moved
}

// take waits for the next parcel to arrive, and removes up to limit bytes of it.
func (w *wire) take(limit int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil
	}
	data := w.queue[0].data
	if len(data) <= limit {
		w.queue = w.queue[1:]
		return data
	}
	w.queue[0].data = data[limit:]
	return data[:limit]
}

// A conn is the client's end of a connection.
type conn struct {
	link     *link
	server   net.Conn
	up, down wire
	gone     chan struct{} // closed when it is dead

	mu              sync.Mutex
	dead            error
	hurt            bool // by a fault, or given up by the client before the answer came
	dropped         bool // what is on its way to the server is lost
	readBy, writeBy time.Time
}

// carryUp hands to the server what has arrived. It goes on when the client has closed:
// what was sent arrives.
func (c *conn) carryUp() {
	defer c.server.Close()
	for {
		p, end, moved := c.up.head()
		switch {
		case p != nil:
			time.Sleep(time.Until(p.at))
			c.link.pass()
			c.link.server.wait()
			data := c.up.take(1 << 30)
			if c.isDropped() || data == nil {
				return
			}
			if _, err := c.server.Write(data); err != nil {
				return
			}
		case end != nil:
			c.link.pass()
			return
		default:
			<-moved
		}
	}
}

func (c *conn) isDropped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

func (c *conn) carryDown() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buffer)
		if n > 0 && c.link.loses() {
			c.reset(false)
		}
		if n > 0 {
			c.down.put(append([]byte(nil), buffer[:n]...), c.link.arrival())
		}
		if err != nil {
			c.down.finish(io.EOF, false)
			return
		}
	}
}

// reset ends the connection for both sides.
func (c *conn) reset(drop bool) {
	c.mu.Lock()
	c.hurt, c.dropped = true, c.dropped || drop
	c.mu.Unlock()
	c.die(syscall.ECONNRESET, drop)
}

func (c *conn) die(err error, drop bool) {
	c.mu.Lock()
	first := c.dead == nil
	if first {
		c.dead = err
		close(c.gone)
	}
	c.mu.Unlock()
	c.up.finish(io.EOF, drop)
	if first {
		c.link.set(func(l *link) { delete(l.conns, c) })
	}
}

func (c *conn) state() (dead error, readBy, writeBy time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead, c.readBy, c.writeBy
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		c.link.client.wait()
		dead, by, _ := c.state()
		if dead != nil {
			return 0, &net.OpError{Op: "read", Net: "sim", Err: dead}
		}
		now := time.Now()
		held := c.link.holding()
		p, end, moved := c.down.head()
		var due <-chan time.Time
		switch {
		case held != nil:
		case p != nil && !p.at.After(now):
			return copy(b, c.down.take(len(b))), nil
		case p != nil:
			timer := time.NewTimer(p.at.Sub(now))
			defer timer.Stop()
			due = timer.C
		case end != nil:
			return 0, end
		}
		var late <-chan time.Time
		if !by.IsZero() {
			if !by.After(now) {
				return 0, os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(by.Sub(now))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-held: // nil: never
		case <-moved:
		case <-due:
		case <-late:
		case <-c.gone:
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	c.link.client.wait()
	dead, _, by := c.state()
	if dead != nil {
		return 0, &net.OpError{Op: "write", Net: "sim", Err: dead}
	}
	if !by.IsZero() && !by.After(time.Now()) {
		return 0, os.ErrDeadlineExceeded
	}
	c.up.put(append([]byte(nil), b...), c.link.arrival())
	return len(b), nil
}

func (c *conn) Close() error {
	c.die(net.ErrClosed, false)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.readBy, c.writeBy = t, t
	c.mu.Unlock()
	c.down.change(func() {})
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.readBy = t
	c.mu.Unlock()
	c.down.change(func() {})
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return nil
}

type address struct{}

func (address) Network() string    { return "sim" }
func (address) String() string     { return "sim" }
func (*conn) LocalAddr() net.Addr  { return address{} }
func (*conn) RemoteAddr() net.Addr { return address{} }

// A door is where an HTTP server takes the connections of links.
type door struct {
	came chan net.Conn
	shut chan struct{}
	once sync.Once
}

func newDoor() *door { return &door{came: make(chan net.Conn), shut: make(chan struct{})} }

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.came:
		return c, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error   { d.once.Do(func() { close(d.shut) }); return nil }
func (d *door) Addr() net.Addr { return address{} }

// named is a connection that says who came.
type named struct {
	net.Conn
	who string
}

// enter is a new connection through the door, of somebody.
func (d *door) enter(who string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case d.came <- named{theirs, who}:
		return ours, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}
