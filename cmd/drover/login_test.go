package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// signingBoard is a board whose key workers trust, with Ann, an operator, and her token.
type signingBoard struct {
	*httptest.Server
	token string
	keys  *identity.Keys
	audit *bytes.Buffer
}

func startBoard(t *testing.T, server temporalclient.Client) *signingBoard {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	token, line, err := access.NewToken("ann@example.com", access.Operator)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokens"), []byte(line+"\n"), 0o600))
	tokens, err := access.OpenTokens(filepath.Join(dir, "tokens"))
	require.NoError(t, err)

	var public bytes.Buffer
	private := filepath.Join(dir, "identity.pem")
	require.Equal(t, exitDone, run([]string{"web", "key", private}, strings.NewReader(""), &public, io.Discard))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.pem"), public.Bytes(), 0o600))
	s := &signingBoard{token: token, audit: &bytes.Buffer{}}
	s.keys, err = identity.ReadKeys(filepath.Join(dir, "keys.pem"))
	require.NoError(t, err)
	authority, err := identity.ReadAuthority(private)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	c, key := client.New(server), access.RandomKey()
	hub := board.NewHub(ctx, c, time.Second)
	s.Server = httptest.NewServer(web.New(ctx, web.Options{Hub: hub, Commands: c, Key: key, Tokens: tokens,
		Audit: web.NewAudit(s.audit, nil), Sessions: access.NewSessions(key, time.Hour, false, tokens), Authority: authority,
		As: func(h *identity.Holder) web.Commands { return c.As("default", h) }}))
	t.Cleanup(func() { cancel(); s.Server.Close(); hub.Wait() })
	return s
}

// proved says whether what a workflow heard is proved to be of this person.
func (s *signingBoard) proved(t *testing.T, server temporalclient.Client, workflow, name string) {
	t.Helper()
	h := hearings(t, server, workflow)[workflow]
	require.Equal(t, name, h.Command.By)
	who, err := s.keys.Check(identity.Said{Namespace: "default", Workflow: workflow, Update: h.Update, Command: h.Command}, time.Now())
	require.NoError(t, err)
	require.Equal(t, name, who.Name)
}

// TestWhoHasSignedInProvesTheirCommands signs in at a board in each way, and gives commands.
func TestWhoHasSignedInProvesTheirCommands(t *testing.T) {
	server := startTemporal(t)
	s := startBoard(t, server)
	canary := migration.BatchID("minimal", "canary")
	_, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: canary, TaskQueue: migration.QueueMain},
		"standInBatch")
	require.NoError(t, err)
	drover := func(args string) (code int, out, errs string) {
		var o, e bytes.Buffer
		code = run(strings.Fields(args), strings.NewReader(""), &o, &e)
		return code, o.String(), e.String()
	}

	code, out, _ := drover("login")
	require.Equal(t, exitDone, code)
	require.Contains(t, out, "nobody has signed in")
	code, _, errs := drover("login http://board.example")
	require.Equal(t, exitInput, code, "a name is not sent in clear: %s", errs)

	t.Setenv("BOARD_TOKEN", "drv_wrong")
	code, _, errs = drover("login " + s.URL + " --token env://BOARD_TOKEN")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "this token is not known")
	require.NotContains(t, errs+s.audit.String(), "drv_wrong")

	t.Setenv("BOARD_TOKEN", s.token)
	for name, login := range map[string]func(t *testing.T) (code int, out string){
		"by a token": func(*testing.T) (int, string) {
			code, out, _ := drover("login " + s.URL + " --token env://BOARD_TOKEN")
			return code, out
		},
		"by a browser that hands the pass over": func(t *testing.T) (int, string) { return s.byBrowser(t, true) },
		"by pasting what the page shows":        func(t *testing.T) (int, string) { return s.byBrowser(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			code, out := login(t)
			require.Equal(t, exitDone, code)
			require.Contains(t, out, "signed in as ann@example.com (operator) until ")
			_, out, _ = drover("login")
			require.Contains(t, out, "signed in as ann@example.com (operator) until ")

			code, out, errs := drover("approve minimal canary --reason CHG-1")
			require.Equal(t, exitDone, code, errs)
			require.Contains(t, out, "approve accepted from ann@example.com")
			s.proved(t, server, canary, "ann@example.com")
			code, _, errs = drover("approve minimal canary --reason CHG-1 --by bob")
			require.Equal(t, exitRefused, code)
			require.Contains(t, errs, `"bob" is to ask, and "ann@example.com" has signed in`)

			code, _, _ = drover("logout")
			require.Equal(t, exitDone, code)
			code, _, _ = drover("approve minimal canary --reason CHG-1")
			require.Equal(t, exitDone, code)
			require.Nil(t, hearings(t, server, canary)[canary].Command.Proof)
		})
	}
	require.Contains(t, s.audit.String(), `"what":"sign-in of a command line","who":"ann@example.com","role":"operator"`)

	b := s.browser(t) // a command of the board itself
	res, err := b.PostForm(s.URL+"/m/minimal/do/approve", url.Values{"batch": {"canary"}, "reason": {"CHG-2"},
		"request": {"7b0d4c5e-3b57-4f2e-9d43-5f5f3c9d1a11"}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	s.proved(t, server, canary, "ann@example.com")
}

// TestASignInThatHasRunOutIsSaid is for the morning after.
func TestASignInThatHasRunOutIsSaid(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	authority, err := identity.WriteAuthority(filepath.Join(dir, "identity.pem"))
	require.NoError(t, err)
	require.NoError(t, keep("https://board.example", authority, time.Now().Add(-time.Minute)))
	var out, errs bytes.Buffer
	require.Equal(t, exitInput, run(strings.Fields("approve minimal canary"), strings.NewReader(""), &out, &errs))
	require.Contains(t, errs.String(), "the sign-in of ann has run out at ")
	require.Contains(t, errs.String(), "sign in again with `drover login https://board.example`")
}

// keep writes a sign-in of Ann's as drover login does.
func keep(at string, a *identity.Authority, until time.Time) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	pass, err := a.Issue(identity.Who{Name: "ann", Role: migration.Operator, Expires: until}, public)
	if err != nil {
		return err
	}
	return keepLogin(at, pass, key)
}

// browser is Ann's, who has signed in at the board.
func (s *signingBoard) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := b.PostForm(s.URL+"/signin/token", url.Values{"token": {s.token}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	return b
}

var (
	linkForm = regexp.MustCompile(`http://\S+/login\?\S+`)
	codeForm = regexp.MustCompile(`the code (\S+ \S+):`)
	passForm = regexp.MustCompile(`readonly>([^<]+)<`)
)

// byBrowser follows the link that drover login prints, in Ann's browser.
func (s *signingBoard) byBrowser(t *testing.T, hand bool) (code int, out string) {
	t.Helper()
	typed, paste := io.Pipe()
	errs := &said{}
	type end struct {
		code int
		out  string
	}
	done := make(chan end, 1)
	go func() {
		var o bytes.Buffer
		c := run([]string{"login", s.URL}, typed, &o, errs)
		done <- end{c, o.String()}
	}()
	require.Eventually(t, func() bool { return linkForm.MatchString(errs.String()) }, 10*time.Second, 10*time.Millisecond)
	link, err := url.Parse(linkForm.FindString(errs.String()))
	require.NoError(t, err)
	b := s.browser(t)
	page := text(t, b, http.MethodGet, link.String(), nil)
	require.Contains(t, page, codeForm.FindStringSubmatch(errs.String())[1], "the same code on both")
	require.Contains(t, page, "ann@example.com")
	page = text(t, b, http.MethodPost, s.URL+"/login", link.Query())
	pass := passForm.FindStringSubmatch(page)[1]
	if hand {
		to := "http://127.0.0.1:" + link.Query().Get("port") + "/?pass=" + pass
		require.Contains(t, page, `href="`+to+`"`)
		require.Contains(t, text(t, b, http.MethodGet, to, nil), "drover has it")
	} else {
		_, err := io.WriteString(paste, pass+"\n")
		require.NoError(t, err)
	}
	e := <-done
	require.NoError(t, typed.Close())
	return e.code, e.out
}

func text(t *testing.T, b *http.Client, method, at string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
	return string(body)
}

// said is what a command has written so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestASignInThatNobodyGoesOnWithEnds(t *testing.T) {
	was := loginWait
	t.Cleanup(func() { loginWait = was })
	loginWait = 50 * time.Millisecond
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var out, errs bytes.Buffer
	require.Equal(t, exitRefused, run([]string{"login", "http://127.0.0.1:1"}, strings.NewReader(""), &out, &errs))
	require.Contains(t, errs.String(), "It waits for 50ms:")
	require.Contains(t, errs.String(), "error: sign in at http://127.0.0.1:1: nobody went on in a browser within 50ms")
}
