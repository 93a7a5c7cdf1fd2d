package kill

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// recordsOf are the lines of a customer's records in the zone, without its token's.
func (b *bench) recordsOf(ctx context.Context, t *testing.T, c lab.Customer) (pair []string, token string) {
	t.Helper()
	all, err := b.lab.Records(ctx)
	require.NoError(t, err)
	for _, line := range all {
		switch {
		case strings.HasPrefix(line, "record _drover."+c.Host):
			token = line
		case strings.HasPrefix(line, "record "+c.Host):
			pair = append(pair, line)
		}
	}
	return pair, token
}

// One customer moves out and back by the load balancer and one by the records of its host, side by
// side and under load. The worker dies when the name has been changed and nobody has heard of it.
func TestACustomerMovesByNameBesideOneBehindTheLoadBalancer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	shape.Batches[0].Customers[1] = shape.Batches[0].Customers[1].Named()
	balanced, named := shape.Batches[0].Customers[0], shape.Batches[0].Customers[1]
	b := newBenchIn(ctx, t, lab.Options{Shape: shape})
	before, err := b.lab.Records(ctx)
	require.NoError(t, err)

	killed := make(chan struct{})
	var once atomic.Bool
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || e.Activity != "ReconcileRoute" || !strings.HasPrefix(e.WorkflowID,
			"move/"+shape.Name+"/"+named.ID+"/") ||
			!once.CompareAndSwap(false, true) {
			return true
		}
		defer close(killed)
		return b.kill(e)
	})
	b.submit(ctx)
	b.reached(t, killed)
	pair, token := b.recordsOf(ctx, t, named)
	require.Len(t, pair, 2)
	require.Contains(t, strings.Join(pair, "\n"), "CNAME 1 drover-aws 100 ", "its TTL was lowered before")
	require.Contains(t, token, " share=100 ttl=1 was=3 ")
	b.startWorker(t)
	b.settled(ctx, balanced.ID, migration.AWS)
	b.settled(ctx, named.ID, migration.AWS)

	c, err := b.client.Customer(ctx, shape.Name, named.ID)
	require.NoError(t, err)
	last := c.Moves[len(c.Moves)-1]
	require.Empty(t, last.Unrouted)
	t.Logf("frozen for %s, routed %s after it was open", last.Freeze.D(), last.Routed.Sub(last.Opened))
	require.GreaterOrEqual(t, last.Routed.Sub(last.Opened), time.Second, "a change of Route 53 takes its time, and was awaited")

	for _, x := range []lab.Customer{balanced, named} {
		b.send(ctx, t, x.ID, migration.OnPrem)
		b.settled(ctx, x.ID, migration.OnPrem)
	}
	pair, _ = b.recordsOf(ctx, t, named)
	require.Contains(t, strings.Join(pair, "\n"), "drover-aws 0 ")
	b.nothingLost(ctx, t)

	_, err = b.client.Abort(ctx, shape.Name, migration.Command{By: "lead", Reason: "test"})
	require.NoError(t, err)
	b.gone(ctx, t, migration.MigrationAborted)
	after, err := b.lab.Records(ctx)
	require.NoError(t, err)
	require.Equal(t, before, after, "the zone is as it was, to the TTL")
}
