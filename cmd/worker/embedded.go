package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"campaign-runner/cmd/internal/cli"
)

// embedRedis runs a Redis in this process at the address of a redis:// URL, so
// that a first try needs nothing but this program.
func embedRedis(redisURL string) (stop func(), err error) {
	u, err := url.Parse(redisURL)
	if err != nil || u.Scheme != "redis" || u.Host == "" || strings.Contains(u.Host, ",") {
		return nil, cli.Usagef("--embedded-redis: REDIS_URL must be redis://127.0.0.1:PORT/DB")
	}
	host, port := u.Hostname(), u.Port()
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, cli.Usagef("--embedded-redis: REDIS_URL must be on this machine: redis://127.0.0.1:PORT/DB")
	}
	if port == "" {
		port = "6379"
	}
	m := miniredis.NewMiniRedis()
	if password, ok := u.User.Password(); ok {
		m.RequireAuth(password)
	}
	if err := m.StartAddr(net.JoinHostPort(host, port)); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	// miniredis expires keys only when its clock is moved on.
	tick, done := time.NewTicker(time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				m.FastForward(time.Second)
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done); m.Close() }, nil
}
