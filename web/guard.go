package web

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/drover-migration/drover/web/access"
)

// Limits are how much one browser or address may ask for. A zero is the default.
type Limits struct {
	Requests rate.Limit // a second and session, or address where nobody has signed in; default 20
	SignIns  rate.Limit // attempts a second and address; default one in 3 seconds
	Actions  rate.Limit // commands a second and session; default one
	Streams  int        // open streams of events of a session; default 20
	Viewers  int        // open streams of events in all; default 5,000
}

func (l Limits) filled() Limits {
	set := func(v *rate.Limit, to rate.Limit) {
		if *v == 0 {
			*v = to
		}
	}
	set(&l.Requests, 20)
	set(&l.SignIns, rate.Every(3*time.Second))
	set(&l.Actions, 1)
	if l.Streams == 0 {
		l.Streams = 20
	}
	if l.Viewers == 0 {
		l.Viewers = 5000
	}
	return l
}

// burst is how many times what a second allows may come at once.
const burst = 5

// mostLimiters is how many sessions and addresses are remembered. Beyond it those that were quiet
// longest are forgotten.
const mostLimiters = 20000

// limiters hold a limiter for each session or address and use.
type limiters struct {
	limits Limits

	mu sync.Mutex
	by map[string]*limiter
}

type limiter struct {
	*rate.Limiter
	used time.Time
}

func newLimiters(l Limits) *limiters { return &limiters{limits: l, by: map[string]*limiter{}} }

func (l *limiters) request(who string) bool { return l.allow("request "+who, l.limits.Requests) }
func (l *limiters) signIn(from string) bool { return l.allow("sign-in "+from, l.limits.SignIns) }
func (l *limiters) action(who string) bool  { return l.allow("action "+who, l.limits.Actions) }

func (l *limiters) allow(key string, each rate.Limit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.by[key]
	if !ok {
		if len(l.by) >= mostLimiters {
			l.forget()
		}
		at = &limiter{Limiter: rate.NewLimiter(each, max(burst, int(float64(each)*burst)))}
		l.by[key] = at
	}
	at.used = time.Now()
	return at.Allow()
}

// forget drops those that are full again, which say nothing; if none is, all.
func (l *limiters) forget() {
	for k, at := range l.by {
		if time.Since(at.used) > time.Minute {
			delete(l.by, k)
		}
	}
	if len(l.by) >= mostLimiters {
		clear(l.by)
	}
}

// guard lets only those through to a route that it is for.
func (s *Server) guard(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, known := s.Sessions.Of(r)
		asks := remote(r)
		if known {
			asks = who.Session
		}
		if route.Pattern != healthRoute && !s.limits.request(asks) {
			s.tooMany(w, r, who)
			return
		}
		switch {
		case route.Need == everybody || known && route.Need.lets(who, r):
			route.handle(w, r, who)
		case known:
			s.notForYou(w, r, who)
		default:
			s.signInFirst(w, r)
		}
	})
}

// notForYou refuses what somebody may not do.
func (s *Server) notForYou(w http.ResponseWriter, r *http.Request, who access.Identity) {
	_ = s.Audit.write(entry{What: r.Method + " of a page", Who: who.String(), Role: who.Role, From: remote(r), At: pathOf(r),
		Outcome: refused})
	s.fail(w, r, who, http.StatusForbidden, "Not for you", forbidden(who), "Ask a lead if you need it.")
}

func forbidden(who access.Identity) string {
	if who.Role == access.Guest {
		return "Your link shows one customer, and nothing else."
	}
	return "You are signed in as " + who.Name + ", and a " + string(who.Role) + " may not do this."
}

// tooMany is one line of the audit for each time that the limit begins to bite.
func (s *Server) tooMany(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if s.limits.allow("audit "+remote(r), 0.1) {
		_ = s.Audit.write(entry{What: "too many requests", Who: who.String(), Role: who.Role, From: remote(r), At: pathOf(r),
			Outcome: refused})
	}
	w.Header().Set("Retry-After", "5")
	s.fail(w, r, who, http.StatusTooManyRequests, "Too many requests", "This browser asks more often than the board answers.",
		"Wait a few seconds.")
}

// triedInVain is a line of the audit for what changes something and came to nothing: without a
// session, or of an action that there is not. Its number is limited, since anybody can ask.
func (s *Server) triedInVain(r *http.Request, who access.Identity, why string) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || !s.limits.allow("audit "+remote(r), 0.1) {
		return
	}
	_ = s.Audit.write(entry{What: r.Method + " of a page", Who: who.String(), Role: who.Role, From: remote(r), At: pathOf(r),
		Outcome: refused, Why: why})
}

// signInFirst sends a browser to the sign-in, from which it comes back to the page that it wanted.
func (s *Server) signInFirst(w http.ResponseWriter, r *http.Request) {
	s.triedInVain(r, access.Identity{}, "nobody is signed in")
	to := "/signin"
	if r.Method == http.MethodGet && !isFragment(r) {
		to += "?back=" + url.QueryEscape(r.URL.RequestURI())
	}
	switch {
	case isFragment(r):
		w.Header().Set("HX-Refresh", "true") // the whole page asks again, and is sent to the sign-in
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && r.Header.Get("Accept") != "text/event-stream":
		http.Redirect(w, r, to, http.StatusSeeOther)
	default:
		s.fail(w, r, access.Identity{}, http.StatusUnauthorized, "Sign in first", "Nobody is signed in here.", "Sign in, then do it again.")
	}
}

// remote is the address that a request came from, without its port.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// pathOf is what was asked for, for the audit and the log: a link is a secret.
func pathOf(r *http.Request) string {
	if p := path.Clean("/" + r.URL.Path); strings.HasPrefix(p, linkPath) {
		return linkPath + "..."
	}
	return r.URL.Path
}

// isFragment says whether the page is there already, and asks for its live part only.
func isFragment(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-History-Restore-Request") != "true"
}
