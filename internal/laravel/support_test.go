//go:build laravel

package laravel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/jobs/webhook"
)

// desk is the Support Center as Laravel keeps it.
func (p *platform) desk() (tickets []struct {
	Subject  string
	Messages []struct{ Message string }
}) {
	text, err := os.ReadFile(filepath.Join(p.dir, "desk.json"))
	if err == nil {
		err = json.Unmarshal(text, &tickets)
	}
	if err != nil && !os.IsNotExist(err) {
		p.t.Log(err) // it is being written
	}
	return tickets
}

// said is what stands in the conversation of the ticket about a number.
func (p *platform) said(phone string) (tickets int, messages string) {
	var texts []string
	for _, t := range p.desk() {
		if strings.Contains(t.Subject, phone) {
			tickets++
			for _, m := range t.Messages {
				texts = append(texts, m.Message)
			}
		}
	}
	return tickets, strings.Join(texts, ",")
}

// TestTheSupportCenter loses the answer of a ticket and of a message whose work was done:
// the list settles the one, the conversation the other, and nothing is there twice.
func TestTheSupportCenter(t *testing.T) {
	f := newFleet(t, "none", "VELENTS_SUPPORT_TOKEN="+supportToken, "WEBHOOK_SECRET=secret-of-the-link")
	rdb := f.redis.Client()
	var inbox string
	f.until(upIn, func() error {
		found := regexp.MustCompile(`webhook inbox" url=(http://[^/]+)/`).FindStringSubmatch(f.workers[0].Printed())
		if found == nil {
			return fmt.Errorf("no inbox: %s", f.workers[0].Printed())
		}
		inbox = found[1]
		return nil
	})
	f.env = append(f.env, "WEBHOOK_URL="+inbox)
	list := people(5, "Sara")
	f.launch("sale", list, "--ticket-when", "extraction.human=true", "--ticket-replies")
	f.await("sale", "finished", time.Minute)
	link := webhook.Link(inbox, "secret-of-the-link", webhook.Target{Campaign: "sale"})
	said := 0
	tell := func(n int, text string) {
		said++
		body, err := json.Marshal(map[string]any{
			"event": map[string]any{"type": "onUpdate", "about": "conversation"}, "conversation": map[string]any{"id": fmt.Sprint("c-", n), "phone": number(n)},
			"result": map[string]any{"extraction": map[string]any{"human": true},
				"message": map[string]any{"customer": text, "agent": "ok", "timestamp": time.Date(2026, 11, 27, 9, 0, said, 0, time.UTC)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // every event comes twice
			res, err := http.Post(link, "application/json", strings.NewReader(string(body)))
			if err != nil || res.StatusCode/100 != 2 {
				t.Fatal(res, err)
			}
			res.Body.Close()
		}
	}
	hasten := func() { // what would be looked at in minutes
		for _, at := range rdb.ZRangeByScore(t.Context(), "c:{sale}:follows_due", &redis.ZRangeBy{Min: fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()), Max: "+inf"}).Val() {
			rdb.ZAddXX(t.Context(), "c:{sale}:follows_due", redis.Z{Score: float64(time.Now().UnixMilli()), Member: at})
		}
	}
	want := func(n int, messages string) {
		t.Helper()
		f.until(90*time.Second, func() error {
			if tickets, got := f.p.said(number(n)); tickets != 1 || got != messages {
				return fmt.Errorf("%d tickets about %d, with %q; want %q", tickets, n, got, messages)
			}
			return nil
		})
	}
	tickets := func(state string, n int) {
		t.Helper()
		f.until(time.Minute, func() error {
			hasten()
			if out := f.must("campaign", "tickets", "sale", "--json"); strings.Count(out, `"state":"`+state+`"`) != n {
				return fmt.Errorf("want %d %s: %s", n, state, out)
			}
			return nil
		})
	}
	for n := range 4 { // more than a page of the list
		tell(n, fmt.Sprint("hello ", n))
	}
	tickets("made", 4)
	want(3, "hello 3")

	f.p.now.Desk = "die"
	f.p.set(f.p.now)
	tell(4, "hello 4")
	f.until(time.Minute, func() error {
		if out := f.must("campaign", "tickets", "sale", "--json"); !strings.Contains(out, `"state":"unconfirmed"`) {
			return fmt.Errorf("the ticket is not in doubt: %s", out)
		}
		return nil
	})
	tell(0, "one") // its answer is lost, too
	want(0, "hello 0,one")
	tell(0, "two") // waits for that
	f.p.now.Desk = ""
	f.p.set(f.p.now)
	tell(0, "three")
	tickets("made", 5)
	want(4, "hello 4")
	f.until(time.Minute, func() error {
		hasten()
		if _, got := f.p.said(number(0)); got != "hello 0,one,two,three" {
			return fmt.Errorf("said %q", got)
		}
		return nil
	})
	out := f.must("campaign", "tickets", "sale", "--contact", number(0), "--history")
	if !strings.Contains(out, "customer: three") || !strings.Contains(out, "open in the Support Center") {
		t.Errorf("history: %s", out)
	}
	if all := len(f.p.desk()); all != 5 {
		t.Errorf("%d tickets of 5 contacts", all)
	}
}
