package campaign

// Seen is what the platform's answers to an agent have ever shown. It tells the
// platform's own answers from those of a proxy in front of it.
type Seen struct {
	RateHeaders bool // the headers of its rate limit
	Accepted    bool // a request with contacts was accepted
}

// Or is what either has seen.
func (s Seen) Or(other Seen) Seen {
	return Seen{s.RateHeaders || other.RateHeaders, s.Accepted || other.Accepted}
}
