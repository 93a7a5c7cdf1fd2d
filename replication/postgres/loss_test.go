package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// burnt is a pair whose server on premises is gone for good: tenants 1 and 3 were at home there,
// tenant 2 on AWS. What of tenant 1 is unsent had not gone to AWS.
func burnt(t *testing.T, unsent ...string) *pairtest.Planned {
	t.Helper()
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	r.Move(s, 2, pairtest.Try(1, 1))
	require.Empty(t, watch(r).Doubts)
	m := r.Connected()
	full, err := m.Open(t.Context(), r.DB, m.Dataset, migration.Target{Name: "prod"})
	require.NoError(t, err)
	_, err = full.AcceptLoss(t.Context(), 1, pairtest.Owner(1), "ann", "it is slow")
	require.ErrorIs(t, err, postgres.ErrAnswers)
	if len(unsent) > 0 {
		r.Script(d, "ALTER SUBSCRIPTION "+r.Pair.Names.Forward+" DISABLE")
		r.Until("AWS hears nothing any more", func() bool {
			return r.Num(s, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Forward) == 0
		})
	}
	for _, sql := range unsent {
		r.Must(s, sql)
	}
	require.NoError(t, src.Stop(pg.Immediate))
	t.Cleanup(func() { _ = src.Restart(context.Background()) }) // where the test has not
	if len(unsent) > 0 {
		r.Script(d, "ALTER SUBSCRIPTION "+r.Pair.Names.Forward+" ENABLE")
	}
	return m
}

func lose(m *pairtest.Planned, tenant int64, n int) migration.Loss {
	m.Helper()
	l, err := m.Half().AcceptLoss(m.Context(), tenant, pairtest.Owner(n), "ann", "the site burnt down")
	require.NoError(m, err)
	return l
}

func TestACustomerGoesOnWithoutASideThatIsLostForGood(t *testing.T) {
	m := burnt(t)
	half := m.Half()
	require.Equal(t, s, half.Lost)
	_, err := half.Home(t.Context(), 1)
	require.ErrorContains(t, err, "the database on premises does not answer", "nobody goes on by itself")
	require.Equal(t, pairtest.Refused, m.Exec(d, "UPDATE acct SET n = 1 WHERE tenant_id = 1"))

	l := lose(m, 1, 1)
	require.Equal(t, s, l.Side)
	require.Greater(t, l.Token, int64(900), "above everything that premises can have stored")
	require.WithinDuration(t, time.Now(), l.Heard, time.Minute)
	require.Contains(t, l.String(), "premises were given up by ann")
	require.Equal(t, l, lose(m, 1, 1), "asked again by the same it answers the same")
	h, err := half.Home(t.Context(), 1)
	require.NoError(t, err)
	require.True(t, h.Settled())
	require.Equal(t, d, h.Home())
	require.Equal(t, l, *h.Loss)
	m.Must(d, "UPDATE acct SET n = 1 WHERE tenant_id = 1")
	require.Equal(t, pairtest.Refused, m.Exec(d, "UPDATE acct SET n = 1 WHERE tenant_id = 3"), "nobody but who was named")
	_, err = half.Home(t.Context(), 3)
	require.Error(t, err)

	word, err := half.WriteNote(t.Context(), d, 2, migration.Note{Stay: 1, N: 1, Words: "soaks"})
	require.NoError(t, err)
	require.Equal(t, migration.WordNoted, word)
	lose(m, 2, 2)
	two, err := half.Home(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "soaks", two.Note(d).Words, "who was there already is still remembered")
	lost, err := half.Losses(t.Context())
	require.NoError(t, err)
	require.Len(t, lost, 2)
	w, err := half.Watch(t.Context())
	require.NoError(t, err)
	require.Len(t, w.Lost, 2)
	require.Contains(t, w.Silent, "the database on premises does not answer")
}

// It comes back after all: it is the older of two open sides, and is closed. What it had not sent
// overwrites nothing that was written since, and is carried over where that is sound.
func TestASideThatComesBackAfterItWasGivenUpOverwritesNothing(t *testing.T) {
	m := burnt(t, "INSERT INTO orders (tenant_id, amount) VALUES (1, 77)", "UPDATE tenants SET name = 'unsent' WHERE tenant_id = 1",
		"DELETE FROM acct WHERE tenant_id = 1", "UPDATE tenants SET name = 'sent' WHERE tenant_id = 3")
	l := lose(m, 1, 1)
	m.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	require.NoError(t, m.Src.Restart(t.Context()))
	r := m.Rig
	r.Pair.OnPrem.Reset()
	r.Until("what premises had not sent of others arrives", func() bool {
		return r.Num(d, "SELECT count(*) FROM tenants WHERE tenant_id = 3 AND name = 'sent'") == 1
	})
	require.EqualValues(t, 0, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = 1 AND amount = 77"))
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id = 1"))
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM tenants WHERE tenant_id = 1 AND name = 't1'"))

	w := watch(r)
	require.Len(t, w.Stale, 1)
	require.Equal(t, s, w.Stale[0].Side)
	require.Len(t, w.Lost, 1)
	h := home(r, 1)
	require.Equal(t, d, h.Home())
	require.Equal(t, l.Token, h.Loss.Token)
	require.Equal(t, s, home(r, 3).Home())
	r.Until("it can be compared", func() bool { return apartOf(r, 1).Why == "" })
	a := apartOf(r, 1)
	require.Equal(t, 1, a.New(), "%+v", a.Tables)
	done, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err)
	require.Equal(t, 1, done[0].Rows)
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = 1 AND amount = 77"))

	// A person makes the sides alike, and the customer may go back: what is written there then
	// comes here again.
	r.Script(
		s,
		"SET session_replication_role = replica; UPDATE tenants SET name = 't1' WHERE tenant_id = 1; INSERT INTO acct VALUES (1, 0)",
	)
	r.Move(d, 1, pairtest.Try(l.Token+1, 2))
	r.Must(s, "UPDATE tenants SET name = 'at home' WHERE tenant_id = 1")
	r.Until("it arrives", func() bool {
		return r.Num(d, "SELECT count(*) FROM tenants WHERE tenant_id = 1 AND name = 'at home'") == 1
	})
	require.Nil(t, home(r, 1).Loss, "that is over")
	r.Sound()
}

func TestASideThatAnswersSomebodyIsNotLost(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst)
	r.Rows(2)
	r.Prepare(2)
	r.Synced()
	watch(r)
	for _, x := range []struct{ name, dsn, says string }{
		{"the other server reaches it", strings.Replace(src.DSN(r.DB), src.Address(), "127.0.0.1:1", 1), "and the server on AWS does"},
		{"it refuses a password", src.DSNAs(pg.Admin, "wrong", r.DB), "it cannot be asked for another reason"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := r.Connected()
			m.Vault.Set("env://ORDERS", x.dsn)
			half := m.Half()
			require.Equal(t, s, half.Lost)
			_, err := half.AcceptLoss(t.Context(), 1, pairtest.Owner(1), "ann", "it does not answer me")
			require.ErrorIs(t, err, postgres.ErrAnswers)
			require.ErrorContains(t, err, x.says)
			require.NotContains(t, err.Error(), "wrong")
			require.Equal(t, s, home(r, 1).Home())
		})
	}
	t.Run("it is doubted", func(t *testing.T) {
		r.Script(d, "UPDATE drover.server SET timeline = 7 WHERE side = 'onprem'")
		_, err := r.Pair.AcceptLoss(t.Context(), 1, pairtest.Owner(1), "ann", "")
		require.ErrorIs(t, err, postgres.ErrAnswers)
	})
	t.Run("but one that has nothing of Drover's any more is", func(t *testing.T) {
		r.Script(s, "DROP SCHEMA drover CASCADE")
		require.Equal(t, migration.NoHome, home(r, 1).Home())
		l, err := r.Pair.AcceptLoss(t.Context(), 1, pairtest.Owner(1), "ann", "an empty server stands there")
		require.NoError(t, err)
		require.Equal(t, s, l.Side)
		require.Equal(t, d, home(r, 1).Home())
		require.Equal(t, migration.NoHome, home(r, 2).Home())
	})
}

func TestWhoseWayBackHasEndedIsNotOpenedOnPremises(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst).Prepared(2)
	r.Move(s, 1, pairtest.Try(1, 1))
	require.NoError(t, r.Pair.EndWayBack(t.Context(), []int64{1}))
	watch(r)
	m := r.Connected()
	require.NoError(t, dst.Stop(pg.Immediate))
	_, err := m.Half().AcceptLoss(t.Context(), 1, pairtest.Owner(1), "ann", "the instance is gone")
	require.ErrorIs(t, err, postgres.ErrFinal)
	l := lose(m, 2, 1)
	require.Equal(t, d, l.Side)
	m.Must(s, "UPDATE acct SET n = 1 WHERE tenant_id = 2")
	require.NoError(t, dst.Restart(t.Context()))
	r.Pair.AWS.Reset()
}
