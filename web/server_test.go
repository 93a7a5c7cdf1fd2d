package web_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/webtest"
)

// site is a board over a migration in memory, served on loopback.
type site struct {
	*httptest.Server
	world  *webtest.World
	audit  *lines
	key    *access.Key
	tokens map[access.Role]string
	pages  *web.Server
	file   string // of the tokens
}

// lines is what was written, for a test to read while it is written.
type lines struct {
	mu     sync.Mutex
	b      bytes.Buffer
	broken error
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return 0, l.broken
	}
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// plenty are limits that no test meets by accident.
var plenty = web.Limits{Requests: 1e6, SignIns: 1e6, Actions: 1e6}

func serve(t testing.TB, world *webtest.World, limits web.Limits) *site {
	t.Helper()
	s := &site{world: world, audit: &lines{}, key: access.RandomKey(), tokens: map[access.Role]string{},
		file: filepath.Join(t.TempDir(), "tokens")}
	var file strings.Builder
	for _, role := range []access.Role{access.Viewer, access.Success, access.Operator, access.Lead} {
		token, line, err := access.NewToken("the-"+string(role), role)
		require.NoError(t, err)
		s.tokens[role] = token
		file.WriteString(line + "\n")
	}
	require.NoError(t, os.WriteFile(s.file, []byte(file.String()), 0o600))
	tokens, err := access.OpenTokens(s.file)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, world, 50*time.Millisecond)
	s.pages = web.New(ctx, web.Options{Hub: hub, Commands: world, Key: s.key, Tokens: tokens, Audit: web.NewAudit(s.audit, nil),
		Sessions: access.NewSessions(s.key, time.Hour, false, tokens), From: "drover@board", Limits: limits})
	s.Server = httptest.NewServer(s.pages)
	t.Cleanup(func() { cancel(); s.Server.Close(); hub.Wait() })
	return s
}

// browser keeps cookies and follows no redirect.
func (s *site) browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// as is a browser that has signed in.
func (s *site) as(t testing.TB, role access.Role) *http.Client {
	t.Helper()
	b := s.browser(t)
	code, _ := s.post(t, b, "/signin/token", url.Values{"token": {s.tokens[role]}})
	require.Equal(t, http.StatusSeeOther, code)
	return b
}

// guest is a browser that has opened a link.
func (s *site) guest(t testing.TB, plan, customer string) *http.Client {
	t.Helper()
	link, err := s.key.Link(plan, customer, time.Now().Add(time.Hour))
	require.NoError(t, err)
	b := s.browser(t)
	code, _ := s.get(t, b, "/link/"+link)
	require.Equal(t, http.StatusSeeOther, code)
	return b
}

func (s *site) get(t testing.TB, b *http.Client, path string) (int, string) {
	t.Helper()
	res, err := b.Get(s.URL + path)
	return read(t, res, err)
}

func (s *site) post(t testing.TB, b *http.Client, path string, form url.Values) (int, string) {
	t.Helper()
	res, err := b.PostForm(s.URL+path, form)
	return read(t, res, err)
}

func read(t testing.TB, res *http.Response, err error) (int, string) {
	t.Helper()
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}
