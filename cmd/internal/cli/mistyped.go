package cli

import (
	"fmt"
	"slices"
	"strings"

	"campaign-runner/campaign"
)

// flagVariables are those that give flags their values, beside the settings.
var flagVariables = []string{
	"ADMIN_ADDR", "ADMIN_BASE_PATH", "ADMIN_TLS_CERT", "ADMIN_TLS_KEY", "ADMIN_TRUSTED_PROXY", "CAMPAIGN_AS", "LOG_FORMAT", "LOG_LEVEL",
	"REDIS_WAIT_REPLICAS", "VELENTS_QUOTA_SHARE", "VELENTS_RATE", "WEBHOOK_ADDR",
}

// variables are all that some command reads, but for the tokens of further agents.
func variables() []string {
	known := slices.Clone(flagVariables)
	for _, s := range allSettings() {
		known = append(known, s.Variable)
	}
	return known
}

// Mistyped says, a line each, which variables of an environment (KEY=value, as os.Environ
// gives it) look like ours and are read by no command: a setting that its author believes
// to be in force, and that is not.
func Mistyped(environ []string) (lines []string) {
	known := variables()
	isSet := func(variable string) bool {
		return slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, variable+"=") })
	}
	unset := slices.DeleteFunc(slices.Clone(known), isSet)
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		if strings.TrimSpace(value) == "" || slices.Contains(known, key) || !strings.Contains(key, "_") || len(key) < shortest {
			continue
		}
		ofToken, mistake := mistypedToken(key)
		meant := DidYouMean(key, unset)
		switch {
		case mistake != nil:
			lines = append(lines, mistake.Error())
		case !ofToken && (meant != "" || strings.HasPrefix(key, "VELENTS_")):
			lines = append(lines, key+" is no setting, and is not read"+meant)
		}
	}
	return lines
}

// shortest is the length of a variable's name below which it looks like anything.
const shortest = 6

// CheckTokens finds variables that are meant as the token of an agent and are none's.
func CheckTokens(environ []string) error {
	for _, entry := range environ {
		if key, value, _ := strings.Cut(entry, "="); strings.TrimSpace(value) != "" {
			if _, err := mistypedToken(key); err != nil {
				return Usage(err)
			}
		}
	}
	return nil
}

// mistypedToken reports whether a variable is meant as the token of a named agent, and why
// it is not read.
func mistypedToken(variable string) (meant bool, err error) {
	prefix := AgentToken.Variable + "_"
	if !strings.HasPrefix(strings.ToUpper(variable), prefix) {
		return false, nil
	}
	agent, err := campaign.AgentName(variable[len(prefix):])
	if err != nil {
		return true, fmt.Errorf("%s is the token of no agent: %w", variable, err)
	}
	if want := TokenVariable(agent); want != variable {
		return true, fmt.Errorf("%s is not read: the token of the agent '%s' is in %s", variable, agent, want)
	}
	return true, nil
}
