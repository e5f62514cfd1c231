package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// listedPlaces are the contacts that a page lists, by their place.
func listedPlaces(page string) string {
	var places []string
	for _, link := range regexp.MustCompile(`<th scope="row"><a href="/campaigns/spring/contacts/(\d+)"`).FindAllStringSubmatch(page, -1) {
		places = append(places, link[1])
	}
	return strings.Join(places, " ")
}

func TestContactsPageByPage(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 120)
	page := f.get("/campaigns/spring/contacts")
	wantTexts(t, page, "120 contacts in all", "966501000000", "نورة 0", `dir="auto"`, "&lt;script&gt;document.title")
	if strings.Contains(page, "<script>document") || inline.MatchString(page) {
		t.Error("a name is markup")
	}
	if n := len(strings.Fields(listedPlaces(page))); n != 50 {
		t.Errorf("%d contacts on a page", n)
	}
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	for _, first := range []string{"50 ", "100 "} {
		page = f.get(strings.ReplaceAll(next.FindStringSubmatch(page)[1], "&amp;", "&"))
		if got := listedPlaces(page); !strings.HasPrefix(got, first) {
			t.Errorf("the page lists %s, want it to begin with %s", got, first)
		}
	}
	if next.MatchString(page) {
		t.Error("there is a page behind the last")
	}
	back := regexp.MustCompile(`rel="prev" href="([^"]+)"`).FindStringSubmatch(page)[1]
	if got := listedPlaces(f.get(back)); !strings.HasPrefix(got, "50 ") {
		t.Errorf("the page before lists %s", got)
	}
}

func TestContactsByStateAndReason(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.move("spring", 1, "busy", campaign.Send, campaign.Fail)
	f.move("spring", 2, "bad number", campaign.Send, campaign.Reject)
	f.move("spring", 12, "bad number", campaign.Send, campaign.Fail)
	for query, want := range map[string]string{
		"state=failed":           "1 12",
		"reason=2":               "2 12",
		"state=failed&reason=2":  "12",
		"state=ended":            "",
		"state=failed&from=2":    "12",
		"state=failed&before=12": "1",
		"reason=77":              "",
	} {
		page := f.get("/campaigns/spring/contacts?" + query)
		if got := listedPlaces(page); got != want {
			t.Errorf("%s lists %q, want %q", query, got, want)
		}
		if want == "" {
			wantTexts(t, page, "<h2>Nobody")
		}
	}
	wantTexts(t, f.get("/campaigns/spring/contacts?state=failed&reason=2"), "1 contact in all", `<option value="failed" selected>failed (2)`, `<option value="2" selected>bad number (1)`)
	for _, query := range []string{"state=" + url.QueryEscape(hostile), "reason=-1", "reason=many", "from=-1", "from=x", "before=x", "reason=70000"} {
		if res, page := f.ask("GET", "/campaigns/spring/contacts?"+query, nil); res.StatusCode != http.StatusBadRequest || strings.Contains(page, "<script>document") {
			t.Errorf("%s: %d", query, res.StatusCode)
		}
	}
}

func TestSomebodyIsFoundAndNoAddressTells(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	find := func(text string) (*http.Response, string) {
		return f.ask("POST", "/campaigns/spring/contacts", url.Values{"find": {text}})
	}
	for _, number := range []string{"+966501000007", "0501000007", " 050 100 0007 ", "٠٥٠١٠٠٠٠٠٧"} {
		res, _ := find(number)
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != "/campaigns/spring/contacts/7" {
			t.Errorf("%q leads to %d %q", number, res.StatusCode, to)
		}
	}
	if _, page := find("NOTE 1"); listedPlaces(page) != "1 10 11 12 13 14 15 16 17 18 19" {
		t.Errorf("a text finds %s", listedPlaces(page))
	}
	for _, name := range []string{"نوره ٧", "نُورة 7"} {
		if _, page := find(name); listedPlaces(page) != "7" {
			t.Errorf("%s finds %s", name, listedPlaces(page))
		}
	}
	for _, nobody := range []string{"+966509999999", hostile + "nobody"} {
		if _, page := find(nobody); listedPlaces(page) != "" || !strings.Contains(page, "Nobody that was searched") || strings.Contains(page, "<script>document") {
			t.Errorf("%q finds %s", nobody, listedPlaces(page))
		}
	}
	if res, _ := find(strings.Repeat("ن", 101)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a long text: %d", res.StatusCode)
	}
	if res, _ := find(strings.Repeat("x", 100<<10)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a text beyond all measure: %d", res.StatusCode)
	}
	// An address is not asked for what to find.
	if page := f.get("/campaigns/spring/contacts?find=note+7"); len(strings.Fields(listedPlaces(page))) != 20 {
		t.Errorf("an address finds %s", listedPlaces(page))
	}
}

func TestASearchGoesOnWhereItStopped(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 205_000, func(s *campaign.Settings) { s.ChunkSize = 5000 })
	_, page := f.ask("POST", "/campaigns/spring/contacts", url.Values{"find": {"note 204999"}})
	wantTexts(t, page, "among 200,000 searched", "Nobody so far", `name="from" value="200000"`, "Search on")
	_, page = f.ask("POST", "/campaigns/spring/contacts", url.Values{"find": {"note 204999"}, "from": {"200000"}})
	if got := listedPlaces(page); got != "204999" {
		t.Errorf("it finds %q", got)
	}
}

func TestAContactPageTellsItsStory(t *testing.T) {
	f := newFixture(t)
	c := f.load("spring", 20)
	f.move("spring", 13, "", campaign.Send, campaign.Accept)
	f.move("spring", 3, "busy "+hostile, campaign.Send, campaign.Fail)
	ref := store.Ref{Campaign: c.Name, Chunk: 1}
	err := f.UpdateOutcomes(t.Context(), ref, []int{3}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o.Conversation, o.Started, o.Ended = "conv-7", at.Add(time.Minute), at.Add(2*time.Minute)
		o.Extraction = json.RawMessage(`{"intent":"buy <b>","مدينة":"الرياض"}`)
		return o, []campaign.Turn{{Role: "agent", Text: "مرحبا"}, {Role: "customer", Text: "<script>alert(1)</script>", At: at}}
	})
	if err != nil {
		t.Fatal(err)
	}
	page := f.get("/campaigns/spring/contacts/13")
	wantTexts(t, page, "966501000013", "accepted", "نورة 13", "sent as name", "not sent", "conv-7", "intent", "buy &lt;b&gt;", "الرياض",
		"مرحبا", "&lt;script&gt;alert(1)", "the conversation began", "the conversation ended", "loaded from line 15", "spring/1/")
	if inline.MatchString(page) {
		t.Error("what was said is markup")
	}
	page = f.get("/campaigns/spring/contacts/3")
	wantTexts(t, page, "&lt;script&gt;document.title", "busy &lt;script&gt;", "failed", "Nothing was told of it", "request spring/0/1-1 → <b>failed</b>", `by worker <bdi dir="auto">w</bdi>`)
	if inline.MatchString(page) {
		t.Error("a name is markup")
	}
	for _, place := range []string{"20", "2000", "-1", "x", "99999999999999999999"} {
		if res, _ := f.ask("GET", "/campaigns/spring/contacts/"+place, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("place %s: %d", place, res.StatusCode)
		}
	}
}

func TestDownloads(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.move("spring", 3, "busy", campaign.Send, campaign.Fail)
	for name, tt := range map[string]struct{ kind, begins, holds string }{
		"results.csv":   {"text/csv; charset=utf-8", "\ufeffphone,الاسم,note,phone_e164,", "busy"},
		"results.jsonl": {"application/x-ndjson", `{"phone":"+966501000000"`, `"reason":"busy"`},
		"results.xlsx":  {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK", ""},
		"rejects.csv":   {"text/csv; charset=utf-8", "phone,reason\n", "too short"},
	} {
		res, body := f.ask("GET", "/campaigns/spring/"+name, nil)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != tt.kind || !strings.HasPrefix(body, tt.begins) || !strings.Contains(body, tt.holds) {
			t.Errorf("%s: %d %s %.100q", name, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
		if got, want := res.Header.Get("Content-Disposition"), fmt.Sprintf("attachment; filename=%q", "spring-"+name); got != want {
			t.Errorf("%s is kept as %s", name, got)
		}
		if name == "results.xlsx" {
			if _, err := excelize.OpenReader(bytes.NewReader([]byte(body))); err != nil {
				t.Error(err)
			}
		}
		if res, _ := f.ask("GET", "/campaigns/none/"+name, nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s of nothing: %d", name, res.StatusCode)
		}
	}
}

func TestADownloadThatCannotBeWholeIsCut(t *testing.T) {
	for name, begins := range map[string]bool{"results.csv": true, "results.xlsx": true, "results.jsonl": false} {
		f := newFixture(t)
		f.load("spring", 20)
		for _, key := range []string{"c:{spring}:l:0", "c:{spring}:l:1"} {
			if err := f.Redis().Set(t.Context(), key, "damaged", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.Get(f.URL + "/campaigns/spring/" + name)
		var body bytes.Buffer
		if err == nil {
			_, err = body.ReadFrom(res.Body)
			res.Body.Close()
		}
		switch {
		case begins && err == nil:
			t.Errorf("%s: half a file looks whole", name)
		case !begins && (err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Content-Disposition") != "" || !strings.Contains(body.String(), "chunk spring/")):
			t.Errorf("%s, which had not begun: %v, %v\n%s", name, res, err, &body)
		}
	}
}

// TestADownloadBeginsAtOnce holds back everything about contacts until the first bytes
// have come.
func TestADownloadBeginsAtOnce(t *testing.T) {
	for name, begins := range map[string]string{"results.csv": "\ufeffphone,", "results.xlsx": "PK\x03\x04"} {
		f := newFixture(t)
		f.load("spring", 20)
		come := make(heldBack)
		f.Redis().AddHook(come)
		res, err := http.Get(f.URL + "/campaigns/spring/" + name)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, len(begins))
		if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != begins {
			t.Errorf("%s begins with %q: %v", name, first, err)
		}
		close(come)
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		res.Body.Close()
	}
}

// heldBack are the contacts in Redis, until it is closed.
type heldBack chan struct{}

func (heldBack) DialHook(next redis.DialHook) redis.DialHook { return next }

func (heldBack) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h heldBack) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return strings.Contains(c.String(), " rows") }) {
			<-h
		}
		return next(ctx, cmds)
	}
}

func TestASheetIsNotBegunThatCannotHoldTheResults(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	counts := fmt.Sprintf(`{"rows":%d,"contacts":%[1]d}`, 1<<20)
	if err := f.Redis().HSet(t.Context(), "c:{spring}", "counts", counts).Err(); err != nil {
		t.Fatal(err)
	}
	res, page := f.ask("GET", "/campaigns/spring/results.xlsx", nil)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "1048576 rows: write .csv instead") {
		t.Errorf("%v\n%s", res, page)
	}
}

func TestWhatIsStillLoadingHasNoContactsToShow(t *testing.T) {
	f := newFixture(t)
	settings := campaign.Settings{Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 10, MaxAttempts: 5, Columns: columns}
	if _, err := f.BeginLoad(t.Context(), campaign.Campaign{Name: "spring", Settings: settings}); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, f.get("/"), "loading")
	wantTexts(t, f.get("/campaigns/spring"), "loading")
	for _, path := range []string{"contacts", "results.csv", "rejects.csv"} {
		if res, page := f.ask("GET", "/campaigns/spring/"+path, nil); res.StatusCode != http.StatusConflict || !strings.Contains(page, "still being loaded") {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestAPurgedCampaignHasItsTotalsOnly(t *testing.T) {
	f := newFixture(t)
	f.load("spring", 20)
	f.move("spring", 3, "busy", campaign.Send, campaign.Fail)
	if _, _, err := f.SetPhase(t.Context(), "spring", campaign.CanceledPhase, campaign.Message{}, campaign.Running); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if i != 3 {
			f.move("spring", i, "", campaign.Cancel)
		}
	}
	if err := f.Purge(t.Context(), "spring"); err != nil {
		t.Fatal(err)
	}
	page := f.get("/campaigns/spring")
	wantTexts(t, page, "1 of 20 contacts through (5.0 %)", "were purged at", "busy")
	if strings.Contains(page, "Send again") || strings.Contains(page, "results.csv") {
		t.Error("it offers what is no longer there")
	}
	for _, path := range []string{"contacts", "contacts/3", "results.csv", "rejects.csv"} {
		if res, page := f.ask("GET", "/campaigns/spring/"+path, nil); res.StatusCode != http.StatusGone || !strings.Contains(page, "purged") {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
