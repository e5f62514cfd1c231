// Command sandbox is a stand-in for the Velents platform, to rehearse a campaign
// against. Package sandbox says what it imitates.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"campaign-runner/cmd/internal/cli"
	"campaign-runner/sandbox"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // it goes on when nobody reads its log
	stops := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		stops = append(stops, syscall.SIGHUP)
	}
	terminated, stopTerm := signal.NotifyContext(context.Background(), stops...)
	defer stopTerm()
	ctx, stopInt := signal.NotifyContext(terminated, os.Interrupt)
	defer stopInt()
	context.AfterFunc(ctx, func() { signal.Reset() }) // a second signal kills at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
	}
	os.Exit(exitCode(err, ctx.Err() != nil && terminated.Err() == nil))
}

// errUsage marks errors of the command line.
var errUsage = errors.New("see sandbox -h")

// exitCode tells a Ctrl-C (130) from a stop by a supervisor (0).
func exitCode(err error, interrupted bool) int {
	switch {
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		return 1
	case interrupted:
		return 130
	default:
		return 0
	}
}

// drainTimeout is how long requests in flight may take after the signal to stop.
const drainTimeout = 5 * time.Second

// run serves until ctx ends. It prints to stdout where it listens and, at the end, what
// it saw.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := newCommand(func(o options) error { return serve(ctx, o, stdout, stderr) })
	cli.Describe(cmd)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd.Execute()
}

func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	o.config.Logger = log
	platform, err := sandbox.New(o.config)
	if err != nil {
		return usage(err)
	}
	defer platform.Close()

	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return cli.NotListening("platform", "--addr", err)
	}
	if err := o.say(stdout, listening{"http://" + listener.Addr().String()}); err != nil {
		_ = listener.Close()
		return err
	}
	server := &http.Server{
		Handler:           platform,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	_ = platform.Close() // hanging requests would delay the shutdown
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if server.Shutdown(drain) != nil {
		_ = server.Close() // ends requests that do not finish
	}
	return o.say(stdout, summary(platform.Stats()))
}

// say prints a line: the text of the value, or its JSON with --json.
func (o options) say(w io.Writer, v fmt.Stringer) error {
	var err error
	if o.json {
		err = json.NewEncoder(w).Encode(v)
	} else {
		_, err = fmt.Fprintln(w, v)
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

type listening struct {
	URL string `json:"url"`
}

func (l listening) String() string { return "sandbox listening on " + l.URL }

type summary sandbox.Stats

func (s summary) String() string {
	return fmt.Sprintf("sandbox stopped: requests=%d contacts=%d numbers=%d repeated=%d "+
		"cut_before=%d cut_after=%d too_many=%d most_in_window=%d",
		s.Requests, s.Contacts, s.Numbers, s.Repeated, s.CutBefore, s.CutAfter, s.TooMany, s.MostInWindow)
}
