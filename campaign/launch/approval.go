package launch

import (
	"context"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// tellApproval says in a summary that the campaign waits for approval; after a dry run with
// that many contacts, that it would.
func (l *Launcher) tellApproval(ctx context.Context, s *Summary, contacts int) error {
	if l.Store == nil {
		return nil
	}
	if s.DryRun {
		policy, err := l.Store.Policy(ctx)
		if above := policy.ApproveAbove; above > 0 && contacts > above {
			s.Unapproved = true
			s.say(campaign.Say(campaign.MsgWillWait, "above", above, "maker", store.Who(l.By), "campaign", s.Campaign))
		}
		return err
	}
	c, err := l.Store.Campaign(ctx, s.Campaign)
	if err == nil && c.Approval.Wanted {
		s.Unapproved = true
		s.say(c.Approval.Waits(c.Name))
	}
	return err
}
