package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
)

const doing = "/m/shop/do/"

func TestCustomerSuccessWritesNotesAndAsksForDeferralsAndNoMore(t *testing.T) {
	s := shop(t)
	all := []string{migration.UpdateHold, migration.UpdateNote, migration.UpdateDefer}
	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) { c.MayDo = all })
	b := s.as(t, access.Success)
	page := mustGet(t, s, b, "/m/shop/c/cust-00029")
	require.Contains(t, page, doing+"note?")
	require.Contains(t, page, doing+"defer?")
	require.NotContains(t, page, doing+"hold?")
	require.NotContains(t, mustGet(t, s, s.as(t, access.Viewer), "/m/shop/c/cust-00029"), doing)

	form := func(more url.Values) url.Values {
		more.Set("customer", "cust-00029")
		more.Set("request", uuid.NewString())
		return more
	}
	for action, want := range map[string]int{"hold": http.StatusForbidden, "rollback": http.StatusForbidden, "retry": http.StatusForbidden,
		"accept-deferral": http.StatusForbidden, "refuse-deferral": http.StatusForbidden} {
		code, _ := s.post(t, b, doing+action, form(url.Values{"reason": {"x"}}))
		require.Equal(t, want, code, action)
		code, _ = s.get(t, b, doing+action+"?customer=cust-00029")
		require.Equal(t, want, code, action)
	}
	code, _ := s.post(t, s.as(t, access.Operator), doing+"accept-deferral", form(url.Values{}))
	require.Equal(t, http.StatusForbidden, code, "a lead decides")
	require.Empty(t, s.world.Sent())

	code, body := s.post(t, b, doing+"note", form(url.Values{}))
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Contains(t, body, "It needs a text or a ticket.")
	code, _ = s.post(t, b, doing+"note", form(url.Values{"reason": {"they call at eight"}, "ticket": {"https://tickets.example/7"}}))
	require.Equal(t, http.StatusOK, code)
	got := s.world.Sent()
	require.Equal(t, "the-success", got[0].By)
	require.Equal(t, "they call at eight", got[0].Reason)
	require.Equal(t, "https://tickets.example/7", got[0].Ticket)
}

func TestADeferralIsAskedInTheReadersOwnZone(t *testing.T) {
	s := shop(t)
	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) { c.MayDo = []string{migration.UpdateDefer} })
	b := s.as(t, access.Success)
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	b.Jar.SetCookies(at, []*http.Cookie{{Name: "zone", Value: "Europe/Kyiv", Path: "/"}})
	require.Contains(t, mustGet(t, s, b, doing+"defer?customer=cust-00029"), "Not before (Europe/Kyiv)")
	for before, why := range map[string]string{"": "It needs a time before which", "2026-12-09": "It needs a time before which",
		"2001-01-01T10:00": "The time has passed."} {
		code, body := s.post(t, b, doing+"defer", url.Values{"customer": {"cust-00029"}, "before": {before}, "reason": {"month end"},
			"request": {uuid.NewString()}})
		require.Equal(t, http.StatusUnprocessableEntity, code)
		require.Contains(t, body, why)
	}
	require.Empty(t, s.world.Sent())
	code, body := s.post(t, b, doing+"defer", url.Values{"customer": {"cust-00029"}, "before": {"2099-12-09T22:00"},
		"reason": {"month end"}, "request": {uuid.NewString()}})
	require.Equal(t, http.StatusOK, code, body)
	require.Equal(t, time.Date(2099, 12, 9, 20, 0, 0, 0, time.UTC), s.world.Sent()[0].NotBefore)
}

func TestADeferralWaitsForALeadAndIsShown(t *testing.T) {
	s := shop(t)
	asked := migration.Event{By: "vera", Why: "month end"}
	until := time.Date(2099, 12, 9, 20, 0, 0, 0, time.UTC)
	s.world.SetCustomer("cust-00012", func(c *migration.CustomerStatus) {
		c.Deferral, c.MayDo = &migration.Deferral{NotBefore: until, Asked: asked}, []string{migration.UpdateDecide}
		c.Notes = []migration.Remark{{By: "vera", Text: "<b>call</b>", Ticket: "https://tickets.example/7"},
			{By: "ann", Ticket: "javascript:alert(1)"}}
	})
	b := s.as(t, access.Lead)
	require.Contains(t, mustGet(t, s, b, "/m/shop"), "does not move before Wed 9 Dec 2099 20:00 UTC: a lead decides.")
	page := mustGet(t, s, b, "/m/shop/c/cust-00012")
	for _, want := range []string{"asked for by vera: month end", "A lead has to decide.", "&lt;b&gt;call&lt;/b&gt;",
		`<a href="https://tickets.example/7" rel="noreferrer">`, doing + "accept-deferral?", doing + "refuse-deferral?"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, `href="javascript`)
	require.Contains(t, page, "It does not begin to move: Wed 30 Dec 2026 20:00 UTC to Sat 2 Jan 2027 20:00 UTC")
	require.NotContains(t, mustGet(t, s, s.as(t, access.Operator), "/m/shop/c/cust-00012"), doing+"accept-deferral")
	guest := mustGet(t, s, s.guest(t, "shop", "cust-00012"), "/m/shop/c/cust-00012")
	for _, secret := range []string{"month end", "vera", "tickets.example", "call"} {
		require.NotContains(t, guest, secret)
	}
	code, _ := s.post(t, b, doing+"accept-deferral", url.Values{"customer": {"cust-00012"}, "request": {uuid.NewString()}})
	require.Equal(t, http.StatusOK, code)
	sent := s.world.Sent()[0]
	require.Equal(t, migration.UpdateDecide, sent.Name)
	require.True(t, sent.Accept)
	code, _ = s.post(t, b, doing+"refuse-deferral", url.Values{"customer": {"cust-00012"}, "request": {uuid.NewString()}})
	require.Equal(t, http.StatusOK, code)
	require.False(t, s.world.Sent()[1].Accept)

	s.world.SetCustomer("cust-00012", func(c *migration.CustomerStatus) {
		c.Phase, c.Cause, c.Reason = migration.CustomerHeld, migration.ByDeferral, "held by lea: deferred"
		c.Deferral.Accepted, c.Deferral.Decided = true, &migration.Event{What: "accepted", By: "lea"}
	})
	require.Eventually(t, func() bool {
		_, body := s.get(t, b, "/m/shop/c/cust-00012")
		return containsAll(body, "It was accepted by lea.", "It waits until its deferral ends, Wed 9 Dec 2099 20:00 UTC.")
	}, 10*time.Second, 50*time.Millisecond)
	require.NotContains(t, mustGet(t, s, b, "/m/shop"), "2 held: a person decides", "nobody has to decide about this one")
}

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
