package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

// fill posts a step of a draft, and returns where it leads, or the page that says what is
// wrong.
func (f fixture) fill(path string, form url.Values) (to, page string) {
	f.T.Helper()
	res, page := f.ask("POST", path, form)
	return res.Header.Get("Location"), page
}

// draftOf uploads a list, and returns the address of its draft.
func (f fixture) draftOf(form map[string]string) string {
	f.T.Helper()
	_, page := f.upload("list.csv", list, form, false)
	return "/new/" + idOf(f.T, page)
}

// idOf is the draft of a page.
func idOf(t testing.TB, page string) string {
	t.Helper()
	found := regexp.MustCompile(`action="/new/([A-Z0-9]+)/discard"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("there is no draft:\n%s", page)
	}
	return found[1]
}

// A campaign is made step by step, each of them on another worker than the one before. Back
// loses nothing, not even what is wrong.
func TestADraftIsMadeOnAnyWorker(t *testing.T) {
	rdb := redistest.Shared(t)
	platform := withAgent(t)
	one, two := newFixtureOn(t, rdb, platform), newFixtureOn(t, rdb, platform)
	path := one.draftOf(nil)
	wantTexts(t, two.get("/new"), "Drafts that wait", `href="`+path+`"`, "list.csv")
	if res, _ := two.ask("GET", path, nil); res.Header.Get("Location") != path+"/agent" {
		t.Errorf("a new draft leads to %s", res.Header.Get("Location"))
	}
	page := two.get(path + "/agent")
	name := regexp.MustCompile(`name="name" [^>]* value="(c-\d{8}-1)"`).FindStringSubmatch(page)
	if name == nil || !strings.Contains(page, `value="voice"`) {
		t.Fatalf("no name or channel is proposed:\n%s", page)
	}
	const title = "حملة العيد ٢٠٢٧"
	if to, page := two.fill(path+"/agent", url.Values{"title": {title}, "name": name[1:], "agent": {"default"}, "channel": {"voice"}}); to != path+"/list" {
		t.Fatalf("%s\n%s", to, page)
	}
	if to, _ := one.fill(path+"/list", url.Values{"region": {"SA"}, "to": {"next"}}); to != path+"/when" {
		t.Error(to)
	}
	// What is wrong is said and kept; back asks for nothing.
	to, page := two.fill(path+"/when", url.Values{"hours": {"late"}, "timezone": {"Asia/Riyadh"}})
	wantTexts(t, page, `role="alert"`, `value="late"`)
	if to != "" {
		t.Errorf("what is wrong leads to %s", to)
	}
	if to, _ = one.fill(path+"/when", url.Values{"hours": {"later"}, "timezone": {"Asia/Riyadh"}, "to": {"back"}}); to != path+"/list" {
		t.Error(to)
	}
	wantTexts(t, two.get(path+"/list"), `value="SA"`)
	wantTexts(t, two.get(path+"/when"), `value="later"`, `type="datetime-local"`)
	two.get(path + "/safety")
	res, page := one.ask("GET", path+"/review", nil)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "Hours: ") || strings.Contains(page, "/launch") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if to, _ = one.fill(path+"/when", url.Values{"hours": {"00:00-24:00"}, "timezone": {"Asia/Riyadh"}, "finish_by": {"2040-11-30T21:00"}}); to != path+"/safety" {
		t.Error(to)
	}
	if to, _ = two.fill(path+"/safety", url.Values{"daily_cap": {"5"}, "max_attempts": {"2"}}); to != path+"/follow" {
		t.Error(to)
	}
	wantTexts(t, one.get("/new"), title)
	if to, _ = one.fill(path+"/follow", url.Values{"ticket_when": {"state=rejected\r\n\r\nextraction.call=yes\r\n"}}); to != path+"/review" {
		t.Error(to)
	}
	if res, _ := two.ask("GET", path, nil); res.Header.Get("Location") != path+"/review" {
		t.Errorf("a whole draft leads to %s", res.Header.Get("Location"))
	}
	wantTexts(t, two.get(path+"/review"), "Launch: contact 2 people", `aria-current="step"`)
	if res, page := one.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := one.Campaign(t.Context(), name[1])
	if s := c.Settings; err != nil || s.Title != title || s.DailyCap != 5 || s.MaxAttempts != 2 || len(s.TicketRules) != 2 || s.FinishBy.Hour() != 18 || c.Counts.Contacts != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	// Nothing of it is left, and the next one has another name.
	if left := rdb.Keys(t.Context(), "*drafts*").Val(); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
	wantTexts(t, one.get(one.draftOf(nil)+"/agent"), strings.TrimSuffix(name[1], "1")+"2")
}

// However often and on however many workers a launch is pressed, it makes one campaign.
func TestALaunchThatIsPressedTwiceMakesOneCampaign(t *testing.T) {
	rdb := redistest.Shared(t)
	platform := withAgent(t)
	workers := []fixture{newFixtureOn(t, rdb, platform), newFixtureOn(t, rdb, platform), newFixtureOn(t, rdb, platform)}
	path := workers[0].draftOf(filled(nil))
	var group sync.WaitGroup
	for _, f := range workers {
		for range 2 {
			group.Go(func() {
				res, page := f.ask("POST", path+"/launch", nil)
				led := res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/campaigns/") // of either name
				if !led && res.StatusCode != http.StatusGone && res.StatusCode != http.StatusConflict {
					t.Errorf("%d\n%s", res.StatusCode, page)
				}
			})
			group.Go(func() { // somebody else wants another name meanwhile, and presses too
				f.ask("POST", path+"/agent", url.Values{"name": {"summer"}, "agent": {"default"}, "channel": {"voice"}})
				f.ask("POST", path+"/launch", nil)
			})
		}
	}
	group.Wait()
	contacts := 0
	names, err := workers[0].Names(t.Context())
	for _, name := range names {
		c, err := workers[0].Campaign(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		contacts += c.Counts.Contacts
	}
	if err != nil || contacts != 2 {
		t.Errorf("%v contact %d people, %v", names, contacts, err)
	}
}

// While a launch may be under way its draft stays as it is; one whose worker has died is
// pressed again.
func TestADraftThatIsBeingLaunchedCannotBeChanged(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	if _, err := f.LockDraft(t.Context(), strings.TrimPrefix(path, "/new/")); err != nil { // and then the worker dies
		t.Fatal(err)
	}
	res, page := f.ask("POST", path+"/agent", url.Values{"name": {"summer"}})
	if res.StatusCode != http.StatusConflict || !strings.Contains(page, "Press Launch again") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if res, page := f.ask("POST", path+"/discard", nil); res.StatusCode != http.StatusConflict || !strings.Contains(page, "Press Launch again") {
		t.Errorf("it was discarded: %d\n%s", res.StatusCode, page)
	}
	f.load("spring", 2) // as that launch had done before its worker died
	wantTexts(t, f.get(path+"/review"), `action="`+path+`/launch"`)
	if err := f.Redis().Del(t.Context(), "c:{spring}").Err(); err != nil {
		t.Fatal(err)
	}
	if res, _ := f.ask("POST", path+"/launch", nil); !strings.HasPrefix(res.Header.Get("Location"), "/campaigns/spring") {
		t.Errorf("launched again: %s", res.Status)
	}
}

// What is launched is what was looked at.
func TestADraftThatWasChangedSinceItsReviewIsNotLaunched(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(nil))
	review := regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`).FindStringSubmatch(f.get(path + "/review"))
	if review == nil {
		t.Fatal("the review does not say what it shows")
	}
	if to, page := f.fill(path+"/follow", url.Values{"max_attempts": {"7"}}); to == "" {
		t.Fatal(page)
	}
	res, page := f.ask("POST", path+"/launch", url.Values{"seen": {review[1]}})
	if res.StatusCode != http.StatusConflict || !strings.Contains(page, "changed since you looked at it") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if _, err := f.Campaign(t.Context(), "spring"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it was launched: %v", err)
	}
	now := regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`).FindStringSubmatch(f.get(path + "/review"))
	if res, page := f.ask("POST", path+"/launch", url.Values{"seen": {now[1]}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
}

// noQueue is a Redis that takes no tasks while it is broken.
type noQueue struct{ broken atomic.Bool }

func (n *noQueue) DialHook(next redis.DialHook) redis.DialHook { return next }
func (n *noQueue) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if n.broken.Load() && strings.Contains(fmt.Sprint(cmd.Args()...), "asynq:") {
			cmd.SetErr(errors.New("no task is taken"))
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}
func (n *noQueue) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if n.broken.Load() && strings.Contains(fmt.Sprint(cmd.Args()...), "asynq:") {
				return errors.New("no task is taken")
			}
		}
		return next(ctx, cmds)
	}
}

// A launch that failed when its campaign was there already, and may run, is no other one
// when it is pressed again.
func TestALaunchThatMayRunKeepsItsDraft(t *testing.T) {
	rdb, queue := redistest.Shared(t), new(noQueue)
	rdb.AddHook(queue)
	f := newFixtureOn(t, rdb, withAgent(t))
	path := f.draftOf(filled(nil))
	queue.broken.Store(true)
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusConflict || !strings.Contains(page, "not all of it is in the queue") {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	if res, _ := f.ask("POST", path+"/agent", url.Values{"name": {"summer"}, "agent": {"default"}, "channel": {"voice"}}); res.StatusCode != http.StatusConflict {
		t.Errorf("it has another name now: %s", res.Status)
	}
	queue.broken.Store(false)
	if res, _ := f.ask("POST", path+"/launch", nil); !strings.HasPrefix(res.Header.Get("Location"), "/campaigns/spring") {
		t.Errorf("again: %s", res.Status)
	}
	if names, err := f.Names(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

// What cannot be launched is let go, so that it can be changed.
func TestADraftThatCannotBeLaunchedCanBeChanged(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(filled(map[string]string{"hours": "late", "timezone": "UTC"}))
	for range 2 {
		if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s", res.Status)
		}
	}
	if to, page := f.fill(path+"/when", url.Values{}); to != path+"/safety" {
		t.Errorf("%s\n%s", to, page)
	}
	if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("%s", res.Status)
	}
}

func TestWhatDraftsHaveNoRoomForIsRefused(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "60mb")
	f := newFixtureOn(t, server.Client(), withAgent(t))
	for range 45 {
		if err := f.Redis().RPush(t.Context(), "others", strings.Repeat("x", 1<<20)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	res, page := f.upload("list.csv", list, filled(nil), false)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "with the command enqueue") || !strings.Contains(page, `role="alert"`) {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if left := f.Redis().Keys(t.Context(), "*drafts*").Val(); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
}

// Steps that are not there, and drafts that are not, say so.
func TestDraftsThatAreNotThere(t *testing.T) {
	f := newFixture(t, withAgent(t))
	path := f.draftOf(nil)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", path + "/lunch", 404}, {"POST", path + "/lunch", 404},
		{"GET", "/new/none", 410}, {"GET", "/new/none/when", 410}, {"POST", "/new/none/when", 410}, {"GET", "/new/none/review", 410}, {"POST", "/new/none/launch", 410},
		{"POST", "/new/none/discard", 303},
	} {
		if res, page := f.ask(tt.method, tt.path, url.Values{}); res.StatusCode != tt.status {
			t.Errorf("%s %s: %d\n%s", tt.method, tt.path, res.StatusCode, page)
		}
	}
	if c, err := f.Names(t.Context()); err != nil || len(c) > 0 {
		t.Errorf("%v, %v", c, err)
	}
}
