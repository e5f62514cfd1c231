package jobs

import (
	"context"
	"errors"
	"unicode/utf8"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents/mask"
)

// maxSuppressReason bounds the reason for a change of the do-not-contact list, in bytes.
const maxSuppressReason = 300

// Suppress puts numbers on the do-not-contact list and returns how many were new there. No
// request that begins afterwards contacts them. The reason stands in the list's log.
func (q *Queue) Suppress(ctx context.Context, phones []campaign.Phone, reason string) (added int, err error) {
	return q.changeList(ctx, phones, true, reason, q.store.Suppress)
}

// Unsuppress takes numbers off the do-not-contact list and returns how many were on it.
func (q *Queue) Unsuppress(ctx context.Context, phones []campaign.Phone, reason string) (removed int, err error) {
	return q.changeList(ctx, phones, false, reason, q.store.Unsuppress)
}

func (q *Queue) changeList(ctx context.Context, phones []campaign.Phone, add bool, reason string, change func(context.Context, []campaign.Phone) (int, error)) (int, error) {
	if len(reason) > maxSuppressReason || !utf8.ValidString(reason) {
		return 0, errors.New("do-not-contact list: the reason is too long, or no text")
	}
	changed, err := change(ctx, phones)
	if changed > 0 { // also if others could not be
		entry := store.Suppression{By: q.by, Added: add, Numbers: changed, Reason: mask.Numbers(reason)}
		if err := q.store.LogSuppression(context.WithoutCancel(ctx), entry); err != nil {
			q.log.WarnContext(ctx, "change of the do-not-contact list not logged", "by", store.Who(q.by), "added", add, "numbers", changed, "error", err)
		}
	}
	return changed, err
}
