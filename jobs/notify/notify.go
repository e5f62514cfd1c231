// Package notify tells an address of your choice when a campaign pauses, waits to be
// started or approved by a person, is canceled or has finished: a chat's incoming webhook, or a
// program.
//
// One of the workers posts a notice of each such change at least once, even when a command
// made it while no worker was running. A notice has no phone number and no token in it:
// reasons are masked when they are stored. A slow or broken address delays nothing else.
// Tries are bounded: a notice that could not be delivered for hours is given up.
package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs/timings"
)

const (
	lookEvery = 5 * time.Second
	timeout   = 10 * time.Second // of one request

	// A notice is tried again after retryWait, which doubles each time up to longestWait,
	// and is given up after maxTries: about four and a half hours.
	retryWait   = 15 * time.Second // longer than a request takes, so that no other worker tries meanwhile
	longestWait = 30 * time.Minute
	maxTries    = 16

	// readAtOnce is how many campaigns are read before their news is told.
	readAtOnce = 100

	// oldest is how long the end of a campaign is news.
	oldest = 7 * 24 * time.Hour
)

// A Notice is what is posted, as JSON.
type Notice struct {
	Campaign    string         `json:"campaign"`
	Title       string         `json:"title,omitempty"` // what people call it
	State       campaign.Phase `json:"state"`           // paused, ready, canceled or finished; any with Unapproved
	Unapproved  bool           `json:"waits_for_approval,omitempty"`
	StateReason string         `json:"state_reason"`
	States      map[string]int `json:"states"` // contacts by state
	Contacts    int            `json:"contacts"`
	URL         string         `json:"url,omitempty"` // of the campaign's page
	Text        string         `json:"text"`          // a sentence, which chats show, and that address
}

// keeper is what notices need of the store; *store.Store is the real one.
type keeper interface {
	ToLookAt(ctx context.Context, r *store.Round) ([]string, time.Time, error)
	Raise(ctx context.Context, name string) error
	ReadAll(ctx context.Context, names []string) ([]store.Reading, error)
	NoticesSince(ctx context.Context, now time.Time) (time.Time, error)
	ClaimNotice(ctx context.Context, name, words string, wait, longest time.Duration) (try int, err error)
	EndNotice(ctx context.Context, name, words string) error
}

// A Notifier posts notices.
type Notifier struct {
	Language texts.Language // of what a notice says; English when empty

	store  keeper
	url    string
	host   string   // the part of the address that may be logged: the rest may be secret
	pages  *url.URL // nil: not known
	client *http.Client
	log    *slog.Logger

	since  time.Time // campaigns that were over before are not told
	round  store.Round
	todo   map[string]bool // campaigns that a look has not come to
	broken bool            // the address failed the last time
}

// New returns a Notifier that posts to an address. log may be nil. Its error does not
// repeat the address.
func New(st keeper, address string, log *slog.Logger) (*Notifier, error) {
	u, err := campaign.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	log = cmp.Or(log, slog.New(slog.DiscardHandler))
	return &Notifier{
		store: st, url: address, host: u.Host, log: log.With("component", "notify"), todo: make(map[string]bool),
		client: &http.Client{
			Timeout: timeout,
			// Following it would carry the notice elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Link makes notices carry a link to the campaign's page, at the public address of the
// pages.
func (n *Notifier) Link(address string) (err error) {
	n.pages, err = parseLink(address)
	return err
}

// CheckLink refuses what Link does.
func CheckLink(address string) error {
	_, err := parseLink(address)
	return err
}

// parseLink reads an address that strangers may read.
func parseLink(address string) (*url.URL, error) {
	u, err := campaign.ParseAddress(address)
	if err == nil && (u.RawQuery != "" || u.User != nil) {
		return nil, errors.New("want an address without user, password and query: everybody who gets a notice reads it")
	}
	return u, err
}

// Run posts notices until ctx is over.
func (n *Notifier) Run(ctx context.Context) {
	timings.Every(ctx, lookEvery, n.log, "campaigns not looked at for notices", n.look)
}

// look posts a notice for every campaign with news. When the address fails, the other
// campaigns wait for the next look.
func (n *Notifier) look(ctx context.Context) error {
	names, now, err := n.store.ToLookAt(ctx, &n.round)
	if err != nil {
		return err
	}
	for _, name := range names {
		n.todo[name] = true
	}
	if n.since.IsZero() {
		if n.since, err = n.store.NoticesSince(ctx, now); err != nil {
			return err
		}
	}
	var errs []error
	for rest := slices.Sorted(maps.Keys(n.todo)); len(rest) > 0; {
		read, err := n.store.ReadAll(ctx, rest[:min(len(rest), readAtOnce)])
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, r := range read {
			came, err := n.tell(ctx, r, now)
			errs, rest = append(errs, err), rest[1:]
			if err == nil {
				delete(n.todo, r.Name)
			}
			if came == failed || !r.NoticeDue.IsZero() { // its next try comes by itself
				n.round.Again(r.Name)
			}
			if came == failed {
				return errors.Join(errs...)
			}
			if came == posted {
				break // that took a while: the others are read anew
			}
		}
	}
	return errors.Join(errs...)
}

// What came of a campaign's news.
type came int

const (
	nothing came = iota
	posted
	failed
)

// tell posts the notice of one campaign, if there is news and no other worker posts it.
func (n *Notifier) tell(ctx context.Context, r store.Reading, now time.Time) (came, error) {
	if errors.Is(r.Err, store.ErrNotFound) {
		return nothing, nil
	}
	if r.Err != nil {
		return nothing, r.Err
	}
	c, tally, name := r.Campaign, r.Tally, r.Name
	words := wordsOf(c, tally)
	if words == r.Told && r.NoticeDue.IsZero() {
		return nothing, nil
	}
	if words != "" && stale(c, tally, now, n.since) {
		return nothing, n.store.EndNotice(ctx, name, words)
	}
	try, err := n.store.ClaimNotice(ctx, name, words, retryWait, longestWait)
	if err != nil || try == 0 {
		return nothing, err
	}
	if err := n.post(ctx, n.noticeOf(c, tally)); err != nil {
		if ctx.Err() != nil {
			return failed, nil // the worker stops; the next one tells
		}
		if err := n.store.Raise(ctx, name); err != nil {
			return failed, err
		}
		if !n.broken {
			n.broken = true
			n.log.WarnContext(ctx, "notice not delivered; it is tried again", "host", n.host, "campaign", name, "error", err)
		}
		if try < maxTries {
			return failed, nil
		}
		n.log.ErrorContext(ctx, "notice given up", "host", n.host, "campaign", name, "tries", try, "error", err)
		return failed, n.store.EndNotice(ctx, name, words)
	}
	if n.broken {
		n.broken = false
		n.log.InfoContext(ctx, "notices are delivered again", "host", n.host)
	}
	return posted, n.store.EndNotice(ctx, name, words)
}

// wordsOf stay the same until a campaign has news; they are empty when there is nothing to
// tell. A canceled campaign has news once its last answer is in.
func wordsOf(c campaign.Campaign, tally campaign.Tally) string {
	switch phase := tally.Phase(c.Phase); {
	case waits(phase, c):
		words := string(phase) + ": " + c.PhaseReason.Line()
		if unapproved(phase, c) {
			words += fmt.Sprintf("; approval of %d", c.Approval.Revision)
		}
		return words
	case phase == campaign.Finished, phase == campaign.CanceledPhase && tally.Open() == 0:
		return fmt.Sprintf("%s %d", phase, c.EndedAt.UnixMilli())
	}
	return ""
}

// unapproved reports whether a campaign waits for approval.
func unapproved(phase campaign.Phase, c campaign.Campaign) bool {
	return c.Approval.Wanted && phase != campaign.Loading && phase != campaign.Finished && phase != campaign.CanceledPhase
}

// waits reports whether a campaign stands still until an operator looks at it: it waits for
// approval, it is paused, or it was to go on by itself and did not, after a canary or a missed start. A
// campaign that was only loaded has no reason, and is no news.
func waits(phase campaign.Phase, c campaign.Campaign) bool {
	return unapproved(phase, c) || phase == campaign.Paused || phase == campaign.Ready && !c.PhaseReason.IsZero()
}

// stale reports whether a campaign was over before notices were asked for, or too long ago
// to be news.
func stale(c campaign.Campaign, tally campaign.Tally, now, since time.Time) bool {
	return !waits(tally.Phase(c.Phase), c) && (c.EndedAt.Before(since) || now.Sub(c.EndedAt) > oldest)
}

func (n *Notifier) noticeOf(c campaign.Campaign, tally campaign.Tally) Notice {
	say := texts.Printer{Language: n.Language, Zone: zoneOf(c)}
	told := Notice{Campaign: c.Name, Title: c.Settings.Title, State: tally.Phase(c.Phase), Contacts: tally.Contacts(), States: make(map[string]int)}
	if told.State == c.Phase { // else it is the reason for an earlier state
		told.StateReason = string(say.Message(c.PhaseReason))
	}
	var parts []string
	for _, state := range campaign.States() {
		count := tally.States[state]
		told.States[state.String()] = count
		if count > 0 {
			parts = append(parts, string(say.Say("notice.state", "n", count, "state", state)))
		}
	}
	name := say.Figures(c.Name)
	if told.Title != "" {
		name = say.Say("campaign.titled", "title", told.Title, "name", name)
	}
	told.Unapproved = unapproved(told.State, c)
	text := say.Say("notice."+string(told.State), "campaign", name)
	if told.Unapproved && told.State != campaign.Paused {
		text = say.Say("notice.approval", "campaign", name, "makers", texts.Who(strings.Join(c.Approval.Makers, ", ")))
	}
	if told.StateReason != "" {
		text = say.Say("notice.because", "what", text, "reason", texts.Said(told.StateReason))
	}
	contacts := say.Say("count.contacts", "n", told.Contacts)
	if len(parts) > 0 {
		text = say.Say("notice.totals", "what", text, "contacts", contacts, "states", texts.Said(strings.Join(parts, string(say.Say("comma")))))
	} else {
		text = say.Say("notice.empty", "what", text, "contacts", contacts)
	}
	if n.pages != nil {
		told.URL = n.pages.JoinPath("campaigns", c.Name).String()
		text = say.Say("notice.link", "text", text, "url", texts.Said(told.URL))
	}
	told.Text = string(text)
	return told
}

// zoneOf is the zone of the campaign's hours; this process's own, TZ, where it goes by each
// contact's.
func zoneOf(c campaign.Campaign) *time.Location {
	if zone, err := time.LoadLocation(c.Settings.Hours.Zone); err == nil && c.Settings.Hours.Zone != "" {
		return zone
	}
	return time.Local
}

// post makes one request. Its errors do not contain the address.
func (n *Notifier) post(ctx context.Context, notice Notice) error {
	body, err := json.Marshal(notice)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := n.client.Do(req)
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}
