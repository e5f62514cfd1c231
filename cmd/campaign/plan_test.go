package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/report"
)

func TestPlan(t *testing.T) {
	f := newFixture(t)
	f.sale()
	got := f.run("plan", "sale", "--rate", "1/60s")
	text := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d AST`).ReplaceAllString(got.stdout, "TIME")
	want := `sale is running, 3 contacts are pending
  hours     at any time
  quota     1/60s, by --rate: no worker knows it
  requests  2
  begins    now
  ends      TIME, in about 2 minutes
`
	if got.code != 0 || text != want {
		t.Errorf("exit %d, %s%s\nwant %s", got.code, text, got.stderr, want)
	}
	if got := f.run("plan", "sale", "--json"); got.code != 0 || strings.Count(got.stdout, "\n") != 1 || !strings.Contains(got.stdout, `"calls":2,"begins":`) {
		t.Errorf("%+v", got)
	}
	if got := f.run("plan", "nobody"); got.code != 1 || !strings.HasPrefix(got.stderr, "campaign: ") {
		t.Errorf("%+v", got)
	}
	if got := f.run("plan", "sale", "--rate", "fast"); got.code != 2 {
		t.Errorf("%+v", got)
	}
}

func TestPlanText(t *testing.T) {
	now := time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC)
	text := planText(report.Foresight{
		Campaign: "spring", State: "running", Pending: 1010, Hours: "09:00-21:00 in each contact's own time zone",
		Rate: "30/60s", Measured: true, FinishBy: now.Add(2 * time.Hour), Now: now,
		Plan: plan.Plan{
			Calls: 5, Begins: now, Ends: now.Add(time.Hour), Held: 10, Missed: 200,
			Steps: []plan.Step{
				{Name: "Asia/Dubai", Contacts: 400, Opens: now, Done: now.Add(2 * time.Second)},
				{Name: "Asia/Riyadh", Contacts: 600, Opens: now.Add(time.Hour), Missed: 200},
				{Name: "no time zone is known for its number", Contacts: 10},
			},
			Days: []plan.Day{{Date: "2026-11-30", Name: "Asia/Dubai", Contacts: 400}, {Date: "2026-12-01", Name: "Asia/Riyadh", Contacts: 400}},
		},
	})
	want := `spring is running, 1,010 contacts are pending
  hours     09:00-21:00 in each contact's own time zone
  quota     30/60s, as a worker sees it
  requests  5
  begins    now
  ends      2026-11-30 09:00 AST, in about 60 minutes
  missed    200 contacts are not sent by 2026-11-30 10:00 AST
  held      10 contacts wait for a person

ZONE                                  CONTACTS  FROM                                       UNTIL
Asia/Dubai                                 400  now                                        2026-11-30 08:00 AST, in about 2 seconds
Asia/Riyadh                                600  2026-11-30 09:00 AST, in about 60 minutes  200 missed
no time zone is known for its number        10  never

DAY         CONTACTS  ZONE
2026-11-30       400  Asia/Dubai
2026-12-01       400  Asia/Riyadh
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestTimeLeftIsWhatWasForetold(t *testing.T) {
	var p pace
	if got := p.text(90 * time.Second); got != "about 2 minutes left" {
		t.Errorf("%q", got)
	}
	for i, open := range []int{100, 90, 80, 70} {
		p.add(at.Add(time.Duration(i)*2*time.Second), open)
	}
	if got := p.text(time.Hour); got != "300/min, about 60 minutes left" {
		t.Errorf("%q", got)
	}
	o := report.Overview{ETA: at.Add(-time.Minute)}
	if untilETA(o, at) != time.Second || untilETA(report.Overview{}, at) != 0 {
		t.Error("what is due by now is due in a second")
	}
}
