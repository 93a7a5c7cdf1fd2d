package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// lockTable says how many tenants one transaction may write for: the guard takes a lock for each.
func lockTable(ctx context.Context, s *survey, at *postgres.Server) error {
	var room int64
	err := at.Pool.QueryRow(ctx,
		`SELECT current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::bigint +
			current_setting('max_prepared_transactions')::bigint)`).Scan(&room)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	most, err := s.aboutTenants(ctx, at)
	if err != nil {
		return err
	}
	if most > float64(room)/2 {
		s.warn(s.database(at), fmt.Sprintf("about %.0f tenants have rows, and the lock table bears %d locks of all sessions: the guard "+
			"takes one for each tenant that a transaction writes for, and a job over all of them would fail with \"out of shared "+
			"memory\", for others as well", most, room),
			"let such jobs commit after some thousands of tenants, or raise max_locks_per_transaction: "+setting(at))
	}
	return nil
}

// aboutTenants is about how many tenants have rows, by the server's statistics.
func (s *survey) aboutTenants(ctx context.Context, at *postgres.Server) (most float64, err error) {
	for _, t := range postgres.Of(s.tables[at.Side], postgres.Tenants) {
		var n float64
		err := at.Pool.QueryRow(ctx, `SELECT coalesce(max(CASE WHEN n_distinct < 0 THEN -n_distinct * greatest(c.reltuples, 0) ELSE
			n_distinct END), 0)
			FROM pg_stats s JOIN pg_class c ON c.oid = $1 WHERE s.schemaname = $2 AND s.tablename = $3 AND s.attname = $4`, t.OID, t.Schema,
			t.Name, t.Column).Scan(&n)
		if err != nil {
			return 0, fmt.Errorf("estimate the tenants of %s: %w", t, err)
		}
		most = max(most, n)
	}
	return most, nil
}
