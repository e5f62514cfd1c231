package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
)

// A contact file that is the results of a campaign is known by the names of these columns.
func TestOurColumnsAreThoseOfResults(t *testing.T) {
	all := campaign.Campaign{Erased: 1}
	all.Settings.Then, all.Settings.TicketRules, all.Settings.TicketReplies = make([]campaign.Ladder, 1), make(campaign.Rules, 1), true
	var names []string
	for _, c := range ourColumns(all) {
		names = append(names, c.name)
	}
	if diff := cmp.Diff(campaign.ResultColumns, names); diff != "" {
		t.Errorf("(-campaign.ResultColumns +ourColumns):\n%s", diff)
	}
}
