package contacts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

func TestNamesOfPhoneColumns(t *testing.T) {
	for _, name := range []string{
		"Contact No.", "CONTACT NO", "number", "Mobile 1", "Phone 1", "Phone Numbers", "WhatsApp No", "billing_phone", "To", "Phone number (recommended)",
		"Telefon", "Téléphone", "Teléfono", "الهاتف المتحرك", "النقال", "جوال 1", "رقم جوال العميل", "رقم الموبيل",
		"phone", "PhoneNumber", "Phone #", "Phone No.", "Mobile Phone", "Mobile No", "Mob. No.", "Cell", "Cell Phone", "MSISDN", "Tel", "Tel.", "WhatsApp", "WhatsApp Number",
		"Primary Phone", "Customer Mobile Number", "contact_number", "Phone 1 - Value", "E164", "Numéro de téléphone", "N° de téléphone", "Número de teléfono", "Celular", "Móvil",
		"Telefonnummer", "Handynummer", "Mobilnummer", "Rufnummer", "Telefon Numarası", "Cep Telefonu", "Phone (with country code)",
		"جوال", "الجوال", "رقم الجوال", "رقم الجـــوّال", "هاتف", "رقم الهاتف", "الموبايل", "رقم الواتساب", "رقم واتس آب", "رقم التواصل", "رقم الاتصال", "تليفون", "رقم المحمول", "خليوي", "خليوى",
		"رقم هاتف العميل", "جوال العميل", "الجوال ١", "أرقام الجوالات", "رقم الجوال الأساسي",
	} {
		t.Run(name, func(t *testing.T) {
			r, got, err := readPhones("name,"+name+"\nSara,0501234567\n", contacts.Options{Region: "SA"})
			if err != nil {
				t.Fatal(err)
			}
			if r.PhoneColumn() != 1 || got[0] != "+966501234567" {
				t.Errorf("column %d: %s", r.PhoneColumn(), got)
			}
		})
	}
	for _, name := range []string{
		"Fax", "Phone Type", "Mobile App", "Hotel", "Customer No", "ID Number", "Order Number", "رقم الهوية", "رقم الطلب", "Telegram", "Cell Color", "Home", "National No", "Email", "Title", "نوع الجوال", "Account number", "Contact",
	} {
		t.Run(name+" is none", func(t *testing.T) {
			if _, _, err := readPhones(name+",x\nabc,y\n", contacts.Options{Region: "SA"}); err == nil {
				t.Errorf("%q is taken for a phone column", name)
			}
		})
	}
}

func TestWhichOfSeveralPhoneColumns(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		column     int
		remark     string
		err        string
	}{
		{"the first of numbered ones", "name,Mobile 2,Mobile 1\nA,0501234568,0501234567\n", 2,
			`the numbers are those of column "Mobile 1"; not read: "Mobile 2"; to use them where it has none: --phone-column "Mobile 1" --phone-column "Mobile 2"`, ""},
		{"Google Contacts", "Name,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value\nA,Mobile,0501234567,Home,0112345678\n", 2, `"Phone 1 - Value"`, ""},
		{"Outlook", "First Name,Business Phone,Home Phone,Mobile Phone,Business Fax\nA,0112345678,,0501234567,\n", 3, "", ""},
		{"Number and To where another is named so", "Number,Phone\n1,0501234567\n", 1, "", ""},
		{"Number that holds something else", "Number,City\n1,Riyadh\n", 0, "", `no phone column: the columns are "Number", "City"`},
		{"two that may be meant", "Phone,WhatsApp\n0501234567,0501234567\n", 0, "", `"Phone" (column 1), "WhatsApp" (column 2): choose one with --phone-column, or give several`},
		{"none by name, one by its cells", "Name,Kd.Nr.,Kontakt\nA,1001,0501234567\nB,1002,0501234568\n", 0, "", `no phone column found; column 3 "Kontakt" looks like phone numbers: --phone-column Kontakt`},
		{"a name that a shell would part", "Name,Kontakt privat\nA,0501234567\n", 0, "", `--phone-column "Kontakt privat"`},
		{"two by their cells", "Name,K1,K2\nA,0501234567,0501234568\n", 0, "", `several look like phone numbers: "K1" (column 2), "K2" (column 3)`},
		{"a column without a name", "Name,\nA,0501234567\n", 0, "", "column 2 looks like phone numbers, but has no name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _, err := readPhones(tt.file, contacts.Options{Region: "SA"})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if remarks := strings.Join(campaign.Strings(r.Remarks()), "\n"); r.PhoneColumn() != tt.column || !strings.Contains(remarks, tt.remark) || tt.remark == "" && remarks != "" {
				t.Errorf("column %d, remarks %s", r.PhoneColumn(), remarks)
			}
		})
	}
}

func TestHeadersBelowTitles(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		opt        contacts.Options
		header     int
		rows       []string
		err        string
	}{
		{"a title and an empty line", "Customers of March\n\nname,phone\nA,0501234567\n", contacts.Options{}, 3, []string{"4 A|0501234567"}, ""},
		{"a title with the commas of a spreadsheet", "Customers of March,,\n,,\nname,phone,city\nA,0501234567,x\n", contacts.Options{}, 3, []string{"4 A|0501234567|x"}, ""},
		{"a title above an Arabic header", "قائمة العملاء,\nالاسم,رقم الجوال\nسارة,0501234567\n", contacts.Options{}, 2, []string{"3 سارة|0501234567"}, ""},
		{"a title of two lines in quotes", "\"Customers\nof March\"\nname,phone\nA,0501234567\n", contacts.Options{}, 3, []string{"4 A|0501234567"}, ""},
		{"empty lines first", "\n\nphone\n0501234567\n", contacts.Options{}, 3, []string{"4 0501234567"}, ""},
		{"one column under a title", "Customers\nphone\n0501234567\n", contacts.Options{}, 2, []string{"3 0501234567"}, ""},
		{"the column asked for is below a title", "Customers,\nname,Kontakt\nA,0501234567\n", contacts.Options{Reading: asking("kontakt")}, 2, []string{"3 A|0501234567"}, ""},
		{"asked for by its line", "Report,2026\nname,phone\nA,0501234567\n", contacts.Options{HeaderLine: 2}, 2, []string{"3 A|0501234567"}, ""},
		{"two cells above, fewer than the header's", "Report,2026,\nname,phone,city\nA,0501234567,x\n", contacts.Options{}, 0, nil, "line 2 looks like the header: --header-line 2"},
		{"no phone name, a title above", "Customers,,\n,,\nName,City,Kontakt\nA,x,0501234567\n", contacts.Options{}, 0, nil, "line 3 looks like the header: --header-line 3 --phone-column Kontakt"},
		{"a line on which no row begins", "name,phone\nA,0501234567\n", contacts.Options{HeaderLine: 9}, 0, nil, "--header-line 9: no row begins on that line"},
		{"a word of a row is no header", "phone,kind\n0501234567,phone\nx,mobile\n", contacts.Options{}, 1, []string{"2 0501234567|phone", "3 not a phone number: x|mobile"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opt.Region = "SA"
			r, rows, err := readAll(tt.file, tt.opt)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.rows, lines(rows)); diff != "" || r.HeaderLine() != tt.header {
				t.Errorf("header on line %d (-want +got):\n%s", r.HeaderLine(), diff)
			}
			// The delimiter is also found below a title.
			f, err := open([]byte(strings.ReplaceAll(tt.file, ",", ";")), contacts.Format{HeaderLine: tt.opt.HeaderLine})
			if err != nil {
				t.Fatal(err)
			}
			again, err := f.Reader(tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if diff := cmp.Diff(r.Columns(), again.Columns()); diff != "" {
				t.Errorf("columns with semicolons (-want +got):\n%s", diff)
			}
			if want := f.Format().HeaderLine; tt.header > 1 && want != tt.header {
				t.Errorf("format tells line %d", want)
			}
		})
	}
}

func TestWhatAFileIs(t *testing.T) {
	lock := make([]byte, 165)
	copy(lock, "\x04Sara")
	for i := 5; i < 55; i++ {
		lock[i] = ' '
	}
	lock[55] = 4
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"vCard", []byte("BEGIN:VCARD\r\nVERSION:3.0\r\nTEL:+966501234567\r\nEND:VCARD\r\n"), "a file of vCards: open it in an address book"},
		{"a JSON array", []byte("[\n  {\"phone\": \"+966501234567\"}\n]\n"), "this is JSON: export the list as"},
		{"JSON lines", []byte("{\"phone\":\"+966501234567\"}\n{\"phone\":\"x\"}\n"), "this is JSON"},
		{"JSON with a mark", []byte(bom + " {\"contacts\":[]}"), "this is JSON"},
		{"SYLK", []byte("ID;PWXL;N;E\r\nP;PGeneral\r\nC;Y1;X1;K\"phone\"\r\nE\r\n"), "a SYLK file"},
		{"DIF", []byte("TABLE\r\n0,1\r\n\"EXCEL\"\r\nVECTORS\r\n0,2\r\n"), "a DIF file"},
		{"Numbers", zipped("Index/Document.iwa", "x", "Metadata/Properties.plist", "x"), "a document of Numbers, Pages or Keynote: export it"},
		{"a lock file", lock, "the lock file of a workbook"},
		{"a PDF", []byte("%PDF-1.7"), "a PDF document: give the list itself"},
		{"a web page saved as .xls", []byte("\r\n<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\">"), "a web page or XML, whatever its name says: open it in a spreadsheet"},
		{"XML of Excel 2003", []byte("<?xml version=\"1.0\"?>\n<Workbook>"), "a web page or XML"},
		{"a web archive", []byte("MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n"), "saved web page (.mht)"},
		{"a picture", []byte("\x89PNG\r\n\x1a\n"), "a picture"},
		{"a picture of a phone", []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), "a picture or a film"},
		{"LDIF", []byte("dn: cn=Sara,dc=example\nphone: x\n"), "an LDIF file"},
		{"a semicolon list pasted into one column", []byte("\"name;phone\"\n\"A;0501234567\"\n"), "the whole list stands in one column, separated by semicolons: split it"},
		{"a workbook with all in the first of its columns", workbook(t, [][]any{{"name;phone", "", ""}, {"A;0501234567", "", "x"}}), "the whole list stands in one column, separated by semicolons"},
		{"commas pasted into one column", []byte("\"name,phone\"\n\"A,0501234567\"\n"), "the whole list stands in one column, separated by commas"},
		{"a workbook with all in one column", workbook(t, [][]any{{"name;phone"}, {"A;0501234567"}}), "the whole list stands in one column, separated by semicolons"},
		{"a space before the quotes of the header", []byte("\"name\", \"phone\"\n\"A\", \"0501234567\"\n"), "line 1: a space stands before the quotes"},
		{"a space before the quotes of the rows", []byte("name,phone\nA, \"0501234567\"\nB, \"0501234568\"\n"), "a space stands before the quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readFile(tt.file, contacts.Format{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
			if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "0501234567") {
				t.Errorf("more than one line, or a number: %s", text)
			}
		})
	}
	for name, file := range map[string]string{
		"a CSV whose first column is ID":          "ID;Phone\n1;0501234567\n",
		"a CSV whose first column is TABLE":       "TABLE,phone\n0,0501234567\n",
		"a quote amid a cell is no quoted cell":   "phone,name\n0501234567, 5\" pipe\n0501234568,x\n",
		"a header that begins with a bracket":     "[Phone],[Name]\n0501234567,A\n",
		"one column whose name has a comma in it": "\"phone, mobile\"\n0501234567\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, rows, err := readFile([]byte(file), contacts.Format{}); err != nil || len(rows) == 0 {
				t.Errorf("%q, %v", rows, err)
			}
		})
	}
}

func TestGuessedEncodingsAreReported(t *testing.T) {
	arabic := "phone,الاسم\n0501234567,محمد العتيبي\n0501234568,نورة بنت سعد القحطاني\n0501234569,عبدالله الشهري\n"
	mac := []byte(strings.ReplaceAll(string(mustEncode(t, charmap.ISO8859_6, strings.ReplaceAll(arabic, "05", "\x01\x02"))), "\x01\x02", "\xb0\xb5"))
	for _, tt := range []struct {
		name string
		file []byte
		want contacts.Encoding
		told string
	}{
		{"Windows-1256", mustEncode(t, charmap.Windows1256, arabic), contacts.Windows1256, "line 1 reads \"الاسم\""},
		{"ISO 8859-6", mustEncode(t, charmap.ISO8859_6, arabic), contacts.ISO88596, "line 1 reads \"الاسم\""},
		{"Mac Arabic, whose digits are Arabic", mac, contacts.MacArabic, "line 1 reads \"الاسم\""},
		{"Windows-1252", mustEncode(t, charmap.Windows1252, "phone,name\n0501234567,José Müller\n0501234568,Zoë Garçon\n"), contacts.Windows1252, "line 2 reads \"José Müller\""},
		{"Windows-1254", mustEncode(t, charmap.Windows1254, "phone,name\n0501234567,Şule Çağlar\n0501234568,Işıl Öztürk\n0501234569,Yiğit Güneş\n"), contacts.Windows1254, "line 2 reads \"Şule Çağlar\""},
		{"Windows-1254, one name", mustEncode(t, charmap.Windows1254, "phone,name\n0501234567,Ayşe Yıldız\n"), contacts.Windows1254, "line 2 reads \"Ayşe Yıldız\""},
		{"Windows-1251", mustEncode(t, charmap.Windows1251, "phone,имя\n0501234567,Иван Петров\n0501234568,Ольга Смирнова\n"), contacts.Windows1251, "line 1 reads \"имя\""},
		{"Windows-1251, one name", mustEncode(t, charmap.Windows1251, "phone,name\n0501234567,Наталья Кузнецова\n"), contacts.Windows1251, "line 2 reads \"Наталья Кузнецова\""},
		{"Windows-1256, one name", mustEncode(t, charmap.Windows1256, "phone,name\n0501234567,فهد\n"), contacts.Windows1256, "line 2 reads \"فهد\""},
		{"ISO 8859-6, one name", mustEncode(t, charmap.ISO8859_6, "phone,name\n0501234567,محمد العلي\n"), contacts.ISO88596, "line 2 reads \"محمد العلي\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := open(tt.file, contacts.Format{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Reader(contacts.Options{Region: "SA"})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if remarks := strings.Join(campaign.Strings(r.Remarks()), ""); f.Format().Encoding != tt.want || !strings.Contains(remarks, "is a guess: "+tt.told) {
				t.Errorf("%s: %s", f.Format().Encoding, remarks)
			}
			for row, err := range r.All() {
				if err != nil || row.Refusal.Reason != "" {
					t.Errorf("line %d: %v %v", row.Line, row.Refusal, err)
				}
			}
			again, err := open(tt.file, contacts.Format{Encoding: tt.want})
			if err != nil {
				t.Fatal(err)
			}
			asked, err := again.Reader(contacts.Options{Region: "SA"})
			if err != nil {
				t.Fatal(err)
			}
			defer asked.Close()
			if len(asked.Remarks()) > 0 {
				t.Errorf("asked for, and told: %q", asked.Remarks())
			}
		})
	}
}

func mustEncode(t *testing.T, e *charmap.Charmap, text string) []byte {
	t.Helper()
	out, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A NUL or control character costs at most a line, in small and large files, wherever
// it stands.
func TestAControlCharacterNeverCostsTheFile(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"in the first rows", "phone,name\n0501234567,A\x00B\n0501234568,C\n", []string{"2 a NUL character: 0501234567,A\ufffdB", "3 0501234568|C"}},
		{"in the number", "phone,name\n0501\x00234567,A\n0501234568,C\n", []string{"2 a NUL character: 0501\ufffd234567,A", "3 0501234568|C"}},
		{"a bell in a name", "phone,name\n0501234567,A\x07\n0501234568,C\n", []string{"2 0501234567|A\x07", "3 0501234568|C"}},
		{"a bell in the number", "phone,name\n0501\x07234567,A\n0501234568,C\n", []string{"2 not a phone number: 0501\x07234567|A", "3 0501234568|C"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for kind, file := range map[string][]byte{
				"UTF-8": []byte(tt.file), "UTF-16 with a mark": encoded(contacts.UTF16LE, bom+tt.file),
				"Windows-1256": append([]byte(tt.file), mustEncode(t, charmap.Windows1256, "0501234569,محمد العتيبي\n")...),
			} {
				_, rows, err := readFile(file, contacts.Format{})
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if diff := cmp.Diff(tt.want, rows[:2]); diff != "" {
					t.Errorf("%s: (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
	file := "phone,name\n" + strings.Repeat("0501234567,Sara\n", 20_000) + "0501234568,\x00\n0501234569,last\n"
	_, rows, err := readFile([]byte(file), contacts.Format{})
	if err != nil || len(rows) != 20_002 || !strings.HasSuffix(rows[20_001], "|last") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
