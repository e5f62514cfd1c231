package handout

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/internal/untranslated"
)

// account is of a campaign with everything in it.
func account(t *testing.T) report.Account {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Riyadh")
	if err != nil {
		t.Fatal(err)
	}
	rate := report.Rate{Accepted: 800, Answered: 300, Unanswered: 400}
	a := report.Account{Totals: report.Totals{
		Campaign: "eid-2027", Title: "<حملة> العيد", Agent: "sales-ksa", State: campaign.Finished, At: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC),
		Contacts: 1234, Accepted: 800, Answered: 300, Unanswered: 400, Known: 750, OptOuts: 17,
		States:  report.States{"accepted": 100, "ended": 700, "rejected": 400, "failed": 30, "unconfirmed": 3, "canceled": 1},
		Tickets: map[campaign.TicketState]int{campaign.TicketMade: 12, campaign.TicketDue: 5},
		Over: []report.Stretch{
			{From: time.Date(2026, 11, 28, 0, 0, 0, 0, zone), Rate: rate},
			{From: time.Date(2026, 11, 29, 0, 0, 0, 0, zone)},
		},
		ByHour:   []report.HourRate{{Hour: 9, Rate: rate}},
		Attempts: []report.AttemptRate{{Attempt: 1, Rate: rate}, {Attempt: report.MaxAttemptsTold, Rate: rate}},
	},
		Learned: []report.Learned{
			{Key: "intent", Contacts: 700, Values: []report.Value{{Value: "<b>yes</b>", Contacts: 400}, {Value: "true", Contacts: 200}}, Rare: 100},
			{Key: "name", Contacts: 2, Rare: 2},
		},
	}
	return a.WithZone(zone)
}

func written(t *testing.T, a report.Account, l texts.Language, links ...Link) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, a, l, links...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePageSaysTheNumbers(t *testing.T) {
	a := account(t)
	for l, wants := range map[texts.Language][]string{
		texts.English: {
			`<html lang="en" dir="ltr">`, `<bdi dir="auto">&lt;حملة&gt; العيد</bdi>`, "Campaign eid-2027 · Agent sales-ksa · State: finished",
			"As of 30 November 2026 (20 Jumada al-Akhirah 1448 AH), 12:00 Asia/Riyadh", "300 of 800 contacts that the platform accepted have answered (37.5 %)",
			"<dt>Contacts</dt><dd>1,234</dd>", "<dt>Accepted by the platform</dt><dd>800</dd>", "<dt>Answered</dt><dd>300</dd>", "<dt>Ended without an answer</dt><dd>400</dd>",
			"<dt>Asked not to be contacted again</dt><dd>17</dd>", "<dt>Support tickets</dt><dd>12</dd>", "not every conversation has ended",
			`<bdi dir="auto">&lt;b&gt;yes&lt;/b&gt;</bdi>`, "Yes</th>", "2 contacts; the answers are free text", "Attempt 5 and later", "2026-11-28",
		},
		texts.Arabic: {
			`<html lang="ar" dir="rtl">`, `الحملة <bdi dir="ltr">eid-2027</bdi>`, `(20 جمادى الآخرة 1448 هـ)`, `<bdi dir="ltr">12:00 Asia/Riyadh</bdi>`,
			`وصلت ردود من <bdi dir="ltr">300</bdi> من أصل <bdi dir="ltr">800</bdi>`, `<dt>جهات الاتصال</dt><dd><bdi dir="ltr">1,234</bdi></dd>`,
			`transform="translate(1000 0) scale(-1 1)"`, "نعم</th>", `جهتا اتصال (<bdi dir="ltr">2</bdi>)`, `<bdi dir="ltr">37.5 %</bdi>`,
		},
	} {
		page := written(t, a, l)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s: nothing says %s", l, want)
			}
		}
		if strings.Contains(page, "<no value>") || regexp.MustCompile(`>[a-z]+\.[a-z.]+<`).MatchString(page) {
			t.Errorf("%s: a text lacks:\n%s", l, page)
		}
	}
}

// The page loads nothing and runs nothing, and its policy allows its own style alone.
func TestThePageIsOneFile(t *testing.T) {
	page := written(t, account(t), texts.Arabic)
	for _, word := range []string{"<script", "<link", "<img", "src=", "href=", "@import", "url(", " style=", "javascript:"} {
		if strings.Contains(page, word) {
			t.Errorf("the page has %s", word)
		}
	}
	own := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	sum := sha256.Sum256([]byte(own[1]))
	if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(Policy, "style-src 'sha256-"+hash+"'") || !strings.Contains(Policy, "default-src 'none'") {
		t.Errorf("the policy is %s, the style has %s", Policy, hash)
	}
	linked := written(t, account(t), texts.English, Link{Address: "/campaigns/eid-2027/report?lang=ar", Text: "العربية", Language: texts.Arabic})
	if want := `<a href="/campaigns/eid-2027/report?lang=ar" lang="ar" hreflang="ar">العربية</a>`; !strings.Contains(linked, want) {
		t.Errorf("no link %s", want)
	}
}

// What is not known is not told as a number.
func TestThePageSaysWhatIsNotKnown(t *testing.T) {
	for _, tt := range []struct {
		name      string
		edit      func(*report.Account)
		want, not string
	}{
		{"no events", func(a *report.Account) {
			a.Known, a.Answered, a.Unanswered, a.Learned = 0, 0, 0, nil
		}, "nothing is known of answers", "<dt>Answered</dt>"},
		{"purged", func(a *report.Account) {
			a.Known, a.Answered, a.Unanswered, a.Learned, a.Over, a.ByHour, a.Attempts = 0, 0, 0, nil, nil, nil, nil
			a.PurgedAt = time.Date(2026, 12, 31, 21, 30, 0, 0, time.UTC)
		}, "was deleted on 1 January 2027", "Over time"},
		{"nothing sent", func(a *report.Account) {
			*a = report.Account{Totals: report.Totals{Campaign: "new", State: campaign.Running}}.WithZone(time.UTC)
		}, "accepted no contact yet", "Share"},
		{"running", func(a *report.Account) { a.State = campaign.Running }, "The campaign is not over", "not every conversation"},
	} {
		a := account(t)
		tt.edit(&a)
		page := written(t, a, texts.English)
		if !strings.Contains(page, tt.want) || strings.Contains(page, tt.not) {
			t.Errorf("%s: the page must say %q and not %q:\n%s", tt.name, tt.want, tt.not, page)
		}
	}
}

func TestPartsAddUp(t *testing.T) {
	s := sheet{Account: account(t)}
	sum, width := 0, 0.0
	for _, p := range s.Parts() {
		sum, width = sum+p.Contacts, width+p.Width
	}
	if sum != s.Contacts || width < 999.99 || width > 1000.01 {
		t.Errorf("%d of %d contacts, %f wide", sum, s.Contacts, width)
	}
}

func TestEveryWordIsFromTheCatalogue(t *testing.T) {
	for _, words := range untranslated.Words(markup) {
		t.Errorf("the template itself says %q", words)
	}
}

// What stands below the chart of the time is where it begins and where it ends.
func TestTheChartOfTheTimeSaysWhereItEnds(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	hour, day := func(at time.Time) time.Time { return at.Add(time.Hour) }, func(at time.Time) time.Time { return at.AddDate(0, 0, 1) }
	week := func(at time.Time) time.Time { return at.AddDate(0, 0, 7) }
	for _, tt := range []struct {
		name  string
		from  time.Time
		n     int
		next  func(time.Time) time.Time
		ends  [2]string
		label string // of the last
	}{
		{"one hour", time.Date(2026, 11, 30, 9, 0, 0, 0, berlin), 1, hour, [2]string{"2026-11-30 09:00", "2026-11-30 10:00"}, "2026-11-30 09:00"},
		{"hours over midnight", time.Date(2026, 11, 30, 22, 0, 0, 0, berlin), 3, hour, [2]string{"2026-11-30 22:00", "2026-12-01 01:00"}, "2026-12-01 00:00"},
		{"an hour that comes twice", time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), 2, hour, [2]string{"2026-10-25 02:00 CEST", "2026-10-25 03:00"}, "2026-10-25 02:00 CET"},
		{"days, one of 25 hours the first", time.Date(2026, 10, 25, 0, 0, 0, 0, berlin), 3, day, [2]string{"2026-10-25", "2026-10-27"}, "2026-10-27"},
		{"days, one of 23 hours the last", time.Date(2026, 3, 26, 0, 0, 0, 0, berlin), 4, day, [2]string{"2026-03-26", "2026-03-29"}, "2026-03-29"},
		{"days, one of 23 hours the first", time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), 3, day, [2]string{"2026-03-29", "2026-03-31"}, "2026-03-31"},
		{"weeks", time.Date(2026, 9, 1, 0, 0, 0, 0, berlin), 10, week, [2]string{"2026-09-01", "2026-11-09"}, "2026-11-03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := account(t).WithZone(berlin)
			a.Over = nil
			for at := tt.from; len(a.Over) < tt.n; at = tt.next(at) {
				a.Over = append(a.Over, report.Stretch{From: at, Rate: report.Rate{Accepted: 3}})
			}
			c := newSheet(a, texts.English).Time()
			if string(c.Ends[0]) != tt.ends[0] || string(c.Ends[1]) != tt.ends[1] {
				t.Errorf("from %s to %s, want %v", c.Ends[0], c.Ends[1], tt.ends)
			}
			last := c.Columns[tt.n-1]
			if string(last.Label) != tt.label {
				t.Errorf("the last is of %s, want %s", last.Label, tt.label)
			}
			if margin := c.Columns[0].X; last.Width > widest || last.X+last.Width+margin < 999.9 {
				t.Errorf("columns from %f, the last to %f", margin, last.X+last.Width)
			}
		})
	}
}

// Who answers at a later attempt had the earlier ones, too: the first would look as if all
// had answered it.
func TestTheRateOfAnAttemptIsOfAllThatHadIt(t *testing.T) {
	a := account(t)
	a.Attempts = []report.AttemptRate{{Attempt: 1, Rate: report.Rate{Accepted: 60, Answered: 60}}, {Attempt: 3, Rate: report.Rate{Accepted: 40, Answered: 10}}}
	got := newSheet(a, texts.English).Tries()
	if got[0].Accepted != 100 || got[0].Answered != 60 || got[1].Accepted != 40 || got[1].Answered != 10 || a.Attempts[0].Accepted != 60 {
		t.Errorf("%+v of %+v", got, a.Attempts)
	}
}

func TestSharesOfAnswersAddUp(t *testing.T) {
	a := account(t)
	a.Learned = []report.Learned{{Key: "intent", Contacts: 3, Values: []report.Value{{Value: "a", Contacts: 1}, {Value: "b", Contacts: 1}}, Rare: 1}}
	of := newSheet(a, texts.English).Facts()[0]
	if got := []string{string(of.Lines[0].Share), string(of.Lines[1].Share), string(of.RareShare)}; !slices.Equal(got, []string{"33.3 %", "33.3 %", "33.4 %"}) {
		t.Errorf("%q", got)
	}
}
