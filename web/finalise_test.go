package web_test

import (
	"net/http"
	"net/url"
	"testing"

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
