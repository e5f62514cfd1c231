// Package launch turns a contact file into a running campaign: it asks the
// platform whether the campaign can work, reads the file, stores it and puts it
// into the queue, in that order.
//
// It promises that nobody is contacted before the whole file is stored, that
// every line of the file is counted, and that the same call can be made again
// at any time: killed half-way, it starts the load anew; after success it
// changes nothing and tells the same. Memory does not grow with the file but by
// a phone number for each contact.
//
// Sending is the work of package jobs.
package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A Request says what to launch.
type Request struct {
	Name        string
	File        string            // of contacts; - for Stdin
	From        string            // in place of File: the campaign whose contacts they are
	Choice      Choice            // which of them become contacts
	Stdin       io.Reader         // needed for the File -
	Called      string            // what people call Stdin; "standard input" when empty
	Format      contacts.Format   // of File, as far as it is not to be found out
	Mapping     Mapping           // of columns to the agent's values
	Suppress    []string          // files of numbers that must not be contacted
	Settings    campaign.Settings // but for the columns, which the file has; a ChunkSize of 0 is the mode's own
	RejectsFile string            // where refused lines go, if there are any; empty: nowhere but to Redis
	DryRun      bool              // do all but store
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
	if base := settings.WebhookURL; base != "" {
		if u, err := url.Parse(base); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return errors.New("webhook URL: want http:// or https:// and a host")
		}
	}
	return nil
}

// settings are those asked for with defaults filled in.
func (r Request) settings() campaign.Settings {
	s := r.Settings
	byMode := campaign.DefaultBatchChunk
	if s.Mode == campaign.Dispatch {
		byMode = campaign.DefaultDispatchChunk
	}
	s.ChunkSize = cmp.Or(s.ChunkSize, byMode)
	return s
}

// A Launcher launches campaigns of one agent.
type Launcher struct {
	Store    Store          // not needed for dry runs, which then do not know whom nobody may contact
	Queue    queue          // not needed for dry runs
	Platform platform       // nil: nothing is asked, and every column is sent
	Quota    quota          // of the agent's token; needed with Platform
	Rate     ratelimit.Rate // estimates go by it unless the platform names a limit

	By       string                           // who launches, for the campaign's log; empty: the user of this process
	Note     func(text string)                // told what a person may want to know meanwhile; may be nil
	Progress func(read, size int64, rows int) // told often while the file is read, in bytes; may be nil
}

// queue puts chunks into the queue; *jobs.Queue is the real one.
type queue interface {
	// Release releases every chunk of a running campaign that waits for it.
	Release(ctx context.Context, name string) (chunks int, err error)
	// Settle cancels what a cut-off cancel has left to be sent.
	Settle(ctx context.Context, c campaign.Campaign) error
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
	Acquire(ctx context.Context) (ratelimit.Ticket, error)
	Report(ctx context.Context, t ratelimit.Ticket, a ratelimit.Answer)
}

// An UnfinishedError ends a launch whose load had begun. Nobody of the campaign
// is contacted, and the same launch starts it anew.
type UnfinishedError struct {
	Campaign string
	Append   bool // contacts were to be added to it; those it has are sent
	Err      error
}

func (e *UnfinishedError) Error() string {
	if e.Append {
		return fmt.Sprintf("%v; nobody of the file is added to %s: the same command starts anew", e.Err, e.Campaign)
	}
	return fmt.Sprintf("%v; the load of %s is unfinished and nobody of it is contacted: the same command starts it anew", e.Err, e.Campaign)
}

func (e *UnfinishedError) Unwrap() error { return e.Err }

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

// Launch loads a campaign and sets it running. A campaign that was loaded from
// the same files and settings before is left as it is, but for chunks that are
// still to be released; from others it is an ExistsError.
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
		switch c, err := l.Store.Campaign(ctx, req.Name); {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return Summary{}, err
		case c.Phase != campaign.Loading && c.Chunks == 0 && c.Fingerprint != src.fingerprint:
			l.note("campaign %s has nobody in it so far; it is loaded anew", c.Name)
		case c.Phase != campaign.Loading:
			return l.again(ctx, req, c, src)
		default:
			l.noteTakeover(ctx, c)
		}
	}
	if err := l.timely(ctx, req); err != nil {
		return Summary{}, err
	}
	found, err := l.preflight(ctx)
	if err != nil {
		return Summary{}, err
	}
	lasting, err := l.lasting(ctx, req)
	if err != nil {
		return Summary{}, err
	}
	others, err := l.others(ctx, req.Choice.NotIn)
	if err != nil {
		return Summary{}, err
	}
	list, err := src.list(ctx, req, found, others, lasting)
	if err != nil {
		return Summary{}, err
	}
	defer list.reader.Close()
	if !req.DryRun {
		// Workers that start afresh know by it what is not the platform's own word.
		if err := l.Store.AddSeen(ctx, req.Settings.Agent, found.seen); err != nil {
			return Summary{}, err
		}
	}
	c := campaign.Campaign{Name: req.Name, Settings: list.settings, Fingerprint: src.fingerprint}
	out, err := l.load(ctx, req, c, list)
	if errors.Is(err, store.ErrExists) { // another enqueue was faster
		c, err := l.Store.Campaign(ctx, req.Name)
		if err != nil {
			return Summary{}, err
		}
		return l.again(ctx, req, c, src)
	}
	if err != nil {
		return Summary{}, err
	}
	c.Counts, c.Chunks, c.Phase = out.counts, out.chunks, phaseAfterLoad(c.Settings)
	now, err := l.now(ctx, req.DryRun)
	if err != nil {
		return Summary{}, err
	}
	s := summarize(c, outlook(c.Settings, out.mix, l.Rate, found.limit, l.blockedUntil(ctx, c.Settings.Agent, now), now))
	s.readFrom(src.contacts.list, out)
	s.DryRun = req.DryRun
	s.Canary = c.Settings.Canary
	if !req.DryRun {
		if err := l.release(ctx, c); err != nil {
			return Summary{}, err
		}
		s.State = out.tally().Phase(c.Phase)
	}
	s.warn(found.warnings...)
	s.warn(list.warnings...)
	s.warn(out.warnings...)
	return s, nil
}

// lasting are those whom no campaign may contact, and those contacted recently if
// they are to be left out. A dry run without a Store does not know them. They are
// looked for once more before each request.
func (l *Launcher) lasting(ctx context.Context, req Request) (hold, error) {
	if l.Store == nil {
		return nil, nil
	}
	suppressed, err := l.Store.ReadSuppressed(ctx)
	if err != nil {
		return nil, err
	}
	all := hold{{suppressed.Has, contacts.DoNotContact}}
	if days := req.Settings.SkipContactedDays; days > 0 {
		now, err := l.Store.Now(ctx)
		if err != nil {
			return nil, err
		}
		recent, err := l.Store.ReadContacted(ctx, now, days)
		if err != nil {
			return nil, err
		}
		all = append(all, held{func(p campaign.Phone) bool { return recent.Has(p.Person()) }, contacts.Recent})
	}
	return all, nil
}

// again answers a launch of a campaign that has been loaded.
func (l *Launcher) again(ctx context.Context, req Request, c campaign.Campaign, src *sources) (Summary, error) {
	if c.Fingerprint != src.fingerprint {
		return Summary{}, &ExistsError{c.Name, difference(c.Settings, req.settings())}
	}
	if err := l.release(ctx, c); err != nil {
		return Summary{}, err
	}
	tally, err := l.Store.Tally(ctx, c.Name)
	if err != nil {
		return Summary{}, err
	}
	now, err := l.now(ctx, false)
	if err != nil {
		return Summary{}, err
	}
	mix, err := unmixed(c)
	if err != nil {
		return Summary{}, err
	}
	s := summarize(c, outlook(c.Settings, mix, l.Rate, l.limitNow(ctx), l.blockedUntil(ctx, c.Settings.Agent, now), now))
	s.readFrom(src.contacts.list, loaded{})
	s.Canary = c.Settings.Canary
	s.State = tally.Phase(c.Phase)
	if err := c.Kept(); err != nil {
		s.warn(err.Error())
	} else if c.Counts.Rows > c.Counts.Contacts && req.RejectsFile != "" {
		if err := l.restoreRejects(ctx, c.Name, req.RejectsFile); err != nil {
			s.warn(rejectsLost(c.Name, err))
		} else {
			s.RejectsFile = req.RejectsFile
		}
	}
	return s, nil
}

// release puts a running campaign into the queue. What it leaves undone, the
// workers' sweeper does.
func (l *Launcher) release(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.Running {
		return nil // a person has stopped it
	}
	if _, err := l.Queue.Release(ctx, c.Name); err != nil && !errors.Is(err, store.ErrNotRunning) {
		return fmt.Errorf("campaign %s is loaded and runs, but not all of it is in the queue; the same command goes on: %w", c.Name, err)
	}
	return nil
}

func (l *Launcher) noteTakeover(ctx context.Context, c campaign.Campaign) {
	if now, err := l.Store.Now(ctx); err == nil && now.Before(c.LoadUntil) {
		l.note("another enqueue was loading %s until just now; this one takes over", c.Name)
		return
	}
	l.note("an earlier load of %s was not finished; it starts anew", c.Name)
}

func (l *Launcher) progress(s *source, rows int) {
	if l.Progress != nil {
		l.Progress(s.read, s.size, rows)
	}
}

// record tells the campaign's log what was loaded. What it cannot be told is done
// all the same.
func (l *Launcher) record(ctx context.Context, name string, action store.Action, src *source, counts campaign.Counts) {
	text := fmt.Sprintf("%s: %d contacts of %d rows", src.what, counts.Contacts, counts.Rows)
	if err := l.Store.Log(context.WithoutCancel(ctx), name, store.Decision{By: l.By, Action: action, Text: velents.MaskNumbers(text)}); err != nil {
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
	return "another file, suppression list, phone column, mapping or choice"
}

// timely fails when what is asked for should have been over by now.
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

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
