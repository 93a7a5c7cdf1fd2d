package web_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// shop is a board over the story, and its plan's name.
func shop(t testing.TB) *site {
	t.Helper()
	w := webtest.New("shop", 30, 5)
	story(w)
	return serve(t, w, plenty)
}

// paths are all ways to fill a route's pattern in.
func paths(pattern string) (method string, out []string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok { // it answers every method
		method, path = http.MethodGet, pattern+"nothing/here"
	}
	out = []string{strings.TrimSuffix(path, "{$}")}
	for key, values := range map[string][]string{
		"{plan}": {"shop"}, "{customer}": {"cust-00000", "cust-00001"}, "{link}": {"x.y"}, "{file...}": {"board.css"},
		"{file}": {"customers.csv", "batches.json", "data.csv", "timeline.csv", "timeline.json", "moves.csv", "moves.json", "plans.csv",
			"messages.csv"},
		"{action}": {"approve", "pause", "resume", "hold", "retry", "rollback", "abort", "note", "defer", "accept-deferral",
			"ack", "offer", "finalise"},
	} {
		var filled []string
		for _, p := range out {
			if !strings.Contains(p, key) {
				filled = append(filled, p)
				continue
			}
			for _, v := range values {
				filled = append(filled, strings.ReplaceAll(p, key, v))
			}
		}
		out = filled
	}
	return method, out
}

// everyRoute tries each route of the board with each method, as somebody.
func everyRoute(t *testing.T, s *site, b *http.Client, see func(method, path string, code int, body string)) {
	t.Helper()
	for _, pattern := range web.Patterns() {
		_, all := paths(pattern)
		for _, path := range all {
			if strings.HasSuffix(path, "/events") || strings.HasPrefix(path, "/signout") {
				continue // a stream ends with its reader; who signs out is nobody
			}
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				form := url.Values{"reason": {"because"}, "request": {uuid.NewString()}, "batch": {"wave-03"}}
				if strings.Contains(path, "hold") || strings.Contains(path, "retry") || strings.Contains(path, "rollback") {
					form.Del("batch")
					form.Set("customer", "cust-00000")
				}
				if strings.Contains(path, "pause") || strings.Contains(path, "resume") || strings.Contains(path, "finalise") {
					form.Del("batch")
				}
				r, err := http.NewRequest(method, s.URL+path+"?"+form.Encode(), strings.NewReader(form.Encode()))
				require.NoError(t, err)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				res, err := b.Do(r)
				code, body := read(t, res, err)
				see(method, path, code, body)
			}
		}
	}
}

func TestAViewerChangesNothing(t *testing.T) {
	s := shop(t)
	everyRoute(t, s, s.as(t, access.Viewer), func(method, path string, code int, _ string) {
		if strings.Contains(path, "/do/") {
			require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, code, "%s %s", method, path)
			if method == http.MethodGet || method == http.MethodPost {
				require.Equal(t, http.StatusForbidden, code, "%s %s", method, path)
			}
		}
	})
	require.Empty(t, s.world.Sent())
	require.Contains(t, s.audit.String(), `"who":"the-viewer","role":"viewer"`)
	require.Contains(t, s.audit.String(), `"at":"/m/shop/do/rollback","outcome":"refused"`)
}

func TestALinkReachesOneCustomerAndNothingElse(t *testing.T) {
	s := shop(t)
	own := "/m/shop/c/cust-00000"
	everyRoute(t, s, s.guest(t, "shop", "cust-00000"), func(method, path string, code int, body string) {
		if path == own || strings.HasPrefix(path, own+"/") || strings.HasPrefix(path, "/assets/") {
			return
		}
		open := path == "/healthz" || path == "/signin" || strings.HasPrefix(path, "/signin/") || strings.HasPrefix(path, "/link/") ||
			path == "/login/token"
		require.True(t, open || code == http.StatusForbidden, "%s %s: %d", method, path, code)
		if code == http.StatusForbidden && !open {
			require.Contains(t, body, `href="`+own+`"`, "%s %s leads nowhere", method, path)
			require.NotContains(t, body, "lead", "%s %s", method, path)
		}
		for _, secret := range []string{"cust-0", "wave-", "shop", "Customer "} {
			require.NotContains(t, strings.ReplaceAll(body, own, ""), secret, "%s %s", method, path)
		}
	})
	require.Empty(t, s.world.Sent())
}

// Texts of the timeline and of reasons may name other customers, and people.
func TestALinkShowsNoFreeText(t *testing.T) {
	s := shop(t)
	require.Contains(t, mustGet(t, s, s.as(t, access.Viewer), "/m/shop/c/cust-00003"), "cust-00004 shares its host")
	b := s.guest(t, "shop", "cust-00003")
	page := mustGet(t, s, b, "/m/shop/c/cust-00003")
	require.Contains(t, page, "Yes, it is on AWS.")
	for _, secret := range []string{"cust-00004", "shares its host", "the-operator", "cs-3@example.com", "CHG-", "wave-", "Approve",
		"/m/shop\"",
		"only 12 of"} {
		require.NotContains(t, page, secret)
	}
	code, _ := s.get(t, b, "/m/shop/c/cust-00003/table/timeline.csv")
	require.Equal(t, http.StatusNotFound, code)
	require.NotContains(t, mustGet(t, s, b, "/m/shop/c/cust-00003/table/moves.csv"), "unhealthy")
}

func mustGet(t testing.TB, s *site, b *http.Client, path string) string {
	t.Helper()
	code, body := s.get(t, b, path)
	require.Equal(t, http.StatusOK, code, "%s: %s", path, body)
	return body
}

func TestNobodySeesAnythingWithoutSigningIn(t *testing.T) {
	s := shop(t)
	everyRoute(t, s, s.browser(t), func(method, path string, code int, body string) {
		if code != http.StatusSeeOther { // which names the page that was asked for, and no more
			require.NotContains(t, body, "cust-0", "%s %s", method, path)
			require.NotContains(t, body, "wave-", "%s %s", method, path)
		}
		if strings.HasPrefix(path, "/m/") || path == "/" || strings.HasPrefix(path, "/plans") {
			require.Contains(t, []int{http.StatusSeeOther, http.StatusUnauthorized, http.StatusMethodNotAllowed}, code, "%s %s", method,
				path)
		}
	})
	require.Empty(t, s.world.Sent())
}

func TestALinkThatRanOutOrWasChangedIsRefused(t *testing.T) {
	s := shop(t)
	old, err := s.key.Link("shop", "cust-00000", time.Now().Add(-time.Minute))
	require.NoError(t, err)
	code, body := s.get(t, s.browser(t), "/link/"+old)
	require.Equal(t, http.StatusForbidden, code)
	require.Contains(t, body, "it was good until")

	good, err := s.key.Link("shop", "cust-00000", time.Now().Add(time.Minute))
	require.NoError(t, err)
	other, err := s.key.Link("shop", "cust-00001", time.Now().Add(time.Minute))
	require.NoError(t, err)
	said, _, _ := strings.Cut(other, ".")
	_, signature, _ := strings.Cut(good, ".")
	code, _ = s.get(t, s.browser(t), "/link/"+said+"."+signature)
	require.Equal(t, http.StatusForbidden, code)
	require.NotContains(t, s.audit.String(), signature, "a link is a secret")
}

func TestAnOperatorsCommandIsTheSameUpdateUnderTheirName(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Operator)
	id := uuid.NewString()
	form := url.Values{"batch": {"wave-03"}, "reason": {"CHG-1042"}, "request": {id}}
	code, body := s.post(t, b, "/m/shop/do/approve", form)
	require.Equal(t, http.StatusOK, code, body)
	require.Contains(t, body, "approve accepted")
	got := s.world.Sent()
	require.Len(t, got, 1)
	require.Equal(t, client.Aim{Plan: "shop", Batch: "wave-03"}, got[0].At)
	require.Equal(t, migration.Command{RequestID: id, By: "the-operator", From: "drover@board (board, signed in by token)",
		Reason: "CHG-1042"},
		got[0].Command)
	require.Contains(t, s.audit.String(), `"request":"`+id+`","outcome":"asked"`)
	require.Contains(t, s.audit.String(), `"request":"`+id+`","outcome":"accepted"`)

	_, _ = s.post(t, b, "/m/shop/do/approve", form) // the same form, sent twice
	require.Equal(t, id, s.world.Sent()[1].RequestID)
}

func TestWhatTheWorkflowRefusesIsSaidAndAudited(t *testing.T) {
	s := shop(t)
	code, body := s.post(t, s.as(t, access.Lead), "/m/shop/do/rollback", url.Values{"customer": {"cust-00029"}, "reason": {"x"},
		"request": {uuid.NewString()}})
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, body, "rollback does not apply")
	require.Contains(t, body, "look at its status")
	require.Contains(t, s.audit.String(), `"outcome":"refused","why":"rollback customer cust-00029 of plan shop: rollback does not apply"`)
}

func TestARollbackWithoutAReasonIsNotSent(t *testing.T) {
	s := shop(t)
	code, body := s.post(t, s.as(t, access.Lead), "/m/shop/do/rollback", url.Values{"customer": {"cust-00000"},
		"request": {uuid.NewString()}})
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Contains(t, body, "It needs a reason.")
	require.Empty(t, s.world.Sent())
}

func TestARollbackNamesTheTryThatTheReaderSaw(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Lead)
	require.Contains(t, mustGet(t, s, b, "/m/shop/c/cust-00000"), "/do/rollback?customer=cust-00000&amp;token=1")
	require.Contains(t, mustGet(t, s, b, "/m/shop/do/rollback?customer=cust-00000&token=1"), `name="token" value="1"`)
	_, _ = s.post(t, b, "/m/shop/do/rollback", url.Values{"customer": {"cust-00000"}, "reason": {"x"}, "token": {"1"},
		"request": {uuid.NewString()}})
	require.Equal(t, int64(1), s.world.Sent()[0].Token)
}

func TestNothingIsDoneThatTheAuditCannotWrite(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Lead)
	s.audit.fail(errors.New("no space left on device"))
	code, body := s.post(t, b, "/m/shop/do/pause", url.Values{"request": {uuid.NewString()}})
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "nothing is done")
	require.Empty(t, s.world.Sent())
	code, _ = s.get(t, b, "/m/shop/table/customers.csv")
	require.Equal(t, http.StatusServiceUnavailable, code)
}

func TestAnotherSitesPageCannotAct(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Lead)
	for name, set := range map[string]func(http.Header){
		"a browser that says so":       func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling of the same domain": func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"an old browser":               func(h http.Header) { h.Set("Origin", "https://evil.example") },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, s.URL+"/m/shop/do/pause", strings.NewReader("request="+uuid.NewString()))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			set(r.Header)
			res, err := b.Do(r)
			code, _ := read(t, res, err)
			require.Equal(t, http.StatusForbidden, code)
		})
	}
	require.Empty(t, s.world.Sent())
	require.Contains(t, s.audit.String(), "request from another site")
}

func TestAPersonWhoseLineIsTakenOutIsOutAtOnce(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Lead)
	mustGet(t, s, b, "/m/shop")
	require.NoError(t, os.WriteFile(s.file, []byte("# nobody\n"), 0o600))
	require.Eventually(t, func() bool {
		code, _ := s.get(t, b, "/m/shop")
		return code == http.StatusSeeOther
	}, 10*time.Second, 50*time.Millisecond)
}

func TestASignedOutSessionIsWorthlessToWhoeverCopiedIt(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Lead)
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	copied := b.Jar.Cookies(at)
	_, _ = s.post(t, b, "/signout", nil)
	thief := s.browser(t)
	thief.Jar.SetCookies(at, copied)
	code, _ := s.get(t, thief, "/m/shop")
	require.Equal(t, http.StatusSeeOther, code)
}

func TestNobodyIsSentToAnotherSite(t *testing.T) {
	s := shop(t)
	for _, back := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/ok?x=1"} {
		b := s.browser(t)
		res, err := b.PostForm(s.URL+"/signin/token", url.Values{"token": {s.tokens[access.Viewer]}, "back": {back}})
		_, _ = read(t, res, err)
		want := "/"
		if back == "/ok?x=1" {
			want = back
		}
		require.Equal(t, want, res.Header.Get("Location"), back)
	}
}

func TestTokensAreTriedSlowly(t *testing.T) {
	w := webtest.New("shop", 3, 1)
	s := serve(t, w, web.Limits{Requests: 1e6})
	last := 0
	for range 20 {
		last, _ = s.post(t, s.browser(t), "/signin/token", url.Values{"token": {"drv_wrong"}})
	}
	require.Equal(t, http.StatusTooManyRequests, last)
	code, _ := s.post(t, s.browser(t), "/signin/token", url.Values{"token": {s.tokens[access.Lead]}})
	require.Equal(t, http.StatusTooManyRequests, code, "a right one neither")
	require.NotContains(t, s.audit.String(), "drv_")
}

func TestABrowserThatAsksTooOftenIsSlowed(t *testing.T) {
	s := serve(t, webtest.New("shop", 3, 1), web.Limits{SignIns: 1e6})
	b := s.as(t, access.Viewer)
	codes := map[int]int{}
	for range 300 {
		code, _ := s.get(t, b, "/")
		codes[code]++
	}
	require.Positive(t, codes[http.StatusTooManyRequests], codes)
	mustGet(t, s, s.as(t, access.Viewer), "/m/shop") // others are not
}

func TestEveryAnswerForbidsOtherHosts(t *testing.T) {
	s := shop(t)
	for _, path := range []string{"/", "/signin", "/assets/board.css", "/nothing", "/healthz"} {
		res, err := s.browser(t).Get(s.URL + path)
		_, _ = read(t, res, err)
		policy := res.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), path)
	}
}

func TestEachAuditLineIsOneObject(t *testing.T) {
	s := shop(t)
	_, _ = s.post(t, s.as(t, access.Lead), "/m/shop/do/pause", url.Values{"reason": {"two\nlines \"quoted\""},
		"request": {uuid.NewString()}})
	for line := range strings.Lines(s.audit.String()) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		require.NotEmpty(t, e["outcome"])
	}
}

// Whoever tries to change something and is sent away leaves a line, signed in or not; not one each,
// since anybody can ask.
func TestWhatIsTriedInVainIsAudited(t *testing.T) {
	s := shop(t)
	for range 100 {
		code, _ := s.post(t, s.browser(t), doing+"rollback?customer=cust-00000", url.Values{"reason": {"x"}})
		require.Equal(t, http.StatusUnauthorized, code)
	}
	const line = `"at":"/m/shop/do/rollback","outcome":"refused","why":"nobody is signed in"`
	require.Contains(t, s.audit.String(), line)
	require.Less(t, strings.Count(s.audit.String(), line), 20)

	s = shop(t)
	code, _ := s.post(t, s.as(t, access.Lead), doing+"explode", url.Values{"reason": {"x"}})
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, s.audit.String(), `"what":"POST of a page","who":"the-lead`)
	require.Contains(t, s.audit.String(), `"at":"/m/shop/do/explode","outcome":"refused","why":"there is no such page"`)
	before := s.audit.String()
	mustSee(t, s, s.as(t, access.Lead), "/nothing")
	require.NotContains(t, strings.TrimPrefix(s.audit.String(), before), "/nothing", "looking changes nothing")
}

func mustSee(t *testing.T, s *site, b *http.Client, path string) {
	t.Helper()
	code, _ := s.get(t, b, path)
	require.Equal(t, http.StatusNotFound, code)
}
