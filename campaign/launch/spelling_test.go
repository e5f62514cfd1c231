package launch

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

// Mexico, Brazil and Argentina write a number in two ways. It is one person to a file,
// to what is appended to it, to suppression files and to the do-not-contact list; the
// number that is called is the one in the file.
func TestAPersonWithTwoSpellingsIsLoadedOnce(t *testing.T) {
	ctx := t.Context()
	l, _ := newLauncher(redistest.Shared(t))
	if _, err := stored(l).Suppress(ctx, []campaign.Phone{525511111111}); err != nil {
		t.Fatal(err)
	}
	req := request(t, write(t, "list.csv", "phone,name\n"+
		"+5215512345678,Ana\n"+
		"+525512345678,Ana again\n"+
		"+551187654321,Bia\n"+
		"+5511987654321,Bia again\n"+
		"+5491123456789,Ciro\n"+
		"+541123456789,Ciro again\n"+
		"+5215511111111,Dora said STOP\n"+
		"+552187654321,Eva is in a file\n"+
		"+966500000001,Fay\n"))
	req.Suppress = []string{write(t, "stop.csv", "+5521987654321\n")}
	req.Settings.WebhookURL = "https://example.org"
	got, err := l.Launch(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 9, Contacts: 4, Duplicates: 3, Suppressed: 2, Refused: map[string]int{
		"duplicate": 3, "on the do-not-contact list": 1, "on a suppression list": 1,
	}, Countries: map[string]int{"AR": 1, "BR": 1, "MX": 1, "SA": 1}}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	more := Request{Name: "spring", RejectsFile: filepath.Join(t.TempDir(), "rejects.csv"),
		File: write(t, "more.csv", "phone,name\n+525512345678,Ana\n+5511987654321,Bia\n+541123456789,Ciro\n+525587654321,Gil\n")}
	added, err := l.Append(ctx, more)
	if err != nil {
		t.Fatal(err)
	}
	if added.Counts.Contacts != 1 || added.Counts.Duplicates != 3 {
		t.Errorf("appended: %+v", added.Counts)
	}
	c, err := l.Store.Campaign(ctx, "spring")
	if err != nil {
		t.Fatal(err)
	}
	var called []string
	for n := range c.Chunks {
		chunk, err := l.Store.ReadChunk(ctx, store.Ref{Campaign: "spring", Chunk: n})
		if err != nil {
			t.Fatal(err)
		}
		for _, contact := range chunk.Contacts {
			called = append(called, contact.Phone.E164())
		}
	}
	if want := []string{"+5215512345678", "+551187654321", "+5491123456789", "+966500000001", "+525587654321"}; !slices.Equal(called, want) {
		t.Errorf("called: %v, want %v", called, want)
	}
	places, err := stored(l).FindAll(ctx, c, []campaign.Phone{525512345678, 5215587654321})
	if err != nil || places[525512345678] != 0 || places[5215587654321] != 10 {
		t.Errorf("found at %v, %v", places, err)
	}
}
