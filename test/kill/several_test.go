package kill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// A customer with two databases is homed on one side in both, whatever befalls a Move between the
// first and the second.
func TestACustomerOfTwoDatabasesIsNeverTornApart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	shape.Archive = true
	b := newBench(ctx, t, shape)
	a := b.archive(ctx, t)
	b.submit(ctx)
	for _, c := range shape.Customers() {
		b.settled(ctx, c.ID, migration.AWS)
	}
	b.consistent(ctx, t)

	id := shape.Customers()[0].ID
	for _, hit := range []struct {
		what string
		do   func(gate.Event) bool
	}{
		{"the worker is killed", b.kill},
		{"the Move is terminated", func(e gate.Event) bool { b.terminate(ctx, t, e.WorkflowID); return true }},
	} {
		for _, at := range []struct {
			step string
			nth  int32
		}{{"FreezeCustomer", 1}} {
			for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
				t.Run(fmt.Sprintf("%s after %s of database %d on the way to %s", hit.what, at.step, at.nth, to), func(t *testing.T) {
					done := b.afterThe(at.nth, at.step, hit.do)
					b.send(ctx, t, id, to)
					b.reached(t, done)
					b.running(t)
					b.settled(ctx, id, to)
					b.consistent(ctx, t)
				})
			}
		}
	}
	a.stop()
	for _, c := range shape.Customers() {
		a.complete(ctx, t, c.Tenant)
	}
	b.nothingLost(ctx, t)
}

// archivist writes to the customers' second database, as an application would: on the side that
// takes it.
type archivist struct {
	lab  *lab.Lab
	stop func()

	mu    sync.Mutex
	acked map[int]map[string]bool // by tenant
}

func (b *bench) archive(ctx context.Context, t *testing.T) *archivist {
	ctx, cancel := context.WithCancel(ctx)
	a := &archivist{lab: b.lab, acked: map[int]map[string]bool{}}
	var writers sync.WaitGroup
	a.stop = func() { cancel(); writers.Wait() }
	t.Cleanup(a.stop)
	for _, c := range b.lab.Shape.Customers() {
		a.acked[c.Tenant] = map[string]bool{}
		writers.Go(func() { a.write(ctx, t, c.Tenant) })
	}
	return a
}

func (a *archivist) write(ctx context.Context, t *testing.T, tenant int) {
	var sides []*pgx.Conn
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		c, err := pgx.Connect(ctx, a.lab.ArchiveDSN(side))
		if err != nil {
			t.Errorf("connect to the archive on %s: %v", side, err)
			return
		}
		defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
		sides = append(sides, c)
	}
	for n := 0; ctx.Err() == nil; n++ {
		token := fmt.Sprintf("new %d", n)
		_, err := sides[0].Exec(ctx, "INSERT INTO entries (tenant_id, token) VALUES ($1, $2)", tenant, token)
		var refused *pgconn.PgError
		switch {
		case err == nil:
			a.mu.Lock()
			a.acked[tenant][token] = true
			a.mu.Unlock()
		case ctx.Err() != nil:
			return
		case errors.As(err, &refused) && (refused.Code == "DR001" || refused.Code == "42P01"): // fenced; not there yet
			sides[0], sides[1] = sides[1], sides[0]
		default:
			t.Errorf("write to the archive of tenant %d: %v", tenant, err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// complete wants every acknowledged entry of a tenant exactly once, on both sides: replication has
// caught up, and the sides are equal.
func (a *archivist) complete(ctx context.Context, t *testing.T, tenant int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	require.Greater(t, len(a.acked[tenant]), 100)
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		var lost, doubled []string
		require.True(t, eventually(func() bool {
			found := map[string]int{}
			c, err := pgx.Connect(ctx, a.lab.ArchiveDSN(side))
			require.NoError(t, err)
			defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
			rows, err := c.Query(ctx, "SELECT token FROM entries WHERE tenant_id = $1 AND token LIKE 'new %'", tenant)
			require.NoError(t, err)
			var token string
			_, err = pgx.ForEachRow(rows, []any{&token}, func() error { found[token]++; return nil })
			require.NoError(t, err)
			lost, doubled = nil, nil
			for token := range a.acked[tenant] {
				switch found[token] {
				case 0:
					lost = append(lost, token)
				case 1:
				default:
					doubled = append(doubled, token)
				}
			}
			return lost == nil && doubled == nil
		}), "tenant %d on %s: lost %v, doubled %v", tenant, side, lost, doubled)
	}
}
