package launch

import (
	"os"
	"strings"
	"testing"

	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

// A campaign that was purged is still known by its name: nobody is loaded again.
func TestAPurgedCampaignIsNotLoadedAgain(t *testing.T) {
	rdb := redistest.Shared(t)
	l, queue := newLauncher(rdb)
	req := request(t, write(t, "list.csv", people(25)+",,\n"))
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if err := jobs.NewQueue(stored(l), nil).Purge(t.Context(), "spring", true); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(req.RejectsFile); err != nil {
		t.Fatal(err)
	}
	queue.names = nil
	got, err := l.Launch(t.Context(), req)
	if err != nil || got.Contacts != 25 || got.RejectsFile != "" || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "its contacts were purged on ") {
		t.Errorf("%+v, %v", got, err)
	}
	if len(queue.names) != 0 {
		t.Errorf("released %v", queue.names)
	}
	other := req
	other.File = write(t, "other.csv", people(3))
	if _, err := l.Launch(t.Context(), other); err == nil || !strings.Contains(err.Error(), "campaign spring exists") {
		t.Errorf("another list: %v", err)
	}
	if _, err := l.Append(t.Context(), other); err == nil || !strings.Contains(err.Error(), "its contacts were purged on ") {
		t.Errorf("append: %v", err)
	}
	if left := rdb.Keys(t.Context(), "c:{spring}:[kl]:*").Val(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
