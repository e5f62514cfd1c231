package dashboard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/dashboard"
	"campaign-runner/velents"
)

// dispatched is a platform that keeps what it is asked to dispatch.
type dispatched struct {
	*velents.Client
	mu   sync.Mutex
	made []velents.Dispatch
	err  error // that it answers with; nil: it accepts
}

func (p *dispatched) Dispatch(_ context.Context, d velents.Dispatch) (velents.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append(p.made, d)
	return velents.Answer{Status: 200, ID: "conv-1"}, p.err
}

func withTrials(t *testing.T, log *bytes.Buffer) (*dispatched, []func(*dashboard.Config)) {
	platform := new(dispatched)
	return platform, []func(*dashboard.Config){withAgent(t), func(c *dashboard.Config) {
		l := c.Agents["default"]
		platform.Client = l.Platform.(*velents.Client)
		l.Platform = platform
		c.Agents["default"] = l
		if log != nil {
			c.Logger = slog.New(slog.NewTextHandler(log, nil))
		}
	}}
}

var pressField = regexp.MustCompile(`name="press" value="([A-Z0-9]+)"`)

// The person who makes a campaign is contacted first, as the first person of the list would be.
func TestACampaignContactsItsMakerFirst(t *testing.T) {
	var log bytes.Buffer
	platform, with := withTrials(t, &log)
	f := newFixture(t, with...)
	path := f.draftOf(filled(map[string]string{"fixed:offer": "عرض", "send_extra": "on"}))
	page := f.get(path + "/review")
	wantTexts(t, page, "Let it contact you first", `action="`+path+`/test"`)
	press := pressField.FindStringSubmatch(page)
	if press == nil {
		t.Fatalf("the form has no name:\n%s", page)
	}
	form := url.Values{"number": {"٠٥٥٥٠٠٠٠٠٩"}, "region": {"sa"}, "press": press[1:]}
	var group sync.WaitGroup
	for range 3 { // pressed thrice
		group.Go(func() {
			res, page := f.ask("POST", path+"/test", form)
			if to := res.Header.Get("Location"); !strings.HasPrefix(to, path+"/test?did=") && res.StatusCode != http.StatusConflict || strings.Contains(to, "555") {
				t.Errorf("%s to %s\n%s", res.Status, to, page)
			}
		})
	}
	group.Wait()
	if len(platform.made) != 1 {
		t.Fatalf("contacted %d times", len(platform.made))
	}
	if d := platform.made[0]; d.Phone != "+966555000009" || d.ChannelID != 3 || d.Values["name"] != "نورة" || d.Values["note"] != "a" || d.Values["offer"] != "عرض" {
		t.Errorf("%+v", d)
	}
	if said := log.String(); !strings.Contains(said, "contacted as a test") || strings.Contains(said, "555") {
		t.Errorf("the log: %s", said)
	}
	if names, err := f.Names(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("campaigns %v, %v", names, err)
	}
	wantTexts(t, f.get(path+"/test"), "What the agent is told", "<dd><bdi dir=\"auto\">نورة</bdi></dd>", `value="sa"`)
	wantTexts(t, f.get(path+"/review"), "Launch: contact 2 people") // it changes nothing
}

// What came of a test is said, and what may have been sent is not sent again by a reload.
func TestWhatCameOfATest(t *testing.T) {
	platform, with := withTrials(t, nil)
	f := newFixture(t, with...)
	path := f.draftOf(filled(nil))
	if _, err := f.Suppress(t.Context(), []campaign.Phone{966555000008}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, number string
		err          error
		status       int
		says         string
		asked        int
	}{
		{"refused", "+966555000009", &velents.Error{Status: 422, Message: "bad phone"}, 422, "has refused the test to", 1},
		{"an answer that was lost", "+966555000009", &velents.Unanswered{Sent: true, Err: errors.New("reset")}, 502, "may have been contacted, or not", 1},
		{"a platform that failed", "+966555000009", &velents.Error{Status: 500, Message: "oops"}, 502, "may have been contacted, or not", 1},
		{"not sent", "+966555000009", &velents.Unanswered{Err: errors.New("no route")}, 502, "Nothing was sent to", 1},
		{"nobody's number", "12", nil, 400, "This is no phone number", 0},
		{"on the do-not-contact list", "+966555000008", nil, 409, "do-not-contact list", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			platform.err, platform.made = tt.err, nil
			form := url.Values{"number": {tt.number}, "press": {tt.name}}
			res, page := f.ask("POST", path+"/test", form)
			if res.StatusCode != tt.status || !strings.Contains(page, tt.says) || !strings.Contains(page, `role="alert"`) || len(platform.made) != tt.asked {
				t.Errorf("%s, contacted %d times\n%s", res.Status, len(platform.made), page)
			}
			if tt.asked > 0 {
				if res, page := f.ask("POST", path+"/test", form); res.StatusCode != http.StatusConflict || !strings.Contains(page, "was sent already") || len(platform.made) != 1 {
					t.Errorf("again: %s, contacted %d times", res.Status, len(platform.made))
				}
			}
		})
	}
	platform.err = nil
	many := 0
	for i := range 12 { // the page is for one's own phone
		if res, _ := f.ask("POST", path+"/test", url.Values{"number": {"+966555000009"}, "press": {fmt.Sprint(i)}}); res.StatusCode == http.StatusTooManyRequests {
			many++
		}
	}
	if many == 0 {
		t.Error("it contacts as many as somebody likes")
	}
}
