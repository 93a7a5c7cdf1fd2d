package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDCOptions say how people sign in by an OpenID Connect provider.
type OIDCOptions struct {
	Issuer       string
	ClientID     string
	ClientSecret string // the secret itself; empty for a public client
	RedirectURL  string // of this board, ending in /signin/oidc/back
	RoleClaim    string // the claim that names roles or groups: a text or a list of them; empty: "roles"
	Scopes       []string

	// Roles says which of the claim's values gives which role. Who has several is given the one
	// that may do most; who has none is refused.
	Roles map[string]Role
}

// signInLife is how long a person may take at the provider.
const signInLife = 10 * time.Minute

// OIDC is a provider that people sign in by.
type OIDC struct {
	opts     OIDCOptions
	oauth    oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
	key      *Key
	secure   bool
}

// pending is what a sign-in that is under way must come back with; it is in an encrypted cookie.
type pending struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Back     string    `json:"back"`     // the page that the person wanted
	Expires  time.Time `json:"expires"`
}

// NewOIDC asks the provider how it is to be used.
func NewOIDC(ctx context.Context, opts OIDCOptions, key *Key, secure bool) (*OIDC, error) {
	provider, err := oidc.NewProvider(ctx, opts.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the sign-in provider %s how it is used: %w", opts.Issuer, err)
	}
	if opts.RoleClaim == "" {
		opts.RoleClaim = "roles"
	}
	return &OIDC{
		opts: opts, key: key, secure: secure, provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: opts.ClientID}),
		oauth: oauth2.Config{ClientID: opts.ClientID, ClientSecret: opts.ClientSecret, Endpoint: provider.Endpoint(),
			RedirectURL: opts.RedirectURL, Scopes: append([]string{oidc.ScopeOpenID, "profile", "email"}, opts.Scopes...)},
	}, nil
}

// Begin sends the browser to the provider. Back is the page that is shown afterwards.
func (o *OIDC) Begin(w http.ResponseWriter, r *http.Request, back string) error {
	p := pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Back: back,
		Expires: time.Now().Add(signInLife)}
	sealed, err := o.key.Seal("sign-in", p)
	if err != nil {
		return err
	}
	o.set(w, sealed, p.Expires)
	http.Redirect(w, r, o.oauth.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), http.StatusFound)
	return nil
}

// End reads what the provider sent the browser back with: who it is, and the page that was wanted.
// An error is for the audit; it holds no code and no token.
func (o *OIDC) End(w http.ResponseWriter, r *http.Request) (i Identity, back string, err error) {
	o.set(w, "", time.Unix(1, 0)) // whatever comes of it, it is used up
	var p pending
	c, err := r.Cookie(o.cookie())
	if err != nil || o.key.Unseal("sign-in", c.Value, &p) != nil || time.Now().After(p.Expires) {
		return i, "", errors.New("no sign-in was under way in this browser, or it took longer than " + signInLife.String())
	}
	if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("state")), []byte(p.State)) != 1 {
		return i, "", errors.New("the provider's answer belongs to another sign-in")
	}
	if e := r.URL.Query().Get("error"); e != "" {
		return i, "", fmt.Errorf("the provider refused: %q", safeName(e))
	}
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	tokens, err := o.oauth.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return i, "", errors.New("the provider did not take its own code: " + quiet(err))
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return i, "", errors.New("the provider sent no ID token")
	}
	id, err := o.verifier.Verify(ctx, raw)
	if err != nil {
		return i, "", fmt.Errorf("the provider's ID token is not good: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(p.Nonce)) != 1 {
		return i, "", errors.New("the provider's ID token belongs to another sign-in")
	}
	claims, err := o.claims(ctx, id, tokens)
	if err != nil {
		return i, "", err
	}
	i, err = o.identity(id.Subject, claims)
	return i, p.Back, err
}

// claims are those of the ID token. Some providers name roles and e-mail at the user info endpoint
// alone: where the token has no roles, what is said there counts besides.
func (o *OIDC) claims(ctx context.Context, id *oidc.IDToken, tokens *oauth2.Token) (map[string]any, error) {
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read the claims of the ID token: %w", err)
	}
	if claims[o.opts.RoleClaim] != nil || o.provider.UserInfoEndpoint() == "" {
		return claims, nil
	}
	info, err := o.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return nil, errors.New("the provider does not say who that is: " + quiet(err))
	}
	if info.Subject != id.Subject { // OpenID Connect Core, 5.3.2: else it must not be used
		return nil, errors.New("the provider's user info is of somebody else")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return nil, fmt.Errorf("read the claims of the user info: %w", err)
	}
	maps.Copy(more, claims) // the token, which is signed, has the last word
	return more, nil
}

// identity reads who it is and what they may do. A name that a person may choose freely at the
// provider is not taken: e-mail only where the provider has verified it, else the subject.
func (o *OIDC) identity(subject string, claims map[string]any) (Identity, error) {
	name := subject
	if email, _ := claims["email"].(string); email != "" && claims["email_verified"] == true {
		name = email
	}
	out := Identity{Name: safeName(name), How: HowOIDC}
	for _, v := range texts(claims[o.opts.RoleClaim]) {
		if r, ok := o.opts.Roles[v]; ok {
			out.Role = higher(r, out.Role)
		}
	}
	if out.Role == "" {
		return out, fmt.Errorf("%s has none of the board's roles: claim %q names none of them", out.Name, o.opts.RoleClaim)
	}
	return out, nil
}

// texts is a claim that is a text or a list of them.
func texts(claim any) (out []string) {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// quiet is an error of the exchange without the provider's whole answer.
func quiet(err error) string {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) {
		return safeName(answered.ErrorCode)
	}
	return err.Error()
}

func (o *OIDC) cookie() string {
	if o.secure {
		return "__Host-drover-signin"
	}
	return "drover-signin"
}

// set keeps the sign-in in the browser. The provider sends the browser back from another site, by
// a plain link: Lax cookies come with that.
func (o *OIDC) set(w http.ResponseWriter, value string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: o.cookie(), Value: value, Path: "/", Expires: until, HttpOnly: true, Secure: o.secure,
		SameSite: http.SameSiteLaxMode})
}
