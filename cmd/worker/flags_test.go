package main

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"campaign-runner/cmd/internal/cli"
)

// notItsOwn are variables whose value is any text, or is checked where it is used, as a file
// is when it is opened.
var notItsOwn = []string{
	"ADMIN_PASSWORD", "ADMIN_TLS_CERT", "ADMIN_TLS_KEY", "VELENTS_WEBHOOK_AUTH", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS",
	"VELENTS_TOKEN_NAME", "CAMPAIGN_AS",
}

func TestAWrongValueOfAnyVariableGetsOneLine(t *testing.T) {
	wrong := map[string]string{
		"ADMIN_ADDR": "localhost", "ADMIN_BASE_PATH": "/a b", "ADMIN_TRUSTED_PROXY": "proxy", "ADMIN_URL": "campaigns.example.org", "ADMIN_USER": "a:b",
		"KEEP_FOR": "forever", "LOG_FORMAT": "xml", "LOG_LEVEL": "loud", "NOTIFY_LANGUAGE": "fr", "NOTIFY_URL": "ftp://x",
		"REDIS_URL": "nonsense", "REDIS_WAIT_REPLICAS": "-1",
		"VELENTS_AGENT": "a/b", "VELENTS_CHANNEL": "fax", "VELENTS_CHANNEL_WHATSAPP": "-1", "VELENTS_CHUNK_SIZE": "0", "VELENTS_MAX_ATTEMPTS": "many",
		"VELENTS_MODE": "slow", "VELENTS_QUOTA_SHARE": "2", "VELENTS_REGION": "XX", "VELENTS_RATE": "many", "VELENTS_RETRY_5XX": "maybe",
		"VELENTS_STRICT_5XX": "yes please", "VELENTS_SUPPORT_TOKEN": "a b", "VELENTS_TOKEN": "a b", "VELENTS_URL": "platform", "WEBHOOK_ADDR": "8081", "WEBHOOK_URL": "events.example.org",
	}
	call := func(e env, args ...string) (string, error) {
		var out bytes.Buffer
		err := worker(e.all)(t.Context(), args, nil, &out, &out, e.get)
		return out.String(), err
	}
	help, err := call(env{}, "-h")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`\b[A-Z]+(?:_[A-Z0-9]+)+\b`).FindAllString(help, -1)
	for _, variable := range known {
		if _, tested := wrong[variable]; !tested && !slices.Contains(notItsOwn, variable) {
			t.Errorf("no wrong value of %s is tested", variable)
		}
	}
	for variable, value := range wrong {
		e := env{"VELENTS_TOKEN": "secret-token", "REDIS_URL": "redis://127.0.0.1:1/0", "WEBHOOK_SECRET": "not to be guessed"}
		maps.Copy(e, env{variable: value})
		_, err := call(e)
		if err == nil || cli.ExitCode(err) != 2 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: exit %d: %v; want one line and 2", variable, value, cli.ExitCode(err), err)
			continue
		}
		if !strings.HasPrefix(err.Error(), variable) {
			t.Errorf("%s=%s: %v", variable, value, err)
		}
		if strings.Count(err.Error(), value) > 1 && len(value) > 2 {
			t.Errorf("%s: the value is said twice: %v", variable, err)
		}
	}
}
