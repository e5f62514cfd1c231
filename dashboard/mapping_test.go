package dashboard_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"campaign-runner/dashboard"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// The list's step shows the first rows as they will be read; columns are chosen there, and
// launched as shown.
func TestColumnsAreChosenByTheirRows(t *testing.T) {
	f := newFixture(t, withAgent(t, func(c *sandbox.Config) { c.ValueKeys = []string{"name", "city", "offer"} }))
	_, page := f.upload("list.csv", "Cty,who,Kontakt,Reserve\nRiyadh,نورة,0501000001,\nJeddah,Sara,,0501000002\nJeddah,x,12,\n", filled(map[string]string{"region": "SA"}), false)
	path := "/new/" + idOf(t, page)
	// It is not known which column has the numbers.
	page = f.get(path + "/list")
	wantTexts(t, page, `role="alert"`, "No column of phone numbers found", `<option value="Kontakt">`, `<label for="value-1">`)
	if strings.Contains(page, "966501000001") {
		t.Error("rows are read by a column that nobody chose")
	}
	to, page := f.fill(path+"/list", url.Values{"region": {"SA"}})
	if to != "" || !strings.Contains(page, `role="alert"`) {
		t.Errorf("a list that cannot be read leads to %s", to)
	}
	chosen := url.Values{"region": {"SA"}, "phone_column": {"Kontakt"}, "to": {"again"}}
	if to, _ = f.fill(path+"/list", chosen); to != path+"/list" {
		t.Error(to)
	}
	page = f.get(path + "/list")
	wantTexts(t, page, `<bdi dir="ltr">&#43;966501000001</bdi>`, "number too short", `<option value="Cty" selected>`, "Proposed, because the names are alike", "the file has no column for")
	chosen = url.Values{"region": {"SA"}, "phone_column": {"Kontakt", "Reserve"}, "value:name": {"who"}, "value:city": {"Cty"}, "value:offer": {""}, "fixed:offer": {"عرض"}}
	if to, page = f.fill(path+"/list", chosen); to != path+"/when" {
		t.Fatalf("%s\n%s", to, page)
	}
	page = f.get(path + "/list")
	wantTexts(t, page, `<option value="who" selected>`, `value="عرض"`, "→ <bdi>city</bdi>", "&#43;966501000002")
	if strings.Contains(page, `role="alert"><p`) || strings.Count(page, "selected") < 4 {
		t.Error("what was chosen is not chosen")
	}
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d\n%s", res.StatusCode, page)
	}
	c, err := f.Campaign(t.Context(), "spring")
	if s := c.Settings; err != nil || c.Counts.Contacts != 2 || s.Columns[1].Key != "name" || s.Columns[0].Key != "city" || s.Constants["offer"] != "عرض" || len(s.Reading.PhoneColumns) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

// A column chosen for two values is a slip: one of them would be filled by something else.
func TestAColumnIsChosenForOneValue(t *testing.T) {
	f := newFixture(t, withAgent(t, func(c *sandbox.Config) { c.ValueKeys = []string{"name", "city"} }))
	_, page := f.upload("list.csv", "phone,who,city\n0501000001,نورة,Riyadh\n", filled(nil), false)
	path := "/new/" + idOf(t, page)
	form := url.Values{"region": {"SA"}, "value:name": {"who"}, "value:city": {"who"}, "chosen": {"1"}}
	to, page := f.fill(path+"/list", form)
	wantTexts(t, page, `role="alert"`, "is chosen for several values of the agent", `<option value="who" selected>`)
	if to != "" {
		t.Errorf("it leads to %s", to)
	}
	if res, page := f.ask("POST", path+"/launch", nil); res.StatusCode != http.StatusBadRequest || !strings.Contains(page, "is chosen for several values") {
		t.Errorf("it was launched: %s\n%s", res.Status, page)
	}
	form.Set("fixed:city", "Jeddah") // the same for all
	if to, page = f.fill(path+"/list", form); to != path+"/when" {
		t.Errorf("%s\n%s", to, page)
	}
}

// shut is a platform that refuses its token while it is shut.
type shut struct {
	*velents.Client
	now *atomic.Bool
}

func (s shut) Agent(ctx context.Context) (velents.Agent, velents.Answer, error) {
	if s.now.Load() {
		return velents.Agent{}, velents.Answer{Status: 401}, &velents.Error{Status: 401, Message: "no"}
	}
	return s.Client.Agent(ctx)
}

// What was chosen for the agent's values stays while the platform cannot be asked for them.
func TestValuesStayWhileThePlatformCannotBeAsked(t *testing.T) {
	var now atomic.Bool
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) {
		l := c.Agents["default"]
		l.Platform = shut{l.Platform.(*velents.Client), &now}
		c.Agents["default"] = l
	})
	now.Store(true)
	_, page := f.upload("list.csv", "Mobile,other,who\n0501000001,0501000003,نورة\n", filled(map[string]string{"value:name": "who", "fixed:offer": "عرض", "phone_column": "Mobile"}), false)
	path := "/new/" + idOf(t, page)
	page = f.get(path + "/list")
	if strings.Contains(page, `name="value:name"`) {
		t.Fatal("the platform was asked")
	}
	if to, page := f.fill(path+"/list", url.Values{"region": {"SA"}, "phone_column": {"Mobile"}, "to": {"back"}}); to != path+"/agent" {
		t.Errorf("%s\n%s", to, page)
	}
	now.Store(false)
	wantTexts(t, f.get(path+"/list"), `<option value="who" selected>`)
	// Once they are asked for, what is taken back is gone.
	f.fill(path+"/list", url.Values{"region": {"SA"}, "chosen": {"1"}, "phone_column": {"Mobile"}, "to": {"back"}})
	if strings.Contains(f.get(path+"/list"), `<option value="who" selected>`) {
		t.Error("a column stays chosen")
	}
}

// The contacts of a campaign keep the columns that they had.
func TestAFollowUpKeepsItsColumns(t *testing.T) {
	f := newFixture(t, withAgent(t))
	f.load("offer", 3)
	_, page := f.upload("", "", map[string]string{"from": "offer", "where": "", "agent": "default", "channel": "voice"}, false)
	page = f.get("/new/" + idOf(t, page) + "/list")
	wantTexts(t, page, `<option value="الاسم" selected>`, "&#43;966501000001")
	if strings.Contains(page, hostile) {
		t.Error("a name is markup")
	}
}

// counting counts how often the platform is asked what the agent wants.
type counting struct {
	*velents.Client
	asked *atomic.Int32
}

func (c counting) ValueKeys(ctx context.Context) ([]string, velents.Answer, error) {
	c.asked.Add(1)
	return c.Client.ValueKeys(ctx)
}

// What an agent wants is asked once for some steps back and forth.
func TestStepsTakeLittleOfTheQuota(t *testing.T) {
	var asked atomic.Int32
	f := newFixture(t, withAgent(t), func(c *dashboard.Config) {
		l := c.Agents["default"]
		l.Platform = counting{l.Platform.(*velents.Client), &asked}
		c.Agents["default"] = l
	})
	_, page := f.upload("list.csv", list, map[string]string{"agent": "none"}, false)
	path := "/new/" + idOf(t, page)
	f.fill(path+"/agent", url.Values{"name": {"spring"}, "agent": {"default"}, "channel": {"voice"}})
	for range 5 {
		wantTexts(t, f.get(path+"/list"), `<label for="value-0">`)
	}
	if n := asked.Load(); n > 4 { // it is kept for a minute, and this machine may be slow
		t.Errorf("asked %d times", n)
	}
}
