package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// rowSecurity wants no policy to stand between the role and any row: of what a policy hides the
// first copy brings nothing, no comparison says so, and what a subscription applies is refused. The
// owner is held to policies only by FORCE, which the copied schema has as well.
func rowSecurity(ctx context.Context, s *survey, t postgres.Table) error {
	var active, forced bool
	err := s.OnPrem.Pool.QueryRow(ctx, `SELECT bool_or(row_security_active(oid)), bool_or(relrowsecurity
		AND relforcerowsecurity) FROM pg_class
		WHERE oid = $1 OR oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))`, t.OID).Scan(&active, &forced)
	if err != nil {
		return fmt.Errorf("read the row security: %w", err)
	}
	hidden := map[*postgres.Server]bool{s.OnPrem: active}
	if len(postgres.Missing([]postgres.Table{t}, s.tables[migration.AWS])) > 0 {
		hidden[s.AWS] = forced
	}
	for at, is := range hidden {
		if !is {
			continue
		}
		var who string
		var passes bool
		if err := at.Pool.QueryRow(ctx,
			`SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user`).Scan(&who, &passes); err != nil {
			return fmt.Errorf("read the role %s: %w", at.Where(), err)
		}
		if !passes {
			s.block("table "+t.String()+" "+at.Where(), "row-level security hides rows of it from role "+who+": they would be left "+
				"behind, or refused", "ALTER ROLE "+who+" BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY if the role owns "+
				"the table")
		}
	}
	return nil
}
