package launch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// free is a quota that allows everything.
type free struct{}

func (free) Acquire(context.Context) (ratelimit.Permit, error)          { return ratelimit.Permit{}, nil }
func (free) Report(context.Context, ratelimit.Permit, ratelimit.Answer) {}

// moody answers each request with the next of its errors, then well.
type moody struct {
	agent
	errs []error
	keys error // of the value keys, always
	n    int
}

func (m *moody) Agent(ctx context.Context) (velents.Agent, velents.Answer, error) {
	m.n++
	if len(m.errs) == 0 {
		return m.agent.Agent(ctx)
	}
	err := m.errs[0]
	m.errs = m.errs[1:]
	return velents.Agent{}, velents.Answer{Status: statusOf(err)}, err
}

func (m *moody) ValueKeys(ctx context.Context) ([]string, velents.Answer, error) {
	if m.keys != nil {
		return nil, velents.Answer{}, m.keys
	}
	return m.agent.ValueKeys(ctx)
}

func (m *moody) CSVTemplate(context.Context) ([]byte, velents.Answer, error) {
	_, answer, err := m.Agent(context.Background())
	return []byte("phone\n"), answer, err
}

func (m *moody) Dispatch(context.Context, velents.Dispatch) (velents.Answer, error) {
	_, answer, err := m.Agent(context.Background())
	return answer, err
}

func refused(status int, retryAfter time.Duration) error {
	return &velents.Error{Status: status, Message: "no", RetryAfter: retryAfter, HasRetryAfter: retryAfter > 0}
}

var lost = &velents.Unanswered{Sent: true, Err: errors.New("reset")}

func TestPreflight(t *testing.T) {
	const skip = "; to launch without asking the platform, use --skip-preflight"
	for _, tt := range []struct {
		name string
		errs []error
		keys error
		want checked
		err  string
		took time.Duration
		n    int
	}{
		{"answers at once", nil, nil, checked{keys: []string{"name"}, keysKnown: true, limit: 60}, "", 0, 1},
		{"answers in a form of its own", []error{velents.ErrUnreadable}, nil, checked{keys: []string{"name"}, keysKnown: true}, "", 0, 1},
		{"fails twice", []error{refused(500, 0), lost}, nil, checked{keys: []string{"name"}, keysKnown: true, limit: 60}, "", 4 * time.Second, 3},
		{"fails three times", []error{lost, lost, lost}, nil, checked{}, "preflight: no answer: reset" + skip, 4 * time.Second, 3},
		{"says when to come again", []error{refused(503, 20*time.Second)}, nil, checked{keys: []string{"name"}, keysKnown: true, limit: 60}, "", 20 * time.Second, 2},
		{"says to come again tomorrow", []error{refused(503, 20*time.Hour)}, nil, checked{}, "preflight: status 503: no" + skip, 0, 1},
		{"a page answers in its place", []error{&velents.Error{Status: 200, Page: true, Message: "a web page"}}, nil, checked{},
			"preflight: status 200: a web page; check VELENTS_URL" + skip, 0, 1},
		{"a page answers when it is asked for the keys", nil, &velents.Error{Status: 200, Page: true, Message: "a web page"}, checked{},
			"preflight: status 200: a web page; check VELENTS_URL" + skip, 0, 1},
		{"a 429 is left to the quota", []error{refused(429, 20*time.Second)}, nil, checked{keys: []string{"name"}, keysKnown: true, limit: 60}, "", 0, 2},
		{"refuses the token", []error{refused(401, 0)}, nil, checked{}, "the platform refuses the token (401)", 0, 1},
		{"forbids the token", []error{refused(403, 0)}, nil, checked{}, "the platform refuses the token (403)", 0, 1},
		{"is somewhere else", []error{refused(404, 0)}, nil, checked{}, "preflight: status 404: no" + skip, 0, 1},
		{"tells no keys", nil, refused(404, 0), checked{limit: 60, warnings: []campaign.Message{
			campaign.Say(campaign.MsgKeysUnknown, "why", "status 404: no")}}, "", 0, 1},
		{"tells keys in a form of its own", nil, velents.ErrUnreadable, checked{limit: 60, warnings: []campaign.Message{
			campaign.Say(campaign.MsgKeysUnknown, "why", "unreadable answer")}}, "", 0, 1},
		{"forbids the keys", nil, refused(403, 0), checked{}, "the platform refuses the token (403)", 0, 1},
		{"fails at the keys", nil, refused(500, 0), checked{}, "preflight: status 500: no" + skip, 4 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				m := &moody{agent: agent{limit: 60, keys: []string{"name"}}, errs: tt.errs, keys: tt.keys}
				l := &Launcher{Platform: m, Quota: free{}}
				got, err := l.preflight(t.Context())
				text := ""
				if err != nil {
					text = err.Error()
				}
				if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(checked{})); diff != "" || text != tt.err {
					t.Errorf("error %q, want %q; (-want +got):\n%s", text, tt.err, diff)
				}
				if took := time.Since(began); took != tt.took || m.n != tt.n {
					t.Errorf("took %v and %d requests, want %v and %d", took, m.n, tt.took, tt.n)
				}
			})
		})
	}
}

func TestPreflightEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, context.Canceled)
		defer cancel()
		l := &Launcher{Platform: &moody{errs: []error{lost}}, Quota: free{}}
		if _, err := l.preflight(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// full is a quota that allows nothing.
type full struct{ free }

func (full) Acquire(context.Context) (ratelimit.Permit, error) { return ratelimit.Permit{}, errFault }

func TestNothingIsAskedWithoutPermit(t *testing.T) {
	m := new(moody)
	l := &Launcher{Platform: m, Quota: full{}}
	_, preflight := l.preflight(t.Context())
	_, template := l.Template(t.Context())
	_, try := l.Try(t.Context(), velents.Dispatch{})
	for _, err := range []error{preflight, template, try} {
		if !errors.Is(err, errFault) {
			t.Errorf("error %v", err)
		}
	}
	if l.limitNow(t.Context()) != 0 || m.n != 0 {
		t.Errorf("%d requests", m.n)
	}
}

func TestTemplateIsAskedForAgainAndADispatchIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{errs: []error{lost}}
		l := &Launcher{Platform: m, Quota: free{}}
		if csv, err := l.Template(t.Context()); err != nil || string(csv) != "phone\n" || m.n != 2 {
			t.Errorf("template %q, %v after %d requests", csv, err, m.n)
		}
		m.n, m.errs = 0, []error{lost}
		if _, err := l.Try(t.Context(), velents.Dispatch{}); !errors.Is(err, lost) || m.n != 1 {
			t.Errorf("dispatch: %v after %d requests", err, m.n)
		}
		m.errs = []error{refused(401, 0)}
		var token *TokenError
		if _, err := l.Try(t.Context(), velents.Dispatch{}); !errors.As(err, &token) {
			t.Errorf("dispatch: %v", err)
		}
	})
}
