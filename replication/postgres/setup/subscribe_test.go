package setup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// A slot is made when every transaction that was open on its server is over. A subscription that
// made its own slot would be such a transaction on the other server: two databases whose
// subscriptions are made in opposite directions would wait for each other for ever, and neither
// server could see why.
func TestTwoDatabasesSubscribeInOppositeDirectionsAtOnce(t *testing.T) {
	forward, back := pairtest.New(t), pairtest.New(t).Prepared(1)
	cutOffAt(forward, "the subscription on AWS")
	require.NoError(t, setup.DropSubscription(t.Context(), back.Pair.OnPrem, back.Pair.AWS, back.Pair.Names.Back))

	// Both slots wait for these, so that both subscriptions are under way before either slot is
	// there.
	open := map[migration.Side]func(){}
	for _, side := range []migration.Side{s, d} {
		tx, err := forward.App(side).Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT pg_current_xact_id()")
		require.NoError(t, err)
		open[side] = func() { require.NoError(t, tx.Rollback(t.Context())) }
	}
	ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
	defer cancel()
	var both errgroup.Group
	both.Go(func() error { return setup.Subscribe(ctx, forward.Pair, s) })
	both.Go(func() error { return setup.Subscribe(ctx, back.Pair, d) })
	const made = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active"
	forward.Until("the slot on premises is being made", func() bool { return forward.Num(s, made, forward.Pair.Names.Forward) == 1 })
	back.Until("the slot on AWS is being made", func() bool { return back.Num(d, made, back.Pair.Names.Back) == 1 })
	open[s]()
	open[d]()
	require.NoError(t, both.Wait())
	forward.Prepare(1)
	forward.Synced()
	back.Synced()
}

// cutOffAt prepares tenant 1 up to a part.
func cutOffAt(r *pairtest.Rig, part string) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	require.ErrorIs(r, setup.Prepare(ctx, r.Pair, []int64{1}, func(what string) {
		if what == part {
			cancel()
		}
	}), context.Canceled)
}

// A zombie and its successor prepare at once: neither takes the other's slot away.
func TestWhoSubscribesAtOnceDoesSoOnce(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for range 5 {
		require.NoError(t, setup.DropSubscription(t.Context(), r.Pair.OnPrem, r.Pair.AWS, r.Pair.Names.Back))
		var all errgroup.Group
		for range 4 {
			all.Go(func() error { return setup.Subscribe(t.Context(), r.Pair, d) })
		}
		require.NoError(t, all.Wait())
		r.Synced()
	}
}

// The first copy of a large table is one transaction on AWS. Whoever waits for it knows that it
// runs, and how far it is: both directions are set up by then.
func TestPrepareDoesNotWaitForTheFirstCopy(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO acct VALUES (1, 1)")
	cutOffAt(r, "the subscription on AWS")
	row, err := r.App(d).Begin(t.Context())
	require.NoError(t, err)
	_, err = row.Exec(t.Context(), "SET LOCAL session_replication_role = replica; INSERT INTO acct VALUES (1, 1)") // the copy waits for it
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
	defer cancel()
	require.NoError(t, setup.Prepare(ctx, r.Pair, []int64{1}, nil))
	sync, err := r.Pair.Sync(t.Context())
	require.NoError(t, err)
	require.False(t, sync.Done())
	require.NoError(t, row.Rollback(t.Context()))
	r.Synced()
}
