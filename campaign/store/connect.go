package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Connect opens Redis by URL and waits for its first answer.
//
//	redis://[user:password@]host:port/db          one server; rediss:// with TLS
//	redis+sentinel://host:port,host:port/master[/db]
//	redis+cluster://host:port,host:port           rediss+cluster:// with TLS
//
// The client repeats commands through a short outage: twelve times over about half a
// minute.
func Connect(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	options, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	if err := probe(ctx, *options); err != nil {
		return nil, &UnreachableError{Addrs: options.Addrs, Err: err}
	}
	return open(options), nil
}

// open makes the client. A cluster's client repeats commands itself, at the node
// that then has the slot; its connections would stay with a node that is gone. It
// learns of a failover only by asking, which go-redis does once a minute unless set
// otherwise.
func open(o *redis.UniversalOptions) redis.UniversalClient {
	if !o.IsClusterMode {
		return redis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	cluster.MaxRedirects, cluster.MaxRetries = o.MaxRetries, -1
	cluster.ClusterStateReloadInterval = 2 * time.Second
	return redis.NewClusterClient(cluster)
}

// probe asks once, without the client's retries: a wrong address should fail at
// once, with its own error.
func probe(ctx context.Context, options redis.UniversalOptions) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	options.MaxRetries, options.DialTimeout = -1, 3*time.Second
	rdb := redis.NewUniversalClient(&options)
	defer rdb.Close()
	return rdb.Ping(ctx).Err()
}

// An UnreachableError says that Redis cannot be used, and what to do.
type UnreachableError struct {
	Addrs []string
	Err   error
}

func (e *UnreachableError) Error() string {
	text := fmt.Sprintf("redis at %s: %v", strings.Join(e.Addrs, ","), e.Err)
	if advice := connectAdvice(e.Err); advice != "" {
		text += "; " + advice
	}
	return text
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// connectAdvice is what a person can do when the first command failed. A server that
// answers, even with a refusal, need not be started.
func connectAdvice(err error) string {
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var dns *net.DNSError
	var answer redis.Error
	said := func(texts ...string) bool { // errors of sentinels and clusters are wrapped by text only
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case said("NOAUTH", "WRONGPASS", "invalid password", "invalid username-password", "AUTH <password>"):
		return "check the user and password in REDIS_URL: redis://USER:PASSWORD@HOST:PORT, or :PASSWORD alone"
	case errors.As(err, &answer) && said("NOPERM"):
		return "give the user in REDIS_URL the right to do that"
	case errors.As(err, &answer) && said("DB index"):
		return "check the number of the database at the end of REDIS_URL"
	case errors.As(err, &answer) && said("LOADING"):
		return "it is still reading its data: try again soon"
	case NoWrites(err) != nil:
		return NoWrites(err).Advice
	case errors.As(err, &answer):
		return "it answers, and refuses"
	case said("connection refused"):
		return "start one with 'redis-server --appendonly yes --appendfsync always', run 'worker --embedded-redis' to try things out, " +
			"or set REDIS_URL to yours; that of docker-compose.yml is reached inside alone: 'docker compose run --rm worker campaign list'"
	case errors.As(err, &certificate):
		return "its certificate is not valid for this address, or its authority is not known to this machine"
	case errors.As(err, &noTLS): // a proxy answered; Redis would take it for half a command and wait
		return "it does not speak TLS at that port: write redis:// instead of rediss:// in REDIS_URL, or name its TLS port"
	case said("tls:", "x509:"):
		return "check its certificates and the address in REDIS_URL"
	case errors.As(err, &dns):
		return "check the host's name in REDIS_URL"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it closed the connection: if it wants TLS, write rediss:// instead of redis:// in REDIS_URL"
	case said("sentinel"):
		return "check the addresses of the sentinels and the name of their master in REDIS_URL"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer: check the address in REDIS_URL, whether a firewall is in between, and, with rediss://, whether it speaks TLS at that port"
	}
	return "check the address in REDIS_URL"
}

// Address is where the Redis of a URL is, as logs may tell it: without user and password.
func Address(rawURL string) string {
	o, err := parseURL(rawURL)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(o.MasterName+" at "+strings.Join(o.Addrs, ","), " at ")
}

func parseURL(raw string) (*redis.UniversalOptions, error) {
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("REDIS_URL: want something like redis://127.0.0.1:6379/0")
	}
	if strings.Contains(raw, "?") {
		return nil, errors.New("REDIS_URL: takes no options after a question mark; in a password, write it as %3F")
	}
	o := &redis.UniversalOptions{
		MaxRetries:      12,
		MinRetryBackoff: 50 * time.Millisecond,
		MaxRetryBackoff: 4 * time.Second,
	}
	switch scheme {
	case "redis", "rediss":
		one, err := redis.ParseURL(raw)
		if err != nil {
			return nil, urlError(raw, err)
		}
		o.Addrs, o.DB = []string{one.Addr}, one.DB
		o.Username, o.Password, o.TLSConfig = one.Username, one.Password, one.TLSConfig
		return o, nil
	case "redis+sentinel", "rediss+sentinel":
		return sentinelOptions(o, raw)
	case "redis+cluster", "rediss+cluster":
		cluster, err := redis.ParseClusterURL(clusterURL(raw))
		if err != nil {
			return nil, urlError(raw, err)
		}
		o.Addrs, o.IsClusterMode = cluster.Addrs, true
		o.Username, o.Password, o.TLSConfig = cluster.Username, cluster.Password, cluster.TLSConfig
		return o, nil
	}
	return nil, fmt.Errorf("REDIS_URL: unknown scheme %q: want redis, rediss, redis+sentinel or redis+cluster", scheme)
}

// sentinelOptions reads redis+sentinel://[user:password@]host:port,host:port/master[/db].
func sentinelOptions(o *redis.UniversalOptions, raw string) (*redis.UniversalOptions, error) {
	hosts, rest, _ := strings.Cut(raw[strings.Index(raw, "://")+3:], "/")
	master, db, _ := strings.Cut(rest, "/")
	credentials := ""
	if i := strings.LastIndex(hosts, "@"); i >= 0 {
		credentials, hosts = hosts[:i+1], hosts[i+1:]
	}
	if master == "" || hosts == "" {
		return nil, errors.New("REDIS_URL: want redis+sentinel://host:port,host:port/master/db")
	}
	scheme := strings.TrimSuffix(raw[:strings.Index(raw, "://")], "+sentinel")
	one, err := redis.ParseURL(scheme + "://" + credentials + "sentinel:0/" + db)
	if err != nil {
		return nil, urlError(raw, err)
	}
	o.Addrs, o.MasterName, o.DB = strings.Split(hosts, ","), master, one.DB
	o.Username, o.Password, o.TLSConfig = one.Username, one.Password, one.TLSConfig
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // each server's certificate names its own address
	}
	return o, nil
}

// clusterURL turns a list of hosts into go-redis's form: the first as the host, the
// others as addr parameters.
func clusterURL(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	rest, _, _ = strings.Cut(rest, "/")
	hosts := strings.Split(rest, ",")
	others := url.Values{"addr": hosts[1:]}
	return strings.TrimSuffix(scheme, "+cluster") + "://" + hosts[0] + "?" + others.Encode()
}

// urlError says what is wrong with a URL. The parsers' errors quote parts of it, so
// a URL that may hold a password gets no more explanation.
func urlError(raw string, err error) error {
	if strings.Contains(raw, "@") {
		return errors.New("REDIS_URL: malformed; characters other than letters and digits in a password must be percent-encoded, as %2F for /")
	}
	var bad *url.Error
	if errors.As(err, &bad) {
		err = bad.Err // without the URL
	}
	return wrap(err, "REDIS_URL")
}
