package pg_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
)

func start(t *testing.T, o pg.Options) *pg.Server {
	t.Helper()
	o.Tools = tooltest.Dir(t, "pg/bin/postgres")
	s, err := pg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func count(t *testing.T, s *pg.Server) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.DSN("app"))
	require.NoError(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	require.NoError(t, c.QueryRow(t.Context(), "SELECT count(*) FROM acct").Scan(&n))
	return n
}

func TestTwoServersStartInSecondsAndLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	begun := time.Now()
	a := start(t, pg.Options{Dir: dir, Name: "onprem"})
	b := start(t, pg.Options{Dir: dir, Name: "rds", Listen: "127.0.0.2"})
	t.Logf("both up after %s", time.Since(begun))
	require.Less(t, time.Since(begun), 20*time.Second)
	require.NotEqual(t, a.Address(), b.Address())
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestWhatWasCommittedSurvivesEveryWayToStop(t *testing.T) {
	s := start(t, pg.Options{Dir: t.TempDir(), Name: "one"})
	require.NoError(t, s.CreateDatabase(t.Context(), "app"))
	require.NoError(t, s.Exec(t.Context(), "app", pg.Schema))
	for i, stop := range []func() error{
		func() error { return s.Stop(pg.Fast) },
		func() error { return s.Stop(pg.Immediate) },
		s.Kill9,
	} {
		c, err := pgx.Connect(t.Context(), s.DSN("app"))
		require.NoError(t, err)
		_, err = c.Exec(t.Context(), "INSERT INTO acct VALUES ($1, 0)", i)
		require.NoError(t, err)
		require.NoError(t, stop())
		require.NoError(t, s.Restart(t.Context()))
		require.Equal(t, i+1, count(t, s))
	}
}

func TestARoleNeedsItsPassword(t *testing.T) {
	s := start(t, pg.Options{Dir: t.TempDir(), Name: "one"})
	password, err := s.CreateRole(t.Context(), "app", "")
	require.NoError(t, err)
	c, err := pgx.Connect(t.Context(), s.DSNAs("app", password, "postgres"))
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
	_, err = pgx.Connect(t.Context(), s.DSNAs("app", "wrong", "postgres"))
	require.ErrorContains(t, err, "password authentication failed")
}

func TestAServerWhoseDiskIsFullTakesNoWritesAndKeepsWhatItTook(t *testing.T) {
	s := start(t, pg.Options{Dir: t.TempDir(), Name: "one"})
	require.NoError(t, s.CreateDatabase(t.Context(), "app"))
	require.NoError(t, s.Exec(t.Context(), "app", pg.Schema))
	require.NoError(t, s.Exec(t.Context(), "app", "INSERT INTO acct VALUES (1)"))
	require.NoError(t, s.Fill(t.Context()))
	require.Error(t, s.Exec(t.Context(), "app", "INSERT INTO acct VALUES (2)"))
	require.NoError(t, s.Empty(t.Context()))
	require.NoError(t, s.Stop(pg.Immediate))
	require.NoError(t, s.Restart(t.Context()))
	require.Equal(t, 1, count(t, s))
	require.NoError(t, s.Exec(t.Context(), "app", "INSERT INTO acct VALUES (2)"))
}
