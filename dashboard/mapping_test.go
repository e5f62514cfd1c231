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
