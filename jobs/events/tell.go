package events

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

// A bearing says how an event relates to a contact.
type bearing uint8

const (
	stranger bearing = iota // the contact was never sent: the event is not about it
	earlier                 // about a conversation before a rerun or a rung: it moves nothing
	another                 // about a second conversation in the same run and rung: only evidence
	current                 // about the conversation that is kept
	begins                  // about a new conversation after a rerun or a rung, which is kept from now on
)

// bearingOf alone decides how a conversation relates to a contact.
func bearingOf(o campaign.Outcome, r campaign.Record, conversation string) bearing {
	same := conversation == o.Conversation || conversation == "" || o.Conversation == ""
	switch {
	case r.Attempts == 0:
		return stranger
	case conversation != "" && slices.Contains(o.Earlier, conversation):
		return earlier
	case !o.Known():
		return current
	case r.Run == o.Run && r.Rung == o.Rung && same:
		return current
	case r.Run == o.Run && r.Rung == o.Rung:
		return another
	case r.Tries == 0 || (conversation != "" && conversation == o.Conversation):
		return earlier // nothing was sent in this run or rung yet, or it is known to be the old one
	default:
		return begins
	}
}

// tell adds an event to the outcome of a contact. moves says whether the event is evidence
// of the contact's present state; history is not nil when the event's history is the one to
// keep. Events may come twice and in any order: the result is the same.
func tell(o campaign.Outcome, r campaign.Record, e velents.Event, received time.Time) (next campaign.Outcome, history []velents.Turn, moves bool) {
	switch bearingOf(o, r, e.ConversationID) {
	case stranger:
		return o, nil, false
	case another:
		return o, nil, true
	case earlier:
		if e.ConversationID != o.Conversation {
			return o, nil, false
		}
	case begins:
		past := o.Earlier
		if o.Conversation != "" {
			past = append(slices.Clone(past), o.Conversation)
		}
		o = campaign.Outcome{Earlier: past[max(0, len(past)-maxEarlier):]}
		fallthrough
	case current:
		o.Run, o.Rung, moves = r.Run, r.Rung, true
	}
	next, history = learn(o, e, received)
	return next, history, moves
}

// forGuards adds to an outcome what the guards of the answers go by. An event has made next
// of before, at now.
func forGuards(s campaign.Settings, before, next campaign.Outcome, r campaign.Record, now time.Time) campaign.Outcome {
	if !s.Listens() {
		return next
	}
	// An outcome that was known while there was no guard stays out.
	if begun := !before.Known() || before.Run != next.Run || before.Rung != next.Rung || before.Asked != 0; begun && next.Known() && next.Asked == 0 {
		next.Asked = now.Unix() // no answer has come before: the event itself is the evidence
		if r.State == campaign.Accepted {
			next.Asked = int64(r.Changed)
		}
	}
	return next
}

// maxEarlier bounds the conversations of earlier runs that are kept.
const maxEarlier = 20

// learn adds an event of the conversation that is kept to the outcome.
func learn(o campaign.Outcome, e velents.Event, received time.Time) (campaign.Outcome, []velents.Turn) {
	if o.Conversation == "" {
		o.Conversation = e.ConversationID
	}
	final := e.Type == velents.EventEnded
	told := received.Unix() // when what it tells was true
	if n := len(e.History); n > 0 && !e.History[n-1].At.IsZero() {
		told = e.History[n-1].At.Unix()
	}
	if e.Message != nil && !e.Message.At.IsZero() {
		told = e.Message.At.Unix()
	}
	o.Started = earliest(o.Started, received, e.CreatedAt)
	if final {
		o.Ended = earliest(o.Ended, received)
	}
	if m := e.Message; m != nil {
		o.Started = earliest(o.Started, m.At)
		o = o.WithExchange(sum(m.At.String(), m.Customer, m.Agent))
		o.Said = o.Said || strings.TrimSpace(m.Customer) != ""
	}
	if e.Extraction != nil {
		standing := campaign.Standing{Final: final, At: told, Sum: sum(string(e.Extraction))}
		if final {
			standing.At = 0 // the last word, whenever it arrives
		}
		if standing.Beats(o.ExtractedAt) {
			o.Extraction, o.ExtractedAt = e.Extraction, standing
		}
	}
	if len(e.History) == 0 {
		return o, nil
	}
	o.Said = o.Said || slices.ContainsFunc(e.History, saidByContact)
	o.Started = earliest(o.Started, e.History[0].At)
	standing := campaign.Standing{Final: final, At: int64(len(e.History)), Sum: sumTurns(e.History)}
	if !standing.Beats(o.History) {
		return o, nil
	}
	o.History, o.Turns = standing, len(e.History)
	return o, e.History
}

func saidByContact(t velents.Turn) bool { return campaign.Turn(t).ByContact() }

// epoch is before any conversation: an earlier time is a mistake.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// earliest is the first of the times after epoch, cut to seconds.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if t = t.UTC().Truncate(time.Second); t.After(epoch) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func sum(texts ...string) uint32 {
	h := fnv.New32a()
	for _, text := range texts {
		_, _ = h.Write([]byte(text))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum32()
}

func sumTurns(turns []velents.Turn) uint32 {
	texts := make([]string, 0, 3*len(turns))
	for _, t := range turns {
		texts = append(texts, t.Role, t.Text, t.At.String())
	}
	return sum(texts...)
}

// causeOf is what an event is evidence of. Any event of a conversation shows that it has
// begun.
func causeOf(e velents.Event) campaign.Cause {
	if e.Type == velents.EventEnded {
		return campaign.End
	}
	return campaign.Start
}
