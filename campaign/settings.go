package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"campaign-runner/campaign/hours"
)

// Settings say what a campaign is to do. The table in setting.go names each of them
// that people can choose; the rest comes from the contact file.
type Settings struct {
	Title       string   `json:"title,omitempty"` // what people call it; see ParseTitle
	Agent       string   `json:"agent"`
	Mode        Mode     `json:"mode"`
	ChannelID   int      `json:"channel_id"`
	Lane        Lane     `json:"lane,omitempty"` // empty: by the length of the list
	ChunkSize   int      `json:"chunk_size"`     // contacts per chunk; the last chunk may hold fewer
	MaxAttempts int      `json:"max_attempts"`   // requests per contact and run, the first included; at most 200
	Retry5xx    Retry5xx `json:"retry_5xx,omitempty"`
	Region      string   `json:"region,omitempty"` // ISO 3166 alpha-2, for numbers without a country code
	Reading     Reading  `json:"reading,omitzero"` // how the numbers of the contact file are read
	Columns     []Column `json:"columns"`
	PhoneColumn int      `json:"phone_column"`          // its index in Columns
	WebhookURL  string   `json:"webhook_url,omitempty"` // public base of the inbox; empty: no events
	NoHistory   bool     `json:"no_history,omitempty"`  // keep what the agent learned, not what was said

	// SkipContactedDays leaves out contacts that any campaign contacted today or on
	// that many days before; 0: none.
	SkipContactedDays int `json:"skip_contacted_days,omitempty"`
	// FollowsUp is the campaign that the contacts were taken from: that it contacted them
	// before FollowsUpFrom, when they were taken, is no reason for SkipContactedDays to leave
	// them out. Empty: they come from a file.
	FollowsUp     string    `json:"follows_up,omitempty"`
	FollowsUpFrom time.Time `json:"follows_up_from,omitzero"` // by Redis's clock; zero: when the campaign was made
	Unrecorded    bool      `json:"unrecorded,omitempty"`     // no contact record: other campaigns do not see whom this one contacted

	When
	Safety

	RowsPerRequest     int `json:"rows_per_request,omitempty"`     // at most, in batch mode; 0: a chunk
	MaxContactAttempts int `json:"max_contact_attempts,omitempty"` // requests per contact over all runs and rungs, at most 254; 0: see MostAttempts

	FollowUp

	// OptOutWhen are rules extraction.KEY=VALUE. A contact about whom the agent learns one
	// of them goes on the do-not-contact list. A contact who answers with a stop word
	// does so too, unless NoStopWords is set.
	OptOutWhen  []Rule `json:"optout_when,omitempty"`
	NoStopWords bool   `json:"no_stop_words,omitempty"`

	KeepDays int `json:"keep_days,omitempty"` // personal data is purged this many days after the end; 0: never

	Constants map[string]string `json:"constants,omitempty"` // values that are the same for every contact, by the agent's keys

	Tickets
}

// When says when contacts may be contacted, and how often.
type When struct {
	Hours  hours.Schedule `json:"hours,omitzero"`
	Limits hours.Limits   `json:"limits,omitzero"`
	Rules  string         `json:"rules,omitempty"` // the country whose rules Hours and Limits keep

	StartAt     time.Time     `json:"start_at,omitzero"`      // no request before; zero: at once
	MaxLateness time.Duration `json:"max_lateness,omitempty"` // later than this after StartAt, a person must start it
	// FinishBy is when contacts that were not sent yet are canceled, except those that
	// a rerun asked for; zero: never.
	FinishBy time.Time `json:"finish_by,omitzero"`
}

// Safety says how a campaign begins, and what stops it.
type Safety struct {
	Canary          int    `json:"canary,omitempty"`            // contacts that are sent before the rest waits for a person; 0: no canary
	CanaryGoOn      *Share `json:"canary_go_on,omitempty"`      // the rest goes on by itself unless more of the canary went wrong; nil: it waits
	MaxFailureShare Share  `json:"max_failure_share,omitempty"` // the campaign pauses when more of the latest contacts failed; 0: never
	DailyCap        int    `json:"daily_cap,omitempty"`         // contacts begun on one day; 0: any number

	// The guards of the answers; 0: no such guard. They go by the platform's events.
	MaxOptOutShare Share         `json:"max_optout_share,omitempty"` // the campaign pauses when more of the latest contacts opted out
	MinAnswerShare Share         `json:"min_answer_share,omitempty"` // ... when fewer of them answered
	MaxSilence     time.Duration `json:"max_silence,omitempty"`      // ... when contacts are accepted, and no event has come for so long
}

// Listens reports whether a campaign has a guard that goes by the platform's events.
func (s Safety) Listens() bool {
	return s.MaxOptOutShare > 0 || s.MinAnswerShare > 0 || s.MaxSilence > 0
}

// Tickets says which contacts get a ticket in the Support Center.
type Tickets struct {
	TicketRules  []Rule            `json:"ticket_rules,omitempty"`
	TicketFields map[string]string `json:"ticket_fields,omitempty"` // set on every ticket
	MaxTickets   int               `json:"max_tickets,omitempty"`
	// TicketReplies: what a contact says later goes into the ticket's conversation, and
	// that is read back.
	TicketReplies bool `json:"ticket_replies,omitempty"`
}

// A Mode is the way in which contacts go to the platform.
type Mode string

const (
	Batch    Mode = "batch"    // one request carries a whole chunk
	Dispatch Mode = "dispatch" // one request carries one contact
)

// Defaults and bounds of settings.
const (
	DefaultAgent         = "default" // that of VELENTS_TOKEN
	DefaultBatchChunk    = 500       // contacts per chunk when --chunk-size says nothing
	DefaultDispatchChunk = 50
	MaxChunkSize         = 10_000 // a contact's place in its chunk is kept in two bytes
	MaxContactedDays     = 90     // the contact record goes back no further
	MaxKeepDays          = 3650
	maxAttemptsCounted   = 254 // a record does not tell higher counts apart
)

// Retry5xx says after which failures of the platform a contact is sent again, although
// the platform may have acted on the request.
type Retry5xx string

const (
	RetryOwn  Retry5xx = ""     // its own 500, which its vendor calls safe to repeat
	RetryAll  Retry5xx = "all"  // any 5xx, also from a proxy in front of the platform
	RetryNone Retry5xx = "none" // none
)

func (r Retry5xx) String() string {
	if r == RetryOwn {
		return "own"
	}
	return string(r)
}

// A Reading says how the phone numbers of a contact file are read, beyond what its
// format and the region say. The zero Reading finds out by itself.
type Reading struct {
	PhoneColumns []string `json:"phone_columns,omitempty"` // in order of preference; none: found by their common names

	// Columns that tell the country of a number. NoColumn: there is none; empty: one is
	// looked for.
	CountryColumn     string `json:"country_column,omitempty"`      // of countries
	CountryCodeColumn string `json:"country_code_column,omitempty"` // of calling codes

	// The columns that a load used for that, found or asked for.
	FoundCountryColumn     string `json:"found_country_column,omitempty"`
	FoundCountryCodeColumn string `json:"found_country_code_column,omitempty"`

	StrictNumbers bool `json:"strict_numbers,omitempty"` // doubtful numbers are refused
	FirstOfTwo    bool `json:"first_of_two,omitempty"`   // of two numbers in a cell the first is taken
}

// Again is how another file with the campaign's columns is read: the country columns
// are those of the first file, and no others are looked for.
func (r Reading) Again() Reading {
	r.CountryColumn = cmp.Or(r.FoundCountryColumn, NoColumn)
	r.CountryCodeColumn = cmp.Or(r.FoundCountryCodeColumn, NoColumn)
	return r
}

// ContactedSince is when the time of SkipContactedDays begins. The contact record counts
// days of UTC.
func ContactedSince(now time.Time, days int) time.Time {
	return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -days)
}

// NoColumn is the name that turns the search for a column off.
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

// Queue is the lane's queue of an agent, as asynq and its UI know it.
func (l Lane) Queue(agent string) string {
	if l == Normal {
		return agent
	}
	return agent + "-" + string(l)
}

// LaneWeights are asynq's weights of an agent's lanes: while all are full, that many of
// ten tasks come from each.
var LaneWeights = map[Lane]int{Urgent: 6, Normal: 3, Bulk: 1}

// LaneTurn is how long a task may send while others wait in another lane. In dispatch
// mode it may have more than a minute of requests before it, and there are few places
// for tasks.
const LaneTurn = 10 * time.Second

// LaneFor is the lane of a list of this many chunks, unless one was chosen.
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

// UsedUp reports whether a contact has had all its attempts, in this run or over
// all runs.
func (s Settings) UsedUp(r Record) bool {
	return int(r.Tries) >= s.MaxAttempts || s.UsedUpForGood(r)
}

// UsedUpForGood reports whether a contact has had all its attempts over all runs, so
// that a rerun must leave it out.
func (s Settings) UsedUpForGood(r Record) bool {
	most := s.MostAttempts()
	return most > 0 && int(r.Attempts) >= most
}

// MostAttempts is how many requests a contact may have over all runs and rungs: where
// nothing else is said, the launch and its rungs. 0: any number.
func (s Settings) MostAttempts() int {
	if rungs := s.Rungs(); s.MaxContactAttempts == 0 && rungs > 0 {
		return 1 + rungs
	}
	return s.MaxContactAttempts
}

// RequestRows is the most contacts that one request may carry.
func (s Settings) RequestRows() int {
	if s.Mode == Dispatch {
		return 1
	}
	return cmp.Or(s.RowsPerRequest, s.ChunkSize)
}

// Check finds settings that make no sense: each by its entry in the table, and then
// those that do not go together.
func (s Settings) Check() error {
	for _, setting := range table {
		if err := setting.check(&s); err != nil {
			return err
		}
	}
	agent, err := AgentName(s.Agent)
	switch {
	case err != nil:
		return err
	case agent != s.Agent:
		return fmt.Errorf("agent: want it written %q", agent)
	case s.Listens() && s.WebhookURL == "":
		return Faulty(MsgWantEvents)
	case s.WebhookURL == "" && s.needsEvents() != "":
		return fmt.Errorf("then %s goes by the platform's events: launch it with WEBHOOK_URL, or use a rule about a state", s.needsEvents())
	case s.MaxLateness < 0:
		return fmt.Errorf("max lateness %v: want 0 or more", s.MaxLateness)
	case (s.Limits.PerDay > 0 || s.Limits.PerWeek > 0) && s.Unrecorded:
		return Faulty(MsgWantRecord)
	case !s.FinishBy.IsZero() && !s.FinishBy.After(s.StartAt):
		return errors.New("finish by: want a time after its start")
	case s.CanaryGoOn != nil && s.Canary == 0:
		return errors.New("canary go on: there is no canary")
	case s.RowsPerRequest > s.ChunkSize:
		return fmt.Errorf("chunk size %d: want at most the %d that it was loaded with", s.RowsPerRequest, s.ChunkSize)
	case s.RowsPerRequest > 0 && s.Mode == Dispatch:
		return errors.New("chunk size: in dispatch mode every request has one contact")
	case s.PhoneColumn < 0 || s.PhoneColumn >= len(s.Columns):
		return fmt.Errorf("phone column %d: the file has %d columns", s.PhoneColumn, len(s.Columns))
	case len(s.TicketRules) > 0 && s.MaxTickets < 1:
		return fmt.Errorf("max tickets %d: want at least 1", s.MaxTickets)
	case s.TicketReplies && len(s.TicketRules) == 0:
		return errors.New("ticket replies: the campaign makes no tickets")
	}
	_, err = s.ThenRules().On(s.ColumnNames())
	return errors.Join(s.Hours.Check(), s.Limits.Check(), err)
}
