package after

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/worker"
)

// doubted is a plan over two servers of its own, which a test may restore and fail over, and a
// doctor of it.
type doubted struct {
	*pairtest.Rig
	src, dst *pg.Server
	doctor   *client.Client
	in       migration.DoctorInput
}

func newDoubted(t *testing.T, customers int) *doubted {
	t.Helper()
	var servers []*pg.Server
	for _, name := range []string{"src", "dst"} {
		o := pairtest.Options
		o.Name = name + "-" + t.Name()
		s, err := pg.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		servers = append(servers, s)
	}
	x := &doubted{Rig: pairtest.NewOn(t, servers[0], servers[1]).Prepared(customers), src: servers[0], dst: servers[1]}
	o := temporal(t)
	x.doctor = dial(t, o)
	serve(t, worker.Options{Client: o, Main: true, Sites: []string{"dc1"}, Queue: migration.OwnQueue("doctor")}, x.Rig,
		cloud(t).activities()...)
	x.in = migration.DoctorInput{Spec: spec(x.Rig, customers)}
	return x
}

// known waits until Drover knows both servers as they stand.
func (x *doubted) known() {
	x.Helper()
	x.Until("both servers are known", func() bool { // connections of the time before a restart fail once each
		w, err := x.Pair.Watch(x.Context())
		return err == nil && len(w.Doubts) == 0
	})
}

// look is what drover doctor sees of the database, and whether it was asked to agree or to repair.
func (x *doubted) look(in migration.DoctorInput) (migration.DatasetHealth, migration.DoctorReport) {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), 2*patience)
	defer cancel()
	r, err := x.doctor.Doctor(ctx, in, migration.OwnQueue("doctor"))
	require.NoError(x, err)
	require.Empty(x, r.Datasets[0].Error)
	return r.Datasets[0], r
}

// agree vouches for the server of a side that doctor shows.
func (x *doubted) agree(side migration.Side, seen migration.ServerIdentity) migration.DatasetHealth {
	x.Helper()
	in := x.in
	in.Agree = &migration.AgreeToServer{Dataset: "orders", Side: side, Seen: seen, By: "ann", Reason: "looked at it"}
	d, _ := x.look(in)
	return d
}

func server(d migration.DatasetHealth, side migration.Side) (out migration.ServerState) {
	for _, s := range d.Servers {
		if s.Side == side {
			out = s
		}
	}
	return out
}

func TestAServerOnANewTimelineIsBelievedOnceSomebodyHasAgreedToItByDoctor(t *testing.T) {
	x := newDoubted(t, 2)
	x.Move(migration.OnPrem, 1, pairtest.Try(1, 1))
	x.known()
	require.NoError(t, x.src.Stop(pg.Fast))
	require.NoError(t, x.src.RestartOnNewTimeline(t.Context()))

	seen, _ := x.look(x.in)
	now := server(seen, migration.OnPrem)
	require.Contains(t, now.Doubt, "its timeline is 2, and was 1")
	require.Zero(t, seen.Whole, "nobody has a home")

	in := x.in
	in.Agree = &migration.AgreeToServer{Dataset: "orders", Side: migration.OnPrem, By: "ann", Reason: "looked at it",
		Seen: migration.ServerIdentity{SystemID: now.Now.SystemID, Timeline: 1}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	_, err := x.doctor.Doctor(ctx, in, migration.OwnQueue("doctor"))
	require.ErrorContains(t, err, "look at it again", "another server than that which was shown")

	after := x.agree(migration.OnPrem, now.Now)
	require.Empty(t, server(after, migration.OnPrem).Doubt)
	require.Equal(t, "ann", server(after, migration.OnPrem).AgreedBy)
	require.Equal(t, 2, after.Whole)
	for tenant, home := range map[int64]migration.Side{1: migration.AWS, 2: migration.OnPrem} {
		h, err := x.Pair.Home(t.Context(), tenant)
		require.NoError(t, err)
		require.Equal(t, home, h.Home())
	}
}

// AWS was restored from a backup that has the customer closed there, and premises have its seal: it
// is closed on both sides, and its home says so until somebody has agreed and had it repaired.
func TestACustomerWhoseOpenAServerForgotComesToRestAfterSomebodyHasAgreed(t *testing.T) {
	x := newDoubted(t, 2)
	x.known()
	require.NoError(t, x.dst.Stop(pg.Fast))
	require.NoError(t, x.dst.Backup())
	require.NoError(t, x.dst.Restart(t.Context()))
	x.Until("beats again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := x.Pair.Lag(ctx)
		return err == nil
	})
	x.Move(migration.OnPrem, 1, pairtest.Try(1, 1))
	x.known()
	require.NoError(t, x.dst.Stop(pg.Fast))
	require.NoError(t, x.dst.Restore())
	require.NoError(t, x.dst.Restart(t.Context()))

	seen, _ := x.look(x.in)
	now := server(seen, migration.AWS)
	require.Contains(t, now.Doubt, "restored from a backup")
	in := x.in
	in.Repair = &migration.Repair{By: "ann", Reason: "restored"}
	_, doubted := x.look(in)
	require.NotContains(t, strings.Join(doubted.Mended, "\n"), "customer a", "nobody claims a side while a server is in doubt")

	agreed := x.agree(migration.AWS, now.Now)
	require.Len(t, agreed.Customers, 1)
	require.Equal(t, migration.Sealed, agreed.Customers[0].Record.OnPrem.State)
	require.Equal(t, migration.Sealed, agreed.Customers[0].Record.AWS.State)

	after, report := x.look(in)
	require.Contains(t, strings.Join(report.Mended, "\n"),
		"customer a: the Move that was left between its steps is settled; it is homed on onprem")
	require.Equal(t, 2, after.Whole)
	x.Must(migration.OnPrem, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1")
	require.Equal(t, pairtest.Refused, x.Exec(migration.AWS, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1"))
}
