package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/commands"
	"campaign-runner/internal/numberscan"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

// documentedRights are the rules of the Redis user as docs/security.md tells them.
func documentedRights(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "ACL SETUSER runner ")
	rules, _, whole := strings.Cut(after, "\n\n")
	if !found || !whole || !strings.Contains(rules, ">PASSWORD") {
		t.Fatal("docs/security.md has no rules for the user runner")
	}
	return strings.Fields(strings.NewReplacer("\\\n", " ", "```", "", ">PASSWORD", ">secret").Replace(rules))
}

// first is the first number of the lists: one with few zeros, which stand in counts too.
const first = 41_728_000

// TestWhatLiesInRedis lets two campaigns live a whole life, by a Redis user who may do what
// docs/security.md says and nothing else. Then it looks for every number in all that
// Redis holds: after one person is erased, and after the campaigns are purged.
func TestWhatLiesInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client()
	ctx := t.Context()
	rights := documentedRights(t)
	args := []any{"ACL", "SETUSER", "runner"}
	for _, rule := range rights {
		args = append(args, rule)
	}
	if err := admin.Do(ctx, args...).Err(); err != nil {
		t.Fatalf("ACL SETUSER runner %v: %v", rights, err)
	}
	w := newWorld(t, "redis://runner:secret@"+server.Addr+"/0", "--webhooks", "--webhook-duplicates", "0.2", "--latency", "5ms-20ms", "--bad-numbers", phone(first+7))
	w.args = nil
	people := append(w.live(), numberscan.Number{International: phone(first + 3000)[1:], National: phone(first + 3000)[4:]})

	before := families(numberscan.Find(t, admin, people...))
	for _, family := range []string{"contacted", "follows", "hist", "{drafts}", "idx", "k", "out", "rejects", "suppressed", "unmatched"} {
		if before[family] == 0 { // else the scan proves nothing
			t.Errorf("no number stands in any %s: %v", family, before)
		}
	}

	w.discard()

	// One of them is erased.
	one := people[7]
	if out := w.call("campaign", "person", "+"+one.International, "--erase", "--yes"); !strings.Contains(out, "erased: 3 contacts, 2 refused lines") {
		t.Errorf("erasing one person says: %s", out)
	}
	if left := families(numberscan.Find(t, admin, one)); !maps.Equal(left, map[string]int{"suppressed": 1}) {
		t.Errorf("the number of one who was erased is left in %v", left)
	}
	for _, name := range []string{"sale", "calls", "again", "lost"} {
		w.call("campaign", "verify", name)
		w.call("campaign", "purge", name, "--yes", "--force")
	}
	// The lists that belong to no campaign stay, by design.
	left := families(numberscan.Find(t, admin, people...))
	delete(left, "suppressed")
	delete(left, "contacted")
	if len(left) > 0 {
		t.Errorf("after the purge numbers are left in %v", left)
	}
	denied, err := admin.Do(ctx, "ACL", "LOG").Slice()
	if err != nil || len(denied) > 0 {
		t.Errorf("the user was denied %v, %v", denied, err)
	}
	unused(t, admin, rights)
	for _, worker := range w.workers {
		if found := regexp.MustCompile(`.*05417\d{5}.*|.*9665\d{8}.*`).FindString(worker.Printed()); found != "" {
			t.Errorf("the log has a number: %s", found)
		}
	}
}

// families counts keys by what they hold: the kind of a campaign's key, or the first part
// of another's.
func families(keys []string) map[string]int {
	counts := make(map[string]int)
	for _, key := range keys {
		if _, kind, ofCampaign := strings.Cut(key, "}:"); ofCampaign && strings.HasPrefix(key, "c:{") {
			key = kind
		}
		family, _, _ := strings.Cut(key, ":")
		counts[family]++
	}
	return counts
}

// unused fails for a command that the rules allow and that nothing has needed.
func unused(t *testing.T, admin *redis.Client, rights []string) {
	t.Helper()
	stats, err := admin.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rights {
		if rule == "+zpopmin" || rule == "+zcount" { // 64 MB of unmatched events; metrics, if they are read at the right moment
			continue
		}
		if command, is := strings.CutPrefix(rule, "+"); is && !strings.HasPrefix(command, "@") && !strings.Contains(stats, "cmdstat_"+command+":") {
			t.Errorf("nothing has needed %s", rule)
		}
	}
}

// live has two campaigns do everything of which something is kept, and returns their
// people.
func (w *world) live() (people []numberscan.Number) {
	const each = 60
	var notices atomic.Int32
	notified := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if strings.Contains(string(text), "9665") {
			w.Errorf("a notice holds a number: %s", text)
		}
		notices.Add(1)
	}))
	w.Cleanup(notified.Close)
	w.env = append(w.env, "NOTIFY_URL="+notified.URL, "VELENTS_SUPPORT_TOKEN=App_tenant_x_y", "VELENTS_REGION=SA", "KEEP_FOR=30d")
	w.work()
	w.work()
	pages := w.printed(0, `admin pages","url":"(http://[^"]+)`)
	inbox := w.printed(1, `webhook inbox","url":"(http://[^"]+)/webhooks/velents`)
	events := []string{"WEBHOOK_URL=" + inbox}

	// Lists with every spelling, and refused lines.
	spelled := func(n int) string {
		return "05" + phone(first + n)[5:6] + " " + phone(first + n)[6:9] + "-" + phone(first + n)[9:]
	} // 050 000-0003
	file := filepath.Join(w.dir, "people.csv")
	var text strings.Builder
	text.WriteString("phone,name\n")
	for n := range each {
		people = append(people, numberscan.Number{International: phone(first + n)[1:], National: phone(first + n)[4:]})
		fmt.Fprintf(&text, "%s,Person %d\n", phone(first+n), n)
		if n%5 == 2 {
			fmt.Fprintf(&text, "%s,Person %d again\n", spelled(n), n)
		}
	}
	text.WriteString(spelled(4) + ",two,cells too,many\n12,Short\n")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		w.Fatal(err)
	}
	w.callWith(events, 3, "enqueue", file, "--name", "sale", "--channel", "voice", "--chunk-size", "10", "--skip-contacted-within", "7d", "--ticket-when", "state=rejected", "--ticket-replies",
		"--max-failure-share", "90%", "--canary", "5", "--daily-cap", "1000", "--rejects", filepath.Join(w.dir, "rejects.csv"))
	w.await(func() error { return w.is("sale", "ready") })
	w.call("campaign", "start", "sale")
	w.callWith(events, 3, "enqueue", file, "--name", "calls", "--channel", "voice", "--mode", "dispatch", "--chunk-size", "7", "--rejects", "", "--no-record")
	w.finish("sale")
	w.finish("calls")
	w.await(func() error { return w.told("calls", each-1) })
	w.call("enqueue", "rerun", "sale", "--state", "rejected")
	w.finish("sale")
	w.dieAppending(strings.TrimPrefix(w.env[0], "REDIS_URL="))
	w.call("enqueue", "append", "sale", w.list(first+1000, 5))
	w.finish("sale")
	w.steer(pages, events)

	// Events: of a stranger, without a number, with a wish, and one of which it is not known whose.
	link := webhook.Link(inbox, "secret", webhook.Target{Campaign: "sale"})
	for _, event := range []string{
		event(phone(first+900), "c-1", "hello"), event("0501111111", "c-2", "call "+phone(first+4)), event(phone(first+5), "c-3", "STOP"), event("", "c-4", "STOP"),
		event(phone(first+7), "c-7", "my number is "+spelled(7)),
		event(phone(first+2000), "c-5", "of somebody who is not sent"),
	} {
		w.post(link, event)
	}
	w.await(func() error {
		if out := w.call("campaign", "events", "sale", "--open"); !strings.Contains(out, "c-4") {
			return fmt.Errorf("no open wish: %s", out)
		}
		return nil
	})
	w.await(func() error {
		if out := w.call("campaign", "results", "sale", "--json", "--where", "ended.answered"); !strings.Contains(out, "my number is") {
			return fmt.Errorf("no event of contact 7 in the results")
		}
		return nil
	})
	w.await(func() error {
		if out := w.call("campaign", "tickets", "sale"); !strings.Contains(out, "made") {
			return fmt.Errorf("no ticket: %s", out)
		}
		return nil
	})
	w.await(func() error { // what contact 7 said is passed on to their ticket
		if out := w.callWith([]string{"VELENTS_SUPPORT_TOKEN="}, 0, "campaign", "tickets", "sale", "--contact", phone(first+7), "--history", "--json"); !strings.Contains(out, `"made":1`) {
			return fmt.Errorf("no message of contact 7 is passed on: %s", out)
		}
		return nil
	})
	if out := w.call("campaign", "tickets", "sale", "--contact", phone(first+7), "--history"); !strings.Contains(out, "my number is") {
		w.Errorf("the ticket's conversation: %s", out)
	}
	w.await(func() error {
		if notices.Load() < 2 {
			return fmt.Errorf("%d notices", notices.Load())
		}
		return nil
	})
	w.lookAtAll(pages)
	return people
}

// steer does with campaigns what people do.
func (w *world) steer(pages string, env []string) {
	w.call("campaign", "suppress", "add", phone(first+900), phone(first+901))
	w.call("campaign", "suppress", "import", w.list(first+910, 20))
	w.call("campaign", "suppress", "remove", phone(first+901))
	w.call("campaign", "suppress", "list")
	w.fault(`{"latency":"300ms-400ms"}`)
	w.callWith(env, 0, "enqueue", w.list(first+2000, 200), "--name", "later", "--channel", "voice", "--chunk-size", "5", "--priority", "urgent")
	w.read(pages + "/metrics") // while one runs
	w.call("campaign", "pause", "later", "--reason", "called "+phone(first+3))
	w.call("campaign", "set", "later", "--max-attempts", "3", "--priority", "bulk")
	w.call("campaign", "resume", "later")
	w.call("campaign", "cancel", "later")
	w.fault(`{"reset_after":1,"latency":"5ms-20ms"}`)
	w.call("enqueue", w.list(first+4000, 1), "--name", "lost", "--channel", "voice", "--skip-preflight")
	w.finish("lost")
	w.fault(`{"reset_after":0}`)
	w.call("campaign", "resolve", "lost", "--accepted")
	w.callWith(nil, 0, "enqueue", "--from", "sale", "--where", "state=rejected", "--name", "again", "--channel", "voice", "--start-at", time.Now().Add(time.Hour).Format(time.RFC3339))
	w.call("campaign", "cancel", "again")
	w.call("campaign", "purge", "later", "--yes", "--force")
}

// lookAtAll looks at everything that can be looked at, by commands and on the pages.
func (w *world) lookAtAll(pages string) {
	for _, args := range [][]string{
		{"list"}, {"show", "sale"}, {"plan", "sale"}, {"log", "sale"}, {"log", "sale", "--contact", phone(first + 1)}, {"verify", "sale"}, {"results", "sale"}, {"rejects", "sale"},
		{"events", "sale", "--unmatched"}, {"events", "--open"}, {"tickets", "sale"}, {"tickets", "sale", "--replies", "again"}, {"agents"}, {"person", phone(first + 1)}, {"resolve", "sale"},
	} {
		w.call("campaign", args...)
	}
	out := w.call("campaign", "events", "--open", "--json")
	var open struct{ Open []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &open); err != nil || len(open.Open) == 0 {
		w.Fatalf("open wishes: %s, %v", out, err)
	}
	w.call("campaign", "events", "--close", open.Open[0].ID)
	for _, path := range []string{
		"/readyz", "/metrics", "/", "/new", "/campaigns/sale", "/campaigns/sale/contacts", "/campaigns/sale/contacts/1", "/campaigns/sale/rejects.csv", "/campaigns/sale/results.csv",
		"/queues/api/queues", "/queues/api/queues/default", "/queues/api/redis_info", "/queues/api/servers", "/queues/api/queues/default/pending_tasks",
		"/queues/api/queues/default/completed_tasks", "/queues/api/queues/default/archived_tasks", "/queues/api/queues/default/retry_tasks", "/queues/api/queues/default/scheduled_tasks", "/queues/api/queue_stats",
	} {
		if text := w.read(pages + path); strings.HasPrefix(path, "/queues") && strings.Contains(text, "9665") {
			w.Errorf("%s shows a number", path)
		}
	}
	canceled, err := http.Post(pages+"/queues/api/queues/default/active_tasks/none:cancel", "application/json", nil)
	if err != nil || canceled.StatusCode/100 != 2 {
		w.Errorf("a task is not canceled: %+v, %v", canceled, err)
	}
	res, err := http.PostForm(pages+"/campaigns/sale/contacts", url.Values{"find": {phone(first + 1)}})
	if err != nil {
		w.Fatal(err)
	}
	res.Body.Close()
	w.draft(pages)
	w.people(pages)
}

// draft makes a draft of a list on the pages.
func (w *world) draft(pages string) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "list.csv")
	if err == nil {
		_, err = fmt.Fprintf(part, "phone,name\n%s,A\n", phone(first+20))
	}
	if err := errors.Join(err, form.Close()); err != nil {
		w.Fatal(err)
	}
	res, err := http.Post(pages+"/new", form.FormDataContentType(), &body)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	w.drafted = strings.TrimSuffix(res.Request.URL.String(), "/agent") // its first step
	res, err = http.PostForm(w.drafted+"/agent", url.Values{"name": {"drafted"}, "agent": {"default"}, "channel": {"voice"}})
	if err != nil || res.StatusCode != http.StatusOK {
		w.Fatalf("a step of %s: %+v, %v", w.drafted, res, err)
	}
	res.Body.Close()
	w.read(w.drafted + "/review")
}

// discard discards the draft.
func (w *world) discard() {
	res, err := http.PostForm(w.drafted+"/discard", nil)
	if err != nil || res.StatusCode != http.StatusOK {
		w.Fatalf("a draft is not discarded: %+v, %v", res, err)
	}
	res.Body.Close()
}

// people are users of the pages, for a while: they come, guess, sign in and out, and go.
func (w *world) people(pages string) {
	const password = "correct horse battery"
	typing := func(args ...string) {
		if out, err := commands.CallTyping(w.env, password+"\n", "campaign", args...); err != nil || out.Code != 0 {
			w.Fatalf("%v: %v, %+v", args, err, out)
		}
	}
	typing("user", "add", "sara", "--role", "viewer")
	w.call("campaign", "user", "role", "sara", "operator")
	typing("user", "passwd", "sara")
	w.call("campaign", "user", "list")
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	post := func(path string, form url.Values) int {
		res, err := browser.PostForm(pages+path, form)
		if err != nil {
			w.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	w.await(func() error { // the worker asks for users
		if status := post("/sign-in", url.Values{"name": {"sara"}, "password": {"guess"}}); status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
			return fmt.Errorf("a wrong password is answered with %d", status)
		}
		return nil
	})
	if status := post("/sign-in", url.Values{"name": {"sara"}, "password": {password}}); status != http.StatusOK {
		w.Errorf("sara is not signed in: %d", status)
	}
	if status := post("/sign-out", nil); status != http.StatusOK {
		w.Errorf("sara is not signed out: %d", status)
	}
	w.call("campaign", "user", "remove", "sara")
	w.await(func() error {
		res, err := http.Get(pages + "/")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("without users the pages answer %s", res.Status)
		}
		return nil
	})
}

// read reads a page.
func (w *world) read(url string) string {
	w.Helper()
	res, err := http.Get(url)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.Errorf("%s: %s %v %s", url, res.Status, err, text)
	}
	return string(text)
}

// dieAppending leaves an append that was killed in the middle.
func (w *world) dieAppending(redisURL string) {
	w.Helper()
	rdb, err := store.Connect(w.Context(), redisURL)
	if err != nil {
		w.Fatal(err)
	}
	defer rdb.Close()
	more, err := store.New(rdb).BeginAppend(w.Context(), "sale", "killed")
	if err != nil {
		w.Fatal(err)
	}
	one := campaign.Contact{Phone: 966500000000 + first + 3000, Line: 2, Fields: []string{phone(first + 3000), "Killed"}}
	if err := more.Add(w.Context(), 0, []campaign.Contact{one}); err != nil {
		w.Fatal(err)
	}
	if err := more.AddIndex(w.Context(), maps.All(map[campaign.Phone]int{one.Phone: 0})); err != nil {
		w.Fatal(err)
	}
}

func event(number, conversation, said string) string {
	text, _ := json.Marshal(map[string]any{ // strings only
		"event": map[string]any{"type": "onEnded", "about": "conversation"}, "conversation": map[string]any{"id": conversation, "phone": number},
		"result": map[string]any{"history": []any{map[string]any{"role": "customer", "message": said}}, "extraction": map[string]any{"last": said}},
	})
	return string(text)
}

// post posts an event of the platform.
func (w *world) post(link, event string) {
	w.Helper()
	res, err := http.Post(link, "application/json", strings.NewReader(event))
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		w.Fatalf("event: %s", res.Status)
	}
}

// is fails unless a campaign is in a state.
func (w *world) is(name, state string) error {
	if out := w.call("campaign", "show", name, "--json"); !strings.Contains(out, `"state":"`+state+`"`) {
		return fmt.Errorf("%s is not %s: %s", name, state, out)
	}
	return nil
}

// All commands that the rules name are in one order, so that a missing one is seen.
func TestDocumentedRightsAreSorted(t *testing.T) {
	var commands []string
	for _, rule := range documentedRights(t) {
		if regexp.MustCompile(`^\+[a-z]`).MatchString(rule) {
			commands = append(commands, rule)
		}
	}
	if !slices.IsSorted(commands) || len(commands) == 0 {
		t.Errorf("not sorted: %v", commands)
	}
}
