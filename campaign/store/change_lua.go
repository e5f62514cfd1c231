package store

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

//go:embed change.lua
var changeSource string

var changeScript = redis.NewScript(luaCohorts + luaRungs + luaJoint + changeSource)

// chunkKeys are the keys of change.lua, in its order.
func chunkKeys(r Ref) []string {
	return []string{keyCampaign(r.Campaign), keyChunk(r), keyLedger(r), keyOpen(r.Campaign), keyTally(r.Campaign), keyChunksLog(r.Campaign), keyWindow(r.Campaign), keyDay(r.Campaign), keyCohorts(r.Campaign),
		keyRungs(r.Campaign), keyRungsSeen(r.Campaign)}
}

// changesOf are the contacts in which two ledgers of a chunk differ, as the script
// takes them: each contact once, in runs of neighbours that go from one state,
// reason, rung and doubt to one other. So the script compares a few strings and not every
// contact.
func changesOf(old, planned campaign.Ledger) []byte {
	const size = campaign.RecordSize
	changes := make([]byte, 0, 4+2*len(old))
	for i := 0; i < old.Len(); {
		before, after := old.At(i), planned.At(i)
		if before == after {
			i++
			continue
		}
		end := i + 1
		for ; end < old.Len(); end++ {
			b, a := old.At(end), planned.At(end)
			if b == a || !alike(b, before) || !alike(a, after) {
				break
			}
		}
		changes = binary.LittleEndian.AppendUint16(changes, uint16(i))
		changes = binary.LittleEndian.AppendUint16(changes, uint16(end-i))
		changes = append(changes, old[i*size:end*size]...)
		changes = append(changes, planned[i*size:end*size]...)
		i = end
	}
	return changes
}

// alike reports whether the tally counts two records as one kind.
func alike(a, b campaign.Record) bool {
	return a.State == b.State && a.Reason == b.Reason && a.InDoubt == b.InDoubt && a.Rung == b.Rung
}

// evidenceStates are the states that a change may reach without a claim.
var evidenceStates = func() (states string) {
	for _, state := range campaign.States() {
		if state.Evidence() {
			states += string([]byte{byte(state)})
		}
	}
	return states
}()

func (s *Store) runChange(ctx context.Context, ref Ref, c Change, look string, changes []byte) (changeAnswer, error) {
	args := []any{
		string(c.Act), c.Token, c.Dead, millis(c.ClaimTTL), millis(c.Due), ref.Chunk,
		campaign.RecordSize, evidenceStates, changes,
		c.Log.by(), string(c.Log.Action), c.Log.text(), c.Log.Request, maxChunksLog,
	}
	args = append(args, c.Terms.args()...)
	latest := ""
	if !c.Latest.IsZero() {
		latest = strconv.FormatInt(c.Latest.UnixMilli(), 10)
	}
	args = append(args, c.Judge || c.Act == Recover, guardTripped.Line(), look, latest)
	var cmd *redis.Cmd
	var unrecorded error
	switch {
	case c.Act == Begin && s.replicas > 0:
		cmd = s.runReplicated(ctx, chunkKeys(ref), args)
	case len(c.Contacted) > 0:
		cmd, unrecorded = s.runRecorded(ctx, c.ContactedAt, c.Contacted, chunkKeys(ref), args)
	case c.Act == Commit && c.Token == "": // evidence, of many chunks at a time
		cmd = s.applying.script(ctx, changeScript, chunkKeys(ref), args...)
	default:
		cmd = changeScript.Run(ctx, s.rdb, chunkKeys(ref), args...)
	}
	reply, err := cmd.Slice()
	if err != nil {
		return changeAnswer{}, wrap(err, "change chunk %s", ref)
	}
	if len(reply) != 5 {
		return changeAnswer{}, fmt.Errorf("change chunk %s: unexpected answer of %d parts", ref, len(reply))
	}
	status, _ := reply[0].(string)
	now, _ := reply[1].(int64)
	detail, _ := reply[2].(string)
	moved, _ := reply[3].(string)
	window, _ := reply[4].(string)
	a := changeAnswer{status: status, now: timeOf(now), detail: detail, tripped: decodeVerdicts(window), unrecorded: unrecorded}
	const width = 2 + campaign.RecordSize
	if len(moved) > 0 {
		a.moved = make(map[int]campaign.Record, len(moved)/width)
		for b := []byte(moved); len(b) >= width; b = b[width:] {
			a.moved[int(binary.LittleEndian.Uint16(b))] = campaign.DecodeRecord(b[2:])
		}
	}
	if status == "ok" {
		if a.request, err = strconv.Atoi(detail); err != nil {
			return a, wrap(err, "change chunk %s: request number", ref)
		}
	}
	return a, nil
}

type changeAnswer struct {
	status  string
	now     time.Time
	detail  string
	request int
	moved   map[int]campaign.Record
	tripped []Verdict

	unrecorded error
}

// refusal is the one in an answer; nil when the change was made.
func (a changeAnswer) refusal() error {
	switch a.status {
	case "ok":
		return nil
	case "phase":
		return wrap(ErrNotRunning, "campaign is %s", a.detail)
	case "canceled":
		return ErrCanceled
	case "approval":
		return ErrUnapproved
	case "outdated":
		return ErrOutdated
	case "capped":
		left, err := strconv.Atoi(a.detail)
		if err != nil {
			return wrap(err, "contacts left for the day")
		}
		return &CappedError{Left: left}
	case "busy":
		until, err := strconv.ParseInt(a.detail, 10, 64)
		if err != nil {
			return wrap(err, "end of its claim")
		}
		return &BusyError{Left: timeOf(until).Sub(a.now)}
	case "unrecovered":
		return ErrUnrecovered
	case "late":
		return &LateError{Now: a.now}
	case "guard":
		return tripOf(a.detail, a.now)
	case "moved":
		return ErrMoved
	case "gone":
		return ErrGone
	}
	return fmt.Errorf("unknown answer %q", a.status)
}

// runRecorded writes the contact record and then runs the script, in one round trip:
// Redis carries out the commands of a connection in order. In a cluster they go to
// several servers, so the record gets a round trip of its own.
func (s *Store) runRecorded(ctx context.Context, at time.Time, phones []campaign.Phone, keys []string, args []any) (change *redis.Cmd, unrecorded error) {
	defer func() {
		if unrecorded == nil && change.Err() == nil {
			s.forgetDays(ctx, dayOf(at)) // last: an answer may wait to be recorded
		}
	}()
	if _, is := s.rdb.(*redis.ClusterClient); is {
		unrecorded = s.recordContacted(ctx, at, phones)
		var refused redis.Error
		if unrecorded != nil && !errors.As(unrecorded, &refused) {
			change = redis.NewCmd(ctx)
			change.SetErr(unrecorded)
			return change, unrecorded // without the servers there is no order between record and change
		}
		return changeScript.Run(ctx, s.rdb, keys, args...), unrecorded
	}
	var record []redis.Cmder
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		record = s.recordIn(ctx, p, at, phones)
		change = changeScript.EvalSha(ctx, p, keys, args...)
		return nil
	})
	if redis.HasErrorPrefix(change.Err(), "NOSCRIPT") {
		change = changeScript.Eval(ctx, s.rdb, keys, args...)
	}
	return change, firstErr(record)
}

// errNotReplicated: the change was made, but too few replicas have it.
var errNotReplicated = errors.New("too few replicas have the change")

// replicaPatience bounds the wait for replicas.
const replicaPatience = time.Second

// runReplicated runs the script and waits until enough replicas have what it wrote.
// WAIT counts the writes of its own connection, so both use one, to the server of
// the keys. In a cluster whose slots have just moved the change fails, as it does
// when a server is gone.
func (s *Store) runReplicated(ctx context.Context, keys []string, args []any) *redis.Cmd {
	done := []*redis.Cmd{redis.NewCmd(ctx)}
	server, err := s.serverOf(ctx, keys[0])
	if err == nil {
		err = runSome(ctx, server, changeScript, []call{{keys, args}}, done, []int{0}, s.replicas)
	}
	if err != nil {
		done[0].SetErr(err)
	}
	return done[0]
}

// A call is one run of a script on keys of one slot.
type call struct {
	keys []string
	args []any
}

// runEach runs a script once for each call, in one round trip; running it twice must
// do no harm. With replicated it waits until enough replicas of each server have the
// writes.
func (s *Store) runEach(ctx context.Context, script *redis.Script, calls []call, replicated bool) ([]*redis.Cmd, error) {
	done := make([]*redis.Cmd, len(calls))
	if len(calls) == 0 {
		return done, nil
	}
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	cluster, is := s.rdb.(*redis.ClusterClient)
	if !replicated || !is {
		// Without a cluster, replicas that have the begin have this too: it came before.
		return done, runSome(ctx, s.rdb, script, calls, done, all, 0)
	}
	byServer := make(map[*redis.Client][]int)
	for i, c := range calls {
		server, err := cluster.MasterForKey(ctx, c.keys[0])
		if err != nil {
			return nil, err
		}
		byServer[server] = append(byServer[server], i)
	}
	for server, some := range byServer {
		if err := runSome(ctx, server, script, calls, done, some, s.replicas); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// runSome runs some of the calls on a server and waits for that many replicas.
func runSome(ctx context.Context, rdb redis.UniversalClient, script *redis.Script, calls []call, done []*redis.Cmd, some []int, replicas int) error {
	for _, run := range []func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd{script.EvalSha, script.Eval} {
		var waited *redis.Cmd
		_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			for _, i := range some {
				done[i] = run(ctx, p, calls[i].keys, calls[i].args...)
			}
			if replicas > 0 {
				waited = p.Do(ctx, "WAIT", replicas, millis(replicaPatience))
			}
			return nil
		})
		unknown := false
		for _, i := range some {
			switch err := done[i].Err(); {
			case redis.HasErrorPrefix(err, "NOSCRIPT"):
				unknown = true
			case err != nil:
				return err
			}
		}
		if unknown {
			continue // with the script's text: calls that have run answer the same
		}
		if waited == nil {
			return nil
		}
		n, err := waited.Int()
		if err == nil && n < replicas {
			err = fmt.Errorf("%w: %d of %d", errNotReplicated, n, replicas)
		}
		return err
	}
	return errors.New("the script is not known")
}
