package campaign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Message tells people something: a code of the table in english.go with its
// parameters, or somebody else's text as it was sent. String, %v and JSON give it in
// English. The zero Message says nothing.
//
// In Redis it is one line, in which times and numbers stand in neutral form.
type Message struct {
	code    Code   // zero: it is a text
	line    string // as in Redis
	english string
}

// A Code names one thing that the runner can say.
type Code struct{ name string }

// mark begins the line of a code. Text never begins with it.
const mark = "\x1f"

// maxParameterBytes bounds each text among the parameters of a Message.
const maxParameterBytes = 300

// Text is a message of somebody else: the platform or a person.
func Text(text string) Message {
	text = strings.TrimLeft(strings.ToValidUTF8(text, "�"), mark)
	return Message{line: text, english: text}
}

// Say is a message of the runner: a code, then the name and the value of each
// parameter. A value is a text, a time, a number, a Message, or several of these two.
func Say(code Code, parameters ...any) Message {
	parts := append([]any{code.name}, parameters...)
	for i, part := range parts {
		parts[i] = neutral(part)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(parts) // strings and numbers
	return ReadMessage(mark + strings.TrimSuffix(b.String(), "\n"))
}

// ReadMessage reads a line. One without a mark is a text, such as an earlier version
// stored for the runner's own reasons.
func ReadMessage(line string) Message {
	var parts []any
	body, coded := strings.CutPrefix(line, mark)
	if coded {
		_ = json.Unmarshal([]byte(body), &parts) // a damaged line is a text
	}
	if len(parts) == 0 {
		return Text(line)
	}
	name, _ := parts[0].(string)
	return Message{code: Code{name}, line: line, english: Voice{}.render(parts)}
}

// Line is the message as Redis keeps it: of a code the mark and a JSON array of its
// name and its parameters.
func (m Message) Line() string { return m.line }

// Stored is the message for JSON that goes to Redis: it gives its line.
func (m Message) Stored() Message { return Message{line: m.line, english: m.line} }

// Cut shortens a text to maxBytes. The texts in a code are bounded already.
func (m Message) Cut(maxBytes int) Message {
	return m.Mask(func(text string) string { return cut(text, maxBytes) })
}

// String is the message in English.
func (m Message) String() string { return m.english }

// Strings are messages in English.
func Strings(list []Message) []string {
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = m.String()
	}
	return texts
}

// A Voice says messages in its own words. What it has none for, it says in English.
type Voice struct {
	Words map[Code]string                // what codes say, with their parameters in braces
	Time  func(at, now time.Time) string // nil: by the process's own clock

	Number func(n int, how string) string      // nil: as English has it
	Text   func(parameter, text string) string // somebody else's words, or a name; nil: as they are
	Comma  string                              // between several; ", " when empty
}

// Say is the message in that voice.
func (v Voice) Say(m Message) string {
	var parts []any
	if m.code == (Code{}) || json.Unmarshal([]byte(m.line[len(mark):]), &parts) != nil {
		return v.text("", m.english)
	}
	return v.render(parts)
}

// Codes lists all that the runner can say, by name.
func Codes() map[string]Code {
	all := make(map[string]Code, len(english))
	for code := range english {
		all[code.name] = code
	}
	return all
}

// EnglishOf is what a code says in English, with its parameters in braces.
func EnglishOf(code Code) string { return english[code] }

// MarshalText gives English.
func (m Message) MarshalText() ([]byte, error) { return []byte(m.english), nil }

// UnmarshalText reads a line.
func (m *Message) UnmarshalText(line []byte) error {
	*m = ReadMessage(string(line))
	return nil
}

// Coded reports whether the message is a code. Others are somebody's text.
func (m Message) Coded() bool { return m.code != Code{} }

// IsZero reports whether the message says nothing.
func (m Message) IsZero() bool { return m.line == "" }

// Equal reports whether two messages say the same.
func (m Message) Equal(other Message) bool { return m.line == other.line }

// Is reports whether the message has that code, or is the English text that an earlier
// version stored in its place.
func (m Message) Is(code Code) bool {
	fixed := place.Split(english[code], -1)
	return m.code == code || m.code == Code{} &&
		strings.HasPrefix(m.english, fixed[0]) && strings.HasSuffix(m.english, fixed[len(fixed)-1])
}

// Matches reports whether part is a part of the English text, in any case, or the name
// of the code.
func (m Message) Matches(part string) bool {
	return containsFold(m.english, part) || m.code.name != "" && m.code.name == strings.TrimSpace(part)
}

// Mask applies mask to a text. The parameters of a code are masked by who says it.
func (m Message) Mask(mask func(string) string) Message {
	if m.code == (Code{}) {
		return Text(mask(m.line))
	}
	return m
}

// several is the key of a list: a JSON array is one message.
const several = "several"

// neutral is a parameter as a line keeps it.
func neutral(value any) any {
	switch v := value.(type) {
	case int:
		return v
	case time.Time:
		return v.Format(time.RFC3339)
	case Message:
		if v.code != (Code{}) {
			return json.RawMessage(v.line[len(mark):])
		}
	case []int:
		return map[string]any{several: v}
	case []Message:
		list := make([]any, len(v))
		for i, m := range v {
			list[i] = neutral(m)
		}
		return map[string]any{several: list}
	}
	return cut(fmt.Sprint(value), maxParameterBytes)
}

// cut shortens a text to a number of bytes, between runes.
func cut(text string, maxBytes int) string {
	return strings.ToValidUTF8(text[:min(len(text), maxBytes)], "")
}

// place is where a text holds a parameter: {name}, or {name:how}. How is, of a
// list, what separates it; of a number, its noun for one and for several; of a time,
// "moment" or "clock", by the reader's own.
var place = regexp.MustCompile(`\{(\w+)(?::([^}]+))?\}`)

// render says a code with its parameters. Of a code that is not known, since a later
// version wrote it, it says what there is.
func (v Voice) render(parts []any) string {
	name, _ := parts[0].(string)
	text, known := v.Words[Code{name}]
	if !known {
		text, known = english[Code{name}]
	}
	if !known {
		text = v.text("", name)
		for i := 1; i+1 < len(parts); i += 2 {
			if hole := fmt.Sprintf("{%v}", parts[i]); place.FindString(hole) == hole {
				text += fmt.Sprintf(" %v=%s", parts[i], hole)
			}
		}
	}
	return place.ReplaceAllStringFunc(text, func(found string) string {
		named := place.FindStringSubmatch(found)
		for i := 1; i+1 < len(parts); i += 2 {
			if parts[i] == named[1] {
				return v.value(named[1], parts[i+1], named[2])
			}
		}
		return "?"
	})
}

func (v Voice) text(parameter, text string) string {
	if v.Text == nil || text == "" {
		return text
	}
	return v.Text(parameter, text)
}

func (v Voice) value(parameter string, value any, how string) string {
	switch is := value.(type) {
	case string:
		switch at, err := time.Parse(time.RFC3339, is); {
		case err == nil && v.Time != nil:
			return v.Time(at, time.Now())
		case err == nil && how == "moment":
			return Moment(at)
		case err == nil && how == "clock":
			return Clock(at, time.Now())
		}
		return v.text(parameter, is)
	case float64:
		if v.Number != nil {
			return v.Number(int(is), how)
		}
		if one, many, noun := strings.Cut(how, "|"); noun {
			return Count(int(is), one, many)
		}
		return strconv.FormatFloat(is, 'f', -1, 64)
	case []any:
		if len(is) > 0 {
			return v.render(is)
		}
	case map[string]any:
		list, _ := is[several].([]any)
		texts := make([]string, len(list))
		for i, m := range list {
			texts[i] = v.value(parameter, m, "")
		}
		return strings.Join(texts, cmp.Or(how, v.Comma, ", "))
	}
	return ""
}
