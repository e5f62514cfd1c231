//go:build simulate

package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs"
)

// A person acts over a link of their own, and tries again what fails.
type person struct {
	host
	w     *world
	link  *link
	store *store.Store
	queue *jobs.Queue
}

func (w *world) newPerson() *person {
	p := &person{w: w}
	p.link = newLink(&p.host, &w.redis.host, w.rng("person"), time.Millisecond, w.redis.connect)
	p.store = store.New(w.client("person", p.link))
	p.store.WaitForReplicas(w.plan.replicas)
	p.queue = jobs.NewQueue(p.store, nil).By("person")
	return p
}

// number is the i-th of all numbers that may be contacted.
func number(i int) string { return fmt.Sprintf("+96650%07d", i) }

// A list is a campaign: numbers from first on.
type list struct {
	name        string
	first, size int
	mode        campaign.Mode
	chunk       int
	then        []campaign.Ladder
}

// newList draws what else a list has.
func (w *world) newList(rng *rand.Rand, l list) *list {
	if w.plan.rungs {
		l.then = laddersBy(rng)
	}
	return &l
}

func (l *list) file(from, to int) string {
	var text strings.Builder
	text.WriteString("phone,name\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "%s,Person %d\n", number(l.first+i), i)
	}
	return text.String()
}

// launch loads a list, again and again until it is loaded.
func (p *person) launch(l *list) {
	for i := range l.size {
		p.w.monitor.know(number(l.first + i))
	}
	began := time.Now()
	if p.w.act("launch "+l.name, func(ctx context.Context) error {
		_, err := p.launcher().Launch(ctx, p.request(l, l.file(0, l.size)))
		return err
	}) {
		p.w.monitor.void(l.name, began)
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.lists = append(p.w.lists, l)
}

func (p *person) launcher() *launch.Launcher {
	return &launch.Launcher{Store: p.store, Queue: p.queue, By: "person"}
}

func (p *person) request(l *list, file string) launch.Request {
	inbox, skip := inboxURL, 7
	if p.w.plan.kind == remembered {
		skip = 0 // the contact record would stand in for the worker's memory
	}
	return launch.Request{
		Name: l.name, File: "-", Stdin: strings.NewReader(file), Settings: campaign.Settings{
			Agent: campaign.DefaultAgent, Mode: l.mode, ChannelID: 3, ChunkSize: l.chunk, MaxAttempts: 3,
			SkipContactedDays: skip, Unrecorded: skip == 0, WebhookURL: inbox,
			FollowUp: campaign.FollowUp{Then: l.then, ThenWithin: thenWithin},
		},
	}
}

// act does something that a person asks for, up to ten times. In vain is no failure.
func (w *world) act(what string, do func(ctx context.Context) error) bool {
	for range 10 {
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		err := do(ctx)
		cancel()
		w.trace.add("person: %s: %v", what, err)
		var network interface{ Timeout() bool }
		if err == nil || !errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "EOF") {
			return err == nil
		}
		time.Sleep(time.Second)
	}
	return false
}

// any is one of the campaigns that are there.
func (w *world) any(rng *rand.Rand) *list {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lists) == 0 {
		return nil
	}
	return w.lists[rng.IntN(len(w.lists))]
}

// asked deals what a person does to a campaign, and takes back.
func asked(do, undo func(w *world, p *person, l *list, rng *rand.Rand)) func(*rand.Rand) (string, func(*world), func(*world)) {
	return func(rng *rand.Rand) (string, func(*world), func(*world)) {
		own := rand.New(rand.NewPCG(rng.Uint64(), 2))
		var on *list
		background := func(do func(w *world, p *person, l *list, rng *rand.Rand)) func(w *world) {
			if do == nil {
				return nil
			}
			return func(w *world) {
				if on == nil {
					on = w.any(own)
				}
				if l := on; l != nil {
					w.background.Go(func() { do(w, w.person, l, own) })
				}
			}
		}
		return "", background(do), background(undo)
	}
}

// people are what persons do.
var people = []card{
	{"pause and resume", time.Second, 20 * time.Second, asked(pause, resume)},
	{"pause and resume", time.Second, 20 * time.Second, asked(pause, resume)},
	{"cancel and rerun", time.Second, 30 * time.Second, asked(cancel, rerun(campaign.Canceled))},
	{"rerun of the failed", 0, 0, asked(rerun(campaign.Failed), nil)},
	{"rerun of the unconfirmed", 0, 0, asked(rerun(campaign.Unconfirmed), nil)},
	{"rerun by outcome", 0, 0, asked(rerunEnded, nil)},
	{"resolve", 0, 0, asked(resolve, nil)},
	{"resolve", 0, 0, asked(resolve, nil)},
	{"set", 0, 0, asked(set, nil)},
	{"append", 0, 0, asked(add, nil)},
	{"do not contact", 0, 0, asked(suppress, nil)},
	{"do not contact", 0, 0, asked(suppress, nil)},
	{"another campaign", 0, 0, asked(another, nil)},
	{"another campaign", 0, 0, asked(another, nil)},
	{"purge", 0, 0, asked(purge, nil)},
	{"the person's link loses answers", 2 * time.Second, 20 * time.Second, onWorld(
		func(w *world) { losing(0.2)(w.person.link) }, func(w *world) { losing(0)(w.person.link) })},
}

func pause(w *world, p *person, l *list, _ *rand.Rand) {
	w.act("pause "+l.name, func(ctx context.Context) error { return p.queue.Pause(ctx, l.name, campaign.Text("by hand")) })
}

// resume goes by the campaign as the person sees it: that Redis has lost writes, too.
func resume(w *world, p *person, l *list, _ *rand.Rand) {
	c, err := w.admin.Campaign(w.ctx, l.name)
	if err != nil {
		return
	}
	if c.Phase == campaign.Paused && isOfLoss(c.PhaseReason.Line()) {
		w.monitor.allow(l.name)
	}
	w.act("resume "+l.name, func(ctx context.Context) error { _, err := p.queue.Resume(ctx, c); return err })
}

func cancel(w *world, p *person, l *list, _ *rand.Rand) {
	w.act("cancel "+l.name, func(ctx context.Context) error { _, err := p.queue.Cancel(ctx, l.name); return err })
}

func rerun(states ...campaign.State) func(w *world, p *person, l *list, rng *rand.Rand) {
	return func(w *world, p *person, l *list, _ *rand.Rand) {
		w.act(fmt.Sprintf("rerun %s %v", l.name, states), func(ctx context.Context) error {
			_, err := p.queue.Rerun(ctx, l.name, jobs.Selection{States: states})
			return err
		})
	}
}

func rerunEnded(w *world, p *person, l *list, _ *rand.Rand) {
	rule, err := campaign.ParseRule("ended.answered")
	w.must(err)
	w.act("rerun "+l.name+" by outcome", func(ctx context.Context) error {
		_, err := p.queue.Rerun(ctx, l.name, jobs.Selection{States: []campaign.State{campaign.Ended}, Where: campaign.Rules{rule}})
		return err
	})
}

// resolve says of each chunk what the platform's ledger says, if it says the same of all
// unconfirmed contacts and nothing is on its way any more.
func resolve(w *world, p *person, l *list, _ *rand.Rand) {
	for chunk, accepted := range w.monitor.resolvable(l.name) {
		w.act(fmt.Sprintf("resolve %s/%d accepted: %v", l.name, chunk, accepted), func(ctx context.Context) error {
			_, err := p.queue.Resolve(ctx, l.name, jobs.Resolution{Accepted: accepted, Chunk: &chunk})
			return err
		})
	}
}

func (m *monitor) resolvable(name string) map[int]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[int]bool)
	for _, mi := range m.chunks {
		reached, all, recent := 0, 0, false
		for i, n := range mi.numbers {
			if mi.campaign == name && mi.ledger.At(i).State == campaign.Unconfirmed {
				all++
				reached += min(m.w.platform.sandbox.Contacted(n), 1)
				recent = recent || time.Since(mi.since[i]) < resolveAfter || time.Since(m.seen[n]) < resolveAfter
			}
		}
		if all > 0 && !recent && (reached == 0 || reached == all) {
			found[mi.chunk] = reached == all
		}
	}
	return found
}

func set(w *world, p *person, l *list, rng *rand.Rand) {
	attempts, cap := 2+rng.IntN(4), 200+rng.IntN(200)
	w.change(p, l, "set "+l.name, func(s *campaign.Settings) { s.MaxAttempts, s.DailyCap = attempts, cap })
}

func add(w *world, p *person, l *list, rng *rand.Rand) {
	w.mu.Lock()
	n, from := 5+rng.IntN(20), l.size
	l.size += n // whether or not it comes to that
	w.mu.Unlock()
	for i := from; i < from+n; i++ {
		w.monitor.know(number(l.first + i))
	}
	began := time.Now()
	if w.act("append to "+l.name, func(ctx context.Context) error {
		_, err := p.launcher().Append(ctx, p.request(l, l.file(from, from+n)))
		return err
	}) {
		w.monitor.void(l.name, began)
	}
}

func suppress(w *world, p *person, l *list, rng *rand.Rand) {
	var phones []campaign.Phone
	var numbers []string
	for range 1 + rng.IntN(6) {
		n := number(l.first + rng.IntN(w.sizeOf(l)))
		phone, err := campaign.ParsePhone(n)
		w.must(err)
		phones, numbers = append(phones, phone), append(numbers, n)
	}
	if w.act(fmt.Sprintf("do not contact %v", short(numbers)), func(ctx context.Context) error { _, err := p.store.Suppress(ctx, phones); return err }) {
		w.monitor.suppress(numbers)
	}
}

// another launches a campaign over a list that overlaps with l's.
func another(w *world, p *person, l *list, rng *rand.Rand) {
	w.mu.Lock()
	w.launched++
	name := fmt.Sprintf("again-%d", w.launched)
	w.mu.Unlock()
	first := l.first + rng.IntN(w.sizeOf(l)/2)
	p.launch(w.newList(rng, list{name: name, first: first, size: 30 + rng.IntN(50), mode: modeOf(rng), chunk: 4 + rng.IntN(8)}))
}

// sizeOf is how many numbers belong to a list by now.
func (w *world) sizeOf(l *list) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return l.size
}

func modeOf(rng *rand.Rand) campaign.Mode {
	return []campaign.Mode{campaign.Batch, campaign.Dispatch}[rng.IntN(2)]
}

func purge(w *world, p *person, l *list, rng *rand.Rand) {
	if l.name == mainList {
		return // something must be left to look at
	}
	w.act("purge "+l.name, func(ctx context.Context) error { return p.queue.Purge(ctx, l.name, true) })
}

func (m *monitor) know(number string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[number] = true
}
