package report_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// fixture is an empty Redis with what the tests do to campaigns in it.
type fixture struct{ campaigntest.Fixture }

func newFixture(t testing.TB) fixture {
	return fixture{campaigntest.New(t, redistest.Shared(t))}
}

var settings = func() campaign.Settings {
	s := campaigntest.Settings(2, campaign.Column{Name: "name", Key: "name"}, campaign.Column{Name: "phone"})
	s.PhoneColumn = 1
	return s
}()

// people are a list of the usual columns.
func people(n int) []campaign.Contact {
	return campaigntest.People(966501000000, n, func(i int, number string) []string { return []string{fmt.Sprintf("Name %d", i), number} })
}

// contact is the i-th of them.
func contact(i int) campaign.Contact { return people(i + 1)[i] }

func (f fixture) begin(name string, s campaign.Settings) *store.Load {
	f.T.Helper()
	l, err := f.BeginLoad(f.T.Context(), campaign.Campaign{Name: name, Settings: s})
	if err != nil {
		f.T.Fatal(err)
	}
	return l
}

// load makes a running campaign of the contacts.
func (f fixture) load(name string, s campaign.Settings, list []campaign.Contact, refused map[string]int) {
	f.T.Helper()
	counts := campaign.Counts{Refused: refused}
	for _, n := range refused {
		counts.Invalid += n
		counts.Rows += n
	}
	f.Load(campaigntest.List{Name: name, Settings: s, Contacts: list, Counts: counts, Rejects: "name,phone,line,reason,original\n"})
}

// at is when everything in these tests happens to contacts.
var at = campaigntest.At

// move makes things happen to the contact with that ordinal.
func (f fixture) move(name string, ordinal int, reason string, causes ...campaign.Cause) {
	f.T.Helper()
	f.Move(name, []int{ordinal}, campaigntest.Step{Reason: reason}, causes...)
	f.EndedAt(name, at)
}

func (f fixture) worker(id string, agents ...string) {
	f.T.Helper()
	if err := f.Heartbeat(f.T.Context(), store.Worker{ID: id, Agents: agents}); err != nil {
		f.T.Fatal(err)
	}
}

// fail lets the n-th and every later call of a Redis command fail.
func (f fixture) fail(command string, n int) error {
	gone := &outage{command: command, err: errors.New("redis is gone")}
	gone.left.Store(int64(n - 1))
	f.Redis().AddHook(gone)
	return gone.err
}

type outage struct {
	command string
	left    atomic.Int64 // calls that still succeed
	err     error
}

func (o *outage) hit(cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if cmd.Name() == o.command && o.left.Add(-1) < 0 {
			cmd.SetErr(o.err)
			return o.err
		}
	}
	return nil
}

func (o *outage) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o *outage) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := o.hit(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (o *outage) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := o.hit(cmds...); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}
