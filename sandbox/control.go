package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
)

const maxControlBytes = 64 << 10

// controls are the paths under /sandbox/.
func (s *Server) controls() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sandbox/ledger", s.showLedger)
	mux.HandleFunc("DELETE /sandbox/ledger", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /sandbox/stats", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Stats()) })
	mux.HandleFunc("GET /sandbox/limit", func(w http.ResponseWriter, _ *http.Request) { s.showLimit(w) })
	mux.HandleFunc("PUT /sandbox/limit", s.putLimit)
	mux.HandleFunc("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { show(w, s.faults.get()) })
	mux.HandleFunc("PUT /sandbox/faults", s.putFaults)
	mux.HandleFunc("DELETE /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		_ = s.faults.set(Faults{}) // no faults are valid
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *Server) showLedger(w http.ResponseWriter, r *http.Request) {
	st := s.Stats()
	page := struct {
		Contacts int            `json:"contacts"`
		Numbers  int            `json:"numbers"`
		Repeated int            `json:"repeated"`
		Counts   map[string]int `json:"counts"`
	}{st.Contacts, st.Numbers, st.Repeated, nil}
	switch phone := r.FormValue("phone"); {
	case phone != "":
		// An unescaped plus arrives as a space.
		phone = "+" + strings.TrimLeft(phone, "+ ")
		page.Counts = map[string]int{phone: s.Contacted(phone)}
	case r.FormValue("all") == "1":
		page.Counts = s.Counts(1)
	default:
		page.Counts = s.Counts(2)
	}
	show(w, page)
}

type limitPage struct {
	Limit *int `json:"limit"`
}

func (s *Server) showLimit(w http.ResponseWriter) {
	s.mu.Lock()
	limit := max(0, s.limit)
	s.mu.Unlock()
	show(w, limitPage{&limit})
}

func (s *Server) putLimit(w http.ResponseWriter, r *http.Request) {
	var in limitPage
	if !read(w, r, &in) {
		return
	}
	if in.Limit == nil || *in.Limit < 0 {
		http.Error(w, `want {"limit":N}, with 0 to lift it`, http.StatusBadRequest)
		return
	}
	s.SetLimit(*in.Limit)
	s.showLimit(w)
}

func (s *Server) putFaults(w http.ResponseWriter, r *http.Request) {
	in := s.faults.get() // fields that are not given stay
	if !read(w, r, &in) {
		return
	}
	if err := s.faults.set(in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	show(w, in)
}

// read decodes the JSON of a request, or answers 400.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func show(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have left
}
