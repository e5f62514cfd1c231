package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// looksLike names what a file is by its first bytes; empty when it may be text.
func looksLike(head []byte) string {
	for _, kind := range []struct{ magic, name string }{
		{"PK\x03\x04", "an Excel workbook or another zip archive"},
		{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls), or one with a password"},
		{"\x1f\x8b", "a gzip archive"},
		{"%PDF", "a PDF document"},
		{"{\\rtf", "a rich text document"},
		{"\x89PNG", "a picture"},
		{"\xff\xd8\xff", "a picture"},
		{"GIF8", "a picture"},
		{"Rar!", "a RAR archive"},
		{"7z\xbc\xaf", "a 7z archive"},
		{"SQLite format 3\x00", "a database"},
		{"\xff\xfe\x00\x00", "text in UTF-32"},
		{"\x00\x00\xfe\xff", "text in UTF-32"},
	} {
		if bytes.HasPrefix(head, []byte(kind.magic)) {
			return kind.name
		}
	}
	start := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head[:min(len(head), 512)], []byte(bom))))
	for _, tag := range []string{"<!doctype", "<html", "<table", "<?xml"} {
		if bytes.HasPrefix(start, []byte(tag)) {
			return "a web page or XML"
		}
	}
	return ""
}

// notUTF8 names what text or data is that cannot be UTF-8.
func notUTF8(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "text in UTF-16"
	case bytes.IndexByte(head[:min(len(head), 512)], 0) >= 0:
		return "a binary file"
	}
	return ""
}

// phoneNames are the names under which columns of phone numbers are found, as
// columnKey has them.
var phoneNames = []string{
	"phone", "phonenumber", "phoneno", "mobile", "mobilenumber", "mobileno", "mobilephone", "mobilephonenumber",
	"msisdn", "whatsapp", "whatsappnumber", "whatsappphone", "tel", "telno", "telephone", "telephonenumber",
	"cell", "cellnumber", "cellphone", "cellphonenumber", "contactnumber", "contactphone", "contactmobile",
	"customerphone", "customermobile", "customerphonenumber", "e164", "phone1value",
	"الجوال", "جوال", "رقمالجوال", "رقمجوال", "الهاتف", "هاتف", "رقمالهاتف", "رقمهاتف",
	"الموبايل", "موبايل", "رقمالموبايل", "المحمول", "رقمالمحمول", "الهاتفالمحمول", "رقمالهاتفالمحمول",
	"الهاتفالجوال", "رقمالهاتفالجوال", "واتساب", "الواتساب", "واتسأب", "رقمواتساب", "رقمالواتساب",
	"تلفون", "التلفون", "رقمالتلفون", "تليفون", "التليفون", "رقمالتليفون", "رقمالتواصل", "رقمالاتصال",
}

// columnKey is a header name without what people write differently: case,
// spaces, underscores, dashes, vowel marks and letters stretched to look well.
func columnKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) && r != 'ـ' || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// findPhoneColumn is the index of the column with the numbers: the one asked
// for, or else the only one with a common name.
func findPhoneColumn(columns []string, asked string) (int, error) {
	matches := func(name string) bool { return slices.Contains(phoneNames, columnKey(name)) }
	if asked = trimName(asked); asked != "" {
		matches = func(name string) bool { return name == asked }
		if !slices.ContainsFunc(columns, matches) {
			matches = func(name string) bool { return name != "" && columnKey(name) == columnKey(asked) }
		}
	}
	var found []int
	for i, name := range columns {
		if matches(name) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var names []string
		for _, i := range found {
			names = append(names, fmt.Sprintf("%q (column %d)", columns[i], i+1))
		}
		return 0, fmt.Errorf("more than one column may hold the phone numbers: %s: choose one with --phone-column, and give equal columns different names", strings.Join(names, ", "))
	case slices.ContainsFunc(columns, isNumberLike): // to list the columns would be to show a number
		return 0, errors.New("no phone column: line 1 holds a number where the names of the columns should be")
	case asked != "":
		return 0, fmt.Errorf("no column %q: the columns are %s", asked, quoteNames(columns))
	default:
		return 0, fmt.Errorf("no phone column: the columns are %s: choose one with --phone-column", quoteNames(columns))
	}
}

// quoteNames lists column names for an error, as many as a person reads.
func quoteNames(columns []string) string {
	const most = 30
	var names []string
	for _, name := range columns[:min(len(columns), most)] {
		names = append(names, fmt.Sprintf("%q", name))
	}
	if len(columns) > most {
		names = append(names, fmt.Sprintf("and %d more", len(columns)-most))
	}
	return strings.Join(names, ", ")
}

// SameName reports whether two names of columns or values differ in nothing but
// case and what cannot be seen around them.
func SameName(a, b string) bool { return strings.EqualFold(trimName(a), trimName(b)) }

// Nearest is the name most like the wanted one, for a suggestion; empty if none
// is: a spelling apart, or one within the other.
func Nearest(name string, among []string) string {
	best, least := "", 1000
	key := []rune(columnKey(name))
	for _, candidate := range among {
		other := []rune(columnKey(candidate))
		short := min(len(key), len(other))
		d := distance(key, other)
		if within := short >= 3 && (strings.Contains(string(key), string(other)) || strings.Contains(string(other), string(key))); within {
			d = min(d, 2)
		}
		if d < least && d <= max(short/3, 1) {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many letters must be changed, swapped with the next, added or
// left out.
func distance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for k := range d[i] {
			switch {
			case i == 0 || k == 0:
				d[i][k] = i + k
				continue
			case a[i-1] == b[k-1]:
				d[i][k] = d[i-1][k-1]
			default:
				d[i][k] = 1 + min(d[i-1][k-1], d[i-1][k], d[i][k-1])
			}
			if i > 1 && k > 1 && a[i-1] == b[k-2] && a[i-2] == b[k-1] {
				d[i][k] = min(d[i][k], 1+d[i-2][k-2])
			}
		}
	}
	return d[len(a)][len(b)]
}

// trimName trims what cannot be seen around a header name.
func trimName(name string) string {
	return strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

// checkHeader finds what makes a first line useless as a header. Its errors
// never show a cell that may be a number.
func checkHeader(columns []string, comma rune) error {
	switch {
	case len(columns) > maxColumns:
		return fmt.Errorf("more than %d columns", maxColumns)
	case !slices.ContainsFunc(columns, func(name string) bool { return name != "" }):
		return errors.New("empty: the first line must name the columns")
	case slices.ContainsFunc(columns, func(name string) bool { return strings.ContainsRune(name, '\r') }):
		return errors.New("the lines end in lone carriage returns: save the file as \"CSV UTF-8\"")
	}
	if len(columns) == 1 {
		for _, sep := range []struct {
			r    rune
			name string
		}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}, {',', "commas"}} {
			if sep.r != comma && strings.ContainsRune(columns[0], sep.r) {
				return fmt.Errorf("one column with %s in its name: the file is separated by %s and was read with %q: save it as \"CSV UTF-8\" with commas", sep.name, sep.name, comma)
			}
		}
	}
	return nil
}

// isNumberLike reports whether a cell is digits and punctuation only, as no
// column name is.
func isNumberLike(cell string) bool {
	digits := 0
	for _, r := range cell {
		if unicode.IsLetter(r) {
			return false
		}
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits >= 5
}

// checkText finds bytes that are no text in UTF-8.
func checkText(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("not in UTF-8: save the file as \"CSV UTF-8\"")
	case strings.IndexByte(text, 0) >= 0:
		return errors.New("a NUL byte: this is not a text file; save it as \"CSV UTF-8\"")
	}
	return nil
}
