package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/migration"
)

// What a workflow knows when nothing has happened yet is what it knows after it has gone on as new.
func TestAStateComesBackAsItWasCarriedOver(t *testing.T) {
	conv := converter.GetDefaultDataConverter()
	there := func(from, to any) {
		t.Helper()
		p, err := conv.ToPayload(from)
		require.NoError(t, err)
		require.NoError(t, conv.FromPayload(p, to))
	}
	m := newMigration(MigrationInput{}).migrationState
	var m2 migrationState
	there(m, &m2)
	require.Equal(t, m, m2)
	b := newBatch(BatchInput{Batch: migration.Batch{Name: "wave", Customers: []string{"c1"}}}).batchState
	var b2 batchState
	there(b, &b2)
	require.Equal(t, b, b2)
	c := newCustomer(CustomerInput{}).customerState
	var c2 customerState
	there(c, &c2)
	require.Equal(t, c, c2)
	r := newReplication(ReplicationInput{}).replicationState
	var r2 replicationState
	there(r, &r2)
	require.Equal(t, r, r2)
}
