//go:build simulate

package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// A monitor looks at every change of a ledger right after the script that made it, and at
// every contact that the platform reaches. It decides by itself what is allowed: it shares
// nothing with the table of transitions or the scripts.
type monitor struct {
	w *world

	mu         sync.Mutex
	chunks     map[string]*mirror   // by the key of the ledger
	words      map[string]int       // by number: how often it may be reached again
	known      map[string]bool      // numbers of the lists
	suppressed map[string]time.Time // when a person was told that it is on the do-not-contact list
	seen       map[string]time.Time // when a request with it arrived last
	begun      map[string]time.Time // by process and number: when such a request began last
	hits       map[string]time.Time // the same: when it reached its contact
	traps      map[string]func()    // by process: what happens to it at its next begin
	consents   map[string]*consent  // by campaign
	beat       map[string]time.Time // by process: when its last heartbeat was carried out
	missed     map[string]time.Time // by process: until when its heartbeat was last missing
	heardOnce  map[string]bool      // numbers that a person has contacted again who were surely reached
	climbed    int                  // contacts that climbed to a rung
	approved   int                  // contacts that began in a campaign that needed a second person
	changes    int
}

// A mirror is a chunk as it was after the last change to it.
type mirror struct {
	campaign string
	chunk    int
	numbers  []string
	ledger   campaign.Ledger
	claim    string      // as stored
	until    int64       // when it ends, in ms by Redis's clock
	changed  bool        // a contact of it has
	claims   []string    // under which each contact began last
	cancels  []string    // which cancel of its campaign was the last one then
	since    []time.Time // of each contact's last change
	bare     time.Time   // since when a contact is sending and the chunk has no claim
}

func newMonitor(w *world) *monitor {
	return &monitor{
		w: w, chunks: make(map[string]*mirror), words: make(map[string]int), known: make(map[string]bool),
		suppressed: make(map[string]time.Time), seen: make(map[string]time.Time),
		begun: make(map[string]time.Time), hits: make(map[string]time.Time), traps: make(map[string]func()), consents: make(map[string]*consent), heardOnce: make(map[string]bool), beat: make(map[string]time.Time), missed: make(map[string]time.Time),
	}
}

// A change is a call of a script that touches a ledger, most often of change.lua.
type change struct {
	caller, ledger, act, token string
	dead                       string // a claim that its caller has found dead
	latest                     string // until when it counts, in ms by Redis's clock; empty: for ever
	runs                       string // of contacts, with their old and new records
}

func changeBy(caller, command string, args []string) (c change, ok bool) {
	if !strings.HasPrefix(command, "EVAL") {
		return c, false
	}
	n, _ := strconv.Atoi(args[1])
	keys, args := args[2:2+n], args[2+n:]
	if n < 3 || !strings.HasPrefix(keys[0], "c:{") || !strings.Contains(keys[2], ":l:") {
		return c, false
	}
	c = change{caller: caller, ledger: keys[2], act: args[0], token: args[1]}
	switch c.act {
	case "begin", "commit", "recover", "steer", "climb": // else it is another script's
		c.dead, c.latest, c.runs = args[2], args[21], args[8]
	}
	return c, true
}

// after looks at a command that is done.
func (m *monitor) after(caller, command string, args []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if command == "SET" && strings.HasPrefix(args[0], "worker:") {
		m.beats(caller)
	}
	c, ok := changeBy(caller, command, args)
	if !ok {
		return
	}
	m.changes++
	key := c.ledger
	mi := m.mirror(key)
	if mi == nil {
		return // it is gone
	}
	now, err := m.w.redis.m.Get(key)
	if err != nil {
		delete(m.chunks, key)
		return
	}
	ledger := campaign.Ledger(now)
	if ledger.Len() != len(mi.numbers) {
		m.w.fail("%s: %d contacts, not %d", key, ledger.Len(), len(mi.numbers))
		return
	}
	for i := range ledger.Len() {
		if old, new := mi.ledger.At(i), ledger.At(i); old != new {
			m.transition(mi, i, old, new, c)
		}
	}
	if m.w.redis.m.HGet("c:{"+mi.campaign+"}", "purge_began") == "" {
		m.heard(mi, ledger, c)
	}
	mi.ledger = ledger
	chunk := strings.Replace(key, ":l:", ":k:", 1)
	claim := m.w.redis.m.HGet(chunk, "claim")
	if mi.claim != claim && mi.claim != "" && mi.claim != c.dead && mi.claim != c.token && m.now() < mi.until {
		m.w.fail("%s/%d: a claim is ended that is alive (%s by %s)", mi.campaign, mi.chunk, c.act, c.caller)
	}
	if c.act == "recover" && mi.claim != claim && m.isLate(c) {
		m.w.fail("%s/%d: its claim is ended, though that was decided too long ago (by %s)", mi.campaign, mi.chunk, c.caller)
	}
	mi.claim = claim
	mi.until, _ = strconv.ParseInt(m.w.redis.m.HGet(chunk, "claim_until"), 10, 64)
	m.whole(mi)
	if !mi.changed {
		delete(m.chunks, key) // what is loaded or appended may yet make way for other contacts
	}
	if trap := m.traps[caller]; trap != nil && c.act == "begin" && claim == c.token {
		delete(m.traps, caller)
		trap()
	}
}

// heard judges a change that says of contacts that they were reached. It may be refused only
// because a record is not the one that its caller has read.
func (m *monitor) heard(mi *mirror, now campaign.Ledger, c change) {
	const size = campaign.RecordSize
	for rest := c.runs; len(rest) > 4; {
		first, n := int(rest[0])+256*int(rest[1]), int(rest[2])+256*int(rest[3])
		olds, news := campaign.Ledger(rest[4:4+n*size]), campaign.Ledger(rest[4+n*size:4+2*n*size])
		for i := range n {
			if news.At(i).State.Evidence() && mi.ledger.At(first+i) == olds.At(i) && !now.At(first+i).State.Evidence() {
				m.w.fail("%s/%d contact %s was reached, and that is not heard (%s by %s)", mi.campaign, mi.chunk, mi.numbers[first+i], c.act, c.caller)
			}
		}
		rest = rest[4+2*n*size:]
	}
}

// isLate reports whether a change was carried out when it no longer counts.
func (m *monitor) isLate(c change) bool {
	latest, err := strconv.ParseInt(c.latest, 10, 64)
	return err == nil && m.now() > latest
}

// now is Redis's clock in ms.
func (m *monitor) now() int64 { return time.Now().Add(m.w.redis.offset).UnixMilli() }

// atNextBegin lets something happen to a process at the moment of its next begin. Nil: no
// longer.
func (m *monitor) atNextBegin(process string, trap func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.traps[process] = trap
}

// mirror is that of a ledger. One that is seen for the first time is read before it
// changes: it is pending, as it was loaded.
func (m *monitor) mirror(key string) *mirror {
	if mi := m.chunks[key]; mi != nil {
		return mi
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(key, "c:{"), "}:l:")
	n, _ := strconv.Atoi(rest)
	chunk, err := m.w.admin.ReadChunk(m.w.ctx, store.Ref{Campaign: name, Chunk: n})
	if err != nil {
		return nil
	}
	mi := &mirror{campaign: name, chunk: n, ledger: campaign.NewLedger(len(chunk.Contacts))}
	for _, c := range chunk.Contacts {
		mi.numbers = append(mi.numbers, c.Phone.E164())
	}
	mi.claims, mi.cancels, mi.since = make([]string, len(mi.numbers)), make([]string, len(mi.numbers)), make([]time.Time, len(mi.numbers))
	m.chunks[key] = mi
	return mi
}

// transition judges one contact's change.
func (m *monitor) transition(mi *mirror, i int, old, new campaign.Record, c change) {
	number := mi.numbers[i]
	m.w.trace.add("%s/%d …%s %v→%v attempts %d run %d by %s %s %s", mi.campaign, mi.chunk, number[len(number)-4:], old.State, new.State, new.Attempts, new.Run, c.caller, c.act, m.w.tokens.name(c.token))
	wrong := func(why string) {
		m.w.fail("%s/%d contact %s is %v and was %v: %s (%s by %s)", mi.campaign, mi.chunk, number, new.State, old.State, why, c.act, c.caller)
	}
	person := strings.HasPrefix(c.caller, "person")
	switch {
	case new.State.Evidence():
		if old.Attempts == 0 {
			wrong("it was never sent")
		}
		if old.State.Evidence() && new.State < old.State {
			wrong("evidence moves back")
		}
	case new.State == campaign.Sending:
		m.begins(mi, i, old, c, wrong)
	case old.State == campaign.Sending:
		if c.act == "commit" && c.token != mi.claims[i] {
			wrong("another sender has said so")
		}
		if new.State == campaign.Pending && m.lastCancel(mi) != mi.cancels[i] {
			wrong("its campaign was canceled since it began")
		}
		if new.State != campaign.Unconfirmed && !new.InDoubt && m.hits[c.caller+number].After(mi.since[i]) {
			wrong("its request has reached it, and it is not in doubt")
		}
		if new.State == campaign.Unconfirmed && c.act == "recover" {
			m.lost(mi, i, wrong)
		}
	case old.State == campaign.Pending:
		if new.State != campaign.Pending && new.State != campaign.Canceled {
			wrong("it was not sent")
		}
	case new.State == campaign.Pending:
		withdrawn := old.State == campaign.Rejected && c.act == "commit" && c.token == mi.claims[i]
		if c.act == "climb" {
			m.climbs(mi, i, old, new, wrong)
			m.beginsApproved(mi, wrong)
		} else if !person && !withdrawn {
			wrong("no person has asked for it")
		}
		m.word(mi, i, old, new)
	case old.State == campaign.Unconfirmed || new.State == campaign.Canceled:
		wrong("there is no such transition")
	default:
		wrong("it was decided")
	}
	if takenOff(old, new) {
		m.words[number]--
	}
	mi.changed, mi.since[i] = true, time.Now()
}

// begins judges a contact that is about to be sent.
func (m *monitor) begins(mi *mirror, i int, old campaign.Record, c change, wrong func(string)) {
	number := mi.numbers[i]
	key := "c:{" + mi.campaign + "}"
	switch phase := m.w.redis.m.HGet(key, "phase"); {
	case c.act != "begin" || old.State != campaign.Pending:
		wrong("that is no begin")
	case phase != "running":
		wrong("the campaign is " + phase)
	case m.w.redis.m.HGet(fmt.Sprintf("%s:k:%d", key, mi.chunk), "claim") != c.token:
		wrong("the claim is another's")
	case m.isLate(c):
		wrong("its sender has given that up")
	}
	for j := range mi.ledger.Len() {
		if mi.ledger.At(j).State == campaign.Sending && mi.claims[j] != c.token {
			wrong("others are being sent under a claim that is over")
		}
	}
	m.beginsApproved(mi, wrong)
	m.beginsAfterAnswer(mi, i, old, wrong)
	mi.claims[i], mi.cancels[i] = c.token, m.lastCancel(mi)
	m.begun[c.caller+number] = time.Now()
	m.w.tokens.own(c.token, c.caller)
	if at, listed := m.suppressed[number]; listed && time.Since(at) > suppressedWithin {
		wrong("it is on the do-not-contact list")
	}
}

// lastCancel names the last cancel of a campaign. Empty: it was never canceled.
func (m *monitor) lastCancel(mi *mirror) string {
	return m.w.redis.m.HGet("c:{"+mi.campaign+"}", "canceled")
}

// suppressedWithin is how long a begin may have been on its way that was decided before
// the number came on the do-not-contact list.
const suppressedWithin = 8 * time.Second

// beats notes that the heartbeat of a process was carried out.
func (m *monitor) beats(process string) {
	if last, has := m.beat[process]; has && time.Since(last) > store.HeartbeatTTL {
		m.missed[process] = time.Now()
	}
	m.beat[process] = time.Now()
}

// lost judges a contact that became unconfirmed because its sender is said to be gone.
func (m *monitor) lost(mi *mirror, i int, wrong func(string)) {
	// Two outages in a row may be longer than a claim.
	sender := m.w.tokens.of(mi.claims[i])
	cutOff := m.now() >= mi.until && (time.Since(m.beat[sender]) > store.HeartbeatTTL || time.Since(m.missed[sender]) <= timings.BeginPatience)
	if (m.w.plan.kind == gentle || m.w.plan.kind == outages && !cutOff) && !m.w.tokens.dead(mi.claims[i]) {
		wrong("its sender lives")
	}
}

// word counts that a person has a contact sent again that may have been reached. One that
// the platform has never seen, and whose request must have ended, cannot be reached twice.
func (m *monitor) word(mi *mirror, i int, old, new campaign.Record) {
	number := mi.numbers[i]
	resolved := old.State == campaign.Unconfirmed && old.Run == new.Run
	right := m.w.platform.sandbox.Contacted(number) == 0 && time.Since(mi.since[i]) > resolveAfter && time.Since(m.seen[number]) > resolveAfter
	m.heardOnce[number] = m.heardOnce[number] || old.State.Evidence() && new.Run != old.Run
	if old.State.Evidence() || old.MayHaveBeenReached() && !(resolved && right) {
		m.words[number]++
	}
}

// resolveAfter is how long a careful person waits before saying that the platform has
// never seen a contact.
const resolveAfter = 40 * time.Second

// whole compares the tally with all ledgers, and looks whether the chunk is watched.
func (m *monitor) whole(mi *mirror) {
	r, key := m.w.redis.m, "c:{"+mi.campaign+"}"
	var counted, told [16]int
	chunks, _ := strconv.Atoi(r.HGet(key, "chunks"))
	for n := range chunks {
		text, _ := r.Get(fmt.Sprintf("%s:l:%d", key, n))
		for ledger, i := campaign.Ledger(text), 0; i < ledger.Len(); i++ {
			counted[ledger.At(i).State]++
		}
	}
	for _, state := range campaign.States() {
		told[state], _ = strconv.Atoi(r.HGet(key+":tally", strconv.Itoa(int(state))))
	}
	if counted != told {
		m.w.fail("%s: the tally says %v, the ledgers %v", mi.campaign, told, counted)
	}
	var open, sending bool
	for i := range mi.ledger.Len() {
		open = open || mi.ledger.At(i).State.Open()
		sending = sending || mi.ledger.At(i).State == campaign.Sending
	}
	if _, err := r.ZScore(key+":open", strconv.Itoa(mi.chunk)); open && err != nil && mi.chunk < chunks {
		m.w.fail("%s/%d has contacts to send, and nothing looks after it", mi.campaign, mi.chunk)
	}
	if bare := sending && r.HGet(fmt.Sprintf("%s:k:%d", key, mi.chunk), "claim") == ""; !bare {
		mi.bare = time.Time{}
	} else if mi.bare.IsZero() {
		mi.bare = time.Now()
	}
}

// look finds contacts that are sending and belong to no sender, for longer than the
// recovery of a claim can take.
func (m *monitor) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mi := range m.chunks {
		if !mi.bare.IsZero() && time.Since(mi.bare) > bareWithin && m.w.calm(bareWithin) {
			m.w.fail("%s/%d has been sending without a claim for %v", mi.campaign, mi.chunk, time.Since(mi.bare))
		}
	}
}

const bareWithin = time.Minute

// arrivesWithin is how long after its begin a request may arrive: timings.WriteBy, and the
// longest that a link holds it.
const arrivesWithin = 32 * time.Second

// arrived notes that a request has come to the platform.
func (m *monitor) arrived(numbers []string, who string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range numbers {
		m.seen[n] = time.Now()
		if since := time.Since(m.begun[who+n]); since > arrivesWithin {
			m.w.fail("contact %s: its request arrives %v after it began (of %s)", n, since, who)
		}
		if !m.known[n] {
			m.w.fail("a stranger is contacted: %s", n)
		}
	}
}

// reached judges a contact that the platform has reached.
func (m *monitor) reached(number string, times int, who string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hits[who+number] = time.Now()
	m.w.trace.add("…%s is reached by %s, for the %d. time", number[len(number)-4:], who, times)
	if times > 1+m.words[number] {
		m.w.fail("contact %s is reached %d times, and may be %d times more than once", number, times, m.words[number])
	}
}

// safe notes that the platform has failed, after it had reached these contacts, in a way that
// its vendor calls safe to repeat.
func (m *monitor) safe(numbers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range numbers {
		m.words[n]++
	}
}

// forget takes the mirrors to what Redis holds after it has lost writes. With them it may
// have lost the do-not-contact list.
func (m *monitor) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.suppressed)
	for key, mi := range m.chunks {
		text, err := m.w.redis.m.Get(key)
		if err != nil {
			delete(m.chunks, key)
			continue
		}
		for i := range mi.ledger.Len() {
			if was, now := mi.ledger.At(i), campaign.Ledger(text).At(i); was.Run == now.Run {
				m.words[mi.numbers[i]] += int(now.Rung) - int(was.Rung) // a climb that was lost, or what took it off
			}
		}
		mi.ledger = campaign.Ledger(text)
		mi.claim, mi.until = m.w.redis.m.HGet(strings.Replace(key, ":l:", ":k:", 1), "claim"), 0
		for i := range mi.ledger.Len() {
			if mi.ledger.At(i).State == campaign.Sending {
				mi.claims[i], mi.cancels[i] = mi.claim, m.lastCancel(mi)
			}
		}
	}
}

// allow counts a person's word for all contacts of a campaign that are to be sent or being
// sent: each may be reached once more than it was, or will be by a request on its way.
func (m *monitor) allow(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mi := range m.chunks {
		if mi.campaign != name {
			continue
		}
		for i, n := range mi.numbers {
			if mi.ledger.At(i).State.Open() {
				m.words[n] = max(m.words[n], m.w.platform.sandbox.Contacted(n)+m.onItsWay(n))
			}
		}
	}
}

// onItsWay is 1 if a request with the number may still arrive.
func (m *monitor) onItsWay(number string) int {
	for _, p := range m.w.processes() {
		if time.Since(m.begun[p.name+number]) < arrivesWithin && !m.seen[number].After(m.begun[p.name+number]) {
			return 1
		}
	}
	return 0
}

// suppress notes that a person was told that numbers are on the do-not-contact list.
func (m *monitor) suppress(numbers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range numbers {
		if _, listed := m.suppressed[n]; !listed {
			m.suppressed[n] = time.Now()
		}
	}
}

// tokens are the claims that were taken, and by which process.
type tokens struct {
	w     *world
	mu    sync.Mutex
	owner map[string]string
}

func (t *tokens) own(token, caller string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owner[token] = caller
}

// name is what a trace calls a claim: its own text is random.
func (t *tokens) name(token string) string {
	if owner := t.of(token); owner != "" {
		return "claim of " + owner
	}
	return ""
}

// dead reports whether the process that took the claim has been killed.
func (t *tokens) dead(token string) bool {
	return t.w.isDead(t.of(token))
}

// of is the process that took the claim.
func (t *tokens) of(token string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner[token]
}
