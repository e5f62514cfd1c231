package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("AST", 3*60*60)
	os.Exit(m.Run())
}

// fixture is an empty Redis, the campaigns the tests make in it, and the command
// that works on it.
type fixture struct {
	campaigntest.Fixture
	url string
	env map[string]string // beside REDIS_URL
}

func newFixture(t *testing.T) fixture {
	rdb := redistest.Shared(t)
	return fixture{Fixture: campaigntest.New(t, rdb), url: fmt.Sprintf("redis://%s/%d", rdb.Options().Addr, rdb.Options().DB)}
}

// outcome is what a command printed and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// run runs the command; stderr ends with the line that main would print.
func (f fixture) run(args ...string) outcome {
	f.T.Helper()
	var stdout, stderr bytes.Buffer
	err := run(f.T.Context(), args, strings.NewReader(""), &stdout, &stderr, f.getenv)
	cli.Report(&stderr, "campaign", err)
	return outcome{stdout.String(), stderr.String(), cli.ExitCode(err)}
}

func (f fixture) getenv(key string) string {
	if key == "REDIS_URL" {
		return f.url
	}
	return f.env[key]
}

var at = campaigntest.At

// load makes a running campaign of that size, two contacts to a chunk.
func (f fixture) load(name string, contacts int) {
	f.T.Helper()
	settings := campaigntest.Settings(2, campaign.Column{Name: "الاسم", Key: "name"}, campaign.Column{Name: "phone"})
	settings.PhoneColumn = 1
	f.Load(campaigntest.List{
		Name: name, Settings: settings,
		Contacts: campaigntest.People(966501000000, contacts, func(i int, number string) []string { return []string{fmt.Sprintf("فاطمة %d", i), number} }),
		Counts:   campaign.Counts{Rows: 3, Invalid: 1, Duplicates: 2, Refused: map[string]int{"number too short": 1, "duplicate": 2}},
		Rejects:  "الاسم,phone,line,reason,original\n,12,9,number too short,\n",
	})
	f.Redis().HSet(f.T.Context(), "c:{"+name+"}", "created_at", at.UnixMilli())
	f.EndedAt(name, at)
}

// move makes things happen to the i-th contact.
func (f fixture) move(name string, i int, reason string, causes ...campaign.Cause) {
	f.T.Helper()
	f.Move(name, []int{i}, campaigntest.Step{Reason: reason}, causes...)
	f.EndedAt(name, at)
}

// sale is a campaign in the middle of everything.
func (f fixture) sale() {
	f.T.Helper()
	f.load("sale", 9)
	f.move("sale", 0, "رقم غير صالح: invalid number", campaign.Send, campaign.Reject)
	f.move("sale", 1, "", campaign.Send, campaign.Accept)
	f.move("sale", 2, "no answer: timeout", campaign.Send, campaign.Lose)
	f.move("sale", 3, "no answer: timeout", campaign.Send, campaign.Lose)
	f.move("sale", 4, "", campaign.Send, campaign.Accept)
	f.move("sale", 5, "500 from the platform", campaign.Send, campaign.Fail)
}
