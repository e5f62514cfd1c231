package jobs

import (
	"net"
	"sync"
)

// An eagerConn takes what is written at once, as a socket does, and hands it on by
// itself. Over a bare net.Pipe a long pipeline never ends: the client writes on and
// reads nothing, so that the server cannot write its answers, and reads no further.
type eagerConn struct {
	net.Conn
	mu      sync.Mutex
	more    *sync.Cond
	waiting []byte
	closed  bool
}

func eager(conn net.Conn) net.Conn {
	c := &eagerConn{Conn: conn}
	c.more = sync.NewCond(&c.mu)
	go c.handOn()
	return c
}

func (c *eagerConn) handOn() {
	for {
		c.mu.Lock()
		for len(c.waiting) == 0 && !c.closed {
			c.more.Wait()
		}
		p := c.waiting
		c.waiting = nil
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		if _, err := c.Conn.Write(p); err != nil {
			return
		}
	}
}

func (c *eagerConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.waiting = append(c.waiting, p...)
	c.more.Signal()
	return len(p), nil
}

func (c *eagerConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.more.Signal()
	c.mu.Unlock()
	return c.Conn.Close()
}
