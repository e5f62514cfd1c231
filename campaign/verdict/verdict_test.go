package verdict

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

func TestVerdictOf(t *testing.T) {
	refused := func(status int, message string, fields ...string) error {
		e := &velents.Error{Status: status, Message: message, JSON: true}
		for i := 0; i < len(fields); i += 2 {
			if e.Fields == nil {
				e.Fields = make(map[string][]string)
			}
			e.Fields[fields[i]] = append(e.Fields[fields[i]], fields[i+1])
		}
		return fmt.Errorf("velents: create batch: %w", e)
	}
	const (
		rowsN   = "The rows.1.phone field must be a valid phone number."
		cleaned = "The phone field must be a valid phone number."
	)
	for _, tt := range []struct {
		name string
		err  error
		rows int
		mode campaign.Mode
		want Verdict
	}{
		{name: "2xx is acceptance", err: nil, rows: 3, want: Verdict{Cause: campaign.Accept}},

		{name: "rows that are named are rejected and the rest goes again",
			err: refused(422, "invalid", "rows.1.phone", rowsN), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{1: cleaned}, Then: Again}},
		{name: "a row may be named without a field",
			err: refused(422, "invalid", "rows.0", "Blocked."), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "Blocked."}, Then: Again}},
		{name: "several fields of one row make one reason",
			err: refused(422, "invalid", "rows.0.values.name", "No name.", "rows.0.phone", "No phone."), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "No phone. No name."}, Then: Again}},
		{name: "all rows named leaves nothing to send",
			err: refused(422, "invalid", "rows.0.phone", "a", "rows.1.phone", "b"), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "a", 1: "b"}}},
		{name: "a row named without a text gets the message",
			err: refused(422, "invalid", "rows.0.phone", ""), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "422: invalid"}, Then: Again}},
		{name: "rows named beside the rows as a whole are still named",
			err: refused(422, "invalid", "rows", "Some are bad.", "rows.1.phone", "bad"), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{1: "bad"}, Then: Again}},
		{name: "an index outside the request names nobody",
			err: refused(422, "invalid", "rows.3.phone", "bad"), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Then: Halve}},
		{name: "one usable name beside an unusable one is not trusted",
			err: refused(422, "invalid", "rows.0.phone", "bad", "rows.9.phone", "bad"), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Then: Halve}},
		{name: "an index that is no number names nobody",
			err: refused(422, "invalid", "rows.*.phone", "bad"), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Then: Halve}},
		{name: "too many rows are halved, and remembered",
			err: refused(422, "too many", "rows", "At most 100."), rows: 500,
			want: Verdict{Cause: campaign.Unsent, Then: Halve, TooMany: true}},
		{name: "a single row that is too many is rejected, vaguely",
			err: refused(422, "too many", "rows", "At most 0."), rows: 1,
			want: Verdict{Cause: campaign.Reject, Reason: campaign.Text("422: too many"), Vague: true}},
		{name: "422 about the channel pauses the campaign with the platform's text",
			err: refused(422, "invalid", "channel_id", "The selected channel id is invalid."), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("the platform refuses the request: The selected channel id is invalid."), Then: PauseCampaign}},
		{name: "a field of the request outweighs rows that are named",
			err: refused(422, "invalid", "rows.0.phone", "bad", "webhook.link", "No."), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("the platform refuses the request: No."), Then: PauseCampaign}},
		{name: "a field of the request without a text gives the message",
			err: refused(422, "invalid", "name", ""), rows: 3,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("the platform refuses the request: invalid"), Then: PauseCampaign}},
		{name: "422 without fields is halved",
			err: refused(422, "no"), rows: 2, want: Verdict{Cause: campaign.Unsent, Then: Halve}},
		{name: "422 without fields rejects a single row, vaguely",
			err: refused(422, "no"), rows: 1, want: Verdict{Cause: campaign.Reject, Reason: campaign.Text("422: no"), Vague: true}},

		{name: "dispatch names the contact by phone",
			err: refused(422, "invalid", "phone", "bad"), rows: 1, mode: campaign.Dispatch,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "bad"}}},
		{name: "dispatch names the contact by its values",
			err: refused(422, "invalid", "values.name", "bad"), rows: 1, mode: campaign.Dispatch,
			want: Verdict{Cause: campaign.Unsent, Refused: map[int]string{0: "bad"}}},
		{name: "dispatch with a wrong channel pauses the campaign",
			err: refused(422, "invalid", "channel_id", "bad"), rows: 1, mode: campaign.Dispatch,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("the platform refuses the request: bad"), Then: PauseCampaign}},

		{name: "400 is halved", err: refused(400, "malformed"), rows: 2, want: Verdict{Cause: campaign.Unsent, Then: Halve}},
		{name: "400 rejects a single row, vaguely", err: refused(400, "malformed"), rows: 1,
			want: Verdict{Cause: campaign.Reject, Reason: campaign.Text("400: malformed"), Vague: true}},
		{name: "413 is halved, and remembered", err: refused(413, "too large"), rows: 2,
			want: Verdict{Cause: campaign.Unsent, Then: Halve, TooMany: true}},
		{name: "413 rejects a single row, vaguely", err: refused(413, "too large"), rows: 1,
			want: Verdict{Cause: campaign.Reject, Reason: campaign.Text("413: too large"), Vague: true}},

		{name: "no connection: nothing was sent", err: &velents.Unanswered{Err: errors.New("refused")}, rows: 2,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("not sent: no connection to the platform"), Then: BackOff}},
		{name: "why there was no connection is told", err: &velents.Unanswered{Obstacle: velents.BadCertificate, Err: errors.New("x509")}, rows: 2,
			want: Verdict{Cause: campaign.Unsent, Reason: campaign.Text("not sent: no connection to the platform: its certificate is not trusted, or has expired"), Then: BackOff}},
		{name: "kept from leaving by ourselves: nothing was sent", err: &velents.Unanswered{Err: ErrNotOurs}, rows: 2,
			want: Verdict{Cause: campaign.Unsent, Then: BackOff}},
		{name: "no answer: nobody knows", err: &velents.Unanswered{Sent: true, Err: errors.New("reset")}, rows: 2,
			want: Verdict{Cause: campaign.Lose, Reason: campaign.Text("no answer: the request may have been carried out")}},
		{name: "an error of no known kind: nobody knows", err: errors.New("surprise"), rows: 2,
			want: Verdict{Cause: campaign.Lose, Reason: campaign.Text("no answer: the request may have been carried out")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mode := tt.mode
			if mode == "" {
				mode = campaign.Batch
			}
			got := Of(tt.err, tt.rows, mode, campaign.RetryOwn, campaign.Seen{})
			got.Reason = campaign.Text(got.Reason.String())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// table is what answers mean for two contacts and for one, row by row, as the table
// of docs/developers/sending.md has it. The answers are told as they stand on the wire.
var table = []struct {
	name     string
	statuses []int
	kind     string // of the body: a key of bodies
	header   string // one more, "Name: value"
	seen     campaign.Seen
	retry    campaign.Retry5xx // empty: as by default
	cause    campaign.Cause
	then     Step
	single   *Verdict // for one contact; nil: the same
	doubt    bool
	wait     time.Duration
	rates    bool // the rate headers come with it
}{
	{name: "JSON or nothing is acceptance", statuses: []int{200, 201, 202, 203, 206, 207, 226, 299}, kind: "object", cause: campaign.Accept},
	{name: "JSON of any kind is acceptance", statuses: []int{200}, kind: "list", cause: campaign.Accept},
	{name: "no body is acceptance", statuses: []int{200, 201, 202, 204, 205}, kind: "none", cause: campaign.Accept},
	{name: "a page with a good status pauses the agent, and its contacts are unconfirmed", statuses: []int{200, 201, 202, 299}, kind: "page", cause: campaign.Lose, then: PauseAgent},
	{name: "a page that calls itself JSON is one", statuses: []int{200}, kind: "disguised page", cause: campaign.Lose, then: PauseAgent},
	{name: "JSON that calls itself a page is one", statuses: []int{200}, kind: "disguised JSON", cause: campaign.Lose, then: PauseAgent},
	{name: "plain text with a good status proves nothing", statuses: []int{200, 202}, kind: "text", cause: campaign.Lose},
	{name: "half a body with a good status proves nothing", statuses: []int{200, 201}, kind: "half", cause: campaign.Lose},
	{name: "a body cut off with a good status proves nothing", statuses: []int{200, 201}, kind: "cut", cause: campaign.Lose},
	{name: "a compressed body proves nothing", statuses: []int{200}, kind: "compressed", cause: campaign.Lose},

	{name: "named rows", statuses: []int{422}, kind: "rows", cause: campaign.Unsent, then: Again, single: &Verdict{Cause: campaign.Unsent}},
	{name: "too many rows", statuses: []int{422}, kind: "too many", cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},
	{name: "too large, whoever says it", statuses: []int{413}, kind: "page", cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},
	{name: "the channel", statuses: []int{422}, kind: "channel", cause: campaign.Unsent, then: PauseCampaign},
	{name: "a refusal that names nobody", statuses: []int{400, 422}, kind: "object", cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},
	{name: "a refusal as a page", statuses: []int{400, 422}, kind: "page", cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},
	{name: "a refusal that is cut off", statuses: []int{422}, kind: "cut", cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},
	{name: "a firewall's page after successes is about a row", statuses: []int{403}, kind: "page", seen: campaign.Seen{Accepted: true},
		cause: campaign.Unsent, then: Halve, single: &Verdict{Cause: campaign.Reject, Vague: true}},

	{name: "a firewall's page before any success is about the agent", statuses: []int{403}, kind: "page", cause: campaign.Unsent, then: PauseAgent},
	{name: "the token or the address", statuses: []int{401, 402, 403, 404, 405, 407, 410, 419, 421, 426, 431, 451}, kind: "object", seen: campaign.Seen{Accepted: true},
		cause: campaign.Unsent, then: PauseAgent},
	{name: "the token or the address, as pages", statuses: []int{401, 402, 404, 405, 407, 410, 419, 421, 426, 431, 451}, kind: "page", seen: campaign.Seen{Accepted: true},
		cause: campaign.Unsent, then: PauseAgent},
	{name: "a redirect", statuses: []int{300, 301, 302, 304, 305, 307, 308}, kind: "none", header: "Location: https://elsewhere.example/login", cause: campaign.Unsent, then: PauseAgent},
	{name: "how the request is made", statuses: []int{406, 411, 414, 415, 417}, kind: "object", cause: campaign.Unsent, then: PauseCampaign},
	{name: "how the request is made, as a page", statuses: []int{406, 411, 414, 415, 417}, kind: "page", cause: campaign.Unsent, then: PauseCampaign},
	{name: "too early or too many", statuses: []int{425, 429}, kind: "object", cause: campaign.Unsent, then: Again},
	{name: "too early or too many, by a proxy", statuses: []int{425, 429}, kind: "page", header: "Retry-After: 7", cause: campaign.Unsent, then: Again},

	{name: "maintenance as JSON: nobody worked", statuses: []int{503}, kind: "object", cause: campaign.Unsent, then: BackOff},
	{name: "maintenance as JSON until a time", statuses: []int{503}, kind: "object", header: "Retry-After: 60", cause: campaign.Unsent, then: BackOff, wait: time.Minute},
	{name: "maintenance as a page until a time", statuses: []int{503}, kind: "page", header: "Retry-After: 60", cause: campaign.Unsent, then: BackOff, wait: time.Minute},
	{name: "maintenance, though nothing is to be retried", statuses: []int{503}, kind: "object", retry: campaign.RetryNone, cause: campaign.Unsent, then: BackOff},
	{name: "maintenance, though all is to be retried", statuses: []int{503}, kind: "object", retry: campaign.RetryAll, cause: campaign.Unsent, then: BackOff},

	{name: "the platform's own failure", statuses: []int{500}, kind: "object", seen: campaign.Seen{RateHeaders: true}, rates: true, cause: campaign.Retry, then: BackOff, doubt: true},
	{name: "the platform's own failure, where it never shows the headers", statuses: []int{500}, kind: "object", cause: campaign.Retry, then: BackOff, doubt: true},
	{name: "the platform's own failure until a time", statuses: []int{500}, kind: "object", header: "Retry-After: 9", cause: campaign.Retry, then: BackOff, doubt: true, wait: 9 * time.Second},
	{name: "the platform's own failure when none is to be retried", statuses: []int{500}, kind: "object", rates: true, retry: campaign.RetryNone, cause: campaign.Lose},
	{name: "PHP's death as JSON: the headers are missing", statuses: []int{500}, kind: "object", seen: campaign.Seen{RateHeaders: true}, cause: campaign.Lose},
	{name: "PHP's death as a page", statuses: []int{500}, kind: "page", rates: true, cause: campaign.Lose},
	{name: "a failure without a body", statuses: []int{500}, kind: "none", rates: true, cause: campaign.Lose},
	{name: "a failure that is a list", statuses: []int{500}, kind: "list", rates: true, cause: campaign.Lose},
	{name: "a failure that is cut off", statuses: []int{500}, kind: "cut", rates: true, cause: campaign.Lose},
	{name: "a failure in JSON that calls itself a page", statuses: []int{500}, kind: "disguised JSON", rates: true, cause: campaign.Lose},
	{name: "any failure when all are to be retried", statuses: []int{500, 501, 502, 503, 504, 520, 530, 598, 599}, kind: "page", retry: campaign.RetryAll,
		cause: campaign.Retry, then: BackOff, doubt: true},
	{name: "a gateway, as a page", statuses: []int{501, 502, 503, 504, 505, 507, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 598, 599}, kind: "page", cause: campaign.Lose},
	{name: "a gateway, as JSON", statuses: []int{501, 502, 504, 505, 507, 511, 520, 524, 530, 598, 599}, kind: "object", rates: true, cause: campaign.Lose},
	{name: "a gateway, without a body", statuses: []int{502, 503, 504, 520}, kind: "none", cause: campaign.Lose},
	{name: "a gateway's text", statuses: []int{502, 503, 504}, kind: "text", cause: campaign.Lose},
	{name: "maintenance that is cut off says nothing", statuses: []int{503}, kind: "cut", cause: campaign.Lose},
	{name: "a proxy that has given up, or sends elsewhere", statuses: []int{303, 408, 460, 499}, kind: "page", retry: campaign.RetryAll, cause: campaign.Lose},
	{name: "a proxy that has given up, as JSON", statuses: []int{303, 408, 460, 499}, kind: "object", cause: campaign.Lose},
	{name: "a status that does not exist", statuses: []int{600, 799, 999}, kind: "object", retry: campaign.RetryAll, cause: campaign.Lose},
	{name: "any other refusal is tried again, without doubt", statuses: []int{409, 412, 416, 418, 420, 423, 424, 428, 440, 444, 450, 494, 498}, kind: "object", cause: campaign.Retry, then: BackOff},
	{name: "any other refusal as a page, too", statuses: []int{409, 418, 444}, kind: "page", cause: campaign.Retry, then: BackOff},
}

// bodies are the rest of an answer after its status and headers.
var bodies = map[string]string{
	"none":           "Content-Type: text/html; charset=UTF-8\r\nContent-Length: 0\r\n\r\n",
	"object":         "Content-Type: application/json\r\nContent-Length: 16\r\n\r\n" + `{"message":"so"}`,
	"list":           "Content-Type: application/json\r\nContent-Length: 6\r\n\r\n" + `["so"]`,
	"page":           "Content-Type: text/html; charset=UTF-8\r\n\r\n<html><title>so</title></html>",
	"disguised page": "Content-Type: application/json\r\n\r\n\ufeff\n<html>",
	"disguised JSON": "Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
	"text":           "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nso",
	"half":           "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n" + `{"id":[1`,
	"cut":            "Content-Type: application/json\r\nContent-Length: 90\r\n\r\n" + `{"id":1}`,
	"compressed":     "Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
	"rows":           "Content-Type: application/json\r\n\r\n" + `{"message":"No.","errors":{"rows.0.phone":["No."]}}`,
	"too many":       "Content-Type: application/json\r\n\r\n" + `{"message":"No.","errors":{"rows":["Too many."]}}`,
	"channel":        "Content-Type: application/json\r\n\r\n" + `{"message":"No.","errors":{"channel_id":["No."]}}`,
}

// Every row of the table, from the wire through the client to the verdict.
func TestTableOfAnswers(t *testing.T) {
	for _, row := range table {
		for _, status := range row.statuses {
			t.Run(fmt.Sprintf("%d: %s", status, row.name), func(t *testing.T) {
				head := fmt.Sprintf("HTTP/1.1 %d So\r\nConnection: close\r\n", status)
				if row.rates {
					head += "X-RateLimit-Limit: 30\r\nX-RateLimit-Remaining: 29\r\n"
				}
				if row.header != "" {
					head += row.header + "\r\n"
				}
				client := clientOf(t, head+bodies[row.kind])
				for _, rows := range []int{2, 1} {
					_, err := client.Batch(t.Context(), velents.Batch{ChannelID: 3, Rows: make([]velents.Row, rows)})
					got := Of(err, rows, campaign.Batch, row.retry, row.seen)
					want := Verdict{Cause: row.cause, Then: row.then, Doubt: row.doubt, Wait: row.wait}
					if rows == 1 && row.single != nil {
						want = *row.single
					}
					if got.Cause != want.Cause || got.Then != want.Then || got.Doubt != want.Doubt || got.Wait != want.Wait || got.Vague != want.Vague {
						t.Errorf("%d rows: %+v for %v, want %+v", rows, got, err, want)
					}
					if got.Reason.IsZero() && slices.Contains([]campaign.Cause{campaign.Lose, campaign.Retry, campaign.Reject}, got.Cause) {
						t.Errorf("%d rows: %+v says no reason", rows, got)
					}
					if paused := got.Then == PauseAgent || got.Then == PauseCampaign; paused && got.Reason.IsZero() {
						t.Errorf("%d rows: paused without a reason", rows)
					}
				}
			})
		}
	}
}

// What the table says of the same status must not depend on who asks for retries,
// but for failures.
func TestOnlyFailuresAreRetriedByWish(t *testing.T) {
	for status := 200; status < 1000; status++ {
		for _, e := range []velents.Error{{}, {JSON: true}, {Page: true}, {JSON: true, RateHeaders: true}, {HasRetryAfter: true}} {
			for _, seen := range []campaign.Seen{{}, {RateHeaders: true}, {Accepted: true}, {RateHeaders: true, Accepted: true}} {
				e.Status, e.Message = status, "so"
				own := Of(&e, 2, campaign.Batch, campaign.RetryOwn, seen)
				all := Of(&e, 2, campaign.Batch, campaign.RetryAll, seen)
				none := Of(&e, 2, campaign.Batch, campaign.RetryNone, seen)
				if same := own.Cause == all.Cause && own.Cause == none.Cause; !same && status/100 != 5 {
					t.Errorf("%d %+v: %+v, %+v, %+v", status, e, own, all, none)
				}
				if none.Doubt || own.Doubt && status != 500 || all.Doubt && status/100 != 5 {
					t.Errorf("%d %+v: doubt in %+v, %+v, %+v", status, e, own, all, none)
				}
				if own.Cause == campaign.Accept || status > 599 && own.Cause != campaign.Lose {
					t.Errorf("%d %+v: %+v", status, e, own)
				}
			}
		}
	}
}

// clientOf is a client of a server that answers every request so, as it stands.
func clientOf(t *testing.T, answer string) *velents.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	client, err := velents.New(velents.Config{BaseURL: "http://" + l.Addr().String(), Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestQuotaIsToldWhatBecameOfARequest(t *testing.T) {
	rate := velents.Rate{Known: true, Limit: 30, Remaining: 7}
	for _, tt := range []struct {
		name   string
		answer velents.Answer
		err    error
		want   ratelimit.Answer
	}{
		{"an answer", velents.Answer{Status: 200, Rate: rate}, nil, ratelimit.Answer{Status: 200, Known: true, Limit: 30, Remaining: 7}},
		{"too many requests", velents.Answer{Status: 429}, &velents.Error{Status: 429, RetryAfter: time.Second, HasRetryAfter: true},
			ratelimit.Answer{Status: 429, RetryAfter: time.Second, HasRetryAfter: true}},
		{"too early", velents.Answer{Status: 425}, &velents.Error{Status: 425}, ratelimit.Answer{Status: 425}},
		{"maintenance until a time", velents.Answer{Status: 503}, &velents.Error{Status: 503, RetryAfter: time.Minute, HasRetryAfter: true},
			ratelimit.Answer{Status: 503, Failed: true, Held: true, RetryAfter: time.Minute, HasRetryAfter: true}},
		{"maintenance until it is over", velents.Answer{Status: 503}, &velents.Error{Status: 503, JSON: true}, ratelimit.Answer{Status: 503, Failed: true, Held: true}},
		{"a failure", velents.Answer{Status: 502}, &velents.Error{Status: 502}, ratelimit.Answer{Status: 502, Failed: true}},
		{"a failure of its own", velents.Answer{Status: 500}, &velents.Error{Status: 500}, ratelimit.Answer{Status: 500, Failed: true}},
		{"a refusal of the token", velents.Answer{Status: 499}, &velents.Error{Status: 499}, ratelimit.Answer{Status: 499}},
		{"a lost answer", velents.Answer{}, &velents.Unanswered{Sent: true, Err: errors.New("reset")}, ratelimit.Answer{Failed: true}},
		{"nothing sent", velents.Answer{}, &velents.Unanswered{Err: errors.New("no connection")}, ratelimit.Answer{Failed: true, Unsent: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ForQuota(tt.answer, tt.err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfSingle(t *testing.T) {
	const failed = "500: down"
	for _, tt := range []struct {
		name   string
		err    error
		want   Single
		reason string
	}{
		{"it is accepted", nil, Single{Cause: campaign.Accept}, ""},
		{"the token is wrong", &velents.Error{Status: 401, Message: "who?", JSON: true},
			Single{Cause: campaign.Unsent, Broken: true}, "the platform answers 401: who?; check the agent's token"},
		{"a field is refused", &velents.Error{Status: 422, Message: "invalid", JSON: true, Fields: map[string][]string{"subject": {"Too long."}}},
			Single{Cause: campaign.Reject}, "the platform refuses the request: Too long."},
		{"the contact is refused", &velents.Error{Status: 422, Message: "invalid", JSON: true, Fields: map[string][]string{"phone": {"No phone."}}},
			Single{Cause: campaign.Reject}, "No phone."},
		{"the platform failed by itself", &velents.Error{Status: 500, Message: "down", JSON: true, RateHeaders: true, RetryAfter: time.Second},
			Single{Cause: campaign.Retry, Wait: time.Second}, failed},
		{"something else failed: the headers of the limit are missing", &velents.Error{Status: 500, Message: "down", JSON: true},
			Single{Cause: campaign.Lose}, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := OfSingle(tt.err)
			reason := got.Reason.String()
			got.Reason = campaign.Message{}
			if diff := cmp.Diff(tt.want, got); diff != "" || reason != tt.reason {
				t.Errorf("reason %q (-want +got):\n%s", reason, diff)
			}
		})
	}
}
