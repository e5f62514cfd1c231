package launch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/verdict"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A TokenError says that the platform does not take the agent's token.
type TokenError struct{ Status int }

func (e *TokenError) Error() string {
	return fmt.Sprintf("the platform refuses the token (%d)", e.Status)
}

// checked is what the platform said before the launch.
type checked struct {
	keys      []string // the agent's value keys
	keysKnown bool
	limit     int // requests per window; 0: not known
	seen      campaign.Seen
	warnings  []campaign.Message
}

const (
	preflightTries = 3
	// longestWait bounds the wait of a person at the terminal: a window and a little
	// more.
	longestWait = 90 * time.Second
	// limitPatience bounds the one request that only makes an estimate better.
	limitPatience = 5 * time.Second
)

// preflight asks the platform whether it takes the token and what the agent
// wants to know of each contact.
func (l *Launcher) preflight(ctx context.Context) (checked, error) {
	if l.Platform == nil {
		return checked{}, nil
	}
	first, err := l.ask(ctx, func() (velents.Answer, error) {
		_, answer, err := l.Platform.Agent(ctx)
		return answer, err
	})
	if err != nil && !errors.Is(err, velents.ErrUnreadable) {
		return checked{}, preflightError(err)
	}
	found := checked{keysKnown: true, limit: first.Rate.Limit}
	second, err := l.ask(ctx, func() (answer velents.Answer, err error) {
		found.keys, answer, err = l.Platform.ValueKeys(ctx)
		return answer, err
	})
	found.seen.RateHeaders = first.RateHeaders || second.RateHeaders
	switch {
	case err == nil && len(found.keys) == 0:
		// The answer's shape is not published: an empty one may be a misreading.
		// A value too many does no harm, a missing one spoils a conversation.
		found.keysKnown = false
		found.warnings = append(found.warnings, campaign.Say(campaign.MsgNoKeys))
	case err == nil:
	case errors.Is(err, velents.ErrUnreadable), statusOf(err) == http.StatusNotFound, statusOf(err) == http.StatusMethodNotAllowed:
		// The platform takes the token; how it tells the keys is not published.
		found.keysKnown = false
		found.warnings = append(found.warnings, campaign.Say(campaign.MsgKeysUnknown, "why", err))
	default:
		return checked{}, preflightError(err)
	}
	return found, nil
}

// Template reads the header of the agent's own template of a contact file. The example
// rows below it are left out: people fill in the file, and would contact their numbers.
func (l *Launcher) Template(ctx context.Context) (csv []byte, err error) {
	_, err = l.ask(ctx, func() (answer velents.Answer, err error) {
		csv, answer, err = l.Platform.CSVTemplate(ctx)
		return answer, err
	})
	return headerOf(csv), tokenError(err)
}

// headerOf is the first line of a CSV file, with its line end. A line may end within quotes.
func headerOf(csv []byte) []byte {
	quoted := false
	for i, b := range csv {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			return csv[:i+1]
		}
	}
	return csv
}

// Try starts one real conversation, once, to see whether a campaign can work.
func (l *Launcher) Try(ctx context.Context, d velents.Dispatch) (velents.Answer, error) {
	permit, err := l.Quota.Acquire(ctx)
	if err != nil {
		return velents.Answer{}, err
	}
	answer, err := l.Platform.Dispatch(ctx, d)
	l.Quota.Report(ctx, permit, verdict.ForQuota(answer, err))
	return answer, tokenError(err)
}

// limitNow is the platform's limit, or 0 if it does not say so soon.
func (l *Launcher) limitNow(ctx context.Context) int {
	if l.Platform == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, limitPatience)
	defer cancel()
	permit, err := l.Quota.Acquire(ctx)
	if err != nil {
		return 0
	}
	_, answer, err := l.Platform.Agent(ctx)
	l.Quota.Report(ctx, permit, verdict.ForQuota(answer, err))
	return answer.Rate.Limit
}

// ask makes a request under the quota, and again while that may help.
func (l *Launcher) ask(ctx context.Context, request func() (velents.Answer, error)) (velents.Answer, error) {
	for try := 1; ; try++ {
		permit, err := l.permit(ctx)
		if err != nil {
			return velents.Answer{}, err
		}
		answer, err := request()
		l.Quota.Report(ctx, permit, verdict.ForQuota(answer, err))
		wait, again := retryIn(err, try)
		if !again || ctx.Err() != nil {
			return answer, err
		}
		l.note("%v; trying again", err)
		select {
		case <-ctx.Done():
			return velents.Answer{}, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// permit waits for the quota, and says so when that takes longer than a moment.
func (l *Launcher) permit(ctx context.Context) (ratelimit.Permit, error) {
	if until := l.blockedUntil(ctx, "", time.Now()); time.Until(until) > longestWait {
		return ratelimit.Permit{}, fmt.Errorf("%w: none before %s", errQuotaWait, until.UTC().Format(time.RFC3339))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longestWait, errQuotaWait)
	defer cancel()
	tell := time.AfterFunc(2*time.Second, func() { l.note("waiting for the quota of the token%s, %v at the most", l.why(ctx), longestWait) })
	defer tell.Stop()
	return l.Quota.Acquire(ctx)
}

// why says what keeps the quota from a request, if it knows.
func (l *Launcher) why(ctx context.Context) string {
	if status := l.standing(ctx); status.Reason != "" {
		return " (" + string(status.Reason) + ")"
	}
	return ""
}

// standing is how the quota stands; zero: it does not tell.
func (l *Launcher) standing(ctx context.Context) (status ratelimit.Status) {
	if asked, ok := l.Quota.(interface {
		Status(context.Context) (ratelimit.Status, error)
	}); ok {
		status, _ = asked.Status(ctx) // a remark is not worth an error
	}
	return status
}

// blockedUntil is when the platform allows the next request of an agent, as its quota
// or a worker knows; zero: there is no block.
func (l *Launcher) blockedUntil(ctx context.Context, agent string, now time.Time) (until time.Time) {
	if status := l.standing(ctx); status.Blocked {
		until = now.Add(status.Wait)
	}
	if l.Store == nil {
		return until
	}
	workers, err := l.Store.Workers(ctx)
	if err != nil {
		return until // an estimate is not worth an error
	}
	for _, w := range workers {
		if q := w.Quotas[agent]; q.Blocked && q.Next.After(until) && q.Next.After(now) {
			until = q.Next
		}
	}
	return until
}

var errQuotaWait = fmt.Errorf("the platform allows no request for more than %v", longestWait)

// retryIn alone decides whether a request of the preflight is repeated after its
// try-th try, and when.
func retryIn(err error, try int) (wait time.Duration, again bool) {
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case try >= preflightTries:
		return 0, false
	case errors.As(err, &refused):
		if refused.RetryAfter > longestWait {
			return 0, false
		}
		if refused.Status == http.StatusTooManyRequests {
			return 0, true // the quota knows, and waits
		}
		return max(backoff(try), refused.RetryAfter), refused.Status >= 500
	}
	return backoff(try), errors.As(err, &unanswered)
}

// backoff is the wait after the try-th try: 1 s, then 3 s.
func backoff(try int) time.Duration { return time.Duration(2*try-1) * time.Second }

func statusOf(err error) int {
	var refused *velents.Error
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}

// tokenError is err, or a TokenError where the token is at fault.
func tokenError(err error) error {
	if status := statusOf(err); status == http.StatusUnauthorized || status == http.StatusForbidden {
		return &TokenError{status}
	}
	return err
}

func preflightError(err error) error {
	var refused *TokenError
	if err = tokenError(err); errors.As(err, &refused) || errors.Is(err, context.Canceled) {
		return err
	}
	var odd *velents.Error
	if errors.As(err, &odd) && odd.Page && odd.Status/100 == 2 {
		err = fmt.Errorf("%w; check VELENTS_URL", err)
	}
	return fmt.Errorf("preflight: %w; to launch without asking the platform, use --skip-preflight", err)
}
