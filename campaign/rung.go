package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A rung is another request to a contact that the campaign makes by itself, because a rule
// is true of the contact: --then RULE:DELAY[,DELAY…]. Rungs are counted for each contact and
// run, whichever rule they came by. The next rung of a contact comes by the first --then
// whose rule is true of it and that has as many delays; the delay begins with the contact's
// last change. Settings.NextRung alone decides.

// A Ladder is one --then.
type Ladder struct {
	Rule   Rule
	Delays []time.Duration // before the first rung, before the second, …
}

// FollowUp says which contacts are contacted again by themselves.
type FollowUp struct {
	Then       []Ladder      `json:"then,omitempty"`
	ThenWithin time.Duration `json:"then_within,omitempty"` // 0: DefaultThenWithin
}

// Bounds of the rungs.
const (
	// DefaultThenWithin is how long after a request an event may still tell that its
	// contact has a rung to come.
	DefaultThenWithin = 3 * 24 * time.Hour

	maxLadders = 10
	maxRungs   = 20 // of one ladder; less than MaxRung
	maxDelay   = 90 * 24 * time.Hour
)

// followed are the states from which a contact can have a rung. Unconfirmed contacts wait
// for a person, canceled ones are not to be contacted.
var followed = []State{Accepted, Rejected, Failed, Started, Ended}

// ParseLadder reads RULE:DELAY[,DELAY…], from its right end: values hold colons and commas.
func ParseLadder(text string) (l Ladder, err error) {
	at := strings.LastIndex(text, ":")
	if at < 0 {
		return l, Faulty(MsgWantLadder, "text", text)
	}
	if l.Rule, err = ParseRule(strings.TrimSpace(text[:at])); err != nil {
		return l, err
	}
	for part := range strings.SplitSeq(text[at+1:], ",") {
		delay, err := parseDelay(strings.TrimSpace(part))
		if err != nil {
			return Ladder{}, fmt.Errorf("%q: %w", text, err)
		}
		l.Delays = append(l.Delays, delay)
	}
	return l, l.check()
}

// parseDelay reads 90m, 2h or 1d.
func parseDelay(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if number, days := strings.CutSuffix(text, "d"); days {
		var n int
		n, err = strconv.Atoi(number)
		d = time.Duration(min(max(n, 0), 1000)) * 24 * time.Hour
	}
	if err != nil || d < time.Second || d > maxDelay {
		return 0, Faulty(MsgWantDelay, "text", text, "most", delayText(maxDelay))
	}
	return d, nil
}

func delayText(d time.Duration) string {
	if day := 24 * time.Hour; d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// check refuses rules that are true of nobody who can have a rung.
func (l Ladder) check() error {
	state, err := ParseState(l.Rule.value)
	switch {
	case l.Rule.about == 0:
		return errors.New("want a rule")
	case len(l.Delays) == 0 || len(l.Delays) > maxRungs:
		return Faulty(MsgWantDelays, "rule", l.Rule, "most", maxRungs)
	case l.Rule.about == aboutState && !l.Rule.not && err == nil && !slices.Contains(followed, state):
		return Faulty(MsgWantFollowed, "rule", l.Rule, "states", saidAs(followed))
	}
	for _, d := range l.Delays {
		if d < time.Second || d > maxDelay {
			return fmt.Errorf("%s: delay %v: want a time from 1s to %s", l.Rule, d, delayText(maxDelay))
		}
	}
	return nil
}

func (l Ladder) String() string {
	delays := make([]string, len(l.Delays))
	for i, d := range l.Delays {
		delays[i] = delayText(d)
	}
	return l.Rule.String() + ":" + strings.Join(delays, ",")
}

// MarshalText is the ladder as ParseLadder reads it.
func (l Ladder) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (l *Ladder) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLadder(string(text))
	return err
}

// ladders is the kind of --then, which may be given several times, or several in one text
// with semicolons between them.
func ladders(at func(*Settings) *[]Ladder) kind {
	k := list(at, ParseLadder)
	set := k.set
	k.text = func(s *Settings) string {
		var texts []string
		for _, l := range *at(s) {
			texts = append(texts, l.String())
		}
		return strings.Join(texts, "; ")
	}
	k.set = func(s *Settings, texts []string) error {
		var all []string
		for _, text := range texts {
			parts := strings.FieldsFunc(text, func(c rune) bool { return c == ';' || c == '\n' })
			if slices.ContainsFunc(parts, func(part string) bool { _, err := ParseLadder(part); return err != nil }) {
				parts = []string{text} // a value has semicolons
			}
			if text != noDates {
				all = append(all, parts...)
			}
		}
		if len(all) > maxLadders {
			return Faulty(MsgWantFewer, "most", maxLadders)
		}
		if *at(s) = nil; len(all) == 0 {
			return nil
		}
		return set(s, all)
	}
	k.valid = func(s *Settings) error {
		for _, l := range *at(s) {
			if err := l.check(); err != nil {
				return err
			}
		}
		return nil
	}
	return k
}

// delay is the kind of a time; 0 means that nothing is set.
func delay(at func(*Settings) *time.Duration) kind {
	k := anyDigits(value(at, unlessZero(delayText), parseDelay))
	k.valid = func(s *Settings) error {
		if d := *at(s); d != 0 && (d < time.Second || d > maxDelay) {
			return fmt.Errorf("%v: want a time from 1s to %s", d, delayText(maxDelay))
		}
		return nil
	}
	return k
}

// Rungs is how many rungs a contact can have in one run.
func (f FollowUp) Rungs() (most int) {
	for _, l := range f.Then {
		most = max(most, len(l.Delays))
	}
	return most
}

// Delays are the longest times before each rung that a contact can have in one run.
func (s Settings) Delays() []time.Duration {
	most := s.Rungs()
	if attempts := s.MostAttempts(); attempts > 0 {
		most = min(most, attempts-1)
	}
	delays := make([]time.Duration, most)
	for _, l := range s.Then {
		for i, d := range l.Delays[:min(len(l.Delays), most)] {
			delays[i] = max(delays[i], d)
		}
	}
	return delays
}

// Within is how long after a request an event may tell that its contact has a rung.
func (f FollowUp) Within() time.Duration { return cmp.Or(f.ThenWithin, DefaultThenWithin) }

// Soonest is the shortest delay; 0: there is no rung.
func (f FollowUp) Soonest() (least time.Duration) {
	for _, l := range f.Then {
		for _, d := range l.Delays {
			if least == 0 || d < least {
				least = d
			}
		}
	}
	return least
}

// ThenRules are the rules of all ladders.
func (f FollowUp) ThenRules() (all Rules) {
	for _, l := range f.Then {
		all = append(all, l.Rule)
	}
	return all
}

// States are those in which a contact may have a rung to come.
func (f FollowUp) States() (states []State) {
	for _, state := range followed {
		facts := Facts{Record: Record{State: state}}
		if slices.ContainsFunc(f.Then, func(l Ladder) bool {
			return l.Rule.about != aboutState || l.Rule.Of(facts) || l.Rule.mayBecome(facts)
		}) {
			states = append(states, state)
		}
	}
	return states
}

// A Rung is one that is to come for a contact.
type Rung struct {
	Number uint8 // from 1
	At     time.Time
	// Open: no rule is true of the contact yet; an event that comes before At may change
	// that.
	Open bool
}

// NextRung is the rung that is to come for a contact, and whether there is one. Contacts that
// may have been reached without our knowing wait for a person. A contact that opted out, was
// erased, or has had all its attempts has no rung.
func (s Settings) NextRung(f Facts) (next Rung, is bool) {
	r := f.Record
	if len(s.Then) == 0 || !slices.Contains(followed, r.State) || r.InDoubt || r.Erased || f.Outcome.OptedOut || s.UsedUpForGood(r) {
		return next, false
	}
	if s.Limits.RefusalIsFinal && r.State == Rejected || f.Outcome.Late && f.Outcome.of(r) {
		return next, false
	}
	next.Number = r.Rung + 1
	if delay, asked := s.asked(f); asked && !f.behind() {
		next.At = r.ChangedAt().Add(delay)
		if s.FinishBy.IsZero() || next.At.Before(s.FinishBy) {
			return next, true
		}
	}
	next.At, next.Open = r.ChangedAt().Add(s.Within()), true
	if !s.FinishBy.IsZero() && next.At.After(s.FinishBy) {
		next.At = s.FinishBy
	}
	return next, slices.ContainsFunc(s.Then, func(l Ladder) bool { return int(r.Rung) < len(l.Delays) && l.Rule.mayBecome(f) })
}

// behind reports whether the outcome tells more than the record, which is about to follow it.
func (f Facts) behind() bool {
	o, state := f.Outcome, f.Record.State
	return o.of(f.Record) && (state == Accepted || state == Started && !o.Ended.IsZero())
}

// asked is the delay of the first ladder that asks for another rung of a contact.
func (f FollowUp) asked(of Facts) (delay time.Duration, is bool) {
	for _, l := range f.Then {
		if int(of.Record.Rung) < len(l.Delays) && l.Rule.Of(of) && !l.early(of) {
			return l.Delays[of.Record.Rung], true
		}
	}
	return 0, false
}

// early reports whether a ladder asks too soon: what a conversation was found to be about
// counts at its end, and for that conversation alone.
func (l Ladder) early(of Facts) bool {
	return l.Rule.about == aboutExtraction && (!of.Outcome.of(of.Record) || of.Record.State != Ended)
}

// AsksFor reports whether a rule asks for another rung of a contact, and the contact does not
// ask to be left alone.
func (f FollowUp) AsksFor(of Facts) bool {
	_, is := f.asked(of)
	return is && !of.Outcome.OptedOut
}

// mayBecome reports whether an event can make the rule true of a contact of which it is not
// true now.
func (r Rule) mayBecome(f Facts) bool {
	talks := f.Record.State == Accepted || f.Record.State == Started
	switch r.about {
	case aboutState:
		state, _ := ParseState(r.value)
		return talks && (r.not || state > f.Record.State && state.Evidence())
	case aboutEnd: // what was said may be told after the end
		return talks || f.Record.State == Ended && r.key == answered
	case aboutExtraction:
		return talks || f.Record.State == Ended && !f.Outcome.ExtractedAt.Final
	}
	return false
}

// WaitsForRung reports whether the contact is pending for a rung, and no request of that
// rung has been made.
func (r Record) WaitsForRung() bool { return r.State == Pending && r.Rung > 0 && r.Tries == 0 }

// reached is the latest rung of which a request was made.
func (r Record) reached() uint8 {
	if r.WaitsForRung() {
		return r.Rung - 1
	}
	return r.Rung
}

// awaits reports whether evidence that is about a rung to come counts; one about no rung
// always does.
func (r Record) awaits(rung uint8) bool { return rung == 0 || r.State == Pending && r.Rung == rung }

// mayClimb reports whether that rung is the contact's next, and the contact not in doubt.
func (r Record) mayClimb(rung uint8) bool {
	return !r.InDoubt && rung == r.Rung+1 && rung <= MaxRung
}

// BeforeRung is the record of a contact that waits for its rung as the conversation before
// knows it.
func (r Record) BeforeRung() Record {
	r.State, r.Rung, r.Tries = Accepted, r.Rung-1, 1
	return r
}

// needsEvents is the first ladder that goes by what events tell; empty: none does.
func (f FollowUp) needsEvents() string {
	for _, l := range f.Then {
		if _, outcome, _ := (Rules{l.Rule}).Need(); outcome {
			return l.String()
		}
	}
	return ""
}

// NextRung is that of the settings. A contact that has not changed since the campaign was
// canceled has no rung.
func (c Campaign) NextRung(f Facts) (next Rung, is bool) {
	if !c.RungsSince.IsZero() && !f.Record.ChangedAt().After(c.RungsSince) {
		return Rung{}, false
	}
	return c.Settings.NextRung(f)
}
