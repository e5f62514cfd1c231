package dashboard_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/dashboard"
	"campaign-runner/ratelimit"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// withAgent lets campaigns of the agent "default" be launched, on a platform that
// wants a name of each contact.
func withAgent(t *testing.T, edit ...func(*sandbox.Config)) func(*dashboard.Config) {
	t.Helper()
	cfg := sandbox.Config{Limit: sandbox.Unlimited, ValueKeys: []string{"name"}}
	for _, e := range edit {
		e(&cfg)
	}
	platform, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() { server.Close(); platform.Close() })
	client, err := velents.New(velents.Config{BaseURL: server.URL, Token: "token", Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	rate, err := ratelimit.ParseRate("none")
	if err != nil {
		t.Fatal(err)
	}
	quota, err := ratelimit.New(ratelimit.Config{Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *dashboard.Config) {
		c.Agents = map[string]launch.Launcher{"default": {Platform: client, Quota: quota}}
		c.Channels = []dashboard.Channel{{Name: "voice", ID: 3}}
	}
}

const list = "phone,name,note\n0501000001,نورة,a\n0501000002,Sara,b\n0501000002,again,c\n12,short,d\n"

// filled is the form as a person fills it in, but for what the test changes.
func filled(changes map[string]string) map[string]string {
	form := map[string]string{"name": "spring", "channel": "voice", "agent": "default", "mode": "batch", "max_attempts": "5", "retry_5xx": "none", "region": "sa"}
	for field, value := range changes {
		form[field] = value
	}
	return form
}

// upload posts the list of a new campaign with all that is filled in of it, and returns its
// review; the file goes last or first.
func (f fixture) upload(file, contents string, form map[string]string, fileFirst bool) (*http.Response, string) {
	f.T.Helper()
	res, page := f.uploadTo("/new", file, contents, form, fileFirst)
	if res.StatusCode != http.StatusSeeOther {
		return res, page
	}
	return ask(f.T, "GET", f.URL+res.Header.Get("Location")+"/review", nil, func(r *http.Request) { r.Header.Set("Accept-Language", f.language) })
}

// uploadTo posts a file to a page, with what is filled in of its form.
func (f fixture) uploadTo(path, file, contents string, form map[string]string, fileFirst bool) (*http.Response, string) {
	f.T.Helper()
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	addFile := func() {
		part, err := parts.CreateFormFile("file", file)
		if err != nil {
			f.T.Fatal(err)
		}
		if _, err := io.WriteString(part, contents); err != nil {
			f.T.Fatal(err)
		}
	}
	if fileFirst && file != "" {
		addFile()
	}
	for field, value := range form {
		if err := parts.WriteField(field, value); err != nil {
			f.T.Fatal(err)
		}
	}
	if !fileFirst && file != "" {
		addFile()
	}
	if err := parts.Close(); err != nil {
		f.T.Fatal(err)
	}
	return f.post(path, parts.FormDataContentType(), &body)
}

func (f fixture) post(path, kind string, body io.Reader) (*http.Response, string) {
	f.T.Helper()
	req, err := http.NewRequestWithContext(f.T.Context(), "POST", f.URL+path, body)
	if err != nil {
		f.T.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept-Language", f.language)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.T.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		f.T.Fatal(err)
	}
	return res, string(page)
}

var launchButton = regexp.MustCompile(`action="(/new/[A-Z0-9]+)/launch"`)

func TestAListIsShownBeforeItIsLaunched(t *testing.T) {
	for name, fileFirst := range map[string]bool{"the file last": false, "the file first": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, withAgent(t))
			wantTexts(t, f.get("/new"), `enctype="multipart/form-data"`)
			res, page := f.upload("../secret/lists/"+hostile+".csv", list, filled(map[string]string{
				"hours": "09:00-21:00", "timezone": "Asia/Riyadh", "canary": "1", "max_failure_share": "20%", "daily_cap": "5",
			}), fileFirst)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%d\n%s", res.StatusCode, page)
			}
			wantTexts(t, page, "2 contacts", "4 rows", "Lines refused", "duplicate", "number too short", "Launch: contact 2 people", "1 contact; the others wait", "more than 20% of", "5 contacts at most", "09:00", "Asia/Riyadh", "csv, utf-8, comma between cells", "<bdi>note</bdi>")
			if strings.Contains(page, "<script>document") || strings.Contains(page, "secret") || inline.MatchString(page) {
				t.Error("the file's name is more than a name")
			}
			if names, err := f.Names(t.Context()); err != nil || len(names) > 0 {
				t.Errorf("something is stored: %v, %v", names, err)
			}
			path := launchButton.FindStringSubmatch(page)[1]
			res, _ = f.ask("POST", path+"/launch", nil)
			to := res.Header.Get("Location")
			if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/campaigns/spring?did=") {
				t.Fatalf("%d %s", res.StatusCode, to)
			}
			c, err := f.Campaign(t.Context(), "spring")
			if err != nil || c.Phase != campaign.Running || c.Counts.Contacts != 2 || c.Settings.ChannelID != 3 || c.Settings.Region != "SA" || c.Settings.Hours.Zone != "Asia/Riyadh" {
				t.Errorf("%+v, %v", c, err)
			}
			if s := c.Settings; s.Canary != 1 || s.MaxFailureShare.String() != "20%" || s.DailyCap != 5 || s.Retry5xx != campaign.RetryNone {
				t.Errorf("a safe start: %+v", s)
			}
			wantTexts(t, f.get(to), "Launched, with 2 contacts.")
			// It is launched once: the list is no longer kept.
			if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusGone || !strings.Contains(page, "upload the list again") {
				t.Errorf("again: %d", res.StatusCode)
			}
		})
	}
}

func TestThatAListWillWaitForApprovalIsShownBeforeTheLaunch(t *testing.T) {
	f := newFixture(t, withAgent(t))
	f.ApproveAbove(1)
	_, page := f.upload("list.csv", list, filled(nil), true)
	wantTexts(t, page, "Load, and ask for approval: 2 people", `with more than 1 contact it waits for the approval of somebody else than the pages`)
	res, _ := f.ask("POST", launchButton.FindStringSubmatch(page)[1]+"/launch", nil)
	wantTexts(t, f.get(res.Header.Get("Location")), `it waits for approval by somebody else than the pages`, `action="/campaigns/spring/approve"`)
}

func TestWhoseNumbersTheyAreIsShownBeforeTheLaunch(t *testing.T) {
	f := newFixture(t, withAgent(t))
	const codes = "name,Country Code,phone\nA,+966,501234567\nB,+971,501234568 / 501234569\nC,+966,521234567\n"
	res, page := f.upload("codes.csv", codes, filled(map[string]string{"two_numbers": "first"}), true)
	for _, want := range []string{
		"<dt>Countries</dt><dd>SA 2, AE 1</dd>", "<dt>Country by</dt><dd>column <bdi dir=\"auto\">Country Code</bdi></dd>",
		`<dt>Doubtful</dt><dd>1 number <span class="sub"><bdi dir="auto">in no known range of its country</bdi></span></dd>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%d, no %s in %s", res.StatusCode, want, page)
		}
	}
	_, page = f.upload("codes.csv", codes, filled(map[string]string{"country_code_column": "none", "strict_numbers": "on"}), true)
	if !strings.Contains(page, "<dt>Countries</dt><dd>SA 1</dd>") || strings.Contains(page, "Doubtful") {
		t.Errorf("without the column, and strictly: %s", page)
	}
}

func TestSheetsAndHiddenRowsAreToldBeforeTheLaunch(t *testing.T) {
	f := newFixture(t, withAgent(t))
	book := excelize.NewFile()
	defer book.Close()
	for i, row := range [][]any{{"phone", "name"}, {966501000001, "a"}, {966501000002, "b"}} {
		if err := errors.Join(book.SetSheetRow("Sheet1", fmt.Sprint("A", i+1), &row), book.SetRowVisible("Sheet1", i+1, i < 2)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := book.NewSheet("Jeddah"); err != nil {
		t.Fatal(err)
	}
	if err := book.SetSheetRow("Jeddah", "A1", &[]any{"phone", "name"}); err != nil {
		t.Fatal(err)
	}
	file, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	_, page := f.upload("list.xlsx", file.String(), filled(nil), false)
	wantTexts(t, f.get(launchButton.FindStringSubmatch(page)[1]+"/list"), `name="sheet"`, `name="all_sheets"`, `name="skip_hidden_rows"`)
	wantTexts(t, page, "Launch: contact 2 people", "only the sheet <bdi dir=\"auto\">&#34;Sheet1&#34;</bdi> is read, and not <bdi dir=\"auto\">&#34;Jeddah&#34;</bdi>", "read all the same: 1")
	_, page = f.upload("list.xlsx", file.String(), filled(map[string]string{"skip_hidden_rows": "on", "all_sheets": "on"}), true)
	wantTexts(t, page, "Launch: contact 1 person", "hidden row", "all sheets that are not hidden")
	_, page = f.upload("list.xlsx", file.String(), filled(map[string]string{"sheet": "Jeddah"}), true)
	wantTexts(t, page, "there is nobody to contact in this file", "only the sheet <bdi dir=\"auto\">&#34;Jeddah&#34;</bdi> is read")
}

func TestADiscardedListIsGone(t *testing.T) {
	f := newFixture(t, withAgent(t))
	_, page := f.upload("list.csv", list, filled(nil), false)
	path := launchButton.FindStringSubmatch(page)[1]
	if res, _ := f.ask("POST", path+"/discard", nil); !strings.HasPrefix(res.Header.Get("Location"), "/new?did=") {
		t.Errorf("discarding leads to %q", res.Header.Get("Location"))
	}
	for range 2 {
		if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusGone {
			t.Errorf("launched all the same: %d", res.StatusCode)
		}
		f.ask("POST", path+"/discard", nil)
	}
}

func TestWhoeverNobodyMayContactIsKnownBeforeTheLaunch(t *testing.T) {
	f := newFixture(t, withAgent(t))
	if _, err := f.Suppress(t.Context(), []campaign.Phone{966501000001}); err != nil {
		t.Fatal(err)
	}
	_, page := f.upload("list.csv", list, filled(nil), false)
	wantTexts(t, page, "1 contact", "do-not-contact", "Launch: contact 1 person")
}

func TestAFormThatCannotBeLaunchedComesBackWithWhatIsWrong(t *testing.T) {
	f := newFixture(t, withAgent(t))
	f.load("taken", 10)
	for _, tt := range []struct {
		name, file, contents string
		form                 map[string]string
		status               int
		says                 string
	}{
		{"no file", "", "", nil, 400, "Choose a contact file"},
		{"an empty file", "list.csv", "", nil, 400, "not empty"},
		{"no list", "list.csv", "\x00\x01\x02\x03", nil, 422, "No column of phone numbers"},
		{"a list without numbers", "list.csv", "name,city\na,b\n", nil, 422, "No column of phone numbers"},
		{"a list without what the agent wants", "list.csv", "phone\n0501000001\n", nil, 422, "values that the file has no column for: &#34;name&#34;"},
		{"no name", "list.csv", list, map[string]string{"name": ""}, 400, "campaign name: want"},
		{"a hostile name", "list.csv", list, map[string]string{"name": hostile}, 400, "&lt;script&gt;"},
		{"a name that is taken", "list.csv", list, map[string]string{"name": "taken"}, 409, "Campaign taken exists"},
		{"an agent that is not served here", "list.csv", list, map[string]string{"agent": "sales"}, 400, "does not serve the agent"},
		{"no channel", "list.csv", list, map[string]string{"channel": ""}, 400, "want the platform's id"},
		{"a channel that cannot be", "list.csv", list, map[string]string{"channel": "-3"}, 400, "Channel: want a number from 1"},
		{"no such mode", "list.csv", list, map[string]string{"mode": "fax"}, 400, "Requests: want batch or dispatch"},
		{"no number", "list.csv", list, map[string]string{"chunk_size": "many"}, 400, "Contacts a chunk: want a number"},
		{"a number out of bounds", "list.csv", list, map[string]string{"max_attempts": "1000"}, 400, "Attempts for each contact: want a number from 1 to 200"},
		{"failures that nobody knows", "list.csv", list, map[string]string{"retry_5xx": "some"}, 400, "Send again after failures: want own, all or none"},
		{"no such country", "list.csv", list, map[string]string{"region": "xx"}, 400, "Region"},
		{"no share", "list.csv", list, map[string]string{"max_failure_share": "many"}, 400, "Pause when more fail than: share"},
		{"a canary of fewer than nobody", "list.csv", list, map[string]string{"canary": "-1"}, 400, "Try out with the first contacts: want a number from 1"},
		{"hours by nobody's clock", "list.csv", list, map[string]string{"hours": "09:00-21:00"}, 400, "need a time zone"},
		{"no hours", "list.csv", list, map[string]string{"hours": "late", "timezone": "Asia/Riyadh"}, 400, "Hours: hours"},
		{"no such zone", "list.csv", list, map[string]string{"timezone": "Moon/Crater"}, 400, "Moon/Crater"},
		{"no such time", "list.csv", list, map[string]string{"start_at": "soon"}, 400, "Not before: "},
		{"a form beyond all measure", "list.csv", list, map[string]string{"region": strings.Repeat("x", 100<<10)}, 413, "This form is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, page := f.upload(tt.file, tt.contents, filled(tt.form), false)
			page = strings.NewReplacer(`<bdi dir="auto">`, "", "</bdi>", "").Replace(page)
			if res.StatusCode != tt.status || !strings.Contains(page, tt.says) || !strings.Contains(page, `role="alert"`) {
				t.Errorf("%d, want %d and %q\n%s", res.StatusCode, tt.status, tt.says, page)
			}
			if strings.Contains(page, "<script>document") {
				t.Error("what was filled in is markup")
			}
		})
	}
	res, page := f.post("/new", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nphone"))
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "has ended too soon") {
		t.Errorf("half an upload: %d", res.StatusCode)
	}
	if res, _ := f.post("/new", "text/plain", strings.NewReader("hello")); res.StatusCode != http.StatusBadRequest {
		t.Errorf("no form: %d", res.StatusCode)
	}
	if names, err := f.Names(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("campaigns %v, %v", names, err)
	}
}

// One too many is refused, and takes no room.
func TestOnlySoManyDraftsWait(t *testing.T) {
	f := newFixture(t, withAgent(t))
	for range store.MaxDrafts {
		w, err := f.BeginDraft(t.Context(), "", "list.csv", 0)
		if err == nil {
			_, err = w.End(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if res, page := f.upload("list.csv", list, filled(nil), false); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "100 lists wait") {
		t.Errorf("one too many: %d %s", res.StatusCode, page)
	}
	if drafts, err := f.Drafts(t.Context()); err != nil || len(drafts) != store.MaxDrafts {
		t.Errorf("%d drafts, %v", len(drafts), err)
	}
}

func TestALaunchThatFailsCanBeMadeAgain(t *testing.T) {
	f := newFixture(t, withAgent(t))
	_, page := f.upload("list.csv", list, filled(nil), false)
	path := launchButton.FindStringSubmatch(page)[1]
	f.load("spring", 10) // somebody was faster
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusConflict || !strings.Contains(page, "Campaign spring exists") {
		t.Errorf("%d\n%s", res.StatusCode, page)
	}
	if res, page := f.ask("POST", path+"/agent", url.Values{"name": {"summer"}, "agent": {"default"}, "channel": {"voice"}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("another name: %d\n%s", res.StatusCode, page)
	}
	if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("again: %d", res.StatusCode)
	}
}

func TestAWorkerWithoutAgentsLaunchesNothing(t *testing.T) {
	wantTexts(t, newFixture(t).get("/new"), "This worker serves no agent")
}

// The environment of a worker says, for launches from its pages as for those of enqueue, what
// settings are that nobody fills in.
func TestTheInstallationSaysWhatSettingsAre(t *testing.T) {
	f := newFixture(t, withAgent(t), func(cfg *dashboard.Config) {
		cfg.Defaults = campaign.Given{"keep-for": {"30d"}, "retry-5xx": {"none"}, "max-attempts": {"7"}, "region": {"AE"}}
	})
	wantTexts(t, f.get(f.draftOf(nil)+"/safety"), `<option value="none" selected>`, `value="7"`)
	_, page := f.upload("list.csv", list, filled(map[string]string{"max_attempts": "3"}), false)
	path := launchButton.FindStringSubmatch(page)[1]
	if res, _ := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("launch: %s", res.Status)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if s := c.Settings; err != nil || s.KeepDays != 30 || s.Retry5xx != campaign.RetryNone || s.MaxAttempts != 3 {
		t.Errorf("kept for %d days, sent again after %v, %d attempts, %v", s.KeepDays, s.Retry5xx, s.MaxAttempts, err)
	}
}
