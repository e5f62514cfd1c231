package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"mime"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

//go:embed static/*
var staticFiles embed.FS

// forLong is for what never changes at its address.
const forLong = "private, max-age=31536000, immutable"

// sumOf is the version of a static file: a sum of its content.
func sumOf(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:16] }

// static serves the style, the script and the icon. Pages name them with their version, so a
// browser keeps them; at other addresses it must ask for changes.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	data, err := staticFiles.ReadFile(path.Join("static", name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sumOf(data)
	w.Header().Set("ETag", `W/"`+sum+`"`) // the same, however it is compressed
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == sum {
		w.Header().Set("Cache-Control", forLong)
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// staticAddress matches the address of a static file in a template.
var staticAddress = regexp.MustCompile(`"/static/([a-z.]+)`)

// versioned is a template that names static files with their versions.
func versioned(template string) string {
	return staticAddress.ReplaceAllStringFunc(template, func(address string) string {
		data, err := staticFiles.ReadFile(address[len(`"/`):])
		if err != nil {
			panic(err) // it is embedded
		}
		return address + "?v=" + sumOf(data)
	})
}

// packed compresses the files that a handler serves, as the browser takes them.
func packed(next http.HandlerFunc) http.HandlerFunc { return gzhttp.GzipHandler(next) }

// foreignFiles serves the files of the asynq UI, whose names change with their content. In
// place of one that it does not have it serves its page, which no browser is to keep.
func foreignFiles(next http.Handler) http.Handler {
	return packed(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&lasting{w, false}, r) })
}

// A lasting answer is kept by browsers if it is a file that is there.
type lasting struct {
	http.ResponseWriter
	begun bool
}

func (l *lasting) WriteHeader(status int) {
	kind, _, _ := mime.ParseMediaType(l.Header().Get("Content-Type"))
	if !l.begun && status == http.StatusOK && kind != "" && kind != "text/html" {
		l.Header().Set("Cache-Control", forLong)
	}
	l.begun = true
	l.ResponseWriter.WriteHeader(status)
}

func (l *lasting) Write(p []byte) (int, error) {
	if !l.begun {
		l.WriteHeader(http.StatusOK)
	}
	return l.ResponseWriter.Write(p)
}
