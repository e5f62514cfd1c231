package velents

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// The platform publishes few of its bodies, and PHP writes an empty map as an empty list.
// So reading never fails here: a value of an unexpected shape counts as missing.

// text is a JSON string, number or boolean as a string; empty for anything else.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch raw[0] {
	case '"':
		if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			*t = text(inner) // as nearly all are
			return nil
		}
		return json.Unmarshal(raw, (*string)(t))
	case '{', '[', 'n':
	default:
		*t = text(raw)
	}
	return nil
}

// lenient is a T, or nothing when the JSON does not fit.
type lenient[T any] struct {
	v  T
	ok bool
}

func (l *lenient[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if json.Unmarshal(raw, &v) == nil && raw[0] != 'n' {
		l.v, l.ok = v, true
	}
	return nil
}

// stringOf is raw as a string; empty when it is no string.
func stringOf(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // s stays empty
	return s
}

// unwrap is what an answer has under "data", or the whole answer.
func unwrap(raw json.RawMessage) json.RawMessage {
	var wire map[string]json.RawMessage
	if json.Unmarshal(raw, &wire) == nil {
		if data := wire["data"]; len(data) > 0 && (data[0] == '{' || data[0] == '[') {
			return data
		}
	}
	return raw
}

// findID is the id that an answer to Batch or Dispatch names, if any.
func findID(raw []byte) string {
	var wire map[string]text
	if json.Unmarshal(unwrap(raw), &wire) != nil {
		return ""
	}
	for _, key := range []string{"public_id", "id", "uuid", "batch_id", "conversation_id"} {
		if id := wire[key]; id != "" && len(id) <= maxIDBytes {
			return string(id)
		}
	}
	return ""
}

const (
	maxIDBytes = 200
	maxKeys    = 1_000
)

// findKeys reads a list of names: strings, or objects with a key or a name, or
// the keys of a map; bare, or under "data" or "values".
func findKeys(raw json.RawMessage) (keys []string, ok bool) {
	for range 3 { // data.values is as deep as it goes
		var wire map[string]json.RawMessage
		if json.Unmarshal(raw, &wire) != nil {
			return listedKeys(raw)
		}
		if wire == nil {
			return nil, false
		}
		inner, ok := holder(wire)
		if !ok {
			return mapKeys(wire)
		}
		raw = inner
	}
	return nil, false
}

func holder(wire map[string]json.RawMessage) (json.RawMessage, bool) {
	for _, key := range []string{"data", "values"} {
		if inner := wire[key]; len(inner) > 0 && (inner[0] == '{' || inner[0] == '[') {
			return inner, true
		}
	}
	return nil, false
}

func listedKeys(raw json.RawMessage) ([]string, bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil || len(list) > maxKeys {
		return nil, false
	}
	keys := []string{}
	for _, item := range list {
		key := stringOf(item)
		if key == "" {
			var object struct{ Key, Name lenient[string] }
			_ = json.Unmarshal(item, &object) // no object has no key
			if key = object.Key.v; key == "" {
				key = object.Name.v
			}
		}
		if key == "" {
			return nil, false
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, true
}

// mapKeys takes the keys of a map for names, unless the map looks like an empty envelope: a
// wrong key would stop a launch, an unread one only warns.
func mapKeys(wire map[string]json.RawMessage) ([]string, bool) {
	for _, key := range []string{"success", "status", "message", "error", "errors"} {
		if _, ok := wire[key]; ok {
			return nil, false
		}
	}
	return slices.Sorted(maps.Keys(wire)), true
}
