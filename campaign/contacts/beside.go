package contacts

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"campaign-runner/campaign"
)

// A beside is a column with the country of the number beside it.
type beside struct {
	column int
	codes  bool // its cells are calling codes, with or without a plus
}

// findPlaces finds the columns with the countries of the numbers. It fails where that is
// not certain: a number read as of another country reaches a stranger.
func (c *Reader) findPlaces(opt Options, sample [][]string) error {
	codesAsked, err := c.askedPlace(opt, "--country-code-column", opt.CountryCodeColumn, true)
	if err != nil {
		return err
	}
	landsAsked, err := c.askedPlace(opt, "--country-column", opt.CountryColumn, false)
	if err != nil || len(c.places) > 0 {
		return err
	}
	for _, kind := range []placeKind{
		{names: codeNames, codes: true, own: true}, {names: landNames, own: true},
		{names: codeNames, codes: true}, {names: landNames}, {names: weakNames, codes: true, weak: true},
	} {
		if kind.codes && codesAsked || !kind.codes && landsAsked {
			continue
		}
		if done, err := c.placeNamed(kind, opt, sample); done || err != nil {
			return err
		}
	}
	if codesAsked || landsAsked {
		return nil
	}
	for i := range c.columns { // a calling code under any other name
		if c.isNoPhone(i) && c.mayBeCodes(sample, i, false) {
			return c.ask(beside{i, true}, campaign.Say(campaign.MsgPerhapsCodes))
		}
	}
	return nil
}

// askedPlace adds the column that a flag names. asked means that the flag decides, perhaps
// that there is no such column.
func (c *Reader) askedPlace(opt Options, flag, name string, codes bool) (asked bool, err error) {
	if name == "" || name == campaign.NoColumn {
		return name != "", nil
	}
	i, err := columnNamed(c.columns, name)
	switch {
	case err != nil && opt.CountryIfThere:
		return false, nil
	case err != nil:
		return true, fmt.Errorf("%s: %w", flag, err)
	}
	c.places = append(c.places, beside{i, codes})
	return true, nil
}

type placeKind struct {
	names *regexp.Regexp
	codes bool // of calling codes
	own   bool // named as the phone column is: Billing Country beside Billing Phone
	weak  bool
}

// placeNamed adds the column with a name of this kind, if there is one.
func (c *Reader) placeNamed(kind placeKind, opt Options, sample [][]string) (done bool, err error) {
	var found []int
	for i, name := range c.columns {
		if kind.own {
			name = c.besidePhone(name)
		}
		if kind.names.MatchString(nameKey(name)) && c.isNoPhone(i) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return false, nil
	case kind.weak && (len(found) > 1 || !mostPlus(sample, found[0])):
		if len(found) == 1 && c.mayBeCodes(sample, found[0], true) {
			return false, c.ask(beside{found[0], true}, campaign.Say(campaign.MsgPerhapsCodes))
		}
		return false, nil
	case len(found) > 1:
		return false, campaign.Faulty(campaign.MsgFileCountries, "columns", listColumns(c.columns, found[:2]))
	}
	in := beside{found[0], kind.codes}
	if why := c.uncertain(in, opt, sample); !why.IsZero() {
		return false, c.ask(in, why)
	}
	c.places = append(c.places, in)
	return true, nil
}

// ask refuses a file until a person says what a column means.
func (c *Reader) ask(in beside, why campaign.Message) error {
	name, flag := quoteFlag(c.columns[in.column]), "--country-column"
	if in.codes {
		flag = "--country-code-column"
	}
	return campaign.Faulty(campaign.MsgFileCountry, "column", in.column+1, "name", strconv.Quote(shown(c.columns[in.column])), "why", why, "flag", name, "option", flag)
}

// besidePhone removes the first words that a name shares with the name of the phone
// column: it makes Country of "Billing Country" beside "Billing Phone". It is empty if
// they share none.
func (c *Reader) besidePhone(name string) string {
	if len(c.phones) == 0 {
		return ""
	}
	phone, words := strings.Fields(campaign.Fold(c.columns[c.phones[0]])), strings.Fields(campaign.Fold(name))
	same := 0
	for same < min(len(phone), len(words)) && phone[same] == words[same] {
		same++
	}
	if same == 0 || !isPhoneName(strings.Join(phone[same:], " ")) {
		return ""
	}
	return strings.Join(words[same:], " ")
}

func (c *Reader) isNoPhone(column int) bool { return !slices.Contains(c.phones, column) }

// mostPlus reports whether nine in ten filled cells of a column are calling codes with a
// plus.
func mostPlus(sample [][]string, column int) bool {
	cells, codes := 0, 0
	for _, cell := range filled(sample, column) {
		cells++
		if where, ok := placeOf(cell, false); ok && strings.Contains(cell, where.country.code) {
			codes++
		}
	}
	return codes > 0 && codes*10 >= cells*9
}

// mayBeCodes reports whether all filled cells of a column may be calling codes that give
// some numbers another country. They must include that of the region, or all have a plus or
// 00: otherwise they are likely to be something else. named: so is the column.
func (c *Reader) mayBeCodes(sample [][]string, column int, named bool) bool {
	home, marked, matters := false, true, false
	for row, cell := range filled(sample, column) {
		where, ok := placeOf(cell, true)
		if !ok || !strings.ContainsFunc(cell, unicode.IsDigit) {
			return false
		}
		if _, ok := placeOf(cell, false); !ok {
			marked = false
		}
		if c.parser.home != nil && where.country.code == c.parser.home.code {
			home = named || len(where.country.code) > 2 // 20 may be somebody's age
			continue
		}
		number := cellOf(row, c.phones[0])
		r := c.parser.readAll(number)
		matters = matters || r.why == "" && c.parser.isLocal(number, r)
	}
	return matters && (home || marked)
}

// filled are the rows with something in a column, and what that is.
func filled(rows [][]string, column int) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		for _, row := range rows {
			if cell := cellOf(row, column); isFilled(cell) && !yield(row, cell) {
				return
			}
		}
	}
}

// uncertain returns why a column cannot be trusted to give the numbers' countries;
// empty if it can. Its cells must name countries, and the numbers must be such as
// people there have: a column of nationalities stands beside numbers of the country
// where these people live.
func (c *Reader) uncertain(in beside, opt Options, sample [][]string) (why campaign.Message) {
	var cells, named, fits, elsewhere, misfits int
	for row, cell := range filled(sample, in.column) {
		cells++
		where, ok := placeOf(cell, in.codes)
		if !ok {
			continue
		}
		named++
		for _, column := range c.phones {
			number := cellOf(row, column)
			if !isFilled(number) {
				continue
			}
			parser := &PhoneParser{where.country}
			r := parser.readAll(number)
			switch {
			case r.why == "" && !hasCode(r.phone, where.country.code):
				elsewhere++
			case where.area != "", r.why == "" && !parser.isLocal(number, r),
				r.why == "" && isKnown(r.phone) && !c.isRatherLocal(number, r.phone, in.codes):
				fits++
			case opt.Region == "": // nothing to compare the number with
				if r.why != "" && !in.codes {
					misfits++
				}
			default: // perhaps a number of the region
				if phone, guessed, why := c.parser.read(number); why == "" && !guessed && isKnown(phone) {
					misfits++
				}
			}
			break
		}
	}
	switch {
	case named*10 < cells*9:
		return campaign.Say(campaign.MsgFewCountries, "named", named, "cells", cells)
	case in.codes && misfits > fits:
		return campaign.Say(campaign.MsgOwnMisfits, "misfits", misfits, "numbers", misfits+fits)
	case !in.codes && opt.Region != "" && misfits*10 > misfits+fits, !in.codes && misfits > fits:
		return campaign.Say(campaign.MsgMisfits, "misfits", misfits, "numbers", misfits+fits)
	case !in.codes && elsewhere > fits && elsewhere >= 3:
		return campaign.Say(campaign.MsgOtherCountry, "misfits", elsewhere, "numbers", elsewhere+fits)
	}
	return why
}

func cellOf(row []string, column int) string {
	if column < len(row) {
		return row[column]
	}
	return ""
}

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
