package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// command matches what only a terminal takes: a command of ours, or a flag.
var command = regexp.MustCompile(`(^|[^a-z])(campaign|worker|enqueue) (start|resume|cancel|pause|agents|set|resolve|rerun|append|--)|(^|\s)--[a-z]`)

func TestPagesAdviseNoCommands(t *testing.T) {
	n := 0
	for name, code := range campaign.Codes() {
		m := campaign.Say(code, "campaign", "spring", "agent", "sales", "reason", campaign.Text("lunch"), "start", time.Now(), "next", time.Now(), "contacts", 3)
		if command.MatchString(m.String()) {
			n++
		}
		for _, l := range texts.Languages() {
			if text := (texts.Printer{Language: l, Page: true}).Message(m); command.MatchString(string(text)) {
				t.Errorf("%s in %s: %s", name, l, text)
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d codes advise commands to a terminal: what is one is not recognised", n)
	}
}

func TestTimesInTextsAreMarked(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	m := campaign.Say(campaign.MsgQuota, "reason", campaign.Text("<b>busy</b> until 2020-01-02T03:04:05+03:00"), "next", soon)
	english, arabic := newSpeaker(texts.English).say(m), newSpeaker(texts.Arabic).say(m)
	for _, want := range []string{
		`waiting until the platform takes more: <bdi dir="auto">&lt;b&gt;busy&lt;/b&gt; until <time datetime="2020-01-02T00:04:05Z" data-show="full">2020-01-02 00:04</time></bdi>; `,
		`leaves at <time datetime="` + soon.Format(time.RFC3339) + `" data-show="clock">`,
	} {
		if !strings.Contains(string(english), want) {
			t.Errorf("%s lacks %s", english, want)
		}
	}
	if want := `الطلب التالي في <time dir="ltr" datetime="`; !strings.Contains(string(arabic), want) {
		t.Errorf("%s lacks %s", arabic, want)
	}
}

// Errors are said in the reader's language as far as they are ours; the rest is English
// that says so.
func TestErrorsAreSaid(t *testing.T) {
	for _, tt := range []struct {
		err             error
		english, arabic string
	}{
		{wishf(400, "error.no_file"), "Choose a contact file.", "اختر ملف جهات الاتصال."},
		{&wishError{status: 409, err: errors.New("a < b")}, "A &lt; b.", `<bdi dir="ltr" lang="en">A &lt; b</bdi>.`},
		{&wishError{status: 400, err: &campaign.SettingError{Flag: "canary", Err: errors.New("bad")}}, "Try out with the first contacts: bad.", `التجربة أولًا على عدد من جهات الاتصال: <bdi dir="ltr" lang="en">bad</bdi>.`},
		{&wishError{status: 400, err: campaign.Faulty(campaign.MsgByPerson)}, "by a person.", "أوقفها شخص."},
		{&wishError{status: 409, err: fmt.Errorf("%w; go on with: campaign resume x", campaign.Faulty(campaign.MsgNotNow, "action", "pause", "campaign", "x", "phase", campaign.Paused))},
			`pause <bdi dir="auto">x</bdi>: it is paused.`, `لا يمكن تنفيذ «إيقاف مؤقت»: حالة الحملة <bdi dir="auto">x</bdi> هي «متوقفة مؤقتًا».`},
		{fmt.Errorf("campaign: %w", store.ErrNotFound), "There is no such campaign.", "لا توجد حملة بهذا الاسم."},
		{context.DeadlineExceeded, "Redis does not answer.", "لا يستجيب"},
	} {
		line := lineOf(tt.err)
		if got := string(newSpeaker(texts.English).say(line)); !strings.HasPrefix(got, tt.english) {
			t.Errorf("%v is said %q, want %q", tt.err, got, tt.english)
		}
		if got := string(newSpeaker(texts.Arabic).say(line)); !strings.HasPrefix(got, tt.arabic) {
			t.Errorf("%v is said %q, want %q", tt.err, got, tt.arabic)
		}
	}
}

// The live parts of a page are in its language, whatever a visitor has switched to in
// another window.
func TestLivePartsAreInThePagesLanguage(t *testing.T) {
	for address, want := range map[string]texts.Language{inLanguage("/events", texts.Arabic): texts.Arabic, inLanguage("/events?q=a", texts.English): texts.English, "/events": texts.Arabic} {
		r := httptest.NewRequest("GET", address, nil)
		r.AddCookie(&http.Cookie{Name: languageCookie, Value: "ar"})
		if address == inLanguage("/events", texts.Arabic) {
			r.Header.Set("Cookie", languageCookie+"=en")
		}
		if got := languageOf(r); got != want {
			t.Errorf("%s is in %s, want %s", address, got, want)
		}
	}
}
