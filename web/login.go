package web

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/web/access"
)

// commandPass is how long the pass of one command of the board is good: longer than anybody waits
// for an answer.
const commandPass = 5 * time.Minute

// commandsOf are the commands that somebody gives: signed, where the board may sign.
func (s *Server) commandsOf(who access.Identity) (Commands, error) {
	if s.Authority == nil {
		return s.Commands, nil
	}
	h, err := s.Authority.Hold(identity.Who{Name: who.Name, Role: who.Role, How: who.How, Expires: time.Now().Add(commandPass)})
	if err != nil {
		return nil, err
	}
	return s.As(h), nil
}

// LoginAnswer is what a command line that signs in by a token is answered.
type LoginAnswer struct {
	Pass string `json:"pass,omitempty"`
	Why  string `json:"why,omitempty"` // it was refused
}

// loginKey reads the key of a command line: 32 bytes in base64 for URLs.
func loginKey(s string) (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("the command line's key is not whole: begin again with `drover login`")
	}
	return b, nil
}

// LoginCode is by what people see that the page and the command line are about the same sign-in.
func LoginCode(key ed25519.PublicKey) string {
	const length = 8
	code := strings.ToUpper(base64.RawURLEncoding.EncodeToString(key))
	code = strings.NewReplacer("-", "", "_", "").Replace(code)[:length]
	return code[:length/2] + " " + code[length/2:]
}

// loginView is the page on which somebody lends a command line their name.
type loginView struct {
	Name, Code, Key, Port, Until string
	Role                         access.Role
	Pass                         string // is there once it was confirmed
	Hand                         string // the link by which the browser hands the pass over
}

func (s *Server) viewLogin(r *http.Request, who access.Identity) (v loginView, key ed25519.PublicKey, err error) {
	if key, err = loginKey(r.FormValue("key")); err != nil {
		return v, nil, err
	}
	v = loginView{Name: who.Name, Role: who.Role, Code: LoginCode(key), Key: r.FormValue("key"),
		Until: clock(r).At(who.Expires)}
	if port, err := strconv.ParseUint(r.FormValue("port"), 10, 16); err == nil && port > 0 {
		v.Port = strconv.FormatUint(port, 10)
	}
	return v, key, nil
}

// loginPage asks whether a command line may use the name of who has signed in here.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	v, _, err := s.viewLogin(r, who)
	if !s.lends(w, r, who, err) {
		return
	}
	s.show(w, r, layout{Title: "Sign in on a command line", Who: who}, "login", v)
}

// lends refuses what cannot be a sign-in of a command line.
func (s *Server) lends(w http.ResponseWriter, r *http.Request, who access.Identity, err error) bool {
	switch {
	case s.Authority == nil:
		s.fail(w, r, who, http.StatusNotFound, "Not here", "This board signs no commands.",
			"Whoever runs it starts it with --identity-key; until then commands go under the name that --by gives.")
	case err != nil:
		s.fail(w, r, who, http.StatusBadRequest, "Not signed in", "It cannot be told which command line this is: "+err.Error()+".",
			"Follow the link that drover login prints.")
	default:
		return true
	}
	return false
}

// lend signs the pass of a command line. The pass is worth nothing without the key that the command
// line keeps: that is why it may be in an address and on a page.
func (s *Server) lend(w http.ResponseWriter, r *http.Request, who access.Identity) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	v, key, err := s.viewLogin(r, who)
	if !s.lends(w, r, who, err) {
		return
	}
	if v.Pass, err = s.issue(r, who, key); err != nil {
		s.fail(w, r, who, http.StatusServiceUnavailable, "Not signed in", err.Error()+".", "Tell whoever runs the board.")
		return
	}
	if v.Port != "" {
		v.Hand = "http://127.0.0.1:" + v.Port + "/?pass=" + v.Pass
	}
	s.show(w, r, layout{Title: "Sign in on a command line", Who: who}, "lent", v)
}

// issue writes down that a command line is lent a name, and signs its pass.
func (s *Server) issue(r *http.Request, who access.Identity, key ed25519.PublicKey) (string, error) {
	line := entry{What: "sign-in of a command line", Who: who.Name, Role: who.Role, How: who.How, From: remote(r), Outcome: accepted}
	if s.Audit.write(line) != nil {
		return "", errors.New("the audit cannot be written")
	}
	pass, err := s.Authority.Issue(identity.Who{Name: who.Name, Role: who.Role, How: who.How, Expires: who.Expires}, key)
	if err != nil {
		s.Log.Error("a pass cannot be signed", "error", err)
		return "", errors.New("the pass cannot be signed")
	}
	return pass, nil
}

// lendByToken signs the pass of a command line that sends a token, where there is no browser.
func (s *Server) lendByToken(w http.ResponseWriter, r *http.Request, _ access.Identity) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	answer := func(status int, a LoginAnswer) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(a) // who is gone needs nothing
	}
	if !s.limits.signIn(remote(r)) {
		_ = s.Audit.write(entry{What: "sign-in of a command line", From: remote(r), Outcome: refused, Why: "too many attempts"})
		w.Header().Set("Retry-After", "15")
		answer(http.StatusTooManyRequests, LoginAnswer{Why: "too many attempts: wait a quarter of a minute"})
		return
	}
	if s.Authority == nil || s.Tokens == nil {
		answer(http.StatusNotFound, LoginAnswer{Why: "this board lends no command line a name by token"})
		return
	}
	key, err := loginKey(r.PostFormValue("key"))
	if err != nil {
		answer(http.StatusBadRequest, LoginAnswer{Why: err.Error()})
		return
	}
	who, ok := s.Tokens.Find(r.PostFormValue("token"))
	if !ok {
		_ = s.Audit.write(entry{What: "sign-in of a command line", How: access.HowToken, From: remote(r), Outcome: refused,
			Why: "the token is not known"})
		answer(http.StatusUnauthorized, LoginAnswer{Why: "this token is not known: ask whoever runs the board for one"})
		return
	}
	who.Expires = time.Now().Add(s.Sessions.Life())
	pass, err := s.issue(r, who, key)
	if err != nil {
		answer(http.StatusServiceUnavailable, LoginAnswer{Why: err.Error()})
		return
	}
	answer(http.StatusOK, LoginAnswer{Pass: pass})
}
