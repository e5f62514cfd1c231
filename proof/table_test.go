package proof

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
)

var update = flag.Bool("update", false, "write table.pml anew")

// causes are the causes that the models use, by the names they have there.
var causes = []struct {
	name  string
	cause campaign.Cause
}{
	{"Send", campaign.Send}, {"Unsent", campaign.Unsent}, {"Retry", campaign.Retry}, {"Fail", campaign.Fail},
	{"Reject", campaign.Reject}, {"Lose", campaign.Lose}, {"Accept", campaign.Accept}, {"Start", campaign.Start},
	{"End", campaign.End}, {"Cancel", campaign.Cancel}, {"Rerun", campaign.Rerun},
	{"ConfirmSent", campaign.ConfirmSent}, {"ConfirmNever", campaign.ConfirmNever},
}

// The models take their table of transitions from Record.Next.
func TestTableIsThatOfTheCode(t *testing.T) {
	want := table(t)
	if *update {
		if err := os.WriteFile("table.pml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("table.pml")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("table.pml is not the table of campaign.Record.Next: run go test ./proof -update, and check the models again")
	}
}

func table(t *testing.T) string {
	var b strings.Builder
	b.WriteString("/* The table of transitions. Generated from campaign.Record.Next: go test ./proof -update */\n\n")
	for _, s := range campaign.States() {
		fmt.Fprintf(&b, "#define %s %d\n", title(s), s)
	}
	b.WriteString("\n")
	for i, c := range causes {
		fmt.Fprintf(&b, "#define %s %d\n", c.name, i)
	}
	b.WriteString("\ntypedef Record { byte state; byte attempts; byte tries; bool doubt };\n\n")
	b.WriteString("/* next moves record r by cause c; d: the move is in doubt. moves says whether it was allowed. */\n")
	b.WriteString("inline next(r, c, d) {\n  moves = true;\n  if\n")
	for _, c := range causes {
		for _, s := range campaign.States() {
			if row := rowOf(t, c.name, c.cause, s); row != "" {
				fmt.Fprintf(&b, "  :: c == %s && r.state == %s%s\n", c.name, title(s), row)
			}
		}
	}
	b.WriteString("  :: else -> moves = false\n  fi\n}\n")
	return b.String()
}

func title(s campaign.State) string {
	name := s.String()
	return strings.ToUpper(name[:1]) + name[1:]
}

// rowOf is the rest of a row: the condition on attempts and the effect, as they are for
// every record in that state. It is empty when the cause is never allowed.
func rowOf(t *testing.T, name string, cause campaign.Cause, s campaign.State) string {
	type sample struct {
		r, next campaign.Record
		doubt   bool
	}
	var allowed []sample
	always, onlySent := true, true
	for n := range 64 {
		r := campaign.Record{State: s, Attempts: uint8(n % 4), Tries: uint8(n / 4 % 4), InDoubt: n&16 != 0}
		m := campaign.Move{Cause: cause, InDoubt: n&32 != 0, At: time.Unix(1_000_000, 0)}
		next, ok := r.Next(m)
		if ok {
			allowed = append(allowed, sample{r, next, m.InDoubt})
		}
		always = always && ok
		onlySent = onlySent && ok == (r.Attempts > 0)
	}
	if len(allowed) == 0 {
		return ""
	}
	condition := " -> "
	if !always {
		if !onlySent {
			t.Fatalf("%s from %v is allowed for some records: the table cannot say which", name, s)
		}
		condition = " && r.attempts > 0 -> "
	}
	effect := func(field string, effects map[string]func(sample) bool) string {
		for _, text := range []string{"", "++", "--", " = 0", " = false", " = true", " = (r." + field + " || d)"} {
			fits := effects[text]
			for i := 0; fits != nil && i < len(allowed); i++ {
				if !fits(allowed[i]) {
					fits = nil
				}
			}
			if fits == nil {
				continue
			}
			if text == "" {
				return ""
			}
			if text == "--" { // a count stays at 0
				return fmt.Sprintf("; r.%[1]s = (r.%[1]s > 0 -> r.%[1]s - 1 : 0)", field)
			}
			return "; r." + field + text
		}
		t.Fatalf("%s from %v: no known effect on %s", name, s, field)
		return ""
	}
	count := func(field string, of func(campaign.Record) uint8) string {
		return effect(field, map[string]func(sample) bool{
			"":     func(x sample) bool { return of(x.next) == of(x.r) },
			"++":   func(x sample) bool { return of(x.next) == of(x.r)+1 },
			"--":   func(x sample) bool { return of(x.next) == max(of(x.r), 1)-1 },
			" = 0": func(x sample) bool { return of(x.next) == 0 },
		})
	}
	to := allowed[0].next.State
	for _, x := range allowed {
		if x.next.State != to {
			t.Fatalf("%s from %v leads to several states", name, s)
		}
	}
	return condition + "r.state = " + title(to) +
		count("attempts", func(r campaign.Record) uint8 { return r.Attempts }) +
		count("tries", func(r campaign.Record) uint8 { return r.Tries }) +
		effect("doubt", map[string]func(sample) bool{
			"":                  func(x sample) bool { return x.next.InDoubt == x.r.InDoubt },
			" = false":          func(x sample) bool { return !x.next.InDoubt },
			" = true":           func(x sample) bool { return x.next.InDoubt },
			" = (r.doubt || d)": func(x sample) bool { return x.next.InDoubt == (x.r.InDoubt || x.doubt) },
		})
}
