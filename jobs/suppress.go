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
	return q.changeList(ctx, phones, store.Suppression{Added: true, Reason: reason}, q.store.Suppress)
}

// Unsuppress takes numbers off the do-not-contact list and returns how many were on it.
func (q *Queue) Unsuppress(ctx context.Context, phones []campaign.Phone, reason string) (removed int, err error) {
	return q.changeList(ctx, phones, store.Suppression{Reason: reason}, q.store.Unsuppress)
}

// changeList changes the do-not-contact list and logs what came of it, as this entry.
func (q *Queue) changeList(ctx context.Context, phones []campaign.Phone, entry store.Suppression, change func(context.Context, []campaign.Phone) (int, error)) (changed int, err error) {
	if len(entry.Reason) > maxSuppressReason || !utf8.ValidString(entry.Reason) {
		return 0, errors.New("do-not-contact list: the reason is too long, or no text")
	}
	changed, err = change(ctx, phones)
	if changed == 0 {
		return 0, err
	}
	// Some have changed, even if others could not be.
	entry.By, entry.Numbers, entry.Reason = q.by, changed, mask.Numbers(entry.Reason)
	if err := q.store.LogSuppression(context.WithoutCancel(ctx), entry); err != nil {
		q.log.WarnContext(ctx, "change of the do-not-contact list not logged", "by", store.Who(q.by), "added", entry.Added, "numbers", changed, "error", err)
	}
	return changed, err
}
