package untranslated

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		name, template string
		want           []string
	}{
		{"all from the catalogue", `<h1>{{t "home.count"}}</h1><p class="sub">{{number .N}} · {{t "a.b" "n" .N}}</p>`, nil},
		{"a text", `<h1>Campaigns</h1>`, []string{"Campaigns"}},
		{"a text beside others", `<p>{{number .N}} of {{number .All}}</p>`, []string{"of"}},
		{"in an attribute", `<input aria-label="Name" class="name" placeholder="{{t "x"}}">`, []string{"Name"}},
		{"in an action", `{{count .N "campaign" "campaigns"}}`, []string{"campaign", "campaigns"}},
		{"in a branch", `{{if .X}}<b>yes</b>{{else}}{{t "no"}}{{end}}`, []string{"yes"}},
		{"style and script are no texts", `<style>a { b: c }</style><script>x()</script>{{define "x"}}–{{end}}`, nil},
		{"Arabic", `<p>مرحبا</p>`, []string{"مرحبا"}},
	} {
		if diff := cmp.Diff(tt.want, Words(tt.template)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
