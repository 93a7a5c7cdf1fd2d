package web_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// The Temporal UI's page has what is encrypted decoded under the session of an operator, and no
// other page and nobody else does.
func TestTheTemporalUIHasItsPayloadsDecodedForOperators(t *testing.T) {
	const ui = "https://temporal.example"
	codec := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+" decoded "+string(b))
	})
	ask := func(s *site, b *http.Client, method, origin string) (*http.Response, string) {
		r, err := http.NewRequest(method, s.URL+"/codec/decode", strings.NewReader("{}"))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-site")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		res, err := b.Do(r)
		_, body := read(t, res, err)
		return res, body
	}
	s := serve(t, webtest.New("shop", 3, 1), plenty)
	res, _ := ask(s, s.as(t, access.Lead), http.MethodPost, ui)
	require.Equal(t, http.StatusNotFound, res.StatusCode, "without --temporal-ui there is nothing to decode")

	s.pages.Decoding = &web.Decoding{Codec: codec, Origin: ui}
	res, _ = ask(s, s.browser(t), http.MethodOptions, ui)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, ui, res.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"))
	for _, role := range []access.Role{access.Operator, access.Lead} {
		b := s.as(t, role)
		res, body := ask(s, b, http.MethodPost, ui)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "/codec/decode decoded {}", body)
		require.Equal(t, ui, res.Header.Get("Access-Control-Allow-Origin"))
		for _, other := range []string{"", "https://evil.example", ui + ".evil.example", s.URL} {
			res, body := ask(s, b, http.MethodPost, other)
			require.Equal(t, http.StatusNotFound, res.StatusCode, other)
			require.NotContains(t, body, "decoded")
			require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
			res, _ = ask(s, b, http.MethodOptions, other)
			require.Equal(t, http.StatusNotFound, res.StatusCode, other)
		}
	}
	for name, b := range map[string]*http.Client{"nobody": s.browser(t), "a viewer": s.as(t, access.Viewer),
		"customer-success": s.as(t, access.Success), "a guest": s.guest(t, "shop", "cust-00000")} {
		res, body := ask(s, b, http.MethodPost, ui)
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, res.StatusCode, name)
		require.NotContains(t, body, "decoded", name)
	}
	require.Contains(t, s.audit.String(), `"what":"decoding for the Temporal UI","who":"the-operator"`)
}
