package setup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// What a database sets for its sessions holds for those that read it for a first copy.
func TestASessionLimitOfTheDatabaseEndsNoFirstCopy(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO audit SELECT 1 + g % 3, now(), NULL, md5(g::text) FROM generate_series(1, 120000) g")
	require.NoError(t, r.Src.Exec(t.Context(), "postgres", "ALTER DATABASE "+r.DB+" SET statement_timeout = '10ms'"))
	t.Cleanup(func() {
		require.NoError(t, r.Src.Exec(context.Background(), "postgres", "ALTER DATABASE "+r.DB+" RESET statement_timeout"))
	})
	r.Prepare(3)
	r.Synced()
}
