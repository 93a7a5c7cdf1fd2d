package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// tenantTypes are the integer types that a fence can be looked up by.
var tenantTypes = map[string]bool{"smallint": true, "integer": true, "bigint": true}

// tenantType wants an integer for a tenant column.
func tenantType(_ context.Context, s *survey, t postgres.Table) error {
	if t.Class == postgres.Tenants && !tenantTypes[t.ColumnType] {
		s.block("table "+t.String(), fmt.Sprintf("its tenant column %s is %s", t.Column, t.ColumnType), "the tenant column has to be an "+
			"integer")
	}
	return nil
}
