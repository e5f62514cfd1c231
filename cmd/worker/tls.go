package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A keyPair is a certificate and its key in files, read again when one of them has
// changed: certificates are renewed every few weeks.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // of the files when they were read
}

// tlsConfig is for a server with a certificate and its key in files.
func tlsConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	k := &keyPair{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := k.current(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.current}, nil
}

// current is the certificate as the files have it. While they cannot be read, as in the
// middle of a renewal, it is the last one that could.
func (k *keyPair) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var changed [2]time.Time
	for i, name := range []string{k.certFile, k.keyFile} {
		if info, err := os.Stat(name); err == nil {
			changed[i] = info.ModTime()
		}
	}
	if k.pair != nil && changed == k.changed {
		return k.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	switch {
	case err == nil:
		k.pair = &pair
	case k.pair == nil:
		return nil, err
	default:
		k.log.Warn("the certificate of the pages has changed and cannot be read: the old one is used", "error", err)
	}
	k.changed = changed
	return k.pair, nil
}
