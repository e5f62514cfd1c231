package dashboard_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
)

// What a list takes is the same in its preview, and, once it is launched beside others on its
// token, on its page and in the list of campaigns.
func TestThePreviewForetellsWhatThePagesDo(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("phone,name,note\n")
	for i := range 600 {
		fmt.Fprintf(&lines, "9665020%05d,x,y\n", i)
	}
	for _, tt := range []struct {
		name string
		form map[string]string
		want string
	}{
		// 210 requests before it ends, one a minute.
		{"alone", nil, "about 4 hours"},
		// Then all are taken to be contacted again, as they were sent.
		{"again", map[string]string{"then": "ended.no_answer:30h"}, "about 34 hours"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, withAgent(t), func(c *dashboard.Config) { c.WebhookURL = "https://example.org" })
			f.load("first", 1200)
			f.load("second", 300, func(s *campaign.Settings) { s.Lane = campaign.Urgent })
			beat := store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": {Limit: 1, Window: 60}}}
			if err := f.Heartbeat(t.Context(), beat); err != nil {
				t.Fatal(err)
			}
			form := filled(map[string]string{"chunk_size": "10"})
			for field, value := range tt.form {
				form[field] = value
			}
			_, page := f.upload("list.csv", lines.String(), form, true)
			launch := launchButton.FindStringSubmatch(page)
			if launch == nil {
				t.Fatalf("no preview:\n%s", page)
			}
			wantTexts(t, page, "<dt>Estimated time</dt><dd>"+tt.want+"</dd>")
			f.ask("POST", launch[1]+"/launch", nil)
			wantTexts(t, f.get("/campaigns/spring"), "<dt>Time left</dt><dd>"+tt.want+"</dd>")
			row := regexp.MustCompile(`(?s)<tbody id="r-spring".*?</tbody>`).FindString(f.get("/"))
			wantTexts(t, row, `<span class="sub">`+tt.want+`</span>`)
		})
	}
}
