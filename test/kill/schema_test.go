package kill

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// A release adds columns and a table while customers are at home on either side and write. The
// worker dies when it has made the change and has not said so yet. Then everybody moves, with what
// was written into what is new.
func TestASchemaIsChangedWhileCustomersWriteAndMove(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	b := newBench(ctx, t, shape)
	all := shape.Customers()
	b.submit(ctx)
	for _, c := range all {
		b.settled(ctx, c.ID, migration.AWS)
	}
	b.send(ctx, t, all[0].ID, migration.OnPrem)
	b.settled(ctx, all[0].ID, migration.OnPrem)

	file := func(name, text string) string {
		path := filepath.Join(filepath.Dir(b.lab.Plan), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	out, err := b.run(ctx, "schema", "apply", shape.Name, file("drop.sql", "ALTER TABLE orders DROP COLUMN body"), "--reason", "CHG-1")
	require.Error(t, err)
	require.Contains(t, out, "column body goes, and rows that have it are under way")

	died := make(chan struct{})
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || e.Activity != "ApplySchema" {
			return true
		}
		b.gate.Set(nil)
		defer close(died)
		return b.kill(e)
	})
	said := make(chan error, 1)
	go func() {
		var err error
		out, err = b.run(ctx, "schema", "apply", shape.Name, file("add.sql", `
ALTER TABLE orders ADD COLUMN note text, ADD COLUMN grade int NOT NULL DEFAULT 7;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, words text);
`), "--reason", "CHG-2")
		said <- err
	}()
	b.reached(t, died)
	b.running(t)
	require.NoError(t, <-said, out)
	require.Contains(t, out, "schema change add.sql of orders is on both sides")

	on := map[migration.Side]*pgx.Conn{}
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		c, err := pgx.Connect(ctx, b.lab.AppDSN(side))
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		on[side] = c
	}
	for tenant, home := range map[int]migration.Side{all[0].Tenant: migration.OnPrem, all[1].Tenant: migration.AWS} {
		_, err := on[home].Exec(ctx, "INSERT INTO notes (tenant_id, words) VALUES ($1, 'x')", tenant)
		require.NoError(t, err)
		_, err = on[home].Exec(ctx, "UPDATE orders SET note = 'n' WHERE tenant_id = $1", tenant)
		require.NoError(t, err)
		_, err = on[home.Other()].Exec(ctx, "INSERT INTO notes (tenant_id, words) VALUES ($1, 'x')", tenant)
		require.ErrorContains(t, err, "is not writable here")
	}
	b.send(ctx, t, all[0].ID, migration.AWS)
	b.send(ctx, t, all[1].ID, migration.OnPrem)
	b.settled(ctx, all[0].ID, migration.AWS)
	b.settled(ctx, all[1].ID, migration.OnPrem)
	for _, c := range on {
		var notes, noted int
		require.True(t, eventually(func() bool {
			require.NoError(t, c.QueryRow(ctx, "SELECT (SELECT count(*) FROM notes), (SELECT count(DISTINCT tenant_id) FROM orders "+
				"WHERE note = 'n')").Scan(&notes, &noted))
			return notes == 2 && noted == 2
		}), "%d notes, %d customers' orders have one", notes, noted)
	}
	b.consistent(ctx, t)
	b.nothingLost(ctx, t)
}
