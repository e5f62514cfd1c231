package report

import (
	"cmp"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
)

// waitingFor says why a campaign does not move.
func waitingFor(s Summary, loadUntil, startAt, now time.Time) campaign.Message {
	if !s.Unapproved() {
		return waitingToGo(s, loadUntil, startAt, now)
	}
	unapproved := s.Approval.Waits(s.Campaign)
	if s.State == campaign.Running {
		return unapproved
	}
	return campaign.Say(campaign.MsgAndUnapproved, "what", waitingToGo(s, loadUntil, startAt, now), "unapproved", unapproved)
}

// waitingToGo says why a campaign does not move that waits for no approval.
func waitingToGo(s Summary, loadUntil, startAt, now time.Time) campaign.Message {
	switch {
	case s.State == campaign.Loading && now.After(loadUntil):
		return campaign.Say(campaign.MsgLoadDied)
	case s.State == campaign.Loading:
		return campaign.Say(campaign.MsgLoading)
	case s.State == campaign.Scheduled:
		return campaign.Say(campaign.MsgScheduled, "start", startAt, "campaign", s.Campaign)
	case s.State == campaign.Ready:
		return campaign.Say(campaign.MsgToStart, "reason", cmp.Or(s.StateReason, campaign.Say(campaign.MsgWaitsPerson)), "campaign", s.Campaign)
	case s.State == campaign.Paused:
		return campaign.Say(campaign.MsgPaused, "reason", cmp.Or(s.StateReason, campaign.Say(campaign.MsgByPerson)), "campaign", s.Campaign)
	case s.State == campaign.Running && s.Workers == 0:
		return campaign.Say(campaign.MsgNoWorker, "agent", s.Agent)
	case s.State == campaign.Running && s.States.Open() == 0:
		return campaign.Say(campaign.MsgRungs)
	}
	return campaign.Message{}
}

// queueWait says that the queue of a campaign is paused.
func queueWait(s Summary, lane campaign.Lane, paused []campaign.Lane) campaign.Message {
	if s.States.Open() == 0 || !slices.Contains(paused, lane) {
		return campaign.Message{}
	}
	return campaign.Say(campaign.MsgQueuePaused, "lane", lane, "agent", s.Agent)
}

// quotaWait says that a campaign waits for its quota.
func quotaWait(s Summary, quota store.Quota, now time.Time) campaign.Message {
	wait, sending := quota.Wait(now), s.States.In(campaign.Sending)
	switch {
	case s.States.In(campaign.Pending) == 0:
		return campaign.Message{}
	case quota.Probing && !quota.Blocked: // everything waits for the request under way, as long as that may take
		return campaign.Say(campaign.MsgQuotaProbing)
	case wait == 0, !quota.Blocked && (wait < worthTelling || sending > 0):
		return campaign.Message{}
	case quota.Blocked && wait >= worthLifting:
		return campaign.Say(campaign.MsgQuotaBlocked, "reason", quota.Reason, "next", quota.Next, "agent", s.Agent)
	}
	return campaign.Say(campaign.MsgQuota, "reason", quota.Reason, "next", quota.Next)
}

// worthTelling is the shortest wait for the quota that is shown, unless nothing may
// be sent: shorter ones only spread the requests over their window.
const worthTelling = 5 * time.Second

// worthLifting is the shortest block for which people are shown how to lift it.
const worthLifting = 2 * time.Minute

// heldFor is why most of the held contacts are, as far as workers have written it down.
func heldFor(reasons []Reason) campaign.Message {
	for _, r := range reasons { // those of the most contacts first
		if r.State == campaign.Pending.String() && r.Reason.NeedsPerson() {
			return r.Reason
		}
	}
	return campaign.Say(campaign.MsgNoZone)
}

// hoursWait says that no contact may be sent now.
func hoursWait(o Overview, w plan.Work, forecast plan.Plan, pending int) campaign.Message {
	switch {
	case o.States.In(campaign.Sending) > 0:
	case forecast.Begins.IsZero() && forecast.Held > 0:
		return campaign.Say(campaign.MsgAllHeld, "contacts", pending, "reason", heldFor(o.Reasons), "campaign", o.Campaign)
	}
	return restWait(o.Summary, w, o.Opens)
}

// restWait says that a campaign rests until a time, for its hours or its daily cap; zero: it
// does not.
func restWait(s Summary, w plan.Work, opens time.Time) campaign.Message {
	switch {
	case s.States.In(campaign.Sending) > 0 || opens.IsZero():
	case w.PerDay > 0 && w.Today >= w.PerDay:
		return campaign.Say(campaign.MsgDailyCap, "cap", w.PerDay, "opens", opens)
	default:
		return campaign.Say(campaign.MsgOutsideHours, "opens", opens)
	}
	return campaign.Message{}
}

// rests makes wait what a campaign waits for, unless something else keeps it longer.
func (s *Summary) rests(wait campaign.Message, opens time.Time, quota store.Quota) {
	blocked := quota.Blocked && !opens.After(quota.Next)
	if !wait.IsZero() && (s.WaitingFor.IsZero() || s.Paced && !blocked) {
		s.WaitingFor, s.Paced = wait, false
	}
}
