package contacts

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaign-runner/campaign"
)

// A kind is what a file may be that is no contact list, and what to do about it.
type kind struct{ is, do string }

func (k kind) Error() string { return fmt.Sprintf("this is %s: %s", k.is, k.do) }

const saveAsCSV = `save it as "CSV UTF-8"`

// looksLike tells what a file is by its first bytes; nil when it may be a list.
func looksLike(head []byte) error {
	for _, k := range []struct{ magic, is, do string }{
		{"PK\x03\x04", "an Excel workbook or another zip archive", saveAsCSV},
		{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls), or one with a password", saveAsCSV},
		{"\x1f\x8b", "a gzip archive", "unpack it first"},
		{"BZh", "a bzip2 archive", "unpack it first"},
		{"\xfd7zXZ\x00", "an xz archive", "unpack it first"},
		{"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"},
		{"Rar!", "a RAR archive", "unpack it first"},
		{"7z\xbc\xaf", "a 7z archive", "unpack it first"},
		{"%PDF", "a PDF document", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"{\\rtf", "a rich text document", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"\x89PNG", "a picture", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"\xff\xd8\xff", "a picture", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"GIF8", "a picture", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"II*\x00", "a picture", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"MM\x00*", "a picture", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""},
		{"SQLite format 3\x00", "a database", "export the table as \"CSV UTF-8\""},
		{"PAR1", "a Parquet file", "export it as \"CSV UTF-8\""},
		{"\xff\xfe\x00\x00", "text in UTF-32", saveAsCSV},
		{"\x00\x00\xfe\xff", "text in UTF-32", saveAsCSV},
	} {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return kind{k.is, k.do}
		}
	}
	if isRIFF := bytes.HasPrefix(head, []byte("RIFF")) && len(head) > 12 && bytes.Equal(head[8:12], []byte("WEBP")); isRIFF || len(head) > 12 && bytes.Equal(head[4:8], []byte("ftyp")) {
		return kind{"a picture or a film", "give the list itself, as an .xlsx workbook or \"CSV UTF-8\""}
	}
	if isLockFile(head) {
		return errLockFile
	}
	return looksLikeText(strings.TrimSpace(strings.TrimPrefix(string(head[:min(len(head), 2048)]), bom)))
}

// lockBytes is the length of the file in which Office notes who has a workbook open.
const lockBytes = 165

var errLockFile = kind{"the lock file of a workbook that somebody has open", "give the workbook itself, whose name is the same without ~$"}

func isLockFile(file []byte) bool {
	if len(file) != lockBytes || file[0] == 0 || file[0] > 54 {
		return false
	}
	name := int(file[0])
	return len(bytes.Trim(file[1+name:55], " \x00")) == 0 && file[55] == file[0]
}

// IsLockName reports whether a file of that name says who has a document open, and
// holds nothing of it.
func IsLockName(name string) bool {
	return strings.HasPrefix(name, "~$") || strings.HasPrefix(name, ".~lock.")
}

// ErrLockFile is what to do about a file that IsLockName.
var ErrLockFile error = errLockFile

var (
	jsonStart  = regexp.MustCompile(`^(?:\{\s*(?:"|\})|\[\s*(?:[{\[\]"]|-?\d))`)
	sylkStart  = regexp.MustCompile(`^ID;P[^\r\n]*\r?\n[A-Z]{1,3};[A-Z]`)
	difStart   = regexp.MustCompile(`^(?i:TABLE)\r?\n0,1\r?\n`)
	vcardStart = regexp.MustCompile(`^(?i:BEGIN:VCARD)\b`)
	icalStart  = regexp.MustCompile(`^(?i:BEGIN:VCALENDAR)\b`)
	ldifStart  = regexp.MustCompile(`^(?i:version: 1\s+)?dn: ?[^\r\n,;]+=`)
	mailStart  = regexp.MustCompile(`^(?i:MIME-Version|Return-Path|Received|Message-ID): `)
	pageStart  = regexp.MustCompile(`^(?i:<!doctype|<html|<table|<head|<body|<meta|<style|<div)`)
)

// looksLikeText tells what a text is by its beginning.
func looksLikeText(text string) error {
	for _, k := range []struct {
		start  *regexp.Regexp
		is, do string
	}{
		{vcardStart, "a file of vCards", "open it in an address book, or import it in Google Contacts, and export the contacts as CSV"},
		{icalStart, "a calendar", "give a list of contacts, as an .xlsx workbook or \"CSV UTF-8\""},
		{jsonStart, "JSON", "export the list as \"CSV UTF-8\", with a line for each contact"},
		{sylkStart, "a SYLK file (.slk)", "open it in a spreadsheet and save it as .xlsx or \"CSV UTF-8\""},
		{difStart, "a DIF file", "open it in a spreadsheet and save it as .xlsx or \"CSV UTF-8\""},
		{ldifStart, "an LDIF file", "export the contacts as \"CSV UTF-8\""},
		{mailStart, "an e-mail or a saved web page (.mht)", "save the list itself as \"CSV UTF-8\""},
		{pageStart, "a web page or XML, whatever its name says", "open it in a spreadsheet and " + saveAsCSV},
	} {
		if k.start.MatchString(text) {
			return kind{k.is, k.do}
		}
	}
	if strings.HasPrefix(strings.ToLower(text), "<?xml") {
		return kind{"a web page or XML, whatever its name says", "open it in a spreadsheet and " + saveAsCSV}
	}
	return nil
}

// notUTF8 tells what text or data is that cannot be UTF-8.
func notUTF8(head []byte) error {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), utf16Of(head[:len(head)&^1]) != "":
		return kind{"text in UTF-16", saveAsCSV}
	case isBinary(head):
		return kind{"a binary file", saveAsCSV}
	}
	return nil
}

// isBinary reports whether there are more bytes that no text has than a slip explains:
// one in a cell costs its line, not the file.
func isBinary(head []byte) bool {
	control := 0
	for _, b := range head {
		if isControl(b) {
			control++
		}
	}
	return tooMuchControl(control, len(head))
}

func isControl(b byte) bool {
	return b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != '\v' && b != 0x1a
}

func tooMuchControl(control, bytes int) bool { return control > 1+bytes/50 }

// phoneNames match the names of columns of phone numbers, folded, without spaces and
// the digits at their end. What the words mean together is what counts: a phone, its
// number, whose it is.
var phoneNames = regexp.MustCompile(`^(?:` + numberWords + `|` + ownerWords + `)*(?:` + phoneWords + `)(?:` + phoneWords + `|` + numberWords + `|` + ownerWords + `)*$`)

const (
	phoneWords = `phone|mobile|mob|cell|cellular|handphone|smartphone|msisdn|whatsapp|whats|wa|tel|telephone|telefon|telefono|telefone|telefoon|telefonu|gsm|e164|` +
		`mobil|mobiltelefon|handy|portable|movil|celular|fone|cep|ceptelefonu|rufnummer|contact(?:number|num|no|nr)s?|phn|ph|` +
		`(?:ال)?(?:هاتف|هواتف|جوال|جوالات|موبايل|موبيل|محمول|نقال|متحرك|واتساب|واتس|واتسب|تلفون|تليفون|تلفونات|خلوي|خليوي|جهازاتصال)|(?:رقم|ارقام)(?:ال|لل)?(?:تواصل|اتصال)`
	numberWords = `number|numbers|numero|numara|numarasi|nummer|num|nr|no|nos|nbr|n|de|du|del|value|s|` +
		`(?:ال|لل)?(?:رقم|ارقام|نمره)`
	ownerWords = `contact|customer|client|member|lead|guest|student|patient|employee|buyer|user|subscriber|donor|primary|main|personal|private|default|` +
		`billing|valid|full|my|your|the|recommended|required|mandatory|optional|withcountrycode|withcode|countrycodeincluded|intl|international|kunde|kunden|client|cliente|` +
		`(?:ال|لل)?(?:عميل|عملاء|زبون|زبائن|شخصي|اساسي|رئيسي|خاص|مستخدم|طالب|موظف|مشترك|متبرع|ضيف|مريض|به|بالعميل)`
)

// numberNames are names that columns of phone numbers have, and others too: their cells
// must be phone numbers.
var numberNames = regexp.MustCompile(`^(?:number|numbers|to|recipients?|destination|contact|(?:ال)?(?:رقم|ارقام))$`)

// columnKey is a header name without what people write differently, as one word.
func columnKey(name string) string { return campaign.ColumnKey(name) }

// nameKey is a columnKey without a number at its end.
func nameKey(name string) string { return strings.TrimRightFunc(columnKey(name), unicode.IsDigit) }

// isPhoneName reports whether a column of that name holds phone numbers. Between two
// words of the name there may be a number: Phone 1 - Value.
func isPhoneName(name string) bool {
	key := nameKey(name)
	if phoneNames.MatchString(key) || key == "e" && columnKey(name) == "e164" {
		return true
	}
	return phoneNames.MatchString(strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, key))
}

// findPhoneColumns are the columns with the numbers, in order of preference: those
// asked for, or else the only one with a common name. remark is what to tell of it.
// fits tells whether the cells of a column are phone numbers.
func findPhoneColumns(columns, asked []string, fits func(column int) bool) (found []int, remark string, err error) {
	for _, name := range asked {
		if trimName(name) == "" {
			continue
		}
		i, err := columnNamed(columns, name)
		if err != nil {
			return nil, "", err
		}
		if slices.Contains(found, i) {
			return nil, "", fmt.Errorf("--phone-column %s: it is named twice", quoteFlag(columns[i]))
		}
		found = append(found, i)
	}
	if len(found) > 0 {
		return found, "", nil
	}
	for i, name := range columns {
		if isPhoneName(name) {
			found = append(found, i)
		}
	}
	if len(found) > 1 {
		if first, ok := theFirst(columns, found); ok {
			var flags, others []string
			for _, i := range first {
				flags = append(flags, "--phone-column "+quoteFlag(columns[i]))
				others = append(others, fmt.Sprintf("%q", shown(columns[i])))
			}
			return first[:1], fmt.Sprintf("the numbers are those of column %s; not read: %s; to use them where it has none: %s",
				others[0], strings.Join(others[1:], ", "), strings.Join(flags, " ")), nil
		}
	}
	if len(found) == 0 {
		for i, name := range columns {
			if numberNames.MatchString(nameKey(name)) && fits(i) {
				found = append(found, i)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found, "", nil
	case len(found) > 1:
		return nil, "", fmt.Errorf("more than one column may hold the phone numbers: %s: choose one with --phone-column, or give several in order of preference; equal columns need different names", listColumns(columns, found))
	case slices.ContainsFunc(columns, isNumberLike):
		return nil, "", errNumberHeader
	}
	for i := range columns {
		if fits(i) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return nil, "", fmt.Errorf("no phone column: the columns are %s: choose one with --phone-column", quoteNames(columns))
	case len(found) == 1 && columns[found[0]] == "":
		return nil, "", fmt.Errorf("no phone column found; column %d looks like phone numbers, but has no name: give it one, such as phone", found[0]+1)
	case len(found) == 1:
		return nil, "", fmt.Errorf("no phone column found; column %d %q looks like phone numbers: --phone-column %s", found[0]+1, shown(columns[found[0]]), quoteFlag(columns[found[0]]))
	}
	return nil, "", fmt.Errorf("no phone column found; several look like phone numbers: %s: choose with --phone-column", listColumns(columns, found))
}

// errNumberHeader says that the header is none. To list the columns would be to show a
// number.
var errNumberHeader = errors.New("a number stands where the names of the columns should be")

// theFirst sorts columns whose names differ in a number only by that number: Mobile 1
// before Mobile 2.
func theFirst(columns []string, found []int) (sorted []int, ok bool) {
	stem := func(i int) (string, int) {
		number := 0
		name := strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				number = number*10 + int(unicode.ToLower(r)&0xf)
				return -1
			}
			return r
		}, columnKey(columns[i]))
		return name, number
	}
	first, _ := stem(found[0])
	sorted = slices.Clone(found)
	slices.SortStableFunc(sorted, func(a, b int) int {
		_, x := stem(a)
		_, y := stem(b)
		return cmp.Compare(x, y)
	})
	for k, i := range sorted {
		name, number := stem(i)
		if name != first {
			return nil, false
		}
		if k > 0 {
			if _, before := stem(sorted[k-1]); before == number {
				return nil, false
			}
		}
	}
	return sorted, true
}

// columnNamed is the one column of a name that was asked for: spelled so, or else so
// but for what people write differently.
func columnNamed(columns []string, asked string) (int, error) {
	asked = trimName(asked)
	matches := func(name string) bool { return name == asked }
	if !slices.ContainsFunc(columns, matches) {
		matches = func(name string) bool { return name != "" && columnKey(name) == columnKey(asked) }
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
		return 0, fmt.Errorf("more than one column is named so: %s: give equal columns different names", listColumns(columns, found))
	case slices.ContainsFunc(columns, isNumberLike):
		return 0, errNumberHeader
	}
	return 0, fmt.Errorf("no column %q: the columns are %s", asked, quoteNames(columns))
}

func listColumns(columns []string, which []int) string {
	var names []string
	for _, i := range which {
		names = append(names, fmt.Sprintf("%q (column %d)", shown(columns[i]), i+1))
	}
	return strings.Join(names, ", ")
}

// shown is a column's name for an error, in which no phone number may stand.
func shown(name string) string { return longDigits.ReplaceAllString(name, "…") }

var longDigits = regexp.MustCompile(`(?:\p{Nd}[\s\p{Z}\-().]*){6,}`)

// quoteFlag is a column's name as a shell takes it.
func quoteFlag(name string) string {
	name = shown(name)
	if strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
	}) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// quoteNames lists column names for an error, as many as a person reads.
func quoteNames(columns []string) string {
	const most = 30
	var names []string
	for _, name := range columns[:min(len(columns), most)] {
		names = append(names, fmt.Sprintf("%q", shown(name)))
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
	return nil
}

// checkSpread finds a list of which every line stands in one cell, and cells that are
// not quoted because a space stands before their quotes.
func checkSpread(columns []string, sample [][]string, comma rune) error {
	var name string
	for _, column := range columns {
		if column != "" && name != "" {
			name = ""
			break
		}
		name += column
	}
	for _, sep := range []struct {
		r    rune
		name string
	}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}, {',', "commas"}} {
		if !strings.ContainsRune(name, sep.r) {
			continue
		}
		alike := 0
		for _, row := range sample {
			if len(row) > 0 && strings.ContainsRune(row[0], sep.r) {
				alike++
			}
		}
		if 2*alike >= len(sample) && (alike > 0 || sep.r != comma) {
			return fmt.Errorf("the whole list stands in one column, separated by %s: split it in a spreadsheet (Data, Text to Columns), or save it as \"CSV UTF-8\" with commas (it was read with %q)", sep.name, comma)
		}
	}
	spaced := func(cell string) bool {
		cell = strings.TrimRight(cell, " ")
		return strings.HasPrefix(cell, " ") && len(strings.TrimLeft(cell, " ")) > 1 && strings.HasPrefix(strings.TrimLeft(cell, " "), `"`)
	}
	rows := 0
	for _, row := range sample {
		if slices.ContainsFunc(row, spaced) {
			rows++
		}
	}
	if slices.ContainsFunc(columns, func(name string) bool { return len(name) > 1 && name[0] == '"' && strings.HasSuffix(name, `"`) }) || rows > 0 && 2*rows >= len(sample) {
		return errors.New(`a space stands before the quotes of cells, which are therefore no quotes: take the spaces out (replace ', "' by ',"'), or save it as "CSV UTF-8" in a spreadsheet`)
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
	if !utf8.ValidString(text) {
		return errors.New("not in UTF-8: save the file as \"CSV UTF-8\"")
	}
	return nil
}
