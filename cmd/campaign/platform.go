package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// askTimeout bounds the wait for a permit, and then the wait for the answer.
const askTimeout = 30 * time.Second

// An inquiry asks the platform with one token, within its quota.
type inquiry struct {
	quota    *ratelimit.Quota
	token    string             // its environment variable
	patience time.Duration      // for a permit
	note     func(waits string) // called when the permit does not come at once
}

// A waitError says that no permit came in time.
type waitError struct {
	patience time.Duration
	why      string
}

func (e *waitError) Error() string {
	return fmt.Sprintf("not asked: gave up after %v, %s", e.patience, e.why)
}

// client makes a configuration for velents and an inquiry, both for one token.
func (a *app) client(s *store.Store, variable, token string) (velents.Config, inquiry, error) {
	cfg := velents.Config{BaseURL: cli.PlatformURL.Get(a.getenv), Token: token, Timeout: askTimeout}
	quota, err := ratelimit.NewShared(s.Redis(), token, ratelimit.Config{Timeout: askTimeout, Asks: true})
	var once sync.Once // many tickets may wait
	note := func(waits string) { once.Do(func() { a.note(waits) }) }
	return cfg, inquiry{quota, variable, askTimeout, note}, err
}

func (q inquiry) ask(ctx context.Context, request func() (velents.Answer, error)) error {
	if why := q.waits(ctx); why != "" {
		q.note(fmt.Sprintf("%s: %s; giving up after %v", q.token, why, q.patience))
	}
	waiting, cancel := context.WithTimeout(ctx, q.patience)
	permit, err := q.quota.Acquire(waiting)
	cancel()
	if err != nil && ctx.Err() == nil {
		return &waitError{q.patience, cmp.Or(q.waits(ctx), "waiting for the quota")}
	}
	if err != nil {
		return err
	}
	answer, err := request()
	q.quota.Report(ctx, permit, verdict.ForQuota(answer, err))
	return err
}

// waits says what a request waits for; empty for waits under a second.
func (q inquiry) waits(ctx context.Context) string {
	status, err := q.quota.Status(ctx)
	if err != nil || status.Wait < time.Second {
		return ""
	}
	return fmt.Sprintf("waiting for the quota: %s; the next request may leave at %s", status.Reason, cli.Moment(time.Now().Add(status.Wait)))
}

// support is the Support Center, and an inquiry for its token.
func (a *app) support(s *store.Store) (*velents.Support, inquiry, error) {
	variable := cli.SupportToken.Variable
	token := cli.SupportToken.Get(a.getenv)
	if token == "" {
		return nil, inquiry{}, cli.Usagef("%s is not set", variable)
	}
	cfg, q, err := a.client(s, variable, token)
	if err != nil {
		return nil, inquiry{}, err
	}
	api, err := velents.NewSupport(cfg)
	if err != nil {
		err = cli.Usagef("%s or %s: %w", cli.PlatformURL.Variable, variable, err)
	}
	return api, q, err
}

// A right says whether a token may do something.
type right struct {
	Token     string `json:"token"` // its environment variable
	Operation string `json:"operation"`
	Allowed   *bool  `json:"allowed"` // null: not known, or not tried because it would change something
	Answer    string `json:"answer"`
}

func (r right) mark() string {
	switch {
	case r.Allowed == nil && r.untried():
		return "not tried"
	case r.Allowed == nil:
		return "not known"
	case *r.Allowed:
		return "yes"
	}
	return "no"
}

// right asks for one thing, and reads from the answer whether the token may have it.
func (q inquiry) right(ctx context.Context, operation string, request func() (said string, answer velents.Answer, err error)) right {
	var said string
	err := q.ask(ctx, func() (answer velents.Answer, err error) {
		said, answer, err = request()
		return answer, err
	})
	return answered(q.token, operation, said, err)
}

// untried reports whether the platform was not asked on purpose.
func (r right) untried() bool { return strings.HasPrefix(r.Answer, notTried) }

// answered reads the right to an operation from an answer. An unreadable answer means
// yes, a refusal means no. Failures, limits and redirects mean nothing.
func answered(token, operation, said string, err error) right {
	r := right{Token: token, Operation: operation, Answer: said}
	allowed := err == nil || errors.Is(err, velents.ErrUnreadable)
	var refused *velents.Error
	known := allowed
	switch {
	case errors.As(err, &refused):
		r.Answer = refused.Error()
		known = refused.Status/100 == 4 && refused.Status != http.StatusTooManyRequests && refused.Status != http.StatusRequestTimeout
	case err != nil:
		r.Answer = err.Error()
	}
	if known {
		r.Allowed = &allowed
	}
	return r
}

func (a *app) askPlatform() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ask-platform [NAME]",
		Short: "Check the tokens of a campaign, or all, and what each may do",
		Long: `Ask the platform whether it accepts the token of the campaign's agent and, if it is
set, that of the Support Center, who owns them, and what each may do. Without a campaign
it asks with the token of every agent that has one here. This changes nothing and
contacts no one: operations that would are listed as not tried. If the platform gives
no answer, the right is not known. Each question takes one request of its token's
quota, and waits up to 30 seconds for it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("ask-platform: want the name of one campaign or none, have %d", len(args))
			}
			return nil
		},
		RunE: a.withStore(func(ctx context.Context, s *store.Store, args []string) error {
			if len(args) == 0 {
				return a.ask(ctx, s, "", a.tokenAgents(), false)
			}
			c, err := s.Campaign(ctx, args[0])
			if err != nil {
				return err
			}
			return a.ask(ctx, s, c.Name, []string{c.Settings.Agent}, len(c.Settings.TicketRules) > 0)
		}),
	}
	cli.Document(cmd, cli.PlatformURL, cli.AgentToken, cli.SupportToken)
	return cmd
}

// tokenAgents are the agents that have a token here; the default agent, if none has.
func (a *app) tokenAgents() []string {
	agents := cli.TokenAgents(os.Environ())
	if len(agents) == 0 {
		agents = []string{campaign.DefaultAgent} // whose token is missing, as the error says
	}
	return agents
}

// ask asks with the tokens of agents and the Support Center's what each may do, for a
// campaign or for none (an empty name).
func (a *app) ask(ctx context.Context, s *store.Store, name string, agents []string, tickets bool) error {
	var rights []right
	for _, agent := range agents {
		found, err := a.agentRights(ctx, s, agent)
		if err != nil {
			return err
		}
		rights = append(rights, found...)
	}
	if cli.SupportToken.Get(a.getenv) != "" {
		support, err := a.supportRights(ctx, s)
		if err != nil {
			return err
		}
		rights = append(rights, support...)
	} else if tickets {
		no := false
		rights = append(rights, right{cli.SupportToken.Variable, "create tickets", &no, "not set here, and the campaign makes tickets"})
	}
	rows := [][]string{{"TOKEN", "OPERATION", "MAY", "ANSWER"}}
	missing := 0
	for _, r := range rights {
		rows = append(rows, []string{r.Token, r.Operation, r.mark(), r.Answer})
		if !r.untried() && (r.Allowed == nil || !*r.Allowed) {
			missing++
		}
	}
	err := a.print(struct {
		Campaign string  `json:"campaign,omitempty"`
		Rights   []right `json:"rights"`
	}{name, rights}, table(rows))
	if err == nil && missing > 0 {
		err = fmt.Errorf("%s of %s did not get a good answer", cli.Count(missing, "operation", "operations"), cli.Number(len(rights)))
	}
	return err
}

// notTried begins the answer for operations that are not tried.
const notTried = "not tried: "

func (a *app) agentRights(ctx context.Context, s *store.Store, agent string) ([]right, error) {
	variable := cli.TokenVariable(agent)
	token, err := cli.Token(a.getenv, agent)
	if err != nil {
		return nil, err
	}
	cfg, q, err := a.client(s, variable, token)
	if err != nil {
		return nil, err
	}
	api, err := velents.New(cfg)
	if err != nil {
		return nil, cli.Usagef("%s or %s: %w", cli.PlatformURL.Variable, variable, err)
	}
	return []right{
		q.right(ctx, "read agent details", func() (string, velents.Answer, error) {
			found, answer, err := api.Agent(ctx)
			details := strings.TrimSpace(fmt.Sprintf("%s %s", found.Name, found.ID))
			if answer.Rate.Known {
				details += fmt.Sprintf("; %d requests a window, %d left", answer.Rate.Limit, answer.Rate.Remaining)
			}
			return details, answer, err
		}),
		q.right(ctx, "read value keys", func() (string, velents.Answer, error) {
			keys, answer, err := api.ValueKeys(ctx)
			return strings.Join(keys, ", "), answer, err
		}),
		{variable, "batch, dispatch", nil, notTried + "it would contact somebody; 'enqueue test' does"},
	}, ctx.Err()
}

func (a *app) supportRights(ctx context.Context, s *store.Store) ([]right, error) {
	api, q, err := a.support(s)
	if err != nil {
		return nil, err
	}
	return []right{
		q.right(ctx, "tenant identity", func() (string, velents.Answer, error) {
			me, answer, err := api.Me(ctx)
			tenant := strings.TrimSpace(fmt.Sprintf("%s %s", me.Name, me.ID))
			if len(me.Abilities) > 0 {
				tenant += "; abilities " + strings.Join(me.Abilities, ", ")
			}
			return tenant, answer, err
		}),
		q.right(ctx, "list tickets", func() (string, velents.Answer, error) {
			page, answer, err := api.ListTickets(ctx, nil)
			return cli.Count(len(page.Tickets), "ticket", "tickets") + " on the first page", answer, err
		}),
		{q.token, "create tickets", nil, notTried + "it would make one"},
	}, ctx.Err()
}
