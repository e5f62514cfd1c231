package contacts

import (
	"strconv"
	"strings"

	"campaign-runner/campaign"
)

// A placed is what a row says about its number's country.
type placed struct {
	place
	codes   bool // by a calling code
	named   bool // a cell names a country
	unclear bool // a cell names something else
}

// placeIn reads the cells of a row that give its number's country. seen caches cells.
func (c *Reader) placeIn(row []string, seen map[string]placed) (found placed) {
	for _, in := range c.places {
		cell := row[in.column]
		if !isFilled(cell) {
			continue
		}
		read, ok := seen[cell]
		if !ok {
			read.place, read.named = placeOf(cell, in.codes)
			read.codes, read.unclear = in.codes, !read.named
			if len(seen) < maxPlacesSeen {
				seen[strings.Clone(cell)] = read
			}
		}
		if read.named {
			return read
		}
		found = read
	}
	return found
}

const maxPlacesSeen = 1000

func (c *Reader) readPlaced(cell string, in placed) reading {
	switch {
	case !in.named && !in.unclear:
		r := c.parser.readAll(cell)
		if r.why == "" && r.doubt == "" && c.parser.isLocal(cell, r) {
			r.doubt = NoPlace
		}
		return r
	case !in.named:
		r := (&PhoneParser{}).readAll(cell)
		if r.why == NoCountryCode || r.doubt == GuessedCode {
			return reading{why: UnknownPlace}
		}
		return r
	}
	parser := &PhoneParser{in.country}
	r := parser.readAll(cell)
	if in.area != "" {
		r = withArea(parser, cell, in, r)
	}
	switch {
	case r.why != "":
		return r
	case !hasCode(r.phone, in.country.code):
		return reading{why: OtherCountry}
	case c.parser.home == nil || c.parser.home.code == in.country.code || !parser.isLocal(cell, r):
	case !isKnown(r.phone):
		// It is a number in use in the region, and not in the row's country.
		if phone, guessed, why := c.parser.read(cell); why == "" && !guessed && isKnown(phone) {
			return reading{why: OtherCountry}
		}
	case c.isRatherLocal(cell, r.phone, in.codes):
		return reading{why: OtherCountry}
	}
	return r
}

// isRatherLocal reports whether a number is a mobile number in the region and something
// else in the country beside it: 0501234567 beside Egypt may be a line in Mansoura, or
// an Egyptian's mobile phone in Saudi Arabia. A calling code beside it leaves no doubt.
func (c *Reader) isRatherLocal(cell string, as campaign.Phone, codes bool) bool {
	if codes || c.parser.home == nil || isMobile(as) {
		return false
	}
	phone, guessed, why := c.parser.read(cell)
	return why == "" && !guessed && phone != as && isMobile(phone)
}

func isMobile(phone campaign.Phone) bool {
	number := strconv.FormatUint(uint64(phone), 10)
	p, known := world().at(number)
	return known && p.ranges().mobile(number[len(p.code):])
}

// withArea puts the area beside the calling code before the number, unless the number
// has it already. It is unclear where both make a number, or neither.
func withArea(parser *PhoneParser, cell string, in placed, whole reading) reading {
	digits, plus, why := bare(nil, cell)
	if why != "" || plus {
		return whole
	}
	joined := parser.readAll("+" + in.country.code + in.area + string(digits))
	without, with := whole.why == "" && isKnown(whole.phone), joined.why == "" && isKnown(joined.phone)
	switch {
	case with && !without:
		return joined
	case without && !with:
		if !hasCode(whole.phone, in.country.code+in.area) {
			return reading{why: OtherCountry}
		}
		return whole
	}
	return reading{why: UnknownPlace}
}

func hasCode(phone campaign.Phone, code string) bool {
	var buf [20]byte
	return strings.HasPrefix(string(strconv.AppendUint(buf[:0], uint64(phone), 10)), code)
}

func isKnown(phone campaign.Phone) bool {
	_, known := world().at(strconv.FormatUint(uint64(phone), 10))
	return known
}
