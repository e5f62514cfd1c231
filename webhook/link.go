// Package webhook makes the links at which the platform posts its events.
//
// The platform echoes nothing that would say whose event one is, so the link
// does: it names the campaign and carries a signature, without which nobody can
// make up events for it.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
)

// Path is where events arrive below the public address.
const Path = "/webhooks/velents"

// Link is the address for a campaign's events, below the public address base.
func Link(base, secret, campaign string) string {
	query := url.Values{"campaign": {campaign}, "sig": {sign(secret, campaign)}}
	return strings.TrimSuffix(base, "/") + Path + "?" + query.Encode()
}

// Signed reports whether sig is the signature of a link for the campaign.
func Signed(secret, campaign, sig string) bool {
	return hmac.Equal([]byte(sig), []byte(sign(secret, campaign)))
}

func sign(secret, campaign string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("campaign\x00" + campaign))
	return hex.EncodeToString(mac.Sum(nil))
}
