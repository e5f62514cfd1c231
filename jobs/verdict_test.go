package jobs

import (
	"errors"
	"fmt"
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
		name   string
		err    error
		rows   int
		mode   campaign.Mode
		strict bool
		want   verdict
	}{
		{name: "2xx is acceptance", err: nil, rows: 3, want: verdict{cause: campaign.Accept}},

		{name: "rows that are named are rejected and the rest goes again",
			err: refused(422, "invalid", "rows.1.phone", rowsN), rows: 3,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{1: cleaned}, then: again}},
		{name: "a row may be named without a field",
			err: refused(422, "invalid", "rows.0", "Blocked."), rows: 2,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "Blocked."}, then: again}},
		{name: "several fields of one row make one reason",
			err: refused(422, "invalid", "rows.0.values.name", "No name.", "rows.0.phone", "No phone."), rows: 2,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "No phone. No name."}, then: again}},
		{name: "all rows named leaves nothing to send",
			err: refused(422, "invalid", "rows.0.phone", "a", "rows.1.phone", "b"), rows: 2,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "a", 1: "b"}}},
		{name: "a row named without a text gets the message",
			err: refused(422, "invalid", "rows.0.phone", ""), rows: 2,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "422: invalid"}, then: again}},
		{name: "rows named beside the rows as a whole are still named",
			err: refused(422, "invalid", "rows", "Some are bad.", "rows.1.phone", "bad"), rows: 2,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{1: "bad"}, then: again}},
		{name: "an index outside the request names nobody",
			err: refused(422, "invalid", "rows.3.phone", "bad"), rows: 3,
			want: verdict{cause: campaign.Unsent, then: halve}},
		{name: "one usable name beside an unusable one is not trusted",
			err: refused(422, "invalid", "rows.0.phone", "bad", "rows.9.phone", "bad"), rows: 3,
			want: verdict{cause: campaign.Unsent, then: halve}},
		{name: "an index that is no number names nobody",
			err: refused(422, "invalid", "rows.*.phone", "bad"), rows: 3,
			want: verdict{cause: campaign.Unsent, then: halve}},
		{name: "too many rows are halved, and remembered",
			err: refused(422, "too many", "rows", "At most 100."), rows: 500,
			want: verdict{cause: campaign.Unsent, then: halve, tooMany: true}},
		{name: "a single row that is too many is rejected",
			err: refused(422, "too many", "rows", "At most 0."), rows: 1,
			want: verdict{cause: campaign.Reject, reason: "422: too many"}},
		{name: "422 about the channel pauses the campaign with the platform's text",
			err: refused(422, "invalid", "channel_id", "The selected channel id is invalid."), rows: 3,
			want: verdict{cause: campaign.Unsent, reason: "the platform refuses the request: The selected channel id is invalid.", then: pauseCampaign}},
		{name: "a field of the request outweighs rows that are named",
			err: refused(422, "invalid", "rows.0.phone", "bad", "webhook.link", "No."), rows: 3,
			want: verdict{cause: campaign.Unsent, reason: "the platform refuses the request: No.", then: pauseCampaign}},
		{name: "a field of the request without a text gives the message",
			err: refused(422, "invalid", "name", ""), rows: 3,
			want: verdict{cause: campaign.Unsent, reason: "the platform refuses the request: invalid", then: pauseCampaign}},
		{name: "422 without fields is halved",
			err: refused(422, "no"), rows: 2, want: verdict{cause: campaign.Unsent, then: halve}},
		{name: "422 without fields rejects a single row, vaguely",
			err: refused(422, "no"), rows: 1, want: verdict{cause: campaign.Reject, reason: "422: no", vague: true}},

		{name: "dispatch names the contact by phone",
			err: refused(422, "invalid", "phone", "bad"), rows: 1, mode: campaign.Dispatch,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "bad"}}},
		{name: "dispatch names the contact by its values",
			err: refused(422, "invalid", "values.name", "bad"), rows: 1, mode: campaign.Dispatch,
			want: verdict{cause: campaign.Unsent, refused: map[int]string{0: "bad"}}},
		{name: "dispatch with a wrong channel pauses the campaign",
			err: refused(422, "invalid", "channel_id", "bad"), rows: 1, mode: campaign.Dispatch,
			want: verdict{cause: campaign.Unsent, reason: "the platform refuses the request: bad", then: pauseCampaign}},

		{name: "400 is halved", err: refused(400, "malformed"), rows: 2, want: verdict{cause: campaign.Unsent, then: halve}},
		{name: "400 rejects a single row, vaguely", err: refused(400, "malformed"), rows: 1,
			want: verdict{cause: campaign.Reject, reason: "400: malformed", vague: true}},
		{name: "413 is halved, and remembered", err: refused(413, "too large"), rows: 2,
			want: verdict{cause: campaign.Unsent, then: halve, tooMany: true}},
		{name: "413 rejects a single row", err: refused(413, "too large"), rows: 1,
			want: verdict{cause: campaign.Reject, reason: "413: too large"}},

		{name: "429 sends again when the quota allows", err: refused(429, "slow down"), rows: 2,
			want: verdict{cause: campaign.Unsent, then: again}},

		{name: "500 is retried", err: refused(500, "oops"), rows: 2,
			want: verdict{cause: campaign.Retry, reason: "500: oops", then: backOff}},
		{name: "503 is retried no sooner than it says",
			err:  &velents.Error{Status: 503, Message: "down", RetryAfter: time.Minute, HasRetryAfter: true},
			rows: 2, want: verdict{cause: campaign.Retry, reason: "503: down", then: backOff, wait: time.Minute}},
		{name: "other 4xx are retried", err: refused(409, "conflict"), rows: 2,
			want: verdict{cause: campaign.Retry, reason: "409: conflict", then: backOff}},
		{name: "502 is retried", err: &velents.Error{Status: 502, Message: "bad gateway"}, rows: 2,
			want: verdict{cause: campaign.Retry, reason: "502: bad gateway", then: backOff}},
		{name: "504 may hide an acceptance", err: refused(504, "timeout"), rows: 2,
			want: verdict{cause: campaign.Lose, reason: "504: timeout"}},
		{name: "524 may hide an acceptance", err: refused(524, "timeout"), rows: 2,
			want: verdict{cause: campaign.Lose, reason: "524: timeout"}},
		{name: "strict doubts any 502", err: refused(502, "bad gateway"), rows: 2, strict: true,
			want: verdict{cause: campaign.Lose, reason: "502: bad gateway"}},
		{name: "strict doubts a 500 that is a page", err: &velents.Error{Status: 500, Message: "page"}, rows: 2, strict: true,
			want: verdict{cause: campaign.Lose, reason: "500: page"}},
		{name: "strict believes the platform's own 500", err: refused(500, "oops"), rows: 2, strict: true,
			want: verdict{cause: campaign.Retry, reason: "500: oops", then: backOff}},
		{name: "a status that does not exist proves nothing", err: refused(999, "?"), rows: 2,
			want: verdict{cause: campaign.Lose, reason: "999: ?"}},

		{name: "no connection: nothing was sent", err: &velents.Unanswered{Err: errors.New("refused")}, rows: 2,
			want: verdict{cause: campaign.Unsent, reason: "not sent: no connection to the platform", then: backOff}},
		{name: "kept from leaving by ourselves: nothing was sent", err: &velents.Unanswered{Err: errNotOurs}, rows: 2,
			want: verdict{cause: campaign.Unsent, then: backOff}},
		{name: "no answer: nobody knows", err: &velents.Unanswered{Sent: true, Err: errors.New("reset")}, rows: 2,
			want: verdict{cause: campaign.Lose, reason: "no answer: the request may have been carried out"}},
		{name: "an error of no known kind: nobody knows", err: errors.New("surprise"), rows: 2,
			want: verdict{cause: campaign.Lose, reason: "no answer: the request may have been carried out"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mode := tt.mode
			if mode == "" {
				mode = campaign.Batch
			}
			got := verdictOf(tt.err, tt.rows, mode, tt.strict)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
	for _, status := range []int{301, 302, 307, 308, 401, 402, 403, 404, 405, 419} {
		t.Run(fmt.Sprintf("%d pauses all campaigns of the agent", status), func(t *testing.T) {
			got := verdictOf(refused(status, "no"), 2, campaign.Batch, true)
			if got.cause != campaign.Unsent || got.then != pauseAgent || got.reason == "" {
				t.Errorf("verdict %+v", got)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{base: 6 * time.Second, max: 10 * time.Minute}
	for _, tt := range []struct {
		name    string
		attempt int
		want    time.Duration
	}{
		{"the first attempt leaves at once", 1, 0},
		{"the second waits the base at the most", 2, 6 * time.Second},
		{"each further one twice as long", 4, 24 * time.Second},
		{"never beyond the longest", 400, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := b.delay(tt.attempt); got != tt.want {
				t.Errorf("delay(%d) = %v, want %v", tt.attempt, got, tt.want)
			}
		})
	}
	for range 1000 {
		if d := jitter(time.Second); d < 0 || d >= time.Second {
			t.Fatalf("jitter(1s) = %v", d)
		}
	}
	if jitter(0) != 0 {
		t.Error("jitter of nothing waits")
	}
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
		{"a failure", velents.Answer{Status: 502}, &velents.Error{Status: 502}, ratelimit.Answer{Status: 502, Failed: true}},
		{"a lost answer", velents.Answer{}, errLostAnswer, ratelimit.Answer{Failed: true}},
		{"nothing sent", velents.Answer{}, &velents.Unanswered{Err: errRedisGone}, ratelimit.Answer{Failed: true, Unsent: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, QuotaAnswer(tt.answer, tt.err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
