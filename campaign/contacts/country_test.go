package contacts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// readPhones reads a file to one text for each row: the number, its doubt, or the
// refusal.
func readPhones(file string, opt contacts.Options) (*contacts.Reader, []string, error) {
	r, rows, err := readAll(file, opt)
	if err != nil {
		return r, nil, err
	}
	var got []string
	for _, row := range rows {
		switch {
		case row.Refusal.Reason != "":
			got = append(got, string(row.Refusal.Reason))
		case row.Doubt != "":
			got = append(got, row.Phone.E164()+" "+string(row.Doubt))
		default:
			got = append(got, row.Phone.E164())
		}
	}
	return r, got, nil
}

func TestACountryCodeGoesWithTheNumber(t *testing.T) {
	for _, tt := range []struct {
		name, code, number, want string
	}{
		{"with a plus", "+971", "501234568", "+971501234568"},
		{"after 00", "00971", "501234568", "+971501234568"},
		{"bare digits", "971", "501234568", "+971501234568"},
		{"a float", "971.0", "501234568", "+971501234568"},
		{"an amount with three decimals", "971.000", "501234568.000", "+971501234568"},
		{"in brackets", "(+971)", "501234568", "+971501234568"},
		{"with a country behind it", "+971 UAE", "501234568", "+971501234568"},
		{"behind a country", "UAE (+971)", "501234568", "+971501234568"},
		{"with an apostrophe", "'+971", "501234568", "+971501234568"},
		{"Arabic digits", "+٩٧١", "٥٠١٢٣٤٥٦٨", "+971501234568"},
		{"the number has its zero", "+971", "0501234568", "+971501234568"},
		{"the number repeats the code", "+971", "971501234568", "+971501234568"},
		{"the number repeats the code with a plus", "971", "+971 50 123 4568", "+971501234568"},
		{"the number repeats the code after 00", "971", "00971501234568", "+971501234568"},
		{"the number is a float", "971.0", "501234568.0", "+971501234568"},
		{"Egypt", "+20", "1001234567", "+201001234567"},
		{"Kuwait", "+965", "50012345", "+96550012345"},
		{"a code of one digit", "+1", "4155552671", "+14155552671"},
		{"an island with an area", "+1-242", "3591234", "+12423591234"},
		{"an island with an area that the number repeats", "+1 242", "2423591234", "+12423591234"},
		{"a country by its letters", "AE", "501234568", "+971501234568"},
		{"Italy keeps its zero", "+39", "0612345678", "+390612345678"},
		{"no code", "", "0501234568", "+966501234568 no country in its row: read as of --region"},
		{"no code, and the number has its own", "", "+971501234568", "+971501234568"},
		{"another country's number", "+971", "+966501234567", "number of another country than its row says"},
		{"another country's number after 00", "+971", "00966501234567", "number of another country than its row says"},
		{"another country's number without a plus", "+971", "966501234567", "number of another country than its row says"},
		{"a number that only fits the region", "+34", "501234567", "number of another country than its row says"},
		{"no code of a country", "+999", "501234567", "unknown country beside the number"},
		{"a word", "none", "501234567", "unknown country beside the number"},
		{"code and country differ", "+971 KSA", "501234567", "unknown country beside the number"},
		{"a word, and the number has its own code", "n/a", "+971501234568", "+971501234568"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The file certainly has country codes; the last row is the one to test.
			file := "Country Code,Phone\n" + strings.Repeat("+966,555000000\n", 20) + fmt.Sprintf("%s,%s\n", tt.code, tt.number)
			r, got, err := readPhones(file, contacts.Options{Region: "SA"})
			if err != nil {
				t.Fatal(err)
			}
			if last := got[len(got)-1]; last != tt.want {
				t.Errorf("%s | %s: %s, want %s", tt.code, tt.number, last, tt.want)
			}
			if _, code := r.CountryColumns(); code != "Country Code" {
				t.Errorf("country code column %q", code)
			}
		})
	}
}

func TestACountryGoesWithTheNumber(t *testing.T) {
	for _, tt := range []struct{ country, number, want string }{
		{"SA", "501234567", "+966501234567"}, {"SAU", "501234567", "+966501234567"}, {"ksa", "501234567", "+966501234567"},
		{"K.S.A.", "501234567", "+966501234567"}, {"Saudi Arabia", "501234567", "+966501234567"}, {"Kingdom of Saudi Arabia", "501234567", "+966501234567"},
		{"Saudi", "501234567", "+966501234567"}, {"السعودية", "501234567", "+966501234567"}, {"السعوديه", "501234567", "+966501234567"},
		{"المملكة العربية السعودية", "501234567", "+966501234567"}, {"Saudi Arabia 🇸🇦", "501234567", "+966501234567"}, {"🇸🇦", "501234567", "+966501234567"},
		{"SA - Saudi Arabia", "501234567", "+966501234567"}, {"Saudi Arabia (SA)", "501234567", "+966501234567"},
		{"UAE", "501234568", "+971501234568"}, {"U.A.E.", "501234568", "+971501234568"}, {"United Arab Emirates", "501234568", "+971501234568"},
		{"The United Arab Emirates", "501234568", "+971501234568"}, {"الإمارات", "501234568", "+971501234568"}, {"الامارات العربية المتحدة", "501234568", "+971501234568"},
		{"EG", "1001234567", "+201001234567"}, {"Egypt", "1001234567", "+201001234567"}, {"EGYPT", "01001234567", "+201001234567"}, {"مصر", "1001234567", "+201001234567"},
		{"Arab Republic of Egypt", "1001234567", "+201001234567"}, {"جمهورية مصر العربية", "1001234567", "+201001234567"},
		{"State of Kuwait", "50012345", "+96550012345"}, {"الكويت", "50012345", "+96550012345"}, {"دولة الكويت", "50012345", "+96550012345"}, {"KWT", "50012345", "+96550012345"},
		{"سلطنة عمان", "92123456", "+96892123456"}, {"Sultanate of Oman", "92123456", "+96892123456"}, {"البحرين", "36001234", "+97336001234"}, {"قطر", "33123456", "+97433123456"},
		{"الأردن", "790123456", "+962790123456"}, {"الاردن", "790123456", "+962790123456"}, {"لبنان", "71123456", "+96171123456"}, {"المغرب", "650123456", "+212650123456"},
		{"UK", "7400123456", "+447400123456"}, {"U.S.A.", "4155552671", "+14155552671"}, {"Türkiye", "5012345678", "+905012345678"}, {"تركيا", "5012345678", "+905012345678"},
		{"Deutschland", "15123456789", "+4915123456789"}, {"فلسطين", "599123456", "+970599123456"},
		{"Atlantis", "501234567", "unknown country beside the number"}, {"N/A", "811234567", "unknown country beside the number"}, {"NA", "811234567", "unknown country beside the number"},
	} {
		t.Run(tt.country, func(t *testing.T) {
			file := "Country,Phone\n" + strings.Repeat("Jordan,790123457\n", 20) + fmt.Sprintf("%s,%s\n", tt.country, tt.number)
			_, got, err := readPhones(file, contacts.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if last := got[len(got)-1]; last != tt.want {
				t.Errorf("%s, want %s", last, tt.want)
			}
		})
	}
}

func TestACountryOfTheSameThingAsTheNumber(t *testing.T) {
	for _, tt := range []struct {
		name, file, phone string
		want              []string
		err               string
	}{
		{"WooCommerce", "billing_country,billing_phone\nSA,501234567\nAE,501234568\n", "", []string{"+966501234567", "+971501234568"}, ""},
		{"the address of a shop's customer", "Default Address Country Code,Default Address Phone\nSA,501234567\nAE,501234568\n", "Default Address Phone", []string{"+966501234567", "+971501234568"}, ""},
		{"before a country of no thing", "Country,Customer Country,Customer Mobile\nEgypt,SA,501234567\nEgypt,AE,501234568\n", "", []string{"+966501234567", "+971501234568"}, ""},
		{"the country of another thing", "shipping_country,billing_phone\nSA,501234567\nAE,501234568\n", "", []string{"+966501234567", "+966501234568"}, ""},
		{"where the people only live", "billing_country,billing_phone\nEG,0501234567\nIN,0501234568\n", "", nil, "2 of 2 numbers beside it are not of the country it names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := readPhones(tt.file, contacts.Options{Region: "SA", Reading: campaign.Reading{PhoneColumns: []string{tt.phone}}})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestColumnsThatGiveTheCountry(t *testing.T) {
	const codes = "+966,501234567\n+971,501234568\n"
	const lands = "SA,501234567\nAE,501234568\n"
	for _, tt := range []struct {
		name, header, rows string
		opt                contacts.Options
		want               []string
		err                string
	}{
		{"Country Code", "Country Code", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"CountryCode", "CountryCode", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"country_code", "country_code", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Dial code", "Dial code", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Phone Code", "Phone Code", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Intl. Prefix", "Intl. Prefix", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"مفتاح الدولة", "مفتاح الدولة", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"رمز الدوله", "رمز الدوله", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"كود البلد", "كود البلد", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"country codes in letters", "Country Code", lands, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Country", "Country", lands, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Country/Region", "Country/Region", lands, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"الدولة", "الدولة", lands, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"البلد", "البلد", lands, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Prefix, where every cell has a plus", "Prefix", codes, contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
		{"Prefix, where one cell is something else", "Prefix", strings.Repeat("+971,501234567\n", 10) + "n/a,501234568\n", contacts.Options{Region: "SA"},
			append(append([]string{"+971501234567"}, slices.Repeat([]string{"duplicate"}, 9)...), "unknown country beside the number"), ""},
		{"Code, where every cell may be a calling code", "Code", "966,501234567\n971,501234568\n20,1001234567\n", contacts.Options{Region: "SA"}, nil, `column 1 "Code" may give the country of the numbers, but it is not certain that its cells are calling codes: give --country-column Code or --country-code-column Code if it does, --country-code-column none if it does not`},
		{"Code, beside numbers in full", "Code", "966,+966501234567\n971,+971501234568\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "+971501234568"}, ""},
		{"calling codes under another name", "Mobile CC", "966,501234567\n971,501234568\n", contacts.Options{Region: "SA"}, nil, `column 1 "Mobile CC" may give the country of the numbers, but it is not certain that its cells are calling codes`},
		{"calling codes after 00 under another name", "فتح خط", "00971,501234567\n00971,501234568\n", contacts.Options{Region: "SA"}, nil, "it is not certain that its cells are calling codes"},
		{"codes under another name, switched off", "Mobile CC", "966,501234567\n971,501234568\n", contacts.Options{Region: "SA", Reading: campaign.Reading{CountryCodeColumn: "none"}}, []string{"+966501234567", "+966501234568"}, ""},
		{"ages", "Age", "20,1001234567\n30,1001234568\n", contacts.Options{Region: "EG"}, []string{"+201001234567", "+201001234568"}, ""},
		{"Code of customers is none", "Code", "1,501234567\n20,501234568\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "+966501234568"}, ""},
		{"Prefix of operators is none", "Prefix", "055,501234567\n050,501234568\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "+966501234568"}, ""},
		{"Prefix of names is none", "Prefix", "Mr,501234567\nMs,501234568\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "+966501234568"}, ""},
		{"nationality is no country of numbers", "Nationality", "EG,501234567\nAE,501234568\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "+966501234568"}, ""},
		{"a billing country is none", "Billing Country", lands, contacts.Options{Region: "SA"}, []string{"+966501234567", "+966501234568"}, ""},
		{"switched off", "Country", lands, contacts.Options{Region: "SA", Reading: campaign.Reading{CountryColumn: "none"}}, []string{"+966501234567", "+966501234568"}, ""},
		{"asked for by name", "From", lands, contacts.Options{Reading: campaign.Reading{CountryColumn: "from"}}, []string{"+966501234567", "+971501234568"}, ""},
		{"codes asked for by name", "P", "966,501234567\n971,501234568\n", contacts.Options{Reading: campaign.Reading{CountryCodeColumn: "P"}}, []string{"+966501234567", "+971501234568"}, ""},
		{"asked for and not there", "Country", lands, contacts.Options{Reading: campaign.Reading{CountryColumn: "land"}}, nil, `--country-column: no column "land"`},

		{"a country that is a nationality, beside numbers of the region", "Country", "Egypt,0501234567\nIndia,0501234568\nSudan,0501234569\nSaudi Arabia,0501234560\n",
			contacts.Options{Region: "SA"}, nil, `column 1 "Country" may give the country of the numbers, but 3 of 4 numbers beside it are not of the country it names: give --country-column Country or --country-code-column Country if it does, --country-column none if it does not`},
		{"a country that is a nationality, without a region", "Country", "Sudan,0501234567\nQatar,0501234568\n", contacts.Options{}, nil, "1 of 1 numbers beside it are not of the country it names"},
		{"a country that is a nationality, beside numbers in full", "Country", "Egypt,+966501234567\nIndia,+966501234568\nSudan,+966501234569\n", contacts.Options{}, nil, "3 of 3 numbers beside it are of another country"},
		{"codes of something else", "Country Code", "ZONE1,501234567\nZONE2,501234568\n", contacts.Options{Region: "SA"}, nil, "only 0 of its 2 cells name a country"},
		{"a mobile number of the region, which may be a line elsewhere", "Country", "SA,0501234560\nSA,0501234561\nSA,0501234562\nSA,0501234563\nSA,0501234564\nSA,0501234565\nSA,0501234566\nSA,0501234568\nSA,0501234569\nEgypt,0501234567\nSA,0551234569\n",
			contacts.Options{Region: "SA"}, []string{"+966501234560", "+966501234561", "+966501234562", "+966501234563", "+966501234564", "+966501234565", "+966501234566", "+966501234568", "+966501234569", "number of another country than its row says", "+966551234569"}, ""},
		{"two of a kind", "Country,country", "SA,AE,501234567\n", contacts.Options{Region: "SA"}, nil, "may both give"},
		{"a contradiction costs its line", "Country", "SA,501234567\nAE,+966501234568\nمصر,1001234567\n", contacts.Options{Region: "SA"}, []string{"+966501234567", "number of another country than its row says", "+201001234567"}, ""},
		{"codes before countries", "Country,Country Code", "Egypt,+966,501234567\nEgypt,+971,501234568\n", contacts.Options{}, []string{"+966501234567", "+971501234568"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := readPhones(tt.header+",Phone\n"+tt.rows, tt.opt)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSuppressionListsHaveCountriesToo(t *testing.T) {
	numbers, err := contacts.ReadNumbers(strings.NewReader("Mobile,مفتاح الدولة\n501234568,+971\n1001234567,20\n+966501234567,971\n"), contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	if !numbers.Has(971501234568) || !numbers.Has(201001234567) || numbers.Len() != 2 {
		t.Errorf("%d numbers", numbers.Len())
	}
	if diff := cmp.Diff(map[contacts.Reason]int{contacts.OtherCountry: 1}, numbers.Unreadable()); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`column "مفتاح الدولة" gives the country of the numbers`}, campaign.Strings(numbers.Remarks())); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}

// A person who asked not to be contacted did so for all numbers of the line.
func TestSuppressionListsTakeEveryNumberOfALine(t *testing.T) {
	numbers, err := contacts.ReadNumbers(strings.NewReader("Name,Mobile,Home\nA,0501234567 / 0559876543,0112345678\nB,,0112345679\nC,,\n"),
		contacts.Options{Region: "SA", Reading: asking("Mobile", "Home")})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []campaign.Phone{966501234567, 966559876543, 966112345678, 966112345679} {
		if !numbers.Has(p) {
			t.Errorf("%d is missing", uint64(p))
		}
	}
	if diff := cmp.Diff(map[contacts.Reason]int{contacts.EmptyNumber: 1}, numbers.Unreadable()); diff != "" || numbers.Len() != 4 {
		t.Errorf("%d numbers, unreadable (-want +got):\n%s", numbers.Len(), diff)
	}
}

func TestSeveralPhoneColumns(t *testing.T) {
	file := "Name,Home,Mobile,Work\nA,0112345678,0501234567,\nB,0112345679,,0112345670\nC,12,none,\nD,,,\nE,,0501234568 / 0501234569,0112345671\nF,0112345672,+966501234567,\n"
	r, got, err := readPhones(file, contacts.Options{Region: "SA", Reading: asking("Mobile", "Work", "Home")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"+966501234567", "+966112345670", "not a phone number", "empty number", "+966112345671", "duplicate"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"Mobile": 1, "Work": 2, "Home": 0}, r.Counts().PhoneColumns); diff != "" {
		t.Errorf("by column (-want +got):\n%s", diff)
	}
	if _, _, err := readPhones(file, contacts.Options{Reading: asking("Mobile", "mobile")}); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Errorf("error %v", err)
	}
}

func TestDoubtfulNumbersAreReportedOrRefused(t *testing.T) {
	file := "phone\n+966501234567\n+966521234567\n05012345678\n971501234567\n966501234568\n"
	want := []string{
		"+966501234567", "+966521234567 " + string(contacts.UnknownRange), "+9665012345678 " + string(contacts.DigitTooMany),
		"+971501234567 " + string(contacts.GuessedCode), "+966501234568",
	}
	r, got, err := readPhones(file, contacts.Options{Region: "SA"})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	doubts := map[string]int{string(contacts.UnknownRange): 1, string(contacts.DigitTooMany): 1, string(contacts.GuessedCode): 1}
	if diff := cmp.Diff(doubts, r.Counts().Doubtful) + cmp.Diff(map[string]int{"SA": 4, "AE": 1}, r.Counts().Countries); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	r, got, err = readPhones(file, contacts.Options{Region: "SA", Reading: campaign.Reading{StrictNumbers: true}})
	want = []string{"+966501234567", string(contacts.UnknownRange), string(contacts.DigitTooMany), string(contacts.GuessedCode), "+966501234568"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("strict: %v (-want +got):\n%s", err, diff)
	}
	if wrong := r.Counts().Check(); wrong != nil || r.Counts().Doubtful != nil {
		t.Errorf("%v, %v", wrong, r.Counts().Doubtful)
	}
}
