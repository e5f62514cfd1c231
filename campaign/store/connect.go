package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Connect opens Redis by URL and waits for its first answer.
//
//	redis://[user:password@]host:port/db          one server; rediss:// with TLS
//	redis+sentinel://host:port,host:port/master[/db]
//	redis+cluster://host:port,host:port           rediss+cluster:// with TLS
//
// Calls are repeated through a short outage: ten times over about half a minute.
func Connect(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	options, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	rdb := redis.NewUniversalClient(options)
	if err := ping(ctx, rdb); err != nil {
		_ = rdb.Close()
		return nil, &UnreachableError{Addrs: options.Addrs, Err: err}
	}
	return rdb, nil
}

// ping asks once, without the client's own patience: a wrong address should be
// told at once.
func ping(ctx context.Context, rdb redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return rdb.Ping(ctx).Err()
}

// An UnreachableError says that no Redis answered, and how to get one.
type UnreachableError struct {
	Addrs []string
	Err   error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("redis at %s: %v; start one with 'docker compose up -d redis' or 'redis-server --appendonly yes --appendfsync always', "+
		"run 'worker --embedded-redis' to try things out, or set REDIS_URL to yours", strings.Join(e.Addrs, ","), e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

func parseURL(raw string) (*redis.UniversalOptions, error) {
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("REDIS_URL: want something like redis://127.0.0.1:6379/0")
	}
	o := &redis.UniversalOptions{
		MaxRetries:      10,
		MinRetryBackoff: 50 * time.Millisecond,
		MaxRetryBackoff: 4 * time.Second,
	}
	switch scheme {
	case "redis", "rediss":
		one, err := redis.ParseURL(raw)
		if err != nil {
			return nil, redactURL(err)
		}
		o.Addrs, o.DB = []string{one.Addr}, one.DB
		o.Username, o.Password, o.TLSConfig = one.Username, one.Password, one.TLSConfig
		return o, nil
	case "redis+sentinel", "rediss+sentinel":
		return sentinelOptions(o, raw)
	case "redis+cluster", "rediss+cluster":
		cluster, err := redis.ParseClusterURL(clusterURL(raw))
		if err != nil {
			return nil, redactURL(err)
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
		return nil, redactURL(err)
	}
	o.Addrs, o.MasterName, o.DB = strings.Split(hosts, ","), master, one.DB
	o.Username, o.Password, o.TLSConfig = one.Username, one.Password, one.TLSConfig
	return o, nil
}

// clusterURL turns a list of hosts into go-redis's form: the first as the host,
// the others as addr parameters.
func clusterURL(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	rest, _, _ = strings.Cut(rest, "/")
	hosts := strings.Split(rest, ",")
	u := strings.TrimSuffix(scheme, "+cluster") + "://" + hosts[0]
	for i, h := range hosts[1:] {
		u += map[bool]string{true: "?", false: "&"}[i == 0] + "addr=" + url.QueryEscape(h)
	}
	return u
}

// redactURL keeps the address out of an error of the URL parser: it may hold a
// password.
func redactURL(err error) error {
	var bad *url.Error
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return fmt.Errorf("REDIS_URL: %w", err)
}
