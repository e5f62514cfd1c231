package main

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

func TestWarningsAboutSecrets(t *testing.T) {
	const long = "twelve chars"
	for _, tt := range []struct {
		name string
		o    options
		env  env
		want []string
	}{
		{"none are needed", options{adminAddr: "127.0.0.1:8080"}, env{}, nil},
		{"long ones", options{adminAddr: "127.0.0.1:8080", webhookAddr: ":8081"}, env{"ADMIN_PASSWORD": long, "WEBHOOK_SECRET": long, "VELENTS_WEBHOOK_AUTH": long}, nil},
		{"short ones", options{adminAddr: "127.0.0.1:8080", webhookAddr: ":8081"},
			env{"ADMIN_PASSWORD": long[1:], "WEBHOOK_SECRET": "s", "WEBHOOK_SECRET_PREVIOUS": "s", "VELENTS_WEBHOOK_AUTH": "s"},
			[]string{"ADMIN_PASSWORD has fewer than 12", "WEBHOOK_SECRET has", "WEBHOOK_SECRET_PREVIOUS has", "VELENTS_WEBHOOK_AUTH has"}},
		{"long by white space alone", options{adminAddr: "127.0.0.1:8080"}, env{"ADMIN_PASSWORD": "short      \r"}, []string{"ADMIN_PASSWORD has"}},
		{"links are enough to post events", options{adminAddr: "127.0.0.1:8080", webhookAddr: ":8081"}, env{"WEBHOOK_SECRET": long}, []string{"VELENTS_WEBHOOK_AUTH is not set"}},
		{"a password on the way", options{adminAddr: ":8080"}, env{"ADMIN_PASSWORD": long}, []string{"without TLS"}},
		{"one behind TLS", options{adminAddr: ":8080", tlsCert: "cert.pem"}, env{"ADMIN_PASSWORD": long}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.o.warnings(tt.env.get)
			if len(got) != len(tt.want) {
				t.Fatalf("%q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q, want %q", got[i], want)
				}
			}
		})
	}
}

// A .env file that was written on Windows ends each value with a carriage return.
func TestSecretsOfAWindowsFile(t *testing.T) {
	e := env{
		"VELENTS_TOKEN": "a\r", "REDIS_URL": redistest.Start(t).URL() + "\r", "ADMIN_USER": "ops\r", "ADMIN_PASSWORD": "long enough, surely\r",
		"WEBHOOK_SECRET": "the present secret\r", "WEBHOOK_SECRET_PREVIOUS": "the secret before\r\n", "VELENTS_WEBHOOK_AUTH": "key of the platform\r",
		"WEBHOOK_ADDR": "127.0.0.1:0\r", "ADMIN_BASE_PATH": "/ours\r", "VELENTS_RATE": "none\r",
	}
	out, _ := start(t, e)
	pages := out.await(t, `admin pages" url=(http://[^/\s]+/ours)\s`)[1]
	inbox := out.await(t, `webhook inbox" url=(http://\S+)/webhooks/velents`)[1]
	out.await(t, "worker started")
	ask := func(method, url, body string, edit func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		edit(req)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := ask("GET", pages+"/", "", func(r *http.Request) { r.SetBasicAuth("ops", "long enough, surely") }); got != http.StatusOK {
		t.Errorf("the password opens nothing: %d", got)
	}
	for secret, want := range map[string]int{
		"the present secret": http.StatusNoContent, "the secret before": http.StatusNoContent,
		"the present secret\r": http.StatusUnauthorized, "": http.StatusUnauthorized, "another": http.StatusUnauthorized,
	} {
		link := webhook.Link(inbox, secret, webhook.Target{Campaign: "sale"})
		got := ask("POST", link, `{"event":{"type":"onStarted"},"conversation":{"phone":"+966500000001"}}`, func(r *http.Request) {
			r.Header.Set("x-velents-authorization", "key of the platform")
		})
		if got != want {
			t.Errorf("a link signed by %q: %d, want %d", secret, got, want)
		}
	}
	if log := out.String(); strings.Contains(log, "can be guessed") || strings.Contains(log, "surely") || strings.Contains(log, "secret before") {
		t.Errorf("the log:\n%s", log)
	}
}

func TestLogsHoldNothingThatATerminalObeys(t *testing.T) {
	const hostile = "a\x1b]0;taken\x07\r\x7f\u009b2J\u202egnp\u202c\u2066\u200f\u061c\nlevel=INFO"
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := options{logFormat: format}.logger(&out)
		log.Warn("not applied", "error", errors.New(hostile), "campaign", hostile)
		log.With("a", hostile).Error(hostile)
		text := strings.TrimSuffix(out.String(), "\n")
		if lines := strings.Split(text, "\n"); len(lines) != 2 {
			t.Errorf("%s: %d lines: %q", format, len(lines), text)
		}
		for _, r := range text {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Errorf("%s: %U in %q", format, r, text)
			}
		}
		if !strings.Contains(text, "gnp") {
			t.Errorf("%s: it says nothing: %s", format, text)
		}
	}
}
