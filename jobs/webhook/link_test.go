package webhook_test

import (
	"net/url"
	"testing"

	"campaign-runner/jobs/webhook"
)

func TestLink(t *testing.T) {
	link, err := url.Parse(webhook.Link("https://example.org/in/", "secret", webhook.Target{Campaign: "a.b"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := link.Scheme + "://" + link.Host + link.Path; got != "https://example.org/in/webhooks/velents" {
		t.Errorf("link goes to %s", got)
	}
	single, err := url.Parse(webhook.Link("https://example.org", "secret", webhook.Target{Campaign: "a.b", Contact: 7}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		link   *url.URL
		edit   func(url.Values)
		secret string
		want   webhook.Target
		ok     bool
	}{
		{"a link as it was made", link, func(url.Values) {}, "secret", webhook.Target{Campaign: "a.b"}, true},
		{"that of a single contact", single, func(url.Values) {}, "secret", webhook.Target{Campaign: "a.b", Contact: 7}, true},
		{"another campaign", link, func(q url.Values) { q.Set("campaign", "a.c") }, "secret", webhook.Target{}, false},
		{"another secret", link, func(url.Values) {}, "Secret", webhook.Target{}, false},
		{"no signature", link, func(q url.Values) { q.Del("sig") }, "secret", webhook.Target{}, false},
		{"half a signature", link, func(q url.Values) { q.Set("sig", q.Get("sig")[:32]) }, "secret", webhook.Target{}, false},
		{"a contact added", link, func(q url.Values) { q.Set("contact", "7") }, "secret", webhook.Target{}, false},
		{"another contact", single, func(q url.Values) { q.Set("contact", "8") }, "secret", webhook.Target{}, false},
		{"the contact taken away", single, func(q url.Values) { q.Del("contact") }, "secret", webhook.Target{}, false},
		{"a contact that is no number", single, func(q url.Values) { q.Set("contact", "7x") }, "secret", webhook.Target{}, false},
		{"contact 0", link, func(q url.Values) { q.Set("contact", "0") }, "secret", webhook.Target{}, false},
		{"a negative contact", link, func(q url.Values) { q.Set("contact", "-1") }, "secret", webhook.Target{}, false},
		{"a contact beyond all numbers", link, func(q url.Values) { q.Set("contact", "-99999999999999999999") }, "secret", webhook.Target{}, false},
		{"words for a contact", link, func(q url.Values) { q.Set("contact", "x") }, "secret", webhook.Target{}, false},
		{"an empty contact", link, func(q url.Values) { q.Set("contact", "") }, "secret", webhook.Target{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			query := tt.link.Query()
			tt.edit(query)
			got, ok := webhook.TargetOf(tt.secret, query)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("%v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
