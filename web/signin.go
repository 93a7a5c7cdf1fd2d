package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drover-migration/drover/web/access"
)

// signInView is the page on which people sign in.
type signInView struct {
	Token, Provider bool
	Back            string
	BackQuery       string
	Problem         string
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	s.askToSignIn(w, r, who, http.StatusOK, r.URL.Query().Get("back"), "")
}

func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request, who access.Identity, status int, back, problem string) {
	back = ownPath(back)
	v := signInView{Token: s.Tokens != nil, Provider: s.OIDC != nil, Back: back, BackQuery: "?back=" + url.QueryEscape(back),
		Problem: problem}
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, "signin", v); err != nil {
		s.broken(w, r, err)
		return
	}
	s.showMade(w, r, status, layout{Title: "Sign in", Who: who}, []byte(b.String()), nil)
}

// ownPath is a path of this board, whatever was asked for: nobody is sent to another site.
func ownPath(back string) string {
	u, err := url.Parse(back)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") ||
		strings.ContainsAny(back, "\\\r\n\t") {
		return "/"
	}
	return back
}

func (s *Server) signInByToken(w http.ResponseWriter, r *http.Request, who access.Identity) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	back := r.FormValue("back")
	if !s.limits.signIn(remote(r)) {
		s.tooManySignIns(w, r, who, back)
		return
	}
	if s.Tokens == nil {
		s.nothingThere(w, r, who)
		return
	}
	i, ok := s.Tokens.Find(r.PostFormValue("token"))
	if !ok {
		_ = s.Audit.write(entry{What: "sign-in", How: access.HowToken, From: remote(r), Outcome: refused, Why: "the token is not known"})
		s.askToSignIn(w, r, who, http.StatusUnauthorized, back, "This token is not known. Ask whoever runs the board for one.")
		return
	}
	s.begin(w, r, i, back)
}

func (s *Server) tooManySignIns(w http.ResponseWriter, r *http.Request, who access.Identity, back string) {
	_ = s.Audit.write(entry{What: "sign-in", From: remote(r), Outcome: refused, Why: "too many attempts"})
	w.Header().Set("Retry-After", "15")
	s.askToSignIn(w, r, who, http.StatusTooManyRequests, back, "Too many attempts. Wait a quarter of a minute.")
}

// begin starts a session, once it is written down.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, i access.Identity, to string) {
	line := entry{What: "sign-in", Who: i.String(), Role: i.Role, How: i.How, From: remote(r), Plan: i.Plan, Customer: i.Customer,
		Outcome: accepted}
	if err := s.Audit.write(line); err != nil {
		s.fail(w, r, access.Identity{}, http.StatusServiceUnavailable, "Not signed in", "The audit cannot be written.",
			"Tell whoever runs the board.")
		return
	}
	if err := s.Sessions.Begin(w, i); err != nil {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, ownPath(to), http.StatusSeeOther)
}

func (s *Server) signInByProvider(w http.ResponseWriter, r *http.Request, who access.Identity) {
	back := r.URL.Query().Get("back")
	switch {
	case s.OIDC == nil:
		s.nothingThere(w, r, who)
	case !s.limits.signIn(remote(r)):
		s.tooManySignIns(w, r, who, back)
	default:
		if err := s.OIDC.Begin(w, r, ownPath(back)); err != nil {
			s.broken(w, r, err)
		}
	}
}

func (s *Server) backFromProvider(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if s.OIDC == nil {
		s.nothingThere(w, r, who)
		return
	}
	i, back, err := s.OIDC.End(w, r)
	if err != nil {
		_ = s.Audit.write(entry{What: "sign-in", Who: i.Name, How: access.HowOIDC, From: remote(r), Outcome: refused, Why: err.Error()})
		s.askToSignIn(w, r, who, http.StatusUnauthorized, "/", "Signing in did not work: "+err.Error()+".")
		return
	}
	s.begin(w, r, i, back)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if who.Role != "" {
		_ = s.Audit.write(entry{What: "sign-out", Who: who.String(), Role: who.Role, How: who.How, From: remote(r), Outcome: accepted})
	}
	s.Sessions.End(w, r)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// openLink begins a session that sees one customer. Whoever is signed in keeps the session
// that they have, if it sees the customer too.
func (s *Server) openLink(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if !s.limits.signIn(remote(r)) {
		s.tooManySignIns(w, r, who, "/")
		return
	}
	i, err := s.Key.ReadLink(r.PathValue("link"), time.Now())
	if err != nil {
		_ = s.Audit.write(entry{What: "link", From: remote(r), How: access.HowLink, Outcome: refused, Why: err.Error()})
		s.fail(w, r, access.Identity{}, http.StatusForbidden, "This link does not work", "The link cannot be used: "+err.Error()+".",
			"Ask whoever sent it for a new one.")
		return
	}
	to := customerPath(i.Plan, i.Customer)
	if who.Role.Sees() {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	s.begin(w, r, i, to)
}
