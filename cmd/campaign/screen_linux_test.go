package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/terminal"
)

// What a person has said moves no cursor of who looks at it.
func TestAPersonOnATerminalIsPrintable(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	_, err := f.KeepUnmatched(t.Context(), "sale", []store.Unmatched{{
		Event: store.Event{Campaign: "sale", At: time.Now(), Body: []byte(`{"conversation":{"phone":"+966501000000"},"x":"` + "\u009b2J\u202e" + `"}`)},
		Why:   campaign.Say(campaign.MsgNoContact),
	}})
	if err != nil {
		t.Fatal(err)
	}
	tty, shown := terminal.Open(t, "")
	err = run(t.Context(), []string{"person", "+966501000000", "-o", "-"}, strings.NewReader(""), tty, os.Stderr, f.getenv)
	if text := shown(); err != nil || !strings.Contains(text, `\u009b2J\u202e`) || strings.ContainsAny(text, "\u009b\u202e") {
		t.Errorf("%v: %q", err, text)
	}
}

// readyFor loads a campaign with which a command has something to do.
func (f fixture) readyFor(command string) {
	f.load("sale", 1)
	switch verb, _, _ := strings.Cut(command, " "); verb {
	case "resolve":
		f.move("sale", 0, "no answer", campaign.Send, campaign.Lose)
	case "resume":
		lost := campaign.Say(campaign.MsgLostWrites, "chunk", 0, "worker", "w", "campaign", "sale")
		if _, paused, err := f.SetPhase(f.T.Context(), "sale", campaign.Paused, lost, campaign.Running); !paused {
			f.T.Fatal(err)
		}
	}
}

func TestWhatCannotBeUndoneIsAskedForOnATerminal(t *testing.T) {
	for _, tt := range []struct {
		args, word, asks string
		done             string // on stdout
	}{
		{"cancel sale", "sale", "Type sale to cancel it: ", "sale is canceled"},
		{"resolve sale --accepted", "sale", "Type sale to resolve its contacts: ", "are accepted now"},
		{"resolve sale --not-sent", "sale", "Type sale to resolve its contacts: ", "will be sent"},
		{"purge sale --force", "sale", "Type sale to purge it: ", "sale is purged"},
		{"resume sale", "sale", "Type sale to resume it: ", "sale is running"},
		{"person +966501000000 --erase", "erase", "Type erase to go on: ", "1 contact"},
	} {
		for typed, agrees := range map[string]bool{tt.word + "\n": true, strings.ToUpper(tt.word) + "\n": false, "y\n": false, "\n": false, "\x04": false} {
			f := newFixture(t)
			f.readyFor(tt.args)
			tty, shown := terminal.Open(t, typed)
			var stdout bytes.Buffer
			err := run(t.Context(), strings.Fields(tt.args), tty, &stdout, tty, f.getenv)
			if text := shown(); !strings.Contains(text, "This cannot be undone. "+tt.asks) {
				t.Errorf("%s asks %q", tt.args, text)
			}
			if did := err == nil && strings.Contains(stdout.String(), tt.done); did != agrees || !agrees && (cli.ExitCode(err) != 1 || stdout.Len() > 0) {
				t.Errorf("%s, typed %q: %v, %q", tt.args, typed, err, stdout.String())
			}
			if n := f.Redis().Exists(t.Context(), "c:{sale}:k:0").Val(); !agrees && n != 1 {
				t.Errorf("%s, typed %q: the chunk is gone", tt.args, typed)
			}
		}
		t.Run(tt.args+", in a script and with --yes", func(t *testing.T) {
			f := newFixture(t)
			f.readyFor(tt.args)
			if got := f.run(append(strings.Fields(tt.args), "--yes")...); got.code != 0 || !strings.Contains(got.stdout, tt.done) || strings.Contains(got.stderr, "Type") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What would be refused, or moves nobody, is not asked for.
func TestNobodyIsAskedForWhatDoesNothing(t *testing.T) {
	for args, want := range map[string]string{
		"cancel done":               "cancel done: it is finished",
		"purge sale":                "purge sale: it is running, with 1 contacts to be sent; cancel it first, or --force does",
		"resolve sale --not-sent":   "",
		"resolve sale --accepted":   "",
		"cancel sales":              "no such campaign",
		"purge --force sales":       "no such campaign",
		"resolve --accepted sales ": "no such campaign",
	} {
		f := newFixture(t)
		f.load("done", 0)
		f.load("sale", 1)
		tty, shown := terminal.Open(t, "\n")
		err := run(t.Context(), strings.Fields(args), tty, io.Discard, tty, f.getenv)
		if text := shown(); strings.Contains(text, "Type") || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; asks %q", args, err, text)
		}
	}
}

// What a person agrees to is what the question has shown: who is lost meanwhile was not
// looked up.
func TestResolveOnATerminalIsAboutWhatItShows(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	f.move("sale", 0, "no answer", campaign.Send, campaign.Lose)
	tty, shown := terminal.Open(t, "sale\n")
	defer shown()
	asked := writerFunc(func(text []byte) {
		if bytes.Contains(text, []byte("Type sale")) {
			f.Move("sale", []int{1}, campaigntest.Step{At: at.Add(time.Minute)}, campaign.Send, campaign.Lose)
		}
	})
	var stderr, stdout bytes.Buffer
	err := run(t.Context(), []string{"resolve", "sale", "--not-sent"}, tty, &stdout, io.MultiWriter(&stderr, asked), f.getenv)
	if want := "sale: 1 unconfirmed contact, the last since 2026-01-02 06:04:05 AST.\n"; err != nil || !strings.HasPrefix(stderr.String(), want) {
		t.Errorf("%v, %q, want %q", err, stderr.String(), want)
	}
	if want := "sale: 1 unconfirmed contact will be sent\n"; stdout.String() != want || f.State("sale", 1) != campaign.Unconfirmed {
		t.Errorf("%q, and who was lost meanwhile is %v", stdout.String(), f.State("sale", 1))
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(text []byte) (int, error) { w(text); return len(text), nil }

// The widest campaign there can be, beside an ordinary one.
func TestTheListFitsATerminalOf80Columns(t *testing.T) {
	f := newFixture(t)
	wide := strings.Repeat("winter-", 9) + "x" // 64 characters
	f.load(wide, 1)
	f.load("sale", 3)
	if out := f.run("pause", wide, "--reason", strings.Repeat("waiting for the new text ", 8)); out.code != 0 {
		t.Fatal(out)
	}
	tty, shown := terminal.Open(t, "")
	err := run(t.Context(), []string{"list"}, strings.NewReader(""), tty, os.Stderr, f.getenv)
	text := shown()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{wide, "sale", "CAMPAIGN", "PROBLEMS", "paused", "waiting for the new text"} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q:\n%s", want, text)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if got := f.run("list"); !strings.Contains(got.stdout, strings.Repeat("waiting for the new text ", 7)) || strings.Count(got.stdout, "\n") != 3 {
		t.Errorf("a pipe does not get one whole line for each:\n%s", got.stdout)
	}
}

// Where a table would be wider than the terminal, each campaign of a person has lines of its
// own, and nothing is left out.
func TestAPersonFitsATerminalOf80Columns(t *testing.T) {
	f := newFixture(t)
	reason := strings.TrimSpace(strings.Repeat("no such number ", 9))
	for _, name := range []string{"sale", strings.Repeat("winter-", 9) + "x"} {
		f.load(name, 1)
		f.move(name, 0, reason, campaign.Send, campaign.Reject)
	}
	tty, shown := terminal.Open(t, "")
	err := run(t.Context(), []string{"person", "+966501000000"}, strings.NewReader(""), tty, os.Stderr, f.getenv)
	text := strings.ReplaceAll(shown(), "\r", "")
	if n := cli.Widest(text); n > 80 || err != nil {
		t.Errorf("%v; %d columns:\n%s", err, n, text)
	}
	for _, want := range []string{"sale\n  line      2\n  state     rejected\n  reason    no such number", "winter-x\n", "  attempts  1\n  changed   2026-01-02 06:04:05 AST\n", "do-not-contact list  no\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "number") - strings.Count(text, "\nnumber "); n != 2*9 {
		t.Errorf("a reason is not whole:\n%s", text)
	}
}

func TestAPasswordIsAskedForTwiceOnATerminal(t *testing.T) {
	for again, want := range map[string]string{"correct horse battery": "", "correct horse batter": "the two passwords differ; nothing was changed"} {
		f := newFixture(t)
		tty, shown := terminal.Open(t, "correct horse battery\n"+again+"\n")
		var stdout bytes.Buffer
		err := run(t.Context(), []string{"user", "add", "sara", "--role", "viewer"}, tty, &stdout, tty, f.getenv)
		text := shown()
		if !strings.Contains(text, "Password of sara: ") || !strings.Contains(text, "Once more: ") {
			t.Errorf("it asks %q", text)
		}
		if got := cli.ExitCode(err); (got == 0) != (want == "") || want != "" && (err.Error() != want || got != 2) || f.has("sara", "correct horse battery") != (want == "") {
			t.Errorf("typed %q again: %v", again, err)
		}
	}
}

// Who stops while the password is asked for gets the terminal back as it was.
func TestAnInterruptGivesTheTerminalBack(t *testing.T) {
	f := newFixture(t)
	tty, _ := terminal.Open(t, "")
	was, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if is, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS); err != nil || is.Lflag&unix.ECHO == 0 {
				stop() // once nothing is shown that is typed
			}
		}
	}()
	err = run(ctx, []string{"user", "add", "sara", "--role", "viewer"}, tty, io.Discard, tty, f.getenv)
	is, broken := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if cli.ExitCode(err) != 130 || broken != nil || is.Lflag != was.Lflag {
		t.Errorf("%v; the terminal is %+v, was %+v, %v", err, is, was, broken)
	}
}

// Who presses Ctrl-C at a question has answered it: nobody has to press it again.
func TestCtrlCAtAQuestionEndsTheCommand(t *testing.T) {
	for _, tt := range []struct{ args, asks string }{
		{"cancel sale", "Type sale to cancel it: "},
		{"resolve sale --accepted", "Type sale to resolve its contacts: "},
		{"purge sale --force", "Type sale to purge it: "},
		{"person +966501000000 --erase", "Type erase to go on: "},
		{"person -", "Number: "},
		{"pause --all", "? [y/N] "},
		{"approve sale", "? [y/N] "},
	} {
		t.Run(tt.args, func(t *testing.T) {
			f := newFixture(t)
			if strings.HasPrefix(tt.args, "approve") {
				if out := f.run("policy", "--approve-above", "1"); out.code != 0 {
					t.Fatal(out)
				}
			}
			f.load("sale", 2)
			f.move("sale", 0, "no answer", campaign.Send, campaign.Lose)
			before := f.State("sale", 1)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var said bytes.Buffer
			tty, _ := terminal.Open(t, "")
			err := run(ctx, strings.Fields(tt.args), tty, io.Discard, writerFunc(func(text []byte) {
				if said.Write(text); strings.HasSuffix(said.String(), tt.asks) {
					interrupt()
				}
			}), f.getenv)
			if cli.ExitCode(err) != 130 || !strings.Contains(said.String(), tt.asks) || f.State("sale", 1) != before {
				t.Errorf("exit %d, %v: %s", cli.ExitCode(err), err, said.String())
			}
		})
	}
}
