package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// attempt is try k of a Move from a side.
func attempt(from migration.Side, k migration.Try) postgres.Attempt {
	return postgres.Attempt{From: from, Tenant: 1, Try: k, Lease: 10 * time.Second, Patience: 2 * time.Second}
}

func TestAFreezeOnHeldConnectionsMovesThereAndBack(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	sums := map[string]bool{}
	for n, from := range []migration.Side{s, d, s} {
		f, err := r.Pair.HoldFreeze(t.Context(), attempt(from, pairtest.Try(int64(n+1), 1)))
		require.NoError(t, err)
		before, err := r.Pair.Home(t.Context(), 1)
		require.NoError(t, err)
		require.NoError(t, f.Rehearse(t.Context()))
		require.NoError(t, f.Rehearse(t.Context()), "twice")
		after, err := r.Pair.Home(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, before, after, "a rehearsal changes nothing")
		r.Sound()
		require.Equal(t, migration.WordFenced, r.Word(f.Fence(t.Context())))
		stands, err := f.Standing(t.Context())
		require.NoError(t, err)
		require.True(t, stands)
		found, err := f.Drain(t.Context(), pairtest.Patience)
		require.NoError(t, err)
		require.Equal(t, migration.WordFenced, found.Word)
		require.Empty(t, found.Differences)
		require.Greater(t, found.Rows, int64(200))
		require.Positive(t, found.Mark)
		require.Len(t, found.Sum, 64)
		sums[found.Sum] = true
		for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
			require.Regexp(t, `^1\d\.\d`, f.Version(side))
		}
		require.Equal(t, migration.WordSealed, r.Word(f.Seal(t.Context())))
		require.Equal(t, migration.WordOpen, r.Word(f.Open(t.Context())))
		stands, err = f.Standing(t.Context())
		require.NoError(t, err)
		require.False(t, stands)
		f.Release()
		f.Release()
		h, err := r.Pair.Home(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, from.Other(), h.Home())
	}
	require.Positive(t, r.Pair.Recent(), "a later prediction knows how long they took")
	r.Sound()
	require.Len(t, sums, 1, "the same rows have the same sum, whichever side is home")
}

func TestADrainNamesWhatDiffersAndTheMarkThatDidNotCome(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	r.Until("both sides are alike", func() bool {
		v, err := r.Pair.Verify(t.Context(), 1)
		require.NoError(t, err)
		return v.Differences == nil
	})
	r.Must(d, "SET session_replication_role = replica; DELETE FROM audit WHERE ctid = (SELECT ctid FROM audit WHERE tenant_id = 1 LIMIT 1)")
	f, err := r.Pair.HoldFreeze(t.Context(), attempt(s, pairtest.Try(1, 1)))
	require.NoError(t, err)
	defer f.Release()
	require.Equal(t, migration.WordFenced, r.Word(f.Fence(t.Context())))
	found, err := f.Drain(t.Context(), pairtest.Patience)
	require.NoError(t, err)
	require.Len(t, found.Differences, 1)
	require.Contains(t, found.Differences[0], "table public.audit: ")

	late := r.Pair.Freeze(attempt(s, pairtest.Try(99, 1)))
	found, err = late.Drain(t.Context(), 50*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, migration.WordBehind, found.Word)
}

// Checks, beats and copies may use up all connections of a worker: those of a freeze are not among
// them.
func TestAFreezeNeverWaitsForAConnection(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	var busy []*pgxpool.Conn
	for _, x := range r.Pair.Both() {
		for range postgres.PoolConns {
			c, err := x.Pool.Acquire(t.Context())
			require.NoError(t, err)
			busy = append(busy, c)
		}
	}
	_, err := r.Pair.LoadTables(shortly(t))
	require.Error(t, err, "nothing is left of the pool")
	for _, c := range busy[:1] { // the catalogues are read by the check before the freeze
		c.Release()
	}
	_, err = r.Pair.LoadTables(t.Context())
	require.NoError(t, err)
	again, err := r.Pair.OnPrem.Pool.Acquire(t.Context())
	require.NoError(t, err)
	busy[0] = again
	f, err := r.Pair.HoldFreeze(t.Context(), attempt(s, pairtest.Try(1, 1)))
	require.NoError(t, err)
	defer f.Release()
	require.NoError(t, f.Rehearse(t.Context()))
	require.Equal(t, migration.WordFenced, r.Word(f.Fence(t.Context())))
	_, err = f.Drain(t.Context(), pairtest.Patience)
	require.NoError(t, err)
	require.Equal(t, migration.WordSealed, r.Word(f.Seal(t.Context())))
	require.Equal(t, migration.WordPoisoned, r.Word(r.Pair.Poison(t.Context(), d, 1, pairtest.Try(2, 1))), "a repair beside it does not "+
		"either")
	require.Equal(t, migration.WordOpen, r.Word(r.Pair.Reopen(t.Context(), s, 1, pairtest.Try(2, 1))))
	require.Equal(t, migration.WordSuperseded, r.Word(f.Open(t.Context())))
	for _, c := range busy {
		c.Release()
	}
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestOneHasTheTurnAtATime(t *testing.T) {
	turn := postgres.NewTurn()
	give, err := turn.Take(t.Context())
	require.NoError(t, err)
	_, err = turn.Take(shortly(t))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	give()
	give()
	next, err := turn.Take(t.Context())
	require.NoError(t, err)
	give()
	_, err = turn.Take(shortly(t))
	require.ErrorIs(t, err, context.DeadlineExceeded, "who gives back twice gives back nobody else's")
	next()
}

// slowInstances says where a database answers when it is told to.
type slowInstances struct {
	at      postgres.Address
	release chan struct{}
	asked   chan struct{}
	once    sync.Once
}

func (i *slowInstances) Endpoint(ctx context.Context, _ migration.Target, _ string) (string, int, string, error) {
	i.once.Do(func() { close(i.asked) })
	select {
	case <-i.release:
		return i.at.Host, i.at.Port, i.at.Database, nil
	case <-ctx.Done():
		return "", 0, "", ctx.Err()
	}
}

type fixedSecrets map[migration.SecretRef]string

func (s fixedSecrets) Resolve(_ context.Context, _ migration.Target, ref migration.SecretRef) (string, error) {
	if v, ok := s[ref]; ok {
		return v, nil
	}
	return "", errors.New("no such secret")
}

// Whoever has a few seconds finds at its next call what it began: it would never get there
// otherwise.
func TestAColdConnectGoesOnWhenItsCallerIsCutOff(t *testing.T) {
	r := pairtest.New(t)
	to, err := postgres.ParseDSN(r.Dst.DSN(r.DB))
	require.NoError(t, err)
	slow := &slowInstances{at: to, release: make(chan struct{}), asked: make(chan struct{})}
	c := &postgres.Connector{Instances: slow,
		Secrets: fixedSecrets{"env://A": r.Src.DSN(r.DB),
			"awssm://b": fmt.Sprintf(`{"username": %q, "password": %q, "sslmode": "disable"}`, to.User, to.Password)}}
	t.Cleanup(c.Close)
	plan := pairtest.Orders
	plan.DSN, plan.Credentials, plan.AddressFromTarget = "env://A", "awssm://b", r.Src.Address()
	ds := migration.Dataset{Name: "orders", Postgres: &plan}
	_, err = c.Open(shortly(t), "p", ds, migration.Target{Name: "prod"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-slow.asked
	close(slow.release)
	first, err := c.Open(t.Context(), "p", ds, migration.Target{Name: "prod"})
	require.NoError(t, err)
	second, err := c.Open(t.Context(), "p", ds, migration.Target{Name: "prod"})
	require.NoError(t, err)
	require.Same(t, first, second)
	ds.Name = "another"
	other, err := c.Open(t.Context(), "p", ds, migration.Target{Name: "prod"})
	require.NoError(t, err)
	require.Same(t, first.Turn(), other.Turn(), "one customer of all pairs is frozen at a time")
}

func TestThePairOfAFormerRevisionIsClosedWhenNobodyAsksForIt(t *testing.T) {
	r := pairtest.New(t)
	m := r.Planned()
	open := func(d migration.Dataset) *postgres.Pair {
		p, err := m.Open(t.Context(), r.DB, d, migration.Target{Name: "prod"})
		require.NoError(t, err)
		return p
	}
	revised := m.Dataset
	tables := *m.Dataset.Postgres
	tables.WALBudgetBytes = 1
	revised.Postgres = &tables

	former := open(m.Dataset)
	open(revised)
	require.NoError(t, former.AWS.Pool.Ping(t.Context()), "who moves under it goes on")
	m.Former = time.Nanosecond
	now := open(revised)
	r.Until("the former pair is closed", func() bool { return former.AWS.Pool.Ping(t.Context()) != nil })
	require.NoError(t, now.AWS.Pool.Ping(t.Context()))
	m.Former = 0
	require.NotSame(t, former, open(m.Dataset), "who asks for it again connects anew")
}
