package webhook_test

import (
	"net/url"
	"testing"

	"campaign-runner/webhook"
)

func TestLink(t *testing.T) {
	link, err := url.Parse(webhook.Link("https://example.org/in/", "secret", "a.b"))
	if err != nil {
		t.Fatal(err)
	}
	if got := link.Scheme + "://" + link.Host + link.Path; got != "https://example.org/in/webhooks/velents" {
		t.Errorf("link goes to %s", got)
	}
	query := link.Query()
	for _, tt := range []struct {
		name                  string
		secret, campaign, sig string
		want                  bool
	}{
		{"a link as it was made", "secret", query.Get("campaign"), query.Get("sig"), true},
		{"another campaign", "secret", "a.c", query.Get("sig"), false},
		{"another secret", "Secret", "a.b", query.Get("sig"), false},
		{"no signature", "secret", "a.b", "", false},
		{"half a signature", "secret", "a.b", query.Get("sig")[:32], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := webhook.Signed(tt.secret, tt.campaign, tt.sig); got != tt.want {
				t.Errorf("Signed = %v, want %v", got, tt.want)
			}
		})
	}
}
