package campaign

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Follow is what goes on in the Support Center about a contact's ticket: what the contact
// said meanwhile, which is passed on there, and what was read back.
type Follow struct {
	Said []Reply `json:"said,omitempty"` // in the order in which it is passed on
	Left int     `json:"left,omitempty"` // messages beyond the bounds, which are not passed on

	Looks   int       `json:"looks,omitempty"` // in a row that found nothing new
	Status  string    `json:"status,omitempty"`
	ReadAt  time.Time `json:"read_at,omitzero"`
	History []Turn    `json:"history,omitempty"` // as read back: the latest turns
	Earlier int       `json:"earlier,omitempty"` // turns before those
}

// A Reply is a message of a contact. Its text is kept until the Support Center has it.
type Reply struct {
	Sum  uint64    `json:"sum"`            // of its text
	At   time.Time `json:"at,omitzero"`    // when it was said; zero: only a history without times has told of it
	Told bool      `json:"told,omitempty"` // by an event of its own
	Text string    `json:"text,omitempty"`
	Sent uint64    `json:"sent,omitempty"` // of the text that is passed on, when that is only its beginning

	State  TicketState `json:"state"` // as of a ticket: due, creating, made, …
	Reason Message     `json:"reason,omitzero"`
	Tries  int         `json:"tries,omitempty"`
	Claim  string      `json:"claim,omitempty"`
	Moved  time.Time   `json:"moved,omitzero"`
}

// Bounds of what is kept of a conversation in the Support Center.
const (
	maxReplies      = 500    // messages of one contact that are told apart
	maxReplyBytes   = 4_000  // of one message
	maxUnpassed     = 64_000 // bytes of a contact's messages that wait
	maxHistoryTurns = 50     // read back
	maxTurnBytes    = 2_000  // of each
	cutMark         = " […]" // ends a text of which only the beginning is kept
)

// ours are the roles in which the platform speaks. Every other role is taken for the
// contact: an answer or a wish not to be contacted must not be missed.
var ours = []string{"agent", "assistant", "bot", "ai", "system", "tool"}

// ByContact reports whether the contact has said something in this turn.
func (t Turn) ByContact() bool {
	return strings.TrimSpace(t.Text) != "" && !slices.Contains(ours, strings.ToLower(t.Role))
}

// Hear adds a message that an event told by itself, and reports whether that changes
// anything. An event may come twice, and before or after a history with the same message.
func (f *Follow) Hear(text string, at time.Time) bool {
	sum, at := replySum(text), at.UTC()
	if strings.TrimSpace(text) == "" {
		return false
	}
	known := -1 // from a history
	for i, r := range f.Said {
		switch same := r.Sum == sum; {
		case same && r.Told && r.At.Equal(at):
			return false
		case same && !r.Told && (known < 0 || r.At.Equal(at)):
			known = i
		}
	}
	if known < 0 {
		return f.add(text, at, true)
	}
	r := f.Said[known]
	r.Told, r.At = true, at
	f.Said[known] = r
	if r.State == TicketDue && r.Tries == 0 {
		f.Said = slices.Delete(f.Said, known, known+1)
		f.insert(r)
	}
	return true
}

// HearAll adds the messages of a conversation's history that are not known yet: as many of
// each text as the history has more.
func (f *Follow) HearAll(history []Turn) (changed bool) {
	known := make(map[uint64]int)
	for _, r := range f.Said {
		known[r.Sum]++
	}
	for _, t := range history {
		if sum := replySum(t.Text); !t.ByContact() {
		} else if known[sum] > 0 {
			known[sum]--
		} else if f.add(t.Text, t.At.UTC(), false) {
			changed = true
		}
	}
	return changed
}

// InTicket notes that the ticket itself tells a history: its messages are not passed on
// again. Doing so twice changes nothing more.
func (f *Follow) InTicket(history []Turn) (changed bool) {
	made := make(map[uint64]int)
	for _, r := range f.Said {
		if r.State == TicketMade {
			made[r.Sum]++
		}
	}
	for _, t := range history {
		sum := replySum(t.Text)
		switch {
		case !t.ByContact():
			continue
		case made[sum] > 0:
			made[sum]--
			continue
		}
		i := slices.IndexFunc(f.Said, func(r Reply) bool { return r.Sum == sum && r.State == TicketDue })
		if i < 0 && len(f.Said) < maxReplies {
			i, f.Said = len(f.Said), append(f.Said, Reply{Sum: sum, At: t.At.UTC()})
		}
		if i >= 0 {
			f.Said[i].State, f.Said[i].Text, changed = TicketMade, "", true
		}
	}
	return changed
}

// add adds a message, or counts it when there are too many.
func (f *Follow) add(text string, at time.Time, told bool) bool {
	if len(f.Said) >= maxReplies {
		f.Left++
		return true
	}
	r := Reply{Sum: replySum(text), At: at, Told: told, State: TicketDue}
	kept, cut := cutText(text, maxReplyBytes)
	if r.Text = kept; cut {
		r.Sent = replySum(kept)
	}
	if f.waiting()+len(r.Text) > maxUnpassed {
		r.Text, r.State = "", TicketRefused
		f.Left++
	}
	f.insert(r)
	return true
}

// insert puts a message before those that were said later and still wait.
func (f *Follow) insert(r Reply) {
	i := len(f.Said)
	for i > 0 && f.Said[i-1].State == TicketDue && f.Said[i-1].Tries == 0 && !r.At.IsZero() && f.Said[i-1].At.After(r.At) {
		i--
	}
	f.Said = slices.Insert(f.Said, i, r)
}

// waiting is how many bytes of text wait to be passed on.
func (f *Follow) waiting() (bytes int) {
	for _, r := range f.Said {
		bytes += len(r.Text)
	}
	return bytes
}

// Next is the message that is to be settled before any later one is passed on; -1: none.
func (f *Follow) Next() int {
	return slices.IndexFunc(f.Said, func(r Reply) bool {
		return r.State == TicketDue || r.State == TicketCreating || r.State == TicketUnconfirmed
	})
}

// Claimed is the message under a claim; -1: none.
func (f *Follow) Claimed(claim string) int {
	return slices.IndexFunc(f.Said, func(r Reply) bool { return r.Claim == claim && claim != "" })
}

// InHand reports whether a message is on its way.
func (f *Follow) InHand() bool {
	return f != nil && slices.ContainsFunc(f.Said, func(r Reply) bool { return r.State == TicketCreating })
}

// Read takes in what the Support Center tells of the conversation, and reports whether that
// is new. A message that may have been passed on, and is there, was.
func (f *Follow) Read(status string, history []Turn, at time.Time) (news bool) {
	var kept []Turn
	for _, t := range history[max(0, len(history)-maxHistoryTurns):] {
		t.Text, _ = cutText(t.Text, maxTurnBytes)
		kept = append(kept, t)
	}
	earlier := len(history) - len(kept)
	news = status != f.Status || earlier != f.Earlier || !slices.Equal(kept, f.History)
	f.Status, f.History, f.Earlier, f.ReadAt = status, kept, earlier, at
	there := make(map[uint64]int)
	for _, t := range history {
		if t.ByContact() {
			there[replySum(t.Text)]++
		}
	}
	for i, r := range f.Said {
		passed := cmp.Or(r.Sent, r.Sum)
		switch {
		case r.State == TicketMade && !r.Moved.IsZero():
			there[passed]--
		case r.State == TicketUnconfirmed && there[passed] > 0:
			there[passed]--
			f.Said[i].Pass(at)
			news = true
		}
	}
	return news
}

// Pass notes that the Support Center has a message, whose text is needed no more.
func (r *Reply) Pass(at time.Time) {
	r.State, r.Text, r.Claim, r.Reason, r.Moved = TicketMade, "", "", Message{}, at
}

// LastReply is the latest text that was read back and is not the contact's own.
func (f *Follow) LastReply() string {
	for _, t := range slices.Backward(f.History) {
		if !t.ByContact() && strings.TrimSpace(t.Text) != "" {
			return t.Text
		}
	}
	return ""
}

// Replies counts the messages by state, those that are in the ticket itself left out.
func (f *Follow) Replies() map[TicketState]int {
	counts := make(map[TicketState]int)
	for _, r := range f.Said {
		if r.State != TicketMade || !r.Moved.IsZero() {
			counts[r.State]++
		}
	}
	return counts
}

// replySum is of a text as people write it: spaces around and between do not count.
func replySum(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")))
	return h.Sum64()
}

// cutText is a text, or the beginning of it.
func cutText(text string, most int) (kept string, cut bool) {
	text = strings.ToValidUTF8(text, "")
	if len(text) <= most {
		return text, false
	}
	n := most - len(cutMark)
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + cutMark, true
}

// Settle says what a person has found of the message in doubt: that it is in the Support
// Center, or that it is not and is due again. It returns how many messages that were.
func (f *Follow) Settle(there bool, at time.Time) (n int) {
	for i := range f.Said {
		r := &f.Said[i]
		switch {
		case r.State != TicketUnconfirmed:
			continue
		case there:
			r.Pass(at)
		default:
			r.State, r.Tries, r.Reason = TicketDue, 0, Message{}
		}
		n++
	}
	if n > 0 {
		f.Looks = 0
	}
	return n
}
