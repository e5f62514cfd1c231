package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/sandbox"
)

// The test binary is the command when this is set.
const asCommand = "RUN_AS_SANDBOX"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// start runs the command until its first line and returns where it listens, and a
// function that stops it and returns the rest of stdout.
func start(t *testing.T, stderr io.Writer, args ...string) (url string, stop func() (string, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"--addr", "127.0.0.1:0"}, args...), w, stderr)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("first line: %v", err)
	}
	return strings.TrimSpace(line), func() (string, error) {
		cancel()
		rest, _ := io.ReadAll(out)
		return string(rest), <-ended
	}
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret-token")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

const dispatch = `{"channel_id":3,"phone":"+966501234567"}`

func TestServes(t *testing.T) {
	var stderr bytes.Buffer
	line, stop := start(t, &stderr, "--limit", "2", "-v")
	url, found := strings.CutPrefix(line, "sandbox listening on ")
	if !found {
		t.Fatalf("first line %q", line)
	}
	for i, want := range []int{200, 200, 429} {
		if got := post(t, url+"/Integration/Agent/Dispatch", dispatch); got != want {
			t.Errorf("request %d: %d, want %d", i+1, got, want)
		}
	}
	rest, err := stop()
	if err != nil {
		t.Error(err)
	}
	want := "sandbox stopped: requests=3 contacts=2 numbers=1 repeated=1 cut_before=0 cut_after=0 too_many=1 most_in_window=2\n"
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Error(diff)
	}
	if log := stderr.String(); !strings.Contains(log, "status=429") || strings.Contains(log, "501234567") || strings.Contains(log, "secret") {
		t.Errorf("log %s", log)
	}
}

func TestJSONLines(t *testing.T) {
	line, stop := start(t, io.Discard, "--json", "--limit", "0")
	var listening struct{ URL string }
	if err := json.Unmarshal([]byte(line), &listening); err != nil {
		t.Fatal(err)
	}
	post(t, listening.URL+"/Integration/Agent/Dispatch", dispatch)
	rest, err := stop()
	if err != nil {
		t.Error(err)
	}
	var stats sandbox.Stats
	if err := json.Unmarshal([]byte(rest), &stats); err != nil || stats.Contacts != 1 {
		t.Errorf("%s: %v", rest, err)
	}
}

func TestHangingRequestsDoNotHoldUpTheEnd(t *testing.T) {
	line, stop := start(t, io.Discard, "--hang", "1")
	url := strings.TrimPrefix(line, "sandbox listening on ")
	answered := make(chan int)
	go func() { answered <- post(t, url+"/Integration/Agent/Dispatch", dispatch) }()
	for contacted(t, url) == 0 { // each look is another request
	}
	rest, err := stop()
	if err != nil || !strings.Contains(rest, "cut_after=1") {
		t.Errorf("%s: %v", rest, err)
	}
	if status := <-answered; status != 0 {
		t.Errorf("answered %d", status)
	}
}

func contacted(t *testing.T, url string) int {
	resp, err := http.Get(url + "/sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var stats sandbox.Stats
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.Contacts
}

func TestFlagsReachThePlatform(t *testing.T) {
	var got options
	cmd := newCommand(func(o options) error { got = o; return nil })
	cmd.SetArgs([]string{
		"--limit", "0", "--value-keys", "name,company", "--channels", "9", "--seed", "7",
		"--fault-5xx", "0.05", "--reset-before", "0.02", "--latency", "50ms-800ms",
		"--outage", "30s-45s", "--outage", "1m-2m", "--unauthorized-after", "100",
		"--support-token", "plain", "--support-token", "one=tickets:view,tickets:create",
		"--webhooks", "--webhook-secret", "s", "--overrun", "3", "--laravel", "8", "--max-post", "500",
		"--fault-502", "0.01", "--fault-504", "0.02", "--fault-520", "0.03", "--fault-fatal", "0.04", "--fault-page", "0.06", "--sign-in",
		"--maintenance", "3m-4m", "--maintenance-as", "page", "--maintenance-retry", "60",
	})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	var want options
	want.addr = "127.0.0.1:8090"
	c := &want.config
	c.Limit, c.Window = sandbox.Unlimited, 60e9
	c.ValueKeys, c.ValuesShape = []string{"name", "company"}, sandbox.ShapeData
	c.Channels, c.Seed, c.MaxRows, c.MaxBody = []int{9}, 7, 1000, 1<<20
	c.Faults.ServerError, c.Faults.ResetBefore = 0.05, 0.02
	c.Faults.Latency = sandbox.Span{From: 50e6, To: 800e6}
	c.Faults.Outages = []sandbox.Span{{From: 30e9, To: 45e9}, {From: 60e9, To: 120e9}}
	c.Faults.UnauthorizedAfter = sandbox.After{Requests: 100}
	c.Overrun, c.Laravel, c.MaxPost = 3, 8, 500
	c.Faults.BadGateway, c.Faults.GatewayTimeout, c.Faults.UnknownError, c.Faults.Fatal, c.Faults.WebPage = 0.01, 0.02, 0.03, 0.04, 0.06
	c.Faults.SignIn = true
	c.Faults.Maintenances = []sandbox.Span{{From: 180e9, To: 240e9}}
	c.Faults.MaintenanceForm, c.Faults.MaintenanceRetry = sandbox.FormPage, 60
	c.SupportTokens = map[string][]string{"plain": {"*"}, "one": {"tickets:view", "tickets:create"}}
	c.Webhooks = sandbox.Webhooks{Enabled: true, Secret: "s", Concurrency: 16, LateAfter: 10e9}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" {
		t.Error(diff)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"--limt", "3"}, "unknown flag: --limt"},
		{"an argument", []string{"start"}, `unexpected argument "start"`},
		{"not a number", []string{"--limit", "many"}, `--limit "many"`},
		{"no span", []string{"--latency", "5"}, `--latency: span: want one like 50ms-800ms`},
		{"no maintenance", []string{"--maintenance", "soon"}, "maintenance: span: want one like 50ms-800ms"},
		{"maintenance of no form", []string{"--maintenance-as", "xml"}, `maintenance "xml": want json, page or redirect`},
		{"no outage", []string{"--outage", "45s-30s"}, "outage: span: it ends before it begins"},
		{"too many faults", []string{"--hang", "0.6", "--reset-after", "0.6"}, "faults: shares add up to 1.2: want 1 at most"},
		{"a window of nothing", []string{"--window", "0"}, "window, max-rows, max-body and webhook-concurrency: want more than 0"},
		{"an address of this machine only", []string{"--addr", "0.0.0.0:8090"}, "address 0.0.0.0:8090: other machines could reach it: add --public to allow that"},
		{"every address", []string{"--addr", ":8090"}, "address :8090: other machines could reach it"},
		{"a name", []string{"--addr", "example.com:8090"}, "address example.com:8090: other machines could reach it"},
		{"no port", []string{"--addr", "127.0.0.1"}, "address 127.0.0.1: missing port in address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), tt.args, &stdout, &stderr)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || exitCode(err, false) != 2 {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if stdout.Len()+stderr.Len() > 0 {
				t.Errorf("printed %s%s", &stdout, &stderr)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name   string
		addr   string
		stdout io.Writer
		want   string
	}{
		{"an address in use", taken.Addr().String(), io.Discard, "address already in use"},
		{"nobody reads its first line", "127.0.0.1:0", closedWriter{}, "print: closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), []string{"--addr", tt.addr}, tt.stdout, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) || exitCode(err, false) != 1 {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestPublicAddress(t *testing.T) {
	for addr, public := range map[string]bool{
		"127.0.0.1:0": false, "[::1]:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true,
	} {
		if err := checkAddr(addr, public); err != nil {
			t.Errorf("%s, public %v: %v", addr, public, err)
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Listening:", "Tokens and limit:", "Validation:", "Faults", "Times:", "Webhook events:", "--reset-after share", "/sandbox/ledger"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in the help", want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signal os.Signal
		want   int
	}{
		{"Ctrl-C interrupts", os.Interrupt, 130},
		{"a supervisor stops", syscall.SIGTERM, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "--addr", "127.0.0.1:0")
			cmd.Env = append(os.Environ(), asCommand+"=1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			lines.Scan()
			if !strings.HasPrefix(lines.Text(), "sandbox stopped: requests=0") {
				t.Errorf("last line %q", lines.Text())
			}
			_ = cmd.Wait() // the status says more than the error
			if got := cmd.ProcessState.ExitCode(); got != tt.want {
				t.Errorf("exit status %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("usage and failure", func(t *testing.T) {
		if got := [...]int{exitCode(usage(errors.New("x")), false), exitCode(fmt.Errorf("x"), true), exitCode(nil, false)}; got != [...]int{2, 1, 0} {
			t.Errorf("%v", got)
		}
	})
}
