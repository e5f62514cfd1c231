package dashboard

import (
	"bytes"
	"mime"
	"net/http"
	"regexp"
	"strconv"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// queues is the asynq UI. A task holds the reference of its chunk and nothing
// else, so payloads are shown as they are.
func queues(rdb redis.UniversalClient) http.Handler {
	return withoutForeignStyles(asynqmon.New(asynqmon.Options{
		RootPath:         "/queues",
		RedisConnOpt:     sharedRedis{rdb},
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(_ string, payload []byte) string { return string(payload) }),
	}))
}

// sharedRedis hands the worker's own client to asynqmon, which must not close it.
type sharedRedis struct{ rdb redis.UniversalClient }

func (s sharedRedis) MakeRedisClient() any { return s.rdb }

// foreignStyle is a link of asynqmon's page to a font service. The page does
// without: its icons are drawn, its text falls back to the system's font.
var foreignStyle = regexp.MustCompile(`<link rel="stylesheet" href="https?://[^>]*>`)

// withoutForeignStyles takes links to other sites out of HTML pages.
func withoutForeignStyles(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := &htmlBuffer{ResponseWriter: w}
		next.ServeHTTP(page, r)
		page.flush()
	})
}

// An htmlBuffer holds back an answer that is HTML and lets any other through.
type htmlBuffer struct {
	http.ResponseWriter
	status int
	held   *bytes.Buffer // nil: let through
}

func (b *htmlBuffer) WriteHeader(status int) {
	if b.status != 0 {
		return
	}
	b.status = status
	if kind, _, _ := mime.ParseMediaType(b.Header().Get("Content-Type")); kind == "text/html" {
		b.held = new(bytes.Buffer)
		return
	}
	b.ResponseWriter.WriteHeader(status)
}

func (b *htmlBuffer) Write(p []byte) (int, error) {
	if b.status == 0 {
		if b.Header().Get("Content-Type") == "" {
			b.Header().Set("Content-Type", http.DetectContentType(p))
		}
		b.WriteHeader(http.StatusOK)
	}
	if b.held != nil {
		return b.held.Write(p)
	}
	return b.ResponseWriter.Write(p)
}

func (b *htmlBuffer) flush() {
	if b.held == nil {
		return
	}
	page := foreignStyle.ReplaceAll(b.held.Bytes(), nil)
	b.Header().Set("Content-Length", strconv.Itoa(len(page)))
	b.ResponseWriter.WriteHeader(b.status)
	_, _ = b.ResponseWriter.Write(page)
}
