package dashboard_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
	"campaign-runner/ratelimit"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// patience bounds all that a browser does in a test, its start included.
const patience = 10 * time.Minute

// A visitor is a browser with one page open.
type visitor struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	troubles []string // what the page's console said
}

// visit starts a browser. Whatever a page complains of fails the test.
func visit(t *testing.T, url string) *visitor {
	t.Helper()
	folder, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) }) // it may still be written to when the browser has ended
	options := []chromedp.ExecAllocatorOption{
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(folder), chromedp.WSURLReadTimeout(2 * time.Minute), chromedp.WindowSize(1200, 900),
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for its end, so that its folder can go
		cancel()
	})
	v := &visitor{t: t, ctx: ctx, url: url}
	chromedp.ListenTarget(ctx, func(event any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level != log.LevelInfo { // as where typing was faster than autofocus
				v.troubles = append(v.troubles, e.Entry.Text+" "+e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			v.troubles = append(v.troubles, e.ExceptionDetails.Error())
		}
	})
	v.do(log.Enable())
	t.Cleanup(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, trouble := range v.troubles {
			t.Errorf("the page complains: %s", trouble)
		}
	})
	return v
}

func (v *visitor) do(actions ...chromedp.Action) {
	v.t.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		v.fail(err)
	}
}

// fail ends the test with what the page shows.
func (v *visitor) fail(err error) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx), 10*time.Second)
	defer cancel()
	var at, text string
	_ = chromedp.Run(ctx, chromedp.Location(&at), chromedp.Text("body", &text, chromedp.ByQuery))
	v.t.Fatalf("%v\non %s:\n%s", err, at, text)
}

// open goes to a page.
func (v *visitor) open(path string) { v.t.Helper(); v.do(chromedp.Navigate(v.url + path)) }

// click waits for what a selector finds to be seen, and clicks on it. The click
// comes after the answer, since it may take the page away, and on what is there by
// then.
func (v *visitor) click(selector string) {
	v.t.Helper()
	v.await(fmt.Sprintf(`(() => {
		const find = () => document.querySelector(%q)
		if (!find()?.checkVisibility()) return false
		setTimeout(() => find().click())
		return true
	})()`, selector))
}

// fill puts a value into a field. Like write and upload it finds the field by a script of
// the page: what chromedp remembers of a document's nodes may still be of the page before.
func (v *visitor) fill(selector, value string) {
	v.t.Helper()
	v.await(fmt.Sprintf("(() => { const field = document.querySelector(%q); if (field) field.value = %q; return !!field })()", selector, value))
}

// write types a text into a field.
func (v *visitor) write(selector, text string) {
	v.t.Helper()
	v.await(fmt.Sprintf("(() => { const field = document.querySelector(%q); field?.focus(); return !!field && document.activeElement === field })()", selector))
	v.do(chromedp.KeyEvent(text))
}

// upload puts a file into the field of a form.
func (v *visitor) upload(selector, file string) {
	v.t.Helper()
	v.await(fmt.Sprintf("!!document.querySelector(%q)", selector))
	v.do(chromedp.ActionFunc(func(ctx context.Context) error {
		field, _, err := runtime.Evaluate(fmt.Sprintf("document.querySelector(%q)", selector)).Do(ctx)
		if err != nil {
			return err
		}
		return dom.SetFileInputFiles([]string{file}).WithObjectID(field.ObjectID).Do(ctx)
	}))
}

// await waits until the page holds what an expression says. It bears with a page
// that goes away meanwhile: another one comes.
func (v *visitor) await(expression string) {
	v.t.Helper()
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		var holds bool
		err := chromedp.Run(v.ctx, chromedp.Evaluate(expression, &holds))
		if holds {
			return
		}
		if v.ctx.Err() != nil {
			v.fail(fmt.Errorf("%s: %w", expression, err))
		}
	}
}

// awaitText waits for a text in an element.
func (v *visitor) awaitText(selector, text string) {
	v.t.Helper()
	v.await(fmt.Sprintf("(document.querySelector(%q)?.innerText ?? '').includes(%q)", selector, text))
}

// see is what an expression comes to.
func see[T any](v *visitor, expression string) (value T) {
	v.t.Helper()
	v.do(chromedp.Evaluate(expression, &value))
	return value
}

// picture keeps how the page looks: wide and as on a phone, light and dark. On a phone
// nothing may be wider than the screen.
func (v *visitor) picture(name string) {
	v.t.Helper()
	dir := cmp.Or(os.Getenv("ARTIFACTS"), "screenshots")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		v.t.Fatal(err)
	}
	scheme := func(value string) chromedp.Action {
		return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}})
	}
	take := func(suffix string) {
		v.t.Helper()
		var png []byte
		shot := chromedp.FullScreenshot(&png, 100)
		if see[bool](v, "document.documentElement.scrollHeight <= innerHeight") {
			shot = chromedp.CaptureScreenshot(&png) // the other one shifts a short page that reads from the right
		}
		v.do(shot)
		if err := os.WriteFile(filepath.Join(dir, name+suffix+".png"), png, 0o666); err != nil {
			v.t.Fatal(err)
		}
	}
	v.do(scheme("light"))
	take("")
	v.do(scheme("dark"))
	take("-dark")
	v.do(scheme("light"), chromedp.EmulateViewport(390, 800))
	if wide := see[int](v, "document.documentElement.scrollWidth"); wide > 390 {
		v.t.Errorf("%s is %d wide on a phone of 390", name, wide)
	}
	take("-phone")
	v.do(scheme("dark"))
	take("-phone-dark")
	v.do(scheme("light"))
	v.do(chromedp.EmulateViewport(1200, 900))
}

// gated is a platform that answers as many batches as it is told to.
type gated struct {
	*velents.Client
	open chan struct{}   // one for each batch; closed: as many as come
	over <-chan struct{} // the test is, however it went
}

func (g gated) Batch(ctx context.Context, b velents.Batch) (velents.Answer, error) {
	select {
	case <-g.open:
		return g.Client.Batch(ctx, b)
	case <-g.over:
		return velents.Answer{}, errors.New("the test is over")
	}
}

// startInstallation runs what a real one has: a platform, a worker, and its pages.
func startInstallation(t *testing.T, gate chan struct{}) fixture {
	t.Helper()
	rdb := redistest.Start(t).Client()
	st := store.New(rdb)
	return newFixtureOn(t, rdb, withAgent(t, func(c *sandbox.Config) {
		c.BadNumbers = []string{"+966501000010"}
	}), func(c *dashboard.Config) {
		l := c.Agents["default"]
		platform, quota := gated{l.Platform.(*velents.Client), gate, t.Context().Done()}, l.Quota.(*ratelimit.Quota)
		w, err := jobs.NewWorker(jobs.Config{Store: st, Agents: []jobs.Agent{{Name: "default", Platform: platform, Quota: quota}}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
}

// bigList is a contact list of sixty, in two writings, with a hostile name and a
// line that cannot be used.
func bigList(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("phone,name,note\n")
	for i := range 60 {
		name := fmt.Sprintf("نورة القحطاني %d", i)
		if i == 3 {
			name = strings.ReplaceAll(hostile, `"`, `""`)
		}
		fmt.Fprintf(&text, "05010000%02d,\"%s\",note %d\n", i, name, i)
	}
	text.WriteString("12,too short,x\n")
	path := filepath.Join(t.TempDir(), "قائمة.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestACampaignInABrowser is what a person does, from the empty page to the
// results.
func TestACampaignInABrowser(t *testing.T) {
	gate := make(chan struct{})
	f := startInstallation(t, gate)
	v := visit(t, f.URL)

	v.open("/")
	v.awaitText("#empty", "No campaign yet")
	v.awaitText("#live", "live")
	v.picture("empty")

	v.do(chromedp.KeyEvent("\t"))
	if skip := see[string](v, "document.activeElement.className"); skip != "skip" {
		t.Errorf("the first tab leads to %q", skip)
	}

	v.click(".title a[href='/new']")
	v.awaitText("h1", "New campaign")
	v.upload("#file", bigList(t))
	v.picture("new")
	v.click("form button.primary")
	v.awaitText("h1", "Name, channel and agent")
	v.fill("#name", "spring-offer")
	v.picture("new-agent")
	v.click("form button.primary")
	v.awaitText("h1", "How the list is read")
	v.fill("#region", "sa")
	v.picture("new-list")
	v.click("form button.primary")
	v.awaitText("h1", "When")
	v.picture("new-when")
	v.click("form button.primary")
	v.awaitText("h1", "A safe start")
	v.do(chromedp.Evaluate("for (const d of document.querySelectorAll('form details')) d.open = true", nil))
	v.picture("new-safety")
	v.write("#chunk_size", "5")
	v.click("form button.primary")
	v.awaitText("h1", "Follow-up")
	v.picture("new-follow")
	v.click("form button.primary")
	v.awaitText("main", "60 contacts out of 61 rows")
	v.awaitText("main", "number too short")
	v.picture("preview")

	v.click("form[action$='/launch'] button")
	v.awaitText(".flash", "Launched, with 60 contacts")
	v.awaitText("#head", "0 of 60 contacts through")
	v.do(chromedp.Evaluate("window.stays = true", nil)) // until somebody loads the page again

	for range 2 {
		gate <- struct{}{}
	}
	v.awaitText("#head", "10 of 60 contacts through")

	v.click("#do-pause")
	v.write("#why", "ننتظر الموافقة "+hostile)
	gate <- struct{}{} // what changes meanwhile leaves alone what is typed
	v.awaitText("#head", "15 of 60 contacts through")
	if typed := see[string](v, "document.querySelector('#why').value"); !strings.HasPrefix(typed, "ننتظر الموافقة <script>") || !see[bool](v, "window.stays === true") {
		t.Errorf("of what was typed there is left: %q", typed)
	}
	v.click("form[action$='/pause'] button")
	v.awaitText(".flash", "Paused")
	v.awaitText("#head .notice", "<script>document.title")
	v.picture("paused")

	v.open("/")
	v.awaitText("#rows", "paused")
	v.picture("list")

	v.open("/campaigns/spring-offer")
	v.click("#do-resume")
	v.click("form[action$='/resume'] button")
	v.awaitText(".flash", "It goes on")
	close(gate)
	v.awaitText("#head .badge", "finished")
	v.awaitText("#reasons", "phone is invalid")
	v.awaitText("#chart", "problems")
	v.picture("finished")

	v.click("#reasons .action summary")
	v.click("#reasons form button")
	v.awaitText(".flash", "1 contact to be sent again")
	v.awaitText("#facts", "Reruns\n1")
	v.awaitText("#head .badge", "finished")

	v.write("#find", "٠٥٠١٠٠٠٠٠٣")
	v.click(".find button")
	v.awaitText("h1", "+966501000003")
	v.awaitText("main", "<script>document.title='taken'</script>\"'&")
	if at := see[string](v, "location.href"); !strings.HasSuffix(at, "/campaigns/spring-offer/contacts/3") {
		t.Errorf("the contact's page is %s", at)
	}
	if title := see[string](v, "document.title"); strings.Contains(title, "taken") {
		t.Error("a name ran as a script")
	}
	v.picture("contact")

	v.open("/campaigns/spring-offer/contacts?state=accepted")
	v.awaitText(".contacts", "نورة القحطاني 0")
	if dir := see[string](v, "getComputedStyle(document.querySelector('.contacts tbody td.cell:nth-of-type(5)')).direction"); dir != "rtl" {
		t.Errorf("an Arabic name is written %s", dir)
	}
	v.picture("contacts")

	v.open("/campaigns/spring-offer")
	if got := v.download("a[href$='/results.csv']"); strings.Count(got, ",accepted,") != 59 || strings.Count(got, ",rejected,") != 1 || !strings.Contains(got, "document.title='taken'") {
		t.Errorf("the results are\n%s", got)
	}
	if got := v.download("a[href$='/rejects.csv']"); !strings.Contains(got, "too short") {
		t.Errorf("the rejects are\n%s", got)
	}
}

// TestThePagesWithoutRedisInABrowser stops a real Redis below open pages.
func TestThePagesWithoutRedisInABrowser(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes")
	f := newFixtureOn(t, redis.Client())
	for i := range 3 {
		f.load(fmt.Sprint("spring-", i), 20)
	}
	for _, path := range []string{"/", "/campaigns/spring-0"} {
		t.Run(path, func(t *testing.T) {
			v := visit(t, f.URL)
			v.open(path)
			v.awaitText("#live", "live")
			v.awaitText("main", "spring-0")
			redis.Kill()
			gone := time.Now()
			v.awaitText("#trouble", "Redis does not answer")
			t.Logf("told after %v", time.Since(gone))
			v.awaitText("#live", "not live")
			v.awaitText("#trouble", "ago")
			v.awaitText("main", "spring-0")

			reload := time.Now()
			v.open(path)
			v.awaitText("#trouble", "Redis does not answer")
			v.awaitText("main", "spring-0")
			t.Logf("a reload answers after %v", time.Since(reload))
			if buttons := see[int](v, "document.querySelectorAll('#actions button').length"); buttons != 0 {
				t.Errorf("%d buttons that can do nothing", buttons)
			}
			v.picture("without-redis" + strings.ReplaceAll(path, "/", "-"))
			redis.Restart(t)
			v.await("document.querySelector('#trouble').hidden")
			v.awaitText("#live", "live")
		})
	}
}

// TestAListOfManyInABrowser finds campaigns among many.
func TestAListOfManyInABrowser(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.load("held", 20)
	f.Pass("held", campaign.Paused, "lunch")
	names := make([]string, 298)
	for i := range names {
		names[i] = fmt.Sprintf("offer-%03d", i)
	}
	f.Copy("spring", names...)
	if err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	if !f.Redis().Persist(t.Context(), "worker:w").Val() { // it lives as long as the test
		t.Fatal("there is no worker")
	}
	v := visit(t, f.URL)
	v.open("/")
	v.awaitText("#live", "live")
	v.awaitText("#found", "1–50 of 300 campaigns")
	v.awaitText("#rows tbody", "held") // it needs somebody
	if high := see[int](v, "document.documentElement.scrollHeight"); high > 6000 {
		t.Errorf("the page is %d high", high)
	}
	v.picture("many")
	v.click("#after")
	v.awaitText("#found", "51–100 of 300 campaigns")
	v.fill("#q", "OFFER 29")
	v.click(".lens button")
	v.awaitText("#found", "1–8 of 8 campaigns found")
	if at := see[string](v, "location.search"); !strings.Contains(at, "q=OFFER+29") || strings.Contains(at, "page=") {
		t.Errorf("the address is %s", at)
	}
	v.picture("found")
	v.do(chromedp.Evaluate("window.stays = true", nil))
	f.Pass("offer-295", campaign.Paused, "lunch")
	v.awaitText("#rows tbody", "offer-295") // it comes first as soon as it is paused
	v.awaitText("#rows tbody", "Paused: lunch")
	if !see[bool](v, "window.stays === true") {
		t.Error("the page was loaded anew")
	}
	v.open("/?state=paused&sort=name")
	v.awaitText("#found", "1–2 of 2 campaigns found")
}

// download clicks on a link and returns the file that comes.
func (v *visitor) download(link string) string {
	v.t.Helper()
	dir := v.t.TempDir()
	whole := make(chan string, 1)
	ctx, cancel := context.WithCancel(v.ctx)
	defer cancel()
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
			whole <- e.GUID
		}
	})
	v.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllowAndName).WithDownloadPath(dir).WithEventsEnabled(true))
	v.click(link)
	select {
	case guid := <-whole:
		text, err := os.ReadFile(filepath.Join(dir, guid))
		if err != nil {
			v.t.Fatal(err)
		}
		return string(text)
	case <-v.ctx.Done():
		v.t.Fatalf("%s does not come", link)
		return ""
	}
}
