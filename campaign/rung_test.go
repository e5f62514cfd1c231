package campaign

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestLadders(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"ended.no_answer:2h,1d", "ended.no_answer:2h,1d"},
		{" state = failed : 90m", "state=failed:1h30m"},
		{"extraction.when=Mon, 9:30:24h", "extraction.when=Mon, 9:30:1d"},
		{"column.vip!=yes:1s", "column.vip!=yes:1s"},
		{"ended.no_answer", `"ended.no_answer": want RULE:DELAY such as ended.no_answer:2h,1d`},
		{"ended:2h", `"ended": want state=STATE`},
		{"ended.no_answer:", `"ended.no_answer:": delay ""`},
		{"ended.no_answer:2h,", `"ended.no_answer:2h,": delay ""`},
		{"ended.no_answer:-2d", `delay "-2d": want a time from 1s to 90d`},
		{"ended.no_answer:91d", `delay "91d"`},
		{"ended.no_answer:99999999999999999999d", `delay "99999999999999999999d"`},
		{"state=unconfirmed:2h", "state=unconfirmed: want one of accepted, rejected, failed, started, ended"},
		{"state=canceled:2h", "state=canceled: want one of"},
		{"state=failed:" + strings.Repeat("1h,", 20) + "1h", "state=failed: want 1 to 20 delays"},
	} {
		l, err := ParseLadder(tt.text)
		got := l.String()
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != tt.want || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
		var again Ladder
		if err == nil && (again.UnmarshalText([]byte(got)) != nil || again.String() != got) {
			t.Errorf("%s is read back as %s", got, again)
		}
	}
}

func TestLaddersAsSettings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"two flags", []string{"ended.no_answer:2h", "state=failed:1h"}, "ended.no_answer:2h; state=failed:1h"},
		{"two in one field", []string{"ended.no_answer:2h,1d; state=failed:1h\n"}, "ended.no_answer:2h,1d; state=failed:1h"},
		{"a value with a semicolon", []string{"extraction.a=b; c:1h"}, "extraction.a=b; c:1h"},
		{"a value that looks like two", []string{"extraction.a=b:1h; state=failed:2h"}, "extraction.a=b:1h; state=failed:2h"},
		{"none", []string{"none"}, ""},
		{"too many", strings.Split(strings.Repeat("state=failed:1h ", 11), " ")[:11], "--then: want at most 10"},
	} {
		s := Settings{FollowUp: FollowUp{Then: []Ladder{{Rule: Rule{about: aboutState, value: "ended"}}}}}
		got := ""
		if err := s.Apply(LaunchSettings("then"), Given{"then": tt.texts}); err != nil {
			got = err.Error()
		} else {
			got = LaunchSettings("then")[0].text(&s)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// then are settings with rungs.
func then(t *testing.T, texts ...string) (s Settings) {
	t.Helper()
	if err := s.Apply(LaunchSettings("then"), Given{"then": texts}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNextRung(t *testing.T) {
	changed := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ended := Outcome{Started: changed, Ended: changed}
	said := ended
	said.Said = true
	record := func(state State, edit ...func(*Record)) Record {
		r := Record{State: state, Attempts: 1, Tries: 1, Changed: uint32(changed.Unix())}
		for _, e := range edit {
			e(&r)
		}
		return r
	}
	again := func(r *Record) { r.Rung, r.Attempts = 1, 2 }
	noAnswer := []string{"ended.no_answer:2h,1d"}
	after := func(d time.Duration) string { return changed.Add(d).Format(time.RFC3339) }
	for _, tt := range []struct {
		name  string
		then  []string
		facts Facts
		edit  func(*Settings)
		want  string
	}{
		{"no answer", noAnswer, Facts{Record: record(Ended), Outcome: ended}, nil, "1 " + after(2*time.Hour)},
		{"an answer", noAnswer, Facts{Record: record(Ended), Outcome: said}, nil, ""},
		{"no answer to the first rung", noAnswer, Facts{Record: record(Ended, again), Outcome: Outcome{Started: changed, Rung: 1}}, nil, "2 " + after(24*time.Hour)},
		{"nothing known of the first rung yet", noAnswer, Facts{Record: record(Accepted, again), Outcome: ended}, nil, "2 open " + after(72*time.Hour)},
		{"ended, and known only of the conversation before", noAnswer, Facts{Record: record(Ended, again), Outcome: ended}, nil, ""},
		{"no answer to the last rung", noAnswer, Facts{Record: record(Ended, func(r *Record) { r.Rung, r.Attempts = 2, 3 }), Outcome: Outcome{Started: changed, Rung: 2}}, nil, ""},
		{"without an event", noAnswer, Facts{Record: record(Accepted)}, nil, "1 open " + after(72*time.Hour)},
		{"without an event, for another time", noAnswer, Facts{Record: record(Started)}, func(s *Settings) { s.ThenWithin = time.Hour }, "1 open " + after(time.Hour)},
		{"told too late", noAnswer, Facts{Record: record(Ended), Outcome: Outcome{Started: changed, Late: true}}, nil, ""},
		{"the conversation before was told too late", noAnswer, Facts{Record: record(Accepted, again), Outcome: Outcome{Started: changed, Late: true}}, nil, "2 open " + after(72*time.Hour)},
		{"opted out", noAnswer, Facts{Record: record(Ended), Outcome: Outcome{Started: changed, OptedOut: true}}, nil, ""},
		{"erased", noAnswer, Facts{Record: record(Ended, func(r *Record) { r.Erased = true }), Outcome: ended}, nil, ""},
		{"attempts used up by retries", noAnswer, Facts{Record: record(Ended, func(r *Record) { r.Attempts = 3 }), Outcome: ended}, nil, ""},
		{"as many attempts as there are said to be", noAnswer, Facts{Record: record(Ended), Outcome: ended}, func(s *Settings) { s.MaxContactAttempts = 1 }, ""},
		{"more attempts than the launch and the rungs", noAnswer, Facts{Record: record(Ended, func(r *Record) { r.Attempts = 9 }), Outcome: ended}, func(s *Settings) { s.MaxContactAttempts = 10 }, "1 " + after(2*time.Hour)},
		{"after it is to finish", noAnswer, Facts{Record: record(Ended), Outcome: ended}, func(s *Settings) { s.FinishBy = changed.Add(2 * time.Hour) }, ""},
		{"just before it is to finish", noAnswer, Facts{Record: record(Ended), Outcome: ended}, func(s *Settings) { s.FinishBy = changed.Add(2*time.Hour + 1) }, "1 " + after(2*time.Hour)},
		{"a ladder beyond its finish, and one that may ask before", []string{"state=accepted:3d", "ended.no_answer:2h"}, Facts{Record: record(Accepted)}, func(s *Settings) { s.FinishBy = changed.Add(24 * time.Hour) }, "1 open " + after(24*time.Hour)},
		{"an outcome that the record has yet to follow", []string{"state=accepted:1h", "ended.answered:1h"}, Facts{Record: record(Accepted), Outcome: said}, nil, "1 open " + after(72*time.Hour)},
		{"what the conversation before was about", []string{"extraction.call=yes:1h,2h"}, Facts{Record: record(Ended, again), Outcome: Outcome{Started: changed, Extraction: json.RawMessage(`{"call":"yes"}`)}}, nil, "2 open " + after(72*time.Hour)},
		{"in the middle of a talk", []string{"extraction.call=yes:1h"}, Facts{Record: record(Started), Outcome: Outcome{Started: changed, Extraction: json.RawMessage(`{"call":"yes"}`)}}, nil, "1 open " + after(72*time.Hour)},
		{"failed", []string{"state=failed:1h"}, Facts{Record: record(Failed)}, nil, "1 " + after(time.Hour)},
		{"failed in doubt", []string{"state=failed:1h"}, Facts{Record: record(Failed, func(r *Record) { r.InDoubt = true })}, nil, ""},
		{"accepted does not become failed", []string{"state=failed:1h"}, Facts{Record: record(Accepted)}, nil, ""},
		{"accepted may become ended", []string{"state=ended:1h"}, Facts{Record: record(Accepted)}, nil, "1 open " + after(72*time.Hour)},
		{"unconfirmed", []string{"state!=ended:1h"}, Facts{Record: record(Unconfirmed)}, nil, ""},
		{"canceled", []string{"state!=ended:1h"}, Facts{Record: record(Canceled)}, nil, ""},
		{"pending", []string{"state!=ended:1h"}, Facts{Record: record(Pending)}, nil, ""},
		{"refused, where that is final", []string{"state=rejected:1h"}, Facts{Record: record(Rejected)}, func(s *Settings) { s.Limits.RefusalIsFinal = true }, ""},
		{"refused", []string{"state=rejected:1h"}, Facts{Record: record(Rejected)}, nil, "1 " + after(time.Hour)},
		{"the first that is true counts", []string{"state=failed:3h", "ended.no_answer:2h", "state=ended:1h"}, Facts{Record: record(Ended), Outcome: ended}, nil, "1 " + after(2*time.Hour)},
		{"and that has as many times", []string{"ended.no_answer:2h", "state=ended:1h,5h"}, Facts{Record: record(Ended, again), Outcome: Outcome{Started: changed, Rung: 1}}, nil, "2 " + after(5*time.Hour)},
		{"what it learned may still come", []string{"extraction.call=yes:1h"}, Facts{Record: record(Ended), Outcome: ended}, nil, "1 open " + after(72*time.Hour)},
		{"what it learned is known", []string{"extraction.call=yes:1h"}, Facts{Record: record(Ended), Outcome: Outcome{Started: changed, ExtractedAt: Standing{Final: true}}}, nil, ""},
		{"what was said may be told after the end", []string{"ended.answered:1h"}, Facts{Record: record(Ended), Outcome: ended}, nil, "1 open " + after(72*time.Hour)},
		{"no rungs", nil, Facts{Record: record(Ended), Outcome: ended}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := then(t, tt.then...)
			if tt.edit != nil {
				tt.edit(&s)
			}
			got := ""
			if next, is := s.NextRung(tt.facts); is {
				got = string('0'+rune(next.Number)) + map[bool]string{true: " open "}[next.Open] + map[bool]string{false: " "}[next.Open] + next.At.Format(time.RFC3339)
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// States must name every state from which NextRung has a rung: others are never looked at.
func TestStatesWithRungs(t *testing.T) {
	for _, text := range []string{
		"ended.no_answer:1h", "ended.answered:1h", "state=failed:1h", "state=accepted:1h", "state=started:1h", "state=ended:1h", "state=rejected:1h",
		"state!=ended:1h", "state!=failed:1h", "reason=busy:1h", "extraction.a=b:1h", "extraction.a!=b:1h", "column.a=b:1h",
	} {
		s := then(t, text)
		for _, state := range States() {
			is := false
			for _, o := range []Outcome{{}, {Started: time.Unix(1, 0)}, {Started: time.Unix(1, 0), Said: true, Extraction: []byte(`{"a":"b"}`)}} {
				for _, reason := range []Message{{}, Text("busy")} {
					for _, cell := range []string{"", "b"} {
						f := Facts{Record: Record{State: state, Attempts: 1}, Outcome: o, Reason: reason, Cell: func(string) string { return cell }}
						_, has := s.NextRung(f)
						is = is || has
					}
				}
			}
			listed := false
			for _, other := range s.FollowUp.States() {
				listed = listed || other == state
			}
			if is && !listed {
				t.Errorf("%s: contacts that are %s have a rung and are not looked at", text, state)
			}
		}
	}
	if got := then(t, "state=failed:1h").FollowUp.States(); len(got) != 1 || got[0] != Failed {
		t.Errorf("only the failed: %v", got)
	}
}

func TestRungsNeedEvents(t *testing.T) {
	s, _ := fullSettings(t)
	s.Safety, s.WebhookURL, s.Unrecorded, s.Mode = Safety{}, "", false, Batch
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "then ended.no_answer:2h,1d goes by the platform's events: launch it with WEBHOOK_URL") {
		t.Error(err)
	}
	for text, want := range map[string]string{"state=failed:1h": "", "column.nowhere=x:1h": "rule column.nowhere=x: there is no such column"} {
		s.Then = then(t, text).Then
		if err := s.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEvidenceTakesARungBack(t *testing.T) {
	waits := Record{State: Pending, Attempts: 1, Rung: 2, Run: 1}
	for _, tt := range []struct {
		name string
		edit func(*Record, *Move)
		want Record
	}{
		{"before its request", func(*Record, *Move) {}, Record{State: Ended, Attempts: 1, Rung: 1, Run: 1}},
		{"of this rung", func(_ *Record, m *Move) { m.Rung = 2 }, Record{State: Ended, Attempts: 1, Rung: 1, Run: 1}},
		{"of another rung", func(_ *Record, m *Move) { m.Rung = 1 }, waits},
		{"after a try of it", func(r *Record, m *Move) { r.Tries, m.Rung = 1, 2 }, Record{State: Ended, Attempts: 1, Tries: 1, Rung: 2, Run: 1}},
		{"while its request is under way", func(r *Record, m *Move) { r.State, m.Rung = Sending, 2 }, Record{State: Sending, Attempts: 1, Rung: 2, Run: 1}},
	} {
		r, m := waits, Move{Cause: End, At: time.Unix(0, 0)}
		tt.edit(&r, &m)
		if got, _ := r.Next(m); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
