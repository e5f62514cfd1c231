package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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
	maxWaiting   = 100_000 // conversations
	eventTimeout = 10 * time.Second
	voiceChannel = 3
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

// A courier reports conversations, several at a time.
type courier struct {
	cfg   Webhooks
	seed  uint64
	count func(func(*Stats))
	// transport posts; nil: nothing is reported.
	transport *http.Transport
	waiting   chan conversation
	stop      context.CancelFunc
	workers   sync.WaitGroup
}

func newCourier(cfg Webhooks, seed uint64, count func(func(*Stats))) *courier {
	cfg.Concurrency, cfg.LateAfter = cmp.Or(cfg.Concurrency, 16), cmp.Or(cfg.LateAfter, 10*time.Second)
	ctx, stop := context.WithCancel(context.Background())
	c := &courier{cfg: cfg, seed: seed, count: count, stop: stop}
	if !cfg.Enabled {
		return c
	}
	c.waiting = make(chan conversation, maxWaiting)
	c.transport = &http.Transport{DialContext: cfg.Dial, MaxIdleConnsPerHost: cfg.Concurrency, IdleConnTimeout: eventTimeout}
	for range cfg.Concurrency {
		c.workers.Go(func() { c.work(ctx) })
	}
	return c
}

// close drops what is not reported yet.
func (c *courier) close() {
	c.stop()
	c.workers.Wait()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// send queues a report about each contact. It never waits: if too many are waiting, the
// rest of the conversations stay silent.
func (c *courier) send(agent string, channel int, contacts []contact, h hook) {
	if !c.cfg.Enabled {
		return
	}
	began := time.Now().UTC()
	agent = object("id", strconv.Itoa(agentID(agent)), "public", quoted("agent-"+agent))
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
			if pause(ctx, c.cfg.LateAfter) {
				c.tell(ctx, conv, [][]byte{conv.answer()}, rng)
			}
		})
	}
}

// tell posts events, one after another.
func (c *courier) tell(ctx context.Context, conv conversation, events [][]byte, rng *rand.Rand) {
	for _, event := range events {
		times := 1
		if rng.Float64() < c.cfg.Duplicates {
			times = 2
		}
		for range times {
			if !pause(ctx, c.cfg.Delay) {
				return
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

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, length time.Duration) bool {
	if length == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(length):
		return true
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
func (c *courier) post(ctx context.Context, h hook, event []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.link, bytes.NewReader(event))
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
	resp, err := c.transport.RoundTrip(req) // follows no redirect: the secret is for the link alone
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode >= 200 && resp.StatusCode <= 299
}
