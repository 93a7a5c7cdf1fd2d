package setup_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// TestAWriterPaysOneTriggerAStatementAndOneNoteAMinute counts what the server does for a writer. It
// says with -v how long that took beside the same without an observation, as docs/observe.md does.
func TestAWriterPaysOneTriggerAStatementAndOneNoteAMinute(t *testing.T) {
	const (
		rows = `DO $do$ BEGIN FOR i IN 1..100 LOOP INSERT INTO audit VALUES (1, now(), NULL, 'x'); END LOOP; END $do$`
		bulk = `INSERT INTO audit SELECT 1, now(), NULL, 'x' FROM generate_series(1, 2000)`
		many = `INSERT INTO audit SELECT g, now(), NULL, 'x' FROM generate_series(1, 2000) g`
	)
	r := pairtest.New(t)
	r.Must(s, `ALTER DATABASE `+pgx.Identifier{r.DB}.Sanitize()+` SET track_functions = 'all'`)
	c := as(r, "app")
	const times = 20
	took := func(sql string) time.Duration {
		best := time.Hour
		for range times {
			begun := time.Now()
			must(r, c, sql)
			best = min(best, time.Since(begun))
		}
		return best
	}
	before := map[string]time.Duration{}
	for _, sql := range []string{rows, bulk, many} {
		before[sql] = took(sql)
	}
	observe(r)
	// A test that goes on past a minute's end meets two minutes.
	for _, x := range []struct {
		what, sql               string
		statements, notes, kept int64
		per                     time.Duration
	}{
		{"a statement with one row", rows, 100 * times, 2, 0, 100},
		{"a row of 2,000 of one customer", bulk, times, 2, 0, 2000},
		{"a row of 2,000 of as many customers", many, times, 2 + times, 2, 2000},
	} {
		must(r, c, "BEGIN")
		was := spent(r, c)
		observed := took(x.sql)
		is := spent(r, c)
		require.Equal(t, x.statements, is.seen-was.seen, "%s: once a statement, whatever its rows", x.what)
		require.LessOrEqual(t, is.notes-was.notes, x.notes, x.what)
		require.LessOrEqual(t, is.shapes-was.shapes, x.kept, "%s: a statement that is noted already costs no shape", x.what)
		require.Equal(t, was.scans, is.scans, "%s: nothing is read through", x.what)
		require.LessOrEqual(t, is.found-was.found, x.kept+2, x.what)
		require.LessOrEqual(t, is.written-was.written, x.kept+2, "%s: one note a minute, and one of who writes", x.what)
		must(r, c, "COMMIT")
		t.Logf("%s: %v, observed %v: %v more", x.what, before[x.sql]/x.per, observed/x.per, (observed-before[x.sql])/x.per)
	}
}

// cost is what a session has had the server do for an observation.
type cost struct{ seen, notes, shapes, found, scans, written int64 }

func spent(r *pairtest.Rig, c *pgx.Conn) (out cost) {
	r.Helper()
	require.NoError(r, c.QueryRow(r.Context(), `SELECT coalesce(sum(calls) FILTER (WHERE funcname = 'seen_tenant_id'), 0)::bigint,
		coalesce(sum(calls) FILTER (WHERE funcname = 'note'), 0)::bigint, coalesce(sum(calls) FILTER (WHERE funcname = 'shape'), 0)::bigint
		FROM pg_stat_xact_user_functions WHERE schemaname = 'drover_observe'`).Scan(&out.seen, &out.notes, &out.shapes))
	require.NoError(r, c.QueryRow(r.Context(), `SELECT sum(coalesce(idx_scan, 0))::bigint, sum(seq_scan)::bigint,
		sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_xact_all_tables WHERE schemaname = 'drover_observe'`).Scan(&out.found,
		&out.scans, &out.written))
	return out
}
