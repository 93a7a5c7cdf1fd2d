package webtest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The board at the Provider.
const (
	ClientID     = "drover"
	ClientSecret = "a secret of the board"
)

// Person is somebody whom a Provider knows.
type Person struct {
	Name     string // and password
	Email    string
	Verified bool     // the e-mail address
	Roles    []string // nil: no claim "roles" at all
}

// Provider is an OpenID Connect provider: zitadel's server, in this process, with people in memory.
type Provider struct {
	*httptest.Server
	*storage.Storage

	// InUserInfo moves the claim with the roles from the ID token to the user info endpoint.
	InUserInfo bool
	// Life is how long an ID token is good; negative: it has run out when it is issued.
	Life time.Duration

	people map[string]Person
}

// NewProvider starts a provider to which the board at back is known.
func NewProvider(t testing.TB, back string, people ...Person) *Provider {
	t.Helper()
	p := &Provider{Life: time.Hour, people: map[string]Person{}}
	for _, x := range people {
		p.people[x.Name] = x
	}
	p.Storage = storage.NewStorageWithClients(users{p},
		map[string]*storage.Client{ClientID: storage.WebClient(ClientID, ClientSecret, back)})
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Server.Close)
	var key [32]byte
	_, _ = rand.Read(key[:])
	server, err := op.NewProvider(&op.Config{CryptoKey: key, CodeMethodS256: true}, p, op.StaticIssuer(p.URL), op.WithAllowInsecure(),
		op.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	after := op.AuthCallbackURL(server)
	mux.Handle("/login", op.NewIssuerInterceptor(server.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("id")
		if err := p.CheckUsernamePassword(r.PostFormValue("name"), r.PostFormValue("password"), id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, after(r.Context(), id), http.StatusFound)
	}))
	mux.Handle("/", server)
	return p
}

// Login follows a browser that the board has sent to the provider: the person signs in there, and
// the answer is the address at the board to which the provider sends the browser back.
func (p *Provider) Login(t testing.TB, b *http.Client, to, name string) *url.URL {
	t.Helper()
	step := func(res *http.Response, err error) *url.URL {
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusFound, res.StatusCode, "%s", res.Request.URL)
		next, err := res.Location()
		require.NoError(t, err)
		return next
	}
	at := step(b.Get(to)) //nolint:bodyclose // step closes it
	//nolint:bodyclose // step closes it
	at = step(b.PostForm(p.URL+"/login", url.Values{"id": {at.Query().Get("id")}, "name": {name}, "password": {name}}))
	return step(b.Get(at.String())) //nolint:bodyclose // step closes it
}

// users implements storage.UserStore.
type users struct{ p *Provider }

func (u users) GetUserByID(id string) *storage.User {
	x, ok := u.p.people[id]
	if !ok {
		return nil
	}
	return &storage.User{ID: x.Name, Username: x.Name, Password: x.Name, Email: x.Email, EmailVerified: x.Verified}
}

func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }
func (u users) ExampleClientID() string                     { return "nobody" }

// boardClient is the board, with the Provider's page to sign in and life of ID tokens.
type boardClient struct {
	op.Client
	life time.Duration
}

func (c boardClient) LoginURL(id string) string      { return "/login?id=" + id }
func (c boardClient) IDTokenLifetime() time.Duration { return c.life }

// GetClientByClientID implements op.Storage.
func (p *Provider) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := p.Storage.GetClientByClientID(ctx, id)
	return boardClient{c, p.Life}, err
}

// SetUserinfoFromRequest implements op.CanSetUserinfoFromRequest: what an ID token says.
func (p *Provider) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	if !p.InUserInfo {
		p.addRoles(info, r.GetSubject())
	}
	return p.Storage.SetUserinfoFromRequest(ctx, info, r, append(scopes, oidc.ScopeEmail))
}

// SetUserinfoFromToken implements op.Storage: what the user info endpoint says.
func (p *Provider) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	p.addRoles(info, subject)
	return p.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}

func (p *Provider) addRoles(info *oidc.UserInfo, subject string) {
	if roles := p.people[subject].Roles; roles != nil {
		info.AppendClaims("roles", roles)
	}
}
