package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// soaked is a plan whose customers have all ended their soak on AWS.
func soaked(t testing.TB) *site {
	t.Helper()
	w := webtest.New("shop", 6, 2)
	for i := range 2 {
		w.SetBatch(i, func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchDone, migration.WaitNothing })
	}
	for _, id := range w.IDs() {
		w.SetCustomer(id, func(c *migration.CustomerStatus) {
			moved(c, webtest.Start)
			c.Phase, c.MayDo = migration.CustomerFinished, nil
		})
	}
	w.SetPlan(func(s *migration.MigrationStatus) {
		s.Phase, s.WaitingFor, s.MayDo = migration.MigrationSoak, migration.WaitOperator, []string{migration.UpdateFinalise}
	})
	return serve(t, w, plenty)
}

func TestALeadEndsTheWayBackWithTheNameOfThePlan(t *testing.T) {
	s := soaked(t)
	lead := s.as(t, access.Lead)
	page := mustGet(t, s, lead, "/m/shop")
	require.Contains(t, page, "Every soak is over. A lead ends the way back for good, or leaves it standing.</a>", "among what waits")
	require.Contains(t, page, doing+"finalise")
	require.NotContains(t, mustGet(t, s, s.as(t, access.Operator), "/m/shop"), doing+"finalise")

	asks := mustGet(t, s, lead, doing+"finalise")
	require.Contains(t, asks, "Batch wave-01: 3 of 3 on AWS, 3 over their soak; 54693 rows and 1236 files compared.")
	require.Contains(t, asks, "drover finalise shop --reason")

	form := func(more url.Values) url.Values {
		more.Set("request", uuid.NewString())
		return more
	}
	code, _ := s.post(t, s.as(t, access.Operator), doing+"finalise", form(url.Values{"reason": {"x"}, "confirm": {"shop"}}))
	require.Equal(t, http.StatusForbidden, code)
	for name, c := range map[string]struct {
		form url.Values
		says string
	}{
		"no name":           {url.Values{"reason": {"CHG-7"}}, "name was not typed."},
		"another name":      {url.Values{"reason": {"CHG-7"}, "confirm": {"Shop"}}, "Type shop, if it is this plan that you mean."},
		"only in the query": {url.Values{"reason": {"CHG-7"}}, "name was not typed."},
		"no reason":         {url.Values{"confirm": {"shop"}}, "It needs a reason."},
	} {
		path := doing + "finalise"
		if name == "only in the query" {
			path += "?confirm=shop"
		}
		code, body := s.post(t, lead, path, form(c.form))
		require.Equal(t, http.StatusUnprocessableEntity, code, name)
		require.Contains(t, body, c.says, name)
	}
	require.Empty(t, s.world.Sent())

	code, body := s.post(t, lead, doing+"finalise", form(url.Values{"reason": {"CHG-7"}, "confirm": {"shop"}, "signups": {"yes"}}))
	require.Equal(t, http.StatusOK, code, body)
	got := s.world.Sent()[0]
	require.Equal(t, migration.UpdateFinalise, got.Name)
	require.Equal(t, client.Aim{Plan: "shop"}, got.At)
	require.True(t, got.SignUps)
	require.Equal(t, "the-lead", got.By)
}

func TestALeadEndsTheWayBackOfOneBatchWithItsName(t *testing.T) {
	s := soaked(t)
	s.world.SetBatch(0, func(b *migration.BatchStatus) { b.MayEnd = true })
	lead := s.as(t, access.Lead)
	link := doing + "finalise?batch=wave-01"
	require.Contains(t, mustGet(t, s, lead, "/m/shop"), link)
	require.NotContains(t, mustGet(t, s, lead, "/m/shop"), doing+"finalise?batch=wave-02", "it may not be ended yet")
	asks := mustGet(t, s, lead, link)
	require.Contains(t, asks, "The batch's name, since nothing undoes this: wave-01")
	require.Contains(t, asks, "drover finalise shop --batch wave-01 --reason")
	require.Contains(t, asks, "Batch wave-01: 3 of 3 on AWS")
	require.NotContains(t, asks, "Batch wave-02", "of this batch alone")
	require.NotContains(t, asks, "signups")

	form := url.Values{"batch": {"wave-01"}, "reason": {"CHG-7"}, "confirm": {"shop"}, "request": {uuid.NewString()}}
	code, body := s.post(t, lead, doing+"finalise", form)
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Contains(t, body, "Type wave-01, if it is this batch that you mean.")
	form.Set("confirm", "wave-01")
	code, body = s.post(t, lead, doing+"finalise", form)
	require.Equal(t, http.StatusOK, code, body)
	require.Equal(t, "wave-01", s.world.Sent()[0].Batch)

	s.world.SetBatch(0, func(b *migration.BatchStatus) {
		b.MayEnd, b.Finalised = false, &migration.Finalised{By: "lea", Cut: webtest.Start}
	})
	const ended = "Its way back ended on Wed 2 Dec 2026 20:00 UTC, by lea."
	require.Eventually(t, func() bool { return strings.Contains(mustGet(t, s, lead, "/m/shop"), ended) }, 10*time.Second,
		50*time.Millisecond)
	require.Contains(t, mustGet(t, s, lead, "/m/shop/table/batches.csv"), "2026-12-02T20:00:00Z,lea")
	id := s.world.IDs()[0]
	page := mustGet(t, s, lead, "/m/shop/c/"+id)
	require.Contains(t, page, "It runs on AWS, and does not go back: its way back has ended.")
	require.Contains(t, page, "No: its way back ended on Wed 2 Dec 2026 20:00 UTC.")
	require.Contains(t, page, "It was ended by lea.")
	require.NotContains(t, mustGet(t, s, s.guest(t, "shop", id), "/m/shop/c/"+id), "lea.")
}
