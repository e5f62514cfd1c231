package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"campaign-runner/dashboard"
	"campaign-runner/velents"
)

// doorkeeper is a platform that lets those who ask it go one by one.
type doorkeeper struct {
	*velents.Client
	inside chan struct{} // one for each who has come
	leave  chan struct{} // one for each who may go

	mu        *sync.Mutex
	now, most *int
}

func (d doorkeeper) ValueKeys(ctx context.Context) ([]string, velents.Answer, error) {
	count := func(n int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		*d.now += n
		*d.most = max(*d.most, *d.now)
	}
	count(1)
	defer count(-1)
	d.inside <- struct{}{}
	<-d.leave
	return d.Client.ValueKeys(ctx)
}

// Lists that are launched and lists that are looked at take turns: each may be a large file.
func TestLaunchesTakeTurnsWithReadings(t *testing.T) {
	const lists = 4 // are read at once
	door := doorkeeper{inside: make(chan struct{}, 100), leave: make(chan struct{}, 100), mu: new(sync.Mutex), now: new(int), most: new(int)}
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) {
		l := c.Agents["default"]
		door.Client = l.Platform.(*velents.Client)
		l.Platform = door
		c.Agents["default"] = l
	})
	var paths []string
	for i := range lists + 2 {
		door.leave <- struct{}{}
		paths = append(paths, f.draftOf(filled(map[string]string{"name": fmt.Sprint("spring-", i)})))
		<-door.inside
	}
	var group sync.WaitGroup
	for _, path := range paths[:lists] {
		group.Go(func() {
			if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
				t.Errorf("%s\n%s", res.Status, page)
			}
		})
	}
	for range lists {
		<-door.inside
	}
	for _, path := range paths[lists:] { // they wait
		group.Go(func() { f.ask("GET", path+"/review", nil) })
	}
	for range 30 {
		f.get("/new") // long enough for those who do not wait to come
	}
	for range paths {
		door.leave <- struct{}{}
	}
	group.Wait()
	if *door.most != lists {
		t.Errorf("%d lists were read at once", *door.most)
	}
}
