package setup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// What a database sets for its sessions holds neither for those that read it for a first copy, nor
// for Drover's own.
func TestASessionLimitOfTheDatabaseEndsNoFirstCopy(t *testing.T) {
	for _, x := range []struct {
		limit string
		at    func(*pairtest.Rig) *pg.Server
		since int64
	}{
		{"statement_timeout", func(r *pairtest.Rig) *pg.Server { return r.Src }, 0},
		{"transaction_timeout", func(r *pairtest.Rig) *pg.Server { return r.Src }, 170000},
		{"idle_in_transaction_session_timeout", func(r *pairtest.Rig) *pg.Server { return r.Src }, 0},
		{"idle_session_timeout", func(r *pairtest.Rig) *pg.Server { return r.Src }, 0},
		{"statement_timeout", func(r *pairtest.Rig) *pg.Server { return r.Dst }, 0},
		{"idle_session_timeout", func(r *pairtest.Rig) *pg.Server { return r.Dst }, 0},
	} {
		t.Run(x.limit, func(t *testing.T) {
			r := pairtest.New(t)
			if r.Num(s, "SELECT current_setting('server_version_num')::int") < x.since {
				t.Skip("this version does not have it")
			}
			r.Must(s, "INSERT INTO audit SELECT 1 + g % 3, now(), NULL, md5(g::text) FROM generate_series(1, 120000) g")
			at := x.at(r)
			require.NoError(t, at.Exec(t.Context(), "postgres", "ALTER DATABASE "+r.DB+" SET "+x.limit+" = '10ms'"))
			t.Cleanup(func() {
				require.NoError(t, at.Exec(context.Background(), "postgres", "ALTER DATABASE "+r.DB+" RESET "+x.limit))
			})
			r.Pair.OnPrem.Reset()
			r.Pair.AWS.Reset()
			r.Prepare(3)
			r.Synced()
		})
	}
}
