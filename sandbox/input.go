package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// input reads the request's JSON object, or answers 400.
func input(out *reply, r *http.Request) (map[string]any, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		out.fail(http.StatusBadRequest, "The request must have the content type application/json.")
		return nil, false
	}
	var in map[string]any
	body := r.Body.(whole).Bytes()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // values come back in events as they were written
	if err := dec.Decode(&in); err == nil && in != nil && len(bytes.TrimSpace(body[dec.InputOffset():])) == 0 {
		return in, true
	}
	out.fail(http.StatusBadRequest, "The request body is not a JSON object.")
	return nil, false
}

// violations collects what is wrong with an input, as Laravel's validator does.
type violations struct {
	first    string
	fields   map[string][]string
	contacts bool // a contact is at fault, not only the request around it
}

func (v *violations) add(field, message string) {
	message = strings.ReplaceAll(message, ":attribute", strings.ReplaceAll(field, "_", " "))
	if v.fields == nil {
		v.first, v.fields = message, make(map[string][]string)
	}
	v.fields[field] = append(v.fields[field], message)
}

func (v *violations) addContact(field, message string) {
	v.contacts = true
	v.add(field, message)
}

// refuse answers 422 when there is anything to refuse.
func (v *violations) refuse(out *reply, unnamed bool) bool {
	switch {
	case v.fields == nil:
		return false
	case v.contacts && unnamed:
		out.fail(http.StatusUnprocessableEntity, "The given data was invalid.")
		return true
	}
	message := v.first
	switch more := len(v.fields) - 1; {
	case more == 1:
		message += " (and 1 more error)"
	case more > 1:
		message += fmt.Sprintf(" (and %d more errors)", more)
	}
	out.json(http.StatusUnprocessableEntity, map[string]any{"message": message, "errors": v.fields})
	return true
}

// text wants a string that is not blank.
func (v *violations) text(in map[string]any, field string, longest int) string {
	s, ok := in[field].(string)
	switch {
	case missing(in[field]):
		v.add(field, "The :attribute field is required.")
	case !ok:
		v.add(field, "The :attribute field must be a string.")
	case len(s) > longest:
		v.add(field, fmt.Sprintf("The :attribute field must not be greater than %d characters.", longest))
	}
	return s
}

// missing tells what the rule "required" refuses: nothing, blanks, empty lists.
func missing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

// channel wants one of the configured ids.
func (s *Server) channel(v *violations, in map[string]any) int {
	number, _ := in["channel_id"].(json.Number)
	id, err := number.Int64()
	switch {
	case missing(in["channel_id"]):
		v.add("channel_id", "The :attribute field is required.")
	case err != nil:
		v.add("channel_id", "The :attribute field must be an integer.")
	case !s.channels[int(id)]:
		v.add("channel_id", "The selected :attribute is invalid.")
	}
	return int(id)
}

// A contact is one person of a valid request.
type contact struct {
	number uint64
	values map[string]any
}

// A place is a contact's index among the rows of a batch, or alone.
type place int

const alone place = -1

// field is the path of a contact's field: "phone" or "rows.3.phone".
func (p place) field(name string) string {
	if p == alone {
		return name
	}
	return fmt.Sprintf("rows.%d.%s", p, name)
}

// contact checks one person.
func (s *Server) contact(v *violations, in map[string]any, at place) contact {
	phone, isString := in["phone"].(string)
	number, ok := parsePhone(phone)
	switch {
	case missing(in["phone"]):
		v.addContact(at.field("phone"), "The :attribute field is required.")
	case !isString:
		v.addContact(at.field("phone"), "The :attribute field must be a string.")
	case !ok:
		v.addContact(at.field("phone"), "The :attribute field must be a valid phone number.")
	case s.bad[number]:
		v.addContact(at.field("phone"), "The selected :attribute is invalid.")
	}
	values, ok := object(in["values"])
	if !ok {
		v.addContact(at.field("values"), "The :attribute field must be an array.")
		return contact{}
	}
	for _, key := range s.cfg.ValueKeys {
		if missing(values[key]) {
			v.addContact(at.field("values."+key), "The :attribute field is required.")
		}
	}
	return contact{number, values}
}

// A hook is where, and with what, events of a request are reported.
type hook struct {
	link    string
	body    map[string]any
	headers map[string]any
}

func (v *violations) webhook(in map[string]any) hook {
	w := v.object(in, "webhook", "webhook")
	h := hook{body: v.object(w, "body", "webhook.body"), headers: v.object(w, "headers", "webhook.headers")}
	if w["link"] == nil {
		return h
	}
	h.link, _ = w["link"].(string)
	if u, err := url.Parse(h.link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		v.add("webhook.link", "The :attribute field must be a valid URL.")
	}
	return h
}

func (v *violations) object(in map[string]any, key, field string) map[string]any {
	m, ok := object(in[key])
	if !ok {
		v.add(field, "The :attribute field must be an array.")
	}
	return m
}

// object reads an optional object. PHP writes an empty one as [], and takes it
// back.
func object(v any) (m map[string]any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return v, true
	case []any:
		return nil, len(v) == 0
	default:
		return nil, false
	}
}
