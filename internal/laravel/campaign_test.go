//go:build laravel

package laravel

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inHand is the most contacts that are under way when an answer is lost, at so
// many contacts a request.
func inHand(rows int) int { return workers * concurrency * rows }

// Two workers use up three windows of Laravel's throttle and go on in a fourth.
func TestTheQuotaIsUsedToTheFullAndNotExceeded(t *testing.T) {
	const limit, window, contacts = 30, 10, 100
	f := newFleet(t, fmt.Sprintf("%d/%ds", limit, window))
	f.p.now.Limit, f.p.now.Window = limit, window
	f.p.set(f.p.now)
	list := people(contacts, "Sara")
	f.launch("quota", list, "--mode", "dispatch", "--chunk-size", "10")
	f.await("quota", "finished", 2*time.Minute)
	f.only(f.audit("quota", list), "accepted")

	calls := f.p.calls()
	if refused := f.statuses()[429]; refused > 3 {
		t.Errorf("%d of %d requests were refused", refused, len(calls))
	}
	// By the throttle 100 requests take three windows and a part of the fourth.
	took := calls[len(calls)-1].ended - calls[0].ended
	if opened := int(took/window) + 1; opened != (contacts+limit-1)/limit {
		t.Errorf("%d requests took %.1f s: %d windows", contacts, took, opened)
	}
}

func TestBadRowsAreRefusedByNameAndTheOthersContacted(t *testing.T) {
	for _, tt := range []struct {
		mode  string
		args  []string
		texts map[string]string // by phone
	}{
		{"batch", []string{"--chunk-size", "20"}, map[string]string{
			number(3):  "The selected phone is invalid.",
			number(20): "The values.first_name field is required.",
			number(39): "The selected phone is invalid.",
		}},
		{"dispatch", []string{"--mode", "dispatch"}, map[string]string{
			number(3):  "The selected phone is invalid.",
			number(20): "The values.first name field is required.",
			number(39): "The selected phone is invalid.",
		}},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			f := newFleet(t, "none")
			f.p.now.Keys, f.p.now.Bad = []string{"first_name"}, []string{number(3), number(39)}
			f.p.set(f.p.now)
			list := people(50, "Sara")
			list[20].value = ""
			// Without a look at the agent's values before, which would refuse the line.
			f.launch("bad", list, append(tt.args, "--skip-preflight")...)
			f.await("bad", "finished", time.Minute)
			fates := f.audit("bad", list)
			for phone, c := range fates {
				switch want, bad := tt.texts[phone]; {
				case !bad && c.State != "accepted":
					t.Errorf("contact …%s is %s: %s", phone[len(phone)-4:], c.State, c.Reason)
				case bad && (c.State != "rejected" || !strings.Contains(c.Reason, want)):
					t.Errorf("contact …%s is %s: %s, want %s", phone[len(phone)-4:], c.State, c.Reason, want)
				}
			}
			if n := f.statuses()[422]; n > 3 {
				t.Errorf("it took %d refusals to know three bad contacts", n)
			}
		})
	}
}

func TestAWrongChannelPausesTheCampaignWithItsText(t *testing.T) {
	f := newFleet(t, "none")
	list := people(30, "Sara")
	f.launch("channel", list, "--channel", "9", "--chunk-size", "10")
	o := f.await("channel", "paused", time.Minute)
	if want := "The selected channel id is invalid."; !strings.Contains(o.StateReason, want) {
		t.Errorf("paused with %q, want %q", o.StateReason, want)
	}
	f.only(f.audit("channel", list), "pending")

	f.p.now.Channels = []int{9}
	f.p.set(f.p.now)
	f.must("campaign", "resume", "channel")
	f.await("channel", "finished", time.Minute)
	f.only(f.audit("channel", list), "accepted")
}

func TestTooManyRowsAreHalved(t *testing.T) {
	f := newFleet(t, "none")
	list := people(250, "Sara")
	f.launch("rows", list, "--chunk-size", "100")
	f.await("rows", "finished", time.Minute)
	f.only(f.audit("rows", list), "accepted")
	if f.p.answered(422) == 0 {
		t.Error("Laravel refused no request, so nothing was tried")
	}
}

// The first request is too large for nginx, and its half for PHP.
func TestTooLargeBodiesAreHalved(t *testing.T) {
	f := newFleet(t, "none")
	f.p.now.Keys, f.p.now.MaxRows = []string{"first_name"}, 1000
	f.p.set(f.p.now)
	list := people(400, strings.Repeat("x", 3000))
	f.launch("large", list, "--chunk-size", "200")
	f.await("large", "finished", time.Minute)
	f.only(f.audit("large", list), "accepted")
	byPHP, byNginx := 0, 0
	for _, c := range f.p.calls() {
		switch {
		case c.status == 413 && c.php:
			byPHP++
		case c.status == 413:
			byNginx++
		}
	}
	if byPHP == 0 || byNginx == 0 {
		t.Errorf("%d requests were too large for PHP and %d for nginx: want both", byPHP, byNginx)
	}
}

func TestMaintenance(t *testing.T) {
	const rows = 10
	for _, tt := range []struct {
		name        string
		down        string // as php artisan down writes it
		status      int
		paused      bool
		unconfirmed bool // contacts in flight, and one for each probe
	}{
		{"told as JSON with Retry-After it is waited for", `{"retry":2,"status":503}`, 503, false, false},
		{"told as JSON alone it is waited for", `{"status":503}`, 503, false, false},
		{"told as a page with Retry-After it is waited for", `{"template":"<!DOCTYPE html><html>Be right back</html>","retry":2}`, 503, false, false},
		{"a page alone may be anything that stands in front", `{"template":"<!DOCTYPE html><html>Be right back</html>"}`, 503, false, true},
		{"a redirect pauses the campaign", `{"redirect":"/login"}`, 302, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t, "none")
			f.p.down(tt.down)
			list := people(300, "Sara")
			f.launch("down", list, "--chunk-size", fmt.Sprint(rows), "--skip-preflight")
			f.answered(tt.status, 0)
			if tt.paused {
				if o := f.await("down", "paused", time.Minute); !strings.Contains(o.StateReason, "302") {
					t.Errorf("paused with %q", o.StateReason)
				}
			}
			if tt.unconfirmed { // it is probed meanwhile
				f.answered(tt.status, f.p.answered(tt.status))
			}
			f.p.healthy()
			if tt.paused {
				f.must("campaign", "resume", "down")
			}
			f.await("down", "finished", 90*time.Second)
			fates := f.audit("down", list)
			lost := states(fates)["unconfirmed"]
			if !tt.unconfirmed {
				f.only(fates, "accepted")
				return
			}
			f.only(fates, "accepted", "unconfirmed")
			if most := inHand(rows) + f.p.answered(tt.status); lost == 0 || lost > most {
				t.Errorf("%d contacts are unconfirmed, want 1 to %d", lost, most)
			}
		})
	}
}

// Laravel's own 500 came before the work, and is repeated, as its vendor says.
func TestAnExceptionBeforeTheWorkIsTriedAgain(t *testing.T) {
	f := newFleet(t, "none")
	list := people(100, "Sara")
	f.p.then("refuse")
	f.launch("again", list, "--chunk-size", "10", "--max-attempts", "20", "--skip-preflight")
	f.answered(500, 0)
	f.p.healthy()
	f.await("again", "finished", 90*time.Second)
	f.only(f.audit("again", list), "accepted")
}

// What becomes of the answer when the work is done.
func TestAnAnswerThatIsLostAfterTheWork(t *testing.T) {
	const rows = 5
	for _, tt := range []struct {
		name   string
		then   string
		work   time.Duration
		status int
		args   []string
		paused bool
	}{
		{"PHP is killed, and nginx says 502", "die", 0, 502, nil, false},
		{"PHP runs out of memory, and Laravel says 500 without rate headers", "fatal", 0, 500, nil, false},
		{"PHP is slow, and nginx says 504", "", 3 * time.Second, 504, nil, false},
		{"Laravel says 500, which the user does not believe", "throw", 0, 500, []string{"--strict-5xx"}, false},
		{"a sign-in page stands in the answer's place", "page", 0, 200, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t, "none")
			list := people(200, "Sara") // twenty for the first campaign
			// The workers learn first what Laravel's answers look like.
			f.launch("before", list[:20], "--chunk-size", fmt.Sprint(rows))
			f.await("before", "finished", time.Minute)
			before := f.p.answered(tt.status)
			f.p.now.Work = int(tt.work.Milliseconds())
			f.p.then(tt.then)
			f.launch("lost", list[20:], append([]string{"--chunk-size", fmt.Sprint(rows)}, tt.args...)...)
			f.answered(tt.status, before)
			if tt.paused {
				f.await("lost", "paused", time.Minute)
			}
			f.p.healthy()
			if tt.paused {
				f.must("campaign", "resume", "lost")
			}
			f.await("lost", "finished", 90*time.Second)
			fates := f.audit("lost", list[20:])
			f.only(fates, "accepted", "unconfirmed")
			// Who was under way when it began, and one contact for each look since.
			n, most := states(fates)["unconfirmed"], inHand(rows)+f.p.answered(tt.status)-before
			if tt.status == 200 { // which all others are answered, too
				most = inHand(rows)
			}
			if n == 0 || n > most {
				t.Errorf("%d contacts are unconfirmed, want 1 to %d", n, most)
			}
		})
	}
}

// Servers are reloaded, and PHP's children killed, while requests are under way.
func TestServersThatEndInMidRequest(t *testing.T) {
	const rows = 5
	for _, tt := range []struct {
		name  string
		times int
		end   func(p *platform)
		lost  int // a status that tells that requests were really cut; 0: none need be
	}{
		{"php-fpm reloads", 3, func(p *platform) { p.signal("php-fpm", syscall.SIGUSR2) }, 502},
		{"nginx reloads", 5, func(p *platform) { p.signal("nginx", syscall.SIGHUP) }, 0},
		{"all children of PHP are killed", 3, func(p *platform) {
			for _, pid := range p.workers("php-fpm") {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t, "none")
			f.p.now.Work = 300
			f.p.set(f.p.now)
			list := people(500, "Sara")
			f.launch("cut", list, "--chunk-size", fmt.Sprint(rows))
			for n := range tt.times {
				f.reached((n + 1) * 60) // and the platform works at the last of them
				tt.end(f.p)
				f.until(upIn, f.p.up)
			}
			f.p.healthy()
			f.await("cut", "finished", 2*time.Minute)
			fates := f.audit("cut", list)
			f.only(fates, "accepted", "unconfirmed")
			if tt.lost != 0 && f.p.answered(tt.lost) == 0 {
				t.Errorf("no answer %d came, so nothing was tried", tt.lost)
			}
			if n, most := states(fates)["unconfirmed"], tt.times*(inHand(rows)+5); n > most {
				t.Errorf("%d contacts are unconfirmed, want %d at most", n, most)
			}
		})
	}
}
