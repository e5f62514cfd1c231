// Package launch turns a contact file into a running campaign: it asks the
// platform whether the campaign can work, reads the file, stores it and puts it
// into the queue, in that order.
//
// It promises that nobody is contacted before the whole file is stored, that every
// line of the file is counted, and that the same launch can be repeated at any time:
// killed half-way, it starts the load again; after success it changes nothing and
// returns the same. Memory grows only by a phone number for each contact.
//
// Package jobs sends.
package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
	"campaign-runner/velents/mask"
)

// A Request says what to launch.
type Request struct {
	Name        string
	File        string            // of contacts; - for Stdin
	From        string            // in place of File: the campaign that has the contacts
	Choice      Choice            // which of them become contacts
	Stdin       io.Reader         // needed for the File -
	Called      string            // what people call Stdin; "standard input" when empty
	Format      contacts.Format   // of File, where the file does not tell
	Mapping     Mapping           // of columns to the agent's values
	Suppress    []string          // files of numbers that must not be contacted
	Listed      []Input           // more of them
	Settings    campaign.Settings // without columns, which the file has; a ChunkSize of 0 is the mode's default
	RejectsFile string            // for refused lines; empty: only Redis has them
	DryRun      bool              // do everything except storing
	AtMost      int               // more contacts than these are not launched or added, since nobody has seen them; 0: any number
}

// Check finds what is wrong with a request before anything is read.
func (r Request) Check() error {
	if err := campaign.CheckName(r.Name); err != nil {
		return err
	}
	if err := r.Choice.check(); err != nil {
		return err
	}
	if r.From != "" {
		if err := campaign.CheckName(r.From); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	for key, value := range r.Mapping.Constants {
		if strings.TrimSpace(value) == "" {
			return fmt.Errorf("--set %s: the value is empty", key)
		}
	}
	if r.Format.HeaderLine < 0 {
		return fmt.Errorf("--header-line %d: want 1 or more", r.Format.HeaderLine)
	}
	settings := r.settings()
	settings.Columns, settings.PhoneColumn = make([]campaign.Column, 1), 0
	if err := settings.Check(); err != nil {
		return err
	}
	if _, err := contacts.NewPhoneParser(settings.Region); err != nil {
		return err
	}
	if settings.WebhookURL == "" {
		if len(settings.OptOutWhen) > 0 {
			return errors.New("--optout-when: set WEBHOOK_URL: without events nothing is learned of a contact")
		}
		return nil
	}
	if err := campaign.CheckAddress(settings.WebhookURL); err != nil {
		return fmt.Errorf("webhook URL: %w", err)
	}
	return nil
}

// settings fills in what depends on the mode.
func (r Request) settings() campaign.Settings {
	s := r.Settings
	byMode := campaign.DefaultBatchChunk
	if s.Mode == campaign.Dispatch {
		byMode = campaign.DefaultDispatchChunk
	}
	s.ChunkSize, s.FollowsUp, s.FollowsUpFrom = cmp.Or(s.ChunkSize, byMode), r.From, time.Time{}
	return s
}

// A Launcher launches campaigns of one agent.
type Launcher struct {
	Store    Store          // not needed for dry runs, which then do not know the do-not-contact list
	Queue    queue          // not needed for dry runs
	Platform platform       // nil: nothing is asked, and every column is sent
	Quota    quota          // of the agent's token; needed with Platform
	Rate     ratelimit.Rate // estimates go by it unless the platform names a limit

	// Beside says how a campaign of an agent would be sent beside the others on its token:
	// at which pace and from when on, and what comes before it. Nil: it has the token for
	// itself.
	Beside func(ctx context.Context, name, agent string) (own plan.Work, others []plan.Work, err error)

	By       string                           // who launches, for the campaign's log; empty: the user of this process
	With     []string                         // others who have made the list or the settings, and may not approve them
	Note     func(text string)                // called with remarks for a person; may be nil
	Progress func(read, size int64, rows int) // called often while the file is read, sizes in bytes; may be nil
}

// Store is all that a launch reads and writes; *store.Store is the real one.
type Store interface {
	BeginLoad(ctx context.Context, c campaign.Campaign) (*store.Load, error)
	BeginAppend(ctx context.Context, name, fingerprint string) (*store.Append, error)
	Appended(ctx context.Context, name, fingerprint string) (done store.Appended, ok bool, err error)
	Log(ctx context.Context, name string, d store.Decision) error
	AddSeen(ctx context.Context, agent string, seen campaign.Seen) error

	// Of campaigns that are there.
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	Rejects(ctx context.Context, name string, yield func(part []byte) error) error
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Outcomes(ctx context.Context, ref store.Ref) (map[int]campaign.Outcome, error)

	// Numbers that are left out.
	ReadPhones(ctx context.Context, c campaign.Campaign) (*store.Phones, error)
	ReadSuppressed(ctx context.Context) (*store.Phones, error)
	ReadContacted(ctx context.Context, now time.Time, days int) (*store.Phones, error)
	ContactedElsewhere(ctx context.Context, since time.Time, phones []campaign.Phone, even func(int) bool, spared ...store.Spared) (by []bool, purged string, err error)

	// Redis, the workers and the policy.
	Policy(ctx context.Context) (store.Policy, error)
	Now(ctx context.Context) (time.Time, error)
	Memory(ctx context.Context, name string) (store.Memory, error)
	Workers(ctx context.Context) ([]store.Worker, error)
}

// queue puts chunks into the queue; *jobs.Queue is the real one.
type queue interface {
	// Release releases every chunk of a running campaign that waits for it.
	Release(ctx context.Context, name string) (chunks int, err error)
	// CancelLeftovers cancels what a cut-off cancel has left to be sent.
	CancelLeftovers(ctx context.Context, c campaign.Campaign) error
}

// platform is the agent's API; *velents.Client is the real one.
type platform interface {
	Agent(ctx context.Context) (velents.Agent, velents.Answer, error)
	ValueKeys(ctx context.Context) ([]string, velents.Answer, error)
	CSVTemplate(ctx context.Context) ([]byte, velents.Answer, error)
	Dispatch(ctx context.Context, d velents.Dispatch) (velents.Answer, error)
}

// quota allows requests; *ratelimit.Quota is the real one.
type quota interface {
	Acquire(ctx context.Context) (ratelimit.Permit, error)
	Report(ctx context.Context, t ratelimit.Permit, a ratelimit.Answer)
}

// An UnfinishedError ends a launch after its load had begun. None of its contacts is
// sent, and the same launch starts it again.
type UnfinishedError struct {
	Campaign string
	Append   bool // contacts were to be added to it; those that it has are sent
	Err      error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%v; %s", e.Err, e.Left())
}

func (e *UnfinishedError) Unwrap() error { return e.Err }

// Left says what the launch has left, and how it goes on.
func (e *UnfinishedError) Left() string {
	if e.Append {
		return fmt.Sprintf("nobody of the file is added to %s: the same command starts anew", e.Campaign)
	}
	return fmt.Sprintf("%s is not loaded and nobody of it is contacted; the same command starts it anew", e.Campaign)
}

// An ExistsError says that the campaign has been loaded with something else.
// Nothing was changed.
type ExistsError struct {
	Campaign string
	With     string // what it was loaded with
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("campaign %s exists: it was loaded with %s; nothing was changed, choose another --name", e.Campaign, e.With)
}

func (e *ExistsError) Is(target error) bool { return target == store.ErrExists }

// Launch loads a campaign and sets it running. A campaign that was loaded from the
// same files and settings before stays as it is, and chunks that are not in the queue
// yet are released. A campaign that was loaded from others is an ExistsError.
func (l *Launcher) Launch(ctx context.Context, req Request) (Summary, error) {
	if err := req.Check(); err != nil {
		return Summary{}, err
	}
	src, err := l.openSources(ctx, req)
	if err != nil {
		return Summary{}, err
	}
	defer src.close()
	if err := src.apartFrom(req.RejectsFile); err != nil {
		return Summary{}, err
	}
	if !req.DryRun {
		if c, loaded, err := l.earlier(ctx, req.Name, src.fingerprint); loaded || err != nil {
			return l.again(ctx, req, c, src, err)
		}
	}
	if err := l.timely(ctx, req); err != nil {
		return Summary{}, err
	}
	found, err := l.preflight(ctx)
	if err != nil {
		return Summary{}, err
	}
	barred, err := l.barred(ctx, req)
	if err != nil {
		return Summary{}, err
	}
	list, err := src.list(ctx, req, found, barred)
	if err != nil {
		return Summary{}, err
	}
	defer list.reader.Close()
	c := campaign.Campaign{Name: req.Name, Settings: list.settings, Fingerprint: src.fingerprint}
	out, err := l.load(ctx, req, c, list, found.seen)
	if errors.Is(err, store.ErrExists) { // another enqueue was faster
		c, err := l.Store.Campaign(ctx, req.Name)
		return l.again(ctx, req, c, src, err)
	}
	if err != nil {
		return Summary{}, err
	}
	c.Counts, c.Chunks, c.Phase = out.counts, out.chunks, phaseAfterLoad(c.Settings)
	s, err := l.summary(ctx, req, c, src, out, found.limit)
	if err != nil || req.DryRun {
		return s, err
	}
	var tally campaign.Tally
	tally.States[campaign.Pending] = c.Counts.Contacts
	s.State = tally.Phase(c.Phase)
	return s, l.release(ctx, c)
}

// earlier looks for a campaign of this name that has been loaded. One without contacts
// does not count, unless it came from the same files and settings.
func (l *Launcher) earlier(ctx context.Context, name, fingerprint string) (c campaign.Campaign, loaded bool, err error) {
	c, err = l.Store.Campaign(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c, false, nil
	case err != nil:
		return c, false, err
	case c.Phase == campaign.Loading:
		if now, err := l.Store.Now(ctx); err == nil && now.Before(c.LoadUntil) {
			l.note("another enqueue was loading %s until just now; this one takes over", c.Name)
		} else {
			l.note("an earlier load of %s was not finished; it starts anew", c.Name)
		}
		return c, false, nil
	case c.Chunks == 0 && c.Fingerprint != fingerprint:
		l.note("campaign %s has no contacts so far; it is loaded anew", c.Name)
		return c, false, nil
	}
	return c, true, nil
}

// again answers a launch of a campaign that has been loaded.
func (l *Launcher) again(ctx context.Context, req Request, c campaign.Campaign, src *sources, err error) (Summary, error) {
	if err != nil {
		return Summary{}, err
	}
	if c.Fingerprint != src.fingerprint {
		return Summary{}, &ExistsError{c.Name, difference(c.Settings, req.settings())}
	}
	if title := req.Settings.Title; title != "" && title != c.Settings.Title {
		l.note("its title stays as it is; change it with: campaign set %s --title", c.Name)
	}
	if err := l.release(ctx, c); err != nil {
		return Summary{}, err
	}
	tally, err := l.Store.Tally(ctx, c.Name)
	if err != nil {
		return Summary{}, err
	}
	work, err := unmixed(c)
	if err != nil {
		return Summary{}, err
	}
	s, err := l.summary(ctx, req, c, src, loaded{work: work}, l.limitNow(ctx))
	if err != nil {
		return Summary{}, err
	}
	s.State = tally.Phase(c.Phase)
	if err := c.Kept(); err != nil {
		s.say(campaign.Text(err.Error()))
	} else if c.Counts.Rows > c.Counts.Contacts && req.RejectsFile != "" {
		if err := l.restoreRejects(ctx, c.Name, req.RejectsFile); err != nil {
			s.say(campaign.Text(rejectsLost(c.Name, err, true)))
		} else {
			s.RejectsFile = req.RejectsFile
		}
	}
	return s, nil
}

// release puts a running campaign into the queue. The workers' sweeper does what is
// left.
func (l *Launcher) release(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.Running {
		return nil // a person has stopped it
	}
	if _, err := l.Queue.Release(ctx, c.Name); err != nil && !errors.Is(err, store.ErrNotRunning) {
		return fmt.Errorf("campaign %s is loaded and runs, but not all of it is in the queue; the same command goes on: %w", c.Name, err)
	}
	return nil
}

func (l *Launcher) progress(s *source, rows int) {
	if l.Progress != nil {
		l.Progress(s.read, s.size, rows)
	}
}

// record writes into the campaign's log what was loaded. That it cannot is no reason
// to fail.
func (l *Launcher) record(ctx context.Context, name string, action store.Action, src *source, counts campaign.Counts) {
	text := campaign.Say(campaign.MsgLoaded, "file", mask.Numbers(src.what), "contacts", counts.Contacts, "rows", counts.Rows)
	if err := l.Store.Log(context.WithoutCancel(ctx), name, store.Decision{By: l.By, Action: action, Text: text}); err != nil {
		l.note("%v", err)
	}
}

func (l *Launcher) note(format string, args ...any) {
	if l.Note != nil {
		l.Note(fmt.Sprintf(format, args...))
	}
}

// difference says what a campaign that exists was loaded with instead.
func difference(have, asked campaign.Settings) string {
	if all := have.Differences(asked); len(all) > 0 {
		return fmt.Sprintf("%s %s, not %s", all[0].Flag, all[0].Have, all[0].Other)
	}
	return "another file, suppression list, mapping or choice"
}

// timely fails when the campaign should have started or finished already.
func (l *Launcher) timely(ctx context.Context, req Request) error {
	s := req.Settings
	if s.StartAt.IsZero() && s.FinishBy.IsZero() {
		return nil
	}
	now, err := l.now(ctx, req.DryRun)
	switch {
	case err != nil:
		return err
	case !s.StartAt.IsZero() && now.Sub(s.StartAt) > s.MaxLateness:
		return fmt.Errorf("--start-at %s: that has passed", s.StartAt.UTC().Format(time.RFC3339))
	case !s.FinishBy.IsZero() && !s.FinishBy.After(now):
		return fmt.Errorf("--finish-by %s: that has passed", s.FinishBy.UTC().Format(time.RFC3339))
	}
	return nil
}

// now is Redis's clock, or our own in a dry run, which asks Redis nothing.
func (l *Launcher) now(ctx context.Context, dryRun bool) (time.Time, error) {
	if dryRun {
		return time.Now().UTC(), nil
	}
	now, err := l.Store.Now(ctx)
	return now.UTC(), err
}

// phaseAfterLoad is the phase that a campaign is in once it is stored.
func phaseAfterLoad(s campaign.Settings) campaign.Phase {
	if !s.StartAt.IsZero() {
		return campaign.Scheduled // the workers start it
	}
	return campaign.Running
}
