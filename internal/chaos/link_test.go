//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"campaign-runner/internal/commands"
)

// A link is a TCP connection that can be cut, slowed down and broken.
type link struct {
	addr  string
	proxy *toxiproxy.Proxy
}

// newLink lays a link to a server.
func newLink(t *testing.T, name, to string) *link {
	t.Helper()
	silent := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), silent)
	var err error
	for range 8 { // somebody else may have the port
		l := &link{addr: freeAddr()}
		l.proxy = toxiproxy.NewProxy(server, name, l.addr, to)
		if err = l.proxy.Start(); err == nil {
			t.Cleanup(l.proxy.Stop)
			return l
		}
	}
	t.Fatal(err)
	return nil
}

// freeAddr names a port below the range that outgoing connections draw from, so
// that it is still free after a cut.
func freeAddr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(10_000)))
}

// cut ends all connections and refuses new ones until mended.
func (l *link) cut() { l.proxy.Stop() }

func (l *link) mend() error {
	return commands.Await(5*time.Second, func() error {
		if err := l.proxy.Start(); err != nil && err != toxiproxy.ErrProxyAlreadyStarted {
			return err
		}
		return nil
	})
}

// poison adds a toxic that acts on what comes back (downstream) or on what is
// sent (upstream), until cured.
func (l *link) poison(kind, stream string, attributes string) error {
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"name":"poison","type":%q,"stream":%q,"attributes":%s}`, kind, stream, attributes)))
	return err
}

func (l *link) cure() { l.proxy.Toxics.ResetToxics(context.Background()) }
