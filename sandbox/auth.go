package sandbox

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Abilities of a Support Center token. The vendor publishes that they exist, not their names.
const (
	viewTickets   = "tickets:view"
	createTickets = "tickets:create"
	viewMessages  = "messages:view"
	sendMessages  = "messages:send"
)

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// known returns the token if any surface accepts it, or "".
func (s *Server) known(token string) string {
	if _, support := s.supports(token); support || s.isAgent(token) {
		return token
	}
	return ""
}

func (s *Server) isAgent(token string) bool {
	_, support := s.cfg.SupportTokens[token]
	return token != "" && !support && (len(s.agents) == 0 || s.agents[token])
}

// supports returns the abilities of a Support Center token.
func (s *Server) supports(token string) (abilities []string, ok bool) {
	if len(s.cfg.SupportTokens) > 0 {
		abilities, ok = s.cfg.SupportTokens[token]
		return abilities, ok
	}
	return []string{"*"}, tenantOf(token) != ""
}

// tenantOf returns the tenant in AppName_tenantId_PersonalAccessToken_plainText.
func tenantOf(token string) string {
	parts := strings.SplitN(token, "_", 4)
	if len(parts) < 4 || slices.Contains(parts, "") {
		return ""
	}
	return parts[1]
}

// unauthenticated refuses a token before the limit counts the request.
func unauthenticated(out *reply, r *http.Request) {
	if !out.asksJSON {
		out.redirect(r, "/login")
		return
	}
	out.fail(http.StatusUnauthorized, "Unauthenticated.")
}

// agent admits the tokens of agents.
func (s *Server) agent(next endpoint) endpoint {
	return func(out *reply, r *http.Request) {
		if out.plan.unauthorized || !s.isAgent(bearer(r)) {
			unauthenticated(out, r)
			return
		}
		s.throttled(out, r, next)
	}
}

type tenantKey struct{}

// tenant admits Support Center tokens that have the ability, if one is given.
func (s *Server) tenant(ability string, next endpoint) endpoint {
	return func(out *reply, r *http.Request) {
		token := bearer(r)
		abilities, ok := s.supports(token)
		if out.plan.unauthorized || !ok {
			unauthenticated(out, r)
			return
		}
		s.throttled(out, r, func(out *reply, r *http.Request) {
			if ability != "" && !slices.Contains(abilities, ability) && !slices.Contains(abilities, "*") {
				out.fail(http.StatusForbidden, "Invalid ability provided.")
				return
			}
			tenant := tenantOf(token)
			if tenant == "" {
				tenant = TokenID(token) // a configured token may have any form
			}
			next(out, r.WithContext(context.WithValue(r.Context(), tenantKey{}, tenant)))
		})
	}
}
