package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// input reads the JSON object of a request as Laravel does: texts are trimmed, and
// empty texts are null. Anything else has no fields, so that the rules refuse it.
func input(r *http.Request) map[string]any {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil
	}
	var in map[string]any
	body := r.Body.(whole).Bytes()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // events repeat values as they were written
	if err := dec.Decode(&in); err != nil || len(bytes.TrimSpace(body[dec.InputOffset():])) > 0 {
		return nil
	}
	tidy(in)
	return in
}

// tidy trims the texts in a list or an object.
func tidy(v any) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			tidyItem(item, func(tidied any) { v[i] = tidied })
		}
	case map[string]any:
		for key, item := range v {
			tidyItem(item, func(tidied any) { v[key] = tidied })
		}
	}
}

// tidyItem sets an item only if it changes: most do not.
func tidyItem(item any, set func(any)) {
	text, is := item.(string)
	if !is {
		tidy(item)
		return
	}
	switch trimmed := strings.TrimSpace(text); {
	case trimmed == "":
		set(nil)
	case len(trimmed) < len(text):
		set(trimmed)
	}
}

// violations collect what is wrong with an input, as Laravel's validator does.
type violations struct {
	laravel  int // version
	first    string
	fields   map[string][]string
	contacts bool // some are in a contact
}

// add adds a message, given as version 10 writes it.
func (v *violations) add(field, message string) {
	if v.laravel < 10 {
		message = strings.Replace(message, "field must", "must", 1)
	}
	message = strings.ReplaceAll(message, ":attribute", attribute(field))
	if v.fields == nil {
		v.first, v.fields = message, make(map[string][]string)
	}
	v.fields[field] = append(v.fields[field], message)
}

// attribute is the name of a field in a message: the path if the rule is about all
// rows, else words.
func attribute(field string) string {
	if strings.HasPrefix(field, "rows.") {
		return field
	}
	var words strings.Builder
	for i, r := range field {
		if i > 0 && unicode.IsUpper(r) {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
	}
	return strings.ReplaceAll(words.String(), "_", " ")
}

func (v *violations) addContact(field, message string) {
	v.contacts = true
	v.add(field, message)
}

// refuse answers 422 if there are violations.
func (v *violations) refuse(out *reply, r *http.Request, unnamed bool) bool {
	switch {
	case v.fields == nil:
		return false
	case !out.asksJSON:
		out.redirect(r, "")
		return true
	case v.contacts && unnamed:
		out.fail(http.StatusUnprocessableEntity, "The given data was invalid.")
		return true
	}
	out.json(http.StatusUnprocessableEntity, map[string]any{"message": v.summary(), "errors": v.fields})
	return true
}

func (v *violations) summary() string {
	if v.laravel < 9 {
		return "The given data was invalid."
	}
	more := -1
	for _, messages := range v.fields {
		more += len(messages)
	}
	switch {
	case more == 1:
		return v.first + " (and 1 more error)"
	case more > 1:
		return fmt.Sprintf("%s (and %d more errors)", v.first, more)
	}
	return v.first
}

func (v *violations) text(in map[string]any, field string, longest int) string {
	s, ok := in[field].(string)
	switch {
	case missing(in[field]):
		v.add(field, "The :attribute field is required.")
	case !ok:
		v.add(field, "The :attribute field must be a string.")
	case utf8.RuneCountInString(s) > longest:
		v.add(field, fmt.Sprintf("The :attribute field must not be greater than %d characters.", longest))
	}
	return s
}

// missing reports whether the rule "required" refuses a value: null and empty lists.
func missing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// channel requires a configured id, as a number or a text.
func (s *Server) channel(v *violations, in map[string]any) int {
	if missing(in["channel_id"]) {
		v.add("channel_id", "The :attribute field is required.")
		return 0
	}
	id, err := strconv.Atoi(fmt.Sprint(in["channel_id"]))
	if err != nil {
		v.add("channel_id", "The :attribute field must be an integer.")
	}
	if err != nil || !s.channels[id] {
		v.add("channel_id", "The selected :attribute is invalid.")
	}
	return id
}

// A contact is a person in a request.
type contact struct {
	number uint64
	values map[string]any
}

// contact checks a person. at begins the paths of the fields: "rows.3." in a batch,
// empty in a dispatch.
func (s *Server) contact(v *violations, in map[string]any, at string) contact {
	phone, isString := in["phone"].(string)
	number, ok := parsePhone(phone)
	switch {
	case missing(in["phone"]):
		v.addContact(at+"phone", "The :attribute field is required.")
	case !ok:
		if !isString {
			v.addContact(at+"phone", "The :attribute field must be a string.")
		}
		v.addContact(at+"phone", "The :attribute field must be a valid phone number.")
	case s.bad[number]:
		v.addContact(at+"phone", "The selected :attribute is invalid.")
	}
	values, ok := array(in["values"])
	if !ok {
		v.addContact(at+"values", "The :attribute field must be an array.")
	}
	for _, key := range s.cfg.ValueKeys {
		if missing(values[key]) {
			v.addContact(at+"values."+key, "The :attribute field is required.")
		}
	}
	return contact{number, values}
}

// A hook is where the events of a request are sent, and what is sent with them.
type hook struct {
	link    string
	body    map[string]any
	headers map[string]any
}

func (v *violations) webhook(in map[string]any) hook {
	w := v.array(in, "webhook", "webhook")
	h := hook{body: v.array(w, "body", "webhook.body"), headers: v.array(w, "headers", "webhook.headers")}
	if w["link"] == nil {
		return h
	}
	h.link, _ = w["link"].(string)
	if u, err := url.Parse(h.link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		v.add("webhook.link", "The :attribute field must be a valid URL.")
	}
	return h
}

func (v *violations) array(in map[string]any, key, field string) map[string]any {
	m, ok := array(in[key])
	if !ok {
		v.add(field, "The :attribute field must be an array.")
	}
	return m
}

// array reads what PHP calls an array: a list or an object. null is an empty one.
func array(v any) (m map[string]any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return v, true
	case []any:
		m = make(map[string]any, len(v))
		for i, item := range v {
			m[strconv.Itoa(i)] = item
		}
		return m, true
	default:
		return nil, false
	}
}

// inOrder returns what PHP calls an array with its keys, those of a list by their place.
func inOrder(v any) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		switch v := v.(type) {
		case []any:
			for i, item := range v {
				if !yield(strconv.Itoa(i), item) {
					return
				}
			}
		case map[string]any:
			for _, key := range slices.SortedFunc(maps.Keys(v), byPlace) {
				if !yield(key, v[key]) {
					return
				}
			}
		}
	}
}

func byPlace(a, b string) int {
	i, errA := strconv.Atoi(a)
	j, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return i - j
	}
	return strings.Compare(a, b)
}

// size is how many items an array of PHP has. null is an empty one.
func size(v any) (n int, ok bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case []any:
		return len(v), true
	case map[string]any:
		return len(v), true
	default:
		return 0, false
	}
}
