//go:build simulate

package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"campaign-runner/sandbox"
)

// A platform is the sandbox behind a door, with a book of what arrived there.
type platform struct {
	host
	w       *world
	sandbox *sandbox.Server
	server  *http.Server
	door    *door
}

const token = "first-token"

func newPlatform(w *world, cfg sandbox.Config) *platform {
	p := &platform{w: w, door: newDoor()}
	var err error
	if p.sandbox, err = sandbox.New(cfg); err != nil {
		panic(err)
	}
	type whoKey struct{}
	p.server = &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, whoKey{}, c.(named).who)
		},
		Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			p.serve(out, r, r.Context().Value(whoKey{}).(string))
		}),
	}
	go func() { _ = p.server.Serve(p.door) }()
	return p
}

// serve hands a request on, and books whom it reached.
func (p *platform) serve(out http.ResponseWriter, r *http.Request, who string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it did not arrive whole: nothing can act on it
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	numbers := numbersIn(body)
	p.w.monitor.arrived(numbers, who)
	status, blind := 0, !p.w.toldApart()
	answer := &answered{ResponseWriter: out, wrote: func(wrote int) {
		status = wrote
		p.w.trace.add("platform answers %d to %s about %v", status, who, short(numbers))
	}}
	before := make(map[string]int)
	for _, n := range numbers {
		before[n] = p.sandbox.Contacted(n)
	}
	defer func() { // also after a reset
		var reached []string
		for _, n := range numbers {
			if times := p.sandbox.Contacted(n); times > before[n] {
				reached = append(reached, n)
				p.w.monitor.reached(n, times, who)
			}
		}
		if status == http.StatusInternalServerError && blind {
			p.w.monitor.safe(reached)
		}
	}()
	p.sandbox.ServeHTTP(answer, r)
}

// answered notes the status of an answer.
type answered struct {
	http.ResponseWriter
	wrote func(status int)
}

func (a *answered) WriteHeader(status int) {
	a.wrote(status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func numbersIn(body []byte) (numbers []string) {
	var wire struct {
		Phone string
		Rows  []struct{ Phone string }
	}
	_ = json.Unmarshal(body, &wire) // the platform judges the form
	if wire.Phone != "" {
		numbers = append(numbers, wire.Phone)
	}
	for _, row := range wire.Rows {
		numbers = append(numbers, row.Phone)
	}
	return numbers
}

// short are the ends of numbers, for a trace.
func short(numbers []string) (ends []string) {
	for _, n := range numbers {
		ends = append(ends, n[len(n)-4:])
	}
	return ends
}

// A trouble is one way in which the platform fails for a while. Some pause campaigns, until
// a person resumes them at the end.
type trouble struct {
	name   string
	faults sandbox.Faults
}

// troubles are the answers of every kind, with the work done or not done.
var troubles = []trouble{
	{name: "resets before the work", faults: sandbox.Faults{ResetBefore: 0.5}},
	{name: "resets after the work", faults: sandbox.Faults{ResetAfter: 0.5}},
	{name: "hangs before the work", faults: sandbox.Faults{HangBefore: 0.4}},
	{name: "hangs after the work", faults: sandbox.Faults{Hang: 0.4}},
	{name: "its own 500, or PHP dies after the work", faults: sandbox.Faults{ServerError: 0.4, Fatal: 0.4}},
	{name: "502 as a page, no work", faults: sandbox.Faults{ServerError: 0.6, HTMLErrors: true}},
	{name: "502 after the work", faults: sandbox.Faults{BadGateway: 0.5}},
	{name: "504 after the work", faults: sandbox.Faults{GatewayTimeout: 0.5}},
	{name: "520 after the work", faults: sandbox.Faults{UnknownError: 0.5}},
	{name: "PHP dies after the work", faults: sandbox.Faults{Fatal: 0.7}},
	{name: "a web page after the work", faults: sandbox.Faults{WebPage: 0.3}},
	{name: "sign-in pages", faults: sandbox.Faults{SignIn: true}},
	{name: "an outage", faults: sandbox.Faults{Outage: true}},
	{name: "maintenance", faults: sandbox.Faults{Maintenance: true, MaintenanceRetry: 5}},
	{name: "maintenance as a page", faults: sandbox.Faults{Maintenance: true, MaintenanceForm: sandbox.FormPage}},
	{name: "maintenance as a redirect", faults: sandbox.Faults{Maintenance: true, MaintenanceForm: sandbox.FormRedirect}},
	{name: "429", faults: sandbox.Faults{TooMany: 0.7}},
	{name: "401", faults: sandbox.Faults{Unauthorized: true}},
}

// latency is how long the platform takes, in all of its moods.
var latency = sandbox.Span{From: 20 * time.Millisecond, To: 6 * time.Second}
