package after

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/worker"
)

// The database on premises is gone with its machine. A lead has one customer go on at AWS: no
// operator may, nor anybody who is not proved. When premises come back they are closed for it, and
// what they alone have is carried over by name. No workflow of a plan ever ran.
func TestALeadHasACustomerGoOnWithoutASideAndWhatComesBackIsCarriedOver(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	const s, d = migration.OnPrem, migration.AWS
	var servers []*pg.Server
	for _, name := range []string{"burns", "stays"} {
		o := pairtest.Options
		o.Name = name
		x, err := pg.Start(ctx, o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, x.Close()) })
		servers = append(servers, x)
	}
	src := servers[0]
	r := pairtest.NewOn(t, src, servers[1])
	r.Rows(2)
	r.Prepare(2)
	r.Synced()
	require.NoError(t, r.Pair.Remember(ctx))
	m := r.Connected()
	plan := spec(r, 2)
	plan.Datasets[0] = m.Dataset

	o := temporal(t)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	authority := identity.NewAuthority(key)
	queue := migration.OwnQueue("doctor")
	serveOver(
		t,
		worker.Options{Client: o, Main: true, Sites: []string{"dc1"}, Queue: queue, Identities: identity.NewKeys(public)},
		m.Connector,
		cloud(t).activities()...)
	c := dial(t, o)
	give := func(rank migration.Rank, name, id string) (migration.DoctorReport, error) {
		as := c
		if rank != "" {
			h, err := authority.Hold(identity.Who{Name: "ann", Role: rank, How: "token", Expires: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			as = c.As(o.Namespace, h)
		}
		return as.DoctorCommand(ctx, migration.DoctorInput{Spec: plan}, queue, name,
			migration.Command{RequestID: id, By: "ann", Reason: "the site burnt down", Customers: []string{"a"}})
	}
	none, err := give(migration.Lead, migration.UpdateAcceptLoss, "early")
	require.NoError(t, err)
	require.Contains(t, strings.Join(none.Unseen, "\n"), "both sides of its databases answer")

	require.NoError(t, src.Stop(pg.Immediate))
	t.Cleanup(func() { _ = src.Restart(context.Background()) })
	_, err = give("", migration.UpdateAcceptLoss, "1")
	require.ErrorContains(t, err, "it is not signed")
	_, err = give(migration.Operator, migration.UpdateAcceptLoss, "2")
	require.ErrorContains(t, err, "ann is a operator, who may not do this")
	require.Equal(t, pairtest.Refused, r.Exec(d, "UPDATE acct SET n = 1 WHERE tenant_id = 1"))
	report, err := give(migration.Lead, migration.UpdateAcceptLoss, "3")
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Mended, "\n"), "customer a, dataset orders: premises were given up by ann")
	require.Equal(t, s, report.Datasets[0].Silent.Side)
	require.Equal(t, "a", report.Datasets[0].Alone[0].ID)
	require.Equal(t, 1, report.Datasets[0].Whole)
	r.Must(d, "UPDATE acct SET n = 1 WHERE tenant_id = 1")
	require.Equal(t, pairtest.Refused, r.Exec(d, "UPDATE acct SET n = 1 WHERE tenant_id = 2"), "nobody but who was named")

	require.NoError(t, src.Restart(ctx))
	r.Pair.OnPrem.Reset()
	r.Must(s, "INSERT INTO orders (tenant_id, amount) VALUES (1, 77)") // nobody has told its application
	r.Until("an audit closes premises", func() bool {
		w, err := r.Pair.Watch(ctx)
		return err == nil && len(w.Stale) == 1
	})
	var seen migration.DoctorReport
	r.Until("it can be carried over", func() bool {
		seen, err = c.Doctor(ctx, migration.DoctorInput{Spec: plan}, queue)
		return err == nil && len(seen.Datasets[0].Apart) == 1 && seen.Datasets[0].Apart[0].New == 1 && seen.Datasets[0].Apart[0].Why == ""
	})
	require.EqualValues(t, 0, r.Num(d, "SELECT count(*) FROM orders WHERE amount = 77"), "a look carries nothing over")
	report, err = give(migration.Operator, migration.UpdateCarryOver, "4")
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Mended, "\n"), "1 rows that were written on side onprem alone are at home now, for ann")
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM orders WHERE amount = 77"))
	r.Sound()
}
