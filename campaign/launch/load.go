package launch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
)

// loaded is what became of a list.
type loaded struct {
	counts      campaign.Counts
	chunks      int
	before      int                            // contacts that the campaign had
	beside      *beside                        // how it would be sent; nil: not asked yet
	numbers     iter.Seq2[campaign.Phone, int] // of the contacts, with their place in the list
	work        plan.Work                      // by which clock each goes
	rejectsFile string
	warnings    []campaign.Message
	listings    []Listing
	hidden      int // rows of a sheet that were read although they are hidden
}

// load stores a list as a campaign that runs. A dry run reads it and stores
// nothing.
func (l *Launcher) load(ctx context.Context, req Request, c campaign.Campaign, list *list, seen campaign.Seen) (loaded, error) {
	in := l.intake(c, list.reader.Columns(), req.RejectsFile)
	in.atMost = req.AtMost
	defer in.rejects.local.discard()
	if req.DryRun {
		return in.read(ctx, list)
	}
	if err := l.hasRoom(ctx, c.Name, list.source.size); err != nil {
		return loaded{}, err
	}
	// Workers that start afresh tell by it which answers are the platform's own.
	if err := l.Store.AddSeen(ctx, c.Settings.Agent, seen); err != nil {
		return loaded{}, err
	}
	load, err := l.Store.BeginLoad(ctx, c)
	if err != nil {
		return loaded{}, err
	}
	load.By, load.With = l.By, l.With
	out, err := in.keep(ctx, load, func() (loaded, error) { return in.read(ctx, list) })
	if err != nil {
		return loaded{}, abandon(ctx, load, &UnfinishedError{Campaign: c.Name, Err: err})
	}
	// From here on a Ctrl-C would leave open whether the campaign runs.
	if err := load.Finish(context.WithoutCancel(ctx), out.counts, out.chunks, phaseAfterLoad(c.Settings)); err != nil {
		return loaded{}, fmt.Errorf("%w; whether the campaign runs is not known: the same command finds out", err)
	}
	l.record(ctx, req.Name, store.ActionLoad, list.source, out.counts)
	return out, nil
}

// abandonPatience bounds the attempt to take a load back.
const abandonPatience = 10 * time.Second

// abandon takes back a load that failed because of its file. A load that was
// interrupted, by a person or by Redis, stays; the same command starts it again. One
// that another load has taken over is not ours any more.
func abandon(ctx context.Context, load target, failed *UnfinishedError) error {
	if errors.Is(failed, store.ErrLoadLost) {
		return failed.Err
	}
	if ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(ctx, abandonPatience)
		defer cancel()
		if load.Abandon(ctx) == nil {
			return failed.Err
		}
	}
	return failed
}

// An intake takes the rows of a list: contacts into chunks, the others into the
// rejects.
type intake struct {
	name     string
	settings campaign.Settings
	load     target // nil: a dry run
	rejects  rejects
	atMost   int   // contacts; 0: any number
	order    []int // where the file has each of the campaign's columns; nil: as the campaign
	progress func(src *source, rows int)
}

// A target takes a list: *store.Load or *store.Append.
type target interface {
	AddRows(ctx context.Context, n int, chunks ...*store.Rows) error // from chunk n on, counted from 0
	AddRejects(ctx context.Context, part []byte) error
	AddIndex(ctx context.Context, contacts iter.Seq2[campaign.Phone, int]) error
	Abandon(ctx context.Context) error
}

// intake takes the rows of a list for a campaign. So far it stores nothing.
func (l *Launcher) intake(c campaign.Campaign, columns []string, rejectsFile string) *intake {
	return &intake{name: c.Name, settings: c.Settings, progress: l.progress, rejects: rejects{
		columns: columns, more: c.Counts.Rows > c.Counts.Contacts, local: localFile{path: rejectsFile},
	}}
}

// keep stores in a target what read reads.
func (in *intake) keep(ctx context.Context, to target, read func() (loaded, error)) (loaded, error) {
	in.load, in.rejects.keep = to, func(part []byte) error { return to.AddRejects(ctx, part) }
	out, err := read()
	if err == nil && in.settings.WebhookURL != "" {
		err = to.AddIndex(ctx, out.numbers)
	}
	return out, err
}

// progressRows is the number of rows between two reports of progress.
const progressRows = 1000

func (in *intake) read(ctx context.Context, list *list) (loaded, error) {
	mix, err := newMixer(in.settings)
	if err != nil {
		return loaded{}, err
	}
	chunks := in.chunker(ctx, mix)
	err = chunks.finish(in.rows(chunks.ctx, list, func(c campaign.Contact) error {
		if err := chunks.add(c); err != nil {
			return fmt.Errorf("%s: %w", list.source.what, err)
		}
		return nil
	}))
	if err == nil {
		err = in.rejects.finish()
	}
	if err != nil {
		return loaded{}, err
	}
	out := loaded{
		counts: list.reader.Counts(), chunks: chunks.chunks, numbers: list.reader.Contacts(), work: mix.work(), hidden: list.reader.HiddenRows(), listings: list.listings,
		warnings: append(list.warnings, list.reader.Warnings()...),
	}
	if refused := out.counts.Rows > out.counts.Contacts; refused && in.rejects.local.err == nil {
		out.rejectsFile = in.rejects.local.path
	}
	if err := in.rejects.local.err; err != nil {
		out.warnings = append(out.warnings, campaign.Text(rejectsLost(in.name, err, in.rejects.keep != nil)))
	}
	return out, nil
}

// rows hands out the contacts of a list and puts the other rows into the rejects.
func (in *intake) rows(ctx context.Context, list *list, take func(campaign.Contact) error) error {
	rows, contacts := 0, 0
	defer func() { in.progress(list.source, rows) }()
	for row, err := range list.reader.All() {
		if err != nil {
			return fmt.Errorf("%s: %w", list.source.what, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if rows++; rows%progressRows == 0 {
			in.progress(list.source, rows)
		}
		row.Fields = arranged(row.Fields, in.order)
		if row.Refusal.Reason != "" {
			list.leaves(row)
			if err := in.rejects.write(row); err != nil {
				return err
			}
			continue
		}
		if contacts++; in.atMost > 0 && contacts > in.atMost {
			return campaign.Faulty(campaign.MsgMoreThanSeen)
		}
		if err := take(row.Contact); err != nil {
			return err
		}
	}
	return list.source.unchanged(ctx)
}

// arranged are cells in the order of the campaign's columns.
func arranged(cells []string, order []int) []string {
	if order == nil || cells == nil {
		return cells
	}
	fields := make([]string, len(order))
	for i, at := range order {
		fields[i] = cells[at]
	}
	return fields
}

// hasRoom fails when a list may not fit into the memory limit of Redis. Compressed, a
// list takes about half of listBytes and never more. A Redis that does not tell its
// memory is no reason to stop.
func (l *Launcher) hasRoom(ctx context.Context, name string, listBytes int64) error {
	memory, err := l.Store.Memory(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // a managed Redis may forbid INFO
	}
	if left := memory.Max - memory.Used; memory.Max > 0 && left < listBytes {
		const mb = 1 << 20
		return fmt.Errorf("redis: %.1f MB are free below its maxmemory of %.1f MB, and the list may need up to %.1f MB",
			float64(max(left, 0))/mb, float64(memory.Max)/mb, float64(listBytes)/mb)
	}
	return nil
}

// A mixer finds out which contacts of a list go by which clock. It takes the chunks of
// the list in any order.
type mixer struct {
	groups    *plan.Groups
	byContact bool
	mu        sync.Mutex
	chunks    [][]plan.Part
}

func newMixer(s campaign.Settings) (*mixer, error) {
	calendar, err := s.Hours.Calendar()
	if err != nil {
		return nil, err
	}
	return &mixer{groups: plan.NewGroups(calendar), byContact: calendar.ByContact()}, nil
}

// add takes the chunks of a part. Numbers matter only if contacts have clocks of their own.
func (m *mixer) add(p *part) {
	chunks, phones := make([][]plan.Part, len(p.chunks)), p.phones
	for i, rows := range p.chunks {
		if !m.byContact {
			chunks[i] = []plan.Part{{Group: m.groups.Of(""), Contacts: rows.Len()}}
			continue
		}
		numbers := make([]string, rows.Len())
		for k := range numbers {
			numbers[k] = phones[k].E164()
		}
		phones = phones[rows.Len():]
		chunks[i] = m.groups.Parts(numbers)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if size := p.first + len(chunks); size > len(m.chunks) {
		m.chunks = append(m.chunks, make([][]plan.Part, size-len(m.chunks))...)
	}
	copy(m.chunks[p.first:], chunks)
}

func (m *mixer) work() plan.Work { return plan.Work{Groups: m.groups.List(), Chunks: m.chunks} }

// unmixed is the work of a campaign that was loaded before. Its contacts are not
// read again, so their own clocks are not known.
func unmixed(c campaign.Campaign) (plan.Work, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return plan.Work{}, err
	}
	group := plan.Group{Clock: &hours.Clock{}}
	if !calendar.ByContact() {
		clock := calendar.Of("")
		group = plan.Group{Name: clock.Name, Clock: clock}
	}
	work := plan.Work{Groups: []plan.Group{group}}
	for left, size := c.Counts.Contacts, c.Settings.ChunkSize; left > 0; left -= size {
		work.Chunks = append(work.Chunks, []plan.Part{{Contacts: min(left, size)}})
	}
	return work, nil
}
