package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs/notify"
	"campaign-runner/velents"
)

// A Setting comes from the environment alone, because it is a secret, may hold
// one, or belongs to the installation.
type Setting struct {
	Variable string
	Default  string
	Help     string
	Check    func(value string) error // nil: any value will do; errors must not quote what may be a secret
	Quote    bool                     // no secret, so that errors quote it
}

// All settings of the environment.
var (
	RedisURL = Setting{Variable: "REDIS_URL", Default: "redis://127.0.0.1:6379/0",
		Help: "redis:// or rediss://, redis+sentinel://HOST:PORT,…/MASTER/DB, redis+cluster://HOST:PORT,…"} // store.Connect checks it
	PlatformURL = Setting{Variable: "VELENTS_URL", Default: "https://velents-agents.velents.ai", Help: "address of the platform",
		Check: velents.CheckURL}
	AgentToken = Setting{Variable: "VELENTS_TOKEN", Help: "API token of the agent 'default'; that of the agent NAME is in VELENTS_TOKEN_NAME",
		Check: velents.CheckToken}
	SupportToken = Setting{Variable: "VELENTS_SUPPORT_TOKEN", Help: "token of the Support Center, for tickets; none: no tickets are made",
		Check: velents.CheckToken}
	KeepFor = Setting{Variable: "KEEP_FOR", Help: "personal data of a campaign is purged this long after it is over, unless its --keep-for says otherwise: 30d; none: never",
		Check: takes("keep-for"), Quote: true}
	AdminUser = Setting{Variable: "ADMIN_USER", Default: "admin", Help: "user of ADMIN_PASSWORD on the admin pages",
		Check: checkUser, Quote: true}
	WebhookURL = Setting{Variable: "WEBHOOK_URL", Help: "public address at which workers receive the platform's events; none: no events",
		Check: campaign.CheckAddress}
	WebhookSecret   = Setting{Variable: "WEBHOOK_SECRET", Help: "signs the links at which the platform posts events; none: no events"}
	WebhookPrevious = Setting{Variable: "WEBHOOK_SECRET_PREVIOUS", Help: "signed links before WEBHOOK_SECRET was changed; they stay valid"}
	WebhookAuth     = Setting{Variable: "VELENTS_WEBHOOK_AUTH", Help: "what the platform sends with events as x-velents-authorization; none: not asked for"}
	AdminPassword   = Setting{Variable: "ADMIN_PASSWORD", Help: "password of the admin pages; required unless they are on loopback"}
	AdminURL        = Setting{Variable: "ADMIN_URL", Help: "public address of the admin pages, for links in notices; none: no links",
		Check: notify.CheckLink}
	NotifyURL = Setting{Variable: "NOTIFY_URL", Help: "address that gets a POST of JSON when a campaign pauses, waits to be started or approved, is canceled or has finished; none: no notices",
		Check: campaign.CheckAddress}
	NotifyLanguage = Setting{Variable: "NOTIFY_LANGUAGE", Default: string(texts.English), Help: "language of these notices: en or ar",
		Check: checkLanguage, Quote: true}
)

// VoiceChannel is the platform's id of that channel, as it was seen in use;
// WhatsApp's is not published.
const VoiceChannel = 3

// WhatsappChannel is the other channel's id.
var WhatsappChannel = Setting{Variable: "VELENTS_CHANNEL_WHATSAPP", Help: "the platform's id of the WhatsApp channel; without it, that channel is not known by name",
	Check: takes("channel")}

// allSettings are those above, and the defaults of launches.
func allSettings() []Setting {
	return append(LaunchDefaults(),
		RedisURL, PlatformURL, AgentToken, SupportToken, KeepFor, WhatsappChannel, AdminUser, AdminPassword, AdminURL,
		WebhookURL, WebhookSecret, WebhookPrevious, WebhookAuth, NotifyURL, NotifyLanguage)
}

// settingOf is the setting of a variable.
func settingOf(variable string) Setting {
	for _, s := range allSettings() {
		if s.Variable == variable {
			return s
		}
	}
	panic("no setting has the variable " + variable) // a mistake of this program
}

// takes checks a text as the setting of a campaign by that flag does.
func takes(flag string) func(string) error {
	return func(text string) error { return campaign.LaunchSettings(flag)[0].Try(text) }
}

// Defaults are what variables say of the settings of campaigns that are launched in this
// environment, but their agent and channel.
func Defaults(getenv func(string) string) campaign.Given {
	given := make(campaign.Given)
	for _, s := range campaign.LaunchSettings() {
		value := strings.TrimSpace(getenv(s.Variable))
		if s.Variable != "" && value != "" && s.Flag != "agent" && s.Flag != "channel" {
			given[s.Flag] = []string{value}
		}
	}
	if strict, err := campaign.ParseSwitch(strings.TrimSpace(getenv(strict5xx))); err == nil && strict && given["retry-5xx"] == nil {
		given["retry-5xx"] = []string{campaign.RetryNone.String()}
	}
	return given
}

// strict5xx is "true" where VELENTS_RETRY_5XX=none is meant.
const strict5xx = "VELENTS_STRICT_5XX"

// LaunchDefaults are the variables that name defaults of 'enqueue'. A worker uses them for
// launches from its pages, and refuses wrong values at its start: lists are enqueued in the
// same environment, perhaps at night.
func LaunchDefaults() []Setting {
	defaults := []Setting{{Variable: strict5xx, Quote: true, Help: "true: VELENTS_RETRY_5XX=none, if that is not set", Check: func(value string) error {
		_, err := campaign.ParseSwitch(value)
		return err
	}}}
	for _, s := range campaign.LaunchSettings() {
		if s.Variable == "" || s.Variable == KeepFor.Variable {
			continue
		}
		help := "default of 'enqueue --" + s.Flag + "'"
		if s.Flag != "agent" && s.Flag != "channel" {
			help += ", and of launches from the pages"
		}
		defaults = append(defaults, Setting{Variable: s.Variable, Default: s.Default, Quote: true, Help: help, Check: func(value string) error {
			switch {
			case s.Flag == "channel" && (value == "voice" || value == "whatsapp"):
				return nil
			case s.Flag == "region":
				_, err := contacts.NewPhoneParser(value)
				return err
			}
			return s.Try(value)
		}})
	}
	return defaults
}

// checkUser refuses a name that a browser could not send: a colon ends it there.
func checkUser(name string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r == ':' || r < ' ' }) {
		return errors.New("want a name without a colon")
	}
	return nil
}

// Get is the setting's value, or its default. White space around it is none of it: a
// .env file with Windows' line ends leaves some behind each value.
func (s Setting) Get(getenv func(string) string) string {
	return cmp.Or(strings.TrimSpace(getenv(s.Variable)), s.Default)
}

// check finds a value that the setting cannot have.
func (s Setting) check(getenv func(string) string) error {
	value := s.Get(getenv)
	if value == "" || s.Check == nil {
		return nil
	}
	err := s.Check(value)
	switch {
	case err != nil && s.Quote:
		return invalid(s.Variable, value, err)
	case err != nil:
		return fmt.Errorf("%s: %w", s.Variable, err)
	}
	return nil
}

func checkLanguage(name string) error {
	_, err := texts.ParseLanguage(name)
	return err
}
