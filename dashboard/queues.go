package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// queues serves the asynq UI. Who is less than an operator changes nothing in it, and reads
// nothing there but which chunks there are and how many contacts are in which state.
func (p *pages) queues(rs *routes) {
	base := p.BasePath
	of := report.NewForecaster(p.Store)
	all := p.asynq(asynqmon.Options{PayloadFormatter: asynqmon.PayloadFormatterFunc(newWaits(of, campaign.Message.String).payload)})
	waits := newWaits(of, func(m campaign.Message) string { return string(texts.Printer{}.Say(waitKey(m))) })
	seen := withoutErrors(base+"/queues/api/", p.asynq(asynqmon.Options{
		ReadOnly: true, PayloadFormatter: asynqmon.PayloadFormatterFunc(waits.payload), ResultFormatter: asynqmon.ResultFormatterFunc(func(_ string, result []byte) string {
			counts, _, _ := strings.Cut(string(result), ": ") // and not why some of them wait
			return counts
		}),
	}))
	rs.on(base+"/queues", users.Viewer, http.RedirectHandler(base+"/queues/", http.StatusFound))
	rs.on("GET "+base+"/queues/", users.Viewer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if visitorOf(r).Role < users.Operator {
			seen.ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	}))
	rs.on("GET "+base+"/queues/static/", users.Viewer, foreignFiles(seen))
	rs.on("GET "+base+"/queues/api/redis_info", users.Operator, all) // Redis says where it runs, and what it holds
	rs.on(base+"/queues/", users.Operator, all)
}

// asynq is the asynq UI. It shows payloads, because a task holds only the reference of its
// chunk, and with each what its campaign waits for.
func (p *pages) asynq(options asynqmon.Options) http.Handler {
	options.RootPath, options.RedisConnOpt = p.BasePath+"/queues", sharedRedis{p.Store.Redis()}
	return withPolicy(queuesPolicy, p.asOurs(asynqmon.New(options)))
}

// withoutErrors empties what tasks have failed by, in the answers below a path: it may quote
// the platform.
func withoutErrors(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, path) {
			next.ServeHTTP(w, r)
			return
		}
		answer := &buffer{ResponseWriter: w, edit: func(body []byte) []byte {
			var v any
			numbers := json.NewDecoder(bytes.NewReader(body))
			numbers.UseNumber()
			if numbers.Decode(&v) != nil {
				return nil // it says of a fault what an operator may see
			}
			emptyErrors(v)
			edited, err := json.Marshal(v)
			if err != nil {
				return nil
			}
			return edited
		}}
		next.ServeHTTP(answer, r)
		answer.flush()
	})
}

func emptyErrors(v any) {
	switch is := v.(type) {
	case []any:
		for _, each := range is {
			emptyErrors(each)
		}
	case map[string]any:
		if _, there := is["error_message"]; there {
			is["error_message"] = ""
		}
		for _, each := range is {
			emptyErrors(each)
		}
	}
}

// waits is what campaigns wait for, as last read: the asynq UI asks for each task of a
// page.
type waits struct {
	of   *report.Forecaster
	say  func(campaign.Message) string
	mu   sync.Mutex
	read time.Time
	told map[string]string // by campaign
}

const (
	waitsFor    = 2 * time.Second // how long an answer is used again
	waitsWithin = time.Second     // for reading one campaign; a page without it is better than none
)

func newWaits(of *report.Forecaster, say func(campaign.Message) string) *waits {
	return &waits{of: of, say: say}
}

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
		if o, err := w.of.Find(ctx, name); err == nil && !o.WaitingFor.IsZero() {
			told = w.say(o.WaitingFor)
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

// wayBack is how the link back to our pages looks, over what asynqmon draws.
const wayBack = "position:fixed;inset-block-end:1rem;inset-inline-start:1rem;z-index:2000;padding:.5rem .9rem;border-radius:7px;background:#1b4965;color:#fff;font:600 .9rem system-ui,sans-serif;text-decoration:none"

// asOurs removes those links from HTML pages, and puts a way back to our pages into them.
func (p *pages) asOurs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := languageOf(r)
		back := fmt.Appendf(nil, `<body><a href="%s" lang="%s" dir="%s" style="%s">%s</a>`, p.link("/"), l, l.Dir(), wayBack, texts.Printer{Language: l, HTML: true}.Say("ops.back"))
		page := &buffer{ResponseWriter: w, kind: "text/html", edit: func(body []byte) []byte {
			return bytes.Replace(foreignStyle.ReplaceAll(body, nil), []byte("<body>"), back, 1)
		}}
		next.ServeHTTP(page, r)
		page.flush()
	})
}

// A buffer edits answers of one kind, and passes others through.
type buffer struct {
	http.ResponseWriter
	kind   string // of its content; empty: any
	edit   func(body []byte) []byte
	status int
	body   *bytes.Buffer // nil: passed through
}

func (b *buffer) WriteHeader(status int) {
	if b.status != 0 {
		return
	}
	b.status = status
	if kind, _, _ := mime.ParseMediaType(b.Header().Get("Content-Type")); b.kind == "" || kind == b.kind {
		b.body = new(bytes.Buffer)
		return
	}
	b.ResponseWriter.WriteHeader(status)
}

func (b *buffer) Write(p []byte) (int, error) {
	if b.status == 0 {
		if b.Header().Get("Content-Type") == "" {
			b.Header().Set("Content-Type", http.DetectContentType(p))
		}
		b.WriteHeader(http.StatusOK)
	}
	if b.body != nil {
		return b.body.Write(p)
	}
	return b.ResponseWriter.Write(p)
}

func (b *buffer) flush() {
	if b.body == nil {
		return
	}
	edited := b.edit(b.body.Bytes())
	b.Header().Set("Content-Length", strconv.Itoa(len(edited)))
	b.ResponseWriter.WriteHeader(b.status)
	_, _ = b.ResponseWriter.Write(edited)
}
