package postgres

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// A slot is made when every transaction that was open on its server is over. A subscription that made its own slot would be such a
// transaction on the other server: two databases whose subscriptions are made in opposite directions would wait for each other for
// ever, and neither server could see why.
func TestTwoDatabasesSubscribeInOppositeDirectionsAtOnce(t *testing.T) {
	forward, back := newRig(t), newRig(t).prepared(1)
	forward.cutOffAt("the subscription on AWS")
	require.NoError(t, back.pair.unsubscribe(t.Context(), back.pair.OnPrem, back.pair.AWS))

	// Both slots wait for these, so that both subscriptions are under way before either slot is there.
	open := map[migration.Side]func(){}
	for _, side := range []migration.Side{s, d} {
		tx, err := forward.app(side).Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT pg_current_xact_id()")
		require.NoError(t, err)
		open[side] = func() { require.NoError(t, tx.Rollback(t.Context())) }
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var both errgroup.Group
	both.Go(func() error { return forward.pair.subscribe(ctx, s) })
	both.Go(func() error { return back.pair.subscribe(ctx, d) })
	const made = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active"
	forward.until("the slot on premises is being made", func() bool { return forward.num(s, made, forward.pair.Names.Forward) == 1 })
	back.until("the slot on AWS is being made", func() bool { return back.num(d, made, back.pair.Names.Back) == 1 })
	open[s]()
	open[d]()
	require.NoError(t, both.Wait())
	forward.prepare(1)
	forward.synced()
	back.synced()
}

// cutOffAt prepares tenant 1 up to a part.
func (r *rig) cutOffAt(part string) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	require.ErrorIs(r, r.pair.Prepare(ctx, []int64{1}, func(what string) {
		if what == part {
			cancel()
		}
	}), context.Canceled)
}

// A zombie and its successor prepare at once: neither takes the other's slot away.
func TestWhoSubscribesAtOnceDoesSoOnce(t *testing.T) {
	r := newRig(t).prepared(1)
	for range 5 {
		require.NoError(t, r.pair.unsubscribe(t.Context(), r.pair.OnPrem, r.pair.AWS))
		var all errgroup.Group
		for range 4 {
			all.Go(func() error { return r.pair.subscribe(t.Context(), d) })
		}
		require.NoError(t, all.Wait())
		r.synced()
	}
}

// The first copy of a large table is one transaction on AWS. Whoever waits for it knows that it runs, and how far it is: both directions
// are set up by then.
func TestPrepareDoesNotWaitForTheFirstCopy(t *testing.T) {
	r := newRig(t)
	r.must(s, "INSERT INTO acct VALUES (1, 1)")
	r.cutOffAt("the subscription on AWS")
	row, err := r.app(d).Begin(t.Context())
	require.NoError(t, err)
	_, err = row.Exec(t.Context(), "SET LOCAL session_replication_role = replica; INSERT INTO acct VALUES (1, 1)") // the copy waits for it
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, r.pair.Prepare(ctx, []int64{1}, nil))
	sync, err := r.pair.Sync(t.Context())
	require.NoError(t, err)
	require.False(t, sync.Done())
	require.NoError(t, row.Rollback(t.Context()))
	r.synced()
}
