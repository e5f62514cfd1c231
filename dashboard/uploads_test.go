package dashboard

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"campaign-runner/campaign/launch"
)

func TestAListIsKeptForAWhileOnly(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/list")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		kept := newUploads()
		up := &upload{file: file}
		if err := kept.enter(); err != nil {
			t.Fatal(err)
		}
		id := kept.keep(up, preview{})
		time.Sleep(uploadLife - time.Second) // the bubble's
		if _, ok := kept.find(id); !ok {
			t.Error("it is gone too soon")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := kept.find(id); ok {
			t.Error("it is kept for longer")
		}
		if err := up.read(func(launch.Request) error { return nil }); !errors.Is(err, errExpired) {
			t.Errorf("it can be read: %v", err)
		}
		if len(kept.places) > 0 {
			t.Error("it has its place still")
		}
	})
	if _, err := file.Stat(); err == nil {
		t.Error("its file is open")
	}
}
