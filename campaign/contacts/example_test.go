package contacts_test

import (
	"fmt"
	"strings"

	"campaign-runner/campaign/contacts"
)

func Example() {
	file := strings.NewReader("الاسم,رقم الجوال\n" +
		"سارة,050 123 4567\n" +
		"Omar,+966501234567\n" +
		"Ali,none\n")
	r, err := contacts.NewReader(file, contacts.Options{Region: "SA"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range r.All() {
		switch {
		case err != nil:
			fmt.Println(err)
		case row.Refusal.Reason != "":
			fmt.Printf("line %d: %v\n", row.Line, row.Refusal)
		default:
			fmt.Printf("line %d: %v\n", row.Line, row.Phone) // masked; Phone.E164 is the number
		}
	}
	fmt.Println(r.Counts().Contacts, "of", r.Counts().Rows)
	// Output:
	// line 2: +…4567
	// line 3: duplicate of line 2
	// line 4: not a phone number
	// 1 of 3
}
