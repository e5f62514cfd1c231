package events

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

// A bearing is what an event has to do with a contact.
type bearing uint8

const (
	stranger bearing = iota // the contact was never sent: the event cannot be its
	earlier                 // of a conversation before a rerun: it moves nothing
	another                 // of a second conversation in the same run: evidence, and no more
	current                 // of the conversation that is kept
	begins                  // of a new conversation after a rerun, which is kept from now on
)

// bearingOf alone decides what a conversation has to do with a contact.
func bearingOf(o campaign.Outcome, r campaign.Record, conversation string) bearing {
	same := conversation == o.Conversation || conversation == "" || o.Conversation == ""
	switch {
	case r.Attempts == 0:
		return stranger
	case conversation != "" && slices.Contains(o.Earlier, conversation):
		return earlier
	case !o.Known():
		return current
	case r.Run == o.Run && same:
		return current
	case r.Run == o.Run:
		return another
	case r.Tries == 0 || (conversation != "" && conversation == o.Conversation):
		return earlier // nothing was sent in this run yet, or it is known to be the old one
	default:
		return begins
	}
}

// tell adds an event to what is known of a contact. moves is whether the event
// bears witness to the contact's present state; history is not nil when the
// event's is the one to keep. Events may come twice and in any order: what they
// come to is the same.
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
		o.Run, moves = r.Run, true
	}
	next, history = learn(o, e, received)
	return next, history, moves
}

// maxEarlier bounds the conversations of earlier runs that are remembered.
const maxEarlier = 20

// learn is what is known after an event of the conversation that is kept.
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

// ours are the roles in which the platform speaks. Whoever else says something is
// taken for the contact: it must not seem that nobody answered, nor a wish not to be
// contacted be missed.
var ours = []string{"agent", "assistant", "bot", "ai", "system", "tool"}

func saidByContact(t velents.Turn) bool {
	return strings.TrimSpace(t.Text) != "" && !slices.Contains(ours, strings.ToLower(t.Role))
}

// epoch is before any conversation: earlier times are no times.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// earliest is the first of the times, in seconds.
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

// causeOf is what an event bears witness to: whatever is told of a conversation
// says that it has begun.
func causeOf(e velents.Event) campaign.Cause {
	if e.Type == velents.EventEnded {
		return campaign.End
	}
	return campaign.Start
}
