package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

const (
	machineChunks   = 2
	machineContacts = 3 // per chunk
)

// A machine is a campaign with all who act on it: two senders, the platform and
// its events, a sweeper and a person. Every step is done in Redis and, by rules
// written down here once more, on a model; then both are compared.
type machine struct {
	store *Store
	name  string
	twice bool // each script runs twice, as after a lost answer

	// The model.
	chunks [machineChunks]modelChunk
	phase  campaign.Phase
	clock  time.Time
	run    uint8
	terms  Terms            // in force
	begun  int              // today, of those who were not taken back
	window []campaign.State // the latest verdicts
	guard  bool             // it was the guard that paused
	asks   bool             // a change asks for approval
	waits  bool             // it waits for approval

	senders  [2]*sender
	requests []*request // that have left and were not answered for
	dead     map[string]bool
	tokens   int
}

type modelChunk struct {
	records [machineContacts]campaign.Record
	claim   string
	expired bool
	begun   int
	reached [machineContacts]int  // by the platform's own count
	allowed [machineContacts]int  // how often people, or rungs, have asked for it to be reached
	rung    [machineContacts]bool // the rung that it waits for is one of those times
}

type sender struct {
	worker string
	token  [machineChunks]string
	copy   [machineChunks]*Chunk // as it read them, perhaps long ago
	terms  [machineChunks]Terms  // as they were then
}

// The machine's guard: more than half of the latest five, and of three at least.
const (
	machineGuard    = "5000 3 5"
	machineFewest   = 3
	machineVerdicts = 5
)

type request struct {
	token    string
	chunk    *Chunk
	contacts []int
	arrived  bool
}

func TestTwoSendersEventsAndPeople(t *testing.T) {
	rdb := redistest.Shared(t)
	m := new(machine)
	rdb.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) {
		if m.twice {
			_ = run(ctx, cmd)
		}
	}})
	campaigns := 0
	rapid.Check(t, func(rt *rapid.T) {
		campaigns++
		*m = machine{
			store: New(rdb), name: fmt.Sprintf("c%d", campaigns), phase: campaign.Running,
			clock: noon, dead: make(map[string]bool), senders: [2]*sender{{worker: "a0"}, {worker: "b0"}},
		}
		for c := range m.chunks {
			m.chunks[c].allowed = [machineContacts]int{1, 1, 1}
		}
		m.asks = rapid.Bool().Draw(rt, "approval is asked for")
		m.waits = m.asks
		above(t, m.store, map[bool]int{true: machineContacts}[m.asks])
		launch(t, m.store, m.name, machineChunks*machineContacts, machineContacts, campaign.Running)
		m.terms.Day = campaign.Day{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
		m.setGuard(rt)
		steps := map[string]func(*rapid.T){
			"a sender begins":          m.senderBegins,
			"a sender begins again":    m.senderBegins, // more often than the rest
			"a request arrives":        m.requestArrives,
			"an answer is written":     m.answer,
			"another answer":           m.answer,
			"the claim's time is over": m.claimExpires,
			"a worker dies":            m.workerDies,
			"the sweeper recovers":     m.sweeperRecovers,
			"an event comes":           m.event,
			"a person steers":          m.personSteers,
			"contacts climb":           m.climb,
			"a person pauses":          m.personPauses,
			"a person sets a cap":      m.personSets,
			"somebody else approves":   m.personApproves,
			"":                         m.check,
		}
		for range 3 {
			rt.Repeat(steps)
		}
	})
}

func (m *machine) ref(c int) Ref { return Ref{Campaign: m.name, Chunk: c} }

// tick gives each step its own time, and draws whether its scripts run twice.
func (m *machine) tick(t *rapid.T) time.Time {
	m.clock = m.clock.Add(time.Second)
	m.twice = rapid.Bool().Draw(t, "answer lost")
	return m.clock
}

func (m *machine) chunk(t *rapid.T) int { return rapid.IntRange(0, machineChunks-1).Draw(t, "chunk") }

func (m *machine) sender(t *rapid.T) *sender {
	return m.senders[rapid.IntRange(0, 1).Draw(t, "sender")]
}

// some draws a part of the contacts, in any order.
func some(t *rapid.T, of []int) []int {
	if len(of) == 0 {
		t.Skip("nobody")
	}
	return rapid.Permutation(of).Draw(t, "order")[:rapid.IntRange(1, len(of)).Draw(t, "how many")]
}

func (c *modelChunk) in(states ...campaign.State) (in []int) {
	for i, r := range c.records {
		if slices.Contains(states, r.State) {
			in = append(in, i)
		}
	}
	return in
}

// mayTake are the rules of who may take a chunk.
func (m *machine) mayTake(c *modelChunk, token string) error {
	switch {
	case c.claim == "" || c.claim == token || c.expired || m.dead[c.claim]:
		return nil
	default:
		return ErrBusy
	}
}

// deadClaim is what a caller knows of dead workers: the claim it has read.
func (m *machine) deadClaim(chunk *Chunk) string {
	if m.dead[chunk.Claim] {
		return chunk.Claim
	}
	return ""
}

func (m *machine) senderReads(t *rapid.T, s *sender, c int) {
	chunk, err := m.store.ReadChunk(t.Context(), m.ref(c))
	if err != nil {
		t.Fatal(err)
	}
	s.copy[c], s.terms[c] = chunk, m.terms
	if s.token[c] == "" || rapid.IntRange(0, 3).Draw(t, "another task") == 0 {
		m.tokens++
		s.token[c] = NewClaim(s.worker, fmt.Sprint(m.tokens))
	}
}

func (m *machine) senderBegins(t *rapid.T) {
	s, c := m.sender(t), m.chunk(t)
	if s.copy[c] == nil || rapid.Bool().Draw(t, "reads first") {
		m.senderReads(t, s, c)
	}
	chunk, model, token := s.copy[c], &m.chunks[c], s.token[c]
	contacts := some(t, chunk.In(campaign.Pending))
	terms := s.terms[c]
	change := Change{Act: Begin, Token: token, Dead: m.deadClaim(chunk), ClaimTTL: time.Hour, Due: time.Hour, Terms: &terms}
	at := m.tick(t)
	stale := false
	for _, i := range contacts {
		change.Moves = append(change.Moves, Move{Index: i, Move: campaign.Move{Cause: campaign.Send, At: at}})
		stale = stale || chunk.Record(i) != model.records[i]
	}
	var want error
	takes := m.mayTake(model, token)
	if m.dead[model.claim] && change.Dead != model.claim && !model.expired && model.claim != token {
		takes = ErrBusy // it does not know
	}
	switch {
	case m.phase != campaign.Running:
		want = ErrNotRunning
	case m.waits:
		want = ErrUnapproved
	case terms != m.terms:
		want = ErrOutdated
	case takes != nil:
		want = takes
	case model.claim != token && len(model.in(campaign.Sending)) > 0:
		want = ErrUnrecovered
	case stale:
		want = ErrMoved
	case terms.Cap > 0 && m.begun+len(contacts) > terms.Cap:
		want = ErrCapped
	}
	done, err := m.store.Apply(t.Context(), chunk, change)
	if !errors.Is(err, want) {
		t.Fatalf("begin: got %v, want %v", err, want)
	}
	if err != nil {
		return
	}
	model.begun++
	if done.Request != model.begun {
		t.Fatalf("request number %d, want %d", done.Request, model.begun)
	}
	for _, r := range m.requests {
		if r.chunk.Ref == chunk.Ref && r.token == token {
			for _, i := range contacts {
				if slices.Contains(r.contacts, i) && model.records[i].State == campaign.Sending {
					t.Fatalf("contact %d is in two requests at once", i)
				}
			}
		}
	}
	for _, i := range contacts {
		model.records[i] = next(t, model.records[i], change.Moves[slices.Index(contacts, i)].Move)
	}
	model.claim, model.expired = token, false
	m.begun += len(contacts)
	if rapid.Bool().Draw(t, "a request for each") { // as in dispatch mode
		for part := range slices.Chunk(contacts, 1) {
			m.requests = append(m.requests, &request{token: token, chunk: chunk, contacts: part})
		}
		return
	}
	m.requests = append(m.requests, &request{token: token, chunk: chunk, contacts: contacts})
}

func next(t *rapid.T, r campaign.Record, move campaign.Move) campaign.Record {
	after, ok := r.Next(move)
	if !ok {
		t.Fatalf("%+v by %+v is not allowed", r, move)
	}
	return after
}

func (m *machine) drawRequest(t *rapid.T) *request {
	if len(m.requests) == 0 {
		t.Skip("no request")
	}
	return rapid.SampledFrom(m.requests).Draw(t, "request")
}

// requestArrives: the platform carries it out, whatever became of its sender.
func (m *machine) requestArrives(t *rapid.T) {
	r := m.drawRequest(t)
	if r.arrived {
		t.Skip("a request arrives once")
	}
	r.arrived = true
	model := &m.chunks[r.chunk.Ref.Chunk]
	for _, i := range r.contacts {
		model.reached[i]++
	}
}

// answer writes down what came of a request, in time or late: the truth, if an
// answer came, and else that it was lost.
func (m *machine) answer(t *rapid.T) {
	r := m.drawRequest(t)
	model := &m.chunks[r.chunk.Ref.Chunk]
	causes := []campaign.Cause{campaign.Unsent, campaign.Retry, campaign.Fail, campaign.Reject, campaign.Lose}
	if r.arrived {
		causes = []campaign.Cause{campaign.Accept, campaign.Lose}
	}
	contacts, written := slices.Clone(r.contacts), []*request{r}
	for _, other := range m.requests { // accepted ones are written together
		alike := other != r && r.arrived && other.arrived && other.chunk == r.chunk && other.token == r.token
		twice := slices.ContainsFunc(other.contacts, func(i int) bool { return slices.Contains(contacts, i) })
		if alike && !twice && rapid.Bool().Draw(t, "together") {
			contacts, written = append(contacts, other.contacts...), append(written, other)
			causes = []campaign.Cause{campaign.Accept}
		}
	}
	at := m.tick(t)
	change := Change{Act: Commit, Token: r.token, Due: time.Hour, Terms: &m.terms, Judge: rapid.Bool().Draw(t, "judge")}
	if rapid.Bool().Draw(t, "more to send") {
		change.ClaimTTL = time.Hour
	}
	mine := model.claim == r.token
	read := make(map[int]campaign.Record) // what the sender goes by
	for _, i := range contacts {
		read[i] = r.chunk.Record(i)
		cause := rapid.SampledFrom(causes).Draw(t, "cause")
		doubt := rapid.Bool().Draw(t, "in doubt")
		change.Moves = append(change.Moves, Move{Index: i, Move: campaign.Move{Cause: cause, At: at, InDoubt: doubt}})
	}
	done, err := m.store.Apply(t.Context(), r.chunk, change)
	if err != nil {
		t.Fatal(err)
	}
	// First those who are what the sender takes them for, then, decided anew, those
	// who have moved on.
	slices.SortFunc(change.Moves, func(a, b Move) int { return a.Index - b.Index })
	moved := make([]bool, machineContacts)
	for i, present := range model.records {
		moved[i] = present != read[i]
	}
	for _, anew := range []bool{false, true} {
		for _, move := range change.Moves {
			present := model.records[move.Index]
			after, ok := present.Next(move.Move)
			if moved[move.Index] == anew && ok && (move.Cause.Evidence() || mine && !anew) {
				m.moves(model, move.Index, after)
				if present.State == campaign.Sending && after.State == campaign.Pending {
					m.begun--
				}
			}
		}
		if change.Judge {
			m.judge()
		}
	}
	if told := len(done.Tripped) > 0; told != (change.Judge && m.guard) {
		t.Fatalf("the guard tells of %d contacts", len(done.Tripped))
	}
	if mine && change.ClaimTTL > 0 {
		model.expired = false
	} else if mine {
		model.claim = ""
	}
	m.requests = slices.DeleteFunc(m.requests, func(other *request) bool { return slices.Contains(written, other) })
}

// moves makes a record another one, and a verdict of it that is one.
func (m *machine) moves(model *modelChunk, i int, to campaign.Record) {
	if model.records[i].State == campaign.Sending && to.State != campaign.Pending {
		m.window = append(m.window, to.State)
		m.window = m.window[max(0, len(m.window)-machineVerdicts):]
	}
	if model.records[i].WaitsForRung() && model.rung[i] { // the rung is taken back
		model.allowed[i]--
	}
	model.records[i] = to
}

func (m *machine) anyOpen() bool {
	for _, chunk := range m.chunks {
		for _, r := range chunk.records {
			if r.State.Open() {
				return true
			}
		}
	}
	return false
}

func (m *machine) judge() {
	if m.phase == campaign.Running && !m.anyOpen() {
		m.window = nil
		return
	}
	bad := 0
	for _, state := range m.window {
		if !state.Evidence() {
			bad++
		}
	}
	if m.phase == campaign.Running && len(m.window) >= machineFewest && 2*bad > len(m.window) {
		m.phase, m.guard = campaign.Paused, true
	}
}

func (m *machine) setGuard(t *rapid.T) {
	if err := m.store.rdb.HSet(t.Context(), keyCampaign(m.name), "guard", machineGuard).Err(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) personSets(t *rapid.T) {
	c, err := m.store.Campaign(t.Context(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	to := c.Settings
	to.DailyCap = rapid.IntRange(0, 2*machineContacts).Draw(t, "cap")
	if err := m.store.ChangeSettings(t.Context(), c, to, ""); err != nil {
		t.Fatal(err)
	}
	if to.DailyCap != c.Settings.DailyCap {
		m.terms.Version++
		m.waits = m.waits || m.asks
		m.setGuard(t)
	}
	m.terms.Cap = to.DailyCap
}

// personApproves approves what was read, while a person may change it.
func (m *machine) personApproves(t *rapid.T) {
	c, err := m.store.Campaign(t.Context(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "meanwhile a setting") {
		m.personSets(t)
	}
	m.tick(t)
	now, err := m.store.Campaign(t.Context(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	var want error
	switch {
	case !m.waits || !m.anyOpen():
		want = ErrNotWanted
	case now.Approval.Revision != c.Approval.Revision:
		want = ErrRemade
	}
	if err := m.store.Approve(t.Context(), c, "nora"); !errors.Is(err, want) {
		t.Fatalf("approve: got %v, want %v", err, want)
	}
	m.waits = m.waits && want != nil
}

func (m *machine) claimExpires(t *rapid.T) {
	c := m.chunk(t)
	if m.chunks[c].claim == "" {
		t.Skip("no claim")
	}
	if err := m.store.rdb.HSet(t.Context(), keyChunk(m.ref(c)), "claim_until", 1).Err(); err != nil {
		t.Fatal(err)
	}
	m.chunks[c].expired = true
}

// workerDies: its claims are dead, its requests stay under way, their answers
// reach nobody. Frozen, it only seems dead: what it began is still answered.
func (m *machine) workerDies(t *rapid.T) {
	s := m.sender(t)
	frozen := rapid.Bool().Draw(t, "only frozen")
	for c := range m.chunks {
		if token := s.token[c]; token != "" {
			m.dead[token] = true
		}
	}
	for _, r := range m.requests {
		if !frozen && slices.Contains(s.token[:], r.token) {
			if rapid.Bool().Draw(t, "had arrived") && !r.arrived {
				m.arrive(r)
			}
			r.contacts = nil
		}
	}
	m.requests = slices.DeleteFunc(m.requests, func(r *request) bool { return len(r.contacts) == 0 })
	s.worker += "x"
	s.token, s.copy = [machineChunks]string{}, [machineChunks]*Chunk{}
}

func (m *machine) arrive(r *request) {
	r.arrived = true
	for _, i := range r.contacts {
		m.chunks[r.chunk.Ref.Chunk].reached[i]++
	}
}

func (m *machine) sweeperRecovers(t *rapid.T) {
	c := m.chunk(t)
	model := &m.chunks[c]
	chunk, err := m.store.ReadLedger(t.Context(), m.ref(c))
	if err != nil {
		t.Fatal(err)
	}
	at := m.tick(t)
	change := Change{Act: Recover, Dead: m.deadClaim(chunk), Due: time.Minute}
	for _, i := range chunk.In(campaign.Sending) {
		change.Moves = append(change.Moves, Move{Index: i, Move: campaign.Move{Cause: campaign.Lose, At: at}})
	}
	want := m.mayTake(model, "")
	if _, err := m.store.Apply(t.Context(), chunk, change); !errors.Is(err, want) {
		t.Fatalf("recover: got %v, want %v", err, want)
	}
	if want != nil {
		return
	}
	for _, move := range change.Moves {
		m.moves(model, move.Index, next(t, model.records[move.Index], move.Move))
	}
	m.judge()
	model.claim = ""
}

// event brings a batch of true events about contacts that were reached, old ones
// among them, perhaps several of one contact.
func (m *machine) event(t *rapid.T) {
	c := m.chunk(t)
	model := &m.chunks[c]
	var reached []int
	for i, n := range model.reached {
		if n > 0 {
			reached = append(reached, i)
		}
	}
	if len(reached) == 0 {
		t.Skip("nobody was reached")
	}
	chunk, err := m.store.ReadLedger(t.Context(), m.ref(c))
	if err != nil {
		t.Fatal(err)
	}
	change := Change{Act: Commit}
	at := m.tick(t)
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		i := rapid.SampledFrom(reached).Draw(t, "contact")
		cause := rapid.SampledFrom([]campaign.Cause{campaign.Accept, campaign.Start, campaign.End}).Draw(t, "event")
		move := campaign.Move{Cause: cause, At: at}
		change.Moves = append(change.Moves, Move{Index: i, Move: move})
		if after, ok := model.records[i].Next(move); ok {
			m.moves(model, i, after)
		}
	}
	if _, err := m.store.Apply(t.Context(), chunk, change); err != nil {
		t.Fatal(err)
	}
	for _, i := range reached {
		if named := slices.ContainsFunc(change.Moves, func(move Move) bool { return move.Index == i }); named && !model.records[i].State.Evidence() {
			t.Fatalf("contact %d was reached and said so, and is %s", i, model.records[i].State)
		}
	}
}

// personSteers acts on what was read, while an event may come in between.
func (m *machine) personSteers(t *rapid.T) {
	c := m.chunk(t)
	model := &m.chunks[c]
	steer := rapid.SampledFrom([]struct {
		cause campaign.Cause
		of    []campaign.State
	}{
		{campaign.Cancel, []campaign.State{campaign.Pending}},
		{campaign.Hold, []campaign.State{campaign.Pending}},
		{campaign.Rerun, []campaign.State{campaign.Rejected, campaign.Failed, campaign.Canceled}},
		{campaign.Rerun, []campaign.State{campaign.Unconfirmed}},
		{campaign.Rerun, []campaign.State{campaign.Ended}},
		{campaign.ConfirmSent, []campaign.State{campaign.Unconfirmed}},
		{campaign.ConfirmNever, []campaign.State{campaign.Unconfirmed}},
	}).Draw(t, "steer")
	chunk, err := m.store.ReadLedger(t.Context(), m.ref(c))
	if err != nil {
		t.Fatal(err)
	}
	contacts := some(t, chunk.In(steer.of...))
	if rapid.Bool().Draw(t, "meanwhile an event") && slices.Max(model.reached[:]) > 0 {
		m.event(t)
	}
	m.run++
	at := m.tick(t)
	change := Change{Act: Steer}
	for _, i := range contacts {
		move := campaign.Move{Cause: steer.cause, Run: m.run, At: at}
		if steer.cause == campaign.Hold {
			move.Reason = campaign.Reason(m.run) // another one each time
		}
		change.Moves = append(change.Moves, Move{Index: i, Move: move})
		if model.records[i] != chunk.Record(i) {
			continue // an event has overtaken it
		}
		if state := model.records[i].State; state == campaign.Ended || state == campaign.Unconfirmed && steer.cause != campaign.ConfirmSent {
			model.allowed[i]++
		}
		model.records[i] = next(t, model.records[i], move)
	}
	if _, err := m.store.Apply(t.Context(), chunk, change); err != nil {
		t.Fatal(err)
	}
}

// climb makes contacts pending for their next rung, by what was looked at. Events may tell
// more of the chunk meanwhile, of these contacts or of others.
func (m *machine) climb(t *rapid.T) {
	c := m.chunk(t)
	model := &m.chunks[c]
	chunk, err := m.store.ReadLedger(t.Context(), m.ref(c))
	if err != nil {
		t.Fatal(err)
	}
	contacts := some(t, chunk.In(campaign.Accepted, campaign.Rejected, campaign.Failed, campaign.Started, campaign.Ended))
	terms := Terms{Version: m.terms.Version}
	if rapid.IntRange(0, 9).Draw(t, "old settings") == 0 {
		terms.Version--
	}
	told := rapid.IntRange(0, 3).Draw(t, "an outcome changes meanwhile") == 0
	if told {
		err := m.store.UpdateOutcomes(t.Context(), m.ref(c), []int{0}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
			o.Started, o.Turns = noon, o.Turns+1
			return o, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(t, "meanwhile an event") && slices.Max(model.reached[:]) > 0 {
		m.event(t)
	}
	at := m.tick(t)
	change := Change{Act: Climb, Terms: &terms, Looked: &Look{}}
	var want error
	switch {
	case m.phase != campaign.Running:
		want = ErrNotRunning
	case m.waits:
		want = ErrUnapproved
	case terms.Version != m.terms.Version:
		want = ErrOutdated
	}
	for _, i := range contacts {
		move := campaign.Move{Cause: campaign.Climb, Rung: chunk.Record(i).Rung + 1, At: at}
		change.Moves = append(change.Moves, Move{Index: i, Move: move})
		present := model.records[i]
		after, ok := present.Next(move)
		if !ok || want != nil || told || present != chunk.Record(i) {
			continue
		}
		if model.rung[i] = present.State.Evidence(); model.rung[i] { // others were surely not reached
			model.allowed[i]++
		}
		model.records[i] = after
	}
	if _, err := m.store.Apply(t.Context(), chunk, change); !errors.Is(err, want) {
		t.Fatalf("climb: got %v, want %v", err, want)
	}
}

func (m *machine) personPauses(t *rapid.T) {
	to := campaign.Paused
	if m.phase == campaign.Paused {
		to = campaign.Running
	} else if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		t.Skip("it mostly runs")
	}
	m.tick(t)
	if _, _, err := m.store.SetPhase(t.Context(), m.name, to, campaign.Message{}, m.phase); err != nil {
		t.Fatal(err)
	}
	m.phase, m.guard = to, false
	if to == campaign.Running {
		m.window = nil
	}
}

// check is what holds after every step.
func (m *machine) check(t *rapid.T) {
	var recount campaign.Tally
	for c := range m.chunks {
		model := &m.chunks[c]
		chunk, err := m.store.ReadLedger(t.Context(), m.ref(c))
		if err != nil {
			t.Fatal(err)
		}
		var records [machineContacts]campaign.Record
		for i := range records {
			records[i] = chunk.Record(i)
			recount.Count(records[i])
			if model.reached[i] > model.allowed[i] {
				t.Fatalf("contact %d/%d was reached %d times, %d were asked for", c, i, model.reached[i], model.allowed[i])
			}
			if records[i].State == campaign.Accepted && model.reached[i] == 0 && records[i].Attempts == 0 {
				t.Fatalf("contact %d/%d is accepted and was never sent", c, i)
			}
		}
		if diff := cmp.Diff(model.records, records); diff != "" {
			t.Fatalf("chunk %d (-model +redis):\n%s", c, diff)
		}
		if chunk.Claim != model.claim {
			t.Fatalf("chunk %d is claimed by %q, want %q", c, chunk.Claim, model.claim)
		}
	}
	c, err := m.store.Campaign(t.Context(), m.name)
	if err != nil || c.Phase != m.phase {
		t.Fatalf("the campaign is %s, want %s: %v", c.Phase, m.phase, err)
	}
	if c.Approval.Wanted != m.waits {
		t.Fatalf("it waits for approval: %v, want %v", c.Approval.Wanted, m.waits)
	}
	if begun, err := m.store.Begun(t.Context(), m.name, time.Now()); begun != m.begun || err != nil {
		t.Fatalf("%d contacts have begun today, want %d: %v", begun, m.begun, err)
	}
	tally, err := m.store.Tally(t.Context(), m.name)
	if err != nil {
		t.Fatal(err)
	}
	if tally.States != recount.States || tally.InDoubt != recount.InDoubt || tally.Contacts() != machineChunks*machineContacts {
		t.Fatalf("tally %+v, the ledgers hold %+v", tally, recount)
	}
	v, err := m.store.Verify(t.Context(), m.name)
	if err != nil || len(v.Problems) > 0 {
		t.Fatalf("verify: %q, %v", v.Problems, err)
	}
}
