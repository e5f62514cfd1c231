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

var changeScript = redis.NewScript(changeSource)

// chunkKeys are the keys of change.lua, in its order.
func chunkKeys(r Ref) []string {
	return []string{keyCampaign(r.Campaign), keyChunk(r), keyLedger(r), keyOpen(r.Campaign), keyTally(r.Campaign), keyChunksLog(r.Campaign), keyWindow(r.Campaign), keyDay(r.Campaign)}
}

// changesOf are the contacts in which two ledgers of a chunk differ, as the script
// takes them: each contact once, in runs of neighbours that go from one state,
// reason and doubt to one other. So the script compares a few strings and not every
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
	return a.State == b.State && a.Reason == b.Reason && a.InDoubt == b.InDoubt
}

// evidenceStates are the states that a change may reach without a claim.
var evidenceStates = string([]byte{byte(campaign.Accepted), byte(campaign.Started), byte(campaign.Ended)})

func (s *Store) runChange(ctx context.Context, ref Ref, c Change, changes []byte) (changeAnswer, error) {
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
	args = append(args, c.Judge || c.Act == Recover, guardTripped.Line(), latest)
	var cmd *redis.Cmd
	var unrecorded error
	switch {
	case c.Act == Begin && s.replicas > 0:
		cmd = s.runReplicated(ctx, chunkKeys(ref), args)
	case len(c.Contacted) > 0:
		cmd, unrecorded = s.runRecorded(ctx, c.ContactedAt, c.Contacted, chunkKeys(ref), args)
	default:
		cmd = changeScript.Run(ctx, s.rdb, chunkKeys(ref), args...)
	}
	reply, err := cmd.Slice()
	if err != nil {
		return changeAnswer{}, fmt.Errorf("change chunk %s: %w", ref, err)
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
			return a, fmt.Errorf("change chunk %s: request number: %w", ref, err)
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

// err is the refusal in an answer; nil when the change was made.
func (a changeAnswer) err(ref Ref) error {
	switch a.status {
	case "ok":
		return nil
	case "phase":
		return fmt.Errorf("chunk %s: campaign is %s: %w", ref, a.detail, ErrNotRunning)
	case "outdated":
		return fmt.Errorf("chunk %s: %w", ref, ErrOutdated)
	case "capped":
		left, err := strconv.Atoi(a.detail)
		if err != nil {
			return fmt.Errorf("chunk %s: contacts left for the day: %w", ref, err)
		}
		return fmt.Errorf("chunk %s: %w", ref, &CappedError{Left: left})
	case "busy":
		until, err := strconv.ParseInt(a.detail, 10, 64)
		if err != nil {
			return fmt.Errorf("chunk %s: end of its claim: %w", ref, err)
		}
		return fmt.Errorf("chunk %s: %w", ref, &BusyError{Left: timeOf(until).Sub(a.now)})
	case "unrecovered":
		return fmt.Errorf("chunk %s: %w", ref, ErrUnrecovered)
	case "late":
		return fmt.Errorf("chunk %s: %w", ref, &LateError{Now: a.now})
	case "moved":
		return fmt.Errorf("chunk %s: %w", ref, ErrMoved)
	case "gone":
		return fmt.Errorf("chunk %s: %w", ref, ErrGone)
	}
	return fmt.Errorf("chunk %s: unknown answer %q", ref, a.status)
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
		record = s.contacted(dayOf(at)).addIn(ctx, p, persons(phones))
		record = append(record, p.HSet(ctx, keyContactedDays, dayOf(at), 1))
		change = changeScript.EvalSha(ctx, p, keys, args...)
		return nil
	})
	if redis.HasErrorPrefix(change.Err(), "NOSCRIPT") {
		change = changeScript.Eval(ctx, s.rdb, keys, args...)
	}
	return change, firstErr(record)
}
