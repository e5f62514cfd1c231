package sandbox

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
)

// A ValuesShape is the form of the answer with an agent's value keys. The platform's
// own form is not published, so a client has to read all of these.
type ValuesShape string

// The shapes, by example.
const (
	ShapeList    ValuesShape = "list"    // ["name"]
	ShapeObjects ValuesShape = "objects" // [{"key":"name","required":true}]
	ShapeMap     ValuesShape = "map"     // {"name":"Name"}
	ShapeData    ValuesShape = "data"    // {"data":["name"]}
)

var shapes = []ValuesShape{ShapeList, ShapeObjects, ShapeMap, ShapeData}

func (s *Server) agentDetails(out *reply, r *http.Request) {
	var channels []map[string]any
	for _, id := range s.cfg.Channels {
		channels = append(channels, map[string]any{"id": id, "active": true})
	}
	id := TokenID(bearer(r))
	out.json(http.StatusOK, map[string]any{"data": map[string]any{
		"id":        agentID(id),
		"public_id": "agent-" + id,
		"name":      "Sandbox agent " + id,
		"status":    "active",
		"channels":  channels,
	}})
}

// agentID makes a number of the token's name, like the platform's internal ids.
func agentID(tokenID string) int {
	var n int
	_, _ = fmt.Sscanf(tokenID, "%x", &n)
	return n%100_000 + 1
}

func (s *Server) agentValues(out *reply, _ *http.Request) {
	keys := append([]string{}, s.cfg.ValueKeys...) // [] rather than null
	switch s.cfg.ValuesShape {
	case ShapeList:
		out.json(http.StatusOK, keys)
	case ShapeObjects:
		objects := []map[string]any{}
		for _, key := range keys {
			objects = append(objects, map[string]any{"key": key, "required": true})
		}
		out.json(http.StatusOK, objects)
	case ShapeMap:
		labels := map[string]string{}
		for _, key := range keys {
			labels[key] = strings.ReplaceAll(key, "_", " ")
		}
		out.json(http.StatusOK, labels)
	default:
		out.json(http.StatusOK, map[string]any{"data": keys})
	}
}

func (s *Server) csvTemplate(out *reply, _ *http.Request) {
	header, example := []string{"phone"}, []string{"+966501234567"}
	for _, key := range s.cfg.ValueKeys {
		header, example = append(header, key), append(example, strings.ReplaceAll(key, "_", " "))
	}
	w := csv.NewWriter(out)
	_ = w.WriteAll([][]string{header, example}) // writing to a reply cannot fail
	out.header.Set("Content-Type", "text/csv; charset=UTF-8")
	out.header.Set("Content-Disposition", `attachment; filename="contacts.csv"`)
}

func (s *Server) dispatch(out *reply, r *http.Request) {
	in, v := input(r), violations{laravel: s.cfg.Laravel}
	channel := s.channel(&v, in)
	one := []contact{s.contact(&v, in, "")}
	h := v.webhook(in)
	if v.refuse(out, r, s.cfg.Unnamed422) {
		return
	}
	s.contactAll(out, r, channel, one, h)
	out.json(http.StatusOK, map[string]any{
		"message": "Dispatched successfully.",
		"data":    map[string]any{"id": randomID(), "status": "queued"},
	})
}

func (s *Server) batch(out *reply, r *http.Request) {
	in, v := input(r), violations{laravel: s.cfg.Laravel}
	channel := s.channel(&v, in)
	name := v.text(in, "name", 255)
	contacts := s.rows(&v, in)
	h := v.webhook(in)
	if v.refuse(out, r, s.cfg.Unnamed422) {
		return
	}
	s.contactAll(out, r, channel, contacts, h)
	out.json(http.StatusOK, map[string]any{
		"message": "Batch created successfully.",
		"data":    map[string]any{"id": randomID(), "name": name, "rows": len(contacts), "status": "queued"},
	})
}

func (s *Server) rows(v *violations, in map[string]any) []contact {
	n, ok := size(in["rows"])
	switch {
	case missing(in["rows"]):
		v.add("rows", "The :attribute field is required.")
	case !ok:
		v.add("rows", "The :attribute field must be an array.")
	case n > s.cfg.MaxRows:
		v.add("rows", fmt.Sprintf("The :attribute field must not have more than %d items.", s.cfg.MaxRows))
	}
	contacts := make([]contact, 0, n)
	for key, row := range inOrder(in["rows"]) {
		fields, _ := row.(map[string]any) // other values have no fields
		contacts = append(contacts, s.contact(v, fields, "rows."+key+"."))
	}
	return contacts
}

// contactAll does the work: from here on these people have been contacted.
func (s *Server) contactAll(out *reply, r *http.Request, channel int, contacts []contact, h hook) {
	s.ledger.add(contacts)
	out.contacts = len(contacts)
	if h.link != "" {
		s.courier.send(TokenID(bearer(r)), channel, contacts, h)
	}
}
