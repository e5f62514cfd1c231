package launch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

func rules(t testing.TB, parse func(string) (campaign.Rule, error), texts ...string) (all campaign.Rules) {
	t.Helper()
	for _, text := range texts {
		rule, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rule)
	}
	return all
}

// members are the numbers of a campaign, in its order.
func members(t testing.TB, st *store.Store, name string) (phones []campaign.Phone) {
	t.Helper()
	c, err := st.Campaign(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range c.Chunks {
		chunk, err := st.ReadChunk(t.Context(), store.Ref{Campaign: name, Chunk: n})
		if err != nil {
			t.Fatal(err)
		}
		for _, contact := range chunk.Contacts {
			phones = append(phones, contact.Phone)
		}
	}
	if found, err := st.Verify(t.Context(), name); err != nil || len(found.Problems) > 0 {
		t.Errorf("verify %s: %+v, %v", name, found, err)
	}
	return phones
}

// A row that is not chosen is nothing: neither invalid nor the first of duplicates.
func TestRulesChooseRowsOfAFile(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", "phone,City\n+966500000001,Jeddah\n+966500000001, riyadh\n0501234567,Jeddah\n+966500000002,Riyadh\n+966500000003,\n0502234567,Riyadh\n"))
	req.Choice.Where = rules(t, campaign.ParseFileRule, "city=Riyadh")
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 6, Contacts: 2, Invalid: 1, NotChosen: 3, Refused: map[string]int{"not chosen": 3, "no country code (give --region)": 1}, Countries: map[string]int{"SA": 2}}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]campaign.Phone{966500000001, 966500000002}, members(t, stored(l), "spring")); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	listed, err := os.ReadFile(req.RejectsFile)
	if err != nil || strings.Count(string(listed), ",not chosen,") != 3 {
		t.Errorf("rejects: %v\n%s", err, listed)
	}

	req.Choice.Where = rules(t, campaign.ParseFileRule, "Town=Riyadh")
	req.Name = "other"
	if _, err := l.Launch(t.Context(), req); err == nil || !strings.Contains(err.Error(), "rule column.Town=Riyadh: there is no such column") {
		t.Errorf("an unknown column: %v", err)
	}
	req.Choice.Where, req.Name = nil, "spring"
	if _, err := l.Launch(t.Context(), req); err == nil || !strings.Contains(err.Error(), "mapping or choice") {
		t.Errorf("the same file with another choice: %v", err)
	}
}

// Rejects that are corrected and given back hold the rows that were not chosen, too, and
// those of people on the campaign's own suppression list.
func TestRowsThatWereLeftOutStayOut(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(20)+"0501234567,Bad,\n"))
	req.Choice.Limit = 5
	req.Suppress = []string{write(t, "stop.csv", "phone\n+966500000002\n")}
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	rejects, err := os.ReadFile(req.RejectsFile)
	if err != nil {
		t.Fatal(err)
	}
	more := request(t, write(t, "corrected.csv", strings.Replace(string(rejects), "0501234567", "+966501234567", 1)))
	got, err := l.Append(t.Context(), more)
	if err != nil || got.Contacts != 1 || got.NotChosen != 14 || got.Suppressed != 1 || !slices.ContainsFunc(got.Messages, func(m campaign.Message) bool { return m.Is(campaign.MsgReadNoStopList) }) {
		t.Errorf("appended %+v, %v", got.Counts, err)
	}
}

func TestARepeatedNumberBeyondTheLimitIsADuplicate(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(6)+"+966500000003,Again,\n"))
	req.Choice.Limit = 5
	if got, err := l.Launch(t.Context(), req); err != nil || got.Contacts != 5 || got.Duplicates != 1 || got.NotChosen != 1 {
		t.Errorf("%+v, %v", got.Counts, err)
	}
}

func TestSamplesAndTheRestShareNobody(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	list := people(300) + "0501234567,Bad,\n" + strings.Repeat("+966500000003,Again,\n", 5)
	launch := func(name, list string, choice Choice) []campaign.Phone {
		t.Helper()
		req := request(t, write(t, "list.csv", list))
		req.Name, req.Choice = name, choice
		got, err := l.Launch(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.Launch(t.Context(), req)
		if err != nil || again.Counts.Contacts != got.Contacts {
			t.Errorf("%s once more: %+v, %v", name, again.Counts, err)
		}
		phones := members(t, stored(l), name)
		if len(phones) != got.Contacts {
			t.Errorf("%s: %d contacts, told of %d", name, len(phones), got.Contacts)
		}
		return phones
	}
	sample := launch("a", list, Choice{Sample: 40})
	if len(sample) != 40 || !slices.IsSorted(sample) {
		t.Errorf("a sample of %d, in the order of the file: %v", len(sample), slices.IsSorted(sample))
	}
	if sample[0] > 966500000060 || sample[39] < 966500000240 {
		t.Errorf("the sample goes from %s to %s: it is not spread over the list", sample[0].E164(), sample[39].E164())
	}
	lines := strings.SplitAfter(list, "\n")
	slices.Reverse(lines[1 : len(lines)-1])
	turned := launch("turned", strings.Join(lines, ""), Choice{Sample: 40})
	slices.Sort(turned)
	if diff := cmp.Diff(sample, turned); diff != "" {
		t.Errorf("another order of the list gives another sample:\n%s", diff)
	}
	rest := launch("b", list, Choice{NotIn: []string{"a"}})
	both := append(slices.Clone(sample), rest...)
	slices.Sort(both)
	if len(rest) != 260 || len(slices.Compact(both)) != 300 {
		t.Errorf("the rest has %d, both %d", len(rest), len(both))
	}
	first := launch("c", list, Choice{NotIn: []string{"a"}, Sample: 100, Limit: 10})
	if len(first) != 10 || slices.ContainsFunc(first, func(p campaign.Phone) bool { return slices.Contains(sample, p) }) {
		t.Errorf("a limited sample of the rest: %d", len(first))
	}
	all := launch("d", list, Choice{Sample: 10_000})
	if len(all) != 300 {
		t.Errorf("a sample larger than the list: %d", len(all))
	}
}

func TestLaunchFromACampaign(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	ctx := t.Context()
	parent := request(t, write(t, "list.csv", "phone,Name,City\n0500000001,\"A\nB\",Riyadh\n٠٥٠٠٠٠٠٠٠٢,ب,Jeddah\n+966500000003,C,Riyadh\n0500000004,D,Riyadh\n"))
	parent.Settings.Region = "SA"
	if _, err := l.Launch(ctx, parent); err != nil {
		t.Fatal(err)
	}
	chunk, err := l.Store.ReadChunk(ctx, store.Ref{Campaign: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	reason, err := stored(l).ReasonCode(ctx, "spring", campaign.Text("the line was busy"))
	if err != nil {
		t.Fatal(err)
	}
	move := func(act store.Act, moves ...store.Move) {
		t.Helper()
		done, err := stored(l).Apply(ctx, chunk, store.Change{Act: act, Token: "w/1", ClaimTTL: time.Minute, Moves: moves})
		if err != nil || len(done.Refused) > 0 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	send := campaign.Move{Cause: campaign.Send, At: time.Now()}
	move(store.Begin, store.Move{Index: 0, Move: send}, store.Move{Index: 1, Move: send}, store.Move{Index: 3, Move: send})
	fail := campaign.Move{Cause: campaign.Fail, Reason: reason, At: time.Now()}
	move(store.Commit, store.Move{Index: 0, Move: fail}, store.Move{Index: 1, Move: fail}, store.Move{Index: 3, Move: campaign.Move{Cause: campaign.Accept, At: time.Now()}})

	child := request(t, "")
	child.Name, child.From = "again", "spring"
	child.Choice.Where = rules(t, campaign.ParseRule, "state=failed", "reason=busy", "column.city=riyadh")
	got, err := l.Launch(ctx, child)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 4, Contacts: 1, NotChosen: 3, Refused: map[string]int{"not chosen": 3}, Countries: map[string]int{"SA": 1}}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	copied, err := l.Store.ReadChunk(ctx, store.Ref{Campaign: "again"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"+966500000001", "A\nB", "Riyadh"}, copied.Contacts[0].Fields); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}

	// Its choice stays what it was, whatever becomes of the parent's contacts.
	move(store.Steer, store.Move{Index: 0, Move: campaign.Move{Cause: campaign.Rerun, Run: 1, At: time.Now()}})
	if again, err := l.Launch(ctx, child); err != nil || again.Contacts != 1 {
		t.Errorf("the same command once more: %+v, %v", again.Counts, err)
	}
	child.Choice.Where = child.Choice.Where[:1]
	if _, err := l.Launch(ctx, child); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("with other rules: %v", err)
	}
	child.Name = "third"
	child.Choice.Where = rules(t, campaign.ParseRule, "column.Town=x")
	if _, err := l.Launch(ctx, child); err == nil || !strings.Contains(err.Error(), `there are ["phone" "Name" "City"]`) {
		t.Errorf("an unknown column: %v", err)
	}
	child.From = "nobody"
	if _, err := l.Launch(ctx, child); err == nil || !strings.Contains(err.Error(), "--from: ") {
		t.Errorf("an unknown campaign: %v", err)
	}
}

// A campaign that follows up another leaves out whom a third one has contacted lately, and
// not those whom its parent has.
func TestAFollowUpLeavesOutWhomOthersContacted(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	ctx := t.Context()
	accepted := func(name string, people int) {
		t.Helper()
		chunk, err := l.Store.ReadChunk(ctx, store.Ref{Campaign: name})
		if err != nil {
			t.Fatal(err)
		}
		var begin, commit []store.Move
		var phones []campaign.Phone
		for i := range people {
			begin = append(begin, store.Move{Index: i, Move: campaign.Move{Cause: campaign.Send, At: time.Now()}})
			commit = append(commit, store.Move{Index: i, Move: campaign.Move{Cause: campaign.Accept, At: time.Now(), Recorded: true}})
			phones = append(phones, chunk.Contacts[i].Phone)
		}
		for _, change := range []store.Change{
			{Act: store.Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: begin},
			{Act: store.Commit, Token: "w/1", Moves: commit, Contacted: phones, ContactedAt: time.Now()},
		} {
			if _, err := stored(l).Apply(ctx, chunk, change); err != nil {
				t.Fatal(err)
			}
		}
	}
	parent := request(t, write(t, "list.csv", people(5)))
	other := request(t, parent.File)
	other.Name = "other"
	for _, req := range []Request{parent, other} {
		if _, err := l.Launch(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	accepted(parent.Name, 4)
	accepted("other", 1)
	child := request(t, "")
	child.Name, child.From, child.Settings.SkipContactedDays = "again", parent.Name, 7
	got, err := l.Launch(ctx, child)
	want := map[string]int{string(contacts.Recent): 1}
	if diff := cmp.Diff(want, got.Refused); err != nil || diff != "" || got.Contacts != 4 {
		t.Errorf("%v, %d contacts, refused (-want +got):\n%s", err, got.Contacts, diff)
	}
	if c, err := l.Store.Campaign(ctx, "again"); err != nil || c.Settings.FollowsUp != parent.Name || c.Settings.FollowsUpFrom.IsZero() || c.Settings.FollowsUpFrom.After(c.CreatedAt) {
		t.Errorf("follows up %q since %v, %v", c.Settings.FollowsUp, c.Settings.FollowsUpFrom, err)
	}
	if again, err := l.Launch(ctx, child); err != nil || again.Contacts != 4 {
		t.Errorf("the same command again: %+v, %v", again, err)
	}
	warned := []string{"campaign " + parent.Name + " is still to contact 1 of these: those that it contacts first are left out"}
	if diff := cmp.Diff(warned, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	list := child
	list.Name, list.From, list.File = "list", "", parent.File
	if got, err := l.Launch(ctx, list); err != nil || got.Refused[string(contacts.Recent)] != 4 {
		t.Errorf("of a file: %+v, %v", got.Refused, err)
	}
}

// The sampler takes exactly as many as it is asked for, whatever the numbers.
func TestSampler(t *testing.T) {
	for _, size := range []int{1, 2, 50, 99, 100, 101} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l, _ := newLauncher(redistest.Shared(t))
			req := request(t, write(t, "list.csv", people(100)))
			req.Choice.Sample = size
			got, err := l.Launch(t.Context(), req)
			if err != nil || got.Contacts != min(size, 100) || got.Refused[string(contacts.NotChosen)] != 100-got.Contacts {
				t.Errorf("%+v, %v", got.Counts, err)
			}
		})
	}
}
