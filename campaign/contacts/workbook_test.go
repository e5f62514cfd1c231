package contacts_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// A testSheet is a sheet of bookOf.
type testSheet struct {
	name, state string
	before      string   // XML before the rows
	rows        []string // cells separated by |; a cell that begins with < is XML, a row that begins with ! is hidden
}

// bookOf is a workbook as Excel writes it, without what tests do not need.
func bookOf(sheets ...testSheet) []byte {
	var list, rels strings.Builder
	members := []string{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`}
	for i, s := range sheets {
		var rows strings.Builder
		for k, row := range s.rows {
			cells, hidden := strings.CutPrefix(row, "!")
			fmt.Fprintf(&rows, `<row r="%d" hidden="%t">`, k+1, hidden)
			for _, cell := range strings.Split(cells, "|") {
				if strings.HasPrefix(cell, "<") {
					rows.WriteString(cell)
				} else {
					fmt.Fprintf(&rows, `<c t="inlineStr"><is><t>%s</t></is></c>`, cell)
				}
			}
			rows.WriteString("</row>")
		}
		fmt.Fprintf(&list, `<sheet name="%s" sheetId="%d" state="%s" r:id="r%[2]d"/>`, s.name, i+1, s.state)
		fmt.Fprintf(&rels, `<Relationship Id="r%d" Type="%sworksheet" Target="worksheets/s%[1]d.xml"/>`, i+1, relType)
		members = append(members, fmt.Sprintf("xl/worksheets/s%d.xml", i+1), `<worksheet `+mainSpace+`>`+s.before+`<sheetData>`+rows.String()+`</sheetData></worksheet>`)
	}
	return zipped(append(members,
		"xl/workbook.xml", `<workbook `+mainSpace+`><sheets>`+list.String()+`</sheets></workbook>`,
		"xl/_rels/workbook.xml.rels", relHead+rels.String()+`</Relationships>`)...)
}

// readBook reads a workbook to its end.
func readBook(t *testing.T, file []byte, want contacts.Format, required ...string) (rows, warnings []string, counts campaign.Counts, err error) {
	t.Helper()
	f, err := open(file, want)
	if err != nil {
		return nil, nil, campaign.Counts{}, err
	}
	r, err := f.Reader(contacts.Options{Region: "SA", Workers: 2})
	if err != nil {
		return nil, nil, campaign.Counts{}, err
	}
	defer r.Close()
	for _, name := range required {
		r.Require(slices.Index(r.Columns(), name), name)
	}
	var read []contacts.Row
	for row, err := range r.All() {
		if err != nil {
			return nil, nil, campaign.Counts{}, err
		}
		read = append(read, row)
	}
	if err := r.Counts().Check(); err != nil {
		t.Error(err)
	}
	return lines(read), campaign.Strings(append(f.Warnings(), r.Warnings()...)), r.Counts(), nil
}

func TestWhichSheetsOfAWorkbookAreRead(t *testing.T) {
	book := bookOf(
		testSheet{name: "old", state: "hidden", rows: []string{"phone|name", "0501000001|a"}},
		testSheet{name: "cover", rows: []string{"<c/>"}},
		testSheet{name: "Riyadh", rows: []string{"phone|name", "0501000002|b", "0501000003|c"}},
		testSheet{name: "Jeddah", state: "visible", rows: []string{"A list", "name|phone", "d|0501000004", "e|0501000002"}},
		testSheet{name: "2", state: "veryHidden", rows: []string{"phone", "0501000009"}},
		testSheet{name: "empty"},
	)
	for _, tt := range []struct {
		name     string
		want     contacts.Format
		rows     []string
		warnings []string
		err      string
	}{
		{"the first that people see", contacts.Format{}, []string{"2 0501000002|b", "3 0501000003|c"}, []string{
			`of the workbook only the sheet "Riyadh" is read, and not "Jeddah": choose with --sheet, or give --all-sheets`,
			`hidden sheets are not read: "old", "2"; --sheet reads one`,
		}, ""},
		{"one by its name, whose header stands below a title", contacts.Format{Sheet: " JEDDAH"}, []string{"3 d|0501000004", "4 e|0501000002"}, []string{
			`of the workbook only the sheet "Jeddah" is read, and not "Riyadh": choose with --sheet, or give --all-sheets`,
			`hidden sheets are not read: "old", "2"; --sheet reads one`,
		}, ""},
		{"a hidden one by its name", contacts.Format{Sheet: "old"}, []string{"2 0501000001|a"}, []string{
			`of the workbook only the sheet "old" is read, and not "Riyadh", "Jeddah": choose with --sheet, or give --all-sheets`,
			`hidden sheets are not read: "2"; --sheet reads one`,
		}, ""},
		{"one by its number", contacts.Format{Sheet: "1"}, []string{"2 0501000001|a"}, []string{
			`of the workbook only the sheet "old" is read, and not "Riyadh", "Jeddah": choose with --sheet, or give --all-sheets`,
			`hidden sheets are not read: "2"; --sheet reads one`,
		}, ""},
		{"one that is named like a number", contacts.Format{Sheet: "2"}, []string{"2 0501000009"}, []string{
			`of the workbook only the sheet "2" is read, and not "Riyadh", "Jeddah": choose with --sheet, or give --all-sheets`,
			`hidden sheets are not read: "old"; --sheet reads one`,
		}, ""},
		{"all", contacts.Format{AllSheets: true}, []string{"2 0501000002|b", "3 0501000003|c", "4 0501000004|d", "5 duplicate of line 2: 0501000002|e"}, []string{
			`hidden sheets are not read: "old", "2"; --sheet reads one`,
			`lines are counted through all sheets: line 4 is row 3 of the sheet "Jeddah"`,
		}, ""},
		{"all and one", contacts.Format{AllSheets: true, Sheet: "old"}, nil, nil, "choose one of --sheet and --all-sheets"},
		{"one that is not there", contacts.Format{Sheet: "7"}, nil, nil, `no sheet "7": the sheets are "old", "cover", "Riyadh", "Jeddah", "2", "empty"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, warnings, _, err := readBook(t, book, tt.want)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.rows, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASheetThatIsNotAListNamesTheOthers(t *testing.T) {
	book := bookOf(
		testSheet{name: "How to", rows: []string{"Fill in the other sheet"}},
		testSheet{name: "Clients", rows: []string{"phone|name", "0501000002|b"}},
	)
	_, _, _, err := readBook(t, book, contacts.Format{})
	if err == nil || !strings.Contains(err.Error(), `sheet "How to": no phone column`) || !strings.Contains(err.Error(), `the other sheets are "Clients": --sheet reads one`) {
		t.Errorf("error %v", err)
	}
}

func TestSheetsWithOtherColumnsAreNotReadTogether(t *testing.T) {
	first := testSheet{name: "a", rows: []string{"phone|name", "0501000001|x"}}
	for name, other := range map[string]testSheet{
		"one is missing": {name: "b", rows: []string{"phone", "0501000002"}},
		"one is more":    {name: "b", rows: []string{"phone|name|city", "0501000002|y|z"}},
		"there is none":  {name: "b", rows: []string{"0501000002|y"}},
	} {
		if _, _, _, err := readBook(t, bookOf(first, other), contacts.Format{AllSheets: true}); err == nil || !strings.Contains(err.Error(), `the sheet "b" has other columns than the first`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	beyond := testSheet{name: "b", rows: []string{"name|phone", "y|0501000002|0501000003"}}
	if _, _, _, err := readBook(t, bookOf(first, beyond), contacts.Format{AllSheets: true}); err == nil || !strings.Contains(err.Error(), `a cell at row 2, column 3`) {
		t.Errorf("a cell without a column: %v", err)
	}
}

func TestHiddenRowsAreReportedOrLeftOut(t *testing.T) {
	book := bookOf(
		testSheet{name: "a", rows: []string{"phone|name", "0501000001|a", "!0501000002|b", "!12|c", "!|", "0501000001|d"}},
		testSheet{name: "b", rows: []string{"phone|name", "!0501000003|e", "0501000004|f"}},
	)
	rows, warnings, counts, err := readBook(t, book, contacts.Format{AllSheets: true})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "are read all the same: 3; --skip-hidden-rows") || counts.Contacts != 4 {
		t.Errorf("%q, %v, %+v", warnings, rows, counts)
	}
	rows, warnings, counts, err = readBook(t, book, contacts.Format{AllSheets: true, SkipHiddenRows: true})
	want := []string{"2 0501000001|a", "3 hidden row: 0501000002|b", "4 hidden row: 12|c", "6 duplicate of line 2: 0501000001|d", "7 hidden row: 0501000003|e", "8 0501000004|f"}
	rows = slices.DeleteFunc(rows, func(row string) bool { return strings.Contains(row, "empty line") })
	if diff := cmp.Diff(want, rows); diff != "" || err != nil {
		t.Errorf("%v, rows (-want +got):\n%s", err, diff)
	}
	if counts.Refused["hidden row"] != 3 || strings.Contains(strings.Join(warnings, "\n"), "hidden") {
		t.Errorf("%+v, %q", counts, warnings)
	}
}

func TestAHiddenColumnOfNumbersIsReported(t *testing.T) {
	for column, told := range map[int]bool{1: false, 2: true} {
		book := bookOf(testSheet{name: "a", before: fmt.Sprintf(`<cols><col min="%d" max="%[1]d" hidden="1"/></cols>`, column), rows: []string{"name|phone", "x|0501000001"}})
		_, warnings, _, err := readBook(t, book, contacts.Format{})
		if err != nil || slices.Contains(warnings, `the column of the phone numbers, "phone", is hidden in the sheet`) != told {
			t.Errorf("column %d: %q, %v", column, warnings, err)
		}
	}
}

func TestCellsWithoutAValueAreRefusedWhereTheyMatter(t *testing.T) {
	const formula, missing = `<c><f>1+1</f></c>`, `<c t="e"><v>#N/A</v></c>`
	book := bookOf(testSheet{name: "a", rows: []string{
		"phone|name|note",
		formula + "|a|",
		missing + "|b|",
		"0501000003|" + formula + "|",
		"0501000004|" + missing + "|",
		"0501000005|e|" + formula,
		"0501000006|f|" + missing,
		"0501000007|g|" + `<c t="e"><f>1/0</f><v>#DIV/0!</v></c>`,
	}})
	rows, warnings, _, err := readBook(t, book, contacts.Format{}, "name")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"2 formula without a stored value: open and save it in Excel: |a|",
		"3 #N/A instead of a value: #N/A|b|",
		"4 formula without a stored value: open and save it in Excel: 0501000003||",
		"5 #N/A instead of a value: 0501000004|#N/A|",
		"6 0501000005|e|",
		"7 0501000006|f|#N/A",
		"8 0501000007|g|#DIV/0!",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	told := []string{
		`column "note": formulas without a stored value, read as empty: 1; open and save the file in Excel`,
		`column "note": cells with #N/A instead of a value: 1`,
		`column "note": cells with #DIV/0! instead of a value: 1`,
	}
	if diff := cmp.Diff(told, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestSuppressionListsReadAllVisibleSheets(t *testing.T) {
	sheets := []testSheet{
		{name: "2025", rows: []string{"phone", "0501000001", "!0501000002"}},
		{name: "2026", rows: []string{"asked|mobile", "yes|0501000003", "yes|12"}},
		{name: "plain", rows: []string{"0501000004"}},
		{name: "empty"},
		{name: "notes", rows: []string{"who|what", "me|this"}},
		{name: "old", state: "hidden", rows: []string{"phone", "0501000005"}},
	}
	read := func(want contacts.Format, sheets ...testSheet) (*contacts.Numbers, error) {
		file := bookOf(sheets...)
		f, err := contacts.Open(bytes.NewReader(file), int64(len(file)), want, "")
		if err != nil {
			return nil, err
		}
		return f.Numbers(contacts.Options{Region: "SA"})
	}
	numbers, err := read(contacts.Format{}, sheets...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]campaign.Phone{966501000001, 966501000002, 966501000003, 966501000004}, slices.Sorted(numbers.All())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	notRead, leftOut := campaign.Strings(numbers.NotRead()), campaign.Strings(numbers.LeftOut())
	if len(notRead) != 1 || !strings.HasPrefix(notRead[0], `the sheet "notes" is not read: no phone column`) || !slices.Equal(leftOut, []string{`hidden sheets are not read: "old"`}) {
		t.Errorf("%q, %q", notRead, leftOut)
	}
	if numbers.Unreadable()[contacts.TooShort] != 1 {
		t.Errorf("%v", numbers.Unreadable())
	}
	numbers, err = read(contacts.Format{Sheet: "old"}, sheets...)
	if err != nil || numbers.Len() != 1 || len(numbers.NotRead()) != 0 || len(numbers.LeftOut()) != 1 {
		t.Errorf("%v, %q", err, numbers.LeftOut())
	}
	if _, err := read(contacts.Format{}, sheets[0], testSheet{name: "broken", rows: []string{"0501000006 & more"}}); err == nil || !strings.Contains(err.Error(), `the sheet "broken" is damaged at row 1`) {
		t.Errorf("a damaged sheet: %v", err)
	}
	if _, err := read(contacts.Format{}, sheets[4]); err == nil {
		t.Error("a workbook without numbers is a list")
	}
}

func TestADamagedSheetIsRefusedHoweverFarDownTheFaultIs(t *testing.T) {
	for _, rows := range []int{1, 100, 50_000} {
		cells := []string{"phone|name"}
		for i := range rows {
			cells = append(cells, fmt.Sprintf("05%08d|x", i))
		}
		cells = append(cells, "0599999999|Salt & Pepper")
		_, _, _, err := readBook(t, bookOf(testSheet{name: "Sheet1", rows: cells}), contacts.Format{})
		want := fmt.Sprintf(`workbook: the sheet "Sheet1" is damaged at row %d: a bare "&"; open it in Excel and save it again`, rows+2)
		if err == nil || err.Error() != want {
			t.Errorf("%d rows: %v, want %s", rows, err, want)
		}
	}
}
