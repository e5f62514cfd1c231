package store

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The log of a campaign says who did what, and what happened to which contacts. It
// is two streams, so that the requests of a million contacts do not push out who
// paused the campaign: one of decisions about the campaign, one of changes to
// chunks. Redis trims both, the oldest entries first. Contacts are places in their
// chunk, so no entry is personal.
//
// Both keep at least this many entries. One about a chunk takes about 75 bytes, and
// five more for each contact whose neighbour fared differently.
const (
	maxLog       = 10_000
	maxChunksLog = 50_000
)

// maxLogText bounds the text of an entry, in bytes.
const maxLogText = 300

// An Action is what was decided.
type Action string

// Actions on chunks; each entry says which contacts moved. Two keep the word that
// stands in the logs of older versions.
const (
	ActionRequest Action = "request"  // a request was answered or given up
	ActionDefer   Action = "withhold" // a rule deferred them
	ActionRecover Action = "settle"   // their sender died during a request
	ActionCancel  Action = "cancel"
	ActionRerun   Action = "rerun"
	ActionResolve Action = "resolve"
	ActionRung    Action = "rung"    // they are contacted again, by a rule
	ActionErase   Action = "erase"   // a person was erased; nothing moves
	ActionOptOut  Action = "opt-out" // a contact asked never to be contacted again; nothing moves
)

// Actions on the campaign as a whole, as are cancel, rerun and resolve.
const (
	ActionLoad   Action = "load"
	ActionAppend Action = "append"
	ActionPause  Action = "pause"
	ActionResume Action = "resume"
	ActionPurge  Action = "purge"
	ActionSet    Action = "set"

	ActionApprove Action = "approve"
)

// A Decision is one entry of the log.
type Decision struct {
	At     time.Time // by Redis's clock, when it was written
	By     string    // a user, a worker or a rule; Log takes empty for the user of this process
	Action Action
	Text   campaign.Message // why, or how much

	// Only of a change to a chunk; Log does not write these.
	Chunk   int
	Request string // as the end of its Batch's name: releases and requests of the chunk
	Moved   []Fate // never empty in an entry about a chunk
}

// A Fate is what a change made of some contacts of a chunk. From equals To when they
// did not move.
type Fate struct {
	From, To campaign.State
	Reason   campaign.Reason
	Contacts []Span // by place in the chunk, ascending
}

// A Span is a run of neighbours, From and To included.
type Span struct{ From, To int }

// Has reports whether contact i of the chunk is among f's.
func (f Fate) Has(i int) bool {
	return slices.ContainsFunc(f.Contacts, func(s Span) bool { return s.From <= i && i <= s.To })
}

// Count is the number of contacts.
func (f Fate) Count() int {
	n := 0
	for _, s := range f.Contacts {
		n += s.To - s.From + 1
	}
	return n
}

// processUser is the user of this process, with the machine.
var processUser = sync.OnceValue(func() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
})

// Who is the name of who acts; empty: the user of this process.
func Who(by string) string { return cmp.Or(by, processUser()) }

// by is the name in an entry.
func (d Decision) by() string { return Who(d.By) }

// text is the text of d, bounded, as Redis keeps it.
func (d Decision) text() string {
	text := d.Text.Cut(maxLogText)
	if text != d.Text {
		return text.Line() + "…"
	}
	return text.Line()
}

// logScript adds an entry about a campaign that exists. KEYS campaign, log; ARGV
// most entries, by, action, text.
var logScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'by', ARGV[2], 'action', ARGV[3], 'text', ARGV[4])
return 1`)

// Log writes a decision about a campaign as a whole; Apply writes those about its
// chunks. The log is an account and no state: a caller that cannot write it goes on.
// A lost answer of Redis may lead to two entries.
func (s *Store) Log(ctx context.Context, name string, d Decision) error {
	keys := []string{keyCampaign(name), keyLog(name)}
	err := logScript.Run(ctx, s.rdb, keys, maxLog, d.by(), string(d.Action), d.text()).Err()
	return wrap(err, "log of %s", name)
}

// decidedPage bounds the decisions among which Decided looks.
const decidedPage = 1000

// Decided are the texts of the decisions of one kind about a campaign as a whole, since a
// time by Redis's clock, the latest first.
func (s *Store) Decided(ctx context.Context, name string, action Action, since time.Time) (texts []campaign.Message, err error) {
	entries, err := s.rdb.XRevRangeN(ctx, keyLog(name), "+", strconv.FormatInt(since.UnixMilli(), 10), decidedPage).Result()
	for _, e := range entries {
		if text, _ := e.Values["text"].(string); e.Values["action"] == string(action) {
			texts = append(texts, campaign.ReadMessage(text))
		}
	}
	return texts, wrap(err, "decisions about %s", name)
}

// logContactScript adds an entry about a contact. KEYS campaign, log, ledger; ARGV
// most entries, by, action, text, chunk, index, size of a record.
var logContactScript = redis.NewScript(`
local at = tonumber(ARGV[6]) * tonumber(ARGV[7])
local state = string.byte(redis.call('GETRANGE', KEYS[3], at, at))
if not state or redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'by', ARGV[2], 'action', ARGV[3], 'text', ARGV[4],
  'chunk', ARGV[5], 'request', '', 'moved', string.format('%d>%d:0=%d', state, state, ARGV[6]))
return 1`)

// LogContact writes a decision about a contact that does not move it.
func (s *Store) LogContact(ctx context.Context, ref Ref, index int, d Decision) error {
	keys := []string{keyCampaign(ref.Campaign), keyChunksLog(ref.Campaign), keyLedger(ref)}
	err := logContactScript.Run(ctx, s.rdb, keys, maxChunksLog, d.by(), string(d.Action), d.text(), ref.Chunk, index, campaign.RecordSize).Err()
	return wrap(err, "log of %s", ref.Campaign)
}

// A LogReader reads the log of a campaign, the oldest entry first.
type LogReader struct {
	store   *Store
	streams [2]logStream
}

type logStream struct {
	key  string
	last string // the id that was read last
	page []redis.XMessage
}

// logPage is how many entries are read at once.
const logPage = 500

// ReadLog starts at the oldest entry of a campaign's log.
func (s *Store) ReadLog(name string) *LogReader {
	return &LogReader{store: s, streams: [2]logStream{{key: keyLog(name), last: "0"}, {key: keyChunksLog(name), last: "0"}}}
}

// Next is the next entry; ok is false at the present end.
func (r *LogReader) Next(ctx context.Context) (d Decision, ok bool, err error) {
	var first *logStream
	for i := range r.streams {
		s := &r.streams[i]
		if len(s.page) == 0 {
			if s.page, err = r.store.rdb.XRangeN(ctx, s.key, "("+s.last, "+", logPage).Result(); err != nil {
				return Decision{}, false, wrap(err, "read log")
			}
		}
		if len(s.page) > 0 && (first == nil || streamTime(s.page[0].ID).Before(streamTime(first.page[0].ID))) {
			first = s
		}
	}
	if first == nil {
		return Decision{}, false, nil
	}
	m := first.page[0]
	first.page, first.last = first.page[1:], m.ID
	if d, err = decodeDecision(m); err != nil {
		return Decision{}, false, wrap(err, "read log: entry %s", m.ID)
	}
	return d, true, nil
}

// streamTime is when an entry of a stream was written.
func streamTime(id string) time.Time {
	text, _, _ := strings.Cut(id, "-")
	ms, _ := strconv.ParseInt(text, 10, 64)
	return timeOf(ms)
}

func decodeDecision(m redis.XMessage) (Decision, error) {
	text := func(field string) string { t, _ := m.Values[field].(string); return t }
	d := Decision{At: streamTime(m.ID), By: text("by"), Action: Action(text("action")), Text: campaign.ReadMessage(text("text")), Request: text("request")}
	moved := text("moved")
	if moved == "" {
		return d, nil
	}
	var err error
	if d.Chunk, err = strconv.Atoi(text("chunk")); err != nil {
		return d, wrap(err, "chunk")
	}
	for part := range strings.SplitSeq(moved, ";") {
		var f Fate
		head, spans, _ := strings.Cut(part, "=")
		if _, err := fmt.Sscanf(head, "%d>%d:%d", &f.From, &f.To, &f.Reason); err != nil {
			return d, wrap(err, "moved")
		}
		for span := range strings.SplitSeq(spans, ",") {
			from, to, run := strings.Cut(span, "-")
			if !run {
				to = from
			}
			var s Span
			if s.From, err = strconv.Atoi(from); err == nil {
				s.To, err = strconv.Atoi(to)
			}
			if err != nil {
				return d, wrap(err, "moved")
			}
			f.Contacts = append(f.Contacts, s)
		}
		d.Moved = append(d.Moved, f)
	}
	return d, nil
}
