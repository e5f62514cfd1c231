package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

func batchOf(size int) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.ChunkSize = size }
}

func dispatching(s *campaign.Settings) { s.Mode, s.ChunkSize = campaign.Dispatch, 50 }

func TestSendAcceptsOnceHoweverOftenItRuns(t *testing.T) {
	for _, tt := range []struct {
		name     string
		edit     func(*campaign.Settings)
		contacts int
		requests int
	}{
		{"batch", batchOf(500), 500, 1},
		{"dispatch", dispatching, 50, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.contacts, tt.edit)
			for range 3 {
				if later := s.send("w1", 0); later != nil {
					t.Errorf("wants to %v", later)
				}
			}
			s.want(map[campaign.State]int{campaign.Accepted: tt.contacts})
			if s.platform.count() != tt.requests || s.quota.acquired != tt.requests || len(s.quota.reported) != tt.requests {
				t.Errorf("%d requests, %d permits, %d reports; want %d", s.platform.count(), s.quota.acquired, len(s.quota.reported), tt.requests)
			}
			if r := s.record(7); r.Attempts != 1 || r.Tries != 1 {
				t.Errorf("record %+v, want one attempt", r)
			}
		})
	}
}

func TestSendTwiceAtOnceContactsOnce(t *testing.T) {
	for _, edit := range []func(*campaign.Settings){batchOf(500), dispatching} {
		s := newStage(t, 50, edit)
		underWay, goOn := make(chan struct{}), make(chan struct{})
		var first sync.Once
		s.platform.answer = func([]velents.Row) error {
			first.Do(func() { close(underWay); <-goOn })
			return nil
		}
		done := make(chan error)
		one, two := s.runner("w1"), s.runner("w2")
		go func() { done <- one.run(context.Background(), store.Ref{Campaign: "c"}) }()
		<-underWay
		if later := s.sendAs(two, 0); later == nil || later.After <= 0 {
			t.Errorf("the second sender does not come back later: %v", later)
		}
		close(goOn)
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.check()
		s.want(map[campaign.State]int{campaign.Accepted: 50})
	}
}

func TestNamedRowsAreRejectedAlone(t *testing.T) {
	s := newStage(t, 500)
	s.platform.answer = refuseNamed(3, 77, 499)
	if later := s.send("w1", 0); later != nil {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 497, campaign.Rejected: 3})
	if diff := cmp.Diff(map[string]int{"The phone field is invalid.": 3}, s.reasons(campaign.Rejected)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{500, 497}, s.platform.requests); diff != "" {
		t.Errorf("rows per request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c/0/0-1", "c/0/0-2"}, s.platform.names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestUnnamedRowsAreFoundByHalving(t *testing.T) {
	s := newStage(t, 500)
	s.platform.answer = refuseUnnamed(0, 250, 499)
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 497, campaign.Rejected: 3})
	if n := s.platform.count(); n > 60 {
		t.Errorf("took %d requests", n)
	}
	if r := s.record(0); r.Attempts != 1 || s.record(1).Attempts != 1 {
		t.Errorf("halving counts as attempts: %+v", r)
	}
}

func TestDispatchRejectsByField(t *testing.T) {
	s := newStage(t, 50, dispatching)
	s.platform.answer = func(rows []velents.Row) error {
		if isOneOf(rows[0], []int{4, 9}) {
			return &velents.Error{Status: 422, Message: "invalid", Fields: map[string][]string{"phone": {"The phone field is invalid."}}}
		}
		return nil
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 48, campaign.Rejected: 2})
}

func TestTooManyRowsAreHalvedAndRemembered(t *testing.T) {
	for _, refusal := range []error{
		&velents.Error{Status: 413, Message: "Request Entity Too Large"},
		&velents.Error{Status: 422, Message: "too many", Fields: map[string][]string{"rows": {"At most 100."}}},
	} {
		s := newStage(t, 1000)
		s.platform.answer = func(rows []velents.Row) error {
			if len(rows) > 100 {
				return refusal
			}
			return nil
		}
		s.send("w1", 0)
		first := s.platform.count()
		s.send("w1", 1)
		s.want(map[campaign.State]int{campaign.Accepted: 1000})
		if second := s.platform.count() - first; second >= first || second > 9 {
			t.Errorf("%d requests for the first chunk, %d for the second", first, second)
		}
	}
}

func TestLargeBodiesAreSplitBeforeTheyLeave(t *testing.T) {
	s := newStage(t, 4, func(c *campaign.Settings) { c.ChunkSize = 4 })
	long := strings.Repeat("x", maxBodyBytes/3)
	read := s.read(s.runner("w1"), 0)
	for i := range read.Contacts {
		read.Contacts[i].Fields[1] = long
	}
	if err := read.pass(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2, 2}, s.platform.requests); diff != "" {
		t.Errorf("rows per request (-want +got):\n%s", diff)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 4})
}

func (s *stage) chunk(n int) *store.Chunk {
	s.t.Helper()
	chunk, err := s.store.ReadChunk(s.t.Context(), store.Ref{Campaign: "c", Chunk: n})
	if err != nil {
		s.t.Fatal(err)
	}
	return chunk
}

func TestVagueRefusalsOfAllPauseTheCampaign(t *testing.T) {
	for _, edit := range []func(*campaign.Settings){batchOf(500), dispatching} {
		s := newStage(t, 50, edit)
		s.platform.answer = refuseAll(400, "Malformed.")
		if later := s.send("w1", 0); later != nil {
			t.Errorf("wants to %v", later)
		}
		s.want(map[campaign.State]int{campaign.Pending: 50})
		phase, reason := s.phase("c")
		if phase != campaign.Paused || !strings.Contains(reason, "400: Malformed.") {
			t.Errorf("campaign is %s because %q", phase, reason)
		}
		if n := s.platform.count(); n > 30 {
			t.Errorf("took %d requests", n)
		}
		if r := s.record(0); r.Attempts != 0 {
			t.Errorf("refusals taken back count as attempts: %+v", r)
		}
	}
}

func TestVagueRefusalsBesideAcceptancesReject(t *testing.T) {
	s := newStage(t, 64)
	bad := make([]int, 12)
	for i := range bad {
		bad[i] = 20 + i
	}
	s.platform.answer = refuseUnnamed(bad...)
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 52, campaign.Rejected: 12})
	if phase, reason := s.phase("c"); phase != campaign.Running {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
}

func TestFaultsOfTheRequestPauseTheCampaign(t *testing.T) {
	s := newStage(t, 500)
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 422, Message: "invalid", Fields: map[string][]string{"channel_id": {"The selected channel id is invalid."}}}
	}
	if later := s.send("w1", 0); later != nil {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Pending: 500})
	phase, reason := s.phase("c")
	if phase != campaign.Paused || !strings.Contains(reason, "The selected channel id is invalid.") {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
	if r := s.record(0); r.Attempts != 0 || s.platform.count() != 1 {
		t.Errorf("%d requests, record %+v", s.platform.count(), r)
	}
}

func TestFaultsOfTheTokenPauseTheAgent(t *testing.T) {
	s := newStage(t, 10)
	s.load("sibling", 10)
	s.load("other", 10, func(c *campaign.Settings) { c.Agent = "other" })
	if err := s.queue.Pause(t.Context(), "sibling", campaign.Text("by hand")); err != nil {
		t.Fatal(err)
	}
	s.load("cousin", 10)
	s.platform.answer = refuseAll(401, "Unauthenticated.")
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Pending: 10})
	for name, want := range map[string]campaign.Phase{
		"c": campaign.Paused, "cousin": campaign.Paused, "sibling": campaign.Paused, "other": campaign.Running,
	} {
		if phase, _ := s.phase(name); phase != want {
			t.Errorf("campaign %s is %s, want %s", name, phase, want)
		}
	}
	if _, reason := s.phase("cousin"); !strings.Contains(reason, "401: Unauthenticated.") || !strings.Contains(reason, "token") {
		t.Errorf("reason %q", reason)
	}
	if _, reason := s.phase("sibling"); reason != "by hand" {
		t.Errorf("a person's reason became %q", reason)
	}
}

func TestServerErrorsAreRetriedUntilTheAttemptsAreUsedUp(t *testing.T) {
	for _, edit := range []func(*campaign.Settings){batchOf(500), dispatching} {
		s := newStage(t, 50, edit)
		s.platform.answer = refuseAll(500, "Server Error")
		for attempt := range 3 {
			later := s.send("w1", 0)
			if last := attempt == 2; last != (later == nil) {
				t.Errorf("attempt %d: wants to %v", attempt+1, later)
			}
			if r := s.record(0); int(r.Attempts) != attempt+1 {
				t.Errorf("attempt %d: record %+v", attempt+1, r)
			}
		}
		s.want(map[campaign.State]int{campaign.Failed: 50})
		if diff := cmp.Diff(map[string]int{"500: Server Error": 50}, s.reasons(campaign.Failed)); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
		if a := s.quota.reported[0]; !a.Failed || a.Unsent {
			t.Errorf("the quota heard %+v", a)
		}
	}
}

func TestOneContactThatMakesThePlatformFailTakesFewWithIt(t *testing.T) {
	s := newStage(t, 500, func(c *campaign.Settings) { c.MaxAttempts = 5 })
	s.platform.answer = func(rows []velents.Row) error {
		for _, r := range rows {
			if isOneOf(r, []int{321}) {
				return &velents.Error{Status: 500, Message: "Server Error", JSON: true}
			}
		}
		return nil
	}
	for s.send("w1", 0) != nil {
	}
	tally, err := s.store.Tally(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if failed := tally.States[campaign.Failed]; failed == 0 || failed > 32 || tally.States[campaign.Accepted] != 500-failed {
		t.Errorf("states %v", tally.States)
	}
	if r := s.record(321); r.State != campaign.Failed || r.Attempts != 5 {
		t.Errorf("record %+v", r)
	}
}

func TestRetryWaitsAsLongAsThePlatformSays(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 500, Message: "down", JSON: true, RetryAfter: time.Hour, HasRetryAfter: true}
	}
	if later := s.send("w1", 0); later == nil || later.After < time.Hour {
		t.Errorf("wants to %v", later)
	}
}

func TestOneBadPieceDoesNotHoldUpTheOthers(t *testing.T) {
	s := newStage(t, 50, dispatching)
	s.platform.answer = func(rows []velents.Row) error {
		if isOneOf(rows[0], []int{0, 1, 2, 3, 4, 5}) {
			return &velents.Error{Status: 500, Message: "oops", JSON: true}
		}
		return nil
	}
	if later := s.send("w1", 0); later == nil {
		t.Error("does not come back")
	}
	s.want(map[campaign.State]int{campaign.Accepted: 44, campaign.Pending: 6})
}

func TestRateLimitSendsAgainWithoutAnAttempt(t *testing.T) {
	s := newStage(t, 5)
	refused := false
	s.platform.answer = func([]velents.Row) error {
		if !refused {
			refused = true
			return &velents.Error{Status: 429, Message: "Too Many Attempts.", RetryAfter: 7 * time.Second, HasRetryAfter: true}
		}
		return nil
	}
	if later := s.send("w1", 0); later != nil {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 5})
	if r := s.record(0); r.Attempts != 1 {
		t.Errorf("record %+v, want one attempt", r)
	}
	if a := s.quota.reported[0]; a.Status != 200 || a.RetryAfter != 7*time.Second || !a.HasRetryAfter {
		t.Errorf("the quota heard %+v", a)
	}
}

func TestUnsentIsNoAttempt(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = func([]velents.Row) error { return &velents.Unanswered{Err: errors.New("refused")} }
	for range 5 {
		if later := s.send("w1", 0); later == nil {
			t.Error("does not come back")
		}
	}
	s.want(map[campaign.State]int{campaign.Pending: 5})
	if r := s.record(0); r.Attempts != 0 {
		t.Errorf("record %+v, want no attempt", r)
	}
	if a := s.quota.reported[0]; !a.Failed || !a.Unsent {
		t.Errorf("the quota heard %+v", a)
	}
}

func TestLostAnswersAreNeverSentAgainByThemselves(t *testing.T) {
	for _, edit := range []func(*campaign.Settings){batchOf(500), dispatching} {
		s := newStage(t, 50, edit)
		s.platform.answer = func([]velents.Row) error { return errLostAnswer }
		for range 3 {
			if later := s.send("w1", 0); later != nil {
				t.Errorf("wants to %v", later)
			}
		}
		s.want(map[campaign.State]int{campaign.Unconfirmed: 50})
	}
}

func TestDeadSendersContactsAreUnconfirmed(t *testing.T) {
	s := newStage(t, 50)
	s.begin("dead/1", 20)
	if later := s.send("w1", 0); later != nil {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Unconfirmed: 20, campaign.Accepted: 30})
}

// begin marks the first n contacts of chunk 0 as sending under a claim.
func (s *stage) begin(token string, n int) *store.Chunk {
	s.t.Helper()
	chunk := s.chunk(0)
	contacts := make([]int, n)
	for i := range contacts {
		contacts[i] = i
	}
	_, err := s.store.Apply(s.t.Context(), chunk, store.Change{
		Act: store.Begin, Token: token, ClaimTTL: time.Hour, Due: timings.KeepDue, Moves: sending.Moves(contacts, campaign.Send, 0),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return chunk
}

func TestLivingSendersAreLeftAlone(t *testing.T) {
	s := newStage(t, 50)
	s.runner("other")
	s.begin("other/1", 20)
	if later := s.send("w1", 0); later == nil || later.After > timings.BusyWait {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Sending: 20, campaign.Pending: 30})
	if s.platform.count() != 0 {
		t.Error("sent beside a living sender")
	}
}

func TestOnlyTheSteadyTakeOthersForDead(t *testing.T) {
	s := newStage(t, 50)
	s.begin("dead/1", 20)
	runner := s.runner("w1")
	runner.steady = func(time.Time) bool { return false }
	if later := s.sendAs(runner, 0); later == nil {
		t.Error("does not come back")
	}
	s.want(map[campaign.State]int{campaign.Sending: 20, campaign.Pending: 30})
}

func TestAnswerAfterTheClaimWasTakenOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		want   map[campaign.State]int
	}{
		{"a late acceptance is evidence", nil, map[campaign.State]int{campaign.Accepted: 10}},
		{"a late refusal changes nothing", &velents.Error{Status: 500, Message: "oops"}, map[campaign.State]int{campaign.Unconfirmed: 10}},
		{"a late rejection changes nothing", &velents.Error{Status: 413, Message: "large"}, map[campaign.State]int{campaign.Unconfirmed: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 10)
			frozen := s.runner("frozen")
			s.platform.answer = func([]velents.Row) error {
				// Meanwhile the others take this worker for dead.
				if err := s.store.Goodbye(t.Context(), "frozen"); err != nil {
					t.Error(err)
				}
				if _, err := s.queue.recoverClaim(t.Context(), s.now(), s.chunk(0), true); err != nil {
					t.Error(err)
				}
				s.want(map[campaign.State]int{campaign.Unconfirmed: 10})
				return tt.answer
			}
			s.sendAs(frozen, 0)
			s.want(tt.want)
		})
	}
}

func TestGuardKeepsADeadWorkerFromSending(t *testing.T) {
	s := newStage(t, 10)
	runner, looks := s.runner("w1"), 0
	runner.sender.Worker.Alive = func(time.Time) bool { looks++; return looks == 1 }
	runner.sender.Platform = guardedPlatform{}
	if later := s.sendAs(runner, 0); later == nil {
		t.Error("does not come back")
	}
	s.want(map[campaign.State]int{campaign.Pending: 10})
	if s.quota.returned != 1 || len(s.quota.reported) != 0 {
		t.Errorf("%d permits returned, %d reported: nothing was sent", s.quota.returned, len(s.quota.reported))
	}
}

func TestADeadWorkerBeginsNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		looks int // at its heartbeat that still find it alive
		begun int
	}{
		{"dead before it begins", 0, 0},
		{"dead before the first request leaves", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 10)
			if err := s.store.LowerRequestRows(t.Context(), "c", 2); err != nil {
				t.Fatal(err)
			}
			runner, looks := s.runner("w1"), 0
			runner.sender.Worker.Alive = func(time.Time) bool { looks++; return looks <= tt.looks }
			runner.sender.Platform = guardedPlatform{}
			if later := s.sendAs(runner, 0); later == nil {
				t.Error("does not come back")
			}
			s.want(map[campaign.State]int{campaign.Pending: 10})
			begun, _ := s.rdb.HGet(t.Context(), "c:{c}:k:0", "requests").Int()
			if begun != tt.begun || s.quota.returned != 1 {
				t.Errorf("%d of 5 requests begun and %d permits returned, want %d and 1", begun, s.quota.returned, tt.begun)
			}
		})
	}
}

// A guardedPlatform sends to nowhere, through the real client and its guard.
type guardedPlatform struct{ sending.Platform }

func (guardedPlatform) Batch(ctx context.Context, b velents.Batch) (velents.Answer, error) {
	client, err := velents.New(velents.Config{BaseURL: "http://127.0.0.1:1", Token: "t", Dial: discardDial})
	if err != nil {
		return velents.Answer{}, err
	}
	return client.Batch(ctx, b)
}

func TestPhasesThatSendNobody(t *testing.T) {
	ctx := t.Context()
	t.Run("paused", func(t *testing.T) {
		s := newStage(t, 10)
		if err := s.queue.Pause(ctx, "c", campaign.Message{}); err != nil {
			t.Fatal(err)
		}
		if later := s.send("w1", 0); later != nil {
			t.Errorf("wants to %v", later)
		}
		s.want(map[campaign.State]int{campaign.Pending: 10})
	})
	t.Run("paused while the request is on its way", func(t *testing.T) {
		s := newStage(t, 10, batchOf(10))
		s.platform.answer = func(rows []velents.Row) error {
			if err := s.queue.Pause(ctx, "c", campaign.Message{}); err != nil {
				t.Error(err)
			}
			return refuseNamed(3)(rows)
		}
		if later := s.send("w1", 0); later != nil {
			t.Errorf("wants to %v", later)
		}
		s.want(map[campaign.State]int{campaign.Rejected: 1, campaign.Pending: 9})
	})
	t.Run("canceled", func(t *testing.T) {
		s := newStage(t, 10)
		if _, _, err := s.store.SetPhase(ctx, "c", campaign.CanceledPhase, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Canceled: 10})
	})
	t.Run("still loading", func(t *testing.T) {
		s := newStage(t, 10)
		if err := s.rdb.HSet(ctx, "c:{c}", "phase", "loading").Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.runner("w1").run(ctx, store.Ref{Campaign: "c"}); err != nil {
			t.Error(err)
		}
		if s.platform.count() != 0 {
			t.Error("sent before the load was finished")
		}
	})
	t.Run("no such campaign or chunk", func(t *testing.T) {
		s := newStage(t, 10)
		for _, ref := range []store.Ref{{Campaign: "nobody"}, {Campaign: "c", Chunk: 9}} {
			if err := s.runner("w1").run(ctx, ref); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
		}
	})
}

func TestDrainingSenderLeavesTheRest(t *testing.T) {
	s := newStage(t, 50, dispatching)
	runner := s.runner("w1")
	var drain context.CancelFunc
	runner.sender.Worker.Stopping, drain = context.WithCancel(t.Context())
	s.platform.answer = func([]velents.Row) error { drain(); return nil }
	later := s.sendAs(runner, 0)
	if later == nil || later.After != 0 {
		t.Errorf("wants to %v, want at once", later)
	}
	sent := len(s.platform.contacted())
	if sent == 0 || sent > dispatchesAtFirst {
		t.Errorf("%d contacts were sent after the drain", sent)
	}
	s.want(map[campaign.State]int{campaign.Accepted: sent, campaign.Pending: 50 - sent})
	if s.chunk(0).Claim != "" {
		t.Error("the claim was not given up")
	}
}

// The claim goes with the last answer: a chunk that is through costs no further
// change.
func TestTheLastAnswerGivesTheClaimUp(t *testing.T) {
	s := newStage(t, 3)
	const many = 100
	counted := &flakyRedis{on: string(store.Commit), spare: many}
	s.rdb.AddHook(counted)
	if later := s.send("w1", 0); later != nil {
		t.Errorf("wants to come back: %v", later)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 3})
	if n := many - counted.spare; n != 1 {
		t.Errorf("%d changes after the request, want 1", n)
	}
	if s.chunk(0).Claim != "" {
		t.Error("the claim was not given up")
	}
}

func TestRedisFaultsAroundARequest(t *testing.T) {
	for _, tt := range []struct {
		name    string
		faults  *flakyRedis
		want    map[campaign.State]int
		sent    bool
		wantErr bool
	}{
		{"the answer to a begin is lost: nothing is sent, nobody is unconfirmed",
			&flakyRedis{on: "begin", lose: 1}, map[campaign.State]int{campaign.Pending: 10}, false, true},
		{"a begin never arrives", &flakyRedis{on: "begin", refuse: 1}, map[campaign.State]int{campaign.Pending: 10}, false, true},
		{"the answer to a commit is lost: it is written once", &flakyRedis{on: "commit", lose: 1}, map[campaign.State]int{campaign.Accepted: 10}, true, false},
		{"a commit arrives when Redis is back", &flakyRedis{on: "commit", refuse: 2}, map[campaign.State]int{campaign.Accepted: 10}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 10)
			runner := s.runner("w1")
			s.rdb.AddHook(tt.faults)
			err := runner.run(t.Context(), store.Ref{Campaign: "c"})
			if (err != nil) != tt.wantErr || (err != nil && !errors.Is(err, errRedisGone)) {
				t.Errorf("error %v", err)
			}
			s.check()
			s.want(tt.want)
			if sent := s.platform.count() > 0; sent != tt.sent {
				t.Errorf("sent: %v", sent)
			}
			if keys := s.reserved(); len(keys) > 0 {
				t.Errorf("%d numbers are still reserved", len(keys))
			}
			s.send("w1", 0)
			s.want(map[campaign.State]int{campaign.Accepted: 10})
		})
	}
}

// go-redis repeats a call whose answer was lost, and the second answer is not
// always that of the first.
func TestABeginThatIsRepeatedAfterAPauseLeavesNobodyUnconfirmed(t *testing.T) {
	for name, meanwhile := range map[string]func(s *stage) error{
		"paused": func(s *stage) error { return s.queue.Pause(t.Context(), "c", campaign.Message{}) },
		"set otherwise": func(s *stage) error {
			return s.rdb.HIncrBy(t.Context(), "c:{c}", "settings_version", 1).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 10)
			runner := s.runner("w1")
			s.rdb.AddHook(&flakyRedis{on: "begin", again: func() {
				if err := meanwhile(s); err != nil {
					t.Error(err)
				}
			}})
			err := runner.run(t.Context(), store.Ref{Campaign: "c"})
			if later := new(sending.ComeBack); err != nil && !errors.As(err, &later) {
				t.Errorf("error %v", err)
			}
			s.check()
			s.want(map[campaign.State]int{campaign.Pending: 10})
			if n := s.platform.count(); n != 0 {
				t.Errorf("%d requests", n)
			}
			if s.chunk(0).Claim != "" {
				t.Error("the claim was not given up")
			}
		})
	}
}

// A trace of proof/claim.pml: the begin is carried out, its answer is lost, one of the
// contacts turns out to have been reached, and the begin is repeated.
func TestABeginThatIsRepeatedAfterEvidenceLeavesNobodyUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStageOn(t, newColdRedis(t).client(t), 10)
		s.platform.answer = refuseAll(500, "oops")
		s.send("w1", 0) // everybody has an attempt now
		s.platform.answer = func([]velents.Row) error { return nil }
		runner := s.runner("w1")
		repeat := &flakyRedis{on: "begin"}
		repeat.again = func() {
			time.Sleep(time.Second) // records hold seconds
			if _, err := s.store.Apply(t.Context(), s.chunk(0), store.Change{Act: store.Commit, Moves: sending.Moves([]int{2}, campaign.Start, 0)}); err != nil {
				t.Error(err)
			}
		}
		s.rdb.AddHook(repeat)
		s.sendAs(runner, 0)
		s.check()
		s.want(map[campaign.State]int{campaign.Accepted: 9, campaign.Started: 1})
	})
}

func TestEvidenceThatComesBeforeTheRequestKeepsItFromLeaving(t *testing.T) {
	s := newStage(t, 10)
	s.platform.answer = refuseAll(500, "oops")
	s.send("w1", 0) // everybody has an attempt now
	s.platform.answer = func([]velents.Row) error { return nil }

	// Two of them turn out to have been reached, after the chunk has been read.
	read := s.read(s.runner("w1"), 0)
	_, err := s.store.Apply(t.Context(), s.chunk(0), store.Change{Act: store.Commit, Moves: sending.Moves([]int{2, 5}, campaign.Start, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := read.pass(); err != nil {
		t.Fatal(err)
	}
	s.check()
	s.want(map[campaign.State]int{campaign.Accepted: 8, campaign.Started: 2})
	for _, i := range []int{2, 5} {
		if s.platform.contacted()[phoneOf(i).E164()] != 0 {
			t.Errorf("contact %d was sent although the platform had it", i)
		}
	}
}

func TestMaxAttemptsCountPerRun(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = refuseAll(500, "oops")
	for range 3 {
		s.send("w1", 0)
	}
	s.want(map[campaign.State]int{campaign.Failed: 5})
	if done, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Failed}}); done.Contacts != 5 || err != nil {
		t.Fatal(done, err)
	}
	s.send("w1", 0)
	if r := s.record(0); r.State != campaign.Pending || r.Attempts != 4 || r.Tries != 1 || r.Run != 1 {
		t.Errorf("record %+v", r)
	}
}

// Who has seen some contacts, and agreed that they are sent again, has not agreed to more, nor
// to those that somebody else has sent again since.
func TestARerunIsBoundByWhatWasSeen(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = refuseAll(500, "oops")
	for range 3 {
		s.send("w1", 0)
	}
	s.want(map[campaign.State]int{campaign.Failed: 5})
	for _, seen := range []Seen{{Contacts: 4}, {Contacts: 5, Run: 1}} {
		_, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Failed}, Seen: &seen})
		if !errors.Is(err, ErrMoreChosen) {
			t.Errorf("%+v: %v", seen, err)
		}
		s.want(map[campaign.State]int{campaign.Failed: 5})
	}
	done, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Failed}, Seen: &Seen{Contacts: 5}})
	if err != nil || done.Contacts != 5 {
		t.Error(done, err)
	}
	s.want(map[campaign.State]int{campaign.Pending: 5})
}

func TestAChunkThatRedisForgotIsHeld(t *testing.T) {
	t.Run("of a campaign that runs", func(t *testing.T) { holdForgotten(t, campaign.Running) })
	t.Run("of a campaign that something else has paused", func(t *testing.T) { holdForgotten(t, campaign.Paused) })
	t.Run("of a campaign that waits for a person", func(t *testing.T) { holdForgotten(t, campaign.Ready) })
}

func holdForgotten(t *testing.T, phase campaign.Phase) {
	s := newStage(t, 10)
	ctx := t.Context()
	runner := s.runner("w1")
	forget := s.remember()
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 10})
	forget()
	s.want(map[campaign.State]int{campaign.Pending: 10})
	switch phase {
	case campaign.Paused:
		if err := s.queue.Pause(ctx, "c", campaign.Text("the platform is down")); err != nil {
			t.Fatal(err)
		}
	case campaign.Ready:
		if _, _, err := s.store.SetPhase(ctx, "c", campaign.Ready, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		s.sendAs(runner, 0)
		if _, err := s.start("c"); err != nil {
			t.Fatal(err)
		}
	}
	if later := s.sendAs(runner, 0); later != nil {
		t.Errorf("wants to %v", later)
	}
	s.want(map[campaign.State]int{campaign.Pending: 10})
	if phase, reason := s.phase("c"); phase != campaign.Paused || !strings.Contains(reason, "Redis has lost writes: chunk 0") {
		t.Errorf("campaign is %s because %q", phase, reason)
	}

	// Resumed, it is sent: a person has looked.
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	s.platform.forget()
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 10})
}

// reachedAtTheSecond has ten contacts reached at their second attempt, and Redis forgets that.
func reachedAtTheSecond(t *testing.T) (s *stage, r *runner, forget func()) {
	s = newStage(t, 10)
	r = s.runner("w1")
	s.platform.answer = refuseAll(500, "oops")
	s.sendAs(r, 0)
	s.platform.answer = func([]velents.Row) error { return nil }
	forget = s.remember()
	s.sendAs(r, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 10})
	return s, r, forget
}

// Redis loses its last writes, and then the pause by which the worker told of that, or the
// resumption as well. Events make up for changes meanwhile.
func TestAPauseThatRedisForgetsIsMadeAgain(t *testing.T) {
	s, runner, forget := reachedAtTheSecond(t)
	s.platform.forget()
	for i := range 3 {
		forget()
		event := store.Change{Act: store.Commit, Moves: sending.Moves([]int{i}, campaign.Start, 0)}
		for range 3 {
			if _, err := s.store.Apply(t.Context(), s.chunk(0), event); err != nil {
				t.Fatal(err)
			}
		}
		s.sendAs(runner, 0)
		if phase, reason := s.phase("c"); phase != campaign.Paused || !strings.Contains(reason, "Redis has lost writes: chunk 0") {
			t.Errorf("campaign is %s because %q", phase, reason)
		}
	}
	if n := len(s.platform.contacted()); n != 0 {
		t.Errorf("%d are contacted before a person has looked", n)
	}
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 9, campaign.Started: 1})
	if n := len(s.platform.contacted()); n != 9 {
		t.Errorf("%d are contacted", n)
	}

	forget()
	s.platform.forget()
	s.sendAs(runner, 0)
	if n := len(s.platform.contacted()); n != 0 {
		t.Errorf("%d are contacted after the resumption was lost", n)
	}
}

// Redis loses a request that all were reached by. Then events make up for the changes that
// were lost with it.
func TestEventsDoNotHideThatRedisForgotAChunk(t *testing.T) {
	s, runner, forget := reachedAtTheSecond(t)
	ctx := t.Context()
	seen := s.chunk(0).Version
	forget()
	for i := 0; s.chunk(0).Version <= seen; i++ {
		event := store.Change{Act: store.Commit, Moves: sending.Moves([]int{i}, campaign.Start, 0)}
		if _, err := s.store.Apply(ctx, s.chunk(0), event); err != nil {
			t.Fatal(err)
		}
	}
	s.platform.forget()
	s.sendAs(runner, 0)
	if n := len(s.platform.contacted()); n != 0 {
		t.Errorf("%d are contacted again", n)
	}
	if phase, reason := s.phase("c"); phase != campaign.Paused || !strings.Contains(reason, "Redis has lost writes: chunk 0") {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
}

// Redis loses the begin of a request that is on its way.
func TestAWorkerSendsAChunkOnceAtATime(t *testing.T) {
	s := newStage(t, 10)
	runner := s.runner("w1")
	forget := s.remember()
	var second *sending.ComeBack
	s.platform.answer = func([]velents.Row) error {
		if s.platform.count() > 0 {
			return nil
		}
		s.platform.answer = refuseNamed()
		forget()
		second = s.sendAs(runner, 0)
		return nil
	}
	s.sendAs(runner, 0)
	if second == nil || second.Why != "this worker is sending it" {
		t.Errorf("the second pass: %v", second)
	}
	if n := s.platform.contacted()[phoneOf(0).E164()]; n != 1 {
		t.Errorf("contacted %d times", n)
	}
}

func TestAChunkIsHeldWhenTheLogHasLostItsEnd(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	rdb := server.Client()
	s := newStageOn(t, rdb, 10)
	runner := s.runner("w1")
	logs, err := filepath.Glob(filepath.Join(rdb.ConfigGet(t.Context(), "dir").Val()["dir"], "appendonlydir", "*.incr.aof"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	before, err := os.Stat(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 10})

	server.Kill()
	if err := os.Truncate(logs[0], before.Size()); err != nil {
		t.Fatal(err)
	}
	server.Restart(t)
	s.want(map[campaign.State]int{campaign.Pending: 10})
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Pending: 10})
	if phase, reason := s.phase("c"); phase != campaign.Paused || !strings.Contains(reason, "Redis has lost writes") {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
}

func TestVersionsAreBounded(t *testing.T) {
	m := newVersions()
	for n := range versionsKept + 10 {
		m.keep(campaign.Campaign{}, &store.Chunk{Ref: store.Ref{Chunk: n}, Version: 1})
	}
	if len(m.seen) > versionsKept {
		t.Errorf("keeps %d chunks", len(m.seen))
	}
}

func ExampleQueue_names() {
	fmt.Println(queueName("default", campaign.Urgent), queueName("default", campaign.Normal), queueName("default", campaign.Bulk))
	// Output: default-urgent default default-bulk
}

func TestEightVagueRefusalsInARowPauseTheCampaign(t *testing.T) {
	for contacts, want := range map[int]campaign.Phase{7: campaign.Running, 8: campaign.Paused} {
		s := newStage(t, contacts, dispatching)
		s.platform.answer = refuseAll(400, "Bad Request")
		s.load("rest", 1) // so that it is not finished by that
		s.send("w", 0)
		if phase, reason := s.phase("c"); phase != want {
			t.Errorf("after %d it is %s: %s", contacts, phase, reason)
		}
		if want == campaign.Paused {
			s.want(map[campaign.State]int{campaign.Pending: contacts})
		} else {
			s.want(map[campaign.State]int{campaign.Rejected: contacts})
		}
	}
}

func TestRetriesOfDifferentCountsShareNoRequest(t *testing.T) {
	s := newStage(t, 12, batchOf(12))
	// The first four have failed once, the next four twice.
	var chunk *store.Chunk
	for try, contacts := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 6, 7}} {
		chunk = s.chunk(0)
		for _, step := range []store.Change{
			{Act: store.Begin, Token: fmt.Sprint("w/", try), ClaimTTL: time.Hour, Due: timings.KeepDue, Moves: sending.Moves(contacts, campaign.Send, 0)},
			{Act: store.Commit, Token: fmt.Sprint("w/", try), Moves: sending.Moves(contacts, campaign.Retry, 0)},
		} {
			if _, err := s.store.Apply(t.Context(), chunk, step); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.send("w", 0)
	if diff := cmp.Diff([]int{4, 3, 1, 4}, s.platform.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A 401 is told in the campaigns that it stops, and in no other's log.
func TestAFaultOfTheTokenIsNotLoggedByWhatIsOver(t *testing.T) {
	s := newStage(t, 10)
	s.load("cousin", 10)
	for _, name := range []string{"over", "halted", "waiting"} {
		s.load(name, 10)
	}
	if err := s.rdb.HSet(t.Context(), "c:{bad}", "settings", "{", "phase", "running").Err(); err != nil {
		t.Fatal(err)
	}
	s.rdb.ZAdd(t.Context(), "live", redis.Z{Member: "bad"}) // it makes trouble, and keeps no other from being paused
	if err := s.queue.Pause(t.Context(), "halted", campaign.Text("by hand")); err != nil {
		t.Fatal(err)
	}
	s.rdb.HSet(t.Context(), "c:{waiting}", "phase", "ready")
	err := s.runner("w").run(t.Context(), store.Ref{Campaign: "over"})
	if err != nil {
		t.Fatal(err)
	}
	s.platform.forget()
	s.platform.answer = refuseAll(401, "Unauthenticated.")
	if err := s.runner("w").run(t.Context(), store.Ref{Campaign: "c"}); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("the one that makes trouble is not told: %v", err)
	}
	for name, pauses := range map[string]int{"c": 1, "cousin": 1, "over": 0, "halted": 1, "waiting": 0} {
		got := 0
		log := s.store.ReadLog(name)
		for {
			d, ok, err := log.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if d.Action == store.ActionPause {
				got++
			}
		}
		if got != pauses {
			t.Errorf("%s has %d pauses in its log, want %d", name, got, pauses)
		}
	}
	if phase, reason := s.phase("over"); phase != campaign.Running {
		t.Errorf("the finished one became %s: %s", phase, reason)
	}
	if phase, _ := s.phase("c"); phase != campaign.Paused {
		t.Errorf("c is %s", phase)
	}
}

func TestNamedRowsCostOnePermitMore(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = refuseNamed(1, 3)
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Rejected: 2, campaign.Accepted: 3})
	if s.quota.acquired != 2 {
		t.Errorf("%d permits, want 2", s.quota.acquired)
	}
}

func TestARetryWaits(t *testing.T) {
	s := newStage(t, 5)
	s.platform.answer = refuseAll(500, "down")
	if later := s.send("w1", 0); later == nil || later.After <= 0 || later.After > 12*time.Second {
		t.Errorf("comes back %+v", later)
	}
}

// A firewall refuses rows between others that it lets through.
func TestRefusalsAreInARowOnlyWithoutAnAcceptance(t *testing.T) {
	s := newStage(t, 10, func(c *campaign.Settings) { c.RowsPerRequest = 1 })
	request := 0
	s.platform.answer = func([]velents.Row) error {
		if request++; request == 1 || request == vagueLimit+1 {
			return nil
		}
		return &velents.Error{Status: 403, Page: true, Message: "blocked"}
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 2, campaign.Rejected: 8})
	if phase, _ := s.phase("c"); phase != campaign.Running {
		t.Errorf("campaign is %s", phase)
	}
}

func TestAChunkThatAnotherHasJustTakenIsLeftToIt(t *testing.T) {
	s := newStage(t, 3)
	taken := false
	s.rdb.AddHook(beforeArg{"begin", func() {
		if !taken {
			taken = true
			s.begin("other/1", 1)
		}
	}})
	if later := s.send("w1", 0); later == nil || later.After < time.Second {
		t.Errorf("comes back %+v", later)
	}
	s.want(map[campaign.State]int{campaign.Sending: 1, campaign.Pending: 2})
}
