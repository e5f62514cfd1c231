package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/sending"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A stage is a real Redis with one loaded campaign, and a platform that answers
// as the test says and keeps which numbers it really contacted.
type stage struct {
	t        *testing.T
	rdb      *redis.Client
	store    *store.Store
	queue    *Queue
	platform *fakePlatform
	quota    *openQuota
	campaign campaign.Campaign
}

// newStage loads a campaign named "c" of that many contacts, whose numbers are
// phoneOf(0), phoneOf(1), …
func newStage(t *testing.T, contacts int, edit ...func(*campaign.Settings)) *stage {
	t.Helper()
	return newStageOn(t, redistest.Shared(t), contacts, edit...)
}

func newStageOn(t *testing.T, rdb *redis.Client, contacts int, edit ...func(*campaign.Settings)) *stage {
	t.Helper()
	s := &stage{t: t, rdb: rdb, store: store.New(rdb), platform: newFakePlatform(), quota: &openQuota{}}
	s.queue = NewQueue(s.store, nil)
	s.campaign = s.load("c", contacts, edit...)
	return s
}

func (s *stage) load(name string, contacts int, edit ...func(*campaign.Settings)) campaign.Campaign {
	s.t.Helper()
	settings := campaigntest.Settings(500, campaign.Column{Name: "phone"}, campaign.Column{Name: "name", Key: "name"})
	settings.MaxAttempts = 3
	for _, e := range edit {
		e(&settings)
	}
	people := campaigntest.People(phoneOf(0), contacts, func(i int, number string) []string { return []string{number, fmt.Sprint("name ", i)} })
	return campaigntest.Fixture{Store: s.store, T: s.t}.Load(campaigntest.List{Name: name, Settings: settings, Contacts: people})
}

func phoneOf(i int) campaign.Phone { return campaign.Phone(966500000000 + i) }

// runner is a worker's runner for the stage's agent. The worker has a heartbeat.
func (s *stage) runner(worker string) *runner {
	s.t.Helper()
	if err := s.store.Heartbeat(s.t.Context(), store.Worker{ID: worker}); err != nil {
		s.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &runner{
		store: s.store, queue: s.queue, versions: newVersions(), steady: always, log: log,
		sender: &sending.Sender{
			Store: s.store, Queue: s.queue, Platform: s.platform, Quota: s.quota, Log: log,
			Worker: sending.Worker{ID: worker, By: s.queue.by, Alive: always, Stopping: context.Background(), RequestTimeout: time.Minute, Turn: time.Hour},
		},
	}
}

// run does what a task asks for, and drops its result.
func (r *runner) run(ctx context.Context, ref store.Ref) error {
	_, err := r.work(ctx, ref)
	return err
}

// remember takes Redis back, when forget is called, to what it holds of chunk 0 now.
func (s *stage) remember() (forget func()) {
	ctx := s.t.Context()
	ledger, chunk := s.rdb.Get(ctx, "c:{c}:l:0").Val(), s.rdb.HGetAll(ctx, "c:{c}:k:0").Val()
	tally, head := s.rdb.HGetAll(ctx, "c:{c}:tally").Val(), s.rdb.HGetAll(ctx, "c:{c}").Val()
	return func() {
		s.rdb.Set(ctx, "c:{c}:l:0", ledger, 0)
		for key, was := range map[string]map[string]string{"c:{c}:k:0": chunk, "c:{c}:tally": tally, "c:{c}": head} {
			s.rdb.Del(ctx, key)
			s.rdb.HSet(ctx, key, was)
		}
		s.rdb.ZAdd(ctx, "c:{c}:open", redis.Z{Member: 0})
	}
}

func always(time.Time) bool { return true }

// send runs the task of a chunk once and returns its wish to come back, if any.
func (s *stage) send(worker string, chunk int) *sending.ComeBack {
	s.t.Helper()
	return s.sendAs(s.runner(worker), chunk)
}

func (s *stage) sendAs(runner *runner, chunk int) *sending.ComeBack {
	s.t.Helper()
	err := runner.run(s.t.Context(), store.Ref{Campaign: "c", Chunk: chunk})
	var later *sending.ComeBack
	if err != nil && !errors.As(err, &later) {
		s.t.Fatal(err)
	}
	s.check()
	return later
}

// As package sending has them.
const (
	maxBodyBytes = 900_000
	vagueLimit   = 8

	dispatchesAtFirst  = 4
	dispatchesInFlight = 32
	longestIdle        = 24 * time.Hour
)

// A reading is chunk of campaign "c" as a worker has read it. pass sends it.
type reading struct {
	*store.Chunk
	pass func() error
}

func (s *stage) read(runner *runner, n int) reading {
	s.t.Helper()
	c, chunk := s.now(), s.chunk(n)
	return reading{chunk, func() error { _, err := runner.sender.Pass(s.t.Context(), c, chunk); return err }}
}

// check is what must hold at every moment: the states add up, and nobody was
// contacted twice.
func (s *stage) check() {
	s.t.Helper()
	v, err := s.store.Verify(context.WithoutCancel(s.t.Context()), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, problem := range v.Problems {
		s.t.Error(problem)
	}
	for phone, times := range s.platform.contacted() {
		if times > 1 {
			s.t.Errorf("%s was contacted %d times", phone, times)
		}
	}
}

// want checks the number of contacts in each state; states not named are empty.
func (s *stage) want(want map[campaign.State]int) {
	s.t.Helper()
	tally, err := s.store.Tally(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, state := range campaign.States() {
		if got := tally.States[state]; got != want[state] {
			s.t.Errorf("%d contacts are %s, want %d", got, state, want[state])
		}
	}
}

// reasons are the texts of the contacts in a state, with their number.
func (s *stage) reasons(state campaign.State) map[string]int {
	s.t.Helper()
	tally, err := s.store.Tally(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	texts, err := s.store.Reasons(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	reasons := make(map[string]int)
	for at, n := range tally.Reasons {
		if at.State == state {
			reasons[texts[at.Reason].String()] = n
		}
	}
	return reasons
}

// resume and start set a campaign running, whatever it stands still for.
func (s *stage) resume(q *Queue, name string) (chunks int, err error) {
	return s.asItIs(q.Resume, name)
}
func (s *stage) start(name string) (chunks int, err error) { return s.asItIs(s.queue.Start, name) }

func (s *stage) asItIs(do func(context.Context, campaign.Campaign) (int, error), name string) (chunks int, err error) {
	c, err := s.store.Campaign(s.t.Context(), name)
	if err != nil {
		return 0, err
	}
	return do(s.t.Context(), c)
}

// phase is the stored phase of a campaign with its reason.
func (s *stage) phase(name string) (campaign.Phase, string) {
	s.t.Helper()
	c, err := s.store.Campaign(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Phase, c.PhaseReason.String()
}

// record is what is known of contact i of chunk 0.
func (s *stage) record(i int) campaign.Record {
	s.t.Helper()
	chunk, err := s.store.ReadLedger(s.t.Context(), store.Ref{Campaign: "c"})
	if err != nil {
		s.t.Fatal(err)
	}
	return chunk.Record(i)
}

// A fakePlatform answers requests as answer says; nil accepts. It carries out
// what it accepts, and what it loses the answer of.
type fakePlatform struct {
	answer  func(rows []velents.Row) error
	headers bool // of the rate limit come with every answer

	mu       sync.Mutex
	requests []int // rows of each
	names    []string
	times    map[string]int
}

func newFakePlatform() *fakePlatform {
	return &fakePlatform{answer: func([]velents.Row) error { return nil }, times: make(map[string]int)}
}

// errLostAnswer is carried out, but its answer never comes.
var errLostAnswer = &velents.Unanswered{Sent: true, Err: errors.New("reset")}

func (p *fakePlatform) Batch(_ context.Context, b velents.Batch) (velents.Answer, error) {
	return p.request(b.Name, b.Rows)
}

func (p *fakePlatform) Dispatch(_ context.Context, d velents.Dispatch) (velents.Answer, error) {
	return p.request("", []velents.Row{{Phone: d.Phone, Values: d.Values}})
}

func (p *fakePlatform) request(name string, rows []velents.Row) (velents.Answer, error) {
	err := p.answer(rows)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.names = append(p.requests, len(rows)), append(p.names, name)
	if err == nil || err == error(errLostAnswer) {
		for _, r := range rows {
			p.times[r.Phone]++
		}
	}
	return velents.Answer{Status: 200, RateHeaders: p.headers}, err
}

func (p *fakePlatform) contacted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := make(map[string]int, len(p.times))
	for phone, n := range p.times {
		times[phone] = n
	}
	return times
}

// forget makes the platform's book of contacts empty.
func (p *fakePlatform) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.times)
}

func (p *fakePlatform) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

// refuseNamed refuses rows whose number is one of the bad, by name.
func refuseNamed(bad ...int) func([]velents.Row) error {
	return func(rows []velents.Row) error {
		fields := make(map[string][]string)
		for i, r := range rows {
			if isOneOf(r, bad) {
				fields[fmt.Sprintf("rows.%d.phone", i)] = []string{fmt.Sprintf("The rows.%d.phone field is invalid.", i)}
			}
		}
		if len(fields) == 0 {
			return nil
		}
		return &velents.Error{Status: 422, Message: "The given data was invalid.", Fields: fields, JSON: true}
	}
}

// refuseUnnamed refuses requests with a bad row, and says no more than that.
func refuseUnnamed(bad ...int) func([]velents.Row) error {
	return func(rows []velents.Row) error {
		for _, r := range rows {
			if isOneOf(r, bad) {
				return &velents.Error{Status: 422, Message: "The given data was invalid.", JSON: true}
			}
		}
		return nil
	}
}

func isOneOf(r velents.Row, numbers []int) bool {
	for _, i := range numbers {
		if r.Phone == phoneOf(i).E164() {
			return true
		}
	}
	return false
}

func refuseAll(status int, message string) func([]velents.Row) error {
	return func([]velents.Row) error { return &velents.Error{Status: status, Message: message, JSON: true} }
}

// An openQuota never waits and counts what comes back.
type openQuota struct {
	full atomic.Bool // it gives no permit

	mu       sync.Mutex
	acquired int
	returned int
	reported []ratelimit.Answer
}

func (q *openQuota) AcquireUpTo(ctx context.Context, most int) ([]ratelimit.Permit, error) {
	if q.full.Load() {
		<-ctx.Done()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	q.acquired += most
	return make([]ratelimit.Permit, most), nil
}

func (q *openQuota) Report(_ context.Context, _ ratelimit.Permit, a ratelimit.Answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reported = append(q.reported, a)
}

func (q *openQuota) Status(context.Context) (ratelimit.Status, error) {
	return ratelimit.Status{Limit: 30, Remaining: 12, Window: time.Minute, Wait: time.Second, Reason: "quota"}, nil
}

func (q *openQuota) Return(context.Context, ratelimit.Permit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.returned++
}

// flakyRedis lets scripts be carried out and loses their answers, or refuses
// them, as long as lose or refuse says.
type flakyRedis struct {
	mu     sync.Mutex
	spare  int // carried out first
	lose   int
	refuse int
	on     string // only commands with this argument
	again  func() // called once between a command and the same one again
}

func (f *flakyRedis) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *flakyRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return f.meet([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

// A pipeline meets the fate of the command that is in it.
func (f *flakyRedis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return f.meet(cmds, func() error { return next(ctx, cmds) })
	}
}

func (f *flakyRedis) meet(cmds []redis.Cmder, run func() error) error {
	if !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return slices.Contains(cmd.Args(), any(f.on)) }) {
		return run()
	}
	fail := func() error {
		for _, cmd := range cmds {
			cmd.SetErr(errRedisGone)
		}
		return errRedisGone
	}
	count := func(n *int) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if *n == 0 {
			return false
		}
		*n--
		return true
	}
	if count(&f.spare) {
		return run()
	}
	if count(&f.refuse) {
		return fail()
	}
	err := run() // unlocked: it may open a connection, by a pipeline of its own
	f.mu.Lock()
	between := f.again
	if err == nil {
		f.again = nil
	}
	f.mu.Unlock()
	if err == nil && between != nil {
		between()
		return run()
	}
	if err == nil && count(&f.lose) { // a script that Redis does not know yet is not carried out
		return fail()
	}
	return err
}

var errRedisGone = errors.New("connection reset")

// discardDial connects to a peer that reads everything and never answers.
func discardDial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	return here, nil
}
