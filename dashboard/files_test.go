package dashboard_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var dropButton = regexp.MustCompile(`value="(drop:[A-Z0-9]+)"`)

// Numbers that must not be contacted come in files. Each says what it comes to, goes over to a
// corrected list, and is left out by the launch.
func TestDoNotContactFilesOfADraft(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	res, page := f.uploadTo(path+"/safety", "stop.csv", "phone\n+966501000001\n12\n+966599999999\n", map[string]string{"daily_cap": "7", "to": "next"}, false)
	if to := res.Header.Get("Location"); to != path+"/safety#files" {
		t.Fatalf("%d %s\n%s", res.StatusCode, to, page)
	}
	wantTexts(t, f.get(path+"/safety"), "stop.csv", "2 numbers", "leaves out 1 line of this list", "1 line has no usable number", `name="daily_cap" type="text" dir="auto" inputmode="numeric" placeholder="any number" value="7"`)
	wantTexts(t, f.get(path+"/safety?lang=ar"), "يستبعد سطرًا واحدًا من هذه القائمة", "فيه سطر واحد بلا رقم صالح")
	f.uploadTo(path+"/safety", "more.csv", "+966501000001\n", map[string]string{"daily_cap": "7"}, true)
	page = f.get(path + "/safety")
	wantTexts(t, page, "more.csv", "leaves out 0 lines of this list")
	drop := dropButton.FindAllStringSubmatch(page, -1)
	if len(drop) != 2 {
		t.Fatalf("%d files can be taken away\n%s", len(drop), page)
	}
	if to, page := f.fill(path+"/safety", url.Values{"daily_cap": {"7"}, "to": {drop[1][1]}}); to != path+"/safety#files" {
		t.Errorf("%s\n%s", to, page)
	}
	if page := f.get(path + "/safety"); strings.Contains(page, "more.csv") || !strings.Contains(page, "stop.csv") {
		t.Errorf("another file was taken away:\n%s", page)
	}
	_, page = f.upload("corrected.csv", list, map[string]string{"draft": strings.TrimPrefix(path, "/new/")}, false)
	path = "/new/" + idOf(t, page)
	wantTexts(t, page, "Launch: contact 1 person", "stop.csv", "leaves out 1 line of this list", "Do-not-contact file <bdi dir=\"auto\">stop.csv</bdi>: lines without a usable number")
	seen := regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`).FindStringSubmatch(page)[1]
	f.uploadTo(path+"/safety", "late.csv", "+966500000009\n", nil, false)
	if res, _ := f.ask("POST", path+"/launch", url.Values{"seen": {seen}}); res.StatusCode != http.StatusConflict {
		t.Errorf("launched with another file than was looked at: %d", res.StatusCode)
	}
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if err != nil || c.Counts.Contacts != 1 || c.Counts.Suppressed != 1 {
		t.Errorf("%+v, %v", c.Counts, err)
	}
	if left := f.Redis().Keys(t.Context(), "*drafts*").Val(); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
	_, page = f.upload("list.csv", list, map[string]string{"copy": "spring"}, false)
	wantTexts(t, f.get("/new/"+idOf(t, page)+"/safety"), "add them again")
}

// A file that cannot be read is never left out silently: nothing goes on without somebody
// taking it away.
func TestADoNotContactFileThatCannotBeRead(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	res, page := f.uploadTo(path+"/safety", "stop.csv", "name,city\na,b\n", nil, false)
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d", res.StatusCode)
	}
	wantTexts(t, page, `role="alert"`, "Do-not-contact file <bdi dir=\"auto\">stop.csv</bdi>: no phone column: the columns are", "drop:")
	if to, _ := f.fill(path+"/safety", url.Values{}); to != "" {
		t.Errorf("it leads to %s", to)
	}
	if res, page := f.ask("GET", path+"/review", nil); res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(page, "/launch") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode == http.StatusSeeOther {
		t.Error("it was launched")
	}
	res, page = f.uploadTo(path+"/safety", "nothing.csv", "", map[string]string{"daily_cap": "9"}, false)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "The file <bdi dir=\"auto\">nothing.csv</bdi> is empty") || !strings.Contains(page, `value="9"`) {
		t.Errorf("an empty one: %d\n%s", res.StatusCode, page)
	}
	f.fill(path+"/safety", url.Values{"to": {dropButton.FindStringSubmatch(page)[1]}})
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("without it: %d\n%s", res.StatusCode, page)
	}
}

const holiday = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20270101T000000Z\r\nSUMMARY:Eid\r\n" +
	"RRULE:FREQ=YEARLY\r\nDTSTART;VALUE=DATE:20200309\r\nDTEND;VALUE=DATE:20200313\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// A calendar is uploaded in the step that asks when. It is launched as by the command, and
// copied.
func TestACalendarOfADraft(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(map[string]string{"hours": "09:00-17:00", "timezone": "Asia/Riyadh"}))
	when := map[string]string{"hours": "09:00-17:00", "timezone": "Asia/Riyadh", "rules": "sa"}
	res, page := f.uploadTo(path+"/when", "eid.ics", holiday, when, false)
	if to := res.Header.Get("Location"); to != path+"/when#files" {
		t.Fatalf("%d %s\n%s", res.StatusCode, to, page)
	}
	wantTexts(t, f.get(path+"/when"), "eid.ics", "\u206003\u2060-\u206009 – ", `name="rules" value="sa" checked`)
	wantTexts(t, f.get(path+"/when?lang=ar"), "هـ")
	res, page = f.uploadTo(path+"/when", "list.ics", "phone\n1\n", when, false)
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("no calendar: %d", res.StatusCode)
	}
	wantTexts(t, page, `role="alert"`, "list.ics")
	if strings.Contains(page, "eid.ics") {
		t.Error("there are two calendars")
	}
	if res, page := f.uploadTo(path+"/when", "eid.ics", holiday, nil, false); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "it needs a clock") {
		t.Errorf("by nobody's clock: %d\n%s", res.StatusCode, page)
	}
	f.uploadTo(path+"/when", "eid.ics", holiday, when, false)
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if err != nil || len(c.Settings.Hours.Closed) != 2 || c.Settings.Hours.Closed[0].From.String()[4:] != "-03-09" {
		t.Errorf("%+v, %v", c.Settings.Hours, err)
	}
	_, page = f.upload("list.csv", list, map[string]string{"copy": "spring", "name": "summer"}, false)
	path = "/new/" + idOf(t, page)
	page = f.get(path + "/when")
	wantTexts(t, page, "<bdi>spring</bdi>", "\u206003\u2060-\u206009 – ")
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	again, err := f.Campaign(t.Context(), "summer")
	if err != nil || again.Settings.Hours.String() != c.Settings.Hours.String() {
		t.Errorf("%v, %v", again.Settings.Hours, err)
	}
}

// How a list was read is said in Arabic, too, without options of commands.
func TestHowAListWasReadSpeaksArabic(t *testing.T) {
	f := newFixture(t, withAgent(t))
	const odd = "الحملة,,,\nالجوال 1,الجوال 2,name,note\n0501000001,0501000002,a,b\n"
	_, page := f.upload("list.csv", odd, filled(map[string]string{"value:name": "name"}), false)
	path := "/new/" + idOf(t, page)
	english, arabic := f.get(path+"/list?lang=en"), f.get(path+"/list?lang=ar")
	wantTexts(t, english, "is taken for the header; what stands above it is not read", "The numbers are those of column")
	wantTexts(t, arabic, "اعتُبر السطر", "تؤخذ الأرقام من العمود")
	if strings.Contains(english+arabic, "--phone-column") || strings.Contains(arabic, "taken for the header") {
		t.Errorf("the page advises an option, or speaks English:\n%s", arabic)
	}
}

// Several files come with one form, and none where none was chosen.
func TestSeveralDoNotContactFilesAtOnce(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	post := func(files map[string]string) *http.Response {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for name, text := range files {
			part, err := form.CreateFormFile("file", name)
			if err == nil {
				_, err = part.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(form.WriteField("to", "next"), form.Close()); err != nil {
			t.Fatal(err)
		}
		res, _ := f.post(path+"/safety", form.FormDataContentType(), &body)
		return res
	}
	if to := post(map[string]string{"": ""}).Header.Get("Location"); to != path+"/follow" {
		t.Errorf("no file leads to %s", to)
	}
	if to := post(map[string]string{"a.csv": "+966501000001\n", "b.csv": "+966501000002\n"}).Header.Get("Location"); to != path+"/safety#files" {
		t.Errorf("two files lead to %s", to)
	}
	wantTexts(t, f.get(path+"/safety"), "a.csv", "b.csv")
	many := make(map[string]string)
	for i := range 19 {
		many[fmt.Sprintf("%d.csv", i)] = "+966501000001\n"
	}
	if res := post(many); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("21 files: %d", res.StatusCode)
	}
}
