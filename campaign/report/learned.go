package report

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"campaign-runner/velents/mask"
)

const (
	// A key with more values than maxValues is free text, and one with more than half as
	// many as contacts. Neither is shown, as a name or a wish in own words could be among
	// them.
	maxValues = 30
	// fewest is how many contacts must have given a value for it to be shown.
	fewest = 3
	// maxValue is the longest value that is shown, in characters.
	maxValue = 40
	// shownValues is how many values of a key are shown.
	shownValues = 12
)

// private are parts of the names of keys that hold what tells of one person, however often
// it comes.
var private = regexp.MustCompile(`(?i)name|phone|mobile|mail|address|iban|birth|اسم|هاتف|جوال|بريد|عنوان|ميلاد`)

// values counts what the agent learned for one key. It keeps a bounded number of values.
type values struct {
	contacts int
	counts   map[string]int
	free     bool
}

func (v *values) add(value string, contacts int) {
	if value == "" {
		return
	}
	v.contacts += contacts
	if v.free || !mayBeShown(value) {
		return
	}
	if v.counts == nil {
		v.counts = make(map[string]int)
	}
	v.counts[value] += contacts
	if len(v.counts) > maxValues {
		v.free, v.counts = true, nil
	}
}

// mayBeShown reports whether a value could be one of a few that an agent chooses from.
func mayBeShown(value string) bool {
	return utf8.RuneCountInString(value) <= maxValue && !strings.ContainsAny(value, "@{[\n") && mask.Numbers(value) == value
}

func (v *values) merge(part *values) {
	if v.free || part.free {
		v.contacts += part.contacts
		v.free, v.counts = true, nil
		return
	}
	unshown := part.contacts
	for value, n := range part.counts {
		v.add(value, n)
		unshown -= n
	}
	v.contacts += unshown
}

func (v *values) told(key string) Learned {
	l := Learned{Key: key, Contacts: v.contacts, Values: []Value{}, Rare: v.contacts}
	if v.free || 2*len(v.counts) > v.contacts || private.MatchString(key) {
		return l
	}
	for _, value := range slices.Sorted(maps.Keys(v.counts)) {
		if n := v.counts[value]; n >= fewest {
			l.Values = append(l.Values, Value{value, n})
		}
	}
	slices.SortStableFunc(l.Values, func(a, b Value) int { return cmp.Compare(b.Contacts, a.Contacts) })
	l.Values = l.Values[:min(len(l.Values), shownValues)]
	for _, value := range l.Values {
		l.Rare -= value.Contacts
	}
	return l
}
