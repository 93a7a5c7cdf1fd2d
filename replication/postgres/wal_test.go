package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestWALBeyondTheBudgetIsNamedWithWhatFollows(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	found, err := r.Pair.OverBudget(t.Context(), 1<<40)
	require.NoError(t, err)
	require.Empty(t, found)

	r.Script(d, "ALTER SUBSCRIPTION "+r.Pair.Names.Forward+" DISABLE")
	r.Must(s, "UPDATE acct SET n = n + 1")
	found, err = r.Pair.OverBudget(t.Context(), 1)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	require.Equal(t, migration.Warning, found[0].Severity)
	require.Equal(t, "database orders on premises", found[0].Subject)
	require.Contains(t, found[0].Reason, "fill the disk of the server on premises")
	found, err = r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, found, "no budget")

	r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" DISABLE; ALTER SUBSCRIPTION "+r.Pair.Names.Back+" SET (slot_name = NONE)")
	r.Until("the walsender has gone", func() bool {
		return r.Num(d, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Back) == 0
	})
	r.Must(d, "SELECT pg_drop_replication_slot($1)", r.Pair.Names.Back)
	found, err = r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, migration.Blocker, found[0].Severity)
	require.Contains(t, found[0].Reason, "going back would lose")
}

func TestAMaterialisedViewCanBeReadOnAWS(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, sum(n) AS n FROM acct GROUP BY 1")
	r.Must(s, "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM totals")
	r.Prepared(3)
	require.EqualValues(t, 3, r.Num(d, "SELECT n FROM total"))
}
