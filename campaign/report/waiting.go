package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
)

// waitingFor is a sentence that says why a campaign does not move.
func waitingFor(s Summary, loadUntil, startAt, now time.Time) string {
	switch {
	case s.State == campaign.Loading && now.After(loadUntil):
		return "its enqueue has stopped; run it again"
	case s.State == campaign.Loading:
		return "its contact file is still being loaded"
	case s.State == campaign.Scheduled:
		return fmt.Sprintf("it starts at %s; start it now with: campaign start %s", Moment(startAt), s.Campaign)
	case s.State == campaign.Ready:
		return fmt.Sprintf("%s; start it with: campaign start %s", cmp.Or(s.StateReason, "it waits for a person"), s.Campaign)
	case s.State == campaign.Paused:
		return fmt.Sprintf("paused: %s; go on with: campaign resume %s", cmp.Or(s.StateReason, "by a person"), s.Campaign)
	case s.States.Open() > 0 && s.Workers == 0:
		return fmt.Sprintf("no live worker serves agent %s (start one with: worker --agents %[1]s)", s.Agent)
	}
	return ""
}

// queueWait is a sentence that says that a campaign's queue is paused.
func queueWait(s Summary, lane campaign.Lane, paused []campaign.Lane) string {
	if s.States.Open() == 0 || !slices.Contains(paused, lane) {
		return ""
	}
	return fmt.Sprintf("the %s queue of agent %s is paused in the asynq UI; resume it there", lane, s.Agent)
}

// quotaWait is a sentence that says that a campaign waits for its quota.
func quotaWait(s Summary, quota store.Quota, now time.Time) string {
	wait, sending := quota.Wait(now), s.States.In(campaign.Sending)
	switch {
	case s.States.In(campaign.Pending) == 0:
		return ""
	case quota.Probing && !quota.Blocked: // everything waits for the request under way, as long as that may take
		return "waiting for the quota: an answer was lost; one contact a request, one after another, until one succeeds"
	case wait == 0:
		return ""
	case !quota.Blocked && (wait < worthTelling || sending > 0):
		return ""
	}
	text := fmt.Sprintf("waiting for the quota: %s; the next request leaves at %s", quota.Reason, Clock(quota.Next, now))
	if quota.Blocked && wait >= worthLifting {
		text += fmt.Sprintf("; sooner with: campaign agents unblock %s", s.Agent)
	}
	return text
}

// worthTelling is the shortest wait for the quota that is shown, unless nothing may
// be sent: shorter ones only spread the requests over their window.
const worthTelling = 5 * time.Second

// worthLifting is the shortest block for which people are shown how to lift it.
const worthLifting = 2 * time.Minute

// hoursWait is a sentence that says that no contact may be sent now.
func hoursWait(o Overview, w plan.Work, forecast plan.Plan, pending int) string {
	switch {
	case o.States.In(campaign.Sending) > 0:
		return ""
	case forecast.Begins.IsZero() && forecast.Held > 0:
		return fmt.Sprintf("%s cannot be contacted: %s; end it with: campaign cancel %s", Count(pending, "contact is left that", "contacts are left that"), hours.NoZoneReason, o.Campaign)
	case !o.Opens.IsZero() && w.PerDay > 0 && w.Today >= w.PerDay:
		return fmt.Sprintf("its daily cap of %s is reached; it goes on at %s", Count(w.PerDay, "contact", "contacts"), Moment(o.Opens))
	case !o.Opens.IsZero():
		return fmt.Sprintf("outside its hours; the next contacts may be sent at %s", Moment(o.Opens))
	}
	return ""
}
