package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// noTenantTables wants a table that customers have rows in.
func noTenantTables(_ context.Context, s *survey) error {
	if len(postgres.Of(s.tables[migration.OnPrem], postgres.Tenants)) == 0 {
		s.block(s.database(s.OnPrem), fmt.Sprintf("no table has the tenant column %q", s.Dataset.Column), "name the column that tells "+
			"customers apart as tenancy.column")
	}
	return nil
}
