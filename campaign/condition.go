package campaign

import "fmt"

// A Condition is what must be true of a contact's conversation: that the agent
// learned something in it, or whether the contact said anything before it ended.
type Condition struct {
	learned Learned
	ended   string // answered or noAnswer; empty: it is about what was learned
}

const (
	answered = "ended.answered"
	noAnswer = "ended.no_answer"
)

// ParseCondition reads extraction.KEY=VALUE, ended.answered or ended.no_answer.
func ParseCondition(text string) (Condition, error) {
	if text == answered || text == noAnswer {
		return Condition{ended: text}, nil
	}
	learned, err := ParseLearned(text)
	if err != nil {
		return Condition{}, fmt.Errorf("%w, %s or %s", err, answered, noAnswer)
	}
	return Condition{learned: learned}, nil
}

func (c Condition) String() string {
	if c.ended != "" {
		return c.ended
	}
	return c.learned.String()
}

// Of reports whether the condition is true of a contact with this outcome, of which
// the agent has learned e. Whether somebody answered is known of a conversation
// that has ended in the contact's present run, and of no other.
func (c Condition) Of(r Record, o Outcome, e Extraction) bool {
	if c.ended == "" {
		return c.learned.In(e)
	}
	return r.State == Ended && o.Known() && o.Run == r.Run && o.Said == (c.ended == answered)
}

// Conditions must all be true.
type Conditions []Condition

// Of reports whether they are.
func (all Conditions) Of(r Record, o Outcome, e Extraction) bool {
	for _, c := range all {
		if !c.Of(r, o, e) {
			return false
		}
	}
	return true
}
