package dashboard_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"campaign-runner/campaign"
)

var bdi = regexp.MustCompile(`</?bdi[^>]*>`)

// What is wrong with a list or with a setting is said in the reader's language, and on a page
// without options of commands.
func TestFaultsOfAListAreSaidInBothLanguages(t *testing.T) {
	for _, tt := range []struct {
		name, contents  string
		form            map[string]string
		english, arabic string
	}{
		{"no number", "name,city\nNoura,Riyadh\n", nil, `No column of phone numbers: the columns are "name", "city": name one in`, "لا يوجد عمود أرقام. الأعمدة هي:"},
		{"no name", "contact person,x\n0501234567,y\n0501234568,z\n", nil, `column 1 "contact person" looks like one`, "لم يُعثر على عمود أرقام؛ يبدو العمود"},
		{"no header", "0501234567,y\n0501234568,z\n", nil, "No phone column: line 1 holds a number where the names of the columns should be", "رقم حيث ينبغي أن تكون أسماء الأعمدة"},
		{"two columns of numbers", "phone,mobile\n0501234567,0501234568\n", nil, "More than one column may hold the phone numbers", "أكثر من عمود قد تكون فيه الأرقام"},
		{"no such column", list, map[string]string{"phone_column": "nowhere"}, `No column "nowhere": the columns are`, "لا يوجد عمود باسم"},
		{"hours", list, map[string]string{"hours": "late", "timezone": "Asia/Riyadh"}, `late`, "الساعات"},
		{"hours", list, map[string]string{"hours": "9-10", "timezone": "Asia/Riyadh"}, `want FROM-TO such as 09:00-21:00`, "المطلوب من-إلى"},
		{"zone", list, map[string]string{"hours": "09:00-21:00", "timezone": "Moon/Crater"}, "want a name such as Asia/Riyadh", "المطلوب اسم مثل"},
		{"dates", list, map[string]string{"except": "soon=closed", "timezone": "Asia/Riyadh"}, "want one such as 2027-02-08", "المطلوب تاريخ مثل"},
		{"start", list, map[string]string{"start_at": "soon"}, "want 2026-11-27T09:00:00+03:00", "مع منطقة زمنية"},
		{"rule", list, map[string]string{"then": "nonsense:2h"}, `"nonsense": want state=STATE`, "القاعدة"},
		{"ladder", list, map[string]string{"then": "ended.no_answer"}, "want RULE:DELAY such as", "المطلوب قاعدة ثم مدة"},
		{"a PDF", "%PDF-1.7 nothing of a list", nil, "this is a PDF document: give the list itself", "وليس قائمة جهات اتصال: ارفع القائمة نفسها"},
		{"a damaged workbook", "PK\x03\x04 and nothing else", nil, "is damaged", "لكنه تالف"},
		{"an unsure country", "phone,country\n0501000001,north\n0501000002,SA\n", nil, "may give the country of the numbers, but only 1 of its 2 cells name a country", "قد يدل العمود 2"},
		{"a header below others", "a,b\nphone,name,city\n0501000001,x,y\n", nil, "looks like the line of the names of the columns", "هو سطر أسماء الأعمدة"},
		{"hours that are empty", list, map[string]string{"hours": "09:00-09:00", "timezone": "Asia/Riyadh"}, "the window is empty", "البداية والنهاية متساويتان"},
		{"dates the wrong way round", list, map[string]string{"except": "2027-03-12..2027-03-09=closed", "timezone": "Asia/Riyadh"}, "the first is after the last", "أولها بعد آخرها"},
		{"a state that waits for a person", list, map[string]string{"then": "state=unconfirmed:1h"}, "others wait for a person", "المطلوب إحدى هذه الحالات"},
		{"delay", list, map[string]string{"then": "ended.no_answer:never"}, "want a time from 1s to", "المطلوب من"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, withAgent(t))
			for language, want := range map[string]string{"": tt.english, "ar": tt.arabic} {
				f.language = language
				res, page := f.upload("list.csv", tt.contents, filled(tt.form), true)
				said := html.UnescapeString(bdi.ReplaceAllString(page, ""))
				if res.StatusCode/100 != 4 || !strings.Contains(said, want) {
					t.Errorf("%q: %d, nothing says %q:\n%s", language, res.StatusCode, want, page)
				}
				if at := strings.Index(page, `role="alert"`); strings.Contains(page[max(at, 0):], "--phone-column") || at >= 0 && strings.Contains(page[at:], "--country") {
					t.Errorf("%q: a page advises an option", language)
				}
				if language == "ar" {
					for _, text := range latin(t, page) {
						t.Errorf("in Arabic it says %q", text)
					}
				}
			}
		})
	}
}

func TestARefusalToSendAgainSpeaksArabic(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 3, func(s *campaign.Settings) { s.Rules, s.Limits.RefusalIsFinal = "us", true })
	f.move("sale", 0, "taken", campaign.Send, campaign.Reject)
	res, page := ask(t, "POST", f.URL+"/campaigns/sale/rerun", url.Values{"state": {"rejected"}}, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Accept-Language", "ar")
	})
	if !strings.Contains(page, "لا يُعاد الإرسال إلى من رُفضوا") {
		t.Errorf("%d:\n%s", res.StatusCode, page)
	}
	for _, text := range latin(t, page) {
		t.Errorf("it says %q", text)
	}
}
