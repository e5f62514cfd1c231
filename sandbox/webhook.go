package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Webhooks say whether and how conversations are reported to the webhook.link of their
// request: onStarted, onMessage, onUpdate and onEnded, each once and in this order,
// unless the fields say otherwise. An event that fails is not repeated. A zero field
// means its default.
type Webhooks struct {
	Enabled     bool
	Secret      string        // sent as x-velents-authorization; none
	Concurrency int           // conversations reported at a time; 16
	Delay       time.Duration // before each event; none
	Duplicates  float64       // share of events that are sent twice
	Disorder    float64       // share of conversations whose events are shuffled
	OldVoice    bool          // calls (channel 3) send a single event of the older shape
	NoAnswer    float64       // share of contacts who say nothing
	OptOut      float64       // share of those who speak that answer STOP
	LateAnswer  float64       // share of those who say nothing that answer LateAfter the end
	LateAfter   time.Duration // 10 s

	// Dial opens connections to the links; a net.Dialer's DialContext when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	maxWaiting     = 100_000 // conversations
	eventTimeout   = 10 * time.Second
	createdLayout  = "2006-01-02 15:04:05"
	voiceChannel   = 3
	silentCustomer = 0.2 // share of conversations without an extraction
)

func (w Webhooks) check() error {
	switch {
	case w.Concurrency < 0:
		return fmt.Errorf("webhooks: concurrency %d: want more than 0", w.Concurrency)
	case w.Delay < 0:
		return fmt.Errorf("webhooks: delay %v: want 0 or more", w.Delay)
	case w.LateAfter < 0:
		return fmt.Errorf("webhooks: late after %v: want 0 or more", w.LateAfter)
	}
	for _, share := range []float64{w.Duplicates, w.Disorder, w.NoAnswer, w.OptOut, w.LateAnswer} {
		if !(share >= 0 && share <= 1) {
			return errors.New("webhooks: duplicates, disorder, no answer, opt-out and late answer: want shares from 0 to 1")
		}
	}
	return nil
}

// A conversation is what there is to report about a contact.
type conversation struct {
	id      string
	agent   string // TokenID
	channel int
	contact contact
	hook    hook
	began   time.Time
}

// A courier reports conversations, several at a time.
type courier struct {
	cfg     Webhooks
	seed    uint64
	count   func(func(*Stats))
	client  *http.Client
	waiting chan conversation
	stop    context.CancelFunc
	workers sync.WaitGroup
}

func newCourier(cfg Webhooks, seed uint64, count func(func(*Stats))) *courier {
	cfg.Concurrency, cfg.LateAfter = cmp.Or(cfg.Concurrency, 16), cmp.Or(cfg.LateAfter, 10*time.Second)
	ctx, stop := context.WithCancel(context.Background())
	c := &courier{cfg: cfg, seed: seed, count: count, stop: stop}
	if !cfg.Enabled {
		return c
	}
	c.waiting = make(chan conversation, maxWaiting)
	c.client = &http.Client{
		Timeout:   eventTimeout,
		Transport: &http.Transport{DialContext: cfg.Dial, MaxIdleConnsPerHost: cfg.Concurrency, IdleConnTimeout: eventTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the secret is for the link alone
		},
	}
	for range cfg.Concurrency {
		c.workers.Go(func() { c.work(ctx) })
	}
	return c
}

// close drops what is not reported yet.
func (c *courier) close() {
	c.stop()
	c.workers.Wait()
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
}

// send queues a report about each contact. It never waits: if too many are waiting, the
// rest of the conversations stay silent.
func (c *courier) send(agent string, channel int, contacts []contact, h hook) {
	if !c.cfg.Enabled {
		return
	}
	began := time.Now().UTC()
	for i, person := range contacts {
		select {
		case c.waiting <- conversation{randomID(), agent, channel, person, h, began}:
		default:
			c.count(func(st *Stats) { st.EventsDropped += len(contacts) - i })
			return
		}
	}
}

func (c *courier) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case conv := <-c.waiting:
			c.report(ctx, conv)
		}
	}
}

func (c *courier) report(ctx context.Context, conv conversation) {
	rng := rand.New(rand.NewPCG(c.seed, conv.contact.number)) // independent of the order of the workers
	events := conv.events(rng, c.cfg.OldVoice && conv.channel == voiceChannel, c.says(conv.contact.number))
	if rng.Float64() < c.cfg.Disorder {
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	c.tell(ctx, conv, events, rng)
	if c.answersLate(conv.contact.number) {
		c.workers.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(c.cfg.LateAfter):
				c.tell(ctx, conv, []map[string]any{conv.answer()}, rng)
			}
		})
	}
}

// tell posts events, one after another.
func (c *courier) tell(ctx context.Context, conv conversation, events []map[string]any, rng *rand.Rand) {
	for _, event := range events {
		times := 1
		if rng.Float64() < c.cfg.Duplicates {
			times = 2
		}
		for range times {
			select {
			case <-ctx.Done():
				return
			case <-time.After(c.cfg.Delay):
			}
			taken := c.post(ctx, conv.hook, event)
			c.count(func(st *Stats) {
				if taken {
					st.EventsSent++
				} else {
					st.EventsFailed++
				}
			})
		}
	}
}

// says is what a contact says; empty: nothing. A number always says the same.
func (c *courier) says(number uint64) string {
	rng := rand.New(rand.NewPCG(c.seed+1, number)) // of its own: the rest of a conversation stays as it is without
	switch {
	case rng.Float64() < c.cfg.NoAnswer:
		return ""
	case rng.Float64() < c.cfg.OptOut:
		return "STOP"
	}
	return said
}

// answersLate reports whether a contact who says nothing answers after the end.
func (c *courier) answersLate(number uint64) bool {
	rng := rand.New(rand.NewPCG(c.seed+2, number))
	return c.says(number) == "" && rng.Float64() < c.cfg.LateAnswer
}

// post reports whether the event was answered 2xx. It does not say why not: neither
// does the platform.
func (c *courier) post(ctx context.Context, h hook, event map[string]any) bool {
	body, err := json.Marshal(event)
	if err != nil {
		panic(err) // only what this package makes, or what came as JSON
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.link, bytes.NewReader(body))
	if err != nil {
		return false
	}
	for key, value := range h.headers {
		req.Header.Set(key, fmt.Sprint(value))
	}
	req.Header.Set("Content-Type", "application/json")
	if c.cfg.Secret != "" {
		req.Header.Set("x-velents-authorization", c.cfg.Secret)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode >= 200 && resp.StatusCode <= 299
}

// events are the events of the whole conversation, in which the contact says something, or
// nothing. What webhook.body of the request holds
// stands beside the event's own fields.
func (c conversation) events(rng *rand.Rand, oldVoice bool, says string) []map[string]any {
	extraction := any(map[string]any{"interested": rng.IntN(2) == 0, "summary": "Asked about the offer."})
	if rng.Float64() < silentCustomer || says == "" || says == "STOP" {
		extraction = []any{} // as PHP writes an empty object
	}
	conv := map[string]any{
		"id":     c.id,
		"phone":  "+" + strconv.FormatUint(c.contact.number, 10),
		"values": c.contact.values,
	}
	if c.contact.values == nil {
		conv["values"] = []any{}
	}
	at := c.began.Add(time.Second).Format(time.RFC3339)
	if oldVoice {
		return []map[string]any{c.call(conv, extraction, at, says)}
	}
	exchange := map[string]any{"customer": says, "agent": answered, "timestamp": at}
	history := []map[string]any{
		{"role": "customer", "message": says, "timestamp": at},
		{"role": "agent", "message": answered, "timestamp": at},
	}
	none := []any{}
	events := []map[string]any{c.event("onStarted", "conversation", map[string]any{"extraction": none})}
	if says == "" {
		history = history[1:]
	} else {
		events = append(events, c.event("onMessage", "conversation", map[string]any{"extraction": none, "message": exchange}))
	}
	if _, nothing := extraction.([]any); !nothing {
		events = append(events, c.event("onUpdate", "conversation",
			map[string]any{"extraction": extraction, "message": exchange, "history": history}))
	}
	events = append(events, c.event("onEnded", "conversation",
		map[string]any{"extraction": extraction, "history": history}))
	for _, e := range events {
		e["conversation"] = conv
	}
	started := maps.Clone(conv)
	started["created_at"] = c.began.Format(createdLayout)
	events[0]["conversation"] = started
	return events
}

// answer is the event of a message that comes after the end.
func (c conversation) answer() map[string]any {
	e := c.event("onMessage", "conversation", map[string]any{
		"extraction": []any{},
		"message":    map[string]any{"customer": said, "agent": answered, "timestamp": time.Now().UTC().Format(time.RFC3339)},
	})
	e["conversation"] = map[string]any{"id": c.id, "phone": "+" + strconv.FormatUint(c.contact.number, 10), "values": []any{}}
	return e
}

const said, answered = "نعم، أريد أن أعرف المزيد", "Of course, here is what we offer."

// call is the one event of the older shape.
func (c conversation) call(conv map[string]any, extraction any, at, says string) map[string]any {
	conv["channel_id"] = c.channel
	history := []map[string]any{
		{"role": "user", "content": says, "timeAdded": at},
		{"role": "assistant", "content": answered, "timeAdded": at},
	}
	if says == "" {
		history = history[1:]
	}
	e := c.event("ondone", "call", map[string]any{
		"recording": "https://recordings.example/" + c.id + ".mp3",
		"goals":     extraction,
		"history":   history,
	})
	e["call"] = conv
	return e
}

func (c conversation) event(kind, about string, result map[string]any) map[string]any {
	e := maps.Clone(c.hook.body)
	if e == nil {
		e = make(map[string]any)
	}
	e["event"] = map[string]any{"type": kind, "about": about}
	e["agent"] = map[string]any{"id": agentID(c.agent), "public": "agent-" + c.agent}
	e["result"] = result
	return e
}
