package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/internal/redistest"
)

func TestParseURL(t *testing.T) {
	type options struct {
		Addrs              []string
		Username, Password string
		DB                 int
		Master             string
		Cluster, TLS       bool
		ServerName         string
	}
	for _, tt := range []struct {
		name, url string
		want      options
	}{
		{"one server", "redis://127.0.0.1:6379/3",
			options{Addrs: []string{"127.0.0.1:6379"}, DB: 3}},
		{"one server by name alone", "redis://cache",
			options{Addrs: []string{"cache:6379"}}},
		{"one server with a password", "redis://:s3cret@cache:7000/1",
			options{Addrs: []string{"cache:7000"}, Password: "s3cret", DB: 1}},
		{"a password with marks, percent-encoded", "redis://runner:a%2Fb%40c%3Fd@cache/0",
			options{Addrs: []string{"cache:6379"}, Username: "runner", Password: "a/b@c?d"}},
		{"one server by TLS", "rediss://runner:s3cret@cache:7000/0",
			options{Addrs: []string{"cache:7000"}, Username: "runner", Password: "s3cret", TLS: true, ServerName: "cache"}},
		{"sentinels", "redis+sentinel://s1:26379,s2:26379,s3:26379/main/2",
			options{Addrs: []string{"s1:26379", "s2:26379", "s3:26379"}, Master: "main", DB: 2}},
		{"sentinels of a protected server", "redis+sentinel://runner:s3cret@s1:26379,s2:26379/main",
			options{Addrs: []string{"s1:26379", "s2:26379"}, Username: "runner", Password: "s3cret", Master: "main"}},
		{"sentinels by TLS check each server's own name", "rediss+sentinel://s1:26379/main",
			options{Addrs: []string{"s1:26379"}, Master: "main", TLS: true}},
		{"a cluster", "redis+cluster://n1:6379,n2:6379,n3:6380",
			options{Addrs: []string{"n1:6379", "n2:6379", "n3:6380"}, Cluster: true}},
		{"a cluster by TLS with a password", "rediss+cluster://:s3cret@n1:6379,n2:6379",
			options{Addrs: []string{"n1:6379", "n2:6379"}, Password: "s3cret", Cluster: true, TLS: true, ServerName: "n1"}},
		{"a cluster of one", "redis+cluster://n1:6379/",
			options{Addrs: []string{"n1:6379"}, Cluster: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			got := options{o.Addrs, o.Username, o.Password, o.DB, o.MasterName, o.IsClusterMode, o.TLSConfig != nil, ""}
			if o.TLSConfig != nil {
				got.ServerName = o.TLSConfig.ServerName
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if o.MaxRetries != 12 {
				t.Errorf("%d retries", o.MaxRetries)
			}
		})
	}
}

func TestConnectRefusesURLs(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"an empty one", "", "want something like redis://127.0.0.1:6379/0"},
		{"an address alone", "127.0.0.1:6379", "want something like redis://127.0.0.1:6379/0"},
		{"another scheme", "http://:s3cret@cache", `unknown scheme "http"`},
		{"a database that is no number", "redis://cache/main", `invalid database number: "main"`},
		{"a port that is no number", "redis://cache:port/0", `invalid port ":port" after host`},
		{"options", "redis://cache/0?read_timeout=1s", "takes no options"},
		{"a database that is no number, and a password", "redis://:s3cret@cache/main", "malformed"},
		{"a slash in the password", "redis://u:s3/cret@cache/0", "malformed"},
		{"a number, then a slash in the password", "redis://u:123/s3cret@cache/0", "malformed"},
		{"a question mark in the password", "redis://u:123?s3cret@cache/0", "takes no options"},
		{"a hash in the password", "redis://u:s3#cret@cache/0", "malformed"},
		{"a percent sign in the password", "redis://u:%s3cret@cache/0", "malformed"},
		{"a line break in the password", "redis://u:s3cret\n@cache/0", "malformed"},
		{"a comma in a cluster's password", "redis+cluster://u:s3,cret@n1:6379,n2:6379", "malformed"},
		{"sentinels without a master", "redis+sentinel://u:s3cret@s1:26379", "want redis+sentinel://host:port,host:port/master/db"},
		{"a master without sentinels", "redis+sentinel://u:s3cret@/main", "want redis+sentinel://host:port,host:port/master/db"},
		{"a slash in a sentinel's password", "redis+sentinel://u:s3/cret@s1:26379/main", "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Connect(t.Context(), tt.url)
			if err == nil {
				t.Fatal("accepted")
			}
			text := err.Error()
			if !strings.HasPrefix(text, "REDIS_URL: ") || !strings.Contains(text, tt.want) {
				t.Errorf("got %q, want %q in it", text, tt.want)
			}
			if strings.ContainsAny(text, "\n\r") || strings.Contains(text, "s3") || strings.Contains(text, "cret") {
				t.Errorf("%q shows the password, or takes several lines", text)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	server := redistest.Start(t)
	rdb, err := Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	if err := rdb.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Error(err)
	}
}

func TestConnectToNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	for _, tt := range []struct{ name, url string }{
		{"one server", "redis://u:s3cret@" + addr},
		{"a cluster", "redis+cluster://u:s3cret@" + addr},
		{"sentinels", "redis+sentinel://u:s3cret@" + addr + "/main"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Connect(t.Context(), tt.url)
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) {
				t.Fatalf("got %v", err)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("took until the deadline: %v", err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "redis at "+addr+": ") || !strings.Contains(text, "redis-server --appendonly yes") || strings.Contains(text, "s3cret") {
				t.Errorf("got %q", text)
			}
		})
	}
}

func TestConnectToOneThatNeverAnswers(t *testing.T) {
	t.Parallel()                                      // takes what Connect waits for an answer
	listener, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = Connect(t.Context(), "redis://"+listener.Addr().String())
	var unreachable *UnreachableError
	var timeout net.Error
	if !errors.As(err, &unreachable) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want an UnreachableError for lack of an answer", err)
	}
}

func TestCallsOutliveAMaster(t *testing.T) {
	t.Run("that sentinels replace", func(t *testing.T) {
		t.Parallel()
		r := redistest.StartSentinels(t, 1)
		outlives(t, r.URL(), r.Master)
	})
	t.Run("of a cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t, 3, 1)
		outlives(t, c.URL(), c.Masters[1])
	})
}

// outlives kills a master between calls that reach every server.
func outlives(t *testing.T, url string, master *redistest.Server) {
	rdb, err := Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	const keys = 50
	singly := func() error {
		for n := range keys {
			if err := rdb.Incr(t.Context(), fmt.Sprint("key", n)).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	together := func() error {
		_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for n := range keys {
				p.Incr(t.Context(), fmt.Sprint("key", n))
			}
			return nil
		})
		return err
	}
	if err := singly(); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	var g errgroup.Group
	for _, calls := range []func() error{singly, together} {
		g.Go(func() (err error) {
			for range 5 { // a busy machine may take longer than the client's patience lasts
				if err = calls(); err == nil {
					break
				}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// A server that answers, if only to refuse, is not to be started.
func TestConnectSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	locked := redistest.Start(t, "--requirepass", "right").Addr
	open := redistest.Start(t).Addr
	_, port, err := net.SplitHostPort(open)
	if err != nil {
		t.Fatal(err)
	}
	secured := startTLS(t, certificate, key)
	for _, tt := range []struct{ name, url, want string }{
		{"no password where one is wanted", "redis://" + locked, "check the user and password in REDIS_URL"},
		{"a wrong password", "redis://:wr0ng@" + locked, "check the user and password in REDIS_URL"},
		{"an unknown user", "redis://nobody:wr0ng@" + locked, "check the user and password in REDIS_URL"},
		{"a cluster's wrong password", "redis+cluster://:wr0ng@" + locked, "check the user and password in REDIS_URL"},
		{"a database that is not there", "redis://" + open + "/999", "check the number of the database"},
		{"TLS with a server that has none", "rediss://" + open, "whether it speaks TLS at that port"},
		{"no TLS with a server that wants it", "redis://" + secured, "write rediss:// instead of redis://"},
		{"a certificate of an unknown authority", "rediss://" + secured, "its certificate is not valid for this address"},
		{"a host that is not there", "redis://no-such-host.invalid:" + port, "check the host's name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rdb, err := Connect(t.Context(), tt.url)
			if err == nil {
				rdb.Close()
				t.Fatal("connected")
			}
			text := err.Error()
			if !strings.Contains(text, tt.want) || strings.Contains(text, "start one") || strings.Contains(text, "wr0ng") || strings.Contains(text, "\n") {
				t.Errorf("got %q, want %q in it", text, tt.want)
			}
		})
	}
}

// selfSigned makes a certificate of 127.0.0.1 that it signs itself.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("certificate.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

// startTLS starts a Redis that also speaks TLS, and says where.
func startTLS(t *testing.T, certificate, key string) string {
	t.Helper()
	for range 10 { // somebody else may be faster at a free port
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := listener.Addr().String()
		_, port, _ := net.SplitHostPort(addr)
		listener.Close()
		rdb := redistest.Start(t, "--enable-protected-configs", "yes").Client()
		settings := []string{"tls-cert-file", certificate, "tls-key-file", key, "tls-ca-cert-file", certificate, "tls-port", port}
		args := []any{"CONFIG", "SET"}
		for _, s := range settings {
			args = append(args, s)
		}
		if rdb.Do(t.Context(), args...).Err() == nil {
			return addr
		}
	}
	t.Fatal("no Redis with TLS")
	return ""
}
