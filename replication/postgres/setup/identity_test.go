package setup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// What somebody has set for another tool may be none that the server or its subscriber can use: the
// application's updates go on at home, and reach the other side.
func TestATableGetsAnIdentityThatUpdatesCanBeTakenBy(t *testing.T) {
	for _, x := range []struct{ name, ddl string }{
		{"a deferrable key", "CREATE TABLE t (tenant_id int NOT NULL, id int, v int, PRIMARY KEY (tenant_id, id) DEFERRABLE)"},
		{"the whole row by hand", "CREATE TABLE t (tenant_id int NOT NULL, id int, v int, PRIMARY KEY (tenant_id, id)); " +
			"ALTER TABLE t REPLICA IDENTITY FULL"},
		{"the whole row by hand, and a generated column", "CREATE TABLE t (tenant_id int NOT NULL, id int, v int, " +
			"g int GENERATED ALWAYS AS (v + 1) STORED, PRIMARY KEY (tenant_id, id)); ALTER TABLE t REPLICA IDENTITY FULL"},
		{"the whole row by hand, and a column without equality", "CREATE TABLE t (tenant_id int NOT NULL, id int NOT NULL, v int, " +
			"body json DEFAULT '{}', UNIQUE (tenant_id, id)); ALTER TABLE t REPLICA IDENTITY FULL"},
		{"a key over a generated column, and another", "CREATE TABLE t (tenant_id int NOT NULL, id int NOT NULL, v int, " +
			"g int GENERATED ALWAYS AS (id + 1) STORED, PRIMARY KEY (tenant_id, g), UNIQUE (tenant_id, id))"},
		{"nothing by hand", "CREATE TABLE t (tenant_id int NOT NULL, id int, v int, PRIMARY KEY (tenant_id, id)); " +
			"ALTER TABLE t REPLICA IDENTITY NOTHING"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t)
			r.Script(s, x.ddl+"; INSERT INTO t (tenant_id, id, v) VALUES (1, 1, 1), (1, 2, 1), (2, 1, 1)")
			r.Prepare(2)
			r.Synced()
			changed := func(side migration.Side, to int) {
				t.Helper()
				require.Empty(t, r.Exec(side, "UPDATE t SET v = $1 WHERE tenant_id = 1", to))
				r.Until("the update is on the other side", func() bool {
					const count = "SELECT count(*) FROM t WHERE v = $1"
					return r.Num(side.Other(), count, to) == r.Num(side, count, to)
				})
			}
			changed(s, 2)
			require.Empty(t, r.Exec(s, "DELETE FROM t WHERE tenant_id = 1 AND id = 2"))
			changed(s, 3)
			r.Move(s, 1, pairtest.Try(1, 1))
			changed(d, 4)
			r.Move(d, 1, pairtest.Try(2, 1))
			changed(s, 5)
			changes, err := r.Pair.Changes(t.Context())
			require.NoError(t, err)
			require.Empty(t, changes)
			r.Sound()
		})
	}
}
