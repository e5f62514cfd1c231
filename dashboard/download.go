package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// send serves the output of write as a download. If write fails before its first byte, a
// page says why. Later it cuts the connection, so that a browser does not take a part for
// the whole file.
func (p *pages) send(w http.ResponseWriter, r *http.Request, name, kind string, write func(io.Writer) error) {
	asAttachment(w, name, kind)
	out := &download{to: w}
	switch err := write(out); {
	case err == nil:
	case !out.begun:
		w.Header().Del("Content-Disposition")
		p.refuse(w, r, err)
	default:
		if !errors.Is(err, context.Canceled) {
			p.Logger.WarnContext(r.Context(), "file not written whole", "campaign", r.PathValue("name"), "file", name, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// csvKind is the media type of CSV.
const csvKind = "text/csv; charset=utf-8"

// asAttachment makes a browser save what comes. Names of campaigns need no escaping.
func asAttachment(w http.ResponseWriter, name, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// A download sends its first bytes at once: a browser then shows that the file comes.
type download struct {
	to    http.ResponseWriter
	begun bool
}

func (d *download) Write(b []byte) (int, error) {
	n, err := d.to.Write(b)
	if !d.begun {
		d.begun = true
		_ = http.NewResponseController(d.to).Flush() // else they go out with the next ones
	}
	return n, err
}
