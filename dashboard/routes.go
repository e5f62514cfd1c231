package dashboard

import (
	"context"
	"net/http"
	"strings"
	"time"

	"campaign-runner/campaign/users"
)

// anybody is who asks whether the worker is well, in place of a least role: nothing is
// asked of them, and they learn nothing else.
const anybody = users.Nobody - 1

// A route is an address, and the least role of those who may ask for it. What is for
// Nobody is there for those who sign in.
type route struct {
	pattern string // of http.ServeMux
	least   users.Role
}

// routes are all addresses of the pages. on alone adds one, so none is without a role.
type routes struct {
	gate *gate
	mux  *http.ServeMux
	list []route
}

// on serves a pattern to those who have at least a role.
func (rs *routes) on(pattern string, least users.Role, handler http.Handler) {
	rs.list = append(rs.list, route{pattern, least})
	if least == anybody {
		rs.mux.Handle(pattern, handler)
		return
	}
	rs.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := rs.gate.visitor(r)
		r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
		switch {
		case err != nil && least == users.Nobody && !isShut(err):
			handler.ServeHTTP(w, r) // within the server's own bounds for strangers
		case err != nil:
			rs.gate.turnAway(w, r, err)
		case v.Role < least:
			rs.gate.forbid(w, r, v, least)
		default:
			ctx, end := context.WithCancel(r.Context())
			defer end()
			go rs.gate.watch(r.WithContext(ctx), v, end)
			arriving(rs.gate.Stall, handler).ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// below is on for a page, whose pattern is given from our own root.
func (rs *routes) below(pattern string, least users.Role, page http.HandlerFunc) {
	base := rs.gate.BasePath
	method, path, _ := strings.Cut(pattern, "/")
	rs.on(method+base+"/"+path, least, withPolicy(pagesPolicy, http.StripPrefix(base, page)))
}

// A visitor is who asks for a page.
type visitor struct {
	Name   string // as the log has it; empty: not known by name
	Role   users.Role
	Signed bool // in by the sign-in page
}

type visitorKey struct{}

// visitorOf is who has asked, nobody if that was not asked for.
func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

// watchEvery is how soon what a visitor has open ends when the visitor may no longer see
// it.
const watchEvery = 2 * time.Second

type watchKey struct{}

// watch ends a request when its visitor is no longer who they were: signed out, removed,
// of another role; or, where nobody had to sign in, once somebody has to.
func (g *gate) watch(r *http.Request, v visitor, end func()) {
	if v.Name != "" && !v.Signed {
		return // the password in the request is what it was
	}
	ctx := context.WithValue(r.Context(), watchKey{}, true) // it prolongs no session
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if is, err := g.visitor(r.WithContext(ctx)); err == nil && is != v || isShut(err) || isStranger(err) {
				end()
				return
			}
		}
	}
}
