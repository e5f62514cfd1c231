package hours

import "time"

// A Place is a country, or a part of one, with its clock and the week that is usual there.
type Place struct {
	Name  string       // of the country in two letters of ISO 3166; of a part of it, as ISO 3166-2 has it
	Zone  string       // of its clock
	First time.Weekday // with which its calendars begin a week
	Work  string       // when people mostly work, as ParseWeek reads it
}

// Working hours of offices. Nobody is bound by them: they are proposed.
const (
	fromSunday    = "sun-thu 09:00-17:00"
	fromMonday    = "mon-fri 09:00-17:00"
	shortFriday   = "mon-thu 09:00-17:00; fri 09:00-12:00"
	withoutFriday = "mon-thu 09:00-17:00"
)

// Places are those that campaigns are mostly for. First days and weekends are those of
// CLDR's week data; the Emirates have half of Friday off, and Sharjah all of it.
func Places() []Place {
	return []Place{
		{"sa", "Asia/Riyadh", time.Sunday, fromSunday},
		{"ae", "Asia/Dubai", time.Monday, shortFriday},
		{"ae-sh", "Asia/Dubai", time.Monday, withoutFriday},
		{"eg", "Africa/Cairo", time.Saturday, fromSunday},
		{"kw", "Asia/Kuwait", time.Saturday, fromSunday},
		{"qa", "Asia/Qatar", time.Saturday, fromSunday},
		{"bh", "Asia/Bahrain", time.Saturday, fromSunday},
		{"om", "Asia/Muscat", time.Saturday, fromSunday},
		{"jo", "Asia/Amman", time.Saturday, fromSunday},
		{"iq", "Asia/Baghdad", time.Saturday, fromSunday},
		{"sy", "Asia/Damascus", time.Saturday, fromSunday},
		{"lb", "Asia/Beirut", time.Monday, fromMonday},
		{"ye", "Asia/Aden", time.Sunday, fromSunday},
		{"ly", "Africa/Tripoli", time.Saturday, fromSunday},
		{"sd", "Africa/Khartoum", time.Saturday, fromSunday},
		{"tn", "Africa/Tunis", time.Monday, fromMonday},
		{"dz", "Africa/Algiers", time.Saturday, fromSunday},
		{"ma", "Africa/Casablanca", time.Monday, fromMonday},
	}
}
