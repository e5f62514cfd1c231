package texts

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

func printers(zone *time.Location) (english, arabic, page, arabicPage Printer) {
	return Printer{Language: English, Zone: zone}, Printer{Language: Arabic, Zone: zone}, Printer{Language: English, Zone: zone, HTML: true}, Printer{Language: Arabic, Zone: zone, HTML: true}
}

func riyadh(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Riyadh")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestIsolates(t *testing.T) {
	english, arabic, page, arabicPage := printers(riyadh(t))
	at := time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name                              string
		say                               func(Printer) Said
		english, arabic, page, arabicPage string
	}{
		{"a number", func(p Printer) Said { return p.Number(12345) },
			"12,345", "\u206612,345\u2069", "12,345", `<bdi dir="ltr">12,345</bdi>`},
		{"a phone number", func(p Printer) Said { return p.Figures("+966501234567") },
			"+966501234567", "\u2066+966501234567\u2069", "+966501234567", `<bdi dir="ltr">+966501234567</bdi>`},
		{"a time", func(p Printer) Said { return p.Moment(at) },
			"2026-12-01 09:00 Asia/Riyadh", "\u20662026-12-01 09:00 Asia/Riyadh\u2069", "2026-12-01 09:00 Asia/Riyadh", `<bdi dir="ltr">2026-12-01 09:00 Asia/Riyadh</bdi>`},
		{"what the platform wrote", func(p Printer) Said { return p.Foreign(`no <such> "name"`) },
			`no <such> "name"`, "\u2068no <such> \"name\"\u2069", `<bdi dir="auto">no &lt;such&gt; &#34;name&#34;</bdi>`, `<bdi dir="auto">no &lt;such&gt; &#34;name&#34;</bdi>`},
		{"what the platform wrote in Arabic", func(p Printer) Said { return p.Foreign("مشغول") },
			"\u2068مشغول\u2069", "\u2068مشغول\u2069", `<bdi dir="auto">مشغول</bdi>`, `<bdi dir="auto">مشغول</bdi>`},
		{"what would turn the rest around", func(p Printer) Said { return p.Foreign("a\u202eb\u2069c\u200f") },
			"abc", "\u2068abc\u2069", `<bdi dir="auto">abc</bdi>`, `<bdi dir="auto">abc</bdi>`},
		{"nothing", func(p Printer) Said { return p.Foreign("") }, "", "", "", ""},
		{"parameters", func(p Printer) Said {
			return p.Say("campaign.titled", "title", "حملة & <العيد>", "name", Name("eid"))
		},
			"\u2068حملة & <العيد>\u2069 (eid)", "\u2068حملة & <العيد>\u2069 (\u2066eid\u2069)",
			`<bdi dir="auto">حملة &amp; &lt;العيد&gt;</bdi> (eid)`, `<bdi dir="auto">حملة &amp; &lt;العيد&gt;</bdi> (<bdi dir="ltr">eid</bdi>)`},
		{"what was said before", func(p Printer) Said { return p.Say("notice.because", "what", p.Number(1), "reason", campaign.Pending) },
			"1: pending", "\u20661\u2069: قيد الانتظار", "1: pending", `<bdi dir="ltr">1</bdi>: قيد الانتظار`},
		{"a phase and a time", func(p Printer) Said { return p.Say("notice.because", "what", campaign.Paused, "reason", at) },
			"paused: 2026-12-01 09:00 Asia/Riyadh", "متوقفة مؤقتًا: \u20662026-12-01 09:00 Asia/Riyadh\u2069",
			"paused: 2026-12-01 09:00 Asia/Riyadh", `متوقفة مؤقتًا: <bdi dir="ltr">2026-12-01 09:00 Asia/Riyadh</bdi>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wants := []string{tt.english, tt.arabic, tt.page, tt.arabicPage}
			for i, p := range []Printer{english, arabic, page, arabicPage} {
				if got, want := tt.say(p), wants[i]; string(got) != want {
					t.Errorf("%s, HTML %v: %q, want %q", p.Language, p.HTML, got, want)
				}
			}
		})
	}
}

// Values that are said in words of their own, wherever they stand.
func TestValues(t *testing.T) {
	_, arabic, page, arabicPage := printers(time.UTC)
	arabicPage.Page = true
	arabicPage.Times = func(time.Time) Said { return "<time>" }
	load := campaign.Say(campaign.MsgLoadDied)
	for _, tt := range []struct {
		name    string
		printer Printer
		value   any
		want    string
	}{
		{"a line", arabic, Of("notice.state", "n", 3, "state", campaign.Failed), "تعذّر إرسالها \u20663\u2069"},
		{"lines", arabicPage, []Line{Of("state.failed"), Of("state.ended")}, "تعذّر إرسالها، انتهت محادثتها"},
		{"no line", arabic, Line(nil), ""},
		{"what a line is filled with is no text", page, Of("campaign.titled", "title", "{{.name}}", "name", Name("x")), `<bdi dir="auto">{{.name}}</bdi> (x)`},
		{"English of a program", arabicPage, Technical("<EOF>"), `<bdi dir="ltr" lang="en">&lt;EOF&gt;</bdi>`},
		{"English of a program in English", page, Technical("<EOF>"), "&lt;EOF&gt;"},
		{"a word that is known", arabic, Word{"ticket", "made"}, "أُنشئت"},
		{"one that is not", arabic, Word{"ticket", "lost"}, "\u2068lost\u2069"},
		{"one that is a text with places", arabic, Word{"campaign", "titled"}, "\u2068titled\u2069"},
		{"times in what others wrote", arabicPage, "<at> 2026-12-01T06:00:00Z <b>", `<bdi dir="auto">&lt;at&gt; <time> &lt;b&gt;</bdi>`},
		{"no time", arabicPage, "2026-13-45T99:99:99Z", `<bdi dir="auto">2026-13-45T99:99:99Z</bdi>`},
		{"a command", arabic, load, "توقف التحميل؛ أعد تشغيل \u2066enqueue\u2069"},
		{"no command on a page", arabicPage, load, "توقف التحميل؛ أطلق القائمة نفسها مرة أخرى"},
		{"a setting", arabic, Setting{campaign.LaunchSettings("canary")[0], "hint"}, "تنتظر البقية حتى تضغط «بدء»"},
		{"an example that needs no words", arabic, Setting{campaign.LaunchSettings("canary")[0], "example"}, "\u206850\u2069"},
	} {
		if got := tt.printer.Value(tt.value); string(got) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What a later version wrote is no markup.
func TestAnUnknownCodeIsNoMarkup(t *testing.T) {
	_, _, page, _ := printers(time.UTC)
	m := campaign.ReadMessage("\x1f[\"<b>\",\"<i>\",\"<u>\"]")
	if got := page.Message(m); strings.Contains(string(got), "<b>") || strings.Contains(string(got), "<i>") || strings.Contains(string(got), "<u>") {
		t.Errorf("%q", got)
	}
}

func TestMessagesAreSaid(t *testing.T) {
	english, arabic, _, arabicPage := printers(riyadh(t))
	told := campaign.Say(campaign.MsgGuardTold, "share", campaign.Share(2000), "contacts", 200,
		"states", []campaign.Message{
			campaign.Say(campaign.MsgStateWhy, "contacts", 3, "state", campaign.Rejected, "reasons", []campaign.Message{campaign.Text("<busy>"), campaign.Say(campaign.MsgNoZone)}),
			campaign.Say(campaign.MsgState, "contacts", 1, "state", campaign.Failed),
		}, "places", []campaign.Message{campaign.Say(campaign.MsgLines, "chunk", 0, "places", []int{2, 3})})
	for _, tt := range []struct {
		name    string
		printer Printer
		message campaign.Message
		want    string
	}{
		{"English", english, told, "more than 20% of the latest 200 contacts were not accepted: " +
			"3 rejected (<busy>; no time zone is known for its number), 1 failed; chunk 0: lines 2, 3"},
		{"Arabic", arabic, told, "لم يُقبل أكثر من \u206820%\u2069 من آخر \u2066200\u2069 جهة اتصال: " +
			"مرفوضة \u20663\u2069 (\u2068<busy>\u2069؛ المنطقة الزمنية لهذا الرقم غير معروفة)، تعذّر إرسالها \u20661\u2069؛ " +
			"المجموعة \u20660\u2069: الأسطر \u20662\u2069، \u20663\u2069"},
		{"HTML", arabicPage, campaign.Say(campaign.MsgAnswers, "answer", "302: <moved>", "advice", campaign.Say(campaign.MsgCheckURL)),
			`أجابت المنصة: <bdi dir="auto">302: &lt;moved&gt;</bdi>؛ تحقق من ` + "\u2066VELENTS_URL\u2069"},
		{"a text of the platform", arabicPage, campaign.Text("<no>"), `<bdi dir="auto">&lt;no&gt;</bdi>`},
		{"a time", arabic, campaign.Say(campaign.MsgLate, "end", time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)),
			"لم تُرسل قبل \u20662026-12-01 09:00 Asia/Riyadh\u2069، وهو موعد انتهاء الحملة"},
		{"days", arabic, campaign.Say(campaign.MsgRecent, "days", 3), "جرى التواصل معها خلال آخر \u20663\u2069 أيام"},
		{"nothing", arabic, campaign.Message{}, ""},
	} {
		if got := tt.printer.Message(tt.message); string(got) != tt.want {
			t.Errorf("%s: %q,\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestDates(t *testing.T) {
	english, arabic, _, _ := printers(riyadh(t))
	for _, tt := range []struct {
		at                              time.Time
		english, hijri, arabic, hijriAr string
	}{
		{time.Date(2027, 3, 9, 12, 0, 0, 0, time.UTC), "9 March 2027", "1 Shawwal 1448 AH", "9 مارس 2027", "1 شوال 1448 هـ"},
		{time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC), "1 December 2026", "21 Jumada al-Akhirah 1448 AH", "1 ديسمبر 2026", "21 جمادى الآخرة 1448 هـ"},
		{time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "1 January 2100", "", "1 يناير 2100", ""},
	} {
		if got, hijri := english.Date(tt.at), english.Hijri(tt.at); string(got) != tt.english || string(hijri) != tt.hijri {
			t.Errorf("%v is %q, %q, want %q, %q", tt.at, got, hijri, tt.english, tt.hijri)
		}
		if got, hijri := arabic.Date(tt.at), arabic.Hijri(tt.at); string(got) != tt.arabic || string(hijri) != tt.hijriAr {
			t.Errorf("%v is %q, %q, want %q, %q", tt.at, got, hijri, tt.arabic, tt.hijriAr)
		}
	}
	if got := (Printer{Zone: time.Local}).zoneName(time.Now()); got == "Local" || got == "" {
		t.Errorf("the zone of this machine is named %q", got)
	}
	if got := (Printer{}).Moment(time.Unix(0, 0)); got != "1970-01-01 00:00 UTC" {
		t.Errorf("without a zone the time is %q", got)
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		wishes []string
		want   Language
	}{
		{nil, English},
		{[]string{""}, English},
		{[]string{"ar"}, Arabic},
		{[]string{"", "", "ar-EG,ar;q=0.9,en;q=0.8"}, Arabic},
		{[]string{"en-GB,en;q=0.9,ar;q=0.8"}, English},
		{[]string{"fr-FR,ar;q=0.5"}, Arabic},
		{[]string{"fr"}, English},
		{[]string{"en", "ar"}, English},
		{[]string{"xx", "ar"}, Arabic},
		{[]string{"; DROP", "ar-SA"}, Arabic},
		{[]string{"*"}, English},
	} {
		if got := Choose(tt.wishes...); got != tt.want {
			t.Errorf("%q choose %s, want %s", tt.wishes, got, tt.want)
		}
	}
	if l, err := ParseLanguage("ar"); l != Arabic || err != nil || l.Dir() != "rtl" || l.Own() != "العربية" {
		t.Errorf("ar is %q, %v", l, err)
	}
	if _, err := ParseLanguage("fr"); err == nil || English.Dir() != "ltr" {
		t.Errorf("fr: %v", err)
	}
}

// Who acts is told in the reader's language, and no name runs into the words around it.
func TestWhoActsIsSaid(t *testing.T) {
	for who, want := range map[string][2]string{
		"worker W1":                             {"worker W1", "برنامج الإرسال \u2068W1\u2069"},
		campaign.ByStopWord:                     {"an answer such as STOP", "رد مثل «توقف»"},
		campaign.OnPages(""):                    {"the pages", "صفحات الحملات"},
		campaign.OnPages("sara"):                {"sara on the pages", "\u2068sara\u2069 من صفحات الحملات"},
		campaign.Claimed("sara", "r@v"):         {"sara (as claimed by r@v)", "\u2068sara\u2069 (وفق ما ذكره \u2068r@v\u2069)"},
		"deploy@host, " + campaign.OnPages("x"): {"deploy@host, x on the pages", "\u2068deploy@host\u2069، \u2068x\u2069 من صفحات الحملات"},
	} {
		for i, l := range []Language{English, Arabic} {
			p := Printer{Language: l}
			if got := p.Value(Who(who)); string(got) != want[i] {
				t.Errorf("%s in %s: %q, want %q", who, l, got, want[i])
			}
			said := p.Message(campaign.Say(campaign.MsgUnapproved, "makers", who, "campaign", "c"))
			if !strings.Contains(string(said), want[i]) {
				t.Errorf("the message in %s says %q, want %q in it", l, said, want[i])
			}
		}
	}
	loaded := campaign.Say(campaign.MsgLoaded, "file", "contact file eid.csv", "contacts", 3, "rows", 4)
	if got := (Printer{Language: Arabic}).Message(loaded); !strings.Contains(string(got), "ملف جهات الاتصال \u2068eid.csv\u2069") {
		t.Errorf("%q", got)
	}
}
