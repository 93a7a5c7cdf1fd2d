package access

import (
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// SessionLife is how long a session is good unless the board is told otherwise.
const SessionLife = 12 * time.Hour

// Sessions are in the cookies of the browsers, encrypted; only those that were signed out are
// remembered here.
type Sessions struct {
	key    *Key
	life   time.Duration
	secure bool
	tokens *Tokens // nil: nobody signs in by token

	mu    sync.Mutex
	ended map[string]time.Time // sessions that were signed out, until they expire
}

// NewSessions makes sessions of a key. Secure says that browsers reach the board by TLS alone.
func NewSessions(key *Key, life time.Duration, secure bool, tokens *Tokens) *Sessions {
	if life <= 0 {
		life = SessionLife
	}
	return &Sessions{key: key, life: life, secure: secure, tokens: tokens, ended: map[string]time.Time{}}
}

// Life is how long a session is good.
func (s *Sessions) Life() time.Duration { return s.life }

// cookie is the session's name. With the prefix a browser takes it from this host alone, by TLS.
func (s *Sessions) cookie() string {
	if s.secure {
		return "__Host-drover"
	}
	return "drover"
}

// Begin gives the browser a session of its own for i.
func (s *Sessions) Begin(w http.ResponseWriter, i Identity) error {
	i.Session = uuid.NewString()
	if ends := time.Now().Add(s.life); i.Expires.IsZero() || ends.Before(i.Expires) {
		i.Expires = ends
	}
	sealed, err := s.key.Seal("session", i)
	if err != nil {
		return err
	}
	s.set(w, sealed, i.Expires)
	return nil
}

// End makes the session worthless here, also to whoever copied its cookie. Other boards with the
// same key, and this one after a restart, do not know of it.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) {
	if i, ok := s.Of(r); ok {
		s.mu.Lock()
		s.ended[i.Session] = i.Expires
		for id, until := range s.ended {
			if time.Now().After(until) {
				delete(s.ended, id)
			}
		}
		s.mu.Unlock()
	}
	s.set(w, "", time.Unix(1, 0))
}

// Of is who sends a request; false: nobody that is known, or no longer.
func (s *Sessions) Of(r *http.Request) (Identity, bool) {
	c, err := r.Cookie(s.cookie())
	if err != nil || c.Value == "" {
		return Identity{}, false
	}
	var i Identity
	if err := s.key.Unseal("session", c.Value, &i); err != nil || time.Now().After(i.Expires) {
		return Identity{}, false
	}
	s.mu.Lock()
	_, over := s.ended[i.Session]
	s.mu.Unlock()
	if over {
		return Identity{}, false
	}
	if i.How != HowToken {
		return i, true
	}
	if s.tokens == nil {
		return Identity{}, false
	}
	return s.tokens.Still(i)
}

func (s *Sessions) set(w http.ResponseWriter, value string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: value, Path: "/", Expires: until, HttpOnly: true, Secure: s.secure,
		SameSite: http.SameSiteLaxMode})
}
