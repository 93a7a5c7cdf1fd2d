package postgres

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// ownServers are two servers that a test may restore and fail over.
func ownServers(t *testing.T) (src, dst *pg.Server) {
	t.Helper()
	var out []*pg.Server
	for _, name := range []string{"src", "dst"} {
		o := serverOptions
		o.Name = name + "-" + t.Name()
		s, err := pg.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		out = append(out, s)
	}
	return out[0], out[1]
}

func (r *rig) home(tenant int64) migration.HomeRecord {
	r.Helper()
	var h migration.HomeRecord
	r.until("home", func() bool { // connections of the time before a restart are refused once
		var err error
		h, err = r.pair.Home(r.Context(), tenant)
		return err == nil
	})
	return h
}

func (r *rig) watch() Watch {
	r.Helper()
	w, err := r.pair.Watch(r.Context())
	require.NoError(r, err)
	return w
}

func TestAServerOnANewTimelineIsNobodysHomeUntilSomebodyHasAgreed(t *testing.T) {
	src, dst := ownServers(t)
	r := newRigOn(t, src, dst).prepared(2)
	r.move(s, 1, try(1, 1))
	require.Empty(t, r.watch().Doubts)
	require.NoError(t, src.Stop(pg.Fast))
	require.NoError(t, src.RestartOnNewTimeline(t.Context()))

	h := r.home(1)
	require.Equal(t, migration.NoHome, h.Home())
	require.False(t, h.Settled())
	require.Contains(t, h.Undecided(), "its timeline is 2, and was 1")
	require.Equal(t, migration.NoHome, r.home(2).Home(), "whoever is homed on premises, too")
	require.Len(t, r.watch().Doubts, 1)
	_, err := r.pair.Claim(t.Context(), s, 1, try(5, 1))
	require.ErrorIs(t, err, ErrDoubtedServer)
	ready, err := r.pair.Ready(t.Context(), s, 2, 5*time.Second, 5*time.Second)
	require.NoError(t, err)
	require.Contains(t, checks(ready.Findings), "postgres-no-home")
	r.must(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 2") // no guard refuses a write because of it

	states, err := r.pair.Servers(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.pair.Agree(t.Context(), migration.OnPrem, states[0].Now, "ada", "the standby has every seal"))
	require.Equal(t, migration.AWS, r.home(1).Home())
	require.Equal(t, migration.OnPrem, r.home(2).Home())
	require.Empty(t, r.watch().Doubts)
	states, err = r.pair.Servers(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ada", states[0].AgreedBy)
}

func TestAServerThatWasRestoredIsDoubtedThoughItsNameAndTimelineAreTheSame(t *testing.T) {
	src, dst := ownServers(t)
	r := newRigOn(t, src, dst).prepared(2)
	require.NoError(t, dst.Stop(pg.Fast))
	require.NoError(t, dst.Backup())
	require.NoError(t, dst.Restart(t.Context()))
	r.until("beats again", func() bool { _, err := r.pair.Lag(t.Context()); return err == nil })
	r.move(s, 1, try(1, 1))
	require.Empty(t, r.watch().Doubts)
	require.NoError(t, dst.Stop(pg.Fast))
	require.NoError(t, dst.Restore())
	require.NoError(t, dst.Restart(t.Context()))

	h := r.home(1)
	require.Equal(t, migration.NoHome, h.Home())
	require.Contains(t, h.Undecided(), "on AWS is not the one that Drover knew")
	require.Contains(t, h.Undecided(), "restored from a backup")

	t.Run("also when it has written more than it had before", func(t *testing.T) {
		r.must(d, "CREATE TABLE filler AS SELECT g, repeat('x', 1000) t FROM generate_series(1, 20000) g")
		require.Contains(t, r.home(1).Undecided(), "it has forgotten what it had written of itself")
	})
	t.Run("an identity that was not shown is not agreed to", func(t *testing.T) {
		err := r.pair.Agree(t.Context(), migration.AWS, Identity{SystemID: "1", Timeline: 1}, "ada", "")
		require.ErrorContains(t, err, "look at it again")
	})
}

func TestACrashIsNoRestore(t *testing.T) {
	src, dst := ownServers(t)
	r := newRigOn(t, src, dst).prepared(1)
	for range 3 {
		r.must(s, "UPDATE acct SET n = n + 1")
		require.Empty(t, r.watch().Doubts)
		require.NoError(t, src.Stop(pg.Immediate))
		require.NoError(t, src.Restart(t.Context()))
		require.Equal(t, migration.OnPrem, r.home(1).Home())
	}
}

func TestPositionsInTheWALAreComparedAsNumbers(t *testing.T) {
	require.True(t, before("0/9", "0/A"))
	require.True(t, before("0/FFFFFFFF", "1/0"))
	require.False(t, before("1/0", "0/FFFFFFFF"))
	require.False(t, before("16/B374D848", "16/B374D848"))
}
