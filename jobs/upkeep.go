package jobs

import (
	"context"
	"errors"
	"strings"

	"github.com/hibiken/asynq"
)

// sample adds to the series of every campaign.
func (w *Worker) sample(ctx context.Context) error {
	names, err := w.cfg.Store.Names(ctx)
	if err != nil {
		return err
	}
	now, err := w.cfg.Store.Now(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if _, err := w.cfg.Store.TakeSample(ctx, name, now); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// emptyArchives deletes archived tasks: asynq v0.26 fails when too many of them
// grow old together. Nothing is lost with them, a task authorises nothing.
func (w *Worker) emptyArchives(context.Context) error {
	var errs []error
	for _, a := range w.agents {
		for lane := range lanes {
			queue := queueName(a.name, lane)
			if _, err := w.queue.inspector.DeleteAllArchivedTasks(queue); err != nil && !isQueueMissing(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// isQueueMissing reports whether asynq has never seen the queue. DeleteAll…Tasks
// of v0.26 has no sentinel for that.
func isQueueMissing(err error) bool {
	return errors.Is(err, asynq.ErrQueueNotFound) || strings.Contains(err.Error(), "does not exist")
}
