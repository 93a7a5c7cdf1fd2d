package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

const backPath = "/signin/oidc/back"

// withProvider is a board whose people sign in by a provider.
func withProvider(t *testing.T, people ...webtest.Person) (*site, *webtest.Provider) {
	t.Helper()
	s := shop(t)
	p := webtest.NewProvider(t, s.URL+backPath, people...)
	var err error
	s.pages.OIDC, err = access.NewOIDC(t.Context(), access.OIDCOptions{Issuer: p.URL, ClientID: webtest.ClientID,
		ClientSecret: webtest.ClientSecret, RedirectURL: s.URL + backPath,
		Roles: map[string]access.Role{"migration-leads": access.Lead, "oncall": access.Operator, "staff": access.Viewer}}, s.key, false)
	require.NoError(t, err)
	return s, p
}

// toProvider begins a sign-in at the board: where the browser is sent.
func toProvider(t *testing.T, s *site, b *http.Client, back string) *url.URL {
	t.Helper()
	res, err := b.Get(s.URL + "/signin/oidc?back=" + url.QueryEscape(back))
	code, _ := read(t, res, err)
	require.Equal(t, http.StatusFound, code)
	at, err := res.Location()
	require.NoError(t, err)
	return at
}

func TestTheProvidersRolesSayWhoMayDoWhat(t *testing.T) {
	for name, c := range map[string]struct {
		person webtest.Person
		called string
		role   access.Role
		act    int // answer to a command
	}{
		"one role is looked up": {
			webtest.Person{Name: "u1", Email: "vera@example.com", Verified: true, Roles: []string{"staff"}}, "vera@example.com",
			access.Viewer, http.StatusForbidden,
		},
		"of several the one that may do most counts": {
			webtest.Person{Name: "u2", Email: "lea@example.com", Verified: true, Roles: []string{"staff", "migration-leads", "oncall"}},
			"lea@example.com", access.Lead, http.StatusOK,
		},
		"an address that nobody has verified is no name": {
			webtest.Person{Name: "u3", Email: "lea@example.com", Roles: []string{"oncall"}}, "u3", access.Operator, http.StatusOK,
		},
	} {
		for where, inUserInfo := range map[string]bool{"ID token": false, "user info": true} {
			t.Run(name+", in the "+where, func(t *testing.T) {
				s, p := withProvider(t, c.person)
				p.InUserInfo = inUserInfo
				b := s.browser(t)
				back := p.Login(t, b, toProvider(t, s, b, "/m/shop?state=held").String(), c.person.Name)
				res, err := b.Get(back.String())
				code, body := read(t, res, err)
				require.Equal(t, http.StatusSeeOther, code, body)
				require.Equal(t, "/m/shop?state=held", res.Header.Get("Location"), "the page that was wanted")
				mustGet(t, s, b, "/m/shop")
				require.Contains(t, s.audit.String(), `"what":"sign-in","who":"`+c.called+`","role":"`+string(c.role)+`","how":"oidc"`)

				code, _ = s.post(t, b, "/m/shop/do/pause", url.Values{"reason": {"x"}, "request": {uuid.NewString()}})
				require.Equal(t, c.act, code)
				if c.act == http.StatusOK {
					require.Equal(t, c.called, s.world.Sent()[0].By)
				}
			})
		}
	}
}

func TestASignInThatTheProviderDoesNotVouchForIsRefused(t *testing.T) {
	lea := webtest.Person{Name: "lea", Email: "lea@example.com", Verified: true, Roles: []string{"migration-leads"}}
	for name, c := range map[string]struct {
		people []webtest.Person
		life   time.Duration
		before func(u *url.URL) // changes what the browser brings to the provider
		after  func(u *url.URL) // and what it brings back
		why    string
	}{
		"no claim with roles": {
			people: []webtest.Person{{Name: "lea", Email: "lea@example.com", Verified: true}}, why: `claim \"roles\" names none of them`,
		},
		"none of the board's roles": {
			people: []webtest.Person{{Name: "lea", Roles: []string{"accounting"}}}, why: `lea has none of the board's roles`,
		},
		"the nonce of another sign-in": {
			before: func(u *url.URL) { set(u, "nonce", "of-somebody-else") }, why: "the provider's ID token belongs to another sign-in",
		},
		"no nonce": {before: func(u *url.URL) { set(u, "nonce", "") }, why: "the provider's ID token belongs to another sign-in"},
		"the state of another sign-in": {
			after: func(u *url.URL) { set(u, "state", "of-somebody-else") }, why: "the provider's answer belongs to another sign-in",
		},
		"a code that is not the provider's": {
			after: func(u *url.URL) { set(u, "code", "made-up") }, why: "the provider did not take its own code: invalid_grant",
		},
		"a code for another browser's secret": {
			before: func(u *url.URL) { set(u, "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") },
			why:    "the provider did not take its own code: invalid_grant",
		},
		"an ID token that has run out": {life: -time.Minute, why: "the provider's ID token is not good: oidc: token is expired"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.people == nil {
				c.people = []webtest.Person{lea}
			}
			s, p := withProvider(t, c.people...)
			if c.life != 0 {
				p.Life = c.life
			}
			b := s.browser(t)
			at := toProvider(t, s, b, "/")
			if c.before != nil {
				c.before(at)
			}
			back := p.Login(t, b, at.String(), "lea")
			if c.after != nil {
				c.after(back)
			}
			res, err := b.Get(back.String())
			code, _ := read(t, res, err)
			require.Equal(t, http.StatusUnauthorized, code)
			require.Contains(t, s.audit.String(), `"what":"sign-in"`)
			require.Contains(t, s.audit.String(), `"outcome":"refused","why":"`)
			require.Contains(t, s.audit.String(), c.why)
			code, _ = s.get(t, b, "/m/shop")
			require.Equal(t, http.StatusSeeOther, code, "nobody is signed in")
		})
	}
}

func TestAnAnswerOfTheProviderIsUsedOnceAndByItsOwnBrowser(t *testing.T) {
	s, p := withProvider(t, webtest.Person{Name: "lea", Roles: []string{"migration-leads"}})
	b := s.browser(t)
	back := p.Login(t, b, toProvider(t, s, b, "/").String(), "lea").String()
	thief := s.browser(t)
	res, err := thief.Get(back)
	code, body := read(t, res, err)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Contains(t, body, "no sign-in was under way in this browser")
	res, err = b.Get(back)
	code, _ = read(t, res, err)
	require.Equal(t, http.StatusSeeOther, code)
	res, err = b.Get(back)
	code, _ = read(t, res, err)
	require.Equal(t, http.StatusUnauthorized, code, "a second time")
}

func TestARefusalOfTheProviderIsSaid(t *testing.T) {
	s, _ := withProvider(t)
	b := s.browser(t)
	state := toProvider(t, s, b, "/").Query().Get("state")
	code, body := s.get(t, b, backPath+"?error=access_denied&state="+url.QueryEscape(state))
	require.Equal(t, http.StatusUnauthorized, code)
	require.Contains(t, body, "the provider refused")
	require.NotContains(t, s.audit.String(), state)
}

// set gives a query's parameter another value; "" takes it away.
func set(u *url.URL, name, value string) {
	q := u.Query()
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
}
