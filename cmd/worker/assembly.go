package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/dashboard"
	"campaign-runner/jobs"
	"campaign-runner/jobs/events"
	"campaign-runner/jobs/metrics"
	"campaign-runner/jobs/notify"
	"campaign-runner/jobs/tickets"
	"campaign-runner/jobs/webhook"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// An assembly makes the parts of a worker from what it was started with.
type assembly struct {
	options
	getenv func(string) string
	tokens map[string]string // by agent
	store  *store.Store
	shown  *metrics.Metrics
	log    *slog.Logger
}

// services makes the parts and opens their ports.
func (a assembly) services(ctx context.Context) (*services, error) {
	build := cli.ThisBuild()
	a.shown.ShowBuild(build.Version, build.Commit, build.Date)
	s := &services{store: a.store, log: a.log}
	var err error
	if s.notifier, err = a.notifier(); err != nil {
		return nil, err
	}
	launchers, err := a.sender(s)
	if err != nil {
		return nil, err
	}
	if s.maker, err = a.maker(); err != nil {
		return nil, err
	}
	reader := new(velents.EventReader)
	s.applier = events.New(events.Config{Store: a.store, Reader: reader, Count: a.shown.Events, Logger: a.log})
	pages, err := dashboard.New(dashboard.Config{
		Addr: a.adminAddr, BasePath: a.basePath, TrustedProxies: a.proxies,
		User: cli.AdminUser.Get(a.getenv), Password: cli.AdminPassword.Get(a.getenv), SignIn: a.shown.SignedIn,
		Store: a.store, Metrics: a.shown, Logger: a.log, Agents: launchers, Channels: a.channels(),
		WebhookURL: cli.WebhookURL.Get(a.getenv), Defaults: cli.Defaults(a.getenv),
	})
	if err != nil {
		return nil, cli.Usage(err)
	}
	inbox := &webhook.Inbox{
		Events: a.store, Reader: reader, Received: a.shown.Received, Log: a.log,
		Secret: cli.WebhookSecret.Get(a.getenv), Previous: cli.WebhookPrevious.Get(a.getenv), Authorization: cli.WebhookAuth.Get(a.getenv),
	}
	return s, a.open(ctx, s, pages, inbox, len(a.tokens))
}

// notifier posts notices; nil without an address for them.
func (a assembly) notifier() (*notify.Notifier, error) {
	address := cli.NotifyURL.Get(a.getenv)
	if address == "" {
		return nil, nil
	}
	n, err := notify.New(a.store, address, a.log)
	if err != nil {
		return nil, cli.Usage(err)
	}
	if n.Language, err = texts.ParseLanguage(cli.NotifyLanguage.Get(a.getenv)); err != nil {
		return nil, cli.Usage(err)
	}
	if pages := cli.AdminURL.Get(a.getenv); pages != "" {
		err = n.Link(pages)
	}
	return n, cli.Usage(err)
}

// sender makes the part that sends, and returns a launcher for each agent of the pages.
func (a assembly) sender(s *services) (map[string]launch.Launcher, error) {
	launchers := make(map[string]launch.Launcher)
	cfg := jobs.Config{
		Store:          a.store,
		Concurrency:    a.concurrency,
		RequestTimeout: a.timeout,
		Watch:          jobs.Watch{Answered: a.shown.Answered, Swept: a.shown.Swept, Beat: new(supervisor).beat},
		Version:        cli.ThisBuild().String(),
		Redis:          store.Address(cli.RedisURL.Get(a.getenv)),
		Tickets:        cli.SupportToken.Get(a.getenv) != "",
		Webhook:        a.links(),
		Logger:         a.log,
	}
	for agent, token := range a.tokens {
		platform, err := velents.New(velents.Config{BaseURL: cli.PlatformURL.Get(a.getenv), Token: token, Timeout: a.timeout})
		if err != nil {
			return nil, cli.Usagef("agent %s: %w", agent, err)
		}
		quota, err := ratelimit.NewShared(a.store.Redis(), token, ratelimit.Config{Rate: a.rate, Share: a.share, Timeout: a.timeout + permitSlack, Logger: a.log.With("agent", agent)})
		if err != nil {
			return nil, cli.Usage(err)
		}
		cfg.Agents = append(cfg.Agents, jobs.Agent{Name: agent, Platform: platform, Quota: quota})
		launchers[agent] = launch.Launcher{Store: a.store, Platform: platform, Quota: quota, Rate: a.rate}
	}
	var err error
	if s.worker, err = jobs.NewWorker(cfg); err != nil {
		return nil, err
	}
	a.shown.ShowQuotas(s.worker.Quotas)
	return launchers, nil
}

// links says where the platform posts the events of a request; nil: nowhere.
func (a assembly) links() func(campaign.Campaign, int) *velents.Webhook {
	secret := cli.WebhookSecret.Get(a.getenv)
	if secret == "" {
		return nil
	}
	return func(c campaign.Campaign, contact int) *velents.Webhook {
		if c.Settings.WebhookURL == "" {
			return nil
		}
		return &velents.Webhook{Link: webhook.Link(c.Settings.WebhookURL, secret, webhook.Target{Campaign: c.Name, Contact: contact})}
	}
}

// permitSlack is what a permit outlives its request by: while a request may still be
// under way, a probe must wait for it.
const permitSlack = 5 * time.Second

// channels are those whose ids are known, for launches from the pages.
func (a assembly) channels() []dashboard.Channel {
	list := []dashboard.Channel{{Name: "voice", ID: cli.VoiceChannel}}
	if id, err := strconv.Atoi(cli.WhatsappChannel.Get(a.getenv)); err == nil && id > 0 {
		list = append(list, dashboard.Channel{Name: "whatsapp", ID: id})
	}
	return list
}

// maker makes tickets; nil without a token for that.
func (a assembly) maker() (*tickets.Maker, error) {
	token := cli.SupportToken.Get(a.getenv)
	if token == "" {
		return nil, nil
	}
	desk, err := velents.NewSupport(velents.Config{BaseURL: cli.PlatformURL.Get(a.getenv), Token: token, Timeout: a.timeout})
	if err != nil {
		return nil, cli.Usagef("%s: %w", cli.SupportToken.Variable, err)
	}
	log := a.log.With("component", "tickets")
	quota, err := ratelimit.NewShared(a.store.Redis(), token, ratelimit.Config{Share: a.share, Timeout: a.timeout, Logger: log})
	if err != nil {
		return nil, cli.Usage(err)
	}
	return tickets.New(tickets.Config{Store: a.store, Desk: desk, Quota: quota, RequestTimeout: a.timeout, Logger: log}), nil
}
