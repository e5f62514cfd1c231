package cli_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/cmd/internal/cli"
)

func TestAMistypedVariableIsSaid(t *testing.T) {
	for _, tt := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"all is read, or is somebody else's", []string{
			"VELENTS_TOKEN=a", "VELENTS_TOKEN_SALES_EAST=b", "VELENTS_STRICT_5XX=true", "REDIS_WAIT_REPLICAS=1", "CAMPAIGN_AS=sara",
			"PATH=/bin", "_=x", "LOG=x", "LOG_FILE=x", "REDIS_HOST=x", "HOSTNAME=x",
		}, nil},
		{"the token of an agent in lower case", []string{"VELENTS_TOKEN_sales=secret"},
			[]string{"VELENTS_TOKEN_sales is not read: the token of the agent 'sales' is in VELENTS_TOKEN_SALES"}},
		{"the token of what can be no agent", []string{"VELENTS_TOKEN_A.B=secret"},
			[]string{"VELENTS_TOKEN_A.B is the token of no agent: agent: want 1 to 64 letters and digits, with - or _ between them"}},
		{"a word that is like one", []string{"VELENTS_RETRY5XX=none", "WEBHOK_SECRET=secret", "admin_password=secret"}, []string{
			"VELENTS_RETRY5XX is no setting, and is not read (did you mean VELENTS_RETRY_5XX?)",
			"WEBHOK_SECRET is no setting, and is not read (did you mean WEBHOOK_SECRET?)",
			"admin_password is no setting, and is not read (did you mean ADMIN_PASSWORD?)",
		}},
		{"ours by its beginning alone", []string{"VELENTS_FLAVOUR=1"}, []string{"VELENTS_FLAVOUR is no setting, and is not read"}},
		{"what another program is told, beside what we are", []string{"REDIS_URI=x", "REDIS_URL=redis://127.0.0.1:6379/0"}, nil},
		{"nothing is in it", []string{"VELENTS_TOKEN_sales=", "VELENTS_FLAVOUR= "}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, cli.Mistyped(tt.environ)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
