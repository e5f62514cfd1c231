package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

// queues is the asynq UI, below base. It shows payloads, because a task holds only the reference of
// its chunk, and with each what its campaign waits for.
func queues(st *store.Store, base string) http.Handler {
	return withoutForeignStyles(asynqmon.New(asynqmon.Options{
		RootPath:         base + "/queues",
		RedisConnOpt:     sharedRedis{st.Redis()},
		PayloadFormatter: asynqmon.PayloadFormatterFunc(newWaits(report.NewForecaster(st)).payload),
	}))
}

// waits is what campaigns wait for, as last read: the asynq UI asks for each task of a
// page.
type waits struct {
	of   *report.Forecaster
	mu   sync.Mutex
	read time.Time
	told map[string]string // by campaign
}

const (
	waitsFor    = 2 * time.Second // how long an answer is used again
	waitsWithin = time.Second     // for reading one campaign; a page without it is better than none
)

func newWaits(of *report.Forecaster) *waits { return &waits{of: of} }

// payload is a task's payload, as JSON with what its campaign waits for, if it does.
func (w *waits) payload(_ string, payload []byte) string {
	var task struct {
		Campaign string `json:"campaign"`
		Chunk    int    `json:"chunk"`
		Waits    string `json:"campaign_waits_for"`
	}
	if json.Unmarshal(payload, &task) != nil || campaign.CheckName(task.Campaign) != nil {
		return string(payload)
	}
	if task.Waits = w.campaign(task.Campaign); task.Waits == "" {
		return string(payload)
	}
	text, err := json.Marshal(task)
	if err != nil {
		return string(payload)
	}
	return string(text)
}

func (w *waits) campaign(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.read) > waitsFor {
		w.read, w.told = time.Now(), make(map[string]string)
	}
	told, known := w.told[name]
	if !known {
		ctx, cancel := context.WithTimeout(context.Background(), waitsWithin)
		defer cancel()
		if o, err := w.of.Find(ctx, name); err == nil {
			told = o.WaitingFor.String()
		}
		w.told[name] = told
	}
	return told
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
