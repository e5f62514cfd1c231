package campaign

// OtherSpelling is the second way to write the same mobile number, in the countries that
// have two; see Person. It reports false for all other numbers.
func (p Phone) OtherSpelling() (Phone, bool) {
	const (
		subscriber8 = 100_000_000
		national10  = 10_000_000_000
		national11  = 10 * national10
	)
	person := p.Person()
	if p != person {
		return person, true
	}
	switch {
	case p/national10 == 52:
		return 521*national10 + p%national10, true
	case p/national10 == 54:
		return 549*national10 + p%national10, true
	case p/national11 == 55 && p/subscriber8%10 == 9: // the ninth digit
		area, subscriber := p/(10*subscriber8)%100, p%subscriber8
		if old := 55*national10 + area*subscriber8 + subscriber; old.Person() == p {
			return old, true
		}
	}
	return 0, false
}
