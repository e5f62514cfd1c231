package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// reply holds an answer back until it is decided whether the client gets it.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	contacts int // conversations that began with it
}

// Header, WriteHeader and Write make it an http.ResponseWriter.
func (r *reply) Header() http.Header    { return r.header }
func (r *reply) WriteHeader(status int) { r.status = status }
func (r *reply) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

func (r *reply) json(status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only what this package makes, or what came as JSON
	}
	r.status, r.body = status, body
	r.header.Set("Content-Type", "application/json")
}

func (r *reply) fail(status int, message string) {
	r.json(status, map[string]string{"message": message})
}

// page answers with the HTML of a proxy.
func (r *reply) page(status int) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	r.status = status
	r.body = []byte(strings.ReplaceAll(proxyPage, "TITLE", title))
	r.header.Set("Content-Type", "text/html")
}

const proxyPage = "<html>\r\n<head><title>TITLE</title></head>\r\n<body>\r\n" +
	"<center><h1>TITLE</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

// endpoint answers one operation.
type endpoint func(*reply, *http.Request)

// methods are the endpoints of a path.
type methods map[string]endpoint

// ServeHTTP answers into a *reply; the Server calls it with nothing else.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := w.(*reply)
	if serve, ok := m[r.Method]; ok {
		serve(out, r)
		return
	}
	allowed := make([]string, 0, len(m))
	for method := range m {
		allowed = append(allowed, method)
	}
	out.header.Set("Allow", strings.Join(allowed, ", "))
	out.fail(http.StatusMethodNotAllowed, fmt.Sprintf("The %s method is not supported for route %s.",
		r.Method, strings.TrimPrefix(r.URL.Path, "/")))
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for path, m := range map[string]methods{
		"/Integration/Agent":          {"GET": s.agent(s.agentDetails)},
		"/Integration/Agent/Values":   {"GET": s.agent(s.agentValues)},
		"/Integration/Agent/CsvFile":  {"GET": s.agent(s.csvTemplate)},
		"/Integration/Agent/Batch":    {"POST": s.agent(s.batch)},
		"/Integration/Agent/Dispatch": {"POST": s.agent(s.dispatch)},

		"/Company/TenantAuth/me":             {"GET": s.tenant("", s.me)},
		"/Company/Support/Tickets":           {"GET": s.tenant(viewTickets, s.listTickets), "POST": s.tenant(createTickets, s.createTicket)},
		"/Company/Support/Tickets/{id}":      {"GET": s.tenant(viewTickets, s.showTicket)},
		"/Company/Conversation/{id}/Send":    {"POST": s.tenant(sendMessages, s.sendMessage)},
		"/Company/Conversation/{id}/history": {"GET": s.tenant(viewMessages, s.history)},
	} {
		mux.Handle(path, m)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.(*reply).fail(http.StatusNotFound, "The route "+strings.TrimPrefix(r.URL.Path, "/")+" could not be found.")
	})
	return mux
}
