package velents

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	defaultBaseURL   = "https://velents-agents.velents.ai"
	defaultTimeout   = 60 * time.Second
	defaultUserAgent = "campaign-runner"

	// A dial and a TLS handshake end well before the request does. When one of them fails,
	// certainly nothing was sent.
	connectTimeout = 10 * time.Second

	// When a server closes an idle connection just as a request arrives, the answer is lost
	// and the contacts are unconfirmed. Servers keep idle connections for 5 s and more; a
	// new handshake costs less than asking an operator.
	idleConnTimeout = 2 * time.Second

	maxIdleConns       = 128
	maxAnswerBytes     = 8 << 20 // the errors of 10,000 rows, several each
	maxAnswerHeadBytes = 64 << 10
)

// Config says where the platform is and who makes the requests. A zero field means its
// default, except Token, which is required.
type Config struct {
	BaseURL   string        // https://velents-agents.velents.ai
	Token     string        // of the agent, or of the Support Center
	Timeout   time.Duration // of one request, from dial to last byte; 60 s
	UserAgent string        // campaign-runner

	// Dial opens connections; a net.Dialer's DialContext when nil. The rest of the transport
	// cannot be changed: what Unanswered says depends on it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// api makes requests with one token.
type api struct {
	base      *url.URL
	token     string
	secret    *regexp.Regexp // finds the token in a text
	timeout   time.Duration
	userAgent string
	posts     http.RoundTripper
	gets      http.RoundTripper
}

// parseURL reads the platform's address. Its errors quote nothing of it: a password in it
// must not reach a log.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("malformed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("want http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("want no user, query or fragment")
	}
	return u, nil
}

// CheckURL refuses what cannot be the platform's address.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// CheckToken refuses what cannot be a token. Its errors quote nothing of it.
func CheckToken(token string) error {
	switch {
	case token == "":
		return errors.New("missing")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("want visible ASCII without spaces")
	}
	return nil
}

// newAPI refuses a Config that cannot work.
func newAPI(cfg Config) (*api, error) {
	base, err := parseURL(cmp.Or(cfg.BaseURL, defaultBaseURL))
	if err != nil {
		return nil, fmt.Errorf("velents: base URL: %w", err)
	}
	if err := CheckToken(cfg.Token); err != nil {
		return nil, fmt.Errorf("velents: token: %w", err)
	}
	switch {
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("velents: timeout: want more than 0, have %v", cfg.Timeout)
	case strings.ContainsFunc(cfg.UserAgent, unicode.IsControl):
		return nil, errors.New("velents: user agent: control character")
	}
	base.Path = cmp.Or(base.Path, "/") // JoinPath makes a relative path of none
	posts := newTransport(cfg.Dial, nil)
	// net/http repeats a GET whose reused connection turns out to be dead. That is harmless,
	// but it is a second request; without reuse it cannot happen.
	gets := posts.Clone()
	gets.DisableKeepAlives = true
	return &api{
		base:      base,
		token:     cfg.Token,
		secret:    spellings(cfg.Token),
		timeout:   cmp.Or(cfg.Timeout, defaultTimeout),
		userAgent: cmp.Or(cfg.UserAgent, defaultUserAgent),
		posts:     posts,
		gets:      gets,
	}, nil
}

// newTransport trusts the system's authorities when roots is nil.
func newTransport(dial func(context.Context, string, string) (net.Conn, error), roots *x509.CertPool) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{Timeout: connectTimeout}).DialContext
	}
	conns := dialer{dial, roots}
	var http1 http.Protocols
	http1.SetHTTP1(true) // HTTP/2 replays requests in more cases
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: proxyMustConnect,
		DialContext:            conns.plain,
		DialTLSContext:         conns.secure,
		TLSClientConfig:        &tls.Config{RootCAs: roots}, // through a proxy
		Protocols:              &http1,
		TLSHandshakeTimeout:    connectTimeout,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxAnswerHeadBytes,
		DisableCompression:     true, // a small answer must not unpack to a large one
	}
}

type guardKey struct{}

// WithGuard lets guard stop a request that is made with the returned context. guard is
// called directly before the body of the request leaves, and again before each further
// piece of a long body; before the request when it has no body. When guard returns an
// error, nothing more is written, and the request fails with an *Unanswered that wraps the
// error; Sent is false unless an earlier piece had left. So a sender that was frozen past
// its claim does not send. guard must not block.
//
// The head of the request may have left before: net/http flushes it when it does not know
// the type of the body. But the head announces the length of the body, and a server that
// never gets that many bytes has no complete request to act on.
func WithGuard(ctx context.Context, guard func() error) context.Context {
	return context.WithValue(ctx, guardKey{}, guard)
}

// body is the body of a request. net/http does not know its type and cannot rewind it, so
// no transport can send it twice.
type body struct {
	guard func() error

	mu     sync.Mutex
	unread []byte
	begun  bool  // the transport has some of it
	broken error // set once, then every Read returns it
	veto   error // of the guard
}

var errOver = errors.New("the request is over")

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return 0, b.broken
	}
	if len(b.unread) == 0 { // before the guard: the whole body has left
		return 0, io.EOF
	}
	if err := b.guard(); err != nil {
		b.veto, b.broken = err, err
		return 0, err
	}
	n := copy(p, b.unread)
	b.unread, b.begun = b.unread[n:], true
	return n, nil
}

func (b *body) Close() error { return nil }

// refusal returns the guard's error, and whether a part of the body had left before it.
func (b *body) refusal() (veto error, begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.veto, b.begun
}

// stop keeps back what has not left. An early answer ends the request while net/http still
// writes its body.
func (b *body) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken == nil {
		b.broken = errOver
	}
}

// target completes the path of an operation.
type target struct {
	id    string // for {id}
	query string
}

// reply is the body of an answer.
type reply struct {
	body        []byte
	whole       bool // complete, in plain encoding, within its bound
	contentType string
}

// do makes one request, with payload as its body unless that is nil, and reads the answer.
// Its errors are *Error and *Unanswered, or name a bad id.
func (a *api) do(ctx context.Context, op operation, to target, payload []byte) (Answer, reply, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()

	var way passage
	req, err := a.request(way.trace(ctx), op, to)
	if err != nil {
		return Answer{}, reply{}, op.failed(err)
	}
	guard, ok := ctx.Value(guardKey{}).(func() error)
	if !ok {
		guard = func() error { return nil }
	}

	out := &body{unread: payload, guard: guard}
	defer out.stop()
	transport := a.gets
	if payload != nil {
		transport = a.posts
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = out, int64(len(payload))
	} else if err := guard(); err != nil {
		return Answer{}, reply{}, op.failed(a.unanswered(false, err))
	}

	start := time.Now()
	res, err := transport.RoundTrip(req)
	answer := Answer{Latency: time.Since(start)}
	if res != nil {
		defer res.Body.Close()
	}
	if veto, begun := out.refusal(); veto != nil {
		return answer, reply{}, op.failed(a.unanswered(begun, veto))
	}
	if err != nil {
		connected, sent := way.end()
		none := a.unanswered(sent, err)
		if !sent {
			none.Obstacle = obstacleOf(err, connected)
		}
		return answer, reply{}, op.failed(none)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return answer, reply{}, op.failed(a.unanswered(true, errors.New("protocol switched")))
	}

	// From here on there is an answer. Its status is known even if its body cannot be read.
	r := readReply(res)
	answer = Answer{Status: res.StatusCode, Rate: rateOf(res.Header), RateHeaders: hasRateHeaders(res.Header), Latency: time.Since(start)}
	// A success comes from the platform only if it has JSON or no body. The answer to a GET
	// may be a file, but never a web page.
	kind := kindOf(r)
	if res.StatusCode/100 != 2 || kind == webPage || kind == oddBody && op.method == http.MethodPost {
		return answer, r, op.failed(a.refused(res, r, kind, start))
	}
	return answer, r, nil
}

func (a *api) request(ctx context.Context, op operation, to target) (*http.Request, error) {
	path := op.path
	if strings.Contains(path, "{id}") {
		if strings.Trim(to.id, ".") == "" {
			return nil, errors.New("id: empty or dots")
		}
		path = strings.Replace(path, "{id}", url.PathEscape(to.id), 1)
	}
	u := a.base.JoinPath(path)
	u.RawQuery = to.query
	req := &http.Request{Method: op.method, URL: u, Header: http.Header{
		"Authorization": {"Bearer " + a.token},
		"Accept":        {"application/json"}, // else Laravel answers some failures with a redirect
		"User-Agent":    {a.userAgent},
	}}
	return req.WithContext(ctx), nil
}

func readReply(res *http.Response) reply {
	r := reply{contentType: res.Header.Get("Content-Type")}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	encoding := res.Header.Get("Content-Encoding")
	if len(body) > 0 && encoding != "" && !strings.EqualFold(encoding, "identity") {
		return r // we did not ask for it
	}
	r.body, r.whole = body, err == nil && len(body) <= maxAnswerBytes
	if len(body) == 0 && res.ContentLength < 0 && len(res.TransferEncoding) == 0 {
		r.whole = false // only the end of the connection says that there is none: it may have been cut off
	}
	return r
}
