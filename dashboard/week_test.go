package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var hoursField = regexp.MustCompile(`id="hours" [^>]* value="([^"]*)"`)

// What is picked becomes the text of the hours, and the text fills the pickers, so that
// neither loses anything.
func TestHoursArePicked(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	same := func(changes url.Values) url.Values {
		form := url.Values{"pick:way": {"same"}, "pick:zone": {"Asia/Riyadh"}, "pick:on": {"sun", "mon", "tue", "wed", "thu"}, "pick:all:from": {"09:00"}, "pick:all:to": {"17:00"}}
		for field, values := range changes {
			form[field] = values
		}
		return form
	}
	for _, tt := range []struct {
		name  string
		form  url.Values
		hours string
		shows []string
	}{
		{"the same on some days", same(nil), "sun-thu 09:00-17:00", []string{`value="same" checked`, `value="sun" checked`, `name="pick:all:to" value="17:00"`}},
		{"with a break", same(url.Values{"pick:all:to": {"13:00"}, "pick:all:from2": {"16:00"}, "pick:all:to2": {"21:00"}}), "sun-thu 09:00-13:00,16:00-21:00", []string{`name="pick:all:from2" value="16:00"`}},
		{"in digits of an Arabic keyboard", same(url.Values{"pick:all:from": {"٠٨:٣٠"}}), "sun-thu 08:30-17:00", []string{`value="08:30"`}},
		{"over midnight", same(url.Values{"pick:all:from": {"21:00"}, "pick:all:to": {"02:00"}}), "sun-thu 21:00-02:00", []string{`name="pick:all:to" value="02:00"`}},
		{"until midnight", same(url.Values{"pick:all:to": {"00:00"}}), "sun-thu 09:00-24:00", []string{`name="pick:all:to" value="00:00"`}},
		{"whole days", same(url.Values{"pick:all:from": {"00:00"}, "pick:all:to": {"00:00"}}), "sun-thu 00:00-24:00", nil},
		{"other hours on one day", url.Values{"pick:way": {"days"}, "pick:zone": {"Asia/Dubai"}, "pick:mon:from": {"09:00"}, "pick:mon:to": {"17:00"}, "pick:fri:from": {"09:00"}, "pick:fri:to": {"12:00"}}, "mon 09:00-17:00; fri 09:00-12:00", []string{`value="days" checked`, `name="pick:fri:to" value="12:00"`}},
		{"at any time", same(url.Values{"pick:way": {"any"}}), "", []string{`value="any" checked`}},
		{"as text", url.Values{"pick:way": {"text"}, "hours": {"sun-thu 09:00-17:00"}, "timezone": {"Asia/Riyadh"}}, "sun-thu 09:00-17:00", []string{`value="text" checked`, `name="pick:all:to" value="17:00"`}},
		{"what pickers cannot say", url.Values{"hours": {"mon 01:00-02:00,03:00-04:00,05:00-06:00"}, "timezone": {"Europe/London"}}, "mon 01:00-02:00,03:00-04:00,05:00-06:00", []string{`value="text" checked`, `<option value="other" data-first="0" selected>`, `name="timezone" type="text" dir="ltr" value="Europe/London"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if to, page := f.fill(path+"/when", tt.form); to != path+"/safety" {
				t.Fatalf("%s\n%s", to, page)
			}
			page := f.get(path + "/when")
			if text := hoursField.FindStringSubmatch(page); text == nil || text[1] != tt.hours {
				t.Errorf("the text is %q, want %q", text, tt.hours)
			}
			wantTexts(t, page, tt.shows...)
		})
	}
}

// Half of what is needed is no hours at all: it must not come to any time.
func TestHoursThatAreHalfPickedAreNotLaunched(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(map[string]string{"hours": "09:00-17:00", "timezone": "UTC"}))
	for name, tt := range map[string]struct {
		form url.Values
		says string
	}{
		"no day":             {url.Values{"pick:way": {"same"}, "pick:all:from": {"09:00"}, "pick:all:to": {"17:00"}}, "Choose the days"},
		"no time":            {url.Values{"pick:way": {"same"}, "pick:on": {"sun"}}, "Give the hours"},
		"no end":             {url.Values{"pick:way": {"days"}, "pick:sun:from": {"09:00"}}, "only one end"},
		"no time on any day": {url.Values{"pick:way": {"days"}}, "Give the hours"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.form.Set("pick:zone", "Asia/Riyadh")
			to, page := f.fill(path+"/when", tt.form)
			wantTexts(t, page, `role="alert"`, tt.says)
			if to != "" {
				t.Errorf("it leads to %s", to)
			}
			for field, values := range tt.form { // it is not lost
				if strings.HasPrefix(field, "pick:sun:") || strings.HasPrefix(field, "pick:all:") {
					wantTexts(t, page, `name="`+field+`" value="`+values[0]+`"`)
				}
			}
			if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, tt.says) {
				t.Errorf("it was launched: %s\n%s", res.Status, page)
			}
		})
	}
}

// The usual week of a place is proposed, and taken only when somebody says so.
func TestTheUsualWeekIsProposed(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	page := f.get(path + "/when")
	wantTexts(t, page, "Saudi Arabia: Sunday to Thursday 09:00\u2060–\u206017:00", "Sharjah: Monday to Thursday 09:00\u2060–\u206017:00", `value="any" checked`)
	if to, page := f.fill(path+"/when", url.Values{"pick:zone": {"Asia/Dubai"}, "pick:way": {"any"}, "to": {"usual:ae"}}); to != path+"/when#hours-picked" {
		t.Fatalf("%s\n%s", to, page)
	}
	page = f.get(path + "/when")
	wantTexts(t, page, `value="days" checked`, `name="pick:fri:to" value="12:00"`, `<option value="Asia/Dubai" data-first="1" selected>`)
	if first := regexp.MustCompile(`data-day="(\d)"`).FindStringSubmatch(page); first == nil || first[1] != "1" {
		t.Errorf("the week begins with day %v", first)
	}
	if text := hoursField.FindStringSubmatch(page); text == nil || text[1] != "mon-thu 09:00-17:00; fri 09:00-12:00" {
		t.Errorf("the text is %q", text)
	}
	wantTexts(t, f.get(path+"/review"), "Monday to Thursday 09:00\u2060–\u206017:00, Friday 09:00\u2060–\u206012:00 in Asia/Dubai")
}

// Hours of numbers without a zone go with each contact's own clock, and with no other.
func TestHoursWithoutAZoneGoWithEachContactsClock(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	form := url.Values{"pick:way": {"text"}, "hours": {"09:00-21:00"}, "pick:zone": {"contact"}, "no_zone_hours": {"10:00-20:00@Asia/Riyadh"}}
	f.fill(path+"/when", form)
	wantTexts(t, f.get(path+"/when"), `value="10:00-20:00@Asia/Riyadh"`, `<option value="contact" data-first="0" selected>`)
	form.Set("pick:zone", "Asia/Riyadh")
	f.fill(path+"/when", form)
	if strings.Contains(f.get(path+"/when"), "10:00-20:00") {
		t.Error("hours of another clock stay")
	}
	wantTexts(t, f.get(path+"/review"), "every day 09:00\u2060–\u206021:00 in Asia/Riyadh")
}

// The rules of a country are chosen by name. They narrow what was picked, stand on the review
// in words, are launched as by the command, and copied.
func TestRulesOfACountryAreChosen(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(map[string]string{"rules": ""}))
	wantTexts(t, f.get(path+"/when"), `name="rules" value="" checked`, "United Arab Emirates: marketing calls", "09:00\u2060–\u206018:00", "on 2 days of any seven at most", "Do Not Call Register")
	form := url.Values{"pick:way": {"same"}, "pick:zone": {"Asia/Dubai"}, "pick:on": {"mon"}, "pick:all:from": {"19:00"}, "pick:all:to": {"20:00"}, "rules": {"ae"}}
	to, page := f.fill(path+"/when", form)
	if to != "" {
		t.Errorf("hours that the rules close lead to %s", to)
	}
	wantTexts(t, page, `role="alert"`, "no time in common", `name="rules" value="ae" checked`)
	form.Set("pick:all:from", "08:00")
	if to, page := f.fill(path+"/when", form); to != path+"/safety" {
		t.Fatalf("%s\n%s", to, page)
	}
	if to, page := f.fill(path+"/safety", url.Values{"no_record": {"on"}, "to": {"review"}}); to != path+"/review" {
		t.Fatalf("%s\n%s", to, page)
	}
	if res, page := f.ask("GET", path+"/review", nil); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "The rules go by who was contacted when") {
		t.Errorf("rules that nothing is kept for: %d\n%s", res.StatusCode, page)
	}
	f.fill(path+"/safety", nil)
	wantTexts(t, f.get(path+"/review"), "Rules of a country", "each person once a day at most", "09:00\u2060–\u206018:00")
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if s := c.Settings; err != nil || s.Rules != "ae" || s.Limits.PerWeek != 2 || s.Hours.Week.String() != "mon 09:00-18:00" || s.Hours.Zone != "Asia/Dubai" {
		t.Errorf("%+v, %v", c.Settings, err)
	}
	_, page = f.upload("list.csv", list, map[string]string{"copy": "spring"}, false)
	copied := "/new/" + idOf(t, page)
	wantTexts(t, f.get(copied+"/when"), `name="rules" value="ae" checked`)
	wantTexts(t, f.get("/campaigns/spring/settings"), "United Arab Emirates: marketing calls")
}

// Dates with hours of their own are picked one after the other; what cannot be picked stays
// text.
func TestDatesWithOtherHoursArePicked(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	form := func(except string, changes url.Values) url.Values {
		all := url.Values{"hours": {"09:00-17:00"}, "timezone": {"Asia/Riyadh"}, "except": {except}, "pick:except:as": {"closed"}, "to": {"add-dates"}}
		for field, values := range changes {
			all[field] = values
		}
		return all
	}
	field := regexp.MustCompile(`id="except" [^>]* value="([^"]*)"`)
	text := ""
	for _, tt := range []struct {
		name string
		form url.Values
		want string
	}{
		{"closed days", url.Values{"pick:except:from": {"2040-03-09"}, "pick:except:to": {"2040-03-12"}}, "2040-03-09..2040-03-12=closed"},
		{"one day with hours, in Arabic digits", url.Values{"pick:except:from": {"2040-02-22"}, "pick:except:as": {"hours"}, "pick:except:open": {"٢١:٠٠"}, "pick:except:shut": {"01:00"}}, "2040-03-09..2040-03-12=closed; 2040-02-22=21:00-01:00"},
		{"none", nil, "2040-03-09..2040-03-12=closed; 2040-02-22=21:00-01:00"},
		{"the first away", url.Values{"to": {"dates:0"}}, "2040-02-22=21:00-01:00"},
	} {
		if to, page := f.fill(path+"/when", form(text, tt.form)); to != path+"/when#except-dates" {
			t.Fatalf("%s: %s\n%s", tt.name, to, page)
		}
		if text = field.FindStringSubmatch(f.get(path + "/when"))[1]; text != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
	}
	to, page := f.fill(path+"/when", form(text, url.Values{"pick:except:from": {"2040-05-01"}, "pick:except:as": {"hours"}, "pick:except:open": {"10:00"}, "to": {"next"}}))
	wantTexts(t, page, `role="alert"`, `value="2040-05-01"`, `value="10:00"`)
	if res, _ := f.ask("POST", path+"/launch", nil); to != "" || res.StatusCode == http.StatusSeeOther {
		t.Errorf("half of it leads to %q, %d", to, res.StatusCode)
	}
	if to, page = f.fill(path+"/when", form(text, url.Values{"pick:except:from": {"2040-05-01"}, "to": {"review"}})); to != path+"/review" {
		t.Fatalf("%s\n%s", to, page)
	}
	wantTexts(t, f.get(path+"/review"), "on 2040\u2060-\u206005\u2060-\u206001 nobody is contacted")
}
