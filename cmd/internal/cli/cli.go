// Package cli is what the commands share: how they end, where their settings
// come from, how they reach Redis and how they print.
//
// A command is a function over its arguments, streams and environment; Main
// gives it the real ones and turns its error into one line and an exit code.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/store"
)

// Run is a command: main without the process around it.
type Run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error

// heapFloor lets garbage gather while little is alive: else it is collected with every few
// megabytes, which took a fourth of a busy worker's time and a third of that of a list of
// thousands of campaigns. Its pages are never touched.
const heapFloor = 32 << 20

// Main runs a command and ends the process, after a warning of each variable of the
// environment that is mistyped. The first Ctrl-C, SIGTERM or SIGHUP ends
// the context, a second one kills.
//
// Nothing of ours writes to the standard log. Of others net/http does: it quotes what a
// server sends behind an answer, which may hold numbers, and the token.
func Main(name string, run Run) {
	for _, line := range Mistyped(os.Environ()) {
		Note(os.Stderr, name, "warning: "+line)
	}
	process(name, run)
}

func process(name string, run Run) {
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, Stops()...)
	go func() {
		<-signals
		cancel()
		again := <-signals // not lost, however soon it comes
		signal.Reset(again)
		_ = syscall.Kill(os.Getpid(), again.(syscall.Signal))
	}()
	floor := make([]byte, heapFloor)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	runtime.KeepAlive(floor)
	Report(os.Stderr, name, err)
	os.Exit(ExitCode(err))
}

// MainService is Main of a command that runs until it is stopped, and that warns in its own
// log. The reader of that log may go away, as a terminal or a log collector does: that ends
// nothing. Without this, Go ends a process that writes to a closed pipe as its stderr.
func MainService(name string, run Run) {
	signal.Ignore(syscall.SIGPIPE)
	process(name, run)
}

// Stops are the signals that ask a command to stop. A terminal that is closed is one,
// but not for what was begun with nohup.
func Stops() []os.Signal {
	stops := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		stops = append(stops, syscall.SIGHUP)
	}
	return stops
}

// Exit codes beside 0, done, and 1, failed.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitPartial     = 3
	exitInterrupted = 130
)

// An exitError asks for an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Usage marks an error as one of the call: wrong arguments, flags or settings.
// Exit 2. A nil error stays nil.
func Usage(err error) error { return exitWith(exitUsage, err) }

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Partialf says that all was done, but not for everybody. Exit 3.
func Partialf(format string, args ...any) error {
	return exitWith(exitPartial, fmt.Errorf(format, args...))
}

// Interruptedf says what an interrupted command leaves behind. Exit 130. Plain
// context.Canceled ends with that code, too.
func Interruptedf(format string, args ...any) error {
	return exitWith(exitInterrupted, fmt.Errorf(format, args...))
}

func exitWith(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// ExitCode is the code that a command's error asks for.
func ExitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

// Report prints a command's error, if there is one, as one line.
func Report(w io.Writer, name string, err error) {
	if err == nil {
		return
	}
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	var exit *exitError
	if errors.Is(err, context.Canceled) && !errors.As(err, &exit) {
		text = "interrupted"
	}
	if refused := store.NoWrites(err); refused != nil {
		text = refused.Error()
	}
	Note(w, name, text)
}

// Execute runs a command tree. Flags bound to the environment (Bind) are filled
// from it. Whatever fails before a command has begun is a usage error.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error {
	scratch.Sweep() // what a killed process has left

	root.SetArgs(append([]string{}, args...)) // nil would mean the process's own
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.DisableSuggestions = true // cobra's take several lines; meant says them in one
	Describe(root)
	root.InitDefaultCompletionCmd(args...)
	for _, cmd := range root.Commands() {
		refuseUnknown(cmd)
	}
	fit(root, nil)
	complete(root, getenv)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		unquote(root)
	}
	root.SetFlagErrorFunc(FlagError)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		return cmp.Or(fillFromEnv(cmd.Flags(), getenv), checkEnvironment(cmd, getenv))
	}

	begun := false
	observe(root, func() { begun = true })
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !begun {
		return Usagef("%w%s; %s -h shows how", err, meant(cmd, err), cmd.CommandPath())
	}
	return helped(ctx, err, getenv)
}

// refuseUnknown makes commands that only have others below them refuse a word that is none
// of those. Else they would print their help and end with 0, as if 'suppress ad NUMBER' had
// been done.
func refuseUnknown(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		refuseUnknown(sub)
	}
	if !cmd.HasSubCommands() || cmd.Runnable() {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// observe calls begin when any command of the tree begins.
func observe(cmd *cobra.Command, begin func()) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			begin()
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		observe(sub, begin)
	}
}

// ParseDays reads a time such as 7d or 36h.
func ParseDays(text string) (time.Duration, error) {
	length, err := time.ParseDuration(text)
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(number)
		length = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || length <= 0 || length > 3650*24*time.Hour {
		return 0, errors.New("want a time such as 7d or 36h")
	}
	return length, nil
}
