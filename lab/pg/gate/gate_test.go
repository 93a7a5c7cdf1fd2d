package gate

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
)

func TestWhatAGateTellsAndDoes(t *testing.T) {
	s, err := pg.Start(t.Context(), pg.Options{Tools: tooltest.Dir(t, "pg/bin/postgres"), Dir: t.TempDir(), Name: "gated"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.CreateDatabase(t.Context(), "orders"))
	password, err := s.CreateRole(t.Context(), "who", "REPLICATION")
	require.NoError(t, err)
	g, err := Start(s.Address())
	require.NoError(t, err)
	t.Cleanup(g.Close)
	connect := func(t *testing.T) (*pgx.Conn, error) {
		conf, err := pgx.ParseConfig(pg.DSN(s.Address(), "who", password, "orders"))
		require.NoError(t, err)
		conf.Host, conf.Port = "127.0.0.1", uint16(mustPort(g)) //nolint:gosec // a port
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := pgx.ConnectConfig(ctx, conf)
		if err == nil {
			t.Cleanup(func() { _ = c.Close(context.WithoutCancel(ctx)) })
		}
		return c, err
	}
	one := func(c *pgx.Conn, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := c.Exec(ctx, "SELECT 1")
		return err
	}

	t.Run("a statement's text and arguments, before and after it", func(t *testing.T) {
		c, err := connect(t)
		require.NoError(t, err)
		var mu sync.Mutex
		var seen []Event
		g.Set(func(e Event) bool { mu.Lock(); defer mu.Unlock(); seen = append(seen, e); return true })
		defer g.Set(nil)
		var n int64
		require.NoError(t, c.QueryRow(t.Context(), "SELECT $1::bigint + coalesce(cardinality($2::int[]), 0)", 7, nil).Scan(&n))
		require.EqualValues(t, 7, n)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, seen, 2)
		require.Equal(t, Before, seen[0].When)
		require.Equal(t, After, seen[1].When)
		require.Len(t, seen[0].Args, 2)
		require.EqualValues(t, 7, binary.BigEndian.Uint64(seen[0].Args[0]))
		require.Nil(t, seen[0].Args[1])
		require.Equal(t, seen[0].Conn, seen[1].Conn)
	})
	t.Run("packets that are held travel when they are released", func(t *testing.T) {
		c, err := connect(t)
		require.NoError(t, err)
		release := g.Hold()
		done := make(chan error, 1)
		go func() { done <- one(c, 10*time.Second) }()
		select {
		case <-done:
			require.Fail(t, "it was answered while packets were held")
		case <-time.After(100 * time.Millisecond):
		}
		release()
		require.NoError(t, <-done)
	})
	t.Run("a link that is cut takes no connection until it is mended", func(t *testing.T) {
		c, err := connect(t)
		require.NoError(t, err)
		mend := g.Cut()
		require.Error(t, one(c, 5*time.Second))
		_, err = connect(t)
		require.Error(t, err)
		mend()
		c, err = connect(t)
		require.NoError(t, err)
		require.NoError(t, one(c, 5*time.Second))
	})
	t.Run("TLS is declined, and replication passes unread", func(t *testing.T) {
		dsn := strings.Replace(pg.DSN(s.Address(), "who", password, "orders"), "sslmode=disable", "sslmode=prefer", 1)
		conf, err := pgx.ParseConfig(dsn + "&replication=database")
		require.NoError(t, err)
		conf.Host, conf.Port = "127.0.0.1", uint16(mustPort(g)) //nolint:gosec // a port
		g.Set(func(e Event) bool { return false })
		defer g.Set(nil)
		c, err := pgx.ConnectConfig(t.Context(), conf)
		require.NoError(t, err)
		defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
		_, err = c.PgConn().Exec(t.Context(), "IDENTIFY_SYSTEM").ReadAll()
		require.NoError(t, err)
	})
}

func mustPort(g *Gate) int {
	_, port := g.Address()
	return port
}
