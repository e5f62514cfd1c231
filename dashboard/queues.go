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

// queues is the asynq UI, below base. It shows payloads, because a task holds only the reference of
// its chunk.
func queues(rdb redis.UniversalClient, base string) http.Handler {
	return withoutForeignStyles(asynqmon.New(asynqmon.Options{
		RootPath:         base + "/queues",
		RedisConnOpt:     sharedRedis{rdb},
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(_ string, payload []byte) string { return string(payload) }),
	}))
}

// sharedRedis lends the worker's client to asynqmon, which must not close it.
type sharedRedis struct{ rdb redis.UniversalClient }

func (s sharedRedis) MakeRedisClient() any { return s.rdb }

// foreignStyle matches the links in asynqmon's page to a font service. The page works
// without them: its icons are drawings, and its text falls back to a system font.
var foreignStyle = regexp.MustCompile(`<link rel="stylesheet" href="https?://[^>]*>`)

// withoutForeignStyles removes those links from HTML pages.
func withoutForeignStyles(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := &htmlBuffer{ResponseWriter: w}
		next.ServeHTTP(page, r)
		page.flush()
	})
}

// An htmlBuffer buffers HTML answers and passes others through.
type htmlBuffer struct {
	http.ResponseWriter
	status int
	html   *bytes.Buffer // nil: passed through
}

func (b *htmlBuffer) WriteHeader(status int) {
	if b.status != 0 {
		return
	}
	b.status = status
	if kind, _, _ := mime.ParseMediaType(b.Header().Get("Content-Type")); kind == "text/html" {
		b.html = new(bytes.Buffer)
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
	if b.html != nil {
		return b.html.Write(p)
	}
	return b.ResponseWriter.Write(p)
}

func (b *htmlBuffer) flush() {
	if b.html == nil {
		return
	}
	page := foreignStyle.ReplaceAll(b.html.Bytes(), nil)
	b.Header().Set("Content-Length", strconv.Itoa(len(page)))
	b.ResponseWriter.WriteHeader(b.status)
	_, _ = b.ResponseWriter.Write(page)
}
