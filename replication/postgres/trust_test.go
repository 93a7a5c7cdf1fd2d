package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// ownServers are two servers that a test may restore and fail over.
func ownServers(t *testing.T) (src, dst *pg.Server) {
	t.Helper()
	var out []*pg.Server
	for _, name := range []string{"src", "dst"} {
		o := pairtest.Options
		o.Name = name + "-" + t.Name()
		s, err := pg.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		out = append(out, s)
	}
	return out[0], out[1]
}

func home(r *pairtest.Rig, tenant int64) migration.HomeRecord {
	r.Helper()
	var h migration.HomeRecord
	r.Until("home", func() bool { // connections of the time before a restart are refused once
		var err error
		h, err = r.Pair.Home(r.Context(), tenant)
		return err == nil
	})
	return h
}

func watch(r *pairtest.Rig) postgres.Watch {
	r.Helper()
	var w postgres.Watch
	r.Until("a look at both sides", func() bool { // connections of the time before a restart fail once each
		var err error
		w, err = r.Pair.Watch(r.Context())
		return err == nil
	})
	return w
}

func TestAServerOnANewTimelineIsNobodysHomeUntilSomebodyHasAgreed(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst).Prepared(2)
	r.Move(s, 1, pairtest.Try(1, 1))
	require.Empty(t, watch(r).Doubts)
	require.NoError(t, src.Stop(pg.Fast))
	require.NoError(t, src.RestartOnNewTimeline(t.Context()))

	h := home(r, 1)
	require.Equal(t, migration.NoHome, h.Home())
	require.False(t, h.Settled())
	require.Contains(t, h.Undecided(), "its timeline is 2, and was 1")
	require.Equal(t, migration.NoHome, home(r, 2).Home(), "whoever is homed on premises, too")
	require.Len(t, watch(r).Doubts, 1)
	_, err := r.Pair.Claim(t.Context(), s, 1, pairtest.Try(5, 1))
	require.ErrorIs(t, err, postgres.ErrDoubtedServer)
	ready, err := r.Pair.Ready(t.Context(), s, 2, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Contains(t, pairtest.Checks(ready.Findings), "postgres-no-home")
	r.Must(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 2") // no guard refuses a write because of it

	states, err := r.Pair.Servers(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Pair.Agree(t.Context(), migration.OnPrem, states[0].Now, "ada", "the standby has every seal"))
	require.Equal(t, migration.AWS, home(r, 1).Home())
	require.Equal(t, migration.OnPrem, home(r, 2).Home())
	require.Empty(t, watch(r).Doubts)
	states, err = r.Pair.Servers(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ada", states[0].AgreedBy)
}

func TestAServerThatWasRestoredIsDoubtedThoughItsNameAndTimelineAreTheSame(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst).Prepared(2)
	require.NoError(t, dst.Stop(pg.Fast))
	require.NoError(t, dst.Backup())
	require.NoError(t, dst.Restart(t.Context()))
	r.Until("beats again", func() bool { _, err := r.Pair.Lag(t.Context()); return err == nil })
	r.Move(s, 1, pairtest.Try(1, 1))
	require.Empty(t, watch(r).Doubts)
	require.NoError(t, dst.Stop(pg.Fast))
	require.NoError(t, dst.Restore())
	require.NoError(t, dst.Restart(t.Context()))

	h := home(r, 1)
	require.Equal(t, migration.NoHome, h.Home())
	require.Contains(t, h.Undecided(), "on AWS is not the one that Drover knew")
	require.Contains(t, h.Undecided(), "restored from a backup")

	t.Run("also when it has written more than it had before", func(t *testing.T) {
		r.Must(d, "CREATE TABLE filler AS SELECT g, repeat('x', 1000) t FROM generate_series(1, 20000) g")
		require.Contains(t, home(r, 1).Undecided(), "it has forgotten what it had written of itself")
	})
	t.Run("an identity that was not shown is not agreed to", func(t *testing.T) {
		r.Until("it is refused", func() bool { // not by a connection that ended with the server
			err := r.Pair.Agree(t.Context(), migration.AWS, postgres.Identity{SystemID: "1", Timeline: 1}, "ada", "")
			require.Error(t, err)
			return strings.Contains(err.Error(), "look at it again")
		})
	})
}

func TestACrashIsNoRestore(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst).Prepared(1)
	for range 3 {
		r.Must(s, "UPDATE acct SET n = n + 1")
		require.Empty(t, watch(r).Doubts)
		require.NoError(t, src.Stop(pg.Immediate))
		require.NoError(t, src.Restart(t.Context()))
		require.Equal(t, migration.OnPrem, home(r, 1).Home())
	}
}

func TestPositionsInTheWALAreComparedAsNumbers(t *testing.T) {
	require.True(t, postgres.Before("0/9", "0/A"))
	require.True(t, postgres.Before("0/FFFFFFFF", "1/0"))
	require.False(t, postgres.Before("1/0", "0/FFFFFFFF"))
	require.False(t, postgres.Before("16/B374D848", "16/B374D848"))
}
