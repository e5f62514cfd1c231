package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign/hours"
)

// A Setting is something that people choose for a campaign. The table below is the
// only place that names it: flags, form, checks, differences and what 'campaign show'
// tells all range over the table.
type Setting struct {
	Flag     string // of the commands
	Unit     string // of the flag's value, as -h shows it
	Usage    string // of the flag
	Default  string // of a launch, as the flag takes it; empty: nothing is set
	Variable string // environment variable that the flag of a launch falls back to
	With     string // the flag without which this one says nothing; empty: none

	At    Occasion // when it can be said
	Name  string   // in differences; empty: the flag
	Quiet bool     // shown elsewhere, so not among what is in force

	Section Section // of the form
	Label   string  // on the form; empty: not on the form
	Hint    string  // below the field
	Example string  // in the empty field

	kind
}

// An Occasion is when a setting can be said.
type Occasion int

const (
	AtLaunch Occasion = iota // only
	Anytime                  // at the launch, and while the campaign runs
	Later                    // only while it runs
)

// A Section is a part of the form.
type Section int

const (
	NameSection   Section = iota // what it is called
	ListSection                  // how its list is read
	WhenSection                  // when people may be contacted
	SafetySection                // how it begins, and what stops it
	MoreSection                  // the rest of that
	FollowSection                // what comes after a conversation
)

// table holds every setting. A flag comes after those whose values it needs.
var table = []Setting{
	{Flag: "title", Unit: "TEXT", Usage: "what people call the campaign, in any script, beside its name", At: Anytime, Quiet: true,
		Section: NameSection, Label: "Title", Hint: "what people call it, in any script", Example: "حملة العيد ٢٠٢٧",
		kind: title(func(s *Settings) *string { return &s.Title })},
	{Flag: "agent", Unit: "NAME", Usage: "agent, whose token is VELENTS_TOKEN_NAME", Default: DefaultAgent, Variable: "VELENTS_AGENT", Quiet: true,
		kind: value(func(s *Settings) *string { return &s.Agent }, same, AgentName)},
	{Flag: "channel", Unit: "voice|whatsapp|ID", Usage: "voice, whatsapp, or the platform's ID of a channel", Variable: "VELENTS_CHANNEL", Quiet: true,
		kind: number(func(s *Settings) *int { return &s.ChannelID }, 1, 0)},
	{Flag: "mode", Unit: "batch|dispatch", Usage: "batch: one request carries a chunk; dispatch: one contact", Default: string(Batch), Variable: "VELENTS_MODE", Quiet: true,
		Section: MoreSection, Label: "Requests", Hint: "batch: many contacts in each; dispatch: one contact in each",
		kind: choice(func(s *Settings) *Mode { return &s.Mode }, Batch, Dispatch)},
	{Flag: "chunk-size", Unit: "CONTACTS", Usage: "contacts per chunk (default 500, in dispatch mode 50)", Variable: "VELENTS_CHUNK_SIZE", Quiet: true,
		Section: MoreSection, Label: "Contacts a chunk", Example: "500, in dispatch mode 50",
		kind: number(func(s *Settings) *int { return &s.ChunkSize }, 1, MaxChunkSize)},
	{Flag: "chunk-size", Unit: "CONTACTS", Usage: "most contacts that one request carries", At: Later, Name: "rows per request",
		kind: optional(func(s *Settings) *int { return &s.RowsPerRequest }, 1, MaxChunkSize)},
	{Flag: "priority", Unit: "urgent|normal|bulk", Usage: "of ten chunks that wait, six, three and one are taken (default: bulk for more than 50 chunks)", At: Anytime,
		kind: choice(func(s *Settings) *Lane { return &s.Lane }, "", Urgent, Normal, Bulk)},
	{Flag: "max-attempts", Unit: "REQUESTS", Usage: "most requests per contact and run, the first included", Default: "5", Variable: "VELENTS_MAX_ATTEMPTS", At: Anytime,
		Section: MoreSection, Label: "Attempts for each contact",
		kind: number(func(s *Settings) *int { return &s.MaxAttempts }, 1, 200)},
	{Flag: "max-contact-attempts", Unit: "REQUESTS", Usage: "most requests per contact over all reruns and --then; 0: any number, or with --then the launch and the times it names", At: Anytime,
		kind: optional(func(s *Settings) *int { return &s.MaxContactAttempts }, 0, maxAttemptsCounted)},
	{Flag: "retry-5xx", Unit: "own|all|none", Default: "own", Variable: "VELENTS_RETRY_5XX", At: Anytime,
		Usage:   "failures after which a contact is sent again, though it may have been contacted: own: the platform's own 500; all: any 5xx, also from a proxy in front of it; none",
		Section: MoreSection, Label: "Send again after failures", Hint: "own: of the platform itself; all: of a proxy in front of it, too. A contact that is sent again may be contacted twice",
		kind: choice(func(s *Settings) *Retry5xx { return &s.Retry5xx }, RetryOwn, RetryAll, RetryNone)},
	{Flag: "then", Unit: "RULE:DELAYS", At: Anytime,
		Usage:   "contact again, this long after, each contact that meets the rule: ended.no_answer:2h,1d or state=failed:1h; may be repeated, and then the first rule that a contact meets counts; none: nobody",
		Section: FollowSection, Label: "Contact again by itself", Hint: "a rule, and how long after each time; several with semicolons between them. Nobody is contacted more often than there are times, and nobody after an opt-out", Example: "ended.no_answer:2h,1d",
		kind: ladders(func(s *Settings) *[]Ladder { return &s.Then })},
	{Flag: "then-within", Unit: "TIME", Usage: "how long after its request an event of a contact may still lead to another by --then (default 3d)", At: Anytime, With: "then",
		kind: delay(func(s *Settings) *time.Duration { return &s.ThenWithin })},
	{Flag: "skip-contacted-within", Unit: "DAYS", Usage: "leave out contacts that any campaign contacted in this time: 7d",
		Section: SafetySection, Label: "Leave out people that any campaign contacted in the last days", Example: "0",
		kind: days(func(s *Settings) *int { return &s.SkipContactedDays }, MaxContactedDays)},
	{Flag: "keep-for", Unit: "DAYS", Usage: "purge personal data this long after the campaign is over: 30d (default: never)", Variable: "KEEP_FOR",
		kind: days(func(s *Settings) *int { return &s.KeepDays }, MaxKeepDays)},
	{Flag: "optout-when", Unit: "RULE", Usage: "put a contact on the do-not-contact list when the agent learns extraction.KEY=VALUE; may be repeated",
		Section: FollowSection, Label: "Contact nobody again of whom the agent learns", Hint: "one rule a line", Example: "extraction.wants_contact=no",
		kind: list(func(s *Settings) *[]Rule { return &s.OptOutWhen }, ParseOptOutRule)},
	{Flag: "no-stop-words", Usage: "an answer such as STOP puts nobody on the do-not-contact list",
		Section: FollowSection, Label: "An answer such as STOP is no wish not to be contacted",
		kind: onOff(func(s *Settings) *bool { return &s.NoStopWords })},
	{Flag: "no-record", Usage: "keep this campaign out of the contact record, so that --skip-contacted-within of others does not see it",
		Section: MoreSection, Label: "Do not tell other campaigns who was contacted",
		kind: onOff(func(s *Settings) *bool { return &s.Unrecorded })},
	{Flag: "no-history", Usage: "do not keep what was said in the conversations, only what the agent learned",
		Section: MoreSection, Label: "Do not keep what was said",
		kind: onOff(func(s *Settings) *bool { return &s.NoHistory })},
	{Flag: "canary", Unit: "CONTACTS", Usage: "send this many contacts first, then wait for 'campaign start'",
		Section: SafetySection, Label: "Try out with the first contacts", Hint: "the others wait until you press Start", Example: "50",
		kind: optional(func(s *Settings) *int { return &s.Canary }, 1, 0)},
	{Flag: "canary-go-on", Unit: "SHARE", Usage: "go on without 'campaign start' unless more than this share of the canary, such as 5%, is rejected, failed or unconfirmed",
		kind: anyDigits(value(func(s *Settings) **Share { return &s.CanaryGoOn }, unlessZero((*Share).String), parseMaybeShare))},
	{Flag: "max-failure-share", Unit: "SHARE", At: Anytime,
		Usage:   "pause when more than this share, such as 20%, of the latest 200 contacts (50 at least) were rejected, failed or unconfirmed; 0%: never",
		Section: SafetySection, Label: "Pause when more fail than", Hint: "of the latest contacts; never when empty", Example: "20%",
		kind: guard(func(s *Settings) *Share { return &s.MaxFailureShare })},
	{Flag: "max-optout-share", Unit: "SHARE", At: Anytime,
		Usage:   "pause when more than this share, such as 2%, of the latest 1,000 contacts (100 at least) asked not to be contacted again; 0%: never",
		Section: SafetySection, Label: "Pause when more opt out than", Hint: "of the latest contacts; never when empty", Example: "2%",
		kind: guard(func(s *Settings) *Share { return &s.MaxOptOutShare })},
	{Flag: "min-answer-share", Unit: "SHARE", At: Anytime,
		Usage:   "pause when less than this share, such as 10%, of the latest 1,000 contacts (100 at least) answered within an hour, or before all their conversations had ended; 0%: never",
		Section: SafetySection, Label: "Pause when fewer answer than", Hint: "of the latest contacts whose hour to answer is over; never when empty", Example: "10%",
		kind: guard(func(s *Settings) *Share { return &s.MinAnswerShare })},
	{Flag: "max-silence", Unit: "DURATION", At: Anytime,
		Usage:   "pause when contacts are accepted, and no event of any of them has come for this long, such as 30m; 0: never",
		Section: SafetySection, Label: "Pause after a silence of", Hint: "contacts are accepted, and the platform tells nothing of them; never when empty", Example: "30m",
		kind: silence(func(s *Settings) *time.Duration { return &s.MaxSilence })},
	{Flag: "daily-cap", Unit: "CONTACTS", Usage: "most contacts to begin with on one day by --timezone, or UTC; the others wait for the next; 0: any number", At: Anytime,
		Section: SafetySection, Label: "Most contacts a day", Example: "any number",
		kind: optional(func(s *Settings) *int { return &s.DailyCap }, 0, 0)},
	{Flag: "ticket-when", Unit: "RULE", Usage: "make a ticket in the Support Center for each contact with state=STATE or extraction.KEY=VALUE; may be repeated",
		Section: FollowSection, Label: "Make a ticket for contacts with", Hint: "one rule a line", Example: "extraction.wants_call=yes",
		kind: list(func(s *Settings) *[]Rule { return &s.TicketRules }, ParseTicketRule)},
	{Flag: "ticket-set", Unit: "KEY=VALUE", Usage: "a field of every ticket; may be repeated", With: "ticket-when",
		kind: fields(func(s *Settings) *map[string]string { return &s.TicketFields })},
	// A campaign in which every contact fails must not fill the Support Center.
	{Flag: "max-tickets", Unit: "TICKETS", Usage: "most tickets of this campaign", Default: "1000", With: "ticket-when",
		kind: optional(func(s *Settings) *int { return &s.MaxTickets }, 1, 0)},
	{Flag: "ticket-replies", Usage: "pass on what a contact says after its ticket was made, and read the ticket's conversation back", With: "ticket-when", At: Anytime,
		kind: onOff(func(s *Settings) *bool { return &s.TicketReplies })},
	{Flag: "days", Unit: "DAYS", Usage: "contact people only on these days, such as sun-thu, sat-wed or mon,wed", At: Anytime,
		Section: WhenSection, Label: "Days", Example: "sun-thu", kind: kind{set: setDays}},
	{Flag: "hours", Unit: "FROM-TO", Usage: "contact people only at these times: 09:00-13:00,16:00-21:00, over midnight 21:00-02:00, or by day \"sun-thu 09:00-21:00; fri 16:00-21:00\"", At: Anytime,
		Name: "--hours, --days or --timezone", Section: WhenSection, Label: "Hours", Example: "09:00-13:00,16:00-21:00", kind: anyDigits(kind{text: hoursText, set: setHours})},
	{Flag: "timezone", Unit: "ZONE", Usage: "by whose clock: one zone such as Asia/Riyadh, or contact: each contact's own, by the number", At: Anytime,
		Section: WhenSection, Label: "By whose clock", Example: "Asia/Riyadh, or contact", kind: kind{set: word(func(s *Settings) *string { return &s.Hours.Zone }).set}},
	{Flag: "no-zone-hours", Unit: "HOURS@ZONE", Usage: "with --timezone contact, for numbers that tell no zone: 09:00-21:00@Asia/Riyadh; none, as without it: they are held", At: Anytime,
		Section: WhenSection, Label: "Hours of numbers that tell no time zone", Hint: "and by whose clock; such contacts are held when empty", Example: "09:00-21:00@Asia/Riyadh",
		kind: anyDigits(toldBeside(value(func(s *Settings) *hours.Zoned { return &s.Hours.NoZone }, hours.Zoned.String, parseNoZone)))},
	{Flag: "except", Unit: "DATES=HOURS", At: Anytime,
		Usage:   "other hours on these dates: 2027-02-08..2027-03-08=21:00-01:00, or =closed; may be repeated; none: no such dates",
		Section: WhenSection, Label: "Dates with other hours", Example: "2027-02-08..2027-03-08=21:00-01:00; 2027-03-09..2027-03-12=closed",
		kind: anyDigits(dates(func(s *Settings) *[]hours.Dates { return &s.Hours.Except }))},
	{Flag: "calendar", Unit: "FILE", Usage: "contact nobody during the events of this iCalendar file (.ics); none: no calendar", At: Anytime,
		Section: WhenSection, Label: "Calendar",
		kind: calendar(func(s *Settings) *[]hours.Dates { return &s.Hours.Closed })},
	{Flag: "rules", Unit: "COUNTRY", Usage: "hours, days and attempts of ae, sa or us; 'enqueue rules' shows them. No legal advice",
		Section: WhenSection, Label: "Rules of a country", Hint: "they narrow the days and hours, and say how often a person may be contacted. A beginning, and no legal advice",
		kind: kind{text: func(s *Settings) string { return s.Rules }, set: setRules}},
	{Flag: "start-at", Unit: "TIME", Usage: "contact nobody before: 2026-11-27T09:00:00+03:00, or \"2026-11-27 09:00\" with --timezone",
		Section: WhenSection, Label: "Not before", Example: "2026-11-27 09:00", kind: moment(func(s *Settings) *time.Time { return &s.StartAt })},
	{Flag: "max-lateness", Unit: "DURATION", Default: "1h0m0s", With: "start-at", Quiet: true,
		Usage: "a campaign that could not start within this time, because nothing was running, waits for 'campaign start'",
		kind:  anyDigits(value(func(s *Settings) *time.Duration { return &s.MaxLateness }, time.Duration.String, parseDuration))},
	{Flag: "finish-by", Unit: "TIME", Usage: "cancel contacts that were not sent by then; a time as for --start-at",
		Section: WhenSection, Label: "Not after", Hint: "contacts that were not sent by then are canceled", Example: "2026-11-30 21:00",
		kind: moment(func(s *Settings) *time.Time { return &s.FinishBy })},
	{Flag: "region", Unit: "COUNTRY", Usage: "country of numbers without a country code, such as SA", Variable: "VELENTS_REGION", Quiet: true,
		Section: ListSection, Label: "Country", Hint: "of numbers without a country code", Example: "SA",
		kind: value(func(s *Settings) *string { return &s.Region }, strings.ToUpper, func(text string) (string, error) { return strings.ToUpper(text), nil })},
	{Flag: "phone-column", Unit: "COLUMN", Quiet: true,
		Usage:   "column with the numbers (default: found by its name); may be repeated, in order of preference: the first that has a number counts",
		Section: ListSection, Label: "Column of numbers", Hint: "found by its name when empty",
		kind: list(func(s *Settings) *[]string { return &s.Reading.PhoneColumns }, plain)},
	{Flag: "country-column", Unit: "COLUMN", Usage: "column with the countries of the numbers, or none (default: found where it is certain)",
		Section: ListSection, Label: "Column of countries", Hint: "beside the numbers, or none; found by its name when empty",
		kind: word(func(s *Settings) *string { return &s.Reading.CountryColumn })},
	{Flag: "country-code-column", Unit: "COLUMN", Usage: "column with the calling codes of the numbers, or none (default: found where it is certain)",
		Section: ListSection, Label: "Column of country codes", Hint: "beside the numbers, or none; found by its name when empty",
		kind: word(func(s *Settings) *string { return &s.Reading.CountryCodeColumn })},
	{Flag: "strict-numbers", Usage: "refuse doubtful numbers: in no known range, or of a country that was guessed",
		Section: ListSection, Label: "Refuse doubtful numbers",
		kind: onOff(func(s *Settings) *bool { return &s.Reading.StrictNumbers })},
	{Flag: "two-numbers", Unit: "refuse|first", Usage: "what to do with two numbers in one cell: refuse the line, or take the first", Default: "refuse",
		Section: ListSection, Label: "Two numbers in a cell", Hint: "refuse the line, or take the first number",
		kind: choice(func(s *Settings) *takeFirst { return (*takeFirst)(&s.Reading.FirstOfTwo) }, false, true)},
}

// LaunchSettings are those that can be said at a launch, in the order of the table;
// with flags, only those named.
func LaunchSettings(flags ...string) []Setting { return pick(AtLaunch, flags) }

// RunningSettings are those that can be changed while a campaign runs.
func RunningSettings(flags ...string) []Setting { return pick(Later, flags) }

func pick(at Occasion, flags []string) (picked []Setting) {
	for _, setting := range table {
		if (setting.At == at || setting.At == Anytime) && (len(flags) == 0 || slices.Contains(flags, setting.Flag)) {
			picked = append(picked, setting)
		}
	}
	return picked
}

// check finds a value that makes no sense.
func (s Setting) check(of *Settings) error {
	if s.valid == nil {
		return nil
	}
	if err := s.valid(of); err != nil {
		return fmt.Errorf("%s %w", cmp.Or(s.Name, strings.ReplaceAll(s.Flag, "-", " ")), err)
	}
	return nil
}

// Try tells whether a setting takes these texts, as far as that does not depend on
// other settings.
func (s Setting) Try(texts ...string) error {
	return s.set(&Settings{When: When{Hours: hours.Schedule{Zone: "UTC"}}}, texts)
}

// Texts are what a setting was given in settings, as Apply reads it; none: nothing is set.
func (s Setting) Texts(of Settings) []string {
	switch {
	case s.items != nil:
		return s.items(&of)
	case s.text == nil || s.text(&of) == "":
		return nil
	}
	return []string{s.text(&of)}
}

// Given is what people have said of settings: texts by flag.
type Given map[string][]string

// A SettingError says which setting was given a value that makes no sense.
type SettingError struct {
	Flag string
	Err  error
}

func (e *SettingError) Error() string { return fmt.Sprintf("--%s: %v", e.Flag, e.Err) }
func (e *SettingError) Unwrap() error { return e.Err }

// coded is a mistake of package hours as a Fault. Others stay.
func coded(err error) error {
	m, is := err.(*hours.Mistake) // others lose the words around it
	if !is {
		return err
	}
	switch m.Kind {
	case hours.WantHours:
		return Faulty(MsgWantHours, "text", m.Text)
	case hours.WantDays:
		return Faulty(MsgWantDays, "text", m.Text)
	case hours.WantDate:
		return Faulty(MsgWantDate, "text", m.Text)
	case hours.WantMoment:
		return Faulty(MsgWantMoment, "text", m.Text)
	case hours.WantOffset:
		return Faulty(MsgWantOffset, "text", m.Text)
	case hours.WantOpen:
		return Faulty(MsgWantOpen, "text", m.Text)
	case hours.WantOrder:
		return Faulty(MsgWantOrder, "text", m.Text)
	case hours.WantShown:
		return Faulty(MsgWantShown, "text", m.Text)
	case hours.WantOnce:
		return Faulty(MsgWantOnce, "text", m.Text)
	case hours.WantZoned:
		return Faulty(MsgWantZoned, "text", m.Text)
	case hours.WantContact:
		return Faulty(MsgWantContact)
	case hours.WantTimes:
		return Faulty(MsgWantTimes, "text", m.Text)
	}
	return Faulty(MsgWantZone, "text", m.Text)
}

// HoursWarnings say what is easily missed about hours.
func HoursWarnings(s hours.Schedule) (list []Message) {
	for _, w := range s.Warnings() {
		switch w.Kind {
		case hours.DatesUnsure:
			if w.More > 0 {
				list = append(list, Say(MsgDatesUnsureMore, "dates", w.Text, "more", w.More))
				continue
			}
			list = append(list, Say(MsgDatesUnsure, "dates", w.Text))
		case hours.DatesOpen:
			list = append(list, Say(MsgDatesOpen, "dates", w.Text, "days", w.Days))
		case hours.ZoneBehind:
			list = append(list, Say(MsgZoneBehind, "zone", w.Text, "hours", w.Hours))
		case hours.ZoneAhead:
			list = append(list, Say(MsgZoneAhead, "zone", w.Text, "hours", w.Hours))
		case hours.ZoneFixed:
			list = append(list, Say(MsgZoneFixed, "zone", w.Text))
		}
	}
	return list
}

// Apply puts into s what was given of the settings named. The others stay.
func (s *Settings) Apply(settings []Setting, given Given) error {
	if given["hours"] != nil && given["days"] != nil {
		if nameDays(given["hours"]) {
			return &SettingError{"days", errors.New("--hours names the days already")}
		}
		s.Hours.Week = hours.Week{} // together they replace it
	}
	for _, setting := range settings {
		if texts := given[setting.Flag]; len(texts) > 0 {
			if err := setting.set(s, texts); err != nil {
				return &SettingError{setting.Flag, coded(err)}
			}
		}
	}
	if s.RowsPerRequest == s.ChunkSize && s.Mode == Batch {
		s.RowsPerRequest = 0 // a whole chunk
	}
	return s.keepRules(given)
}

// NewSettings are the settings of a launch: what was given, and the defaults of the
// rest.
func NewSettings(given Given) (s Settings, err error) {
	all := make(Given)
	for _, setting := range LaunchSettings() {
		texts, alone := given[setting.Flag], setting.With != "" && len(given[setting.With]) == 0
		switch {
		case alone && len(texts) > 0:
			return s, &SettingError{setting.Flag, fmt.Errorf("it needs --%s", setting.With)}
		case len(texts) > 0:
			all[setting.Flag] = texts
		case !alone && setting.Default != "":
			all[setting.Flag] = []string{setting.Default}
		}
	}
	return s, s.Apply(LaunchSettings(), all)
}

func parseMaybeShare(text string) (*Share, error) {
	share, err := ParseShare(text)
	return &share, err
}

// takeFirst is what to do with two numbers in a cell.
type takeFirst bool

func (t takeFirst) String() string {
	if t {
		return "first"
	}
	return "refuse"
}

// A Difference is a setting in which two campaigns differ, by the flag that sets
// it, as people read it.
type Difference struct {
	Flag  string `json:"setting"`
	Have  string `json:"from"`
	Other string `json:"to"`
}

// Differences are the settings in which s differs from another. What comes from the
// contact file is not compared.
func (s Settings) Differences(other Settings) []Difference { return s.differences(other, true) }

// InForce are the settings that were chosen for the campaign, except those that are
// shown elsewhere; "from" is what holds without them.
func (s Settings) InForce() []Difference { return Settings{}.differences(s, false) }

func (s Settings) differences(other Settings, quiet bool) (all []Difference) {
	for _, setting := range table {
		if setting.text == nil || setting.Quiet && !quiet {
			continue
		}
		if have, want := setting.text(&s), setting.text(&other); have != want {
			all = append(all, Difference{cmp.Or(setting.Name, "--"+setting.Flag), cmp.Or(have, "none"), cmp.Or(want, "none")})
		}
	}
	return all
}
