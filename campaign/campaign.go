// Package campaign is the domain: what a campaign, a contact, a chunk and a
// ledger are, and which changes of a contact's state are allowed.
//
// It is pure Go: no Redis, no queue, no clock of its own. Everything that must
// be decided alike by the sender, the sweeper, the inbox and the commands is
// decided here, by Record.Next.
package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"campaign-runner/campaign/hours"
)

// A Mode is the way in which contacts go to the platform.
type Mode string

const (
	Batch    Mode = "batch"    // one request carries a whole chunk
	Dispatch Mode = "dispatch" // one request carries one contact
)

// Contacts per chunk when --chunk-size says nothing, and the most there may be:
// a contact's place in its chunk is kept in two bytes.
const (
	DefaultBatchChunk    = 500
	DefaultDispatchChunk = 50
	MaxChunkSize         = 10_000
)

// MaxContactedDays is for how many days it is remembered who was contacted.
const MaxContactedDays = 90

// MaxKeepDays is the longest that a campaign can be kept until it purges itself.
const MaxKeepDays = 3650

// maxAttemptsCounted is the highest count of attempts that a record tells apart
// from more.
const maxAttemptsCounted = 254

// Retry5xx says after which failures of the platform contacts are sent again by
// themselves, though they may have been reached all the same.
type Retry5xx string

const (
	RetryOwn  Retry5xx = ""     // its own 500, which its vendor calls safe to repeat
	RetryAll  Retry5xx = "all"  // any 5xx, whatever stands before the platform
	RetryNone Retry5xx = "none" // none
)

func (r Retry5xx) String() string {
	if r == RetryOwn {
		return "own"
	}
	return string(r)
}

// ParseRetry5xx reads what String writes.
func ParseRetry5xx(text string) (Retry5xx, error) {
	for _, r := range []Retry5xx{RetryOwn, RetryAll, RetryNone} {
		if text == r.String() {
			return r, nil
		}
	}
	return "", fmt.Errorf("retry 5xx %q: want own, all or none", text)
}

// Settings are what a campaign is to do. What can be changed once it is loaded is
// for package jobs to say.
type Settings struct {
	Agent       string   `json:"agent"`
	Mode        Mode     `json:"mode"`
	ChannelID   int      `json:"channel_id"`
	Lane        Lane     `json:"lane,omitempty"` // empty: by the length of the list
	ChunkSize   int      `json:"chunk_size"`     // contacts per chunk; the last chunk may hold fewer
	MaxAttempts int      `json:"max_attempts"`   // requests per contact and run, the first included; at most 200
	Retry5xx    Retry5xx `json:"retry_5xx,omitempty"`
	Region      string   `json:"region,omitempty"` // ISO 3166 alpha-2, for numbers without a country code
	Reading     Reading  `json:"reading,omitzero"` // of the numbers of the contact file
	Columns     []Column `json:"columns"`
	PhoneColumn int      `json:"phone_column"`          // its index in Columns
	WebhookURL  string   `json:"webhook_url,omitempty"` // public base of the inbox; empty: no events
	NoHistory   bool     `json:"no_history,omitempty"`  // what was said is not kept, only what was learned

	// SkipContactedDays leaves out whoever any campaign contacted today or on so
	// many days before; 0: nobody.
	SkipContactedDays int  `json:"skip_contacted_days,omitempty"`
	Unrecorded        bool `json:"unrecorded,omitempty"` // other campaigns are not told whom this one contacts

	// Hours are when contacts may be contacted, and Limits how often.
	Hours  hours.Schedule `json:"hours,omitzero"`
	Limits hours.Limits   `json:"limits,omitzero"`
	Rules  string         `json:"rules,omitempty"` // the country's rules that Hours and Limits were made with

	StartAt     time.Time     `json:"start_at,omitzero"`      // nobody is contacted before; zero: at once
	MaxLateness time.Duration `json:"max_lateness,omitempty"` // later than this after StartAt a person must start it
	// FinishBy is when whoever was not sent by then is canceled, but for those whom
	// a person has asked to send again; zero: never.
	FinishBy time.Time `json:"finish_by,omitzero"`

	// How the campaign begins, and what stops it.
	Canary          int    `json:"canary,omitempty"`            // first contacts that are sent before the rest waits for a person; 0: none
	CanaryGoOn      *Share `json:"canary_go_on,omitempty"`      // of them that may be rejected, failed or unconfirmed for the rest to go on by itself; nil: it waits
	MaxFailureShare Share  `json:"max_failure_share,omitempty"` // of the latest contacts, beyond which the campaign pauses; 0: it never does

	DailyCap           int `json:"daily_cap,omitempty"`            // contacts begun on one day; 0: any number
	RowsPerRequest     int `json:"rows_per_request,omitempty"`     // at most, in batch mode; 0: a chunk
	MaxContactAttempts int `json:"max_contact_attempts,omitempty"` // requests per contact over all runs, at most 254; 0: any number
	// OptOutWhen are rules extraction.KEY=VALUE: whoever the agent has learned one of
	// from is never contacted again, by any campaign; nor is who answers with a stop
	// word, unless NoStopWords says so.
	OptOutWhen  []string `json:"optout_when,omitempty"`
	NoStopWords bool     `json:"no_stop_words,omitempty"`

	// KeepDays is for how many days what tells of people is kept once the campaign is
	// over; 0: until somebody purges it.
	KeepDays int `json:"keep_days,omitempty"`

	// Constants are values that every contact has alike, by the agent's keys.
	Constants map[string]string `json:"constants,omitempty"`

	// Tickets are made in the Support Center of contacts that a rule names, with
	// TicketFields beside what is said of the contact; at most MaxTickets.
	TicketRules  []TicketRule      `json:"ticket_rules,omitempty"`
	TicketFields map[string]string `json:"ticket_fields,omitempty"`
	MaxTickets   int               `json:"max_tickets,omitempty"`
}

// A Reading says how the phone numbers of a contact file are read, beyond what its
// format and the region say. The zero Reading leaves it to what the file says itself.
type Reading struct {
	PhoneColumns []string `json:"phone_columns,omitempty"` // in order of preference; none: found by their common names

	// Columns that say whose country a number is of: NoColumn for none, empty to look
	// for one.
	CountryColumn     string `json:"country_column,omitempty"`      // of countries
	CountryCodeColumn string `json:"country_code_column,omitempty"` // of calling codes

	// The columns that were found to say so, or asked for, once the file is loaded.
	FoundCountryColumn     string `json:"found_country_column,omitempty"`
	FoundCountryCodeColumn string `json:"found_country_code_column,omitempty"`

	StrictNumbers bool `json:"strict_numbers,omitempty"` // doubtful numbers are refused
	FirstOfTwo    bool `json:"first_of_two,omitempty"`   // of two numbers in a cell the first is taken
}

// Again is how another file of the campaign's columns is read: the columns that say
// whose country a number is of are those of the first file, and none are looked for.
func (r Reading) Again() Reading {
	r.CountryColumn = cmp.Or(r.FoundCountryColumn, NoColumn)
	r.CountryCodeColumn = cmp.Or(r.FoundCountryCodeColumn, NoColumn)
	return r
}

// NoColumn is the name that switches the search for a column off.
const NoColumn = "none"

// A Lane is one of an agent's queues: short lists do not wait behind long ones.
type Lane string

const (
	Urgent Lane = "urgent"
	Normal Lane = "normal"
	Bulk   Lane = "bulk"
)

// bulkChunks is the longest list, in chunks, that still runs in the normal lane.
const bulkChunks = 50

// LaneFor is the lane of a list of so many chunks, unless one was chosen.
func (s Settings) LaneFor(chunks int) Lane {
	switch {
	case s.Lane != "":
		return s.Lane
	case chunks > bulkChunks:
		return Bulk
	default:
		return Normal
	}
}

// Counts are what came of the lines of a contact file. Rows = Contacts +
// Invalid + Duplicates + Suppressed, always; Rows leaves out the header.
type Counts struct {
	Rows       int            `json:"rows"`
	Contacts   int            `json:"contacts"`
	Invalid    int            `json:"invalid"`
	Duplicates int            `json:"duplicates"`
	Suppressed int            `json:"suppressed"`
	NotChosen  int            `json:"not_chosen"`        // left out by what was asked for: rules, a sample, a limit, another campaign
	Refused    map[string]int `json:"refused,omitempty"` // by reason; sums to Rows - Contacts

	// What is told of the contacts beside their number.
	Countries    map[string]int `json:"countries,omitempty"`     // contacts by country, ISO 3166 alpha-2; 001: of none
	Doubtful     map[string]int `json:"doubtful,omitempty"`      // contacts whose number may be wrong, by why
	PhoneColumns map[string]int `json:"phone_columns,omitempty"` // contacts by the column of their number, where there are several
}

// Check tells whether the counts add up.
func (c Counts) Check() error {
	if sum := c.Contacts + c.Invalid + c.Duplicates + c.Suppressed + c.NotChosen; sum != c.Rows {
		return fmt.Errorf("counts: %d rows, but %d contacts and refused lines", c.Rows, sum)
	}
	refused := 0
	for _, n := range c.Refused {
		refused += n
	}
	if refused != c.Rows-c.Contacts {
		return fmt.Errorf("counts: %d refused lines, but reasons for %d", c.Rows-c.Contacts, refused)
	}
	return nil
}

// Add are the counts of two files together.
func (c Counts) Add(more Counts) Counts {
	c.Rows += more.Rows
	c.Contacts += more.Contacts
	c.Invalid += more.Invalid
	c.Duplicates += more.Duplicates
	c.Suppressed += more.Suppressed
	c.NotChosen += more.NotChosen
	c.Refused = sum(c.Refused, more.Refused)
	c.Countries = sum(c.Countries, more.Countries)
	c.Doubtful = sum(c.Doubtful, more.Doubtful)
	c.PhoneColumns = sum(c.PhoneColumns, more.PhoneColumns)
	return c
}

// sum adds counts by name without changing either; nil if there are none.
func sum(a, b map[string]int) map[string]int {
	all := maps.Clone(a)
	if all == nil && len(b) > 0 {
		all = make(map[string]int)
	}
	for name, n := range b {
		all[name] += n
	}
	return all
}

// A Campaign is one run over one list.
type Campaign struct {
	Name        string
	Settings    Settings
	Phase       Phase  // as stored; Finished is derived, see Tally.Phase
	PhaseReason string // why it is paused, canceled, or ready though it was to go on by itself
	Fingerprint string // of the file, the suppression files and the load flags
	Counts      Counts
	Chunks      int
	Ends        []int     // the last chunk of the list, and of each append to it but the last: it may hold fewer contacts
	Run         uint8     // 0 for the launch, one more for each rerun; stays at 255
	RowsPerCall int       // most contacts per request, learned from refusals; 0: the chunk's
	Canary      int       // while it is tried out: the first so many contacts, and nobody else, may be sent
	Version     int       // of its settings and its canary: another one after each change
	CreatedAt   time.Time // when its load began
	LoadUntil   time.Time // while loading: when the load counts as dead unless it is heard of again
	EndedAt     time.Time // when nobody of it was left to be sent, last; whether that is so now, the tally tells
	PurgeBegan  time.Time // since when it tells nothing of people any more; zero: it does
	PurgedAt    time.Time // when all that was gone; zero: not yet
}

// Kept tells whether a campaign still has its contacts, or has been purged.
func (c Campaign) Kept() error {
	if c.PurgeBegan.IsZero() {
		return nil
	}
	return fmt.Errorf("campaign %s: its contacts were purged on %s; only its totals are left", c.Name, c.PurgeBegan.Format("2 Jan 2006"))
}

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	agentPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// AgentName is an agent's name as it is kept: lower case, with - for _, so that
// VELENTS_TOKEN_SALES_KSA, "sales_ksa" and "Sales-KSA" name the same agent.
func AgentName(name string) (string, error) {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if len(name) > 64 || !agentPattern.MatchString(name) {
		return "", errors.New("agent: want 1 to 64 letters and digits, with - or _ between them")
	}
	// An agent's lanes are queues named after it: no agent may be named like
	// another's lane.
	for _, lane := range []Lane{Urgent, Bulk} {
		if strings.HasSuffix(name, "-"+string(lane)) {
			return "", fmt.Errorf("agent: its name must not end in -%s", lane)
		}
	}
	return name, nil
}

// CheckName tells whether name can name a campaign.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || strings.Trim(name, ".") == "" {
		return errors.New("campaign name: want 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if name[0] == '-' { // every later command would take it for a flag
		return errors.New("campaign name: want a letter, a digit, . or _ at its beginning")
	}
	return nil
}

// UsedUp reports whether a contact has had all its attempts, in this run or over
// all runs.
func (s Settings) UsedUp(r Record) bool {
	return int(r.Tries) >= s.MaxAttempts || s.UsedUpForGood(r)
}

// UsedUpForGood reports whether a contact has had all its attempts over all runs, so
// that a rerun must leave it out.
func (s Settings) UsedUpForGood(r Record) bool {
	return s.MaxContactAttempts > 0 && int(r.Attempts) >= s.MaxContactAttempts
}

// RequestRows is the most contacts that one request may carry.
func (s Settings) RequestRows() int {
	if s.Mode == Dispatch {
		return 1
	}
	return cmp.Or(s.RowsPerRequest, s.ChunkSize)
}

// RequestRows is the most contacts that one request may carry: as set, or fewer
// where the platform has refused that many.
func (c Campaign) RequestRows() int {
	rows := c.Settings.RequestRows()
	if c.RowsPerCall > 0 {
		rows = min(rows, c.RowsPerCall)
	}
	return rows
}

// HeldBack is how many contacts of a chunk of so many the canary leaves to be
// sent later: the last ones.
func (c Campaign) HeldBack(chunk, contacts int) int {
	if c.Canary == 0 {
		return 0
	}
	return contacts - min(max(c.Canary-chunk*c.Settings.ChunkSize, 0), contacts)
}

// Check finds settings that make no sense.
func (s Settings) Check() error {
	agent, err := AgentName(s.Agent)
	switch {
	case err != nil:
		return err
	case agent != s.Agent:
		return fmt.Errorf("agent: want it written %q", agent)
	case s.Mode != Batch && s.Mode != Dispatch:
		return fmt.Errorf("mode %q: want %s or %s", s.Mode, Batch, Dispatch)
	case s.ChannelID <= 0:
		return errors.New("channel: want a positive id")
	case s.Lane != "" && s.Lane != Urgent && s.Lane != Normal && s.Lane != Bulk:
		return fmt.Errorf("lane %q: want %s, %s or %s", s.Lane, Urgent, Normal, Bulk)
	case s.ChunkSize < 1 || s.ChunkSize > MaxChunkSize:
		return fmt.Errorf("chunk size %d: want 1 to %d", s.ChunkSize, MaxChunkSize)
	case s.MaxAttempts < 1 || s.MaxAttempts > 200:
		return fmt.Errorf("max attempts %d: want 1 to 200", s.MaxAttempts)
	case s.SkipContactedDays < 0 || s.SkipContactedDays > MaxContactedDays:
		return fmt.Errorf("skip contacted within %d days: want at most %d", s.SkipContactedDays, MaxContactedDays)
	case s.MaxLateness < 0:
		return fmt.Errorf("max lateness %v: want 0 or more", s.MaxLateness)
	case (s.Limits.PerDay > 0 || s.Limits.PerWeek > 0) && s.Unrecorded:
		return errors.New("limits per day and week go by the record of who was contacted: this campaign must be recorded")
	case !s.FinishBy.IsZero() && !s.FinishBy.After(s.StartAt):
		return errors.New("finish by: want a time after its start")
	case s.Canary < 0:
		return fmt.Errorf("canary %d: want 1 or more contacts", s.Canary)
	case s.CanaryGoOn != nil && s.Canary == 0:
		return errors.New("canary go on: there is no canary")
	case s.MaxFailureShare < 0 || s.MaxFailureShare >= Whole:
		return fmt.Errorf("max failure share %v: want more than 0%% and less than 100%%", s.MaxFailureShare)
	case s.DailyCap < 0:
		return fmt.Errorf("daily cap %d: want 1 or more contacts", s.DailyCap)
	case s.RowsPerRequest < 0 || s.RowsPerRequest > s.ChunkSize:
		return fmt.Errorf("rows per request %d: want at most the %d of a chunk", s.RowsPerRequest, s.ChunkSize)
	case s.RowsPerRequest > 0 && s.Mode == Dispatch:
		return errors.New("rows per request: in dispatch mode every request has one")
	case s.MaxContactAttempts < 0 || s.MaxContactAttempts > maxAttemptsCounted:
		return fmt.Errorf("max contact attempts %d: want 1 to %d", s.MaxContactAttempts, maxAttemptsCounted)
	case s.KeepDays < 0 || s.KeepDays > MaxKeepDays:
		return fmt.Errorf("keep for %d days: want at most %d", s.KeepDays, MaxKeepDays)
	case s.PhoneColumn < 0 || s.PhoneColumn >= len(s.Columns):
		return fmt.Errorf("phone column %d: the file has %d columns", s.PhoneColumn, len(s.Columns))
	case len(s.TicketRules) > 0 && s.MaxTickets < 1:
		return fmt.Errorf("max tickets %d: want at least 1", s.MaxTickets)
	}
	if _, err := ParseRetry5xx(s.Retry5xx.String()); err != nil {
		return err
	}
	for _, rule := range s.OptOutWhen {
		if _, err := ParseLearned(rule); err != nil {
			return fmt.Errorf("opt out when: %w", err)
		}
	}
	for _, rule := range s.TicketRules {
		if _, err := ParseTicketRule(string(rule)); err != nil {
			return err
		}
	}
	return errors.Join(s.Hours.Check(), s.Limits.Check())
}
