package contacts_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

var update = flag.Bool("update", false, "rewrite the demo's files in testdata")

const (
	demoFile       = "../../testdata/contacts-2000.csv"
	suppressedFile = "../../testdata/do-not-contact.csv"
)

// The demo's files are what demo makes, and are read as it intends.
func TestDemoFiles(t *testing.T) {
	file, suppressed, want := demo()
	for name, content := range map[string][]byte{demoFile: file, suppressedFile: suppressed} {
		if *update {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, content) {
			t.Errorf("%s is not up to date: go test ./contacts -run TestDemoFiles -update", name)
		}
	}
	list, err := contacts.ReadNumbers(bytes.NewReader(suppressed), contacts.Options{Region: "SA"})
	if err != nil || len(list.Unreadable()) > 0 {
		t.Fatalf("suppression list: %v, %v", list.Unreadable(), err)
	}
	r, _, err := readAll(string(file), contacts.Options{Region: "SA", Suppressed: suppress(list.Has)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, plain(r.Counts())); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// demo returns a contact list like those of marketing teams, a suppression list, and
// what comes of both. All its numbers begin with 052, a range that Saudi Arabia does
// not use: the list reaches no person even if it is sent by mistake.
func demo() (file, suppressed []byte, want campaign.Counts) {
	const rows = 2000
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"محمد العتيبي", "نورة القحطاني", "عبدالله الشهري", "سارة الحربي", "فهد الدوسري", "ريم الغامدي", "خالد الزهراني", "لمى المطيري",
		"Omar Haddad", "Layla Nasser", "Yousef Karim", "Sara Ahmed", "Daniel Brown", "Maria Lopez", `Hana "Um Ali" Saleh`}
	companies := []string{"شركة النور", "مؤسسة الأفق", "مجموعة الواحة", "Najd Trading", "Red Sea Logistics", "Palm & Co., Ltd", "مطاعم البيت"}
	cities := []string{"الرياض", "جدة", "الدمام", "Mecca", "Medina", "Abha", "Tabuk"}
	bad := []struct {
		reason contacts.Reason
		row    string
	}{
		{contacts.TooShort, "0520123,%s\n"},
		{contacts.NotANumber, "غير معروف,%s\n"},
		{contacts.Duplicate, ""},
		{contacts.TooManyCells, "0529000001,%s,extra\n"},
		{contacts.EmptyLine, "\n"},
		{contacts.Scientific, "9.66529E+11,%s\n"},
		{contacts.EmptyNumber, ",%s\n"},
		{contacts.TwoNumbers, "0529000002 / 0529000003,%s\n"},
		{contacts.TooLong, "+9665290000031234,%s\n"},
		{contacts.BrokenQuotes, "0529000004,\"%s\n"},
		{contacts.NotANumber, "call reception,%s\n"},
		{contacts.EmptyLine, ",,,\n"},
	}
	pick := func(from []string) string {
		cell := from[random.IntN(len(from))]
		if strings.ContainsAny(cell, `",`) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		return cell
	}
	var out, stop bytes.Buffer
	out.WriteString("phone,name,company,city\n")
	stop.WriteString("phone,reason\n")
	want = campaign.Counts{Rows: rows, Refused: make(map[string]int)}
	first := ""
	for i := range rows {
		values := pick(names) + "," + pick(companies) + "," + pick(cities)
		if i%80 == 79 {
			b := bad[i/80%len(bad)]
			want.Refused[string(b.reason)]++
			switch {
			case b.reason == contacts.Duplicate:
				want.Duplicates++
				fmt.Fprintf(&out, "%s,%s\n", first, values)
				continue
			case strings.Contains(b.row, "%s"):
				fmt.Fprintf(&out, b.row, values)
			default:
				out.WriteString(b.row)
			}
			want.Invalid++
			continue
		}
		number := fmt.Sprintf("52%07d", i*4973)
		if first == "" {
			first = "0" + number
		}
		if i%400 == 200 {
			fmt.Fprintf(&stop, "0%s,asked to stop\n", number)
			want.Suppressed++
			want.Refused[string(contacts.Suppressed)]++
		} else {
			want.Contacts++
		}
		fmt.Fprintf(&out, "%s,%s\n", written(number, random.IntN(10)), values)
	}
	return out.Bytes(), stop.Bytes(), want
}

// written is a Saudi number in one of the usual spellings.
func written(number string, way int) string {
	switch way {
	case 0, 1, 2:
		return "0" + number
	case 3:
		return "00966" + number
	case 4:
		return "+966 " + number[:2] + " " + number[2:5] + " " + number[5:]
	case 5:
		return strings.Map(func(r rune) rune { return r - '0' + '٠' }, "0"+number)
	case 6:
		return "0" + number[:2] + "-" + number[2:5] + "-" + number[5:]
	default:
		return "+966" + number
	}
}
