package sandbox

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A reply holds an answer until it is decided whether the client gets it.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	contacts int // conversations that it began

	plan     plan // of its request
	asksJSON bool // the client asks for JSON
	counted  bool // the limit admitted the request
	laravel  int  // version
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

// fail answers as Laravel's exception handler does.
func (r *reply) fail(status int, message string) {
	if r.asksJSON {
		r.json(status, map[string]string{"message": message})
		return
	}
	if message == "" || status == http.StatusNotFound {
		message = http.StatusText(status)
	}
	r.html(status, strings.NewReplacer("STATUS", strconv.Itoa(status), "TEXT", html.EscapeString(message)).Replace(errorView))
}

// redirect answers as Laravel does for a page with a form.
func (r *reply) redirect(req *http.Request, path string) {
	to := "http://" + req.Host + path
	r.header.Set("Location", to)
	r.html(http.StatusFound, strings.ReplaceAll(redirectView, "TO", html.EscapeString(to)))
}

// asksJSON reports whether a request wants JSON, by Laravel's rule.
func asksJSON(r *http.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	return isJSON(first)
}

func isJSON(mediaType string) bool {
	return strings.Contains(mediaType, "/json") || strings.Contains(mediaType, "+json")
}

func (r *reply) html(status int, body string) {
	r.status, r.body = status, []byte(body)
	r.header.Set("Content-Type", "text/html; charset=UTF-8")
}

// page answers with an HTML page of nginx.
func (r *reply) page(status int) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	r.html(status, strings.ReplaceAll(proxyPage, "TITLE", title))
	r.header.Set("Content-Type", "text/html")
}

// cloudflare answers with Cloudflare's page for an origin that closed without an
// answer.
func (r *reply) cloudflare() {
	r.html(statusUnknownError, cloudflarePage)
	r.header.Set("Server", "cloudflare")
}

// signIn answers with a page that does not come from the platform.
func (r *reply) signIn() { r.html(http.StatusOK, signInPage) }

const statusUnknownError = 520 // Cloudflare's own

const (
	proxyPage = "<html>\r\n<head><title>TITLE</title></head>\r\n<body>\r\n" +
		"<center><h1>TITLE</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	cloudflarePage = "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head><title>520: Web server is returning an unknown error</title></head>\n" +
		"<body><h1>Web server is returning an unknown error <span>Error code 520</span></h1></body>\n</html>\n"
	signInPage = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Sign in</title></head>\n" +
		"<body><form method=\"post\" action=\"/login\"><input name=\"email\"><input name=\"password\" type=\"password\"></form></body>\n</html>\n"
	errorView = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>TEXT</title></head>\n" +
		"<body class=\"antialiased\"><div>STATUS</div><div>TEXT</div></body>\n</html>\n"
	redirectView = "<!DOCTYPE html>\n<html>\n<head><meta charset=\"UTF-8\" /><meta http-equiv=\"refresh\" content=\"0;url='TO'\" />\n" +
		"<title>Redirecting to TO</title></head>\n<body>Redirecting to <a href=\"TO\">TO</a>.</body>\n</html>"
)

type endpoint func(*reply, *http.Request)

type methods map[string]endpoint

// ServeHTTP answers into a *reply. Only the Server calls it.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := w.(*reply)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if serve, ok := m[method]; ok {
		serve(out, r)
		return
	}
	var allowed []string
	for _, method := range slices.Sorted(maps.Keys(m)) {
		if allowed = append(allowed, method); method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	supported := strings.Join(allowed, ", ")
	out.header.Set("Allow", supported)
	route := "this route"
	if out.laravel >= 9 {
		route = "route " + strings.TrimPrefix(r.URL.Path, "/")
	}
	out.fail(http.StatusMethodNotAllowed, fmt.Sprintf("The %s method is not supported for %s. Supported methods: %s.", r.Method, route, supported))
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
		out, message := w.(*reply), ""
		if out.laravel >= 9 {
			message = "The route " + strings.TrimPrefix(r.URL.Path, "/") + " could not be found."
		}
		out.fail(http.StatusNotFound, message)
	})
	return mux
}
