package preflight

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// Before these minors a subscription did not hand on what its connection string sets.
func TestCheckNamesLimitsThatCannotBeTakenAway(t *testing.T) {
	r := pairtest.New(t)
	require.NoError(t, r.Src.Exec(t.Context(), "postgres", "ALTER DATABASE "+r.DB+" SET statement_timeout = '1h'"))
	for version, found := range map[int]int{180001: 1, 180002: 0, 170007: 1, 160012: 0, 150015: 1, 190000: 0} {
		c := &survey{Pair: r.Pair, asking: "session-limit"}
		require.NoError(t, c.read(t.Context()))
		c.versions[d] = version
		require.NoError(t, side(sessionLimit)(t.Context(), c))
		require.Len(t, c.found, found, version)
		for _, f := range c.found {
			require.Equal(t, migration.Blocker, f.Severity)
			require.Contains(t, f.Subject, "on premises")
			require.Contains(t, f.Remedy, "SET statement_timeout = 0")
		}
	}
}

// A first copy of a table is one transaction of the server that it goes to.
func TestCheckNamesALimitOnTheTransactionsOfWhoAppliesChanges(t *testing.T) {
	r := pairtest.New(t)
	if r.Num(d, "SELECT current_setting('server_version_num')::int") < 170000 {
		t.Skip("this version does not have it")
	}
	require.Empty(t, about(found(r, r.Pair), "postgres-session-limit"))
	require.NoError(t, r.Dst.Exec(t.Context(), "postgres", "ALTER DATABASE "+r.DB+" SET transaction_timeout = '20ms'"))
	role := ""
	require.NoError(t, r.Query(d, &role, "SELECT current_user"))
	require.Equal(t, []string{"blocker postgres-session-limit role " + role + " on AWS"}, about(found(r, r.Pair), "postgres-session-limit"))
	r.Must(s, "INSERT INTO audit SELECT 1 + g % 3, now(), NULL, md5(g::text) FROM generate_series(1, 120000) g")
	r.Prepare(3)
	soon, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	require.Error(t, r.Pair.AwaitSync(soon, func(string) {}), "it is not for nothing that it blocks")
	require.NoError(t, r.Dst.Exec(t.Context(), "postgres", "ALTER DATABASE "+r.DB+" SET transaction_timeout = 0"))
	require.Empty(t, about(found(r, r.Pair), "postgres-session-limit"))
	r.Synced()
}

func TestCheckNamesSessionsThatTheGuardDoesNotSee(t *testing.T) {
	r := pairtest.New(t)
	r.Script(d, "ALTER DATABASE "+r.DB+" SET session_replication_role = replica")
	require.Equal(t, []string{"blocker postgres-database-setting database orders on AWS"},
		about(found(r, r.Pair), "postgres-database-setting"))
}

func TestCheckNamesAReplicatorThatIsNoSubscription(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "SELECT pg_replication_origin_create('pgl_shop_"+r.DB+"')")
	defer r.Must(s, "SELECT pg_replication_origin_drop('pgl_shop_"+r.DB+"')")
	require.Equal(t, []string{"warning postgres-other-subscription database orders on premises"},
		about(found(r, r.Pair), "postgres-other-subscription"))
}
