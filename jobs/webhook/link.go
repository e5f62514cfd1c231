// Package webhook receives the platform's events. It makes the links that the
// platform posts to, and the inbox behind them.
//
// The platform's events do not say which campaign they belong to, so the link does:
// it names the campaign, and the contact if the request carries only one. It is
// signed, so that events cannot be forged. The inbox stores an event before it
// answers; package events finds out what it means.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
)

// Path is where events arrive below the public address.
const Path = "/webhooks/velents"

// A Target is what the events of a link are about.
type Target struct {
	Campaign string
	Contact  int // its place in the list, from 1; 0: the event's number says
}

// Link is the address for a target's events, below the public address base.
func Link(base, secret string, to Target) string {
	query := url.Values{"campaign": {to.Campaign}, "sig": {sign(secret, to)}}
	if to.Contact > 0 {
		query.Set("contact", strconv.Itoa(to.Contact))
	}
	return strings.TrimSuffix(base, "/") + Path + "?" + query.Encode()
}

// TargetOf reads a link's query. It reports false unless Link made this query with
// the secret.
func TargetOf(secret string, query url.Values) (Target, bool) {
	to := Target{Campaign: query.Get("campaign")}
	if text := query.Get("contact"); text != "" {
		to.Contact, _ = strconv.Atoi(text) // any other text has another signature
	}
	return to, hmac.Equal([]byte(query.Get("sig")), []byte(sign(secret, to)))
}

func sign(secret string, to Target) string {
	text := "campaign\x00" + to.Campaign
	if to.Contact > 0 {
		text = "contact\x00" + strconv.Itoa(to.Contact) + "\x00" + to.Campaign
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
