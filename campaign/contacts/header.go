package contacts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// findPhoneColumns returns the columns with the numbers in order of preference: the ones
// asked for, or else the only one with a common name. fits reports whether the cells of a
// column are phone numbers. remark is what to tell people about the choice.
func findPhoneColumns(columns, asked []string, fits func(column int) bool) (found []int, remark string, err error) {
	for _, name := range asked {
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
	switch len(found) {
	case 0:
		return nil, "", noPhoneColumn(columns, fits)
	case 1:
		return found, "", nil
	}
	return nil, "", fmt.Errorf("more than one column may hold the phone numbers: %s: choose one with --phone-column, or give several in order of preference; equal columns need different names", listColumns(columns, found))
}

// noPhoneColumn says which column may be meant where no name is that of a phone column.
func noPhoneColumn(columns []string, fits func(column int) bool) error {
	if slices.ContainsFunc(columns, isNumberLike) {
		return errNumberHeader
	}
	var found []int
	for i := range columns {
		if fits(i) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("no phone column: the columns are %s: choose one with --phone-column", quoteNames(columns))
	case len(found) == 1 && columns[found[0]] == "":
		return fmt.Errorf("no phone column found; column %d looks like phone numbers, but has no name: give it one, such as phone", found[0]+1)
	case len(found) == 1:
		return fmt.Errorf("no phone column found; column %d %q looks like phone numbers: --phone-column %s", found[0]+1, shown(columns[found[0]]), quoteFlag(columns[found[0]]))
	}
	return fmt.Errorf("no phone column found; several look like phone numbers: %s: choose with --phone-column", listColumns(columns, found))
}

// errNumberHeader means that the file has no header. It does not list the columns,
// because one of them is a number.
var errNumberHeader = errors.New("a number stands where the names of the columns should be")

// checkHeader refuses a row that cannot be a header. Its errors never show a cell that
// may be a number.
func checkHeader(columns []string) error {
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

// checkSpread finds lists of which every line stands in one cell, and cells whose
// quotes follow a space and so are no quotes.
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
	rows := 0
	for _, row := range sample {
		opens := slices.IndexFunc(row, func(cell string) bool {
			bare := strings.Trim(cell, " ")
			return strings.HasPrefix(cell, " ") && len(bare) > 1 && bare[0] == '"'
		})
		if opens >= 0 && slices.ContainsFunc(row[opens:], func(cell string) bool { return strings.HasSuffix(strings.TrimRight(cell, " "), `"`) }) {
			rows++
		}
	}
	if slices.ContainsFunc(columns, func(name string) bool { return len(name) > 1 && name[0] == '"' && strings.HasSuffix(name, `"`) }) || rows > 0 && 2*rows >= len(sample) {
		return errors.New(`a space stands before the quotes of cells, which are therefore no quotes: take the spaces out (replace ', "' by ',"'), or save it as "CSV UTF-8" in a spreadsheet`)
	}
	return nil
}

// isNumberLike reports whether a cell is only digits and punctuation, as no name is.
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
