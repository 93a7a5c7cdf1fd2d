package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// tenantTypes are the integer types that a fence can be looked up by.
var tenantTypes = map[string]bool{"smallint": true, "integer": true, "bigint": true}

// tenantType wants a tenant column that is an integer, and stored as it was written: a generated
// one is not sent, and can identify no row.
func tenantType(ctx context.Context, s *survey, t postgres.Table) error {
	if t.Class != postgres.Tenants {
		return nil
	}
	if !tenantTypes[t.ColumnType] {
		s.block("table "+t.String(), fmt.Sprintf("its tenant column %s is %s", t.Column, t.ColumnType), "the tenant column has to be an "+
			"integer")
		return nil
	}
	var generated bool
	if err := s.OnPrem.Pool.QueryRow(ctx, `SELECT attgenerated <> '' FROM pg_attribute WHERE attrelid = $1 AND attname = $2`, t.OID,
		t.Column).Scan(&generated); err != nil {
		return fmt.Errorf("read its tenant column: %w", err)
	}
	if generated {
		s.block("table "+t.String(), "its tenant column "+t.Column+" is generated: it is not sent, and cannot identify a row",
			"have the application write it: ALTER TABLE "+t.Ident()+" ALTER "+t.Column+" DROP EXPRESSION")
	}
	return nil
}
