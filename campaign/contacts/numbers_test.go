package contacts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

func TestReadNumbers(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		opt        contacts.Options
		want       []campaign.Phone
		unreadable map[contacts.Reason]int
	}{
		{"one a line", "+966501234567\n0501234568\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567, 966501234568}, nil},
		{"one a line, with a byte order mark and empty lines", "\ufeff0501234567\n\n0501234567\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567}, nil},
		{"a header", "name,phone\nSara,0501234567\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567}, nil},
		{"a header that names the only column otherwise", "asked to stop\n0501234567\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567}, nil},
		{"a column asked for", "a,b\n1,+966501234567\n", contacts.Options{Reading: asking("b")}, []campaign.Phone{966501234567}, nil},
		{"a second number that is told by its last digits", "0501234567/8\n0501234511 / 24\n", contacts.Options{Region: "SA"},
			[]campaign.Phone{966501234567, 966501234568, 966501234511, 966501234524}, nil},
		{"lines of no use", "0501234567\nSara\n050\n0501234568,x\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567},
			map[contacts.Reason]int{contacts.NotANumber: 1, contacts.TooShort: 1, contacts.TooManyCells: 1}},
		{"the first line of no use", "12345\n0501234567\n", contacts.Options{Region: "SA"}, []campaign.Phone{966501234567}, map[contacts.Reason]int{contacts.TooShort: 1}},
		{"an empty list", "phone\n", contacts.Options{}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			numbers, err := contacts.ReadNumbers(strings.NewReader(tt.file), tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			if numbers.Len() != len(tt.want) {
				t.Errorf("%d numbers, want %d", numbers.Len(), len(tt.want))
			}
			for _, p := range tt.want {
				if !numbers.Has(p) {
					t.Errorf("%v is missing", p)
				}
			}
			if numbers.Has(966509999999) {
				t.Error("has a number that is not in the file")
			}
			if tt.unreadable == nil {
				tt.unreadable = map[contacts.Reason]int{}
			}
			if diff := cmp.Diff(tt.unreadable, numbers.Unreadable()); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumbersThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		opt        contacts.Options
		want       string
	}{
		{"empty", "", contacts.Options{}, "the file is empty"},
		{"no header and two columns", "0501234567,Sara\n", contacts.Options{}, "line 1 holds a number"},
		{"no phone column", "a,b\n", contacts.Options{}, "no phone column"},
		{"the column asked for is missing", "phone\n", contacts.Options{Reading: asking("b")}, `no column "b"`},
		{"a header of broken quotes", "\"phone\n", contacts.Options{}, "line 1: broken quotes"},
		{"a header with other separators", "phone;name\n", contacts.Options{}, "semicolons"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := contacts.ReadNumbers(strings.NewReader(tt.file), tt.opt); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// A line that is not text counts as a line without a usable number.
func TestALineOfAListThatIsNotUTF8IsReported(t *testing.T) {
	numbers, err := contacts.ReadNumbers(strings.NewReader("phone,name\n+966501234567,A\n+966501234568,\xff\n"), contacts.Options{})
	if err != nil || numbers.Len() != 1 || numbers.Unreadable()[contacts.NotUTF8] != 1 {
		t.Errorf("%d numbers, %v, %v", numbers.Len(), numbers.Unreadable(), err)
	}
}
