package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-migration/drover/migration"
)

// What each kind of token calls itself: one is never taken for another.
const (
	passType    = "drover-pass+jwt"
	commandType = "drover-command+jwt"
)

// onlyEdDSA are the algorithms that are taken.
var onlyEdDSA = []jose.SignatureAlgorithm{jose.EdDSA}

// Who is somebody who has signed in.
type Who struct {
	Name    string
	Role    migration.Rank
	How     string    // they were recognised: token, oidc
	Expires time.Time // whole seconds
}

// pass is what the token of a pass says (RFC 7800: cnf is the key that its holder has).
type pass struct {
	jwt.Claims
	Role migration.Rank `json:"role"`
	How  string         `json:"how,omitempty"`
	Cnf  struct {
		JWK jose.JSONWebKey `json:"jwk"`
	} `json:"cnf"`
}

func (p pass) who() Who {
	return Who{Name: p.Subject, Role: p.Role, How: p.How, Expires: p.Expiry.Time()}
}

// Issue signs a pass: the one who has the private half of key is who.
func (a *Authority) Issue(who Who, key ed25519.PublicKey) (string, error) {
	p := pass{Role: who.Role, How: who.How, Claims: jwt.Claims{Issuer: "drover", Subject: who.Name,
		IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(who.Expires)}}
	p.Cnf.JWK = jose.JSONWebKey{Key: key}
	return sign(jose.JSONWebKey{Key: a.key, KeyID: a.id}, passType, p)
}

func sign(key any, kind string, claims any) (string, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
	if err != nil {
		return "", err
	}
	return jwt.Signed(s).Claims(claims).Serialize()
}

// parse reads a token of one kind; nothing is verified yet.
func parse(token, kind string) (*jwt.JSONWebToken, error) {
	t, err := jwt.ParseSigned(token, onlyEdDSA)
	if err != nil || len(t.Headers) != 1 || t.Headers[0].ExtraHeaders[jose.HeaderType] != kind {
		return nil, errors.New("it is not in the form of one")
	}
	return t, nil
}

// Said is a command with what it was sent to.
type Said struct {
	Namespace string // of Temporal
	Workflow  string // id
	Update    string // name
	Command   migration.Command
}

// saying is what the signature of a command covers.
type saying struct {
	Namespace string `json:"ns"`
	Workflow  string `json:"wf"`
	Update    string `json:"upd"`
	Command   string `json:"cmd"` // SHA-256 of its JSON without the proof, base64
}

func (s Said) saying() (saying, error) {
	s.Command.Proof = nil
	b, err := json.Marshal(s.Command)
	if err != nil {
		return saying{}, err
	}
	// What is signed is what the worker reads: of a text that is no UTF-8 that is another.
	var read migration.Command
	if err := json.Unmarshal(b, &read); err != nil {
		return saying{}, err
	}
	b, err = json.Marshal(read)
	sum := sha256.Sum256(b)
	return saying{Namespace: s.Namespace, Workflow: s.Workflow, Update: s.Update,
		Command: base64.RawURLEncoding.EncodeToString(sum[:])}, err
}

// Holder is who has a pass and the key that it names.
type Holder struct {
	who  Who
	pass string
	key  ed25519.PrivateKey
}

// NewHolder checks that the pass names this key. Who issued it is not checked: whoever takes a
// command does that.
func NewHolder(token string, key ed25519.PrivateKey) (*Holder, error) {
	t, err := parse(token, passType)
	if err != nil {
		return nil, fmt.Errorf("read the pass: %w", err)
	}
	var p pass
	if err := t.UnsafeClaimsWithoutVerification(&p); err != nil {
		return nil, errors.New("read the pass: it is not in the form of one")
	}
	named, ok := p.Cnf.JWK.Key.(ed25519.PublicKey)
	if !ok || !named.Equal(key.Public()) || p.Expiry == nil {
		return nil, errors.New("read the pass: it was made for another key")
	}
	return &Holder{who: p.who(), pass: token, key: key}, nil
}

// Hold issues a pass for a key made for it.
func (a *Authority) Hold(who Who) (*Holder, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	token, err := a.Issue(who, public)
	return &Holder{who: who, pass: token, key: key}, err
}

// Who is the one that the pass names.
func (h *Holder) Who() Who { return h.who }

// Sign proves that the holder gives a command.
func (h *Holder) Sign(s Said) (*migration.Proof, error) {
	what, err := s.saying()
	if err != nil {
		return nil, err
	}
	signed, err := sign(h.key, commandType, what)
	return &migration.Proof{Pass: h.pass, Signed: signed}, err
}

// longestWait is how long before it is withdrawn a command may be sent. Until then a workflow knows
// a repeat by its request id.
const longestWait = time.Hour

// Check refuses a command that the one who is named in it did not give, or may not give. Now is the
// worker's or the workflow's time. An error is for people.
func (k *Keys) Check(s Said, now time.Time) (Who, error) {
	cmd := s.Command
	switch {
	case cmd.Proof == nil:
		return Who{}, errors.New("it is not signed: sign in with `drover login`, or give it on the board")
	case cmd.RequestID == "" || cmd.Until.IsZero() || cmd.Until.After(now.Add(longestWait)):
		return Who{}, errors.New("a signed command needs a request id and a time, within the hour, until which it is good")
	}
	p, err := k.open(cmd.Proof.Pass, now)
	if err != nil {
		return Who{}, err
	}
	t, err := parse(cmd.Proof.Signed, commandType)
	if err != nil {
		return Who{}, fmt.Errorf("its signature cannot be read: %w", err)
	}
	holder, ok := p.Cnf.JWK.Key.(ed25519.PublicKey)
	if !ok {
		return Who{}, errors.New("its pass names no ed25519 key")
	}
	var signed saying
	if err := t.Claims(holder, &signed); err != nil {
		return Who{}, errors.New("its signature is not that of the pass's holder")
	}
	what, err := s.saying()
	switch {
	case err != nil:
		return Who{}, err
	case signed != what:
		return Who{}, errors.New("its signature is for another command")
	case cmd.By != p.Subject:
		return Who{}, fmt.Errorf("it says that %q asks, and is signed by %q", cmd.By, p.Subject)
	case !p.Role.Gives(s.Update):
		return Who{}, fmt.Errorf("%s is a %s, who may not do this", p.Subject, p.Role)
	}
	return p.who(), nil
}

// open reads a pass that one of the authorities signed and that is good now.
func (k *Keys) open(token string, now time.Time) (p pass, err error) {
	t, err := parse(token, passType)
	if err != nil {
		return p, fmt.Errorf("its pass cannot be read: %w", err)
	}
	authority, ok := k.by[t.Headers[0].KeyID]
	if !ok {
		return p, errors.New("its pass is signed by nobody whom this worker trusts")
	}
	switch err := t.Claims(authority, &p); {
	case err != nil:
		return p, errors.New("its pass is not signed by whom it says")
	case p.Subject == "" || p.Expiry == nil:
		return p, errors.New("its pass names nobody, or no end")
	case !now.Before(p.Expiry.Time()):
		return p, fmt.Errorf("the sign-in of %s has run out at %s: sign in again", p.Subject, p.Expiry.Time().UTC().Format(time.RFC3339))
	}
	return p, nil
}
