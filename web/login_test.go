package web_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/web/access"
)

// The sign-in itself is tried by the command line's tests, from both ends.
func TestACommandLineIsLentNoNameThatIsNotSomebodys(t *testing.T) {
	s := shop(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	form := url.Values{"key": {base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))}, "port": {"4711"}}
	b := s.as(t, access.Viewer)
	code, body := s.post(t, b, "/login", form)
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, body, "This board signs no commands.")

	s.pages.Authority = identity.NewAuthority(private)
	code, body = s.get(t, b, "/login?"+form.Encode())
	require.Equal(t, http.StatusOK, code)
	require.NotRegexp(t, `eyJ[\w-]+\.eyJ`, body, "nothing is signed before somebody says yes")
	code, _ = s.post(t, s.guest(t, "shop", "cust-00000"), "/login", form)
	require.Equal(t, http.StatusForbidden, code)
	code, body = s.post(t, s.browser(t), "/login", form)
	require.Equal(t, http.StatusUnauthorized, code, body)
	code, body = s.post(t, s.browser(t), "/login/token", url.Values{"token": {"drv_x"}, "key": form["key"]})
	require.Equal(t, http.StatusUnauthorized, code)
	require.NotContains(t, body, "pass")
	for _, key := range []string{"", "x", form.Get("key") + "AAAA"} {
		code, _ = s.post(t, b, "/login", url.Values{"key": {key}})
		require.Equal(t, http.StatusBadRequest, code, key)
	}
	for _, port := range []string{"evil.example", "1@evil.example", "65536", "-1", "0"} {
		code, body = s.post(t, b, "/login", url.Values{"key": form["key"], "port": {port}})
		require.Equal(t, http.StatusOK, code)
		require.NotContains(t, body, "href=\"http://127.0.0.1", "the pass is handed to this machine alone: %s", port)
		require.NotContains(t, body, "evil")
	}
	s.audit.fail(errors.New("no space left on device"))
	code, body = s.post(t, b, "/login", form)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.NotRegexp(t, `eyJ[\w-]+\.eyJ`, body)
}
