package main

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestMain(m *testing.M) { os.Exit(pairtest.Run(m)) }

// The lanes tell the statements inside a freeze from those of its rehearsal and of everybody else.
func TestStatementsInsideAFreezeAreToldApart(t *testing.T) {
	const tenant = 2
	b := pairtest.New(t)
	b.Prepared(3)
	var follows lanes
	follows.reset()
	var mu sync.Mutex
	var points []point
	var sides []*engine.Server
	for _, x := range b.Pair.Both() {
		dsn := map[migration.Side]string{migration.OnPrem: b.Src.DSN(b.DB), migration.AWS: b.Dst.DSN(b.DB)}[x.Side]
		a, err := engine.ParseDSN(dsn)
		require.NoError(t, err)
		g, err := pggate.Start(net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
		require.NoError(t, err)
		t.Cleanup(g.Close)
		g.Set(func(e pggate.Event) bool {
			s, inside := follows.follow(x.Side, e)
			if inside && e.When == pggate.Before && s.Nth <= 2 {
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, tenant, s.Tenant)
				points = append(points, point{Kind: "freeze", Statement: &s, Name: s.name()})
			}
			return true
		})
		a.Host, a.Port = g.Address()
		s, err := engine.Connect(t.Context(), x.Side, a, a, nil)
		require.NoError(t, err)
		sides = append(sides, s)
	}
	pair := engine.NewPair(b.DB, migration.Dataset{Name: "orders", Postgres: &pairtest.Orders}, sides[0], sides[1])
	t.Cleanup(pair.Close)
	f, err := pair.HoldFreeze(t.Context(), engine.Attempt{From: migration.OnPrem, Tenant: tenant,
		Try: migration.Try{Token: 10, Owner: uuid.NewString()}, Lease: 20 * time.Second})
	require.NoError(t, err)
	defer f.Release()
	require.NoError(t, f.Rehearse(t.Context()))
	require.Empty(t, points, "a rehearsal is outside")
	for _, step := range []func() (migration.Word, error){
		func() (migration.Word, error) { r, err := f.Fence(t.Context()); return r.Word, err },
		func() (migration.Word, error) { d, err := f.Drain(t.Context(), 10*time.Second); return d.Word, err },
		func() (migration.Word, error) { r, err := f.Seal(t.Context()); return r.Word, err },
		func() (migration.Word, error) { r, err := f.Open(t.Context()); return r.Word, err },
	} {
		_, err := step()
		require.NoError(t, err)
	}
	_, err = pair.Home(t.Context(), tenant)
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	distinguish(points)
	var names []string
	for _, p := range points {
		names = append(names, p.Name)
		require.True(t, p.same(*p.Statement))
	}
	t.Log(names)
	require.Equal(t, "fence@onprem", names[0])
	require.Contains(t, names, "arrived@aws")
	require.Contains(t, names, "seal@onprem")
	require.Equal(t, "open@aws", names[len(names)-1])
}
