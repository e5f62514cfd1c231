package launch

import (
	"slices"
	"strings"
	"testing"

	"campaign-runner/internal/redistest"
)

func TestALargeListWaitsForApproval(t *testing.T) {
	l, _, more := appended(t, redistest.Shared(t)) // 25 contacts, and two more
	st := stored(l)
	if err := st.SetPolicy(t.Context(), 26, ""); err != nil {
		t.Fatal(err)
	}
	l.By = "Omar"
	told := func(s Summary, text string) {
		t.Helper()
		if !s.Unapproved || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, text) }) {
			t.Errorf("%+v", s)
		}
	}
	more.DryRun = true
	s, err := l.Append(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	told(s, "with more than 26 contacts it waits for the approval of somebody else than Omar: campaign approve spring")
	if c, err := st.Campaign(t.Context(), "spring"); err != nil || c.Approval.Wanted || c.Approval.Revision != 1 {
		t.Errorf("after a dry run: %+v, %v", c.Approval, err)
	}
	more.DryRun = false
	for range 2 { // the same again tells the same
		s, err := l.Append(t.Context(), more)
		if err != nil {
			t.Fatal(err)
		}
		told(s, "it waits for approval by somebody else than ")
	}
	c, err := st.Campaign(t.Context(), "spring")
	if err != nil || !c.Approval.Wanted || len(c.Approval.Makers) != 2 || c.Approval.Makers[1] != "Omar" || c.Approval.Revision != 2 {
		t.Errorf("%+v, %v", c.Approval, err)
	}
	if !c.Approval.MadeBy("omar") || c.Approval.MadeBy("nora") {
		t.Errorf("%+v", c.Approval)
	}
}
