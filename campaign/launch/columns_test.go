package launch

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

const placedList = "name,Country Code,Phone Number\nA,+966,501234567\nB,+971,501234568\nC,+20,1001234567\nD,+966,+971501234569\n"

// The column that says whose country a number is of stands in the summary and goes on
// to hold for what is appended, even where most of it contradicts, as rejects do.
func TestACountryColumnIsToldAndKept(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", placedList))
	req.Settings.Region = "SA"
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{
		Rows: 4, Contacts: 3, Invalid: 1, Refused: map[string]int{"number of another country than its row says": 1},
		Countries: map[string]int{"SA": 1, "AE": 1, "EG": 1},
	}
	if diff := cmp.Diff(want, got.Counts); diff != "" || got.CountryCode != "Country Code" || got.CountryColumn != "" {
		t.Errorf("by %q and %q, counts (-want +got):\n%s", got.CountryCode, got.CountryColumn, diff)
	}
	again, err := l.Launch(t.Context(), req)
	if err != nil || again.CountryCode != "Country Code" || cmp.Diff(want, again.Counts) != "" {
		t.Errorf("again: %+v, %v", again, err)
	}

	more := Request{Name: "spring", File: write(t, "more.csv", "name,Country Code,Phone Number\nD,+971,501234569\nE,+20,+966501234561\nF,+20,+966501234562\n")}
	added, err := l.Append(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"AE": 1}, added.Countries); diff != "" || added.Contacts != 1 {
		t.Errorf("appended %+v:\n%s", added.Counts, diff)
	}
	c, err := l.Store.Campaign(t.Context(), "spring")
	if diff := cmp.Diff(map[string]int{"SA": 1, "AE": 2, "EG": 1}, c.Counts.Countries); diff != "" || err != nil {
		t.Errorf("%v, in all (-want +got):\n%s", err, diff)
	}
}

// A flag that changes who is contacted makes another load of it.
func TestHowNumbersAreReadBelongsToTheFingerprint(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", placedList))
	req.Settings.Region = "SA"
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for flag, change := range map[string]func(*Request){
		"--country-code-column": func(r *Request) { r.Settings.Reading.CountryCodeColumn = "none" },
		"--country-column":      func(r *Request) { r.Settings.Reading.CountryColumn = "none" },
		"--strict-numbers":      func(r *Request) { r.Settings.Reading.StrictNumbers = true },
		"--two-numbers":         func(r *Request) { r.Settings.Reading.FirstOfTwo = true },
		"another file":          func(r *Request) { r.Format.HeaderLine = 1 },
	} {
		other := req
		change(&other)
		if _, err := l.Launch(t.Context(), other); !errors.Is(err, store.ErrExists) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestSeveralPhoneColumnsHoldForAppendsToo(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", "name,Mobile,Home\nA,0501234567,\nB,,0112345678\nC,0501234568,0112345679\n"))
	req.Settings.Region, req.Settings.Reading.PhoneColumns = "SA", []string{"Mobile", "Home"}
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"Mobile": 2, "Home": 1}, got.PhoneColumns); diff != "" || got.Contacts != 3 {
		t.Errorf("%d contacts, by column (-want +got):\n%s", got.Contacts, diff)
	}
	added, err := l.Append(t.Context(), Request{Name: "spring", File: write(t, "more.csv", "name,Mobile,Home\nD,,0112345670\n")})
	if err != nil || added.Contacts != 1 {
		t.Errorf("%+v, %v", added, err)
	}
}

// Numbers of a suppression list are read with the countries beside them, and its own
// columns are found even where those of the contact file were named.
func TestSuppressionListsOfALaunchHaveCountries(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", "From,Phone\n+966,501234567\n+971,501234568\n"))
	req.Settings.Region, req.Settings.Reading.CountryCodeColumn = "SA", "From"
	req.Suppress = []string{write(t, "stop.csv", "Mobile,Country\n501234568,UAE\n")}
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got.Contacts != 1 || got.Suppressed != 1 {
		t.Errorf("%+v", got.Counts)
	}
	if told := strings.Join(got.Warnings, "\n"); !strings.Contains(told, `stop.csv: column "Country" gives the country of the numbers`) {
		t.Errorf("warnings %s", told)
	}
	req.File = write(t, "~$list.csv", "x")
	if _, err := l.Launch(t.Context(), req); err == nil || !strings.Contains(err.Error(), "lock file") {
		t.Errorf("error %v", err)
	}
}
